"""Panakkat and Adeli (2009), first formulation: the largest magnitude of the next period in each cell of a region.

Indicators of a cell at the end of a period are those of its last `events` events. Months up to `train_until` are the
training set, forecasts from `test_from` on the test set.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxloc import prng
from jaxloc.forecasting import largest, windows
from jaxloc.forecasting.indicators import NAMES, Indicators, Settings, indicators
from jaxloc.forecasting.largest import Climate
from jaxloc.forecasting.maps import Steps, ends, recent_rates
from jaxloc.forecasting.panakkat2009 import Model
from jaxloc.forecasting.periods import periods_of
from jaxloc.io.event_list import EventList, chosen
from jaxloc.training.fitting import Fitted, Problem, Row, fit, outputs
from jaxloc.training.log import OnStep, Say

Config = Mapping[str, Any]
MIN_EVENTS = 5  # smallest number of events in a cell for indicators
SIZE, PUBLISHED_SIZE = 3, 1  # raw outputs


class Material(NamedTuple):
    """Features and largest magnitudes of all periods and cells; training and test periods by forecast number.

    Forecast t is issued at the end of period t, for period t + 1.
    """

    steps: Steps
    corner_deg: Float[np.ndarray, "cell 2"]
    features: Float[np.ndarray, "period cell feature"]
    number: Float[np.ndarray, "period cell"]
    largest: Float[np.ndarray, "period cell"]
    train: Int[np.ndarray, " train"]
    test: Int[np.ndarray, " test"]
    climate: Climate
    spread: tuple[float, float]  # mean and standard deviation of the training periods' largest magnitudes


class Target(NamedTuple):
    """The largest magnitude of the next period, and the climatological rate of the cell."""

    largest: Float[Array, "*row"]
    rate: Float[Array, "*row"]


def material(config: Config, events: EventList) -> Material:
    """Periods, cells, indicators and climate of a catalogue.

    Raises:
        ValueError: where the periods overlap or hold no forecast.
    """
    data, least = config["data"], float(config["data"]["least_magnitude"])
    periods, events = periods_of(data, events)
    events = chosen(events, events.magnitude >= least)
    period = float(data["cells"]["period_days"])
    steps = Steps(periods.start, period, int((periods.until - periods.start) / period))
    at = ends(steps)
    train = np.flatnonzero(at + period <= periods.train_until)
    test = np.flatnonzero((at >= periods.test_from) & (at + period <= periods.until))
    if not (len(train) and len(test)):
        raise ValueError(f"{len(train)} training and {len(test)} test periods of {period} days; use longer periods")
    corners, cell = _cells(data["box_deg"], float(data["cells"]["cell_deg"]), events)
    number, biggest = _occurred(events, cell, len(corners), steps)
    found = _indicators(events, cell, len(corners), at, data)
    standard = windows.standard_of(Indicators(*(x[train] for x in found)))
    feedback = np.stack([np.log1p(number), np.maximum(biggest - least, 0) / 3, biggest > 0], -1)
    features = windows.inputs(found, feedback, standard, bool(config["model"]["published"]))
    known = biggest[train + 1]
    climate = _climate(number[: train[-1] + 2], known, events, least, float(at[train[-1]]) + period)
    spread = (float(known.mean()), float(max(known.std(), 1e-3)))
    return Material(steps, corners, features, number, biggest, train, test, climate, spread)


def problem(config: Config, made: Material) -> Problem:
    """Each cell at the end of each training period; `memory` periods are read."""
    network, memory = config["model"], int(config["data"]["cells"]["memory"])
    published = bool(network["published"])
    model = Model(PUBLISHED_SIZE if published else SIZE, int(network["hidden"]), published)
    rows, cells = _rows(made, made.train, memory), made.features.shape[1]

    def log_likelihood(raw: Float[Array, " raw"], target: Target) -> Float[Array, ""]:
        if published:
            mean, sd = made.spread
            return jax.scipy.stats.norm.logpdf(target.largest, mean + sd * raw[0], sd)
        return largest.log_likelihood(_changed(made, raw, target.rate), target.largest)

    take = lambda index: jax.tree.map(lambda x: x[index], rows)
    return Problem(model, log_likelihood, take, len(made.train) * cells, len(made.train) * cells)


def forecast(
    config: Config, made: Material, fitted: Fitted, which: Int[np.ndarray, " period"]
) -> tuple[Float[np.ndarray, "draw period cell magnitude"], Float[np.ndarray, "draw row"]]:
    """Probabilities of an event of at least each magnitude, and log-likelihoods of the outcomes (nats)."""
    data = config["data"]
    rows = _rows(made, which, int(data["cells"]["memory"]))
    raw = jnp.asarray(outputs(fitted, prng.stream("forecasts", int(config["seed"])), rows.inputs))
    magnitudes = jnp.asarray(data["cells"]["magnitudes"], jnp.float32)
    shape = (len(raw), len(which), made.features.shape[1], len(magnitudes))
    if fitted.module.published:  # pyright: ignore[reportAttributeAccessIssue]
        mean, sd = made.spread
        tail = jax.scipy.stats.norm.sf((magnitudes - mean - sd * raw) / sd)
        return np.asarray(tail).reshape(shape), np.full(raw.shape[:2], np.nan)  # a density with no mass at none
    exceed = jax.vmap(largest.exceedance, (None, 0))

    def of_row(raw: Float[Array, " 3"], target: Target) -> tuple[Float[Array, " magnitude"], Float[Array, ""]]:
        climate = _changed(made, raw, target.rate)
        return exceed(climate, magnitudes), largest.log_likelihood(climate, target.largest)

    found, log_density = jax.jit(jax.vmap(jax.vmap(of_row), (0, None)))(raw, rows.target)
    return np.asarray(found).reshape(shape), np.asarray(log_density)


def rate_map(made: Material, magnitudes: list[float]) -> Float[np.ndarray, "cell magnitude"]:
    """Probabilities of the climate, the same in every period."""
    of_cell = lambda rate: jax.vmap(partial(largest.exceedance, made.climate._replace(rate=rate)))
    return np.stack([np.asarray(of_cell(rate)(jnp.asarray(magnitudes))) for rate in made.climate.rate])


def rate_map_log_density(made: Material, which: Int[np.ndarray, " period"]) -> Float[np.ndarray, " row"]:
    """Log-likelihoods of the outcomes after the given periods under the climatology (nats)."""
    target = _rows(made, which, 1).target
    of_row = lambda t: largest.log_likelihood(made.climate._replace(rate=t.rate), t.largest)
    return np.asarray(jax.vmap(of_row)(target))


def recent(config: Config, made: Material) -> Float[np.ndarray, "period cell 1 memory"]:
    """Recent rates of each cell at the end of each period, as `jaxloc.forecasting.rate_map` takes them."""
    memory = list(map(float, config["data"]["cells"]["memory_days"]))
    return recent_rates(made.number[..., None], made.steps, memory, 0.0)


def run(config: Config, folder: Path, events: EventList, say: Say, on_step: OnStep | None) -> tuple[Material, Fitted]:
    """Indicators and training."""
    made = material(config, events)
    say(
        f"cells: {made.features.shape[1]} cells, {len(made.train)} training and {len(made.test)} test periods; b-value "
        f"{float(made.climate.b_value):.2f}, clustering k {float(made.climate.clustering):.2f}"
    )
    return made, fit({**config, "stages": config["stages"]["cells"]}, folder, problem(config, made), say, on_step)


def _changed(made: Material, raw: Float[Array, " 3"], rate: Float[Array, ""]) -> Climate:
    return largest.changed(raw, made.climate._replace(rate=rate))


def _cells(box_deg: list[float], cell_deg: float, events: EventList) -> tuple[np.ndarray, np.ndarray]:
    """South-western corners, [cell, 2] in degrees (latitude, longitude), and the cell of each event, -1 for none."""
    west, east, south, north = map(float, box_deg)
    rows, columns = (round(d / cell_deg) for d in (north - south, east - west))
    row = np.floor((events.latitude_deg - south) / cell_deg).astype(int)
    column = np.floor((events.longitude_deg - west) / cell_deg).astype(int)
    inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
    corners = np.stack(
        np.meshgrid(south + cell_deg * np.arange(rows), west + cell_deg * np.arange(columns), indexing="ij"), -1
    )
    return corners.reshape(-1, 2), np.where(inside, row * columns + column, -1)


def _occurred(
    events: EventList, cell: Int[np.ndarray, " event"], cells: int, steps: Steps
) -> tuple[Float[np.ndarray, "period cell"], Float[np.ndarray, "period cell"]]:
    """Number of events and largest magnitude of each period and cell."""
    step = np.floor((events.day - steps.start_day) / steps.step_days).astype(int)
    kept = (cell >= 0) & (step >= 0) & (step < steps.number)
    number, biggest = np.zeros((2, steps.number, cells), np.float32)
    np.add.at(number, (step[kept], cell[kept]), 1)
    np.maximum.at(biggest, (step[kept], cell[kept]), events.magnitude[kept])
    return number, biggest


def _indicators(
    events: EventList, cell: Int[np.ndarray, " event"], cells: int, at: Float[np.ndarray, " period"], data: Config
) -> Indicators:
    """Of the last events of each cell before the end of each period, [period, cell, 8]."""
    settings = Settings(tuple(data["characteristic"]), str(data["b_value"]))
    most, unknown = int(data["cells"]["events"]), Indicators(np.zeros(len(NAMES)), np.zeros(len(NAMES), bool))
    columns = []
    for number in range(cells):
        own = chosen(events, cell == number)
        last, found = np.searchsorted(own.day, at), {}
        for end in set(last):  # months without an event change nothing
            part = slice(max(0, end - most), end)
            found[end] = indicators(own.day[part], own.magnitude[part], settings) if end >= MIN_EVENTS else unknown
        columns.append(windows.stacked([found[end] for end in last]))
    return Indicators(*(np.stack([getattr(x, name) for x in columns], 1) for name in ("value", "known")))


def _climate(
    number: Float[np.ndarray, "period cell"],
    known: Float[np.ndarray, "period cell"],
    events: EventList,
    least: float,
    until: float,
) -> Climate:
    """Rates of cells, shrunk towards their mean, and b-value and clustering of the training periods."""
    mean = number.mean()
    rate = (number.sum(0) + mean) / (len(number) + 1)
    sizes = events.magnitude[events.day < until]
    b_value = float(np.log10(np.e) / (sizes.mean() - least + 0.05))
    return largest.fitted_climate(np.maximum(rate, largest.MIN_RATE), known, b_value, least)


def _rows(made: Material, which: Int[np.ndarray, " period"], memory: int) -> Row:
    """A row for each period and cell, cells together."""
    read = np.moveaxis(windows.stretches(made.features, memory)[which], 1, 2)
    after = np.minimum(which + 1, len(made.largest) - 1)
    rate = np.broadcast_to(made.climate.rate, (len(which), made.features.shape[1]))
    flat = lambda x: x.reshape(-1, *x.shape[2:])
    return Row(flat(read), Target(flat(made.largest[after]), flat(rate)))
