"""One trace for each event and station of a SeisBench folder, where it has several rows."""

import warnings

import numpy as np
from jaxtyping import Int

from jaxloc.data.gaps import silent_reasons
from jaxloc.io.instruments import sensor_rank
from jaxloc.io.seisbench_metadata import Rows
from jaxloc.io.seisbench_traces import Wanted, read_raw


def choose_rows(
    rows: Rows, wanted: Wanted, labels: list[str]
) -> tuple[Int[np.ndarray, " row"], Int[np.ndarray, " group"]]:
    """The group of each row (rows of one event at one station), and the row to use of each group.

    The rule is that of `jaxloc.io.instruments`: the most components with a signal, then the largest recorded part,
    seismometers before accelerometers, then location codes in order, then the rows' order. A warning counts the rows
    that are left out and names the first choice.
    """
    pair = rows.event * (rows.station.max(initial=0) + 1) + rows.station
    _, first, group, size = np.unique(pair, return_index=True, return_inverse=True, return_counts=True)
    order = np.argsort(first)  # groups in the order of the rows
    group, chosen = np.argsort(order)[group], first[order].copy()
    several = np.flatnonzero(size[order][group] > 1)
    if not len(several):
        return group, chosen
    keys: dict[int, tuple[int, float, int, str, int]] = {}
    for to, raw, recorded in read_raw(rows, wanted, several):
        alive = silent_reasons(raw, recorded) == ""
        seconds = (recorded & alive[..., None]).any(1).sum(-1) / wanted.native_hz[several[to]]
        for i, row in enumerate(several[to]):
            channel, location = (_text(rows, row, name) for name in ("trace_channel", "station_location_code"))
            keys[int(row)] = (-int(alive[i].sum()), -round(seconds[i], 1), sensor_rank(channel), location, int(row))
    for row in sorted(several, key=lambda row: keys[int(row)], reverse=True):
        chosen[group[row]] = row
    number, example = len(group) - len(chosen), chosen[group[several[0]]]
    other = next(row for row in several if group[row] == group[example] and row != example)
    warnings.warn(
        f"{number} traces share event and station with another one, and their onsets are merged; the trace with the "
        f"most components and the longest record is used, for {labels[example]} {rows.name[example]} rather than "
        f"{rows.name[other]}",
        stacklevel=3,
    )
    return group, chosen


def _text(rows: Rows, row: int, name: str) -> str:
    return "" if name not in rows.table else str(rows.table[name].fillna("").iloc[row]).strip()


def only_rows(rows: Rows, at: Int[np.ndarray, " some"]) -> Rows:
    """Some of the rows."""
    name = [rows.name[i] for i in at]
    arrays = (rows.file[at], rows.event[at], rows.station[at], rows.delay_s[at], rows.gain[at])
    return Rows(name, *arrays, rows.table.iloc[at].reset_index(drop=True))
