"""One trace for each event and station of a SeisBench folder, where it has several rows."""

import warnings
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from jaxloc.data.gaps import silent_reasons
from jaxloc.io.channel_records import SAME_PHASE
from jaxloc.io.instruments import sensor_rank
from jaxloc.io.seisbench_metadata import Rows
from jaxloc.io.seisbench_traces import Wanted, read_raw


class Choice(NamedTuple):
    """The group of each row (rows of one event at one station), the row to use of each, and rows that are joined."""

    group: Int[np.ndarray, " row"]
    chosen: Int[np.ndarray, " group"]
    joined: dict[int, list[int]]


class _Quality(NamedTuple):
    """What ranks a row, best first: components with a signal, recorded part in s, sensor, location code, order."""

    components: int
    recorded_s: float
    sensor: int
    location: str
    row: int


def choose_rows(rows: Rows, wanted: Wanted, labels: list[str]) -> Choice:
    """Choose a row for each event and station; rows that continue it in time or by components are joined to it.

    The rule is that of `jaxloc.io.instruments`: the most components with a signal, then the largest recorded part,
    seismometers before accelerometers, then location codes in order, then the rows' order. A warning counts the rows
    that share event and station with another one and names the first choice.
    """
    pair = rows.event * (rows.station.max(initial=0) + 1) + rows.station
    _, first, group, size = np.unique(pair, return_index=True, return_inverse=True, return_counts=True)
    order = np.argsort(first)  # groups in the order of the rows
    group, chosen = np.argsort(order)[group], first[order].copy()
    several = np.flatnonzero(size[order][group] > 1)
    if not len(several):
        return Choice(group, chosen, {})
    qualities = _qualities(rows, wanted, several)
    for row in sorted(qualities, key=lambda row: qualities[row], reverse=True):
        chosen[group[row]] = row
    example = int(chosen[group[several[0]]])
    joined: dict[int, list[int]] = {}
    for row in qualities:
        best = int(chosen[group[row]])
        if row != best and _continues(rows, wanted, qualities, best, row):
            joined.setdefault(int(group[row]), [best]).append(row)
    for at, members in joined.items():
        members.sort(key=lambda row: (rows.delay_s[row], qualities[row]))
        chosen[at] = members[0]
    other = next(row for row in several.tolist() if group[row] == group[example] and row != example)
    warnings.warn(
        f"{len(group) - len(chosen)} traces share event and station with another one, and their onsets are merged; the "
        f"trace with the most components and the longest record is used, for {labels[example]} {rows.name[example]} "
        f"rather than {rows.name[other]}" + (f"; {len(joined)} records are joined of several traces" if joined else ""),
        stacklevel=3,
    )
    return Choice(group, chosen, joined)


def _qualities(rows: Rows, wanted: Wanted, several: Int[np.ndarray, " some"]) -> dict[int, _Quality]:
    found = {}
    for to, raw, recorded in read_raw(rows, wanted, several):
        alive = silent_reasons(raw, recorded) == ""
        seconds = (recorded & alive[..., None]).any(1).sum(-1) / wanted.native_hz[several[to]]
        for i, row in enumerate(several[to].tolist()):
            channel, location = (_text(rows, row, name) for name in ("trace_channel", "station_location_code"))
            components = -int(alive[i].sum())
            found[row] = _Quality(components, -round(seconds[i], 1), sensor_rank(channel), location, row)
    return found


def _continues(rows: Rows, wanted: Wanted, qualities: dict[int, _Quality], best: int, row: int) -> bool:
    """Whether a row is another part, in time or components, of the record of the best row: same sensor and samples."""
    a, b = qualities[best], qualities[row]
    if b.components == 0 or a.sensor != b.sensor or wanted.native_hz[best] != wanted.native_hz[row]:
        return False
    offset = (rows.delay_s[row] - rows.delay_s[best]) * wanted.native_hz[best]
    if abs(offset - round(offset)) > SAME_PHASE:
        return False
    if a.components > -3:
        return True
    same = a.location == b.location and _text(rows, best, "trace_channel") == _text(rows, row, "trace_channel")
    return same and round(offset) != 0


def _text(rows: Rows, row: int, name: str) -> str:
    return "" if name not in rows.table else str(rows.table[name].fillna("").iloc[row]).strip()


def only_rows(rows: Rows, at: Int[np.ndarray, " some"]) -> Rows:
    """Some of the rows."""
    name = [rows.name[i] for i in at]
    arrays = (rows.file[at], rows.event[at], rows.station[at], rows.delay_s[at], rows.gain[at])
    return Rows(name, *arrays, rows.table.iloc[at].reset_index(drop=True))
