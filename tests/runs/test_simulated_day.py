"""A day of continuous records in a folder: what a user finds there, and that a stopped run goes on."""

import csv
import json
import shutil

import jax
import numpy as np
import pytest
from obspy import UTCDateTime, read, read_inventory

from jaxloc.io.catalogue_csv import read_csv
from jaxloc.io.day_archive import runs, write_chunk
from jaxloc.io.stations import read_stations
from jaxloc.io.velocity_model import read_velocity
from jaxloc.runs.simulated_day import DETECTABLE_DB, DayRequest, write_day
from jaxloc.simulation.day import DAY_START, FaultSettings, Interval, NetworkSettings
from jaxloc.simulation.day_records import RecordSettings, day_records
from jaxloc.simulation.day_seismograms import COUNTS_PER_M_S, SENSOR_HZ
from jaxloc.simulation.seismicity import SeismicitySettings
from jaxloc.studies.simulated_day import main

RATE_HZ, CHUNK_S = 20.0, 120.0
REQUEST = DayRequest(
    SeismicitySettings(
        4, 0.1, (1.2, 1.45), num_sequences=0, simultaneous=0, num_blasts=1, radius_km=8.0, blast_magnitude=(1.0, 1.4)
    ),
    NetworkSettings(3, 15.0),
    FaultSettings(outages=0, gaps=200.0, gap_s=(1.0, 5.0), clock_chance=0, constants=0, spikes=0),
    RecordSettings(RATE_HZ, CHUNK_S),
    disturbances={"teleseismic_body_wave": 10.0},
)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("day") / "out"
    return folder, write_day(folder, jax.random.key(0), REQUEST)


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_files_are_those_of_a_network(written):
    folder, day = written
    stations = read_stations(folder / "stations.csv")
    assert [s.code for s in stations] == [s.code for s in day.stations]
    np.testing.assert_allclose(read_velocity(folder / "velocity.csv").vp_km_s, day.assumed.vp_km_s, rtol=1e-4)
    traces = read(str(folder / "waveforms" / "*" / "*.mseed"))
    assert {t.stats.sampling_rate for t in traces} == {RATE_HZ}
    assert min(t.stats.starttime for t in traces) == UTCDateTime(DAY_START)
    recorded = sum(t.stats.npts for t in traces if t.id == "XX.S00..SHZ")
    gaps = sum(each.end_s - each.start_s for each in day.faults.gaps if each.station == 0)
    assert recorded == pytest.approx((360 - gaps) * RATE_HZ, abs=RATE_HZ * 0.2 * (1 + len(day.faults.gaps)))


def test_responses_give_ground_velocity(written):
    """Far above its corner the sensor has its gain, at the corner half the power."""
    folder, _ = written
    response = read_inventory(str(folder / "stations.xml"))[0][0][0].response
    gain = np.abs(response.get_evalresp_response_for_frequencies([SENSOR_HZ, 50.0], output="VEL"))
    np.testing.assert_allclose(gain, [COUNTS_PER_M_S * np.sqrt(0.5), COUNTS_PER_M_S], rtol=0.01)


def test_truth_lists_earthquakes_and_other_sources(written):
    folder, day = written
    events = read_csv(folder / "truth.csv")
    assert [e.id[:3] for e in events].count("sim") == 4
    np.testing.assert_allclose([e.origin_s for e in events], day.sources.hypocentre[:, 3])
    blast = next(e for e in events if e.id.startswith("blast"))
    assert (blast.others["quarry_blast"], blast.others["locatable"]) == (1.0, 0.0)
    kinds = [row["kind"] for row in rows(folder / "other_sources.csv")]
    assert kinds.count("quarry blast") == 1
    arrivals = rows(folder / "truth_arrivals.csv")
    loud = [row for row in arrivals if float(row["snr_db"]) >= DETECTABLE_DB]
    assert len(loud) == len(rows(folder / "truth_picks.csv"))


def test_arrivals_are_where_records_change(written):
    """In the second after listed arrivals of P of 20 dB the amplitude is higher than in the second before."""
    folder, _ = written
    clear = [r for r in rows(folder / "truth_arrivals.csv") if r["phase"] == "P" and float(r["snr_db"]) > 20]
    assert clear
    louder = 0
    for row in clear:
        time = UTCDateTime(row["time"])
        stream = read(str(folder / "waveforms" / row["station"] / "*Z*.mseed"), starttime=time - 3, endtime=time + 1)
        stream.merge(fill_value=0).filter("bandpass", freqmin=2, freqmax=8, zerophase=True)
        before, after = (np.std(stream.slice(time + a, time + b)[0].data) for a, b in ((-2.5, -0.5), (0, 1)))
        louder += after > 2 * before
    assert louder >= 0.8 * len(clear)


