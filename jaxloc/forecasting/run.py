"""A run of a forecasting network: training, scores, tables and figures in its run folder."""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from scipy.special import logsumexp

from jaxloc.atomic_write import write_whole
from jaxloc.forecasting import kail, panakkat_cells, panakkat_periods
from jaxloc.forecasting.cases import Case, alarms, level_of_bias_one, score_case, within, write_csv
from jaxloc.forecasting.grid import centres_km
from jaxloc.forecasting.maps import ends
from jaxloc.forecasting.next_event_scores import score_next
from jaxloc.forecasting.rate_map import with_recent_rates
from jaxloc.forecasting.scores import blocks, estimate
from jaxloc.forecasting.table import markdown, rows_of
from jaxloc.io.event_list import date_of, read_event_list
from jaxloc.plots import forecasts as forecast_plots
from jaxloc.training.fitting import Fitted
from jaxloc.training.log import OnStep, Say
from jaxloc.training.run_folder import worked_in

Config = Mapping[str, Any]
TASK = "forecast"
DEGREES, KM = ("longitude_deg", "latitude_deg"), ("east_km", "north_km")
SHOWN = {DEGREES: ("longitude (°)", "latitude (°)"), KM: ("east (km)", "north (km)")}


def run(config: Config, folder: Path, say: Say = print, on_step: OnStep | None = None) -> Path:
    """Train a forecasting network by a configuration and write scores.json, forecasts.csv and figures into a folder.

    A run that was stopped is resumed, a finished one is kept.

    Raises:
        ValueError: for wrong configurations and data, or a folder of another configuration or in use.
    """
    name = config["model"]["name"]
    if name not in _RUNS:
        raise ValueError(f"no such forecasting network: {name!r}; use one of {', '.join(_RUNS)}")
    return worked_in(folder, config, say, on_step, lambda log, stepped: _run(config, folder, log, stepped))


def _run(config: Config, folder: Path, say: Say, on_step: OnStep) -> None:
    name, began = config["model"]["name"], time.monotonic()
    scores = _RUNS[name](config, folder, say, on_step)
    about = {
        "name": config["name"],
        "task": TASK,
        "network": name,
        "posterior": config["posterior"]["name"],
        "dataset": Path(config["data"]["path"]).stem,
        "seconds": round(time.monotonic() - began, 1),
    }
    write_whole(folder / "scores.json", json.dumps({"about": about, **scores}, indent=1, allow_nan=False).encode())
    write_whole(folder / "table.md", markdown(rows_of([folder])).encode())


def _kail(config: Config, folder: Path, say: Say, on_step: OnStep | None) -> dict[str, Any]:
    made, found, fitted = kail.run(config, folder, say, on_step)
    cells = [_kail_case(config, made, found, k) for k in range(len(made.magnitudes))]
    cases = cells + [within(case, made.grid, float(config["data"]["tolerance_km"])) for case in cells]
    scored = _score_cases(cases, folder, say)
    write_csv(folder / "forecasts.csv", cells)
    grid, last = made.grid, cells[-1]
    shape = (grid.rows, grid.columns)
    east, north = grid.west_km + grid.cell_km * grid.columns, grid.south_km + grid.cell_km * grid.rows
    _maps(folder, last, shape, (grid.west_km, east, grid.south_km, north), -1)
    return {"parameters": fitted.num_weights, "targets": scored}


def _kail_case(config: Config, made: kail.Material, found: kail.Forecasts, k: int) -> Case:
    east, north = centres_km(made.grid)
    flat = lambda x: np.asarray(x[..., k], float).reshape(*x.shape[:-3], -1)
    shape = (len(made.test), made.grid.rows * made.grid.columns)
    return Case(
        f"M > {made.magnitudes[k]:g}, cells of {made.grid.cell_km:g} km",
        [date_of(day) for day in ends(made.steps)[made.test]],
        np.stack(np.meshgrid(east, north), -1).reshape(-1, 2),
        KM,
        flat(found.draws),
        made.outcomes[made.test][..., k].reshape(shape),
        np.broadcast_to(flat(found.rates), shape),
        flat(found.recent),
        max(1, round(float(config["data"]["block_days"]) / made.steps.step_days)),
    )


def _panakkat(config: Config, folder: Path, say: Say, on_step: OnStep | None) -> dict[str, Any]:
    events = read_event_list(config["data"]["kind"], config["data"]["path"])
    scores: dict[str, Any] = {}
    if unknown := set(config["formulations"]) - {"cells", "periods"}:
        raise ValueError(f"formulations are cells and periods, got {', '.join(sorted(unknown))}")
    if "cells" in config["formulations"]:
        made, fitted = panakkat_cells.run(config, _part(folder, "cells"), events, say, on_step)
        scores |= _cells(config, folder, made, fitted, say)
    if "periods" in config["formulations"]:
        periods, fitted = panakkat_periods.run(config, _part(folder, "periods"), events, say, on_step)
        forecasts = {
            "network": panakkat_periods.forecast(config, periods, fitted),
            "climate": panakkat_periods.climate(periods),
            "poisson": panakkat_periods.poisson(periods),
        }
        scores["next_event"] = score_next(forecasts, periods.test.target, periods.last_km)
        scores["next_event"]["parameters"] = fitted.num_weights
    return scores


