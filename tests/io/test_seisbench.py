"""SeisBench folders: toy folders whose every number is known, round trips, refusals, and the real folders."""

import os
import time
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from jaxloc.data.dataset import Dataset, Station
from jaxloc.geometry import Frame, to_km
from jaxloc.io.hdf5 import parse_name
from jaxloc.io.seisbench import read_seisbench, write_seisbench

RATE_HZ, LENGTH = 50.0, 400
STATIONS = {
    "AA": ("NA", 64.00, -21.00, 100.0),
    "BB": ("XX", 64.10, -21.20, 250.0),
    "CC": ("XX", 63.95, -21.30, 0.0),
}


def toy_table() -> pd.DataFrame:
    """Three events; the last lacks station CC, and BB of the second starts half a second late."""
    rows = []
    for e, codes in enumerate((("AA", "BB", "CC"), ("AA", "BB", "CC"), ("BB", "AA"))):
        for code in codes:
            network, latitude, longitude, elevation = STATIONS[code]
            late = 0.5 if (e, code) == (1, "BB") else 0.0
            rows.append(
                dict(
                    trace_start_time=f"2020-01-0{e + 1}T00:00:0{late:.1f}Z",
                    source_id=f"{e}00000000000000001",
                    source_origin_time=f"2020-01-0{e + 1}T00:00:02.25Z",
                    source_latitude_deg=64.05,
                    source_longitude_deg=-21.1,
                    source_depth_km=5.0 + e,
                    source_magnitude=[1.5, np.nan, 2.5][e],
                    station_network_code=network,
                    station_code=code,
                    station_latitude_deg=latitude,
                    station_longitude_deg=longitude,
                    station_elevation_m=elevation,
                    trace_p_arrival_sample=100.0 + e,
                    trace_s_arrival_sample=np.nan if code == "AA" else 180.0,
                    trace_p_uncertainty_s=0.05 if code == "AA" else np.nan,
                    split=["train", "train", "dev"][e],
                )
            )
    return pd.DataFrame(rows)


def toy_traces(num: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(num, 3, LENGTH)).astype(np.float32)


def write_toy(folder: Path, table: pd.DataFrame, traces: np.ndarray, suffix: str = "", **fmt: object) -> None:
    """A folder as SeisBench writes it: one bucket, all names in the long form unless given."""
    folder.mkdir(exist_ok=True)
    if "trace_name" not in table:
        names = [f"bucket0${i},:3,:{traces.shape[-1]}" for i in range(len(table))]
        table = table.assign(trace_name=names)
    table.to_csv(folder / f"metadata{suffix}.csv", index=False)
    with h5py.File(folder / f"waveforms{suffix}.hdf5", "w") as file:
        file["data/bucket0"] = traces
        for key, value in fmt.items():
            file[f"data_format/{key}"] = value


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    write_toy(tmp_path / "toy", toy_table(), toy_traces(8), sampling_rate=RATE_HZ, component_order="ZNE")
    return tmp_path / "toy"


def test_every_number(toy: Path) -> None:
    data = read_seisbench(toy, remove_mean=False)
    traces = toy_traces(8)
    assert [s.code for s in data.stations] == ["NA.AA", "XX.BB", "XX.CC"]
    assert (len(data), data.rate_hz, data.num_samples) == (3, RATE_HZ, LENGTH + 25)
    assert [e.split for e in data.events] == ["train", "train", "dev"]
    assert data.events[0].id == "000000000000000001"
    assert data.events[1].magnitude is None
    seen, labels = data.take(np.array([2, 1]))
    np.testing.assert_array_equal(seen.station_mask, [[True, True, False], [True, True, True]])
    np.testing.assert_array_equal(seen.waveforms[0, 1, :, :LENGTH], traces[6])
    np.testing.assert_array_equal(seen.waveforms[0, 0, :, :LENGTH], traces[7])
    assert not seen.waveforms[0, 2].any()
    assert not seen.waveforms[:, :, :, LENGTH:][0].any()
    # BB of the second event starts half a second, 25 samples, after the others.
    np.testing.assert_array_equal(seen.waveforms[1, 1, :, 25:], traces[4])
    assert not seen.waveforms[1, 1, :, :25].any()
    value, mask = labels["hypocentre"]
    np.testing.assert_allclose(value[:, 2:], [[7, 2.25], [6, 2.25]], atol=1e-5)
    assert mask.all()
    east, north = to_km(data.frame, np.array(64.05), np.array(-21.1))
    np.testing.assert_allclose(value[0, :2], [east, north], atol=1e-4)
    np.testing.assert_allclose(seen.station_km[0, :, 2], [-0.1, -0.25, 0.0])
    np.testing.assert_array_equal(labels["magnitude"].mask, [True, False])
    np.testing.assert_allclose(labels["arrivals"].value[:, 1, 0], [102 / 50, 101 / 50 + 0.5], atol=1e-6)
    np.testing.assert_array_equal(labels["arrivals"].mask[0], [[True, False], [True, True], [False, False]])
    np.testing.assert_allclose(seen.pick_sigma_s[1, :, 0], [0.05, 0.1, 0.1])
    np.testing.assert_array_equal(seen.picks_s, labels["arrivals"].value)