def test_a_stopped_run_goes_on_alike(written, tmp_path):
    """Without its last chunk a day is made again to the same bytes; with other settings it is refused."""
    folder, _ = written
    other = tmp_path / "again"
    shutil.copytree(folder, other)
    (other / "chunks" / "0002.json").unlink()
    lost = sorted((other / "waveforms").glob("*/*T000400Z.mseed"))
    before = {path.name: path.read_bytes() for path in lost}
    assert lost
    for path in lost:
        path.unlink()
    write_day(other, jax.random.key(0), REQUEST)
    assert {path.name: path.read_bytes() for path in sorted((other / "waveforms").glob("*/*T000400Z.mseed"))} == before
    with pytest.raises(ValueError, match="has a day of other settings"):
        write_day(other, jax.random.key(1), REQUEST)


def test_an_archive_has_the_same_samples(written, tmp_path):
    folder, _ = written
    write_day(tmp_path / "sds", jax.random.key(0), REQUEST, sds=True)
    one = read(str(folder / "waveforms" / "XX.S01" / "*SHZ*")).merge()
    other = read(str(tmp_path / "sds" / "archive" / "2024" / "XX" / "S01" / "SHZ.D" / "XX.S01..SHZ.D.2024.001")).merge()
    np.testing.assert_array_equal(one[0].data, other[0].data)
    assert not (tmp_path / "sds" / "waveforms").exists()


def test_chunks_do_not_depend_on_one_another(written):
    """The second chunk alone is that of the whole day; constant runs and wrong clocks are in it."""
    _, day = written
    settings = REQUEST.records
    whole = list(day_records(jax.random.key(5), day, settings))
    alone = next(day_records(jax.random.key(5), day, settings, numbers=[1]))
    np.testing.assert_array_equal(alone.counts, whole[1].counts)
    faults = day.faults._replace(constants=(Interval(0, 130.0, 133.0),))
    held = next(day_records(jax.random.key(5), day._replace(faults=faults), settings, numbers=[1])).counts
    assert (np.ptp(held[0, :, 200:260], axis=-1) == 0).all()
    np.testing.assert_array_equal(held[1:], whole[1].counts[1:])


def test_runs_and_gaps(tmp_path):
    np.testing.assert_array_equal(runs(np.array([0, 1, 1, 0, 1], bool)), [(1, 3), (4, 5)])
    mask = np.ones((1, 50), bool)
    mask[0, 20:30] = False
    counts = np.arange(150, dtype=np.int32).reshape(1, 3, 50)
    assert write_chunk(tmp_path, ["AA.B"], counts, mask, "2024-01-01T00:00:00Z", 100.0) == 3
    stream = read(str(tmp_path / "AA.B" / "*EHN*"))
    assert [t.stats.npts for t in stream] == [20, 20]
    np.testing.assert_array_equal(stream[1].data, counts[0, 1, 30:])
    assert write_chunk(tmp_path, ["AA.C"], counts, np.zeros((1, 50), bool), "2024-01-01T00:00:00Z", 100.0) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--noise", "gale"), "no such kind of noise: 'gale'"),
        (("--chunk-s", "30"), "chunk_s at least 60 s"),
        (("--rate-hz", "5"), "rate_hz must be within 10-1000 Hz"),
        (("--stations", "0"), "num_stations and aperture_km must be positive"),
    ],
)
def test_wrong_arguments(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        main([str(tmp_path / "out"), "--events", "0", "--hours", "0.02", *arguments])


def test_a_day_of_one_kind_of_noise(tmp_path):
    """There are disturbances of that kind alone, and no event."""
    folder = tmp_path / "out"
    given = ("--events", "0", "--hours", "0.1", "--stations", "3", "--rate-hz", "20", "--chunk-s", "120")
    main([str(folder), *given, "--noise", "vehicle"])
    assert {row["kind"] for row in rows(folder / "other_sources.csv")} <= {"vehicle"}
    assert read_csv(folder / "truth.csv") == []
    assert json.loads((folder / "settings.json").read_text())["disturbances"] == {"vehicle": 30.0}
