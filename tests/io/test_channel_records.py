"""Records that are split, late, incomplete, silent or damaged: miniSEED with a signal on a drift and an offset."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from obspy import Stream, Trace, UTCDateTime

from jaxloc.io.waveforms import read_waveforms
from jaxloc.types import Observations

START = UTCDateTime("2020-01-01T00:00:00")
TABLE = "network,station,latitude,longitude,elevation\nXX,AA,64.0,-21.0,100\nXX,BB,64.1,-21.2,250\n"
RATE_HZ, BAND_HZ = 100.0, (1.0, 8.0)
TIME_S = np.arange(6000) / RATE_HZ
NOISE = np.random.default_rng(0).normal(size=(3, 6000))
DRIFT = 5e4 + 3e3 * np.sin(2 * np.pi * TIME_S / 50 + 0.7)


def trace(code: str, data: np.ndarray, rate_hz: float, start: UTCDateTime = START) -> Trace:
    network, station, location, channel = code.split(".")
    header = dict(network=network, station=station, location=location, channel=channel)
    return Trace(data.astype(np.float32), header | dict(sampling_rate=rate_hz, starttime=start))


def wavelet(time_s: np.ndarray, peak_s: float = 30.0) -> np.ndarray:
    """A Ricker wavelet of 2 Hz with its peak at a time."""
    a = (np.pi * 2 * (time_s - peak_s)) ** 2
    return (1 - 2 * a) * np.exp(-a)


def write(folder: Path, traces: list[Trace]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder.parent / "stations.csv").write_text(TABLE)
    for i, one in enumerate(traces):
        one.write(str(folder / f"{i:02d}.mseed"), format="MSEED")
    return folder


def record(component: int) -> np.ndarray:
    return DRIFT + 100 * NOISE[component] + 2e3 * wavelet(TIME_S, 25.0 + component)


def whole(code: str = "XX.AA..HH") -> list[Trace]:
    return [trace(code + letter, record(i), RATE_HZ) for i, letter in enumerate("ZNE")]


def part(one: Trace, begin: int, end: int | None, late_s: float = 0.0) -> Trace:
    out = one.copy()
    out.data = one.data[begin:end]
    out.stats.starttime += begin / RATE_HZ + late_s
    return out


def take_one(records: Path | Stream, stations: Path | None = None, **options: object) -> Observations:
    defaults = dict(rate_hz=20.0, num_samples=600, bandpass_hz=BAND_HZ)
    table = records.parent / "stations.csv" if isinstance(records, Path) else stations
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = read_waveforms(records, table, [START + 15], **defaults | options)
        return data.take(np.array([0])).observations


SPLITS = {
    "two files": [(0, 2000), (2000, None)],
    "in the window's first second": [(0, 1550), (1550, None)],
    "four files": [(0, 1200), (1200, 2500), (2500, 2600), (2600, None)],
    "one sample twice": [(0, 2001), (2000, None)],
    "overlap": [(0, 3000), (2000, None)],
    "out of order": [(2000, None), (0, 2000)],
}


@pytest.mark.parametrize("split", SPLITS.values(), ids=SPLITS)
@pytest.mark.parametrize("band", [BAND_HZ, None])
def test_split_records_are_as_whole_ones(tmp_path: Path, split, band) -> None:
    expected = take_one(write(tmp_path / "whole", whole()), bandpass_hz=band)
    parts = [part(one, *span) for one in whole() for span in split]
    found = take_one(write(tmp_path / "parts", parts), bandpass_hz=band)
    np.testing.assert_allclose(found.waveforms, expected.waveforms, atol=1e-3)
    assert found.sample_mask[0, 0].all()


def at_half_the_rate(one: Trace) -> Trace:
    slow = part(one, 2000, None)
    slow.data, slow.stats.sampling_rate = slow.data[::2], RATE_HZ / 2
    return slow


@pytest.mark.parametrize(
    "rest", [lambda one: part(one, 2000, None, late_s=0.004), at_half_the_rate], ids=["late", "slow"]
)
def test_split_records_with_a_jump_in_sampling(tmp_path: Path, rest) -> None:
    """Files that meet between samples, or of another rate, join without a step that rings (the drift is 3,000)."""
    expected = take_one(write(tmp_path / "whole", whole()))
    parts = [part(one, 0, 2000) for one in whole()] + [rest(one) for one in whole()]
    found = take_one(write(tmp_path / "parts", parts))
    # A signal of 2 Hz and an amplitude of 2,000 that is 4 ms late differs by 100.
    assert np.abs(found.waveforms - expected.waveforms)[0, 0].max() < 150


def test_drift_does_not_ring(tmp_path: Path) -> None:
    drifting = [trace("XX.AA..HHZ", DRIFT + 1e3 * wavelet(TIME_S), RATE_HZ)]
    parts = [part(one, *span) for one in drifting for span in ((1500, 1650), (1650, None))]
    size = np.abs(take_one(write(tmp_path / "parts", parts)).waveforms[0, 0, 0])
    assert size[:200].max() < 0.01 * size[200:].max()


def gap(begin: int, end: int | None, fill: float | None):
    def change(one: Trace) -> list[Trace]:
        if fill is None:
            return [part(one, 0, begin)] + ([] if end is None else [part(one, end, None)])
        data = one.data.copy()
        data[begin:end] = fill
        return [Trace(data, one.stats)]

    return change


GAPS = {
    "gap": (gap(2400, 3000, None), (2400, 3000)),
    "zeros": (gap(2400, 3000, 0.0), (2400, 3000)),
    "code": (gap(2400, 3000, -(2.0**31)), (2400, 3000)),
    "early end": (gap(3500, None, None), (3500, 6000)),
    "zero tail": (gap(3500, None, 0.0), (3500, 6000)),
    "zero head": (gap(0, 2000, 0.0), (0, 2000)),
    "one sample": (gap(3000, 3001, None), (3000, 3001)),
}


@pytest.mark.parametrize(("change", "missing"), GAPS.values(), ids=GAPS)
@pytest.mark.parametrize("band", [BAND_HZ, None])
def test_missing_samples_are_masked_and_leave_the_rest(tmp_path: Path, change, missing, band) -> None:
    expected = take_one(write(tmp_path / "whole", whole()), bandpass_hz=band)
    found = take_one(write(tmp_path / "gaps", [piece for one in whole() for piece in change(one)]), bandpass_hz=band)
    at = 1500 + 5 * np.arange(600)
    lost = (at >= missing[0]) & (at < missing[1])
    np.testing.assert_array_equal(found.sample_mask[0, 0], ~lost)
    assert not found.waveforms[0, 0][:, lost].any()
    # Close to the gap the anti-aliasing filter reaches into it; after it, noise and drift (not the offset) settle.
    near = (at >= missing[0] - 50) & (at < missing[1] + 300)
    difference = found.waveforms[0, 0] - expected.waveforms[0, 0]
    difference -= difference[:, ~near].mean(-1, keepdims=True)
    assert np.abs(difference[:, ~near]).max() < 10
    if band is not None:
        assert np.abs(difference[:, near & ~lost]).max() < 1000


@pytest.mark.parametrize("missing", ["masked", "nan", "inf"])
def test_a_stream_with_missing_samples(tmp_path: Path, missing: str) -> None:
    """Masked arrays, as ObsPy's merge makes them, and values that are not finite are gaps like any other."""
    (tmp_path / "stations.csv").write_text(TABLE)
    stream = Stream(whole())
    for one in stream:
        if missing == "masked":
            one.data = np.ma.masked_array(one.data, (np.arange(6000) >= 2400) & (np.arange(6000) < 3000))
        else:
            one.data[2400:3000] = float(missing)
    found = take_one(stream, tmp_path / "stations.csv")
    expected = take_one(write(tmp_path / "gap", [p for one in whole() for p in gap(2400, 3000, None)(one)]))
    np.testing.assert_array_equal(found.sample_mask, expected.sample_mask)
    np.testing.assert_allclose(found.waveforms, expected.waveforms, atol=1e-2)


