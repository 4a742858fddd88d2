"""Positions, sensor depths and gains of waveform files at the time of each window."""

from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from obspy import Trace, UTCDateTime
from obspy.core.inventory import Channel, Inventory, Network
from obspy.core.inventory import Station as ObspyStation
from obspy.core.inventory.response import InstrumentSensitivity, Response

from jaxloc.data.dataset import Station
from jaxloc.io.picks import read_picks
from jaxloc.io.seisbench import read_seisbench, write_seisbench
from jaxloc.io.waveforms import read_waveforms

TIMES = (UTCDateTime("2000-06-01"), UTCDateTime("2002-06-01"))
MOVE = UTCDateTime("2001-01-01")


def channel(code: str, latitude: float, start: UTCDateTime | None, end: UTCDateTime | None, **more) -> Channel:
    settings = {"location": "", "elevation": 100.0, "depth": 0.0, "gain": 1e9} | more
    total = InstrumentSensitivity(settings.pop("gain"), 1.0, "M/S", "COUNTS")
    place = settings.pop("location")
    return Channel(
        code, place, latitude, 15.0, settings["elevation"], settings["depth"],
        start_date=start, end_date=end, response=Response(instrument_sensitivity=total),
    )  # fmt: skip


def station(code: str, latitude: float, start: UTCDateTime | None, end: UTCDateTime | None, **more) -> ObspyStation:
    channels = [channel(f"HH{letter}", latitude, start, end, **more) for letter in "ZNE"]
    return ObspyStation(code, latitude, 15.0, 100.0, start_date=start, end_date=end, channels=channels)


def records(folder: Path) -> Path:
    """Two minutes of a sine at stations AA and BB at either time, 1,000 counts high."""
    folder.mkdir()
    wave = (1000 * np.sin(2 * np.pi * np.arange(2400) / 20)).astype(np.float32)
    for time in TIMES:
        for code in ("AA", "BB"):
            for letter in "ZNE":
                header = {"network": "XX", "station": code, "channel": f"HH{letter}"}
                one = Trace(wave, header | {"sampling_rate": 20.0, "starttime": time})
                one.write(str(folder / f"{code}{letter}{time.year}.mseed"), format="MSEED")
    return folder


def inventory(early: dict, late: dict, latitudes: tuple[float, float] = (40.0, 40.0)) -> Inventory:
    """AA changes at `MOVE`, BB does not."""
    return Inventory([Network("XX", [
        station("AA", latitudes[0], UTCDateTime(1999, 1, 1), MOVE, **early),
        station("AA", latitudes[1], MOVE, None, **late),
        station("BB", 40.2, None, None),
    ])], source="test")  # fmt: skip


def observed(folder: Path, source: Inventory, **more):
    windows = [time + 30 for time in TIMES]
    data = read_waveforms(folder, source, windows, rate_hz=20.0, num_samples=1200, **more)
    return data, data.take(np.arange(2)).observations


def test_each_window_has_the_positions_of_its_time(tmp_path: Path) -> None:
    data, seen = observed(records(tmp_path / "data"), inventory({}, {}, (40.0, 40.03)))
    moved_km = seen.station_km[1] - seen.station_km[0]
    np.testing.assert_allclose(moved_km, [[0, 3.331, 0], [0, 0, 0]], atol=2e-3)
    assert data.stations[0] == Station("XX.AA", 40.0, 15.0, 100.0)
    np.testing.assert_array_equal(seen.station_index, [[0, 1], [0, 1]])


def test_a_moved_station_is_that_of_training_only_before_it_moved(tmp_path: Path) -> None:
    trained = (Station("XX.BB", 40.2, 15.0, 100.0), Station("XX.AA", 40.0, 15.0, 100.0))
    source = inventory({}, {}, (40.0, 40.03))
    with pytest.warns(UserWarning, match=r"differ from those of training: XX.AA by 3.3 km"):
        data, seen = observed(records(tmp_path / "data"), source, stations=trained)
    assert [s.code for s in data.stations] == ["XX.BB", "XX.AA"]
    np.testing.assert_array_equal(seen.station_index, [[0, 1], [0, -1]])
    np.testing.assert_allclose((seen.station_km[1] - seen.station_km[0])[:, 1], [0, 3.331], atol=2e-3)
    with pytest.raises(ValueError, match=r"positions differ from those of training: XX.AA by 3.3 km"):
        observed(tmp_path / "data", source, stations=trained, unknown_stations="refuse")


@pytest.mark.parametrize(
    ("early", "late", "depth_km"),
    [
        ({"elevation": -1900.0, "depth": 2000.0}, {}, (1.9, -0.1)),  # as the standard has it: of the sensor
        ({"elevation": 100.0, "depth": 2000.0}, {"depth": 5.0}, (1.9, -0.095)),  # of the ground
    ],
)
def test_each_window_has_the_sensor_depth_of_its_time(
    early: dict, late: dict, depth_km: tuple[float, float], tmp_path: Path
) -> None:
    _, seen = observed(records(tmp_path / "data"), inventory(early, late))
    np.testing.assert_allclose(seen.station_km[:, 0, 2], depth_km, atol=1e-6)
    np.testing.assert_allclose(seen.station_km[:, 1, 2], -0.1, atol=1e-6)


def test_each_window_has_the_gain_of_its_time(tmp_path: Path) -> None:
    _, seen = observed(records(tmp_path / "data"), inventory({"gain": 1e9}, {"gain": 2.5e8}))
    assert seen.waveforms is not None
    np.testing.assert_allclose(seen.waveforms.max(-1), [[[1e-6] * 3] * 2, [[4e-6] * 3, [1e-6] * 3]], rtol=0.02)


