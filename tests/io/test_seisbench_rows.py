"""Rows of a SeisBench folder that say something twice, too late, or what cannot be: the right values of each."""

import warnings
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from jaxloc.data.dataset import Dataset
from jaxloc.io.contributions import contributions
from jaxloc.io.seisbench import read_seisbench

RATE_HZ, LENGTH = 100.0, 4000
TIME_S = np.arange(LENGTH) / RATE_HZ
BASE = dict(
    source_id="ev1",
    source_origin_time="2020-01-01T00:00:05Z",
    source_latitude_deg=40.1,
    source_longitude_deg=15.1,
    source_depth_km=5.0,
    trace_start_time="2020-01-01T00:00:00Z",
    trace_sampling_rate_hz=RATE_HZ,
    station_network_code="XX",
    station_latitude_deg=40.0,
    station_longitude_deg=15.0,
    station_elevation_m=100.0,
)


def pulse(peak_s: float = 10.0, start_s: float = 0.0) -> np.ndarray:
    """Noise, and a pulse of 0.1 s with its peak at a time."""
    noise = np.random.default_rng(5).normal(size=(3, LENGTH))
    return 1000 * np.exp(-0.5 * ((TIME_S + start_s - peak_s) / 0.1) ** 2) + noise


def folder_of(path: Path, rows: list[dict[str, object]], traces: list[np.ndarray] | None = None) -> Path:
    """A folder of rows that differ from `BASE`, each with a trace of its own."""
    traces = [pulse() for _ in rows] if traces is None else traces
    table = pd.DataFrame([BASE | {"station_code": "S0", "trace_name": f"t{i}"} | row for i, row in enumerate(rows)])
    table.to_csv(path / "metadata.csv", index=False)
    with h5py.File(path / "waveforms.hdf5", "w") as file:
        for i, one in enumerate(traces):
            file[f"data/t{i}"] = one.astype(np.float32)
        file["data_format/component_order"] = "ZNE"
    return path


def read(path: Path, **options: object) -> Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return read_seisbench(path, **{"rate_hz": 20.0} | options)


P, S = "trace_p_arrival_sample", "trace_s_arrival_sample"


def test_p_and_s_in_two_rows(tmp_path: Path) -> None:
    data = read(folder_of(tmp_path, [{P: 1000.0}, {S: 1700.0, "trace_s_uncertainty_s": 0.3}]))
    seen, labels = data.take(np.array([0]))
    np.testing.assert_array_equal(labels["arrivals"].mask, [[[True, True]]])
    np.testing.assert_allclose(labels["arrivals"].value, [[[10.0, 17.0]]])
    np.testing.assert_allclose(seen.picks_s, [[[10.0, 17.0]]])
    np.testing.assert_allclose(seen.pick_sigma_s, [[[0.1, 0.3]]])


def test_rows_that_start_at_other_times(tmp_path: Path) -> None:
    """S in a row that starts 5 s later counts from the start of the event all the same."""
    late = {S: 1200.0, "trace_start_time": "2020-01-01T00:00:05Z"}
    labels = read(folder_of(tmp_path, [{P: 1000.0}, late])).take(np.array([0])).labels
    np.testing.assert_allclose(labels["arrivals"].value, [[[10.0, 17.0]]])


@pytest.mark.parametrize(
    ("traces", "rows", "used"),
    [
        ([np.zeros((3, LENGTH)), pulse()], [{}, {}], 1),
        ([np.full((3, LENGTH), 7.0), pulse()], [{}, {}], 1),
        ([1e-30 * pulse(), pulse()], [{}, {}], 1),
        ([pulse(), np.zeros((3, LENGTH))], [{}, {}], 0),
        ([pulse() * np.array([[1], [0], [0]]), 2 * pulse()], [{}, {}], 1),
        ([np.where(TIME_S < 20, pulse(), 0), 2 * pulse()], [{}, {}], 1),
        ([pulse(), 2 * pulse()], [{"station_location_code": "10"}, {"station_location_code": "00"}], 1),
        ([pulse(), 2 * pulse()], [{"trace_channel": "HN"}, {"trace_channel": "HH"}], 1),
        ([pulse(), 2 * pulse()], [{}, {}], 0),
    ],
    ids=["zero", "constant", "too small", "second zero", "vertical alone", "early end", "location", "sensor", "equal"],
)
def test_the_best_of_two_instruments_is_used(tmp_path: Path, traces, rows, used: int) -> None:
    rows = [row | {P: 1000.0, "trace_channel": row.get("trace_channel", "HH")} for row in rows]
    data = read(folder_of(tmp_path, rows, traces))
    found = data.take(np.array([0])).observations.waveforms
    alone = read(folder_of(tmp_path, rows[used : used + 1], traces[used : used + 1])).take(np.array([0])).observations
    np.testing.assert_array_equal(found, alone.waveforms)
    assert data.take(np.array([0])).labels["arrivals"].value[0, 0, 0] == pytest.approx(10.0)


