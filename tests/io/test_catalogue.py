"""Ellipses and ellipsoids against sampling and known answers; QuakeML and CSV there and back."""

import numpy as np
import pytest
from obspy import UTCDateTime, read_events

from jaxloc.distributions.ellipsoids import (
    Ellipsoid,
    chi,
    confidence_ellipsoid,
    ellipsoid_axes,
    ellipsoid_covariance,
    from_nonlinloc_rotation,
    from_quakeml_rotation,
    horizontal_ellipse,
    quakeml_rotation_deg,
)
from jaxloc.io.catalogue import Hypocentre, Truth, azimuthal_gap_deg, errors_km, km_per_degree
from jaxloc.io.catalogue_csv import read_csv, write_csv
from jaxloc.io.catalogue_quakeml import write_quakeml


def random_covariance(seed: int) -> np.ndarray:
    root = np.random.default_rng(seed).normal(size=(4, 4))
    return root @ root.T + 0.1 * np.eye(4)


@pytest.mark.parametrize(
    ("level", "dims", "expected", "tolerance"),
    [
        (0.682689492, 1, 1, 1e-8),
        (0.954499736, 1, 2, 1e-8),
        (0.9, 2, np.sqrt(-2 * np.log(0.1)), 1e-12),
        (0.9, 3, np.sqrt(6.251389), 5e-7),
    ],
)
def test_chi_factors(level, dims, expected, tolerance) -> None:
    """68.27 and 95.45 % in 1-D are 1 and 2 sigma; 2-D has a closed form; 3-D 90 % is 6.251 (tables)."""
    np.testing.assert_allclose(chi(level, dims), expected, rtol=tolerance)


@pytest.mark.parametrize(("level", "seed"), [(0.68, 0), (0.9, 1), (0.99, 2)])
def test_share_of_draws_inside(level: float, seed: int) -> None:
    """100 000 draws: the share inside is binomial, so it must lie within 4 standard errors of the level."""
    covariance, num = random_covariance(seed), 100_000
    draws = np.random.default_rng(seed + 10).multivariate_normal(np.zeros(3), covariance[:3, :3], num)
    tolerance = 4 * np.sqrt(level * (1 - level) / num)
    ellipsoid = confidence_ellipsoid(covariance, level)
    inside = (((draws @ ellipsoid_axes(ellipsoid)) / ellipsoid[:3]) ** 2).sum(-1) <= 1
    assert abs(inside.mean() - level) < tolerance
    major, minor, azimuth_deg = horizontal_ellipse(covariance, level)
    sin, cos = np.sin(np.deg2rad(azimuth_deg)), np.cos(np.deg2rad(azimuth_deg))
    along, across = draws[:, 0] * sin + draws[:, 1] * cos, draws[:, 0] * cos - draws[:, 1] * sin
    assert abs(((along / major) ** 2 + (across / minor) ** 2 <= 1).mean() - level) < tolerance


@pytest.mark.parametrize("seed", range(8))
def test_covariance_comes_back(seed: int) -> None:
    covariance = random_covariance(seed)[:3, :3]
    ellipsoid = confidence_ellipsoid(covariance, 0.8)
    np.testing.assert_allclose(ellipsoid_covariance(ellipsoid, 0.8), covariance, atol=1e-10)
    assert ellipsoid.semi_major_km >= ellipsoid.semi_intermediate_km >= ellipsoid.semi_minor_km
    assert 0 <= ellipsoid.plunge_deg <= 90
    assert 0 <= ellipsoid.azimuth_deg < 360
    assert 0 <= ellipsoid.rotation_deg < 180
    axes = ellipsoid_axes(ellipsoid)
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-12)


