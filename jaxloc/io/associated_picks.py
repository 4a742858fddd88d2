"""Picks with the event that each belongs to, or why it has none, as a CSV that `jaxloc.io.pick_files` reads again."""

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

from jaxloc.atomic_write import write_whole
from jaxloc.io.contents import as_time
from jaxloc.io.pick_files import Pick

COLUMNS = ("event_id", "station", "phase", "time", "sigma_s", "probability", "amplitude", "reason")


def write_associated_picks(
    path: str | Path, picks: Sequence[Pick], event_id: Sequence[str], reason: Sequence[str]
) -> None:
    """Write one line a pick; `event_id` is "" for picks without event, whose `reason` says why."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for pick, id_, why in zip(picks, event_id, reason, strict=True):
        numbers = (pick.sigma_s, pick.probability, pick.amplitude)
        cells = ("" if value is None or math.isnan(value) else repr(float(value)) for value in numbers)
        writer.writerow([id_, pick.station, pick.phase, as_time(pick.time_ns), *cells, why])
    write_whole(path, text.getvalue().encode())