@pytest.mark.parametrize("late_s", [0.0, 0.024, 0.026, 0.0333, 0.049, 0.0001])
@pytest.mark.parametrize("native_hz", [20.0, 100.0])
def test_records_that_start_between_samples(tmp_path: Path, late_s: float, native_hz: float) -> None:
    """The peak is at 15 s of the window, to 1 ms, wherever the record's samples lie."""
    time_s = late_s + np.arange(int(60 * native_hz)) / native_hz
    traces = [trace(f"XX.AA..HH{letter}", wavelet(time_s), native_hz, START + late_s) for letter in "ZNE"]
    waveform = take_one(write(tmp_path / "late", traces), bandpass_hz=None).waveforms[0, 0, 0].astype(float)
    fine = np.fft.irfft(np.fft.rfft(waveform), 100 * len(waveform))  # a sample every 0.5 ms
    assert fine.argmax() / 2000 == pytest.approx(15.0, abs=1e-3)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (np.zeros(6000), "zero"),
        (np.full(6000, 250.0), "constant"),
        (1e-30 * NOISE[0], "too small"),
        (1e30 * NOISE[0], "too large"),
        (np.clip(NOISE[0], -0.3, 0.3), "clipped"),
    ],
)
def test_silent_stations_are_named(tmp_path: Path, data: np.ndarray, reason: str) -> None:
    silent = [trace(f"XX.BB..HH{letter}", data, RATE_HZ) for letter in "ZNE"]
    folder = write(tmp_path / "silent", whole() + silent)
    read = read_waveforms(folder, tmp_path / "stations.csv", [START + 15], num_samples=1000, bandpass_hz=BAND_HZ)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        seen = read.take(np.array([0])).observations
    messages = [str(w.message) for w in caught]
    assert messages == [f"window at 2020-01-01T00:00:15.000000Z: nothing from XX.BB (silent ({reason}))"]
    np.testing.assert_array_equal(seen.station_mask, [[True, False]])
    assert not seen.waveforms[0, 1].any()
    assert not seen.sample_mask[0, 1].any()


