"""Local magnitudes of located events, from waveform files to events.csv, QuakeML and magnitudes.csv."""

import csv
from pathlib import Path
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest
from obspy import Stream, Trace, UTCDateTime, read_events
from obspy.core.inventory import Channel, Inventory, Network, Response
from obspy.core.inventory import Station as ObspyStation

from jaxloc.data.dataset import Dataset, Event, Station, positions_km
from jaxloc.detection.magnitude_curves import CURVES, correction
from jaxloc.distributions.gaussian_mixture import gaussian_mixture
from jaxloc.geometry import Frame
from jaxloc.io.catalogue import Hypocentre, Pick
from jaxloc.io.catalogue_csv import read_csv
from jaxloc.io.waveform_index import index_files
from jaxloc.physics.wood_anderson import wood_anderson_response
from jaxloc.runs import magnitudes, report
from jaxloc.runs.magnitudes import arrivals, read_curve, wanted, with_magnitudes

START = UTCDateTime("2020-01-01T00:00:00")
RATE_HZ, HZ, GAIN, TRUE = 100.0, 3.0, 1e9, 2.2
VELOCITY = {"top_km": [0.0], "vp_km_s": [6.0], "vs_km_s": [3.5]}
STATIONS = tuple(Station(f"XX.S{i}", 64 + a, -21 + b, 0.0) for i, (a, b) in enumerate(((0.2, 0), (0, 0.5), (-0.3, 0))))
FRAME = Frame(64.0, -21.0)
HYPOCENTRE = np.array([0.0, 0.0, 8.0, 20.0])


def inventory(with_response: bool = True) -> Inventory:
    given = Response.from_paz([0j, 0j], [-0.037 + 0.037j, -0.037 - 0.037j], GAIN, output_units="COUNTS")
    stations = []
    for i, station in enumerate(STATIONS):
        place = station.latitude_deg, station.longitude_deg, 0.0
        own = given if with_response and i != 2 else None
        channels = [
            Channel(f"HH{c}", "", *place, 0, azimuth=az, dip=dip, response=own)
            for c, az, dip in (("Z", 0, -90), ("N", 0, 0), ("E", 90, 0))
        ]
        stations.append(ObspyStation(station.code[3:], *place, channels=channels))
    return Inventory([Network("XX", stations)], source="test")


def stream() -> Stream:
    """S waves of 3 Hz whose Wood-Anderson amplitudes are those of a magnitude, in counts of a velocity sensor."""
    far_km = np.linalg.norm(positions_km(FRAME, STATIONS) - HYPOCENTRE[:3], axis=-1)
    time_s, rng = np.arange(9000) / RATE_HZ, np.random.default_rng(0)
    traces = []
    for station, r in zip(STATIONS, far_km, strict=True):
        metres = 10 ** (TRUE - correction(CURVES["iaspei"], r)) / 1e3 / abs(wood_anderson_response(np.array(HZ)))
        late = time_s - HYPOCENTRE[3] - r / 3.5 - 1.5
        wave = metres * 2 * np.pi * HZ * GAIN * np.sin(2 * np.pi * HZ * late) * np.exp(-((late / 0.8) ** 2))
        for c in "ZNE":
            header = {"network": "XX", "station": station.code[3:], "channel": f"HH{c}", "starttime": START}
            traces.append(Trace(wave + rng.standard_normal(9000), header | {"sampling_rate": RATE_HZ}))
    return Stream(traces)


def located(magnitude: float | None = None) -> tuple[Dataset, SimpleNamespace, list[Hypocentre]]:
    """What locating leaves of one event: a data set, its posterior, and its hypocentre."""
    dataset = Dataset("d", FRAME, STATIONS, (Event("e", "", str(START)),), RATE_HZ, 9000, lambda index: None)
    mixture = gaussian_mixture(jnp.zeros((1, 1)), jnp.asarray(HYPOCENTRE)[None, None], 0.1 * jnp.eye(4)[None, None])
    seen = SimpleNamespace(station_mask=np.ones((1, 3), bool), station_km=positions_km(FRAME, STATIONS)[None])
    outcome = SimpleNamespace(
        predictions=SimpleNamespace(posterior=mixture),
        located=SimpleNamespace(batch=SimpleNamespace(observations=seen)),
    )
    h = Hypocentre("e", str(START), 64.0, -21.0, 8.0, 20.0, 0.01 * np.eye(4), magnitude=magnitude, gap_deg=100.0)
    return dataset, outcome, [h._replace(num_stations=3)]


def test_a_located_event_gets_its_magnitude_in_all_files(tmp_path):
    how = wanted(stream(), inventory(), None)
    (event,) = with_magnitudes(how, VELOCITY, *located())
    assert event.magnitude == pytest.approx(TRUE, abs=0.05)
    assert 0.1 < event.magnitude_sd < 0.3
    assert event.magnitude_type == "ML"
    assert [bool(each.reason) for each in event.station_magnitudes] == [False, False, True]
    report.write_events(tmp_path, [event])
    (read,) = read_csv(tmp_path / "events.csv")
    assert (read.magnitude, read.magnitude_type) == (event.magnitude, "ML")
    quakeml = read_events(str(tmp_path / "events.xml"))[0]
    magnitude = quakeml.preferred_magnitude()
    assert (magnitude.magnitude_type, magnitude.station_count) == ("ML", 2)
    assert magnitude.mag_errors.uncertainty == pytest.approx(event.magnitude_sd)
    assert "IASPEI" in magnitude.comments[0].text
    assert "gain 2080" in magnitude.comments[0].text
    assert len(quakeml.station_magnitudes) == 2
    rows = list(csv.DictReader((tmp_path / "magnitudes.csv").open()))
    assert [row["station"] for row in rows] == ["XX.S0", "XX.S1", "XX.S2"]
    assert "no response" in rows[2]["reason"]
    assert rows[2]["magnitude"] == ""
    assert "ML 2.2" in report.line(event)
    report.write_events(tmp_path, located()[2])
    assert not (tmp_path / "magnitudes.csv").exists()


