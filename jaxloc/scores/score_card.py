"""The score card: scores of many events summarised by region, with intervals, and cards side by side.

Events whose truth is unknown are left out, and counted.
"""

import json
from collections.abc import Mapping
from typing import Any, TypeAlias

import jax
import numpy as np
import scipy.stats
from jaxtyping import Array, Float, Key
from rich.table import Table

from jaxloc.scores import bootstrap
from jaxloc.scores.events import COORDINATE_REGIONS, REGIONS
from jaxloc.types import LEVELS

EPISTEMIC = "epistemic_rank_correlation"
SHARE = "epicentre/epistemic_share/mean"
MIN_EVENTS = 5  # events of an interval by the bootstrap, or of a rank correlation
UNITS = {"origin": "s", "epicentre": "km", "hypocentre": "km", "space_time": None}
WIDTH_UNITS = {"origin": "s", "epicentre": "km2", "hypocentre": "km3", "space_time": "km3 s"}

Card: TypeAlias = dict[str, Any]


def score_card(
    key: Key[Array, ""], scores: Mapping[str, Float[Array | np.ndarray, " event"]], num_resamples: int = 1000
) -> Card:
    """Scores of many events summarised by region; every estimate is {"value", "low", "high"} (95 %).

    Each region has its `unit`, the `number` of events that count, how many have an `unknown` truth and for
    how many the locator `failed` (a known truth, but a score that is not finite), and

    - `error`, `mode_error`: mean, median, 90th percentile (`p90`), `sd`; signed ones of coordinates have
      `bias` and `mae`, and their median and p90 are of absolute errors;
    - `crps`, `energy`, `nll`, `stated`, `width50` ...: mean and median; `epistemic_share`: mean;
    - `coverage`: by level in per cent, with Clopper-Pearson intervals;
    - `pit_uniformity`, `level_uniformity`: Cramer-von Mises statistic and p-value;
    - `rank_correlation`: Spearman's, of predicted standard deviation and absolute error, of at least `MIN_EVENTS`;
      `epistemic_rank_correlation`: the same of the epistemic part of that standard deviation.

    Intervals are percentiles over `num_resamples` bootstrap resamples of events, the same events in all
    scores. Plain numbers, so `json.dumps` takes the card as it is; what cannot be computed is None.
    """
    arrays = {name: np.asarray(value, float) for name, value in scores.items()}
    number = len(next(iter(arrays.values())))
    seed = int(jax.random.randint(key, (), 0, np.iinfo(np.int32).max))
    card: Card = {"number": number}
    for region in REGIONS:
        own = {name.split("/")[1]: value for name, value in arrays.items() if name.startswith(f"{region}/")}
        if own:
            card[region] = _region_card(region, own, seed, num_resamples)
    return card


def _region_card(region: str, scores: dict[str, Float[np.ndarray, " event"]], seed: int, num_resamples: int) -> Card:
    known = scores.pop("known") > 0
    finite = np.all([np.isfinite(scores[name]) for name in scores if name != "epistemic_share"], axis=0)
    use = known & finite
    card: Card = {
        "unit": UNITS.get(region, "km"),
        "width_unit": WIDTH_UNITS.get(region, "km"),
        "number": int(use.sum()),
        "unknown": int((~known).sum()),
        "failed": int((known & ~finite).sum()),
    }
    if not use.any():
        return card
    kept = {name: value[use] for name, value in scores.items()}
    statistics = {
        (name, label): statistic
        for name, value in kept.items()
        for label, statistic in _statistics(region, name, value)
    }
    if "error" in kept and card["number"] >= MIN_EVENTS:
        error = np.abs(kept["error"])
        statistics["rank_correlation", ""] = bootstrap.rank_correlation(kept["stated"], error)
        if "epistemic_share" in kept:
            epistemic_sd = kept["stated"] * np.sqrt(np.maximum(np.nan_to_num(kept["epistemic_share"]), 0))
            statistics[EPISTEMIC, ""] = bootstrap.rank_correlation(epistemic_sd, error)
    found = bootstrap.intervals(statistics, card["number"], seed=seed, num_resamples=num_resamples)
    for (name, label), estimate in found.items():
        plain = {end: _plain(value) for end, value in estimate.items()}
        card[name] = card.get(name, {}) | {label: plain} if label else plain
    if "error" in kept:
        for name in ("rank_correlation", EPISTEMIC):
            card.setdefault(name, dict.fromkeys(("value", "low", "high")))
    card["coverage"] = {f"{round(100 * p)}": _coverage(kept["level"], p) for p in LEVELS}
    for name in ("pit", "level"):
        if name in kept:
            card[f"{name}_uniformity"] = _uniformity(kept[name])
    return card


def _statistics(region: str, name: str, values: Float[np.ndarray, " event"]) -> list[tuple[str, bootstrap.Statistic]]:
    """Statistics of a score, by name."""
    if name in ("pit", "level"):
        return []
    mean, size = ("mean", bootstrap.mean(values)), np.abs(values)
    if name in ("error", "mode_error"):
        spread = [("p90", bootstrap.quantile(size, 0.9)), ("sd", bootstrap.standard_deviation(values))]
        middle = ("median", bootstrap.quantile(size, 0.5))
        if region in COORDINATE_REGIONS:
            return [("bias", mean[1]), ("mae", bootstrap.mean(size)), middle, *spread]
        return [mean, middle, *spread]
    return [mean] if name == "epistemic_share" else [mean, ("median", bootstrap.quantile(values, 0.5))]


