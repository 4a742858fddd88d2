"""What each station contributes to an event, and why not."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from jaxloc.data.dataset import Dataset
from jaxloc.types import COMPONENTS

SMALLEST_GAP = 0.01
"""Part of a record; smaller gaps are not worth a line."""
NAMED = 12


class Contribution(NamedTuple):
    """What one station contributes to one event.

    `components` are those of Z, N, E with a signal, `recorded` the part of the samples that were recorded, `channels`
    the instrument that was used, where it is known, and `reason` why the station or a part of it is missing ("" where
    nothing is).
    """

    station: str
    components: str
    recorded: float
    channels: str = ""
    reason: str = ""


def contributions(dataset: Dataset, event: int) -> tuple[Contribution, ...]:
    """What each station of a data set contributes to the event with this index, and why not.

    Reasons come from the reader where the data set is as it was read; otherwise from the waveforms and masks.
    """
    report = getattr(dataset.take, "contributions", None)
    if report is not None:
        return report(event)
    seen = dataset.take(np.array([event])).observations
    waveforms = None if seen.waveforms is None else np.asarray(seen.waveforms)[0]
    alive = np.zeros((len(dataset.stations), 3), bool) if waveforms is None else (waveforms != 0).any(-1)
    mask = np.asarray(seen.station_mask)[0]
    recorded = mask.astype(float) if seen.sample_mask is None else np.asarray(seen.sample_mask)[0].mean(-1)
    return tuple(
        contribution(station.code, alive[i] & mask[i], float(recorded[i])) for i, station in enumerate(dataset.stations)
    )


def contribution(
    station: str, alive: Bool[np.ndarray, " component"], recorded: float, channels: str = "", reason: str = ""
) -> Contribution:
    """One station's, with a reason where something is missing and none is given."""
    letters = "".join(letter for letter, there in zip(COMPONENTS, alive, strict=True) if there)
    if not reason and not letters:
        reason = "no record"
    elif letters and _has_gap(recorded):
        reason = ", ".join(filter(None, [reason, f"{1 - recorded:.0%} not recorded"]))
    return Contribution(station, letters, recorded if letters else 0.0, channels, reason)


def lost(found: Iterable[Contribution]) -> str:
    """One line on the stations of which something is missing, and why; empty where nothing is."""
    found = [one for one in found if one.reason]
    gaps = [f"{one.station} {1 - one.recorded:.0%}" for one in found if one.components and _has_gap(one.recorded)]
    part = _by_reason(one for one in found if one.components and not _has_gap(one.recorded))
    gone = _by_reason(one for one in found if not one.components)
    kinds = (("gaps filled with zeros at", gaps), ("incomplete", part), ("nothing from", gone))
    return "; ".join(f"{what} {some(names)}" for what, names in kinds if names)


def _by_reason(found: Iterable[Contribution]) -> list[str]:
    """Stations with the same reason side by side."""
    stations: dict[str, list[str]] = defaultdict(list)
    for one in found:
        stations[one.reason].append(one.station)
    return [f"{some(codes)} ({reason})" for reason, codes in stations.items()]


def _has_gap(recorded: float) -> bool:
    return 1 - recorded > SMALLEST_GAP


def some(names: Sequence[str]) -> str:
    """The first names of a long list, and how many others there are."""
    return ", ".join(names[:NAMED]) + (f", and {len(names) - NAMED} others" if len(names) > NAMED else "")


def table(found: tuple[Contribution, ...]) -> list[str]:
    """One line for each station: code, channels, components, part recorded, reason."""
    width = max((len(one.station) for one in found), default=0)
    return [
        f"{one.station:{width}}  {one.channels or '-':8}  {one.components or '-':3}  {one.recorded:4.0%}  {one.reason}"
        for one in found
    ]
