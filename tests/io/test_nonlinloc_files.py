"""NonLinLoc's control, observation, grid and location files: what its own files say, and round trips."""

import math

import numpy as np
import pytest
from obspy import UTCDateTime, read_events
from obspy.io.nlloc.util import read_nlloc_scatter

from jaxloc.io.locations_nonlinloc import read_scatter
from jaxloc.io.nonlinloc_control import read_control
from jaxloc.io.nonlinloc_grids import Grid, read_grid, speed_km_s, write_grid
from jaxloc.io.nonlinloc_observations import read_observations, write_observations
from jaxloc.io.nonlinloc_projection import projection_of, to_degrees, to_xy
from jaxloc.io.nonlinloc_writing import LocatedEvent, TimedPick, write_hypocentres, write_scatter
from jaxloc.io.pick_files import Pick, PickedEvent, PickFile

STATEMENTS = [
    "SIMPLE 35.0 -117.0 30.0",
    "SDC 35.0 -117.0 -20.0",
    "LAMBERT Clarke-1880 61.0 -150.0 60.0 62.0 10.0",
    "TRANS_MERC WGS-84 35.0 -117.0 5.0 0",
    "AZIMUTHAL_EQUIDIST WGS-84 35.0 -117.0 15.0",
]


@pytest.mark.parametrize("statement", STATEMENTS)
def test_projections_and_back(statement):
    """To 1e-7 degrees, a centimetre; y points clockwise of north by the rotation."""
    projection = projection_of(statement)
    latitude = projection.latitude_deg + np.array([0.0, 0.4, -0.7, 0.01])
    longitude = projection.longitude_deg + np.array([0.0, -0.5, 0.3, 0.0])
    x, y = to_xy(projection, latitude, longitude)
    np.testing.assert_allclose([x[0], y[0]], 0.0, atol=1e-6)
    back = to_degrees(projection, x, y)
    np.testing.assert_allclose(back, [latitude, longitude], atol=1e-7)
    turn = math.degrees(math.atan2(x[3], y[3]))
    assert turn == pytest.approx(-projection.rotation_deg, abs=1e-3)
    assert math.hypot(x[3], y[3]) == pytest.approx(1.11, rel=0.01)


def test_the_projection_of_a_run_of_nonlinloc(data_folder):
    """Station positions that NonLinLoc has written, to the tenth of a metre that they have."""
    control = read_control(data_folder("nonlinloc_alaska2018") / "nlloc_sample.in")
    by_code = {station.code: station for station in control.stations}
    for code, x, y, depth in (("AK_RC01_--", 14.0814, 9.9332, -0.39), ("AK_DIV_--", 227.5020, 21.7345, -0.9414)):
        station = by_code[code]
        at = to_xy(control.projection, np.array(station.latitude_deg), np.array(station.longitude_deg))
        np.testing.assert_allclose([*at, -station.elevation_m / 1000], [x, y, depth], atol=1e-4)


def test_the_settings_of_a_run_of_nonlinloc(data_folder):
    folder = data_folder("nonlinloc_alaska2018")
    control = read_control(folder / "nlloc_sample.in")
    assert len(control.stations) == 80
    assert control.velocity is not None
    assert control.velocity.top_km.tolist() == [0, 4, 9, 14, 19, 24, 33, 49, 66]
    np.testing.assert_allclose(control.velocity.vp_km_s / control.velocity.vs_km_s, 1.68, rtol=1e-6)
    errors = control.errors
    assert errors is not None
    assert (errors.kind, errors.model_share, errors.model_least_s, errors.model_most_s) == ("edt_ot_wt", 0.02, 0.05, 2)
    assert control.region is not None
    assert control.region[:3] == ((-100.0, 100.0), (-100.0, 100.0), (-5.0, 100.0))
    assert (control.reach_km, control.vp_vs) == (400.0, 1.68)
    picks = read_observations(folder / "obs" / "2018-11-30-mww70-southern-alaska.obs", control.phases)
    assert len(picks.events) == 7
    assert sum(len(event.picks) for event in picks.events) == 274
    first = picks.events[0].picks[0]
    assert first == Pick("NP040_D0", "P", UTCDateTime("2018-11-30T17:29:35.1095").ns, 0.01)


