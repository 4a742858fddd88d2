"""Station lists: tables of many programs, StationXML with epochs and deep sensors, unknown values, moved stations."""

import gzip
import warnings
from pathlib import Path

import numpy as np
import pytest
from obspy import Inventory, UTCDateTime
from obspy.core.inventory import Channel, Network
from obspy.core.inventory import Station as ObspyStation
from obspy.core.inventory.response import InstrumentSensitivity, Response

from jaxloc.data.dataset import Station
from jaxloc.geometry import Frame, to_degrees
from jaxloc.io.station_checks import check_isolated, checked, refuse_mistaken, refuse_wide
from jaxloc.io.station_epochs import Epoch, positions_at
from jaxloc.io.station_inventory import channels_by_id, sensitivity_at, sensor_elevation_m
from jaxloc.io.stations import is_same_station, join_stations, read_epochs, read_stations, recognised

EARLY, MOVE, LATE = UTCDateTime("2000-01-01"), UTCDateTime("2001-01-01"), UTCDateTime("2002-01-01")


@pytest.mark.parametrize(
    "text",
    [
        "XX.AA,64.0,-21.0,100.0,5.\n",
        "net\tsta\tlat\tlng\telv(m)\nXX\tAA\t64.0\t-21.0\t100\n",
        "station x(km) lat lon elv(m)\nXX.AA..HH 3 64.0 -21.0 100\n",
        "Code,Latitude,Longitude,elevation_km\nXX.AA,64.0,-21.0,0.1\n",
        "station_network_code,station_code,station_latitude_deg,station_longitude_deg,station_elevation_m\nXX,AA,64,-21,100",
    ],
)  # fmt: skip
def test_station_tables(tmp_path: Path, text: str) -> None:
    path = tmp_path / "stations.csv"
    path.write_text(text)
    assert read_stations(path) == (Station("XX.AA", 64.0, -21.0, 100.0),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "lists no station"),
        ("name,x,y\nAA,1,2\n", "latitude, longitude"),
        ("station,lat,lon\nAA,-121.0,64\n", "AA.*swapped"),
        ("station,lat,lon\nAA,north,64\n", "latitude of station AA is 'north'"),
        ("station,lat,lon\nAA,,64\n", "AA.*finite"),
        ("<xml>", "no inventory"),
    ],
)
def test_station_tables_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "stations.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_stations(path)


