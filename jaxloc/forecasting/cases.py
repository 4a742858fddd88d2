"""Probability forecasts by time and cell: their scores and tables."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from jaxloc.atomic_write import write_whole
from jaxloc.forecasting.grid import Grid, any_within, probability_within
from jaxloc.forecasting.scores import ForecastSeries, blocks, contingency, estimate, score

MIN_WRITTEN = 0.02  # smallest probability, or an occurrence, for which a line is written


class Case(NamedTuple):
    """Forecasts of one target: probabilities by draw of weights, outcomes, and the reference forecasts.

    `date` is the issue time of each forecast (ISO 8601), `axes` the coordinates of a cell, `recent` a regression on
    recent rates. `block` is the number of consecutive forecasts that are resampled together.
    """

    name: str
    date: Sequence[str]
    place: Float[np.ndarray, "cell 2"]
    axes: tuple[str, str]
    draws: Float[np.ndarray, "draw time cell"]
    outcome: Bool[np.ndarray, "time cell"]
    rates: Float[np.ndarray, "time cell"]
    recent: Float[np.ndarray, "time cell"]
    block: int


def within(case: Case, grid: Grid, radius_km: float) -> Case:
    """The same forecasts of targets dilated to a radius; cells are those of a grid, rows first."""
    on_grid = lambda x: x.reshape(*x.shape[:-1], grid.rows, grid.columns)
    flat = lambda x: x.reshape(*x.shape[:-2], -1)
    wider = lambda p: flat(probability_within(on_grid(p), grid, radius_km))
    return case._replace(
        name=f"{case.name} within {radius_km:g} km",
        draws=np.stack([wider(draw) for draw in case.draws]),
        outcome=flat(any_within(on_grid(case.outcome), grid, radius_km)),
        rates=wider(case.rates),
        recent=wider(case.recent),
    )


def score_case(case: Case) -> dict[str, Any]:
    """Scores of the network and of the regression on recent rates, both relative to the rate map.

    `over_recent` is the network's information gain over that regression; `epistemic` the standard deviation of
    probabilities over draws of weights, as a share of the probability, in the mean weighted by it.
    """
    probability = case.draws.mean(0)
    network = score(ForecastSeries(probability, case.outcome, case.rates), case.block)
    recent = score(ForecastSeries(case.recent, case.outcome, case.rates), case.block)
    over = score(ForecastSeries(probability, case.outcome, case.recent), case.block, ranks=False)
    return {
        "target": case.name,
        "network": network,
        "recent": recent,
        "over_recent": over["information_gain"],
        "epistemic": float(case.draws.std(0, ddof=min(1, len(case.draws) - 1)).sum() / probability.sum()),
    }


def alarms(case: Case, level: float) -> dict[str, Any]:
    """The scores of alarms where the probability is at least a level, with their 95 % intervals for the R score."""
    flagged = case.draws.mean(0) >= level
    draws = blocks(len(case.outcome), case.block)
    found = lambda flags: (
        lambda w: (
            contingency(np.repeat(flags, w.astype(int), 0), np.repeat(case.outcome, w.astype(int), 0))["r_score"]
            or np.nan
        )
    )
    return {"level": level, **contingency(flagged, case.outcome), "r_score": estimate(found(flagged), draws)}


def level_of_bias_one(probability: Float[np.ndarray, "time cell"], outcome: Bool[np.ndarray, "time cell"]) -> float:
    """The probability level with a frequency bias of one, from training forecasts."""
    return float(np.sort(probability, axis=None)[::-1][max(int(outcome.sum()) - 1, 0)])


def write_csv(path: Path, cases: Iterable[Case]) -> None:
    """A line for each forecast above `MIN_WRITTEN`: probability with its 90 % interval over draws of weights."""
    text, header = io.StringIO(), None
    writer = csv.writer(text, lineterminator="\n")
    for case in cases:
        if header is None:
            header = ["target", "made_on", *case.axes, "probability", "low", "high", "rate_map", "recent", "happened"]
            writer.writerow(header)
        probability = case.draws.mean(0)
        low, high = np.percentile(case.draws, [5, 95], axis=0)
        for t, c in np.argwhere((probability >= MIN_WRITTEN) | case.outcome):
            numbers = (x[t, c] for x in (probability, low, high, case.rates, case.recent))
            place = (f"{x:.2f}" for x in case.place[c])
            shown = (f"{x:.3g}" for x in numbers)
            writer.writerow([case.name, case.date[t], *place, *shown, int(case.outcome[t, c])])
    write_whole(path, text.getvalue().encode())
