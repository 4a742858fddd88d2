"""Training and test periods of a catalogue."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from jaxloc.io.event_list import EventList, chosen, day_of


class Periods(NamedTuple):
    """Days since 1970: training from `start` to `train_until`, forecasts from `test_from` on, of days up to `until`."""

    start: float
    train_until: float
    test_from: float
    until: float


def periods_of(data: Mapping[str, Any], events: EventList) -> tuple[Periods, EventList]:
    """The periods of a configuration (`test_until: null` is the catalogue's end), and the events before the end.

    Raises:
        ValueError: where they do not follow one another, or the catalogue ends before the test.
    """
    start, train_until, test_from = (day_of(data[name]) for name in ("start", "train_until", "test_from"))
    end = float(np.floor(events.day[-1]))
    until = day_of(data["test_until"]) if data["test_until"] else end
    if not start < train_until <= test_from < until:
        names = ", ".join(f"{name}={data[name]}" for name in ("start", "train_until", "test_from", "test_until"))
        raise ValueError(f"periods must follow one another within the catalogue; got {names}")
    return Periods(start, train_until, test_from, until), chosen(events, events.day < until)
