"""Event windows laid out as continuous records: an SDS archive with gaps, its stations and its catalogue.

    python -m jaxloc.studies.continuous_stretch FOLDER OUTPUT --every 60
    jaxloc pick OUTPUT/archive --stations OUTPUT/stations.csv

FOLDER is a SeisBench folder; its windows begin so many seconds apart from 2020-01-01 on, in their order. OUTPUT gets
the archive, stations.csv and events.csv, whose origin times are moved with the windows.
"""

import argparse
import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxloc.atomic_write import write_whole
from jaxloc.data.chunk import SECOND_NS
from jaxloc.data.dataset import Dataset
from jaxloc.geometry import to_degrees
from jaxloc.io.archive import as_time
from jaxloc.io.contents import Contents
from jaxloc.io.sds_writing import write_records
from jaxloc.io.seisbench import read_seisbench
from jaxloc.io.station_formats import write_station_table

START_NS = 1_577_836_800 * SECOND_NS  # 2020-01-01


def lay_out(folder: Path, output: Path, every_s: float, split: str | None = None) -> None:
    """Write the windows of a SeisBench folder as an archive.

    Raises:
        ValueError: where windows would overlap.
    """
    dataset = read_seisbench(folder, split=split)
    length_s = dataset.num_samples / dataset.rate_hz
    if every_s < length_s:
        raise ValueError(f"windows of {length_s:g} s must begin at least as far apart, got --every {every_s:g}")
    output.mkdir(parents=True, exist_ok=True)
    events = [["id", "origin_time", "latitude_deg", "longitude_deg", "depth_km", "magnitude"]]
    for i, event in enumerate(dataset.events):
        start_ns = START_NS + round(i * every_s * SECOND_NS)
        batch = dataset.take(np.array([i]))
        for row in np.flatnonzero(np.asarray(batch.observations.station_mask)[0]):
            records = np.asarray(batch.observations.waveforms)[0, row]
            write_records(output / "archive", dataset.stations[row].code, records, start_ns, dataset.rate_hz)
        events.append([event.id, *_place(dataset, np.asarray(batch.labels["hypocentre"].value)[0], start_ns)])
        events[-1].append("" if event.magnitude is None else f"{event.magnitude:g}")
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(events)
    write_whole(output / "events.csv", text.getvalue().encode())
    write_whole(output / "stations.csv", write_station_table(Contents(stations=dataset.stations)))


def _place(dataset: Dataset, hypocentre: np.ndarray, start_ns: int) -> list[str]:
    """Origin time and place of an event in a catalogue."""
    east_km, north_km, depth_km, origin_s = hypocentre.astype(float)
    latitude, longitude = to_degrees(dataset.frame, np.array([east_km]), np.array([north_km]))
    time = as_time(start_ns + round(origin_s * SECOND_NS))
    return [str(time), f"{latitude[0]:.5f}", f"{longitude[0]:.5f}", f"{depth_km:.3f}"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the archive."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="SeisBench folder")
    parser.add_argument("output", type=Path, help="folder of the archive, its stations and its catalogue")
    parser.add_argument("--every", type=float, default=60.0, help="seconds between the starts of windows (default: 60)")
    parser.add_argument("--split", help="events of this split only")
    parsed = parser.parse_args(arguments)
    lay_out(parsed.folder, parsed.output, parsed.every, parsed.split)


if __name__ == "__main__":
    main()