def test_split_keeps_all_stations(toy: Path) -> None:
    dev = read_seisbench(toy, split="dev")
    assert len(dev) == 1
    assert len(dev.stations) == 3


def test_some_events_alone_have_their_own_stations_and_frame(toy: Path) -> None:
    whole = read_seisbench(toy)
    name = whole.events[-1].id
    one = read_seisbench(toy, events=[name])
    assert [event.id for event in one.events] == [name]
    recorded = whole.take(np.array([len(whole) - 1])).observations.station_mask[0]
    assert [s.code for s in one.stations] == [
        s.code for s, there in zip(whole.stations, recorded, strict=True) if there
    ]
    with pytest.raises(ValueError, match="no event 'nowhere' in the data set; its events are 0"):
        read_seisbench(toy, events=[name, "nowhere"])


@pytest.mark.parametrize("index", [np.array([2, 0]), np.arange(3), np.array([1])])
def test_streaming_gives_the_same_events_as_memory(toy: Path, index) -> None:
    options = dict(rate_hz=25.0, bandpass_hz=(1.0, 10.0), num_samples=180)
    memory, disk = (read_seisbench(toy, memory_mb=mb, **options) for mb in (100, 0))
    a, b = memory.take(index), disk.take(index)
    np.testing.assert_allclose(a.observations.waveforms, b.observations.waveforms, atol=1e-6)
    assert a.observations.waveforms.shape == (len(index), 3, 3, 180)


def test_trained_stations_come_first(toy: Path) -> None:
    given = (
        Station("XX.CC", 63.95, -21.30, 0.0),
        Station("XX.ZZ", 64.0, -21.1, 10.0),
        Station("NA.AA", 64.0, -21.0, 100.0),
    )
    data = read_seisbench(toy, stations=given, frame=Frame(64.0, -21.0))
    assert [s.code for s in data.stations] == ["XX.CC", "XX.ZZ", "NA.AA", "XX.BB"]
    seen = data.take(np.array([0])).observations
    np.testing.assert_array_equal(seen.station_index[0], [0, 1, 2, -1])
    np.testing.assert_array_equal(seen.station_mask[0], [True, False, True, True])
    np.testing.assert_allclose(seen.station_km[0, 2], [0, 0, -0.1], atol=1e-6)
    with pytest.raises(ValueError, match=r"XX.BB"):
        read_seisbench(toy, stations=given, unknown_stations="refuse")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("bucket0$12,:3,:6000", ("bucket0", (12, slice(None, 3), slice(None, 6000)))),
        ("bucket0$12", ("bucket0", (12,))),
        ("year/trace", ("year/trace", ())),
    ],
)
def test_names_of_blocks(name: str, expected) -> None:
    assert parse_name(name) == expected


@pytest.mark.parametrize("form", ["bucket0${i}", "bucket0${i},:3", "bucket0${i},0:3,:", "bucket0$ {i}, :3, :400"])
def test_short_forms(toy: Path, form: str) -> None:
    table = pd.read_csv(toy / "metadata.csv", dtype=str, keep_default_na=False)
    table["trace_name"] = [form.replace("{i}", str(i)) for i in range(len(table))]
    expected = read_seisbench(toy).take(np.arange(3)).observations.waveforms
    table.to_csv(toy / "metadata.csv", index=False)
    np.testing.assert_array_equal(read_seisbench(toy).take(np.arange(3)).observations.waveforms, expected)