def test_stations_without_any_record_are_named(tmp_path: Path) -> None:
    folder = write(tmp_path / "one", whole())
    with pytest.warns(UserWarning, match="1 stations of the list have no record in the files: XX.BB"):
        read_waveforms(folder, tmp_path / "stations.csv", [START + 15], num_samples=1000)


@pytest.mark.parametrize("cut", [0.5003, 0.51])
def test_half_a_file_is_used_and_the_lost_stations_named(tmp_path: Path, cut: float) -> None:
    """One file of all stations that was truncated within a record: its first part is used, in our words alone."""
    folder = write(tmp_path / "all", [])
    traces = Stream([*whole(), *whole("XX.BB..HH")])
    traces.write(str(folder / "all.mseed"), format="MSEED", reclen=512)
    content = (folder / "all.mseed").read_bytes()
    (folder / "all.mseed").write_bytes(content[: int(len(content) * cut)])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        read = read_waveforms(folder, tmp_path / "stations.csv", [START + 15], num_samples=1000)
        seen = read.take(np.array([0])).observations
    assert seen.station_mask[0, 0]
    messages = [str(w.message) for w in caught]
    assert sum("all.mseed: " in message and "what could be read is used" in message for message in messages) == 1
    assert any("XX.BB" in message for message in messages) or seen.station_mask[0, 1]
    assert not any("obspy" in w.filename for w in caught)


@pytest.mark.parametrize("suffix", [".mseed", ".sac"])
def test_files_that_cannot_be_read_are_named(tmp_path: Path, suffix: str) -> None:
    folder = write(tmp_path / "some", whole())
    (folder / f"broken{suffix}").write_bytes(b"no waveforms here" * 40)
    (folder / "notes.txt").write_text("no waveforms here either")
    with pytest.warns(UserWarning, match=rf"broken\{suffix} cannot be read .*; it is left out"):
        data = read_waveforms(folder, tmp_path / "stations.csv", [START + 15], num_samples=1000)
    assert data.take(np.array([0])).observations.station_mask.all()