def control_file(tmp_path, more="", trans="TRANS SIMPLE 35.0 -117.0 0.0"):
    (tmp_path / "stations.txt").write_text("GTSRCE A LATLON 35.1 -117.1 0.2 0.5\n# GTSRCE no\n")
    path = tmp_path / "run.in"
    path.write_text(f"{trans}\nINCLUDE stations.txt\nLOCGAU 0.3 5.0\nLOCMETH GAU_ANALYTIC 9 4 -1 -1 -1\n{more}\n")
    return path


def test_a_small_control_file(tmp_path):
    more = "LAYER 0 5 0 3 0 2.7 0\nLAYER 10 6.5 0 3.8 0 2.8 0\nGTSRCE B XYZ 3.0 -4.0 1.5 0\nLOCPHASEID P P Pg"
    control = read_control(control_file(tmp_path, more))
    assert control.stations[0][:4] == ("A", 35.1, -117.1, pytest.approx(300.0))
    second = control.stations[1]
    np.testing.assert_allclose(to_xy(control.projection, second.latitude_deg, second.longitude_deg), [3, -4], atol=1e-9)
    assert second.elevation_m == -1500.0
    errors = control.errors
    assert errors is not None
    assert (errors.kind, errors.model_sd_s, errors.corr_km) == ("l2", 0.3, 5.0)
    assert control.vp_vs is None
    assert control.phases == {"P": "P", "Pg": "P"}


@pytest.mark.parametrize(
    ("more", "trans", "message"),
    [
        ("LOCDELAY A P 1 0.1", "TRANS SIMPLE 35 -117 0", "LOCDELAY would change"),
        ("LAYER 0 5 0.1 3 x 2.7 0", "TRANS SIMPLE 35 -117 0", "could not convert"),
        ("", "TRANS GLOBAL", "must be one of SIMPLE"),
        ("", "TRANS LAMBERT Moon 35 -117 34 36 0", "must be one of SIMPLE"),
        ("", "#", "no TRANS"),
        ("INCLUDE none.txt", "TRANS SIMPLE 35 -117 0", "no such NonLinLoc control file"),
        ("GTSRCE C LATLONDM 35 -117 0 0", "TRANS SIMPLE 35 -117 0", "LATLON or XYZ"),
    ],
)
def test_wrong_control_files_are_named(tmp_path, more, trans, message):
    with pytest.raises(ValueError, match=message):
        read_control(control_file(tmp_path, more, trans))


def picks():
    start = UTCDateTime("2020-05-01T23:59:59.123456").ns
    event = PickedEvent("a/1", (Pick("XX.AB", "P", start, 0.05), Pick("XX.AB", "S", start + 3_250_000_000, math.nan)))
    return PickFile((event, PickedEvent("a/2", (Pick("C", "P", start, 0.1),))))


def test_observations_and_back(tmp_path):
    """Times to a microsecond; a pick without an error has the given one."""
    path = tmp_path / "picks.obs"
    write_observations(path, picks(), 0.2)
    found = read_observations(path)
    for event, given in zip(found.events, picks().events, strict=True):
        assert event.id == given.id
        for one, other in zip(event.picks, given.picks, strict=True):
            assert one[:2] == other[:2]
            assert abs(one.time_ns - other.time_ns) < 1000
            assert one.sigma_s == (0.2 if math.isnan(other.sigma_s) else other.sigma_s)


@pytest.mark.parametrize(
    ("line", "message"),
    [("A ? ? ? P ? 20200501 1200", "line 1.*11 words"), ("A ? ? ? P ? 20200501 1200 1.0 QUAL 2", "quality 2")],
)
def test_wrong_observations_are_named(tmp_path, line, message):
    (tmp_path / "bad.obs").write_text(line + "\n")
    with pytest.raises(ValueError, match=message):
        read_observations(tmp_path / "bad.obs")


def test_picks_that_count_for_nothing_are_left_out(tmp_path):
    lines = [
        "A ? ? ? PKP ? 20200501 1200 1.0 GAU 0.1",
        "A ? ? ? P ? 20200501 1200 61.5 GAU 9999",
        "B ? ? ? Pn ? 20200501 1200 61.5 QUAL 1",
    ]
    (tmp_path / "some.obs").write_text("\n".join(lines))
    (event,) = read_observations(tmp_path / "some.obs", None, (0.1, 0.3)).events
    assert event.picks == (Pick("B", "P", UTCDateTime("2020-05-01T12:01:01.5").ns, 0.3),)
    assert len(event.left_out) == 2