def test_known_orientations() -> None:
    # Longest to the north-east and level, shortest downwards: nothing to rotate.
    east_north = np.array([[5.0, 4.0, 0.0], [4.0, 5.0, 0.0], [0.0, 0.0, 0.1]])
    np.testing.assert_allclose(horizontal_ellipse(east_north)[2], 45)
    ellipsoid = confidence_ellipsoid(east_north)
    assert ellipsoid.azimuth_deg % 180 == pytest.approx(45)
    assert ellipsoid.plunge_deg == pytest.approx(0)
    assert ellipsoid.rotation_deg % 180 == pytest.approx(0, abs=1e-6)
    # Depth worst, east best: the minor axis is level.
    assert confidence_ellipsoid(np.diag([1.0, 4.0, 9.0])).plunge_deg == pytest.approx(90)
    assert confidence_ellipsoid(np.diag([1.0, 9.0, 4.0])).rotation_deg == pytest.approx(90)
    # An axis that plunges 30 degrees to the east.
    axis = np.array([np.cos(np.pi / 6), 0, np.sin(np.pi / 6)])
    tilted = confidence_ellipsoid(8 * np.outer(axis, axis) + np.eye(3))
    np.testing.assert_allclose([tilted.azimuth_deg, tilted.plunge_deg], [90, 30], atol=1e-9)


def test_agrees_with_a_published_program() -> None:
    """Covariance and ellipsoid that NonLinLoc printed for an Alaskan event (68.27 % level).

    Lengths, plunge and azimuth must be the same; its rotation is read by `from_nonlinloc_rotation`.
    """
    covariance = np.array([[14.8889, 2.44739, -43.6368], [2.44739, 7.64555, -16.773], [-43.6368, -16.773, 177.465]])
    ellipsoid = confidence_ellipsoid(covariance, 0.6827)
    np.testing.assert_allclose(ellipsoid[:3], [25.8976, 4.98006, 3.24176], rtol=1e-3)
    np.testing.assert_allclose(ellipsoid[3:5], [74.994, 69.1648 + 180], atol=0.01)
    assert horizontal_ellipse(covariance, 0.6827)[2] == pytest.approx(72.9754, abs=0.01)
    assert isinstance(ellipsoid, Ellipsoid)


# Major, minor and intermediate axis: azimuth, plunge (degrees) and semi-axis (km); the rotation that the USGS wrote.
USGS = (((139, 6, 16.0), (310, 83, 6.1), (49, 1, 10.9)), 88.9075)


def test_rotation_is_that_of_quakeml() -> None:
    """Herrmann's conversion for the USGS (libcomcat, 2014), with axes rounded to degrees: within 2 degrees."""
    axes, rotation_deg = USGS
    (major_deg, plunge_deg, major_km), (_, _, minor_km), (_, _, intermediate_km) = axes
    ellipsoid = Ellipsoid(
        major_km, intermediate_km, minor_km, plunge_deg, major_deg, from_quakeml_rotation(rotation_deg)
    )
    for column, (azimuth, plunge, _) in zip((0, 2, 1), axes, strict=True):
        azimuth, plunge = np.deg2rad([azimuth, plunge])
        direction = [np.cos(plunge) * np.sin(azimuth), np.cos(plunge) * np.cos(azimuth), np.sin(plunge)]
        assert abs(ellipsoid_axes(ellipsoid)[:, column] @ direction) > np.cos(np.deg2rad(2))
    again = confidence_ellipsoid(ellipsoid_covariance(ellipsoid))
    assert quakeml_rotation_deg(again) == pytest.approx(rotation_deg, abs=1e-6)


# STATISTICS (upper triangle, km2) and QML_ConfidenceEllipsoid of .hyp files that come with ObsPy.
NONLINLOC = {
    "plunge below 45": (
        (0.914195, -0.152226, 0.25015, 6.22208, -2.06938, 5.98514),
        (5.376, 3.77301, 1.78372, 43.3623, 176.94, 227.074),
    ),
    "plunge above 45": (
        (0.254371, -0.0208796, 0.315039, 0.069208, -0.0616818, 0.700232),
        (1.75087, 0.577556, 0.463619, 62.344, 99.9628, 41.3627),
    ),
}


