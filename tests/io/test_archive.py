"""Archives of continuous records: samples on the UTC grid whatever the files, and what is masked or said."""

import itertools

import numpy as np
import pytest
from continuous_records import START, TABLE, trace, write_files, write_sds
from obspy import Stream, UTCDateTime, read_inventory

from jaxloc.data.chunk import Interval, intervals, usable_share
from jaxloc.io.archive import chunks, content_hash, open_archive
from jaxloc.io.archive_chunks import read_chunk

RATE_HZ = 50.0


def signal(time_s: np.ndarray) -> np.ndarray:
    """Some lines below 12 Hz, known at any time."""
    lines = ((0.3, 400.0), (2.1, 900.0), (7.7, 500.0), (11.9, 200.0))
    return sum(size * np.sin(2 * np.pi * hz * time_s + hz) for hz, size in lines)


def channel(rate_hz: float, first_s: float, last_s: float, code: str = "XX.AA..HHZ"):
    time_s = np.arange(first_s, last_s, 1 / rate_hz)
    return trace(code, signal(time_s), rate_hz, START + first_s)


def chunk_of(archive, first_s: float, last_s: float, pad_s: float = 5.0, rate_hz: float = RATE_HZ):
    interval = Interval((START + first_s).ns, (START + last_s).ns)
    return read_chunk(archive, interval, rate_hz, pad_s)


def difference(chunk, component: int = 0) -> np.ndarray:
    """Records less the signal, without their means, where samples are usable; the first station."""
    time_s = (chunk.start_ns - START.ns) / 1e9 + np.arange(chunk.records.shape[-1]) / chunk.rate_hz
    inside = chunk.usable[0, component]
    assert inside.any()
    away = (chunk.records[0, component] - signal(time_s))[inside]
    return away - away.mean()


@pytest.mark.parametrize("layout", [write_files, write_sds])
def test_midnight_is_no_gap_in_either_layout(tmp_path, layout):
    archive = open_archive(layout(tmp_path / "a", [channel(100.0, -60, 60)]), tmp_path / "stations.csv")
    assert archive.layout == ("sds" if layout is write_sds else "files")
    chunk = chunk_of(archive, -20, 20)
    assert chunk.usable[0, 0].all()
    assert np.abs(difference(chunk)).max() < 0.01 * 2000
    assert not chunk.usable[0, 1:].any()
    np.testing.assert_allclose(usable_share(chunk), [1.0])