@pytest.mark.parametrize("kind", ["TIME2D", "SLOW_LEN"])
def test_grids_and_back(tmp_path, kind):
    value = np.random.default_rng(0).uniform(1, 2, (1, 5, 4)).astype("f4")
    station = ("ABC", (1.0, 2.0, -0.5)) if kind == "TIME2D" else (None, None)
    grid = Grid(value, (0.0, 0.0, -2.0), (1.0, 1.0, 0.5), kind, *station, "SIMPLE LatOrig 35.0")
    write_grid(tmp_path / "layer.P", grid)
    found = read_grid(tmp_path / "layer.P.hdr")
    np.testing.assert_array_equal(found.value, value)
    assert found[1:] == grid[1:]
    if kind == "SLOW_LEN":
        np.testing.assert_allclose(speed_km_s(found), 0.5 / value, rtol=1e-6)
    (tmp_path / "layer.P.buf").write_bytes(b"1234")
    with pytest.raises(ValueError, match="must have 80 bytes"):
        read_grid(tmp_path / "layer.P")


def test_a_header_of_nonlinloc(data_folder, tmp_path):
    header = data_folder("nonlinloc_alaska2018") / "expected" / "alaska.20181130.172935.grid0.loc.hdr"
    (tmp_path / "one.hdr").write_text(header.read_text())
    np.zeros(201 * 201 * 106, "<f4").tofile(tmp_path / "one.buf")
    found = read_grid(tmp_path / "one")
    assert (found.value.shape, found.origin_km, found.kind) == ((201, 201, 106), (-100.0, -100.0, -5.0), "PROB_DENSITY")


def test_hypocentres_are_read_by_obspy(tmp_path):
    """The ellipsoid has the axes of the covariance; ObsPy leaves its lengths in km."""
    projection = projection_of("LAMBERT WGS-84 35.0 -117.0 34.0 36.0 20.0")
    covariance = np.array([[4.0, 1.0, 0.5], [1.0, 2.0, 0.3], [0.5, 0.3, 9.0]])
    start = UTCDateTime("2020-05-01T12:00:00.25").ns
    pick = TimedPick("AB", "P", start + 2_000_000_000, 0.1, 1.9, 0.1)
    located = LocatedEvent("one", start, np.array([1.0, 2, 8]), np.array([1.5, 2, 9]), covariance, (pick,), 90.0, 5.0)
    write_hypocentres(tmp_path / "one.hyp", [located], projection)
    (event,) = read_events(tmp_path / "one.hyp")
    origin = event.origins[0]
    latitude, longitude = to_degrees(projection, np.array(1.0), np.array(2.0))
    assert (origin.latitude, origin.longitude) == (
        pytest.approx(latitude, abs=1e-5),
        pytest.approx(longitude, abs=1e-5),
    )
    assert origin.depth == pytest.approx(8000.0)
    assert abs(origin.time.ns - start) < 2000
    ellipsoid = origin.origin_uncertainty.confidence_ellipsoid
    axes = np.sqrt(3.53 * np.linalg.eigvalsh(covariance))
    found = [
        ellipsoid.semi_minor_axis_length,
        ellipsoid.semi_intermediate_axis_length,
        ellipsoid.semi_major_axis_length,
    ]
    np.testing.assert_allclose(found, axes, rtol=2e-3)
    assert event.picks[0].waveform_id.station_code == "AB"
    assert origin.arrivals[0].time_residual == pytest.approx(0.1)
    text = (tmp_path / "one.hyp").read_text()
    assert "CovXX 4 XY 1 XZ 0.5 YY 2 YZ 0.3 ZZ 9" in text
    with pytest.raises(ValueError, match="positive definite"):
        write_hypocentres(tmp_path / "bad.hyp", [located._replace(covariance_km2=-covariance)], projection)


def test_samples_are_read_by_obspy(tmp_path):
    samples = np.random.default_rng(0).normal(size=(50, 3))
    write_scatter(tmp_path / "one.scat", samples)
    np.testing.assert_allclose(read_scatter(tmp_path / "one.scat", 50), samples, rtol=1e-6)
    # ObsPy leaves out the header and three samples with it.
    by_obspy = read_nlloc_scatter(str(tmp_path / "one.scat"))
    np.testing.assert_allclose(np.stack([by_obspy[axis] for axis in "xyz"], 1), samples[3:], rtol=1e-6)
    with pytest.raises(ValueError, match="finite"):
        write_scatter(tmp_path / "bad.scat", samples * np.nan)
