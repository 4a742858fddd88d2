"""Two catalogues of one sequence compared: python -m jaxloc.studies.catalogue_differences FIRST SECOND.

A catalogue is a CSV (events.csv of `jaxloc locate`, or id, latitude_deg, longitude_deg, depth_km, origin_time),
QuakeML, or any format of `jaxloc convert --list` that holds events. Events are matched one to one by origin time and
epicentre. The output folder gets pairs.csv (matched events and their differences, second minus first), only.csv (events
without a counterpart, with the reason), differences.md (the table that is printed) and differences.png.
"""

import argparse
import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxloc.atomic_write import write_whole
from jaxloc.geometry import Frame, frame_of
from jaxloc.io.reference_catalogue import Known, in_frame
from jaxloc.plots.catalogue_differences import catalogue_differences
from jaxloc.plots.geography import Geography
from jaxloc.runs.relocate import read_starts
from jaxloc.scores.catalogues import Limits, Matched, counted, differences, match
from jaxloc.scores.markdown import markdown_table
from jaxloc.studies.command import run_as_command

COLUMNS = ("east_km", "north_km", "depth_km", "origin_s")


class Compared(NamedTuple):
    """Two catalogues in one frame (km, s since the first event) and their matched events; ids by row."""

    frame: Frame
    names: tuple[str, str]
    ids: tuple[list[str], list[str]]
    first: Float[np.ndarray, "first 4"]
    second: Float[np.ndarray, "second 4"]
    matched: Matched


def compare(first: Path, second: Path, limits: Limits = Limits(), deeper_km: float = 0.0) -> Compared:
    """Read two catalogues and match their events; `deeper_km` is added to the depths of the second.

    Raises:
        ValueError: where a file is missing or wrong, or an event has no origin time.
    """
    known = [read_starts(path) for path in (first, second)]
    truths = [each.truth for events in known for each in events]
    frame = frame_of(
        *(np.array([getattr(each, f"{name}_deg") for each in truths]) for name in ("latitude", "longitude"))
    )
    zero_s = min((each.origin_s for each in truths if each.origin_s is not None), default=0.0)
    one, other = (
        _hypocentres(path, frame, events, zero_s) for path, events in zip((first, second), known, strict=True)
    )
    other[:, 2] += deeper_km
    ids = tuple([each.names[0] for each in events] for events in known)
    return Compared(frame, names_of(first, second), (ids[0], ids[1]), one, other, match(one, other, limits))


def _hypocentres(path: Path, frame: Frame, events: Sequence[Known], zero_s: float) -> Float[np.ndarray, "event 4"]:
    value, known = in_frame(frame, [each.truth for each in events], [zero_s] * len(events))
    if not known[:, 3].all():
        missing = events[int(np.flatnonzero(~known[:, 3])[0])].names[0]
        raise ValueError(f"{path}: event {missing} has no origin time; catalogues are compared by it")
    return np.where(known, value, np.nan)


def names_of(first: Path, second: Path) -> tuple[str, str]:
    """Short names of two files: that of its folder for an events.csv, folder and file where both would be alike."""
    one, other = (path.absolute().parent.name if path.stem == "events" else path.stem for path in (first, second))
    return (one, other) if one != other else (str(first.with_suffix("")), str(second.with_suffix("")))


def table_of(found: Compared) -> str:
    """Numbers of events with the reasons, and differences of matched events, in Markdown."""
    first, second = found.names
    matched = found.matched
    numbers = [(f"events of {first}", len(found.first)), (f"events of {second}", len(found.second))]
    numbers += [("matched", len(matched.first))]
    for name, reasons in ((first, matched.only_first), (second, matched.only_second)):
        numbers += [(f"only in {name}", len(reasons))]
        numbers += [(f"only in {name}: {reason}", number) for reason, number in counted(reasons)]
    header = [f"{second} minus {first}", "median", "median absolute deviation", "90 % below"]
    rows = [
        [name, *(f"{value:.3f}" for value in each)]
        for name, each in differences(found.first, found.second, matched).items()
    ]
    counts = markdown_table(["events", "number"], [[name, str(number)] for name, number in numbers])
    return f"{counts}\n\n{markdown_table(header, rows)}\n"


def pairs_csv(found: Compared) -> bytes:
    """Matched events: ids, second minus first."""
    apart = found.second[found.matched.second] - found.first[found.matched.first]
    ids = ((found.ids[0][i], found.ids[1][j]) for i, j in zip(*found.matched[:2], strict=True))
    return _csv(
        ["first", "second", *COLUMNS],
        [[*pair, *(f"{x:.4f}" for x in row)] for pair, row in zip(ids, apart, strict=True)],
    )


def only_csv(found: Compared) -> bytes:
    """Events without a counterpart: the catalogue, the id, the reason."""
    sides = zip(found.names, found.ids, found.matched[2:], strict=True)
    return _csv(
        ["catalogue", "id", "reason"],
        [[name, ids[row], reason] for name, ids, only in sides for row, reason in sorted(only.items())],
    )


def _csv(header: Sequence[str], rows: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue().encode()


def write(folder: Path, found: Compared) -> None:
    """The table, both lists, and the picture where events match."""
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "differences.md", table_of(found).encode())
    write_whole(folder / "pairs.csv", pairs_csv(found))
    write_whole(folder / "only.csv", only_csv(found))
    if len(found.matched.first):
        given = found.first, found.second, found.matched, found.names, Geography(found.frame)
        catalogue_differences(folder / "differences.png", *given)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line of this module."""
    parser = argparse.ArgumentParser(prog="python -m jaxloc.studies.catalogue_differences", description=__doc__)
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("--output", type=Path, default=Path("differences"), help="folder (default: differences)")
    parser.add_argument("--within-s", type=float, default=Limits().within_s, help="origin times of one event")
    parser.add_argument("--within-km", type=float, default=Limits().within_km, help="epicentres of one event")
    parser.add_argument("--deeper-km", type=float, default=0.0, help="added to depths of SECOND, for another reference")
    given = parser.parse_args(arguments)
    found = compare(given.first, given.second, Limits(given.within_s, given.within_km), given.deeper_km)
    write(given.output, found)
    print(table_of(found))
    print(f"lists and picture: {given.output}")


if __name__ == "__main__":
    run_as_command(main)
