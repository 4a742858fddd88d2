"""Picks of archives: which chunk owns a pick, what a second run does again, the table, and blocks of the network."""

import csv
from types import SimpleNamespace

import numpy as np
import pytest
from continuous_records import START, arrivals, trace, write_files, write_sds

from jaxloc import cli
from jaxloc.data.chunk import Chunk, Interval, intervals
from jaxloc.data.dataset import Station
from jaxloc.data.pick_amplitudes import peak_amplitudes
from jaxloc.data.pick_list import PickList
from jaxloc.io.pick_files import read_pick_csv
from jaxloc.physics.pick_calibration import NONE
from jaxloc.runs import network_picker, pick, pickers

RATE_HZ = 50.0
PULSES_S = (100.0, 599.96, 1200.02, 1619.98, 1799.98, 2500.5, 3500.0)
AT_BORDER_S = 3000.0


def pulses(times_s, rate_hz=RATE_HZ, length_s=3700.0):
    """A record with a pulse at each of some times, and none elsewhere but small noise."""
    samples = np.random.default_rng(0).normal(size=round(length_s * rate_hz))
    for time_s in times_s:
        at = round(time_s * rate_hz)
        samples[at : at + 40] += 1000 * np.exp(-np.arange(40) / 10) * np.cos(np.arange(40))
    return samples


def owned(chunk, found_s):
    """Picks of the first station at some times from the first sample, those that the chunk owns."""
    time_s = np.asarray(found_s) + (chunk.start_ns - chunk.interval.start_ns) / 1e9
    time_s = time_s[(time_s >= 0) & (time_s < chunk.interval.length_s)]
    zeros = np.zeros(len(time_s))
    return PickList(zeros.astype(int), zeros.astype(int), time_s, zeros + 0.1, zeros + 0.9, zeros + 5.0)


def by_threshold(chunk):
    """A picker of samples that are large after ten that are not."""
    large = np.abs(chunk.records[0, 0]) > 500
    at = [i for i in np.flatnonzero(large) if not large[max(i - 10, 0) : i].any()]
    return owned(chunk, np.array(at) / chunk.rate_hz)


@pytest.fixture
def picked_chunks(monkeypatch):
    """Intervals in the order in which they are picked by the method "network", which is `by_threshold` here."""
    done = []

    def picking(chunk):
        done.append(chunk.interval)
        return by_threshold(chunk)

    monkeypatch.setitem(pickers.METHODS, "network", lambda: pickers.Picker(picking, RATE_HZ, 20.0, {}))
    pick._opened.cache_clear()
    yield done
    pick._opened.cache_clear()


@pytest.fixture
def archive(tmp_path):
    folder = write_sds(tmp_path / "archive", [trace("XX.AA..HHZ", pulses((*PULSES_S, AT_BORDER_S)), RATE_HZ)])
    return pick.Request(folder, tmp_path / "stations.csv", length_s=600.0)


def test_every_pick_has_one_owner_whatever_the_chunks(archive, picked_chunks, tmp_path):
    found = {}
    for name, options in {"600 s": {}, "an hour": {"length_s": 3600.0}, "shifted": {"offset_s": 17.0 * 60}}.items():
        picked = pick.pick_archive(archive._replace(**options), tmp_path / name)
        found[name] = picked.zero_ns / 1e9 + picked.picks.time_s - START.timestamp
    for times_s in found.values():
        np.testing.assert_allclose(times_s, sorted((*PULSES_S, AT_BORDER_S)), atol=1e-6)
    assert len(picked_chunks) > 100  # of a whole day, and an hour


def test_a_second_run_picks_what_is_missing_or_has_changed(archive, picked_chunks, tmp_path):
    request = archive._replace(start=str(START), end=str(START + 3600))
    first = pick.pick_archive(request, tmp_path / "kept")
    assert len(picked_chunks) == 6
    said = []
    files = sorted((tmp_path / "kept").iterdir())
    files[2].unlink()
    again = pick.pick_archive(request, tmp_path / "kept", say=said.append)
    assert len(picked_chunks) == 7
    assert "5 of 6 chunks were picked before and are kept" in said
    np.testing.assert_array_equal(first.picks.time_s, again.picks.time_s)
    path = next(archive.archive.rglob("*.D.*"))
    path.write_bytes(path.read_bytes() + path.read_bytes()[:512])
    pick.pick_archive(request, tmp_path / "kept")
    assert len(picked_chunks) == 13