@pytest.mark.parametrize("name", NONLINLOC)
def test_rotation_of_nonlinloc(name: str) -> None:
    """Its own covariance comes back, to the digits that it prints."""
    upper, (*lengths, plunge, azimuth, rotation) = NONLINLOC[name]
    covariance = np.zeros((3, 3))
    rows, columns = np.triu_indices(3)
    covariance[rows, columns] = covariance[columns, rows] = upper
    ellipsoid = Ellipsoid(*lengths, plunge, azimuth, from_nonlinloc_rotation(rotation, plunge))
    np.testing.assert_allclose(ellipsoid_covariance(ellipsoid, 0.6827), covariance, rtol=5e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("covariance", "level", "message"),
    [
        (np.eye(4), 90, "90 % is 0.9"),
        (np.diag([1.0, np.nan, 1.0]), 0.9, "finite"),
        (np.diag([1.0, -1.0, 1.0]), 0.9, "negative eigenvalue"),
        (np.eye(1), 0.9, "at least"),
    ],
)
def test_ellipsoids_refuse(covariance: np.ndarray, level: float, message: str) -> None:
    for function in (horizontal_ellipse, confidence_ellipsoid):
        with pytest.raises(ValueError, match=message):
            function(covariance, level)


def located() -> list[Hypocentre]:
    return [
        Hypocentre(
            "ok 249:a$", "2015-07-26T09:15:00Z", 35.95, -96.7803, 5.1, 4.25, random_covariance(3), 0.9, 0.31,
            27, 81.5, 3.2, 0.15, Truth(35.96, -96.78, 6.0, 4.0),
            others={"is_event_probability": 0.975, "is_event_mutual_information_nats": 0.012},
        ),
        Hypocentre("b", None, -12.5, 179.99, 0.4, 7.5, np.diag([4.0, 1.0, 9.0, 0.04]), 0.68),
    ]  # fmt: skip


def test_csv_round_trip(tmp_path) -> None:
    write_csv(tmp_path / "events.csv", located())
    for before, after in zip(located(), read_csv(tmp_path / "events.csv"), strict=True):
        np.testing.assert_array_equal(before.covariance, after.covariance)
        assert before._replace(covariance=None) == after._replace(covariance=None)
    assert [path.name for path in tmp_path.iterdir()] == ["events.csv"]
    header, first, second = (tmp_path / "events.csv").read_text().splitlines()
    assert header.endswith(",is_event_probability,is_event_mutual_information_nats")
    assert first.endswith(",0.975,0.012")
    assert second.endswith(",,")
    assert header.startswith("id,origin_time,latitude_deg,longitude_deg,depth_km")
    assert first.startswith("ok 249:a$,2015-07-26T09:15:04.250000Z,35.95,-96.7803,5.1")
    assert second.startswith("b,,")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: "id,depth\n1,2\n", "latitude_deg"),
        (lambda text: text.replace("5.1", "deep", 1), r"depth_km of event ok 249:a. must be a number, got 'deep'"),
    ],
)
def test_csv_names_wrong_columns_and_values(tmp_path, change, message) -> None:
    path = tmp_path / "events.csv"
    write_csv(path, located())
    path.write_text(change(path.read_text()))
    with pytest.raises(ValueError, match=message):
        read_csv(path)


def test_csv_without_events_or_file(tmp_path) -> None:
    path = tmp_path / "events.csv"
    with pytest.raises(ValueError, match="no such file"):
        read_csv(path)
    write_csv(path, [])
    assert read_csv(path) == []


def test_quakeml(tmp_path) -> None:
    path = tmp_path / "events.xml"
    write_quakeml(path, located())
    catalog = read_events(str(path))
    catalog.write(str(tmp_path / "again.xml"), format="QUAKEML", validate=True)
    assert read_events(str(tmp_path / "again.xml")) == catalog
    for event, h in zip(catalog, located(), strict=True):
        origin = event.preferred_origin()
        assert event.event_descriptions[0].text == h.id
        assert origin.time == UTCDateTime(h.start or "1970-01-01") + h.origin_s
        assert (origin.latitude, origin.longitude, origin.depth) == (
            h.latitude_deg,
            h.longitude_deg,
            h.depth_km * 1e3,
        )
        sd = np.sqrt(np.diag(h.covariance))
        assert origin.depth_errors.uncertainty == pytest.approx(sd[2] * 1000)
        assert origin.time_errors.uncertainty == pytest.approx(sd[3])
        # Degrees back to km with the geodesic length of a small step.
        latitude_km, longitude_km = km_per_degree(h.latitude_deg)
        assert origin.latitude_errors.uncertainty * latitude_km == pytest.approx(sd[1])
        assert origin.longitude_errors.uncertainty * longitude_km == pytest.approx(sd[0])
        region = origin.origin_uncertainty
        assert region.confidence_level == pytest.approx(100 * h.level)
        assert region.max_horizontal_uncertainty == pytest.approx(1e3 * horizontal_ellipse(h.covariance, h.level)[0])
        axes = region.confidence_ellipsoid
        ellipsoid = Ellipsoid(
            axes.semi_major_axis_length / 1e3, axes.semi_intermediate_axis_length / 1e3,
            axes.semi_minor_axis_length / 1e3, axes.major_axis_plunge, axes.major_axis_azimuth,
            from_quakeml_rotation(axes.major_axis_rotation),
        )  # fmt: skip
        np.testing.assert_allclose(ellipsoid_covariance(ellipsoid, h.level), h.covariance[:3, :3], atol=1e-6)
    first, second = ([c.text for c in event.preferred_origin().comments] for event in catalog)
    assert any("epistemic 31.0 %" in text for text in first)
    assert "is_event_mutual_information_nats: 0.012" in first
    assert not any("is_event" in text for text in second)
    assert any("1970-01-01" in text for text in second)
    assert catalog[0].preferred_magnitude().mag == 3.2
    assert catalog[0].origins[0].quality.azimuthal_gap == 81.5