def test_traces_of_their_own_and_subgroups(toy: Path) -> None:
    expected = read_seisbench(toy).take(np.arange(3)).observations.waveforms
    table = pd.read_csv(toy / "metadata.csv", dtype=str, keep_default_na=False)
    table["trace_name"] = [f"part/trace{i}" for i in range(len(table))]
    table.to_csv(toy / "metadata.csv", index=False)
    with h5py.File(toy / "waveforms.hdf5", "a") as file:
        for i, trace in enumerate(toy_traces(8)):
            file[f"data/part/trace{i}"] = trace
    np.testing.assert_array_equal(read_seisbench(toy).take(np.arange(3)).observations.waveforms, expected)


def test_orders_gains_and_missing_components(tmp_path: Path) -> None:
    table = (
        toy_table()
        .iloc[:2]
        .assign(
            trace_component_order=["EZN", "Z"],
            trace_gain_z=[2.0, 3.0],
            trace_gain_n=[5.0, 1.0],
            trace_gain_e=[7.0, 1.0],
        )
    )
    counts = np.arange(2 * LENGTH * 3, dtype=np.int16).reshape(2, LENGTH, 3)
    write_toy(
        tmp_path / "t",
        table.assign(trace_name=["bucket0$0", "bucket0$1,:,:1"]),
        counts,
        sampling_rate=RATE_HZ,
        dimension_order="NWC",
    )
    waveforms = read_seisbench(tmp_path / "t", remove_mean=False).take(np.array([0])).observations.waveforms[0]
    np.testing.assert_array_equal(waveforms[0, 0], 2.0 * counts[0, :, 1])
    np.testing.assert_array_equal(waveforms[0, 1], 5.0 * counts[0, :, 2])
    np.testing.assert_array_equal(waveforms[0, 2], 7.0 * counts[0, :, 0])
    np.testing.assert_array_equal(waveforms[1, 0], 3.0 * counts[1, :, 0])
    assert not waveforms[1, 1:].any()


def test_chunks_and_no_format_group(toy: Path, tmp_path: Path) -> None:
    table, traces = toy_table().assign(trace_dt_s=1 / RATE_HZ), toy_traces(8)
    folder = tmp_path / "chunked"
    write_toy(folder, table.iloc[:4], traces[:4], "_a")
    write_toy(folder, table.iloc[4:], traces[4:], "_b")
    (folder / "chunks").write_text("_a\n_b\n")
    whole, parts = read_seisbench(toy), read_seisbench(folder)
    assert whole.stations == parts.stations
    assert whole.events == parts.events
    np.testing.assert_array_equal(
        whole.take(np.arange(3)).observations.waveforms, parts.take(np.arange(3)).observations.waveforms
    )


@pytest.mark.parametrize(("columns", "events"), [(["source_id"], 3), (["source_id", "source_origin_time"], 8)])
def test_grouping_without_source_id(toy: Path, columns: list[str], events: int) -> None:
    table = pd.read_csv(toy / "metadata.csv")
    table.drop(columns=columns).to_csv(toy / "metadata.csv", index=False)
    assert len(read_seisbench(toy)) == events


def test_dead_and_broken_samples(toy: Path) -> None:
    with h5py.File(toy / "waveforms.hdf5", "a") as file:
        bucket = file["data/bucket0"]
        bucket[0] = 7.0
        bucket[1] = np.nan
        bucket[2, 0, :10] = np.inf
    seen, labels = read_seisbench(toy).take(np.array([0]))
    np.testing.assert_array_equal(seen.station_mask[0], [False, False, True])
    assert np.isfinite(seen.waveforms).all()
    assert not labels["arrivals"].mask[0, :2].any()


