"""Data sets: events at a set of stations, taken by index.

Readers of folders and waveform files and the simulator all give a `Dataset`, so training, scoring and locating do not
depend on the source of events.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxloc.geometry import Frame, to_km
from jaxloc.types import Batch


class Station(NamedTuple):
    """A station: code as NET.STA, position in degrees, elevation of its sensor in metres above sea level.

    The sensor of a borehole station is below the ground: its elevation is that of the ground minus its depth.
    `position_sd_km` is the standard deviation of the position, east and north.
    """

    code: str
    latitude_deg: float
    longitude_deg: float
    elevation_m: float
    position_sd_km: float = 0.0


def positions_km(frame: Frame, stations: tuple[Station, ...]) -> Float[np.ndarray, "station 3"]:
    """East, north and depth of stations in km."""
    east_km, north_km = to_km(
        frame, np.array([s.latitude_deg for s in stations]), np.array([s.longitude_deg for s in stations])
    )
    return np.stack([east_km, north_km, [-s.elevation_m / 1000 for s in stations]], -1).astype(np.float32)


class Event(NamedTuple):
    """What is known of an event apart from its waveforms; `start` is the time of sample zero (ISO 8601)."""

    id: str
    split: str
    start: str | None = None
    origin: str | None = None
    magnitude: float | None = None


class Dataset(NamedTuple):
    """Events at a set of stations, taken by index.

    `take(index)` returns a batch of NumPy arrays with a leading event axis, the station axis in the
    order of `stations`; it reads from disk or from memory. Labels of every batch contain "hypocentre" and
    "arrivals", masked where unknown.
    """

    name: str
    frame: Frame
    stations: tuple[Station, ...]
    events: tuple[Event, ...]
    rate_hz: float
    num_samples: int
    take: Callable[[Int[np.ndarray, " event"]], Batch]

    def __len__(self) -> int:
        return len(self.events)


def retaken(
    dataset: Dataset, take: Callable[[Int[np.ndarray, " event"]], Batch], events: tuple[Event, ...] | None = None
) -> Dataset:
    """The data set with another `take`, or with other events too.

    Instead of `_replace`, which fails because the length of a data set is the number of its events.
    """
    events = dataset.events if events is None else events
    name, frame, stations = dataset.name, dataset.frame, dataset.stations
    return Dataset(name, frame, stations, events, dataset.rate_hz, dataset.num_samples, take)