def test_a_magnitude_from_elsewhere_is_replaced_on_request_alone():
    assert with_magnitudes(wanted(stream(), inventory(), None), VELOCITY, *located(1.0))[0].magnitude == 1.0
    asked = with_magnitudes(wanted(stream(), inventory(), "keir"), VELOCITY, *located(1.0))[0]
    assert asked.magnitude != 1.0
    assert "Keir" in asked.magnitude_about


def test_events_without_records_keep_what_they_have_and_say_why():
    late = [h._replace(start=str(START + 86400)) for h in located()[2]]
    (event,) = with_magnitudes(wanted(stream(), inventory(), None), VELOCITY, *located()[:2], late)
    assert event.magnitude is None
    assert "no magnitude: no record (3 of 3 stations)" in report.line(event)


def test_magnitudes_are_measured_where_there_are_responses():
    assert wanted(stream(), inventory(False), None) is None
    assert wanted(stream(), inventory(), "none") is None
    assert wanted("folder", None, None) is None
    assert wanted(stream(), inventory(), None).curve.name == "iaspei"


def test_impossible_requests_are_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="keir must come with waveform files"):
        wanted("folder", None, "keir")
    table = tmp_path / "stations.csv"
    table.write_text("network,station,latitude,longitude,elevation\nXX,AA,64.0,-21.0,100\n")
    with pytest.raises(ValueError, match="needs StationXML with responses"):
        wanted(stream(), table, "keir")
    with pytest.raises(ValueError, match="no such magnitude curve: 'kier'"):
        read_curve("kier")


def test_a_curve_of_ones_own_is_read_by_its_path(tmp_path: Path):
    path = tmp_path / "mine.csv"
    path.write_text("parameter,value\nlog_distance,1.3\ndistance,0.001\nXX.S0,0.2\n")
    curve = read_curve(str(path))
    assert (curve.name, curve.log_distance, dict(curve.station)) == ("mine.csv", 1.3, {"XX.S0": 0.2})


def test_picks_replace_predicted_arrivals_unless_s_would_precede_p():
    h = located()[2][0]._replace(picks=(Pick("XX.S0", "P", 25.0), Pick("XX.S1", "P", 40.0)))
    found = arrivals(h, ["XX.S0", "XX.S1"], np.array([[24.0, 27.0], [25.0, 29.0]]))
    np.testing.assert_array_equal(found, [[25.0, 27.0], [25.0, 29.0]])


def test_draws_are_the_same_each_time():
    how = wanted(stream(), inventory(), None)
    first, again = (with_magnitudes(how, VELOCITY, *located())[0] for _ in range(2))
    assert (first.magnitude, first.magnitude_sd) == (again.magnitude, again.magnitude_sd)


def test_records_of_an_hour_are_read_once():
    """Two events of one hour share what was read; one of the next hour has its own."""
    read = []
    index = index_files(stream())
    starts = ("2020-01-01T00:10:00", "2020-01-01T00:50:00", "2020-01-01T01:00:00")
    records_at = magnitudes.hourly(lambda first, last: read.append((first, last)) or index, starts)
    for start in starts:
        records_at(start)
    assert [first for first, _ in read] == [UTCDateTime("2019-12-31T23:59:00"), UTCDateTime("2020-01-01T00:59:00")]
    assert all(last - first > 3600 + magnitudes.LONGEST_S for first, last in read)


@pytest.mark.slow
def test_moment_magnitudes_are_measured_by_name():
    """A moment magnitude with its error, by the stations that have a response; the third has none."""
    how = wanted(stream(), inventory(), "moment")
    assert how.about.startswith("moment magnitudes")
    (event,) = with_magnitudes(how, VELOCITY, *located())
    assert event.magnitude_type == "Mw"
    assert 1.0 < event.magnitude < 3.5
    assert event.magnitude_sd > 0.1
    assert "corner frequency of S" in event.magnitude_about
    assert [bool(each.reason) for each in event.station_magnitudes] == [False, False, True]


def test_speeds_are_those_of_the_layer():
    model = {"top_km": [0.0, 10.0], "vp_km_s": [5.0, 6.0], "vs_km_s": [3.0, 3.5]}
    assert [magnitudes.speeds_at(model, depth_km)[0] for depth_km in (-1.0, 9.0, 10.0, 30.0)] == [5.0, 5.0, 6.0, 6.0]


def test_an_hour_of_many_events_gives_the_same_magnitude(monkeypatch):
    """Records that are joined once for all events of an hour, and windows that are read for one."""
    how = wanted(stream(), inventory(), None)
    (alone,) = with_magnitudes(how, VELOCITY, *located())
    monkeypatch.setattr(magnitudes, "JOINED_FROM", 1)
    (among,) = with_magnitudes(how, VELOCITY, *located())
    assert among.magnitude == pytest.approx(alone.magnitude, abs=1e-3)
    assert [each.reason for each in among.station_magnitudes] == [each.reason for each in alone.station_magnitudes]