def written(tmp_path: Path, text: str, name: str = "stations.csv") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "text",
    [
        "Station;Latitude;Longitude;Altitude\nXX.AA;64,0;-21,0;100,0\n",
        "station,lat,lon,Height(m)\nXX.AA,64,-21,100\n",
        "station,lat,lon,altitude_km\nXX.AA,64,-21,0.1\n",
        "station,lat,lon,elev_ft\nXX.AA,64,-21,328.0839895\n",
        "station,lat,lon,elevation,depth\nXX.AA,64,-21,150,50\n",
        "station,lat,lon,elevation_m,sensor_depth_km\nXX.AA,64,-21,150,0.05\n",
        "station,lat,lon,Elev,Burial Depth\nXX.AA,64,-21,150,50\n",
        "station,lat,lon,elevation,sensor_elevation_m\nXX.AA,64,-21,150,100\n",
        "#Network | Station | Latitude | Longitude | Elevation | SiteName | StartTime | EndTime\n"
        "XX|AA|64.0|-21.0|100.0|Somewhere, north|2000-01-01T00:00:00|\n",
        "#Network|Station|Location|Channel|Latitude|Longitude|Elevation|Depth|Azimuth|Dip|Scale|StartTime|EndTime\n"
        "XX|AA|00|HHZ|64.0|-21.0|150.0|50.0|0|-90|1|2000-01-01T00:00:00|2599-12-31T23:59:59\n"
        "XX|AA|00|HHN|64.0|-21.0|150.0|50.0|0|0|1|2000-01-01T00:00:00|2599-12-31T23:59:59\n",
        "XX AA 64.0 -21.0 100\n",
        "id,longitude,latitude,elevation(m),x(km),y(km),z(km)\nXX.AA..HH,-21.0,64.0,100,1,2,-0.1\n",
    ],
)
def test_columns_and_units_of_other_programs(tmp_path: Path, text: str) -> None:
    (found,) = read_stations(written(tmp_path, text))
    assert (found.code, found.latitude_deg, found.longitude_deg) == ("XX.AA", 64.0, -21.0)
    assert found.elevation_m == pytest.approx(100.0, abs=1e-3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("station,lat,lon,z\nAA,64,-21,100\n", "column z looks like a height or depth and is not understood; use"),
        ("station,lat,lon,HeightAboveGeoid\nAA,64,-21,100\n", "heightabovegeoid looks like a height"),
        ("station,lat,lon,elevation,hole_depth\nAA,64,-21,100,3\n", "hole_depth looks like a height or depth"),
        (
            "station,lat,lon,elevation_m,altitude\nAA,64,-21,100,3\n",
            "elevation of stations twice, as elevation_m and al",
        ),
        ("station,lat,lon,elevation\nAA\n", "line 2 has 1 cell where the header has 4"),
        ("station,lat,lon,elevation\nAA,0,0,5\n", "AA.*at 0 N 0 E, which stands for an unknown position"),
        ("station,lat,lon,elevation\nAA,-999,-999,5\n", "AA.*finite"),
        (
            "station,lat,lon,elevation\nAA,64,-21,12000\n",
            "AA.*elevation 12000 m of the sensor must be within -11000 to",
        ),
        ("station,lat,lon,elevation_km\nAA,64,-21,614.6\n", "AA.*elevation 614600 m"),
        ("station,lat,lon,depth\nAA,64,-21,20000\n", "AA.*elevation -20000 m"),
        (
            "station,lat,lon,elevation\nAA,64,-21,0.6146\nBB,64.1,-21,0.3959\n",
            "may be in m or km, and column elevation has no",
        ),
        ("station,lat,lon,elevation\nAA,64,-21,10\nAA,64.1,-21,10\n", "AA has positions 11.12 km apart"),
        ("station,lat,lon,elevation\n,64,-21,10\n", "line 2 has no station code"),
        ("station,lat,lon,elevation\nAA,64,-21,high\n", "line 2: elevation of station AA is 'high'"),
    ],
)
def test_what_is_not_understood_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_stations(written(tmp_path, text))


@pytest.mark.parametrize("network", ["NA", "NN", "NaN", "-"])
def test_codes_that_look_like_missing_values_are_codes(network: str, tmp_path: Path) -> None:
    found = read_stations(written(tmp_path, f"network,station,lat,lon,elevation_m\n{network},NA,64,-21,100\n"))
    assert found[0].code == f"{network}.NA"


@pytest.mark.parametrize("code", ["-9999", "-999", "99999", "9999.0", "-12345", "NaN", "", "null", "-"])
@pytest.mark.parametrize("unit", ["", "_m", "_km"])
def test_unknown_elevations_are_those_of_the_others_with_a_warning(tmp_path: Path, code: str, unit: str) -> None:
    factor = 1000 if unit == "_km" else 1
    rows = [f"S{i},64.{i},-21,{value / factor}" for i, value in enumerate((100, 300, 400))]
    text = "\n".join([f"station,lat,lon,elevation{unit}", *rows, f"BAD,64.5,-21,{code}"])
    with pytest.warns(UserWarning, match=r"elevation unknown.*300 m, the median of the others, is taken: station BAD"):
        found = {s.code: s.elevation_m for s in read_stations(written(tmp_path, text))}
    assert found == {"S0": 100, "S1": 300, "S2": 400, "BAD": 300}