def _cells(config: Config, folder: Path, made: panakkat_cells.Material, fitted: Fitted, say: Say) -> dict[str, Any]:
    magnitudes = list(map(float, config["data"]["cells"]["magnitudes"]))
    trained, _ = panakkat_cells.forecast(config, made, fitted, made.train)
    found, density = panakkat_cells.forecast(config, made, fitted, made.test)
    rates, recent = panakkat_cells.rate_map(made, magnitudes), panakkat_cells.recent(config, made)
    occurred = lambda which: np.stack([made.largest[which + 1] >= m for m in magnitudes], -1)
    recent_rates = with_recent_rates(
        rates[:, None], (recent[made.train], occurred(made.train)[:, :, None]), recent[made.test]
    )
    each = zip(
        magnitudes,
        *(np.moveaxis(x, -1, 0) for x in (found, occurred(made.test), rates, recent_rates[:, :, 0])),
        strict=True,
    )
    cases = [_cell_case(config, made, *one) for one in each]
    levels = [level_of_bias_one(trained.mean(0)[..., k], occurred(made.train)[..., k]) for k in range(len(magnitudes))]
    scored = _score_cases(cases, folder, say)
    write_csv(folder / "forecasts.csv", cases)
    for case, level, scores in zip(cases, levels, scored, strict=True):
        scores["alarms"] = alarms(case, level)
    west, east, south, north = map(float, config["data"]["box_deg"])
    shape = (round((north - south) / float(config["data"]["cells"]["cell_deg"])), -1)
    _maps(folder, cases[0], shape, (west, east, south, north), int(cases[0].outcome.sum(1).argmax()))
    # The information gain of the whole distribution of the largest magnitude, in nats a period, over all cells.
    over = logsumexp(density, axis=0) - np.log(len(density)) - panakkat_cells.rate_map_log_density(made, made.test)
    by_period = over.reshape(len(made.test), -1).sum(1)
    gain = estimate(lambda w: (w @ by_period) / w.sum(), blocks(len(by_period), cases[0].block))
    return {"parameters": fitted.num_weights, "targets": scored, "largest_magnitude_gain": gain}


def _cell_case(
    config: Config,
    made: panakkat_cells.Material,
    magnitude: float,
    draws: Float[np.ndarray, "draw time cell"],
    occurred: Bool[np.ndarray, "time cell"],
    rates: Float[np.ndarray, "*time cell"],
    recent: Float[np.ndarray, "time cell"],
) -> Case:
    data = config["data"]["cells"]
    return Case(
        f"M ≥ {magnitude:g} in {made.steps.step_days:.0f} days, cells of {data['cell_deg']:g}°",
        [date_of(day) for day in ends(made.steps)[made.test]],
        made.corner_deg[:, ::-1] + float(data["cell_deg"]) / 2,
        DEGREES,
        draws.astype(float),
        occurred,
        np.broadcast_to(rates, occurred.shape).astype(float),
        recent,
        max(1, round(float(data["block_days"]) / made.steps.step_days)),
    )


def _score_cases(cases: list[Case], folder: Path, say: Say) -> list[dict[str, Any]]:
    """Scores of all cases, and the figure of their reliability."""
    say(f"scoring {len(cases)} targets")
    scored = [score_case(case) for case in cases]
    forecast_plots.reliability(folder / "pictures" / "reliability.png", scored)
    return scored


def _maps(folder: Path, case: Case, shape: tuple[int, int], extent: tuple[float, ...], at: int) -> None:
    maps = {"network": case.draws.mean(0)[at], "recent rates": case.recent[at], "rate map": case.rates[at]}
    forecast_plots.probability_maps(
        folder / "pictures" / "probabilities.png",
        {name: values.reshape(shape) for name, values in maps.items()},
        extent,
        case.place[case.outcome[at]],
        f"{case.name}: forecast made on {case.date[at]}, and what came",
        SHOWN[case.axes],
    )


def _part(folder: Path, name: str) -> Path:
    (folder / name).mkdir(exist_ok=True)
    return folder / name


_RUNS: dict[str, Callable[[Config, Path, Say, OnStep | None], dict[str, Any]]] = {
    "kail2021": _kail,
    "panakkat2009": _panakkat,
}