DRIFT = 5e4 + 3e3 * np.sin(2 * np.pi * TIME_S / 50 + 0.7)


@pytest.mark.parametrize("spans", [[(0, 2000), (2000, 4000)], [(2000, 4000), (0, 2000)], [(0, 2500), (1500, 4000)]])
@pytest.mark.parametrize("band", [None, (1.0, 8.0)])
def test_rows_that_continue_a_record_are_joined(tmp_path: Path, spans, band) -> None:
    """On an offset of 50,000 and a drift of 3,000, two rows are as one."""
    record = DRIFT + pulse(20.0)
    whole = read(folder_of(tmp_path, [{P: 1000.0}], [record]), bandpass_hz=band).take(np.array([0]))
    starts = [f"2020-01-01T00:00:{begin / RATE_HZ:09.6f}Z" for begin, _ in spans]
    rows = [{"trace_start_time": start} for start in starts]
    rows[np.argmin(starts)][P] = 1000.0
    traces = [record[:, begin:end] for begin, end in spans]
    parts = read(folder_of(tmp_path, rows, traces), bandpass_hz=band).take(np.array([0]))
    np.testing.assert_allclose(parts.observations.waveforms, whole.observations.waveforms, atol=0.05)
    assert parts.observations.sample_mask.all()
    np.testing.assert_allclose(parts.labels["arrivals"].value, whole.labels["arrivals"].value)


def test_components_in_rows_of_their_own_are_joined(tmp_path: Path) -> None:
    record = pulse()
    rows = [{"trace_component_order": letter, "trace_channel": "HH"} for letter in "ZNE"]
    whole = read(folder_of(tmp_path, [{}], [record])).take(np.array([0])).observations
    found = read(folder_of(tmp_path, rows, [record[i : i + 1] for i in range(3)])).take(np.array([0])).observations
    np.testing.assert_allclose(found.waveforms, whole.waveforms, atol=1e-4)


def test_rows_that_disagree_are_named(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, [{P: 1000.0}, {P: 1100.0}])
    with pytest.warns(UserWarning, match="onsets more than 0.5 s apart .*ev1 XX.S0"):
        data = read_seisbench(folder)
    assert data.take(np.array([0])).labels["arrivals"].value[0, 0, 0] == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (dict(source_origin_time="2020-01-01T00:30:00Z", trace_start_time="2020-01-01T00:30:00Z",
              source_latitude_deg=40.5), "ev1 has rows whose origin times differ by 1795 s .* by 44 km"),
        (dict(source_origin_time="2020-01-01T00:00:25Z"), "differ by 20 s"),
        (dict(source_longitude_deg=15.6), "differ by 43 km"),
        (dict(source_longitude_deg=15.6, source_origin_time=""), "differ by 43 km"),
    ],
)  # fmt: skip
def test_one_id_for_two_events_is_refused(tmp_path: Path, other, message: str) -> None:
    folder = folder_of(tmp_path, [{}, {"station_code": "S1"} | other])
    with pytest.raises(ValueError, match=message):
        read_seisbench(folder)


def test_rows_of_one_event_may_differ_a_little(tmp_path: Path) -> None:
    other = dict(station_code="S1", source_latitude_deg=40.11, source_origin_time="2020-01-01T00:00:05.4Z")
    assert len(read(folder_of(tmp_path, [{}, other]))) == 1


