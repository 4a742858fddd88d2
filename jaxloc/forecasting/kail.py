"""A run of Kail and others (2021): probabilities of an event above a magnitude in each cell in days 10 to 50 from now.

The catalogue up to `train_until` is the training set, forecasts from `test_from` on are the test set. No event is in
both: training windows end before the one, test windows begin after the other. Events before the issue time of a
    forecast may always be among its inputs.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxloc import prng
from jaxloc.forecasting import maps
from jaxloc.forecasting.grid import Grid, cells_of, grid_over
from jaxloc.forecasting.kail2021 import Inputs, Model
from jaxloc.forecasting.maps import Steps, Window
from jaxloc.forecasting.periods import Periods, periods_of
from jaxloc.forecasting.rate_map import RateMap, fitted_rate_map, log_odds, with_recent_rates
from jaxloc.io.event_list import EventList, read_event_list
from jaxloc.training.fitting import Fitted, Problem, Row, fit, outputs
from jaxloc.training.log import OnStep, Say

Config = Mapping[str, Any]


class Material(NamedTuple):
    """Maps and outcomes of all steps, the training and test steps, and the rate map of the training steps."""

    grid: Grid
    steps: Steps
    window: Window
    magnitudes: tuple[float, ...]
    maps: Float[np.ndarray, "step row column channel"]
    recent: Float[np.ndarray, "step row column memory"]
    outcomes: Bool[np.ndarray, "step row column magnitude"]
    train: Int[np.ndarray, " train"]
    test: Int[np.ndarray, " test"]
    rates: RateMap
    smoothing: list[tuple[float, float]]


class Forecasts(NamedTuple):
    """Probabilities of the test steps: of each draw of weights, and of the reference models."""

    draws: Float[np.ndarray, "draw test row column magnitude"]
    rates: RateMap
    recent: Float[np.ndarray, "test row column magnitude"]


def material(config: Config, events: EventList) -> Material:
    """Maps, outcomes and rate map of a catalogue.

    Raises:
        ValueError: where the periods overlap or have too few steps, or no event is on the grid.
    """
    data, published = config["data"], bool(config["model"]["published"])
    periods, events = periods_of(data, events)
    grid = grid_over(data["box_km"], float(data["cell_km"]))
    if not cells_of(grid, events.east_km, events.north_km)[2].any():
        raise ValueError(
            f"no event of {data['path']} is in box_km {list(data['box_km'])}; use a box of the catalogue's region"
        )
    steps = _steps(periods, float(data["step_days"]))
    window = Window(float(data["lead_days"]), float(data["horizon_days"]))
    at, sigma = maps.ends(steps), float(data["memory_sigma_km"]) / grid.cell_km
    recent = maps.recent_rates(maps.counts(events, grid, steps), steps, list(map(float, data["memory_days"])), sigma)
    if published:
        seen = maps.last_magnitudes(events, grid, steps)
    else:
        seen = np.concatenate([maps.largest_and_number(events, grid, steps), recent], -1)
    magnitudes = tuple(map(float, data["magnitudes"]))
    outcomes = maps.exceedances(events, grid, steps, window, magnitudes)
    burnt = at >= periods.start + float(data["burn_in_days"])
    train = np.flatnonzero(burnt & (at + window.horizon_days <= periods.train_until))
    test = np.flatnonzero((at >= periods.test_from) & (at + window.horizon_days <= periods.until))
    if not len(test):
        raise ValueError(
            f"no forecast from test_from={data['test_from']} on ends before the catalogue does; use an earlier date"
        )
    gap = int(np.ceil(window.horizon_days / steps.step_days))
    rates, smoothing = fitted_rate_map(outcomes[train], gap)
    return Material(grid, steps, window, magnitudes, seen, recent, outcomes, train, test, rates, smoothing)


def problem(config: Config, made: Material) -> Problem:
    """Training sequences: `warm_up` steps to initialise the state, then `stretch` steps with a likelihood.

    Windows of 40 days overlap from step to step: each step is weighted by its share of the window, so that every event
    counts once. Sequences overlap, and their effective number is that of disjoint ones.

    Raises:
        ValueError: where the training period is shorter than a stretch.
    """
    warm, long = int(config["data"]["warm_up"]), int(config["data"]["stretch"])
    first = made.train[(made.train >= warm) & (made.train + long - 1 <= made.train[-1])]
    if not len(first):
        raise ValueError(
            f"{len(made.train)} training steps have no sequence of {warm} + {long}; use more training days"
        )
    share = made.steps.step_days / (made.window.horizon_days - made.window.lead_days)

    def log_likelihood(
        odds: Float[Array, "step row column magnitude"], outcomes: Bool[Array, "step row column magnitude"]
    ) -> Float[Array, ""]:
        return share * jax.nn.log_sigmoid(jnp.where(outcomes, odds, -odds)[warm:]).sum()

    def take(index: Int[np.ndarray, " sequence"]) -> Row:
        return _rows(made, first[index], warm, long)

    network = {name: value for name, value in config["model"].items() if name != "name"}
    return Problem(Model(**network), log_likelihood, take, len(first), max(1, len(made.train) // long))


def forecast(
    config: Config, made: Material, fitted: Fitted, which: Int[np.ndarray, " step"]
) -> Float[np.ndarray, "draw step ..."]:
    """Probabilities at steps (consecutive numbers), by each draw of the weights."""
    warm, long = int(config["data"]["warm_up"]), int(config["data"]["stretch"])
    first = np.arange(which[0], which[-1] + 1, long)
    if first[0] < warm or first[-1] + long > made.steps.number:
        first = np.clip(first, warm, made.steps.number - long)
    rows = _rows(made, first, warm, long).inputs
    odds = outputs(fitted, prng.stream("forecasts", int(config["seed"])), rows)[:, :, warm:]
    steps = first[:, None] + np.arange(long)
    place = np.array([np.argwhere(steps == step)[0] for step in which])
    return np.asarray(jax.nn.sigmoid(odds[:, place[:, 0], place[:, 1]]))


def run(config: Config, folder: Path, say: Say, on_step: OnStep | None) -> tuple[Material, Forecasts, Fitted]:
    """Read, train and forecast the test steps."""
    events = read_event_list(config["data"]["kind"], config["data"]["path"])
    made = material(config, events)
    occurred = made.outcomes[made.train].sum((0, 1, 2)), made.outcomes[made.test].sum((0, 1, 2))
    for k, magnitude in enumerate(made.magnitudes):
        sigma, everywhere = made.smoothing[k]
        say(
            f"M > {magnitude}: {occurred[0][k]} training and {occurred[1][k]} test forecasts that came true; rate map "
            f"smoothed over {sigma * made.grid.cell_km:.0f} km, {100 * everywhere:.1f} % of it everywhere"
        )
    fitted = fit(config, folder, problem(config, made), say, on_step)
    say(f"forecasting {len(made.test)} steps with {fitted.num_draws} draws of the weights")
    draws = forecast(config, made, fitted, made.test)
    recent = with_recent_rates(made.rates, (made.recent[made.train], made.outcomes[made.train]), made.recent[made.test])
    return made, Forecasts(draws, made.rates, recent), fitted


def _steps(periods: Periods, step_days: float) -> Steps:
    return Steps(periods.start, step_days, int((periods.until - periods.start) / step_days))


def _rows(made: Material, first: Int[np.ndarray, " sequence"], warm: int, long: int) -> Row:
    """Sequences by their first step with a likelihood."""
    steps = first[:, None] + np.arange(-warm, long)
    odds = log_odds(made.rates).astype(np.float32)
    repeated = np.broadcast_to(odds, (len(first), *odds.shape))
    return Row(Inputs(made.maps[steps], repeated), made.outcomes[steps])  # pyright: ignore[reportArgumentType]