def _plain(value: Float[np.ndarray, ""] | float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _coverage(level: Float[np.ndarray, " event"], nominal: float) -> Card:
    """The share of truths inside their region, with the interval of Clopper and Pearson (1934)."""
    inside = int((level <= nominal).sum())
    interval = scipy.stats.binomtest(inside, len(level)).proportion_ci(0.95, method="exact")
    return {"value": inside / len(level), "low": float(interval.low), "high": float(interval.high)}


def _uniformity(values: Float[np.ndarray, " event"]) -> Card:
    if len(values) < 2:
        return {"statistic": None, "p_value": None}
    test = scipy.stats.cramervonmises(values, "uniform")
    return {"statistic": float(test.statistic), "p_value": float(test.pvalue)}


def to_json(card: Card) -> str:
    """A card as JSON text, with no NaN in it."""
    return json.dumps(card, indent=2, allow_nan=False)


_ROWS = (
    ("epicentre error, mean (km)", "epicentre/error/mean"),
    ("  median", "epicentre/error/median"),
    ("  90th percentile", "epicentre/error/p90"),
    ("  of the mode, mean", "epicentre/mode_error/mean"),
    ("depth error, mean abs. (km)", "depth/error/mae"),
    ("  bias", "depth/error/bias"),
    ("origin time error, mean abs. (s)", "origin/error/mae"),
    ("  bias", "origin/error/bias"),
    ("hypocentre error, mean (km)", "hypocentre/error/mean"),
    ("CRPS east (km)", "east/crps/mean"),
    ("CRPS north (km)", "north/crps/mean"),
    ("CRPS depth (km)", "depth/crps/mean"),
    ("CRPS origin time (s)", "origin/crps/mean"),
    ("energy score, hypocentre (km)", "hypocentre/energy/mean"),
    ("NLL, hypocentre (nats)", "hypocentre/nll/mean"),
    ("predicted epicentre sd (km)", "epicentre/stated/mean"),
    ("  rank correlation with error", "epicentre/rank_correlation"),
    ("coverage of 90 % region, epicentre", "epicentre/coverage/90"),
    ("  depth", "depth/coverage/90"),
    ("  hypocentre", "hypocentre/coverage/90"),
    ("area of 90 % region, median (km2)", "epicentre/width90/median"),
    ("epistemic share, epicentre", SHARE),
    ("  its rank correlation with error", f"epicentre/{EPISTEMIC}"),
)
SHOWN = {
    "unflagged": "without a flag",
    "first": "located first",
    "first_unflagged": "first, without a flag",
    "catalogue": "climatology",
    "sp_rule": "S-P rule",
    "sp_rule_fitted": "S-P rule, fitted",
}


def table(cards: dict[str, Card], title: str = "Score card") -> Table:
    """Cards side by side for a terminal of 100 columns: a column a locator, with intervals up to three.

    A card of fewer than `MIN_EVENTS` events has no intervals by the bootstrap, and no rank correlation.
    """
    layout = Table(title=title, caption=_caption(cards), caption_justify="left")
    layout.add_column("score", no_wrap=True)
    for name in cards:
        layout.add_column(SHOWN.get(name, name), justify="right")
    for label, path in _ROWS:
        estimates = [lookup(card, path) for card in cards.values()]
        if any(estimates):
            layout.add_row(label, *(_cell(card, path, len(cards) <= 3) for card in cards.values()))
    return layout


def lookup(card: Card, path: str) -> Card | None:
    """An estimate of a card by its path, as in "epicentre/error/mean"; None where there is none."""
    found: Card | None = card
    for name in path.split("/"):
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _cell(card: Card, path: str, with_interval: bool) -> str:
    estimate, few = lookup(card, path), card[path.split("/")[0]]["number"] < MIN_EVENTS if lookup(card, path) else False
    if few and path.endswith("rank_correlation"):
        return "too few events"
    if estimate is None or estimate["value"] is None or (path == SHARE and _undefined(card)):
        return "-"
    size = abs(estimate["value"])
    places = 0 if size >= 100 else 1 if size >= 10 else 2
    value, low, high = ("-" if x is None else f"{x:.{places}f}" for x in map(estimate.get, ("value", "low", "high")))
    # Intervals of coverage are exact, those by the bootstrap need some events.
    return f"{value} [{low}, {high}]" if with_interval and (not few or "/coverage/" in path) else value


def _undefined(card: Card) -> bool:
    """Whether the epistemic share cannot be compared with errors: it is not shown without that comparison."""
    found = lookup(card, f"epicentre/{EPISTEMIC}")
    return found is None or found["value"] is None


def _caption(cards: dict[str, Card]) -> str:
    counts = []
    for name, card in cards.items():
        regions = [card[region] for region in ("epicentre", "depth", "origin") if region in card]
        failed = max((region["failed"] for region in regions), default=0)
        unknown = "/".join(str(region["unknown"]) for region in regions)
        few = f"; fewer than {MIN_EVENTS} are too few for intervals" if card["number"] < MIN_EVENTS else ""
        name = SHOWN.get(name, name)
        counts.append(
            f"{name}: {card['number']} events, {failed} failed, {unknown} unknown epicentre/depth/origin{few}"
        )
    return "\n".join(counts)
