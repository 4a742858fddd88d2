"""Picked arrival times of events as a data set, from CSV, QuakeML or a SeisBench folder; stations from their own file.

Phases whose name begins with P or S at the source (P, Pg, Pn, S, Sg, Sn, ...) are taken as first arrivals: of several P
or S picks at a station the earliest is used. What cannot be used is left out, and the reason is kept.
"""

# pyright: reportArgumentType=false
# A batch has NumPy arrays until it reaches the device.

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from obspy import Inventory, UTCDateTime

from jaxloc.data.dataset import Dataset, Event, Station
from jaxloc.geometry import Frame
from jaxloc.io.contents import PICKS
from jaxloc.io.formats import recognise
from jaxloc.io.pick_files import Pick, PickedEvent, PickFile, read_pick_csv, read_pick_quakeml
from jaxloc.io.reference_catalogue import QUAKEML
from jaxloc.io.seisbench import DEFAULT_PICK_SIGMA_S
from jaxloc.io.seisbench_metadata import time_text
from jaxloc.io.station_checks import centre_of, check_isolated, checked, station_positions
from jaxloc.io.station_codes import by_spelling
from jaxloc.io.station_epochs import Epoch, positions_at
from jaxloc.io.stations import StationSource, read_epochs
from jaxloc.types import PHASES, Batch, Label, Observations

FEWEST_PICKS = 2  # one pick constrains nothing but the origin time
SHOWN = 5  # names in a message


class Picks(NamedTuple):
    """Picks as a data set, and what was left out.

    `lost` has the reason for each event that has too few picks, `notes` is one line a kind of pick that was left out or
    completed. `zero_s` is, by event, what to add to times counted from the event's first pick, where the file has
    times relative to a zero of its own; 0 for absolute times.
    """

    dataset: Dataset
    lost: dict[str, str]
    notes: tuple[str, ...]
    zero_s: dict[str, float]


def read_picks(
    path: str | Path, stations: Sequence[Station] | StationSource, *, sigma_s: float = DEFAULT_PICK_SIGMA_S
) -> Picks:
    """Read picks of events, of any format in `jaxloc.io.formats` that holds picks, at known stations.

    Times of each event count from its earliest pick, and `Event.start` is the time of that.

    Args:
        path: the file.
        stations: positions, or a list of stations (`jaxloc.io.stations.read_epochs`), of which each event has the
            positions at its time; the data set has those of them that have a pick.
        sigma_s: standard deviation in s of picks that have none.

    Raises:
        ValueError: where a file cannot be read or is empty, `sigma_s` is not positive, or no event has enough picks.
    """
    path = Path(path)
    if not sigma_s > 0:
        raise ValueError(f"sigma_s, the uncertainty of picks that have none, must be positive, got {sigma_s}")
    file = _pick_file(path)
    is_list = isinstance(stations, str | Path | Inventory)
    epochs = read_epochs(stations) if is_list else [Epoch(station) for station in stations]
    return as_dataset(path.stem, file, epochs, sigma_s)


def _pick_file(path: Path) -> PickFile:
    """The picks of a file: QuakeML by its suffix, a format that is recognised, else a table."""
    if path.suffix.lower() in QUAKEML:
        return read_pick_quakeml(path)
    found = recognise(path) if path.is_file() else None
    picks = found.read(path).picks if found is not None and PICKS in found.holds else None
    picks = read_pick_csv(path) if picks is None else picks
    if not picks.events and picks.loose:
        raise ValueError(
            f"{path}: its {len(picks.loose)} picks belong to no event; an associator (GaMMA, PyOcto, REAL, PAL) must "
            "find the events first, and give each pick the id of its own"
        )
    return picks


def as_dataset(name: str, file: PickFile, epochs: Sequence[Epoch], sigma_s: float) -> Picks:
    """Events with their picks as a data set; raises as `read_picks`."""
    events, codes = file.events, _Codes([epoch.station for epoch in epochs])
    usable = {event.id: _usable(event, codes) for event in events}
    lost = {id_: _too_few(kept, why) for id_, (kept, why) in usable.items() if len(kept) < FEWEST_PICKS}
    located = [event for event in events if event.id not in lost]
    notes = _notes(file, list(usable.values()), sigma_s)
    if not located:
        raise ValueError(
            f"{name}: none of {len(events)} events has {FEWEST_PICKS} usable picks: "
            f"{'; '.join([*notes, *sorted(set(lost.values()))][:SHOWN])}"
        )
    picked = [sorted({str(codes.find(pick.station)) for pick in usable[event.id][0]}) for event in located]
    times = [_first_time(event, usable[event.id][0]) for event in located]
    own, frame, station_km = _positions(epochs, picked, times)
    row = {station.code: i for i, station in enumerate(own)}
    shape = (len(located), len(own), len(PHASES))
    time_s, sd_s, mask = np.zeros(shape, np.float32), np.full(shape, sigma_s, np.float32), np.zeros(shape, bool)
    zeros = {}
    for i, event in enumerate(located):
        kept = usable[event.id][0]
        zeros[event.id] = first = min(pick.time_ns for pick in kept) // 1000 * 1000  # times are written in microseconds
        for pick in kept:
            at = (i, row[str(codes.find(pick.station))], PHASES.index(pick.phase))
            time_s[at], mask[at] = (pick.time_ns - first) * 1e-9, True
            sd_s[at] = pick.sigma_s if pick.sigma_s > 0 else sigma_s
    dataset = _dataset(name, located, zeros, own, (time_s, sd_s, mask), frame, station_km)
    zero_s = {event.id: 0.0 if event.absolute else zeros[event.id] * 1e-9 for event in located}
    return Picks(dataset, lost, notes, zero_s)