@pytest.mark.parametrize("cells", ["0.6146,0.3959,1.1", "0.67,0.4,0.3", "0.5,-1.25,2.0", "1.5,nan,-9999"])
def test_elevations_that_may_be_in_km_need_a_unit(cells: str, tmp_path: Path) -> None:
    rows = [f"S{i},53.{i},6.7,{cell}" for i, cell in enumerate(cells.split(","))]
    with pytest.raises(ValueError, match=r"may be in m or km, and column elev has no unit; use the name elevation_m"):
        read_stations(written(tmp_path, "\n".join(["station,lat,lon,elev", *rows])))


def test_low_ground_in_metres_stays_metres(tmp_path: Path) -> None:
    text = "station,lat,lon,elevation_m\nAA,53.2,6.7,0.5\nBB,53.3,6.8,-1.25\nCC,53.4,6.9,2.0\n"
    assert [s.elevation_m for s in read_stations(written(tmp_path, text))] == [0.5, -1.25, 2.0]


# ---- epochs


def channel(code: str, elevation_m: float, depth_m: float, **more) -> Channel:
    place = {"latitude": 64.0, "longitude": -21.0} | more.pop("place", {})
    return Channel(code, more.pop("location", ""), elevation=elevation_m, depth=depth_m, **place, **more)


def inventory(*stations: ObspyStation) -> Inventory:
    return Inventory([Network("XX", list(stations))], source="test")


def epochs_of(latitudes: tuple[float, float]) -> Inventory:
    """Station AA at one latitude until `MOVE` and at another one from then on."""
    each = zip(latitudes, ((EARLY - 1e6, MOVE), (MOVE, None)), strict=True)
    return inventory(*(
        ObspyStation("AA", latitude, -21.0, 100.0, start_date=start, end_date=end, channels=[
            channel("HHZ", 100, 0, place={"latitude": latitude}, start_date=start, end_date=end)])
        for latitude, (start, end) in each))  # fmt: skip


def as_source(form: str, latitudes: tuple[float, float], tmp_path: Path) -> Inventory | Path:
    """The same two epochs as an inventory, StationXML, gzipped StationXML, FDSN text or CSV."""
    if form == "inventory":
        return epochs_of(latitudes)
    path = tmp_path / "stations"
    if "XML" in form:
        epochs_of(latitudes).write(str(path), format="STATIONXML")
        if form == "gzipped XML":
            path.write_bytes(gzip.compress(path.read_bytes()))
        return path
    rows = [
        ("XX", "AA", latitudes[0], -21.0, 100, "1999-12-01T00:00:00", MOVE),
        ("XX", "AA", latitudes[1], -21.0, 100, MOVE, ""),
    ]
    header = {"FDSN": "#Network|Station|Latitude|Longitude|Elevation|StartTime|EndTime"}.get(
        form, "net|sta|lat|lon|elev|start_date|end_date"
    )
    text = "\n".join([header, *("|".join(map(str, row)) for row in rows)])
    path.write_text(text if form == "FDSN" else text.replace("|", ","))
    return path


@pytest.mark.parametrize("form", ["inventory", "XML", "gzipped XML", "FDSN", "CSV"])
@pytest.mark.parametrize(
    ("time", "latitude"), [(EARLY, 64.0), (MOVE - 1e-3, 64.0), (MOVE, 64.03), (LATE, 64.03)], ids=str
)
def test_the_epoch_of_the_time_is_used(form: str, time: UTCDateTime, latitude: float, tmp_path: Path) -> None:
    (found,) = read_stations(as_source(form, (64.0, 64.03), tmp_path), time)
    assert found == Station("XX.AA", latitude, -21.0, 100.0)


def test_without_a_time_epochs_may_differ_by_metres() -> None:
    assert read_stations(epochs_of((64.0, 64.0001)))[0].latitude_deg == 64.0001


BEFORE = EARLY - 10 * 365 * 86400