def seisbench_folder(folder: Path, **second: float | str) -> Path:
    """Two events at stations AA, BB and CC; metadata of AA in the second event are changed."""
    rows = [
        {
            "trace_name": f"bucket0${3 * event + i},:3,:200",
            "source_id": f"e{event}",
            "station_code": code,
            "station_latitude_deg": 40.0 + i / 10,
            "station_longitude_deg": 15.0,
            "station_elevation_m": 100.0 * (i + 1),
        }
        for event in range(2)
        for i, code in enumerate(("AA", "BB", "CC"))
    ]
    table = pd.DataFrame(rows)
    for name, value in second.items():
        table[name] = table.get(name, 0.0)
        table.loc[3, name] = value
    folder.mkdir()
    table.to_csv(folder / "metadata.csv", index=False)
    with h5py.File(folder / "waveforms.hdf5", "w") as file:
        file["data/bucket0"] = np.random.default_rng(0).normal(size=(6, 3, 200)).astype(np.float32)
        file["data_format/sampling_rate"], file["data_format/component_order"] = 20.0, "ZNE"
    return folder


@pytest.mark.parametrize(
    ("second", "moved_km"),
    [
        ({}, [0, 0, 0]),
        ({"station_latitude_deg": 40.0001}, [0, 0, 0]),  # a resurvey, not a move
        ({"station_latitude_deg": 40.03}, [0, 3.331, 0]),
        ({"station_elevation_m": -1900.0}, [0, 0, 2.0]),
        ({"station_sensor_depth_m": 2000.0}, [0, 0, 2.0]),
    ],
)
def test_rows_of_a_seisbench_folder_have_positions_of_their_own(
    second: dict[str, float], moved_km: list[float], tmp_path: Path
) -> None:
    seen = read_seisbench(seisbench_folder(tmp_path / "toy", **second)).take(np.arange(2)).observations
    np.testing.assert_allclose(seen.station_km[1, 0] - seen.station_km[0, 0], moved_km, atol=2e-3)
    np.testing.assert_array_equal(seen.station_km[1, 1:], seen.station_km[0, 1:])


def test_positions_of_events_survive_writing(tmp_path: Path) -> None:
    first = read_seisbench(seisbench_folder(tmp_path / "toy", station_latitude_deg=40.03, station_elevation_m=-900.0))
    write_seisbench(tmp_path / "copy", first)
    again = read_seisbench(tmp_path / "copy", frame=first.frame)
    seen = [data.take(np.arange(2)).observations.station_km for data in (first, again)]
    np.testing.assert_allclose(seen[0], seen[1], atol=1e-3)
    np.testing.assert_allclose((seen[0][1] - seen[0][0])[0], [0, 3.331, 1.0], atol=2e-3)


def test_unknown_elevations_of_a_seisbench_folder(tmp_path: Path) -> None:
    folder = seisbench_folder(tmp_path / "toy", station_elevation_m=-9999.0)
    table = pd.read_csv(folder / "metadata.csv")
    table.loc[0, "station_elevation_m"] = -9999.0
    table.to_csv(folder / "metadata.csv", index=False)
    with pytest.warns(UserWarning, match=r"elevation unknown .* 250 m, the median of the others, is taken: station AA"):
        assert [s.elevation_m for s in read_seisbench(folder).stations] == [250.0, 200.0, 300.0]


def test_a_seisbench_station_at_null_island_is_refused(tmp_path: Path) -> None:
    folder = seisbench_folder(tmp_path / "toy", station_latitude_deg=0.0, station_longitude_deg=0.0)
    with pytest.raises(ValueError, match="station AA in the metadata is at 0 N 0 E"):
        read_seisbench(folder)


def test_picks_have_the_positions_of_their_time(tmp_path: Path) -> None:
    source = tmp_path / "stations.xml"
    inventory({}, {"elevation": -1900.0, "depth": 2000.0}, (40.0, 40.03)).write(str(source), format="STATIONXML")
    rows = [f"e{i},{code},P,{time + 10}" for i, time in enumerate(TIMES) for code in ("AA", "BB")]
    (tmp_path / "picks.csv").write_text("\n".join(["event_id,station,phase,time", *rows]))
    data = read_picks(tmp_path / "picks.csv", source).dataset
    assert [s.code for s in data.stations] == ["XX.AA", "XX.BB"]
    seen = data.take(np.arange(2)).observations
    moved_km = seen.station_km[1] - seen.station_km[0]
    np.testing.assert_allclose(moved_km, [[0, 3.331, 2.0], [0, 0, 0]], atol=2e-3)


def test_a_station_without_a_pick_may_be_of_unknown_position(tmp_path: Path) -> None:
    """Its epochs disagree and none covers the second event, at which it has no pick."""
    table = tmp_path / "stations.csv"
    table.write_text(
        "station,lat,lon,elevation_m,start,end\nAA,40,15,0,2000-01-01,2000-12-31\nAA,41,15,0,2003-01-01,\n"
        "BB,40.1,15,0,,\nCC,40.2,15,0,,\n"
    )
    rows = [f"e{i},{code},P,{time + 10}" for i, time in enumerate(TIMES) for code in ("AA" if i == 0 else "CC", "BB")]
    (tmp_path / "picks.csv").write_text("\n".join(["event_id,station,phase,time", *rows]))
    seen = read_picks(tmp_path / "picks.csv", table).dataset.take(np.arange(2)).observations
    np.testing.assert_array_equal(seen.station_mask, [[True, True, False], [False, True, True]])
    rows = [row.replace("CC", "AA") for row in rows]
    (tmp_path / "picks.csv").write_text("\n".join(["event_id,station,phase,time", *rows]))
    with pytest.raises(ValueError, match=r"AA has no epoch at 2002-06-01"):
        read_picks(tmp_path / "picks.csv", table)
