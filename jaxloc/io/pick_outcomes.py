"""The table of all picks after association: each with its event, or with the reason why it has none."""

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

from jaxloc.atomic_write import write_whole
from jaxloc.data.dataset import Station
from jaxloc.detection.pick_list import PickList
from jaxloc.io.contents import as_time
from jaxloc.types import PHASES

COLUMNS = ("event_id", "station", "phase", "time", "sigma_s", "probability", "amplitude", "reason")
SECOND_NS = 10**9


def write_pick_outcomes(
    path: Path,
    stations: Sequence[Station],
    zero_ns: int,
    picks: PickList,
    events: Sequence[str],
    reasons: Sequence[str],
) -> None:
    """Write picks as CSV with the columns of `jaxloc pick`, the id of an event ("" for none) and a reason.

    Args:
        path: of the table, written whole or not at all.
        stations: that rows of picks name.
        zero_ns: from which their times count, in ns since 1970.
        picks: all of them.
        events: id for each pick, "" where it has none.
        reasons: for each pick why it has none, "" where it has one.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    rows = zip(*(each.tolist() for each in picks), events, reasons, strict=True)
    for station, phase, time_s, sigma_s, probability, amplitude, event, reason in rows:
        time = as_time(zero_ns + round(time_s * SECOND_NS))
        size = "" if math.isnan(amplitude) else f"{amplitude:.6g}"
        code = stations[station].code
        writer.writerow((event, code, PHASES[phase], time, f"{sigma_s:.4f}", f"{probability:.4f}", size, reason))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, text.getvalue().encode())
