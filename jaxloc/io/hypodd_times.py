"""Differential times of hypoDD: dt.ct (pairs of catalogue travel times) and dt.cc (cross-correlation)."""

# pyright: reportCallIssue=false, reportArgumentType=false
# Columns are unpacked in the order of the type.

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxloc.io.hypodd import SIGMA_S, lines_of, wrong
from jaxloc.physics.differential_times import DifferentialTimes
from jaxloc.physics.double_differences import KINDS, Links
from jaxloc.types import PHASES

UNKNOWN_CORRECTION_S = -999.0


class PairTimes(NamedTuple):
    """Lines of dt.ct or dt.cc: ids of two events, station, phase, weight, and times in s.

    In dt.ct `first_s` and `second_s` are travel times; in dt.cc `first_s` is their difference on the clock of
    cross-correlation and `second_s` the correction of origin times of the pair, to be subtracted (-999: unknown).
    """

    kind: str
    first: Int[np.ndarray, " link"]
    second: Int[np.ndarray, " link"]
    station: tuple[str, ...]
    first_s: Float[np.ndarray, " link"]
    second_s: Float[np.ndarray, " link"]
    weight: Float[np.ndarray, " link"]
    phase: Int[np.ndarray, " link"]


def read_catalogue_times(path: str | Path) -> PairTimes:
    """dt.ct: "# id id", then lines of station, both travel times, weight, phase; raises as `read_cross_times`."""
    return _read(path, "catalogue", 5)


def read_cross_times(path: str | Path) -> PairTimes:
    """dt.cc: "# id id correction", then lines of station, difference, weight, phase.

    Raises:
        ValueError: where a line is neither, or a phase is not P or S; names it.
    """
    return _read(path, "cross_correlation", 4)


def _read(path: str | Path, kind: str, width: int) -> PairTimes:
    rows, stations = [], []
    first = second = None
    correction_s = 0.0
    cross = kind == KINDS[1]
    for number, words in lines_of(path):
        try:
            if words[0].startswith("#"):
                head = [word for word in [words[0][1:], *words[1:]] if word]
                first, second = int(head[0]), int(head[1])
                correction_s = float(head[2]) if cross else 0.0
                continue
            values = [float(word) for word in words[1 : width - 1]]
            times = (values[0], correction_s) if cross else (values[0], values[1])
            rows.append((first, second, *times, values[-1], PHASES.index(words[width - 1])))
            stations.append(words[0])
        except (ValueError, IndexError) as error:
            raise wrong(path, number, words, f"line of {'dt.cc' if cross else 'dt.ct'}") from error
    if rows and rows[0][0] is None:
        raise ValueError(f"{path} begins with a time; the line of its pair, with #, must come first")
    one, other, first_s, second_s, weight, phase = zip(*rows, strict=True) if rows else ((),) * 6
    ids = np.array(one, np.int64), np.array(other, np.int64)
    times = np.array(first_s, float), np.array(second_s, float), np.array(weight, float)
    return PairTimes(kind, *ids, tuple(stations), *times, np.array(phase, int))


def write_pair_times(path: str | Path, times: PairTimes) -> None:
    """dt.ct or dt.cc, as the kind is; links of one pair must follow one another to have one line of the pair."""
    lines, before = [], None
    cross = times.kind == KINDS[1]
    for row in range(len(times.first)):
        pair = (times.first[row], times.second[row], times.second_s[row] if cross else 0.0)
        if pair != before:
            lines.append(f"# {pair[0]:9d} {pair[1]:9d}" + (f" {pair[2]:12.6f}" if cross else ""))
            before = pair
        tail = f"{times.weight[row]:7.4f} {PHASES[times.phase[row]]}"
        own = f"{times.first_s[row]:12.9f}" if cross else f"{times.first_s[row]:8.3f} {times.second_s[row]:8.3f}"
        lines.append(f"{times.station[row]:7s} {own} {tail}")
    Path(path).write_text("\n".join(lines) + "\n")


def links_of(
    times: PairTimes, ids: Sequence[int] | Int[np.ndarray, " event"], stations: Sequence[str], sigma_s: float = SIGMA_S
) -> Links:
    """Links of known events and stations; without pairs whose correction of origin times is unknown.

    The weights are the file's; standard deviations are `sigma_s` over the weight.
    """
    event = {int(id_): row for row, id_ in enumerate(ids)}
    station = {code: row for row, code in enumerate(stations)}
    first = np.array([event.get(int(id_), -1) for id_ in times.first], int)
    second = np.array([event.get(int(id_), -1) for id_ in times.second], int)
    at = np.array([station.get(code, -1) for code in times.station], int)
    known = (first >= 0) & (second >= 0) & (at >= 0)
    if times.kind == KINDS[1]:
        known &= np.abs(times.second_s - UNKNOWN_CORRECTION_S) > 1e-3
    sd_s = sigma_s / np.maximum(times.weight, 1e-3)
    columns = (first, second, at, times.phase, times.first_s - times.second_s, sd_s)
    return Links(times.kind, DifferentialTimes(*(x[known] for x in columns)), times.weight[known])  # pyright: ignore[reportArgumentType]


def pair_times_of(
    links: Links,
    ids: Int[np.ndarray, " event"],
    stations: Sequence[str],
    travel_s: Float[np.ndarray, "event station phase"] | None,
) -> PairTimes:
    """Lines of dt.ct or dt.cc; catalogue times need the picks' travel times, cross-correlations have no correction."""
    first, second, at, phase = (np.asarray(x, int) for x in links.times[:4])
    if links.kind == KINDS[0]:
        if travel_s is None:
            raise ValueError("dt.ct holds both travel times; give travel_s, the picks less the origin times")
        times_s = travel_s[first, at, phase], travel_s[second, at, phase]
    else:
        times_s = np.asarray(links.times.time_s, float), np.zeros(len(first))
    weight = np.ones(len(first)) if links.weight is None else np.asarray(links.weight, float)
    codes = tuple(stations[row] for row in at)
    return PairTimes(links.kind, ids[first], ids[second], codes, *times_s, weight, phase)
