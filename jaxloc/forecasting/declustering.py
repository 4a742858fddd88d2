"""Aftershocks by the windows of Gardner and Knopoff (1974): large in time and space for large events."""

import numpy as np
from jaxtyping import Bool, Float

from jaxloc.io.event_list import EventList


def window(magnitude: Float[np.ndarray, " event"]) -> tuple[Float[np.ndarray, " event"], Float[np.ndarray, " event"]]:
    """Days and km within which smaller events are aftershocks (fit of van Stiphout and others 2012)."""
    days = np.where(magnitude >= 6.5, 10 ** (0.032 * magnitude + 2.7389), 10 ** (0.5409 * magnitude - 0.547))
    return days, 10 ** (0.1238 * magnitude + 0.983)


def is_main(events: EventList) -> Bool[np.ndarray, " event"]:
    """Whether no earlier event of at least the same magnitude is within its window.

    Only earlier events count, so that no information from the future is used: foreshocks are kept.
    """
    days, reach_km = window(events.magnitude)
    main = np.ones(len(events.day), bool)
    for i in range(1, len(events.day)):
        apart_km = np.hypot(events.east_km[:i] - events.east_km[i], events.north_km[:i] - events.north_km[i])
        near = (events.day[i] - events.day[:i] <= days[:i]) & (apart_km <= reach_km[:i])
        main[i] = not (near & (events.magnitude[:i] >= events.magnitude[i])).any()
    return main
