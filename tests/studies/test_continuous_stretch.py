"""Event windows laid out as an archive: records and catalogue are those of the windows, gaps lie between."""

import csv

import numpy as np
import pytest
from obspy import UTCDateTime

from jaxloc.data.chunk import Interval
from jaxloc.io.archive import open_archive
from jaxloc.io.archive_chunks import read_chunk
from jaxloc.io.seisbench import read_seisbench
from jaxloc.runs import pick
from jaxloc.studies.continuous_stretch import START_NS, lay_out


def test_windows_come_back_at_their_new_times(data_folder, tmp_path):
    folder = data_folder("iceland_vt")
    lay_out(folder, tmp_path, 60.0)
    dataset = read_seisbench(folder)
    archive = open_archive(tmp_path / "archive", tmp_path / "stations.csv")
    assert [s.code for s in archive.stations] == sorted(s.code for s in dataset.stations)
    chunk = read_chunk(archive, Interval(START_NS + 60 * 10**9, START_NS + 120 * 10**9), 100.0, 0.0)
    batch = dataset.take(np.array([1]))
    row = dataset.stations.index(next(s for s in dataset.stations if s.code == chunk.stations[0].code))
    expected = np.asarray(batch.observations.waveforms)[0, row]
    inside = slice(110, dataset.num_samples - 110)  # without tapers
    shift = chunk.records[0, :, inside] - expected[:, inside]
    assert np.abs(shift - shift.mean(-1, keepdims=True)).max() < 1e-3 * np.abs(expected).max()
    assert not chunk.usable[0, :, dataset.num_samples :].any()
    with (tmp_path / "events.csv").open() as file:
        events = list(csv.DictReader(file))
    origin_s = float(np.asarray(batch.labels["hypocentre"].value)[0, 3])
    assert UTCDateTime(events[1]["origin_time"]).ns / 1e9 == pytest.approx(START_NS / 1e9 + 60 + origin_s, abs=1e-3)
    assert len(events) == 27


def test_windows_do_not_overlap(data_folder, tmp_path):
    with pytest.raises(ValueError, match=r"32\.\d+ s must begin at least as far apart, got --every 20"):
        lay_out(data_folder("iceland_vt"), tmp_path, 20.0)


@pytest.mark.slow
def test_earthquakes_that_are_seen_are_picked_at_most_stations(data_folder, tmp_path):
    """Five minutes at Hengill, read by eye: five earthquakes that most of 20 stations show."""
    folder = data_folder("hengill_continuous")
    found = pick.pick_archive(pick.Request(folder, folder / "stations.csv"), tmp_path / "kept")
    for seen_s in (16.0, 41.0, 103.0, 137.0, 181.0):
        near = (np.abs(found.picks.time_s - seen_s) < 3.0) & (found.picks.phase == 0)
        assert len(set(found.picks.station[near].tolist())) >= 12
    assert (np.diff(found.picks.time_s) >= 0).all()