def test_each_row_its_rate(toy: Path) -> None:
    """A 2 Hz sine at 100 Hz and at 50 Hz must come out as one sine at 40 Hz, onsets in the same seconds."""
    table = toy_table().iloc[:2]
    time_s = np.arange(LENGTH) / np.array([[100.0], [50.0]])
    traces = np.broadcast_to(np.sin(4 * np.pi * time_s)[:, None], (2, 3, LENGTH))
    write_toy(toy, table.assign(trace_sampling_rate_hz=[100.0, 50.0]), traces)
    data = read_seisbench(toy, rate_hz=40.0)
    seen, labels = data.take(np.array([0]))
    assert data.num_samples == 320
    expected = np.sin(4 * np.pi * np.arange(320) / 40)
    np.testing.assert_allclose(seen.waveforms[0, 1, 0, 20:-20], expected[20:-20], atol=0.01)
    np.testing.assert_allclose(seen.waveforms[0, 0, 0, 20:140], expected[20:140], atol=0.01)
    np.testing.assert_allclose(labels["arrivals"].value[0, :, 0], [1.0, 2.0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns=["station_code", "station_latitude_deg"]), "station_code, station_lat"),
        (lambda t: t.iloc[:0], "must have at least one row"),
        (lambda t: t.assign(station_latitude_deg=np.nan), "NA.AA lacks latitude"),
        (lambda t: t.assign(source_latitude_deg=-121.1, source_longitude_deg=64.05), "swapped"),
        (lambda t: t.assign(source_latitude_deg=-21.1, source_longitude_deg=64.05), "from the centre.*swapped"),
        (lambda t: t.assign(source_depth_km="deep"), "source_depth_km must have numbers or be empty, got 'deep'"),
        (lambda t: t.assign(trace_start_time="yesterday morning"), "must have times in ISO 8601, got 'yesterday"),
        (lambda t: t.iloc[[0, 4]].assign(source_id="1"), "starts 86400 s after"),
        (lambda t: t.assign(station_code="AA", station_network_code=""), "AA has positions more than 5 km"),
        (lambda t: t.assign(trace_sampling_rate_hz=-1.0), "must have a sampling rate"),
    ],
)  # fmt: skip
def test_refuses(toy: Path, change, message: str) -> None:
    table = pd.read_csv(toy / "metadata.csv", dtype={"source_id": str}, keep_default_na=False)
    change(table).to_csv(toy / "metadata.csv", index=False)
    with pytest.raises(ValueError, match=message):
        read_seisbench(toy)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda tmp_path, toy: read_seisbench(tmp_path / "nowhere"), "no such folder"),
        (lambda tmp_path, toy: read_seisbench(toy, bandpass_hz=(1.0, 30.0)), "bandpass_hz"),
        (lambda tmp_path, toy: read_seisbench(toy, pick_columns={"P": "my_column"}), "my_column"),
        (lambda tmp_path, toy: read_seisbench(toy).take(np.array([3])), r"0..2"),
        (lambda tmp_path, toy: read_seisbench(toy, rate_hz=0), "rate_hz"),
        (lambda tmp_path, toy: read_seisbench(toy, num_samples=0), "num_samples"),
        (lambda tmp_path, toy: read_seisbench(toy, split="test"), r"'test'.*'dev', 'train'"),
        (lambda tmp_path, toy: parse_name("bucket0$twelve"), "bucket0"),
    ],
)
def test_refuses_arguments(toy: Path, tmp_path: Path, action, message) -> None:
    with pytest.raises(ValueError, match=message):
        action(tmp_path, toy)


@pytest.mark.parametrize(
    ("damage", "message"),
    [(lambda path: path.write_bytes(path.read_bytes()[:3000]), "truncated"), (Path.unlink, "no waveform file")],
)
def test_truncated_and_missing_files_are_named(toy: Path, damage, message: str) -> None:
    damage(toy / "waveforms.hdf5")
    with pytest.raises(ValueError, match=message):
        read_seisbench(toy)


def test_split_that_cuts_an_event(toy: Path) -> None:
    table = pd.read_csv(toy / "metadata.csv", dtype={"source_id": str}, keep_default_na=False)
    table.loc[0, "split"] = "dev"
    table.to_csv(toy / "metadata.csv", index=False)
    with pytest.raises(ValueError, match=r"000000000000000001.*must be in one split"):
        read_seisbench(toy, split="train")


def test_two_traces_of_a_station(toy: Path) -> None:
    table = pd.read_csv(toy / "metadata.csv", dtype=str, keep_default_na=False)
    pd.concat([table, table.iloc[:1]]).to_csv(toy / "metadata.csv", index=False)
    with pytest.warns(UserWarning, match="1 traces share event and station"):
        read_seisbench(toy)