@pytest.mark.parametrize(
    ("p", "s", "known", "message"),
    [
        (1700.0, 1000.0, [False, False], "S before P"),
        (1000.0, 1000.0, [True, False], "S equal to P"),
        (0.0, 0.0, [False, False], "outside its trace"),
        (-1.0, -1.0, [False, False], "outside its trace"),
        (1000.0, 99999.0, [True, False], "outside its trace"),
        (-5.0, 1700.0, [False, True], "outside its trace"),
        (4000.0, np.nan, [False, False], "outside its trace"),
        (1000.0, 1700.0, [True, True], None),
        (np.nan, np.nan, [False, False], None),
        (0.5, 3999.0, [True, True], None),
    ],
)
@pytest.mark.parametrize("picks", [None, {"P": "trace_auto_p", "S": "trace_auto_s"}])
def test_impossible_onsets_are_left_out_by_name(tmp_path: Path, p, s, known, message, picks) -> None:
    columns = {"P": P, "S": S} if picks is None else picks
    folder = folder_of(tmp_path, [{columns["P"]: p, columns["S"]: s}, {"station_code": "S1"}])
    options = {} if picks is None else {"pick_columns": picks}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        seen, labels = read_seisbench(folder, **options).take(np.array([0]))
    mask = labels["arrivals"].mask if picks is None else seen.pick_mask
    np.testing.assert_array_equal(mask[0, 0], known)
    messages = [str(w.message) for w in caught if "impossible" in str(w.message)]
    assert [("ev1 XX.S0" in text and message in text) for text in messages] == [True] * (message is not None)


@pytest.mark.parametrize("late_s", [0.0, 0.024, 0.026, 0.0333, 0.049, 0.001])
@pytest.mark.parametrize("native_hz", [20.0, 100.0])
def test_traces_that_start_between_samples(tmp_path: Path, late_s: float, native_hz: float) -> None:
    """The peak lies where the label says, to 1 ms, whether or not the trace is resampled."""
    time_s = np.arange(int(40 * native_hz)) / native_hz
    traces = [np.tile(np.exp(-0.5 * ((time_s - 10.0) / 0.15) ** 2), (3, 1)) for _ in range(2)]
    start = f"2020-01-01T00:00:00.{round(late_s * 1e6):06d}Z"
    rows = [{}, {"station_code": "S1", "trace_start_time": start}]
    rows = [row | {P: 10.0 * native_hz, "trace_sampling_rate_hz": native_hz} for row in rows]
    seen, labels = read(folder_of(tmp_path, rows, traces)).take(np.array([0]))
    np.testing.assert_allclose(labels["arrivals"].value[0, :, 0], [10.0, 10.0 + late_s], atol=1e-5)
    for station, peak_s in ((0, 10.0), (1, 10.0 + late_s)):
        waveform = seen.waveforms[0, station, 0].astype(float)
        fine = np.fft.irfft(np.fft.rfft(waveform), 100 * len(waveform))
        assert fine.argmax() / 2000 == pytest.approx(peak_s, abs=1e-3)


@pytest.mark.parametrize(
    ("change", "recorded"),
    [
        (lambda x: x, [(0, 800)]),
        (lambda x: np.where(TIME_S < 25, x, 0), [(0, 500)]),
        (lambda x: np.where(TIME_S < 25, x, x[:, 2499:2500]), [(0, 500)]),
        (lambda x: np.where(TIME_S < 5, 0, x), [(100, 800)]),
        (lambda x: np.where((TIME_S >= 15) & (TIME_S < 20), np.nan, x), [(0, 300), (400, 800)]),
        (lambda x: np.where((TIME_S >= 15) & (TIME_S < 20), 0, x), [(0, 300), (400, 800)]),
    ],
    ids=["whole", "zero tail", "held tail", "zero head", "nan", "zero gap"],
)
def test_samples_that_were_not_recorded(tmp_path: Path, change, recorded) -> None:
    """On an offset of 50,000: what is missing is masked and zero, and the rest has the mean of the rest."""
    offset = 5e4 + pulse()
    rows = [{"station_code": "S0"}, {"station_code": "S1"}]
    data = read(folder_of(tmp_path, rows, [change(offset), offset]), bandpass_hz=(1.0, 8.0))
    seen = data.take(np.array([0])).observations
    expected = np.zeros(800, bool)
    for begin, end in recorded:
        expected[begin:end] = True
    # The last sample before a gap and the first after it need recorded neighbours.
    agree = seen.sample_mask[0, 0] == expected
    assert agree.mean() > 0.99
    assert not seen.waveforms[0, 0][:, ~seen.sample_mask[0, 0]].any()
    assert seen.sample_mask[0, 1].all()
    # No step of 50,000 anywhere: the largest sample is that of the pulse.
    assert np.abs(seen.waveforms[0, 0]).max() == pytest.approx(np.abs(seen.waveforms[0, 1]).max(), rel=0.02)