def test_a_time_outside_of_all_epochs_is_reported() -> None:
    with pytest.warns(UserWarning, match=r"no epoch covers the time of the record, .*: station XX.AA"):
        assert len(read_stations(epochs_of((64.0, 64.0)), BEFORE)) == 1


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (
            lambda: read_stations(epochs_of((64.0, 64.03))),
            r"XX.AA has positions 3.34 km apart .* and the time of the record is unknown",
        ),
        (
            lambda: read_stations(epochs_of((64.0, 64.03)), BEFORE),
            r"XX.AA has no epoch at 199.*3.34 km apart; correct the start and end dates",
        ),
        (
            lambda: positions_at([Epoch(Station("AA", 64.0 + i / 10, -21.0, 0.0), start=EARLY) for i in range(2)])(
                LATE
            ),
            r"AA has several positions, 11.12 km apart, at 2002",
        ),
        (lambda: checked([], "the list"), "the list lists no station"),
    ],
    ids=["no time", "no epoch", "overlapping epochs", "empty list"],
)
def test_unclear_positions_and_empty_lists_are_refused(action, message) -> None:
    with pytest.raises(ValueError, match=message):
        action()


DEEP = {"00": ("HHZ", 600.0, 0.0), "10": ("EHZ", 350.0, 250.0)}  # location: channel, elevation, depth


@pytest.mark.parametrize(
    ("recorded", "elevation_m"),
    [(["XX.AA.00.HHZ"], 600.0), (["XX.AA.10.EHZ"], 350.0), (["XX.AA.10.EHZ", "XX.AA.10.EHN"], 350.0)],
)
@pytest.mark.parametrize("form", ["StationXML", "FDSN"])
def test_the_sensor_that_recorded_counts(recorded: list[str], elevation_m: float, form: str, tmp_path: Path) -> None:
    if form == "StationXML":
        channels = [channel(code, up, down, location=place) for place, (code, up, down) in DEEP.items()]
        source = inventory(ObspyStation("AA", 64.0, -21.0, 600.0, channels=channels))
    else:  # in text the elevation is the ground's
        rows = [f"XX|AA|{place}|{code}|64.0|-21.0|600.0|{down}" for place, (code, _, down) in DEEP.items()]
        header = "#Network|Station|Location|Channel|Latitude|Longitude|Elevation|Depth"
        source = written(tmp_path, "\n".join([header, *rows]))
    found = positions_at(read_epochs(source), recorded)(EARLY)
    assert found["XX.AA"].elevation_m == elevation_m


def station_of_unknown_sensors() -> Inventory:
    channels = [channel(code, up, down, location=place) for place, (code, up, down) in DEEP.items()]
    return inventory(ObspyStation("AA", 64.0, -21.0, 600.0, channels=channels))


@pytest.mark.parametrize(
    ("source", "message", "elevation_m"),
    [
        (
            lambda folder: written(folder, "station,lat,lon\nAA,64,-21\n"),
            "has no column of elevations: stations are put at 0 m",
            0,
        ),
        (lambda folder: station_of_unknown_sensors(), r"sensors are at several positions .*: station XX.AA", 600),
    ],
    ids=["no elevation", "unknown sensors"],
)
def test_unknown_elevations_are_reported(tmp_path: Path, source, message: str, elevation_m: float) -> None:
    with pytest.warns(UserWarning, match=message):
        assert read_stations(source(tmp_path))[0].elevation_m == elevation_m