def test_round_trip(toy: Path, tmp_path: Path) -> None:
    first = read_seisbench(toy)
    write_seisbench(tmp_path / "copy", first)
    columns = {"P": "trace_pick_p_arrival_sample", "S": "trace_pick_s_arrival_sample"}
    second = read_seisbench(tmp_path / "copy", frame=first.frame, pick_columns=columns, remove_mean=False)
    assert second.stations == first.stations
    assert {e.id: e.split for e in second.events} == {e.id: e.split for e in first.events}
    order = np.array([[e.id for e in first.events].index(e.id) for e in second.events])
    a, b = first.take(order), second.take(np.arange(3))
    for name, x in a.observations._asdict().items():
        if x is None:
            assert getattr(b.observations, name) is None
        else:
            np.testing.assert_allclose(x, getattr(b.observations, name), atol=2e-6, err_msg=name)
    for name, label in a.labels.items():
        np.testing.assert_array_equal(label.mask, b.labels[name].mask)
        np.testing.assert_allclose(label.value, b.labels[name].value, atol=1e-5, err_msg=name)


def test_written_folder_keeps_to_the_format(toy: Path, tmp_path: Path) -> None:
    data = read_seisbench(toy)
    write_seisbench(tmp_path / "copy", data, split_of=lambda event: "test")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "toy"]
    table = pd.read_csv(tmp_path / "copy" / "metadata.csv", keep_default_na=False)
    assert set(table["split"]) == {"test"}
    assert list(table["station_network_code"][:1]) == ["NA"]
    with h5py.File(tmp_path / "copy" / "waveforms.hdf5") as file:
        fmt = {key: file["data_format"][key][()] for key in file["data_format"]}
        assert (fmt["component_order"], fmt["dimension_order"], fmt["unit"]) == (b"ZNE", b"CW", b"mps")
        assert fmt["sampling_rate"] == RATE_HZ
        block, (row, *rest) = parse_name(table["trace_name"][5])
        assert file[f"data/{block}"][(row, *rest)].shape == (3, data.num_samples)
    with pytest.raises(ValueError, match="exists already"):
        write_seisbench(tmp_path / "copy", data)


def test_nothing_left_when_writing_fails(toy: Path, tmp_path: Path) -> None:
    data = read_seisbench(toy)

    def fail(index: np.ndarray) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_seisbench(tmp_path / "copy", Dataset(*tuple(data)[:-1], fail))
    assert [path.name for path in tmp_path.iterdir()] == ["toy"]


DATA = Path(os.environ.get("JAXLOC_DATA", Path(__file__).parents[3] / "shared" / "data"))
REAL = {  # events, stations, samples, share of live traces, share of known origin times
    "oklahoma": (250, 30, 1280, 0.9932, 0.0),
    "telica": (280, 4, 4000, 0.9071, 1.0),
    "iceland_vt": (27, 12, 3252, 1.0, 1.0),
    "chile_pb01": (100, 1, 1200, 1.0, 0.0),
    "ncedc_single_station": (100, 82, 12000, 1 / 82, 1.0),
}


@pytest.mark.parametrize("name", REAL)
def test_real_folders(name: str) -> None:
    if not (DATA / name).is_dir():
        pytest.skip(f"no real data at {DATA / name}; set JAXLOC_DATA")
    begin = time.perf_counter()
    data = read_seisbench(DATA / name)
    some = np.arange(20) if name == "ncedc_single_station" else np.arange(len(data))
    seen, labels = data.take(some)
    assert time.perf_counter() - begin < 30
    live, timed = seen.station_mask.mean(), labels["hypocentre"].mask[:, 3].mean()
    assert (len(data), len(data.stations), data.num_samples) == REAL[name][:3]
    np.testing.assert_allclose([live, timed], REAL[name][3:], atol=1e-4)
    assert np.isfinite(seen.waveforms).all()
    km = np.linalg.norm(labels["hypocentre"].value[:, None, :3] - seen.station_km, axis=-1)
    onset, known = labels["arrivals"]
    if timed:  # apparent P speed of a real earthquake from its catalogue hypocentre
        travel_s = onset[..., 0] - labels["hypocentre"].value[:, None, 3]
        speed = np.median((km / travel_s)[known[..., 0]])
        assert 3.5 < speed < 8.5, speed


def test_oklahoma_automatic_picks() -> None:
    if not (DATA / "oklahoma").is_dir():
        pytest.skip(f"no real data at {DATA / 'oklahoma'}; set JAXLOC_DATA")
    data = read_seisbench(DATA / "oklahoma", split="dev", pick_columns={"P": "trace_auto_p_arrival_sample"})
    seen = data.take(np.arange(len(data))).observations
    assert len(data) == 50
    assert seen.pick_mask[..., 0].mean() > 0.95
    assert not seen.pick_mask[..., 1].any()
    assert data.stations[0].position_sd_km > 0