@pytest.mark.parametrize("write", [write_quakeml, write_csv])
@pytest.mark.parametrize(
    ("path", "events", "message"),
    [
        ("x", lambda first: [first, first], "more than once"),
        ("x", lambda first: [first._replace(latitude_deg=-96.8)], "swapped"),
        ("x", lambda first: [first._replace(depth_km=np.nan)], "finite"),
        ("x", lambda first: [first._replace(covariance=np.eye(3))], r"\[4, 4\]"),
        ("nowhere/x", lambda first: [first], "no such folder"),
    ],
)
def test_writers_refuse(tmp_path, write, path, events, message) -> None:
    with pytest.raises(ValueError, match=message):
        write(tmp_path / path, events(located()[0]))
    assert not list(tmp_path.iterdir())


def test_errors_are_differences_from_the_truth() -> None:
    epicentre_km, depth_km, origin_s = errors_km(located()[0])
    assert epicentre_km == pytest.approx(0.01 * km_per_degree(35.955)[0], rel=1e-3)
    assert (depth_km, origin_s) == (pytest.approx(-0.9), pytest.approx(0.25))


@pytest.mark.parametrize(
    ("epicentre_km", "station_km", "gap_deg"),
    [
        ([0.0, 0.0], [[0.0, 5.0, 0.0], [5.0, 0.0, 0.0], [0.0, -5.0, 0.0]], 180),
        ([-9.0, 0.0], [[0.0, 5.0, 0.0]], 360),
    ],
)
def test_azimuthal_gap(epicentre_km, station_km, gap_deg) -> None:
    assert azimuthal_gap_deg(np.array(epicentre_km), np.array(station_km)) == pytest.approx(gap_deg)


@pytest.mark.parametrize(
    ("latitude_deg", "direction", "expected_km"), [(0, 0, 110.574), (90, 0, 111.694), (0, 1, 111.320)]
)
def test_a_degree_at_the_equator_and_at_a_pole(latitude_deg, direction, expected_km) -> None:
    """Torge & Mueller, Geodesy; north (0) and east (1)."""
    np.testing.assert_allclose(km_per_degree(latitude_deg)[direction], expected_km, atol=1e-3)


@pytest.mark.parametrize(
    ("change", "status"),
    [({}, ""), ({"flag": "record cut"}, "preliminary"), ({"flag": "no event found", "rejected": True}, "rejected")],
)
def test_flagged_locations_are_preliminary_and_those_without_an_earthquake_rejected(tmp_path, change, status) -> None:
    event = located()[0]._replace(flag="", alarm=None)._replace(**change)
    write_quakeml(tmp_path / "events.xml", [event])
    origin = read_events(tmp_path / "events.xml")[0].origins[0]
    assert (origin.evaluation_status or "") == status
    assert any(comment.text == f"flag: {event.flag}" for comment in origin.comments) == bool(event.flag)
    write_csv(tmp_path / "events.csv", [event])
    (again,) = read_csv(tmp_path / "events.csv")
    assert (again.status, again.rejected) == (status, event.rejected)