@pytest.mark.parametrize(
    ("rate_hz", "late_s"), [(50.0, 0.0), (50.0, 0.007), (100.0, 0.004), (62.5, 0.001), (99.97, 0.0), (50.003, 0.0119)]
)
def test_any_rate_and_start_comes_onto_one_grid(tmp_path, rate_hz, late_s):
    archive = open_archive(write_files(tmp_path / "a", [channel(rate_hz, late_s - 20, 420)]), tmp_path / "stations.csv")
    chunk = chunk_of(archive, 0, 400)
    assert chunk.start_ns % (10**9 // 50) == 0
    assert chunk.usable[0, 0].all()
    assert np.abs(difference(chunk)).max() < 0.01 * 2000


def test_frequencies_above_the_grid_s_are_filtered_out(tmp_path):
    time_s = np.arange(0, 120, 1 / 203.1)
    fast = trace("XX.AA..HHZ", signal(time_s) + 1000 * np.sin(2 * np.pi * 41.0 * time_s), 203.1)
    archive = open_archive(write_files(tmp_path / "a", [fast]), tmp_path / "stations.csv")
    assert np.abs(difference(chunk_of(archive, 20, 100))).max() < 0.01 * 2000


def test_gaps_are_masked_with_what_is_near_and_short_ones_bridged(tmp_path):
    parts = [channel(100.0, 0, 30), channel(100.0, 30.05, 60), channel(100.0, 70, 120)]
    archive = open_archive(write_files(tmp_path / "a", parts), tmp_path / "stations.csv")
    chunk = chunk_of(archive, 20, 100)
    time_s = (chunk.start_ns - START.ns) / 1e9 + np.arange(chunk.records.shape[-1]) / RATE_HZ
    masked = time_s[~chunk.usable[0, 0]]
    assert masked.min() == pytest.approx(59.0, abs=0.05)
    assert masked.max() == pytest.approx(71.0, abs=0.05)
    assert not chunk.records[0, 0][(time_s > 60.01) & (time_s < 69.99)].any()
    edge = np.abs(chunk.records[0, 0])[(time_s > 59.9) & (time_s < 60)]
    assert edge.max() < 0.05 * np.abs(chunk.records[0, 0]).max()


def test_spikes_are_taken_out_and_onsets_are_not(tmp_path):
    time_s = np.arange(0, 120, 0.01)
    noise = np.random.default_rng(0).normal(size=len(time_s))
    onset = np.where(time_s > 60, 3000 * np.sin(2 * np.pi * 17 * (time_s - 60)) * np.exp(-(time_s - 60)), 0)
    clean = np.round(100 * noise + onset)
    spiked = clean.copy()
    spiked[[4000, 8000, 8001]] += [40_000, -60_000, -60_000]
    chunks_of = []
    for name, samples in (("clean", clean), ("spiked", spiked)):
        folder = write_files(tmp_path / name / "a", [trace("XX.AA..HHZ", samples, 100.0)])
        chunks_of.append(chunk_of(open_archive(folder, folder.parent / "stations.csv"), 10, 110))
    clean_chunk, spiked_chunk = chunks_of
    assert not clean_chunk.notes
    assert any("3 spikes" in note for note in spiked_chunk.notes)
    assert np.abs(clean_chunk.records - spiked_chunk.records).max() < 1000
    assert spiked_chunk.usable[0, 0].all()


def test_crests_of_smooth_waves_are_no_spikes(tmp_path):
    time_s = np.arange(0, 120, 0.01)
    noise = np.random.default_rng(0).normal(size=len(time_s))
    smooth = 1e5 * np.convolve(noise, np.hanning(40), "same") * (1 + 20 * (time_s > 60)) + 5000.3
    archive = open_archive(write_files(tmp_path / "a", [trace("XX.AA..HHZ", smooth, 100.0)]), tmp_path / "stations.csv")
    assert not chunk_of(archive, 10, 110).notes


def test_clipped_tops_are_not_usable_and_keep_their_onset(tmp_path):
    time_s = np.arange(0, 120, 0.01)
    noise = np.random.default_rng(0).normal(size=len(time_s))
    event = np.where(time_s > 60, 2e5 * np.sin(2 * np.pi * 3 * (time_s - 60)) * np.exp(-(time_s - 60) / 2), 0)
    samples = np.clip(np.round(10 * noise + event), -1e5, 1e5)
    archive = open_archive(
        write_files(tmp_path / "a", [trace("XX.AA..HHZ", samples, 100.0)]), tmp_path / "stations.csv"
    )
    chunk = chunk_of(archive, 10, 110)
    at = lambda second: round(((START + second).ns - chunk.start_ns) / 1e9 * RATE_HZ)
    assert not chunk.usable[0, 0, at(60.08)]
    assert chunk.usable[0, 0, at(20) : at(60.01)].all()
    assert any("clipped" in note for note in chunk.notes)


def test_equal_overlaps_are_merged_and_unequal_ones_said(tmp_path):
    other = channel(100.0, 40, 120)
    other.data[:1000] += 100
    equal = write_files(tmp_path / "equal" / "a", [channel(100.0, 0, 60), channel(100.0, 40, 120)])
    unequal = write_files(tmp_path / "unequal" / "a", [channel(100.0, 0, 60), other])
    found = [chunk_of(open_archive(path, path.parent / "stations.csv"), 20, 100) for path in (equal, unequal)]
    assert not found[0].notes
    assert any("disagree for 10 s, the earlier one is used" in note for note in found[1].notes)
    for each in found:
        assert np.abs(difference(each)).max() < 0.01 * 2000


def test_of_twins_the_better_one_is_used_and_said(tmp_path):
    rates = {"BH": 20.0, "HH": 100.0}
    traces = [channel(rate, 0, 120, f"XX.AA..{band}{c}") for band, rate in rates.items() for c in "ZNE"]
    traces += [channel(100.0, 0, 60, f"XX.AA.10.HH{c}") for c in "ZNE"]
    chunk = chunk_of(open_archive(write_files(tmp_path / "a", traces), tmp_path / "stations.csv"), 20, 100)
    assert chunk.instruments == ("HH",)
    assert any("chosen among several instruments" in note and "BH" in note for note in chunk.notes)


INVENTORY = """<?xml version="1.0"?><FDSNStationXML xmlns="http://www.fdsn.org/xml/station/1" schemaVersion="1.1">
<Source>x</Source><Created>2020-01-01T00:00:00</Created><Network code="XX"><Station code="AA">
<Latitude>64</Latitude><Longitude>-21</Longitude><Elevation>0</Elevation><Site><Name>x</Name></Site>{}</Station>
</Network></FDSNStationXML>"""
EPOCH = """<Channel code="HHZ" locationCode="" startDate="{}" endDate="{}"><Latitude>64</Latitude>
<Longitude>-21</Longitude><Elevation>0</Elevation><Depth>0</Depth><Azimuth>0</Azimuth><Dip>-90</Dip>
<SampleRate>100</SampleRate><Response><InstrumentSensitivity><Value>{}</Value><Frequency>1</Frequency><InputUnits>
<Name>M/S</Name></InputUnits><OutputUnits><Name>COUNTS</Name></OutputUnits></InstrumentSensitivity></Response></Channel>
"""


def test_the_sensitivity_is_that_of_the_time_of_each_sample(tmp_path):
    epochs = EPOCH.format("2019-01-01T00:00:00", START + 60, 2.0) + EPOCH.format(START + 60, "2021-01-01T00:00:00", 5.0)
    one = channel(100.0, 0, 120)
    one.data = np.concatenate([2.0 * one.data[:6000], 5.0 * one.data[6000:]])
    folder = write_files(tmp_path / "a", [one])
    (tmp_path / "stations.xml").write_text(INVENTORY.format(epochs))
    chunk = chunk_of(open_archive(folder, tmp_path / "stations.xml"), 20, 100)
    assert chunk.in_m_s == (True,)
    assert np.abs(difference(chunk)).max() < 0.01 * 2000
    assert read_inventory(str(tmp_path / "stations.xml"))[0][0].code == "AA"


def test_what_is_broken_or_left_out_is_named(tmp_path):
    folder = write_files(tmp_path / "a", [channel(100.0, 0, 120), channel(100.0, 0, 120, "XX.CC..HHZ")])
    channel(100.0, 50, 50.05, "XX.AA..HHN").write(str(folder / "short.mseed"), format="MSEED")
    channel(100.0, 0, 120, "XX.AA..LDI").write(str(folder / "pressure.mseed"), format="MSEED")
    (folder / "broken.mseed").write_bytes(b"nothing" * 100)
    archive = open_archive(folder, tmp_path / "stations.csv")
    said = "\n".join(archive.notes)
    for text in ("broken.mseed", "XX.CC", "XX.AA..LDI", "stations of the list without records: XX.BB"):
        assert text in said
    chunk = chunk_of(archive, 20, 100)
    assert chunk.usable[0, 0].all()
    assert not chunk.usable[0, 1].any()


def test_archives_that_cannot_be_used_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no such archive"):
        open_archive(tmp_path / "nowhere", tmp_path / "stations.csv")
    folder = write_files(tmp_path / "a", [channel(100.0, 0, 20, "XX.CC..HHZ")])
    with pytest.raises(ValueError, match="no station of the list has records"):
        open_archive(folder, tmp_path / "stations.csv")
    archive = open_archive(write_files(tmp_path / "b", [channel(100.0, 0, 20)]), tmp_path / "stations.csv")
    with pytest.raises(ValueError, match="no records from 2021"):
        chunks(archive, "2021-01-01")
    with pytest.raises(ValueError, match="'soon' is no time"):
        chunks(archive, "soon")


@pytest.mark.parametrize("offset_s", [0.0, 1020.0])
def test_intervals_share_no_instant_and_leave_none_out(offset_s):
    start, end = START.ns + 123, (START + 10_000).ns
    found = list(intervals(start, end, 3600.0, offset_s))
    assert found[0].start_ns == start
    assert found[-1].end_ns == end
    assert all(a.end_ns == b.start_ns for a, b in itertools.pairwise(found))
    assert all((UTCDateTime(ns=one.end_ns) - START - offset_s) % 3600 == 0 for one in found[:-1])


def test_the_hash_is_of_the_content(tmp_path):
    paths = [str(tmp_path / name) for name in "ab"]
    for path in paths:
        Stream([channel(100.0, 0, 5)]).write(path, format="MSEED")
    before = content_hash(paths)
    assert content_hash(paths[::-1]) == before
    Stream([channel(100.0, 0, 6)]).write(paths[0], format="MSEED")
    assert content_hash(paths) != before


def test_the_table_of_stations_is_the_one_beside(tmp_path):
    write_sds(tmp_path / "a", [channel(100.0, 0, 5)])
    assert (tmp_path / "stations.csv").read_text() == TABLE
