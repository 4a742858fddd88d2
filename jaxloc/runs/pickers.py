"""What a picker of continuous records is, and which there are."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxloc.data.chunk import Chunk
from jaxloc.data.pick_list import PickList


class Picker(NamedTuple):
    """A method to pick arrivals in chunks of continuous records.

    Attributes:
        pick: the picks that a chunk owns; times from the start of its interval, stations by their row in the chunk.
        rate_hz: of the records that it takes.
        pad_s: how far records must go beyond the interval.
        about: settings, to tell its results from those of others.
    """

    pick: Callable[[Chunk], PickList]
    rate_hz: float
    pad_s: float
    about: dict[str, Any]


def joined(parts: Sequence[PickList]) -> PickList:
    """Lists of picks, with times of one zero and rows of one list of stations, as one in the order of the times."""
    columns = [np.concatenate(each) for each in zip(*parts, strict=True)] if parts else [np.zeros(0)] * 6
    station, phase, *numbers = columns
    order = np.lexsort((phase, station, numbers[0]))
    return PickList(station.astype(int)[order], phase.astype(int)[order], *(each[order] for each in numbers))


def picker_of(method: str) -> Picker:
    """The picker of a name.

    Raises:
        ValueError: for a name that is none; gives those there are.
    """
    if method not in METHODS:
        raise ValueError(f"--method must be one of {', '.join(METHODS)}, got {method!r}")
    return METHODS[method]()


def _network() -> Picker:
    from jaxloc.runs.network_picker import network_picker  # JAX is loaded where it is needed

    return network_picker()


def _palm() -> Picker:
    from jaxloc.runs.pal_picks import pal_picker

    return pal_picker()


METHODS: dict[str, Callable[[], Picker]] = {"network": _network, "palm": _palm}
"""Pickers by name; a new one has its row here and its name in `jaxloc.arguments.PICKERS`."""