def _first_time(event: PickedEvent, picks: Sequence[Pick]) -> UTCDateTime | None:
    return UTCDateTime(ns=min(pick.time_ns for pick in picks)) if event.absolute else None


def _positions(
    epochs: Sequence[Epoch], picked: Sequence[Sequence[str]], times: Sequence[UTCDateTime | None]
) -> tuple[tuple[Station, ...], Frame, Float[np.ndarray, "event station 3"]]:
    """Stations with a pick, in the order of their list, their frame, and where each was at the time of each event.

    A station without a pick in an event stays at its position in the first event that has one.
    """
    at = positions_at(epochs)
    seen = [at(time, codes) for codes, time in zip(picked, times, strict=True)]
    first: dict[str, Station] = {}
    for found in reversed(seen):
        first |= found
    order = list(dict.fromkeys(e.station.code for e in epochs if e.station.code in first))
    own = tuple(sorted(checked(first.values(), "the station list"), key=lambda station: order.index(station.code)))
    check_isolated(own, "the station list")
    frame = centre_of(own)
    station_km = np.tile(station_positions(own, frame), (len(seen), 1, 1))
    for event, found in enumerate(seen):
        for row, station in enumerate(own):
            if (moved := found.get(station.code, first[station.code])) != first[station.code]:
                station_km[event, row] = station_positions(checked([moved], "the station list"), frame)[0]
    return own, frame, station_km


class _Codes:
    """Stations by code, without the network or without the point (NETSTA) where that is unambiguous."""

    def __init__(self, stations: Sequence[Station]) -> None:
        self.codes = {station.code for station in stations}
        self.short = by_spelling(self.codes)

    def find(self, code: str) -> str | None:
        """The code of the station list for a pick's station; None where there is none."""
        if code in self.codes:
            return code
        network, _, station = code.rpartition(".")
        for spelled in (station, code.replace(".", "")):
            found = self.short.get(spelled)
            if found and (not network or "." not in found):
                return found
        return None


def _usable(event: PickedEvent, codes: _Codes) -> tuple[list[Pick], list[str]]:
    """The picks of an event that can be used, and the reason for each of the others."""
    kept: dict[tuple[str, str], Pick] = {}
    why = list(event.left_out)
    for pick in sorted(event.picks, key=lambda pick: pick.time_ns):
        code = codes.find(pick.station)
        if code is None:
            why.append(f"station {pick.station} is not in the station list")
        elif (code, pick.phase) in kept:
            why.append(f"a later {pick.phase} pick at {code}")
        else:
            kept[code, pick.phase] = pick
    for code in {code for code, _ in kept}:
        pair = [kept.get((code, phase)) for phase in PHASES]
        if pair[0] and pair[1] and pair[1].time_ns <= pair[0].time_ns:
            why.append(f"S not after P at {code}")
            del kept[code, "P"], kept[code, "S"]
    return list(kept.values()), why


def _too_few(kept: list[Pick], why: list[str]) -> str:
    number = {0: "no usable pick", 1: "one usable pick"}.get(len(kept), f"{len(kept)} usable picks")
    reasons = f" ({'; '.join(sorted(set(why))[:SHOWN])})" if why else ""
    return f"{number}{reasons}; at least {FEWEST_PICKS} are needed"


def _notes(file: PickFile, usable: list[tuple[list[Pick], list[str]]], sigma_s: float) -> tuple[str, ...]:
    """A line for each reason why picks were left out, and one for picks without an uncertainty."""
    reasons = Counter(reason for _, why in usable for reason in why)
    reasons.update({"they belong to no event": file.unassociated} if file.unassociated else {})
    notes = [f"{count} pick{'s' * (count > 1)} left out: {reason}" for reason, count in reasons.most_common(SHOWN)]
    if len(reasons) > SHOWN:
        rest = sum(reasons.values()) - sum(count for _, count in reasons.most_common(SHOWN))
        notes.append(f"{rest} picks left out for {len(reasons) - SHOWN} other reasons")
    picks = [pick for kept, _ in usable for pick in kept]
    bare = sum(not pick.sigma_s > 0 for pick in picks)
    if bare:
        notes.append(f"{bare} of {len(picks)} picks have no uncertainty: a standard deviation of {sigma_s:g} s is used")
    return tuple(notes)


def _dataset(
    name: str,
    events: Sequence[PickedEvent],
    first_ns: dict[str, int],
    stations: tuple[Station, ...],
    picks: tuple[Float[np.ndarray, "event station 2"], Float[np.ndarray, "event station 2"], Bool[np.ndarray, "e s 2"]],
    frame: Frame,
    station_km: Float[np.ndarray, "event station 3"],
) -> Dataset:
    time_s, sd_s, mask = picks
    there = np.asarray(mask.any(-1))

    def take(index: Int[np.ndarray, " event"]) -> Batch:
        index = np.atleast_1d(np.asarray(index, int))
        number = len(index)
        full = lambda value: np.broadcast_to(value, (number, *np.shape(value)))
        seen = Observations(
            None,
            station_km[index],
            there[index],
            full(np.arange(len(stations), dtype=np.int32)),
            full(np.float32(1.0)),
            time_s[index],
            sd_s[index],
            mask[index],
        )
        unknown = lambda *shape: Label(np.zeros((number, *shape), np.float32), np.zeros((number, *shape), bool))
        arrivals = Label(time_s[index], mask[index])
        return Batch(seen, {"hypocentre": unknown(4), "arrivals": arrivals, "magnitude": unknown()})

    described = tuple(
        Event(e.id, "", time_text(first_ns[e.id]) if e.absolute else None, None, e.magnitude) for e in events
    )
    return Dataset(name, frame, stations, described, 1.0, int(np.ceil(time_s.max())) + 1, take)
