"""NonLinLoc's observation files (NLLOC_OBS): picks of events, one a line, an empty line between events.

A line has station, instrument, component, onset, phase, first motion, date, hour and minute, seconds, type and size of
the error, coda duration, amplitude and period, and may have a weight.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from obspy import UTCDateTime

from jaxloc.io.pick_files import PHASE_NAME, Pick, PickedEvent, PickFile
from jaxloc.io.tables import decode, read_bytes

FIELDS = 11  # of a line up to the size of the error
LARGEST_S = 999.0  # error of picks that are to be left out
ID = "PUBLIC_ID"


def read_observations(
    path: str | Path, phases: Mapping[str, str] | None = None, quality_s: Sequence[float] = ()
) -> PickFile:
    """Read picks; events are named by their PUBLIC_ID, else by the file and their number.

    Args:
        path: the file.
        phases: names of phases at the source and P or S for each (LOCPHASEID); None: first arrivals by common names.
        quality_s: standard deviations in s by quality, for errors of type QUAL (LOCQUAL2ERR).

    Raises:
        ValueError: where the file is missing, has no pick, or a line is wrong; names file and line.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"no such NonLinLoc observation file: {path}; correct the path")
    events: list[PickedEvent] = []
    name, picks, left_out = "", [], []

    def close() -> None:
        nonlocal name, picks, left_out
        if picks or left_out:
            events.append(PickedEvent(name or f"{path.stem}-{len(events) + 1}", tuple(picks), tuple(left_out)))
        name, picks, left_out = "", [], []

    for number, line in enumerate(decode(read_bytes(path, "observation file"), path).splitlines(), 1):
        words = line.split("#")[0].split()
        if not words:
            if not line.strip().startswith("#"):
                close()
        elif words[0] == ID:
            close()
            name = " ".join(words[1:])
        else:
            try:
                found = pick_of(words, phases, quality_s)
            except (ValueError, IndexError, TypeError) as error:
                raise ValueError(f"{path}, line {number}: not a NonLinLoc pick: {error}") from error
            (left_out if isinstance(found, str) else picks).append(found)
    close()
    if not events:
        raise ValueError(f"{path} has no pick; a NonLinLoc observation file must have one a line")
    return PickFile(tuple(events))


def pick_of(words: list[str], phases: Mapping[str, str] | None = None, quality_s: Sequence[float] = ()) -> Pick | str:
    """The pick of a line's words, or the reason why it is left out; arguments as for `read_observations`.

    Raises:
        ValueError, IndexError, TypeError: where the words are no pick.
    """
    if len(words) < FIELDS:
        raise ValueError(f"it must have {FIELDS} words at least, got {len(words)}")
    station, phase, date, minute, kind = words[0], words[4], words[6], words[7], words[9]
    if phases is None:
        common = PHASE_NAME.fullmatch(phase)
        name = common["phase"].upper() if common else None
    else:
        name = phases.get(phase, phase)
    if name not in ("P", "S"):
        return f"phase {phase} is neither P nor S"
    if kind == "QUAL":
        quality = int(float(words[10]))
        if not 0 <= quality < len(quality_s):
            raise ValueError(f"the error has quality {quality}, of {len(quality_s)} that are known; give quality_s")
        sigma_s = quality_s[quality]
    else:
        sigma_s = float(words[10])
    if not sigma_s < LARGEST_S:
        return "the error is the one for picks to be left out"
    start = UTCDateTime(int(date[:4]), int(date[4:6]), int(date[6:8]), int(minute[:-2] or 0), int(minute[-2:]))
    time_ns = start.ns + round(float(words[8]) * 1e9)
    return Pick(station, name, time_ns, sigma_s if sigma_s > 0 else math.nan)


def write_observations(path: str | Path, file: PickFile, sigma_s: float) -> None:
    """Write events with their picks; `sigma_s` stands for errors that are not known.

    ObsPy writes one event a file, under codes of stations without networks.

    Raises:
        ValueError: where times count from a zero of their own, or a station's code is empty or has spaces.
    """
    lines: list[str] = []
    for event in file.events:
        if not event.absolute:
            raise ValueError(f"event {event.id} has times from a zero of its own; NonLinLoc's must be UTC")
        lines += ["", f"{ID} {event.id}"]
        for pick in event.picks:
            if len(pick.station.split()) != 1:
                raise ValueError(f"event {event.id}: a station must have a code without spaces, got {pick.station!r}")
            time = UTCDateTime(ns=pick.time_ns)
            second = time.second + (pick.time_ns % 10**9) * 1e-9
            error = pick.sigma_s if pick.sigma_s > 0 else sigma_s
            lines.append(
                f"{pick.station:<12} ?    ?    ? {pick.phase:<6} ? {time.strftime('%Y%m%d %H%M')} {second:9.6f} GAU "
                f"{error:9.2e} {-1:9.2e} {-1:9.2e} {-1:9.2e} {1.0:9.2e}"
            )
    Path(path).write_text("\n".join([*lines[1:], ""]), encoding="utf-8")
