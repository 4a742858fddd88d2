"""Labelled windows as continuous records."""

import os
from pathlib import Path

import jax
import numpy as np
import pytest
from obspy import UTCDateTime, read

from jaxloc.data.dataset import Dataset, Event, Station, retaken
from jaxloc.geometry import Frame
from jaxloc.io.catalogue_csv import read_csv
from jaxloc.runs.continuous_windows import write_windows
from jaxloc.studies.continuous_windows import main
from jaxloc.types import Batch, Label, Observations

DATA = Path(os.environ.get("JAXLOC_DATA", Path(__file__).parents[3] / "shared" / "data")) / "iceland_vt"
RATE_HZ, LENGTH = 10.0, 200
STARTS_S = (0.0, 12.0, 50.0)  # the first two overlap


def dataset(mean=(0.0, 7.0, 0.0), starts=True):
    """Windows of one long record, each with a level of its own."""
    truth = np.cumsum(np.random.default_rng(0).integers(-5, 6, (2, 3, 800)), -1)
    cut = np.stack(
        [truth[..., round(s * RATE_HZ) :][..., :LENGTH] + m for s, m in zip(STARTS_S, mean, strict=True)]
    ).astype(np.float32)
    zero = UTCDateTime(2024, 1, 1)
    events = tuple(Event(f"w{i}", "test", str(zero + s) if starts else None) for i, s in enumerate(STARTS_S))
    stations = (Station("AA.B", 40.0, 15.0, 0.0), Station("AA.C", 40.1, 15.1, 100.0))
    place, arrivals = np.tile([1.0, 2.0, 5.0, 3.0], (3, 1)), np.tile([[4.0, 6.0], [5.0, 7.0]], (3, 1, 1))
    labels = {
        "hypocentre": Label(place, np.ones((3, 4), bool)),
        "arrivals": Label(arrivals, np.tile([[True, True], [True, False]], (3, 1, 1))),
    }
    seen = Observations(
        cut, np.zeros((3, 2, 3)), np.ones((3, 2), bool), np.tile(np.arange(2), (3, 1)), np.full(3, RATE_HZ)
    )
    whole = Batch(seen, labels)
    take = lambda index: jax.tree.map(lambda x: x[index], whole)
    return truth, Dataset("windows", Frame(40.0, 15.0), stations, events, RATE_HZ, LENGTH, take)


def test_windows_become_the_record_that_they_were_cut_from(tmp_path):
    """Two windows are one stretch whatever their means, the third is another one."""
    truth, windows = dataset()
    found = write_windows(tmp_path, windows)
    assert [each.mask.shape[1] for each in found] == [320, 200]
    assert [each.disagreeing for each in found] == [0, 0]
    stream = read(str(tmp_path / "waveforms" / "AA.C" / "*N*.mseed")).sort(["starttime"])
    np.testing.assert_array_equal(stream[0].data, truth[1, 1, :320])
    np.testing.assert_array_equal(stream[1].data, truth[1, 1, 500:700])


def test_truth_is_that_of_the_labels(tmp_path):
    _, windows = dataset()
    write_windows(tmp_path, windows)
    events = read_csv(tmp_path / "truth.csv")
    assert [UTCDateTime(e.start) + e.origin_s - UTCDateTime(2024, 1, 1) for e in events] == [3.0, 15.0, 53.0]
    assert (tmp_path / "truth_picks.csv").read_text().count("\n") == 1 + 3 * 3


def test_windows_that_disagree_are_counted(tmp_path):
    """A jump in one window only: the earlier window is written."""
    truth, windows = dataset()
    whole = windows.take(np.arange(3))
    changed = np.array(whole.observations.waveforms)
    changed[1, 0, 0, 10:20] += 50
    other = whole._replace(observations=whole.observations._replace(waveforms=changed))
    found = write_windows(tmp_path, retaken(windows, lambda index: other))
    assert found[0].disagreeing == 10
    np.testing.assert_array_equal(
        read(str(tmp_path / "waveforms" / "AA.B" / "*Z*T000000Z.mseed"))[0].data[:200], truth[0, 0, :200]
    )


def test_a_window_without_time_is_refused(tmp_path):
    with pytest.raises(ValueError, match="event w0 has no trace_start_time"):
        write_windows(tmp_path, dataset(starts=False)[1])


@pytest.mark.skipif(not DATA.is_dir(), reason=f"needs {DATA}")
@pytest.mark.slow
def test_windows_of_the_dyke_are_one_record(tmp_path, capsys):
    """27 windows of nine minutes overlap to four stretches, and agree to a count where they do."""
    main([str(DATA), str(tmp_path / "out")])
    said = capsys.readouterr().out
    assert "27 windows in 4 stretches of 513 s" in said
    assert "disagree" not in said
