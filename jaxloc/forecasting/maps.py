"""A catalogue as a sequence of maps, and the outcomes: inputs and targets of Kail and others (2021).

A step's map contains the events within the step; the forecast is issued at its end, for the days `lead_days` to
`horizon_days` after it. Nothing at or after the end of a step enters its map.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from jaxloc.forecasting.grid import Grid, cells_of, smoothed
from jaxloc.io.event_list import EventList

MIN_MAGNITUDE = 3.0  # magnitudes enter as (M - 3) / 3
MAGNITUDE_SCALE = 3.0


class Steps(NamedTuple):
    """Steps of equal length, the first of which begins at `start_day` (days since 1970)."""

    start_day: float
    step_days: float
    number: int


class Window(NamedTuple):
    """The forecast window in days after the issue time: from `lead_days` up to, not including, `horizon_days`."""

    lead_days: float = 10.0
    horizon_days: float = 50.0


def ends(steps: Steps) -> Float[np.ndarray, " step"]:
    """The end of each step, the issue time of its forecast; days since 1970."""
    return steps.start_day + steps.step_days * np.arange(1, steps.number + 1)


def last_magnitudes(events: EventList, grid: Grid, steps: Steps) -> Float[np.ndarray, "step row column 1"]:
    """As published: the magnitude of the last event of the step in the cell, 0 for none."""
    maps = np.zeros((steps.number, grid.rows, grid.columns, 1), np.float32)
    which, kept = _places(events, grid, steps)
    for place, magnitude in zip(zip(*which, strict=True), events.magnitude[kept], strict=True):
        maps[place] = magnitude
    return maps


def largest_and_number(events: EventList, grid: Grid, steps: Steps) -> Float[np.ndarray, "step row column 2"]:
    """The largest magnitude of the step in the cell, as (M - 3) / 3 (0 for none), and log(1 + number of events)."""
    shape = (steps.number, grid.rows, grid.columns)
    which, kept = _places(events, grid, steps)
    largest = np.zeros(shape, np.float32)
    np.maximum.at(largest, which, (events.magnitude[kept] - MIN_MAGNITUDE) / MAGNITUDE_SCALE)
    return np.stack([largest, np.log1p(counts(events, grid, steps))], -1)


def counts(events: EventList, grid: Grid, steps: Steps) -> Float[np.ndarray, "step row column"]:
    """The number of events of the step in the cell."""
    maps = np.zeros((steps.number, grid.rows, grid.columns), np.float32)
    np.add.at(maps, _places(events, grid, steps)[0], 1)
    return maps


def recent_rates(
    number: Float[np.ndarray, "step row column"], steps: Steps, memory_days: Sequence[float], sigma_cells: float
) -> Float[np.ndarray, "step row column memory"]:
    """log(1 + events a year), of exponential averages over each of `memory_days`, smoothed in space.

    An average is normalised by its total weight so far, so that it is a rate from the first step on.
    """
    found = []
    for days in memory_days:
        keep = np.exp(-steps.step_days / days)
        total, weight, maps = np.zeros(number.shape[1:]), 0.0, []
        for each in number:
            total, weight = keep * total + each, keep * weight + 1
            maps.append(total / weight)
        found.append(np.log1p(smoothed(np.stack(maps), sigma_cells) * 365.25 / steps.step_days))
    return np.stack(found, -1).astype(np.float32) if found else np.zeros((*number.shape, 0), np.float32)


def exceedances(
    events: EventList, grid: Grid, steps: Steps, window: Window, magnitudes: Sequence[float]
) -> Bool[np.ndarray, "step row column magnitude"]:
    """Whether any event above each magnitude falls into the cell within the forecast's window.

    For steps whose window extends beyond the catalogue the outcomes are incomplete; leave those out.
    """
    outcomes = np.zeros((steps.number, grid.rows, grid.columns, len(magnitudes)), bool)
    row, column, inside = cells_of(grid, events.east_km, events.north_km)
    first = np.searchsorted(events.day, ends(steps) + window.lead_days)
    last = np.searchsorted(events.day, ends(steps) + window.horizon_days)
    for step, (a, b) in enumerate(zip(first, last, strict=True)):
        for k, least in enumerate(magnitudes):
            found = inside[a:b] & (events.magnitude[a:b] > least)
            outcomes[step, row[a:b][found], column[a:b][found], k] = True
    return outcomes


def _places(
    events: EventList, grid: Grid, steps: Steps
) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
    """Step, row and column of the events on the grid, and their mask."""
    step = np.floor((events.day - steps.start_day) / steps.step_days).astype(int)
    row, column, inside = cells_of(grid, events.east_km, events.north_km)
    kept = inside & (step >= 0) & (step < steps.number)
    return (step[kept], row[kept], column[kept]), kept