@pytest.mark.parametrize(
    ("station_m", "channel_m", "depth_m", "sensor_m", "noted"),
    [
        (614.6, -1385.4, 2000.0, -1385.4, False),  # as the standard has it
        (614.6, 614.6, 2000.0, -1385.4, True),  # the channel's elevation is that of the ground
        (600.0, 610.0, 0.0, 610.0, False),
        (600.0, 600.0, 5.0, 595.0, False),
        (600.0, 0.0, 0.0, 600.0, False),  # no elevation
        (600.0, np.nan, 100.0, 500.0, False),
        (np.nan, 350.0, 250.0, 350.0, False),
        (200.0, 0.0, 200.0, 0.0, False),
        (600.0, 600.0, 9999.0, 600.0, False),  # no depth
    ],
)
def test_sensor_elevation(station_m: float, channel_m: float, depth_m: float, sensor_m: float, noted: bool) -> None:
    elevation_m, note = sensor_elevation_m(station_m, channel_m, depth_m)
    assert elevation_m == pytest.approx(sensor_m)
    assert bool(note) is noted


def test_channels_without_coordinates_have_those_of_the_station() -> None:
    bare = channel("HHZ", 0.0, 0.0, place={"latitude": 0.0, "longitude": 0.0})
    found = read_stations(inventory(ObspyStation("AA", 64.0, -21.0, 600.0, channels=[bare])))
    assert found == (Station("XX.AA", 64.0, -21.0, 600.0),)


@pytest.mark.parametrize(("time", "gain"), [(EARLY, 1e9), (MOVE, 4e8), (LATE, 4e8)])
def test_the_gain_of_the_time(time: UTCDateTime, gain: float) -> None:
    respond = lambda value: Response(instrument_sensitivity=InstrumentSensitivity(value, 1.0, "M/S", "COUNTS"))
    channels = [
        channel("HHN", 100, 0, start_date=EARLY, end_date=MOVE, response=respond(1e9)),
        channel("HHN", 100, 0, start_date=MOVE, response=respond(4e8)),
    ]
    epochs = channels_by_id(inventory(ObspyStation("AA", 64.0, -21.0, 100.0, channels=channels)))["XX.AA..HHN"]
    assert sensitivity_at(epochs, time) == gain
    assert sensitivity_at(epochs, EARLY - 1e6) is None  # they disagree
    assert sensitivity_at(epochs[:1], LATE) == 1e9  # the only one


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (">64.0<", ">164.0<", "Latitude of station AA is '164.0'; are latitude and longitude swapped"),
        (">100.0<", ">high<", "Elevation of station AA is 'high'"),
        ("</Station>", "", "no inventory that can be read"),
    ],
)
def test_a_broken_inventory_is_named_with_the_station(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "stations.xml"
    inventory(ObspyStation("AA", 64.0, -21.0, 100.0)).write(str(path), format="STATIONXML")
    path.write_text(path.read_text().replace(old, new))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # ObsPy's own go no further
        with pytest.raises(ValueError, match=rf"stations.xml.*{message}"):
            read_stations(path)


def test_an_inventory_in_km_is_reported() -> None:
    stations = [ObspyStation(f"S{i}", 64.0, -21.0 + i, up) for i, up in enumerate((0.6146, 0.3959, -0.2))]
    with pytest.warns(UserWarning, match=r"elevations of the inventory \(0.6146, ...\) may be in km"):
        read_stations(inventory(*stations))


# ---- networks and training


def line_of_stations(number: int = 6) -> tuple[Station, ...]:
    return tuple(Station(f"XX.S{i}", 40.0 + i / 10, 15.0, 100.0) for i in range(number))


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (
            lambda far, swapped: check_isolated(far, "the list"),
            r"XX.FAR in the list, at 60.0000 N 15.0000 E, is 2191 km .* 7 stations",
        ),
        (
            lambda far, swapped: check_isolated(swapped, "the list"),
            r"XX.SWAP .* are latitude and longitude exchanged\? it",
        ),
    ],
)
def test_a_distant_station_is_refused(action, message) -> None:
    check_isolated(line_of_stations(), "the list")
    far = (*line_of_stations(), Station("XX.FAR", 60.0, 15.0, 0.0))
    swapped = (*line_of_stations(), Station("XX.SWAP", 15.0, 40.2, 0.0))
    with pytest.raises(ValueError, match=message):
        action(far, swapped)