def test_padding_and_silent_rows_are_masked(tmp_path: Path) -> None:
    rows = [{}, {"station_code": "S1", "trace_npts": 2000}, {"station_code": "S2"}]
    folder = folder_of(tmp_path, rows, [pulse(), pulse(), np.zeros((3, LENGTH))])
    data = read_seisbench(folder, rate_hz=20.0, num_samples=1000)
    with pytest.warns(UserWarning, match=r"1 of 3 rows have no signal \(1 silent \(zero\)\): ev1 XX.S2"):
        mask = data.take(np.array([0])).observations.sample_mask[0]
    np.testing.assert_array_equal(mask.sum(-1), [800, 400, 0])
    found = contributions(data, 0)
    assert [one.reason for one in found] == ["20% not recorded", "60% not recorded", "silent (zero)"]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1577836800.024", 0.024),
        ("1.577836800024e9", 0.024),
        ("2020-01-01T00:00:00.024Z", 0.024),
        ("2020/01/01 00:00:00.024", 0.024),
        ("2020-01-01 01:00:00.024+01:00", 0.024),
    ],
)
def test_times_keep_their_precision(tmp_path: Path, text: str, seconds: float) -> None:
    """An origin time in s since 1970 would be off by up to 64 s in single precision."""
    rows = [{"source_origin_time": "1577836805.3217", "trace_start_time": text}]
    data = read(folder_of(tmp_path, rows))
    origin_s = data.take(np.array([0])).labels["hypocentre"].value[0, 3]
    assert origin_s == pytest.approx(5.3217 - seconds, abs=1e-5)
    assert data.events[0].origin == "2020-01-01T00:00:05.321700Z"


@pytest.mark.parametrize(
    ("column", "value", "known"),
    [("source_depth_km", -9999.0, [True, True, False, True]), ("source_depth_km", 9999.0, [True, True, False, True])],
)
def test_stand_in_values_are_unknown(tmp_path: Path, column: str, value: float, known) -> None:
    folder = folder_of(tmp_path, [{column: value}])
    with pytest.warns(UserWarning, match=f"{column} is {value:g}"):
        data = read_seisbench(folder)
    np.testing.assert_array_equal(data.take(np.array([0])).labels["hypocentre"].mask[0], known)


def test_an_epicentre_at_zero_and_an_elevation_code_are_unknown(tmp_path: Path) -> None:
    rows = [{"source_latitude_deg": 0.0, "source_longitude_deg": 0.0, "station_elevation_m": -9999.0}]
    with pytest.warns(UserWarning, match="exactly 0, 0"):
        data = read_seisbench(folder_of(tmp_path, rows))
    np.testing.assert_array_equal(data.take(np.array([0])).labels["hypocentre"].mask[0], [False, False, True, True])
    assert data.stations[0].elevation_m == 0


@pytest.mark.parametrize(("order", "places"), [("321", [0, 2, 1]), ("Z12", [0, 1, 2]), ("ZXY", [0, 2, 1])])
def test_letters_of_components(tmp_path: Path, order: str, places) -> None:
    one = np.array([[1.0], [2.0], [3.0]]) * pulse()
    data = read(folder_of(tmp_path, [{"trace_component_order": order}], [one]), rate_hz=None)
    expected = np.zeros((3, LENGTH))
    expected[places] = one - one.mean(-1, keepdims=True)
    np.testing.assert_allclose(data.take(np.array([0])).observations.waveforms[0, 0], expected, rtol=1e-4, atol=1e-3)