def test_stations_in_groups_are_as_all_at_once(picked_chunks, tmp_path):
    traces = [trace(f"XX.{code}..HHZ", pulses(times), RATE_HZ) for code, times in (("AA", [100.0]), ("BB", [200.0]))]
    request = pick.Request(write_files(tmp_path / "a", traces), tmp_path / "stations.csv", memory_mb=1.0)
    found = pick.pick_archive(request, tmp_path / "kept")
    assert found.picks.station.tolist() == [0, 1]
    np.testing.assert_allclose(found.picks.time_s, [100.0, 200.0], atol=0.03)
    assert found.usable[0] > 0.99


def test_the_command_writes_a_table_that_is_read_again(archive, picked_chunks, tmp_path, capsys):
    command = ["pick", str(archive.archive), "--stations", str(archive.stations), "--output", str(tmp_path / "p.csv")]
    assert cli.main([*command, "--end", str(START + 3000)]) == 0
    printed = capsys.readouterr().out
    assert "6 picks (6 P, 0 S) at 1 stations" in printed
    assert "stations of the list without records: XX.BB" in printed
    with (tmp_path / "p.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["event_id", "station", "phase", "time", "sigma_s", "probability", "amplitude"]
    loose = read_pick_csv(tmp_path / "p.csv").loose
    assert [one.station for one in loose] == ["XX.AA"] * 6
    assert (loose[0].sigma_s, loose[0].probability, loose[0].amplitude) == (0.1, 0.9, 5.0)
    assert [one.time_ns / 1e9 - START.timestamp for one in loose] == pytest.approx(PULSES_S[:6], abs=0.03)
    assert cli.main([*command, "--start", "2019-01-01", "--end", "2019-01-02"]) == 1
    assert "has no records from 2019-01-01" in capsys.readouterr().err


def test_no_pick_is_said_with_what_there_was(picked_chunks, tmp_path, capsys):
    folder = write_files(tmp_path / "a", [trace("XX.AA..HHZ", pulses([]), RATE_HZ)])
    command = ["pick", str(folder), "--stations", str(tmp_path / "stations.csv"), "--output", str(tmp_path / "p.csv")]
    assert cli.main(command) == 1
    assert "no arrival was picked; stations recorded 100% of the time" in capsys.readouterr().err


def test_other_methods_are_refused():
    with pytest.raises(ValueError, match=r"must be one of network, palm, got 'guess'"):
        pickers.picker_of("guess")


def chunk_about(interval, records, start_ns, pad_s=30.0):
    """A chunk of one station from a record that starts at a time."""
    step_ns = round(1e9 / RATE_HZ)
    first = max((interval.start_ns - round(pad_s * 1e9) - start_ns) // step_ns, 0)
    last = min((interval.end_ns + round(pad_s * 1e9) - start_ns) // step_ns, records.shape[-1])
    part = records[None, :, first:last].astype(np.float32)
    there = np.ones(part.shape, bool)
    return Chunk(interval, start_ns + first * step_ns, RATE_HZ, (Station("XX.AA", 0.0, 0.0, 0.0),), part, there)


def reader_of_pulses(block, margin):
    """In place of a network: rates are high where the record is, and -30 at the edges, which must not be used."""

    def read(waveforms, recorded):
        size = np.abs(np.asarray(waveforms)).max(1)
        rate = np.where(size > 500, 3.5, -10.0)
        rate[: margin - 1], rate[len(rate) - margin + 1 :] = -30.0, -30.0
        return np.stack([rate, np.full(len(rate), -10.0)], -1)[None]

    return SimpleNamespace(read=read, block=block, margin=margin)


@pytest.mark.parametrize("offset_s", [0.0, 1020.0])
def test_blocks_of_the_network_cover_a_chunk_without_their_edges(offset_s):
    records = np.zeros((3, round(3700 * RATE_HZ)))
    for time_s in PULSES_S:
        records[:, round(time_s * RATE_HZ)] = 1000.0
    reader = reader_of_pulses(block=6400, margin=3200)
    found = []
    for interval in intervals(START.ns, (START + 3700).ns, 600.0, offset_s):
        picks = network_picker._pick(reader, RATE_HZ, NONE, 0.3, chunk_about(interval, records, START.ns))
        found += ((interval.start_ns - START.ns) / 1e9 + picks.time_s).tolist()
    np.testing.assert_allclose(found, PULSES_S, atol=0.02)


def test_a_chunk_of_another_rate_is_refused():
    chunk = chunk_about(Interval(START.ns, (START + 10).ns), np.zeros((3, 500)), START.ns)._replace(rate_hz=100.0)
    with pytest.raises(ValueError, match="reads records of 50 Hz, got a chunk of 100 Hz"):
        network_picker._pick(reader_of_pulses(6400, 3200), RATE_HZ, NONE, 0.3, chunk)


def test_amplitudes_are_peaks_in_the_unit_of_the_record():
    time_s = np.arange(3000) / RATE_HZ
    records = np.zeros((3, 3000))
    records[1] = np.where(time_s > 20, 7.0 * np.sin(2 * np.pi * 6.0 * time_s), 0.0)
    usable = np.ones(records.shape, bool)
    usable[:, 2500:] = False
    found = peak_amplitudes(records, usable, RATE_HZ, np.array([5.0, 30.0, 55.0]))
    assert found[0] == pytest.approx(0.0, abs=1e-6)
    assert found[1] == pytest.approx(7.0, rel=0.05)
    assert np.isnan(found[2])


def test_pal_s_picker_finds_events_and_each_pick_has_one_owner(tmp_path):
    """Borders of the second run lie between P and S of some events."""
    time_s, events_s = np.arange(0, 900, 1 / 100.0), np.arange(60.0, 860.0, 50.0)
    record = arrivals(np.random.default_rng(1), events_s, time_s)
    traces = [trace(f"XX.AA..HH{c}", record[i], 100.0) for i, c in enumerate("ZNE")]
    request = pick.Request(write_files(tmp_path / "a", traces), tmp_path / "stations.csv", "palm")
    found = [
        pick.pick_archive(request._replace(length_s=length_s, offset_s=12.0), tmp_path / "kept")
        for length_s in (3600.0, 50.0)
    ]
    for one in found:
        p_s = one.picks.time_s[one.picks.phase == 0]
        assert np.mean(np.abs(p_s[:, None] - events_s).min(0) < 0.3) > 0.9
    assert len(found[0].picks.time_s) == len(found[1].picks.time_s)
    np.testing.assert_allclose(found[0].picks.time_s, found[1].picks.time_s, atol=0.2)


@pytest.mark.slow
def test_picks_of_the_network_do_not_depend_on_the_grid_of_chunks(tmp_path):
    """Two stations, three hours with a gap: borders shifted by 17 minutes change fewer than 0.1 % of the picks."""
    rng = np.random.default_rng(1)
    time_s = np.arange(0, 3 * 3600, 1 / 100.0)
    traces = []
    for code, late_s in (("AA", 0.0), ("BB", 3.0)):
        record = arrivals(rng, late_s + np.arange(30, 3 * 3600, 41.3), time_s)
        parts = [trace(f"XX.{code}..HH{c}", record[i], 100.0, START + 0.003) for i, c in enumerate("ZNE")]
        traces += [part.slice(endtime=START + 4000) for part in parts] + [part.slice(START + 4100) for part in parts]
    request = pick.Request(write_sds(tmp_path / "a", traces), tmp_path / "stations.csv", end=str(START + 3 * 3600))
    found = [
        pick.pick_archive(request._replace(offset_s=offset_s), tmp_path / f"{offset_s}") for offset_s in (0.0, 1020.0)
    ]
    keys = [
        {(s, p, round(t, 2)) for s, p, t in zip(one.picks.station, one.picks.phase, one.picks.time_s, strict=True)}
        for one in found
    ]
    assert min(map(len, keys)) > 500
    assert len(keys[0] ^ keys[1]) <= 0.001 * len(keys[0])