@pytest.mark.parametrize(
    ("event", "refused"),
    [
        ((15.0, 40.25), True),
        ((15.4, 40.0), True),
        ((40.3, 15.1), False),
        ((42.0, 16.0), False),
        ((np.nan, 5.0), False),
        ((40.3, -15.0), True),
        ((-40.3, 15.0), True),
    ],
)
def test_exchanged_coordinates_are_recognised_by_the_events(event: tuple[float, float], refused: bool) -> None:
    latitude, longitude = np.array([event[0]]), np.array([event[1]])
    if refused:
        with pytest.raises(
            ValueError, match=r"about 40.2500 N 15.0000 E, are \d+ km from the events, .*(exchanged|wrong sign)"
        ):
            refuse_mistaken(line_of_stations(), latitude, longitude, "the events")
    else:
        refuse_mistaken(line_of_stations(), latitude, longitude, "the events")


def test_a_global_network_is_no_outlier() -> None:
    generator = np.random.default_rng(0)
    places = zip(generator.uniform(-60, 70, 40), generator.uniform(-180, 180, 40), strict=True)
    check_isolated(tuple(Station(f"S{i}", float(x), float(y), 0.0) for i, (x, y) in enumerate(places)), "the list")


def moved(station: Station, north_km: float) -> Station:
    latitude, _ = to_degrees(Frame(*station[1:3]), np.array(0.0), np.array(north_km))
    return station._replace(latitude_deg=float(latitude))


@pytest.mark.parametrize("north_km", [0.0, 0.1, 0.5, 5.0, 22.0, 3430.0])
def test_given_positions_win_over_those_of_training(north_km: float) -> None:
    trained = line_of_stations()
    own = tuple(moved(s, north_km) for s in trained[1:3])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        everyone, index = join_stations(own, trained, "keep")
    assert [s.code for s in everyone] == [s.code for s in trained]
    assert everyone[1:3] == own
    expected = [0, 1, 2, 3, 4, 5] if north_km < 1 else [0, -1, -1, 3, 4, 5]
    assert index.tolist() == expected
    assert recognised(own, trained) == ({"XX.S1", "XX.S2"} if north_km < 1 else set())
    said = [str(w.message) for w in caught]
    assert len(said) == (north_km > 0.2)
    assert all(f"XX.S1 by {north_km:.1f} km" in text for text in said[:1] if north_km < 1000)
    if north_km < 1:
        assert join_stations(own, trained, "refuse")[1].tolist() == index.tolist()
    else:
        with pytest.raises(ValueError, match=r"positions differ from those of training: XX.S1 by \d+\.\d km, XX.S2 by"):
            join_stations(own, trained, "refuse")


@pytest.mark.parametrize(("elevation_m", "same"), [(400.0, True), (-1500.0, False)])
def test_depth_counts_as_a_move(elevation_m: float, same: bool) -> None:
    station = Station("XX.AA", 40.0, 15.0, 500.0)
    assert is_same_station(station, station._replace(elevation_m=elevation_m)) == same


def test_unknown_stations_come_last() -> None:
    stranger = Station("YY.NEW", 40.05, 15.1, 0.0)
    everyone, index = join_stations((line_of_stations()[3], stranger), line_of_stations(), "keep")
    assert (everyone[-1], index.tolist()) == (stranger, [0, 1, 2, 3, 4, 5, -1])
    assert join_stations((stranger,), None, "refuse")[1].tolist() == [0]


def test_stations_of_several_continents_are_refused() -> None:
    near = [Station("XX.A", 37.9, -122.1, 0.0), Station("XX.B", 41.0, -112.0, 0.0)]
    refuse_wide(tuple(near), "one region")
    with pytest.raises(ValueError, match=r"SL\.L is \d{4} km from the centre of all stations.*\(one region\)"):
        refuse_wide((*near, Station("SL.L", 46.0, 14.5, 0.0)), "one region")
