"""Stations padded to one of a few sizes, so that events of 10 and of 12 stations use one compiled program."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Key, PyTree, Shaped

from jaxloc.types import AT_STATIONS, Locator, Observations, Posterior

Locate = Callable[[Key[Array, ""], Observations], Any]
"""A locator, or one that gives more beside each posterior."""


def padded_size(stations: int) -> int:
    """The least of 4, 8, 12, 16, 24, 32, 48, 64, 96, ... that is not below a number of stations.

    Two sizes an octave: at most half as much work again (a fifth on average), against some ten seconds of compilation
    for each size.
    """
    size = 4
    while size < stations:
        size = size + 4 if size < 16 else size * 3 // 2 if size & (size - 1) == 0 else size * 4 // 3
    return size


def padded(observations: Observations, size: int) -> Observations:
    """A batch of events with silent stations added behind the others: mask False, index -1, zeros everywhere else.

    Raises:
        ValueError: where there are more stations than `size`.
    """
    more = size - observations.station_mask.shape[1]
    if more < 0:
        raise ValueError(f"size must be at least the number of stations {size - more}, got {size}")

    def longer(x: Shaped[Array | np.ndarray, "event ..."] | None, value: float = 0) -> Any:
        if x is None:
            return None
        widths = [(0, more if axis == 1 else 0) for axis in range(x.ndim)]
        return np.pad(np.asarray(x), widths, constant_values=value)

    fields = {name: longer(value) for name, value in observations._asdict().items() if name != "rate_hz"}
    index = longer(observations.station_index, -1)
    return observations._replace(**fields | {"station_index": index})


def without_padding(posterior: Posterior, stations: int) -> Posterior:
    """The posterior with its labels at stations (polarity, ...) for the first `stations` alone."""
    names = [name for name in posterior.others if name in AT_STATIONS]
    cut = {name: first_stations(posterior.others[name], stations) for name in names}
    return posterior._replace(others=posterior.others | cut)


def first_stations(
    tree: PyTree[Shaped[Array, "event station ..."]], stations: int
) -> PyTree[Shaped[Array, "event station ..."]]:
    """Arrays [event, station, ...] with their first stations alone."""
    return jax.tree.map(lambda x: x[:, :stations], tree)


def over_padded(locator: Locator) -> Locator:
    """A locator of any stations that pads them (`padded_size`); its posteriors are those of the stations given."""

    def locate(key: Key[Array, ""], observations: Observations) -> Posterior:
        stations = observations.station_mask.shape[1]
        return without_padding(locator(key, padded(observations, padded_size(stations))), stations)

    return locate
