"""The local frame against geodesics of ObsPy, and its refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from obspy.geodetics import gps2dist_azimuth

from jaxloc.geometry import (
    Frame,
    check_degrees,
    distance_km,
    format_degrees,
    frame_of,
    great_circle_km,
    to_degrees,
    to_km,
)

FRAMES = [Frame(35.7, -117.5), Frame(0.0, 0.0), Frame(-21.0, -69.5), Frame(64.0, -21.3), Frame(-18.1, 179.9)]
REACH_KM = 200.0


def points(frame, number=60):
    """Points in degrees up to about 200 km from the origin."""
    rng = np.random.default_rng(0)
    away_km, bearing = REACH_KM * np.sqrt(rng.uniform(size=number)), rng.uniform(0, 2 * np.pi, number)
    latitude = frame.latitude_deg + away_km * np.cos(bearing) / 111.7
    longitude = frame.longitude_deg + away_km * np.sin(bearing) / 111.7 / np.cos(np.deg2rad(frame.latitude_deg))
    return latitude, longitude


@pytest.mark.parametrize("frame", FRAMES, ids=str)
def test_distance_and_azimuth_from_the_origin_are_the_geodesic_ones(frame):
    latitude, longitude = points(frame)
    east_km, north_km = to_km(frame, latitude, longitude)
    assert np.hypot(east_km, north_km).max() > 0.9 * REACH_KM
    for at in zip(latitude, longitude, east_km, north_km, strict=True):
        metres, azimuth_deg, _ = gps2dist_azimuth(frame.latitude_deg, frame.longitude_deg, at[0], at[1])
        azimuth = np.deg2rad(azimuth_deg)
        want = metres / 1000 * np.array([np.sin(azimuth), np.cos(azimuth)])
        np.testing.assert_allclose(at[2:], want, atol=0.01)


@pytest.mark.parametrize("frame", FRAMES, ids=str)
def test_there_and_back(frame):
    latitude, longitude = points(frame)
    back = to_degrees(frame, *to_km(frame, latitude, longitude))
    turn = (back[1] - longitude + 180) % 360 - 180
    np.testing.assert_allclose(back[0], latitude, atol=1e-8)
    np.testing.assert_allclose(turn, 0, atol=1e-8)
    np.testing.assert_allclose(to_km(frame, frame.latitude_deg, frame.longitude_deg), 0, atol=1e-9)


def test_swapped_coordinates_are_named():
    check_degrees(np.array([-90.0, 35.7, 90.0]), np.array([-180.0, -117.5, 360.0]), "stations")
    with pytest.raises(ValueError, match=r"stations: latitude -117.5 and longitude 35.7 .* swapped\?"):
        check_degrees(np.array([35.7, -117.5]), np.array([-117.5, 35.7]), "stations")


@pytest.mark.parametrize(
    ("latitude", "longitude"), [(np.nan, 0.0), (0.0, np.nan), (np.inf, 0.0), (0.0, -181.0), (0.0, 360.1), (90.1, 0.0)]
)
def test_coordinates_out_of_range_are_refused(latitude, longitude):
    with pytest.raises(ValueError, match="must be finite"):
        check_degrees(np.array(latitude), np.array(longitude), "event")


@pytest.mark.parametrize(
    ("latitudes_deg", "longitudes_deg", "expected"),
    [([10.0, 11.0], [20.0, 22.0], Frame(10.5, 21.0)), ([-18.0, -18.2], [179.0, -178.0], Frame(-18.1, -179.5))],
    ids=["usual", "date line"],
)
def test_a_frame_lies_amid_its_points_also_across_the_date_line(latitudes_deg, longitudes_deg, expected):
    frame = frame_of(np.array(latitudes_deg), np.array(longitudes_deg))
    assert frame == expected
    east_km, _ = to_km(frame, np.array(latitudes_deg), np.array(longitudes_deg))
    assert np.abs(east_km).max() < REACH_KM


def test_horizontal_distance_and_its_gradient_at_zero():
    first, second = jnp.array([[3.0, 4.0, 9.0], [1.0, 1.0, 5.0]]), jnp.array([[0.0, 0.0, -1.0], [1.0, 1.0, 0.0]])
    np.testing.assert_allclose(distance_km(first, second), [5.0, 0.0], rtol=1e-6)
    slope = jax.grad(lambda x: distance_km(x, second).sum())(first)
    np.testing.assert_allclose(slope, [[0.6, 0.8, 0], [0, 0, 0]], atol=1e-6)


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ((-75.1086, -60.9841), "75.1086 S 60.9841 W"),
        ((40.0, 15.0), "40.0000 N 15.0000 E"),
        ((0.0, 200.0), "0.0000 N 160.0000 W"),
        ((-0.00001, 0.0), "0.0000 S 0.0000 E"),
    ],
)
def test_positions_as_text(place: tuple[float, float], text: str) -> None:
    assert format_degrees(*place) == text


@pytest.mark.parametrize(
    "places", [((0.0, 0.0), (0.0, 1.0)), ((64.0, -21.0), (64.1, -21.2)), ((10.0, 179.9), (10.5, -179.8))]
)
def test_great_circles_are_nearly_geodesics(places: tuple[tuple[float, float], tuple[float, float]]) -> None:
    first, second = places
    geodesic_km = np.hypot(*to_km(Frame(*first), np.array(second[0]), np.array(second[1])))
    assert great_circle_km(*np.array(first), *np.array(second)) == pytest.approx(geodesic_km, rel=6e-3)
