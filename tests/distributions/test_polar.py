"""What one station says, as hypocentres: exact moments, directions that wrap."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloc.distributions.gaussian_mixture import components, covariance, gaussian_mixture, heaviest, mean
from jaxloc.distributions.polar import Polar, circular, distance_and_azimuth, hypocentres
from jaxloc.geometry import distance_km

STATION_KM = jnp.array([12.0, -7.0, -0.5])


def polar(log_weight, distance_km, distance_sd_km, azimuth_deg, azimuth_sd_deg, by_distance=False):
    distance = jnp.asarray(distance_km, jnp.float32)
    depth, origin = (8.0 + 0.1 * distance, 5.0 - distance / 6) if by_distance else (jnp.array(8.0), jnp.array(5.0))
    return Polar(
        jnp.asarray(log_weight, jnp.float32),
        distance,
        jnp.asarray(distance_sd_km, jnp.float32),
        jnp.deg2rad(jnp.asarray(azimuth_deg, jnp.float32)),
        jnp.deg2rad(jnp.asarray(azimuth_sd_deg, jnp.float32)),
        depth,
        jnp.full_like(depth, 2.0),
        origin,
        jnp.full_like(origin, 0.5),
    )


@pytest.mark.parametrize(
    ("distance_km", "sd_km", "azimuth_deg", "sd_deg"),
    [(30.0, 3.0, 0.0, 10.0), (80.0, 15.0, 222.0, 60.0), (0.0, 2.0, 100.0, 30.0), (500.0, 0.5, 359.0, 1.0)],
)
def test_components_have_the_moments_of_points_on_their_piece_of_the_ring(distance_km, sd_km, azimuth_deg, sd_deg):
    """Against 4e5 points, within four standard errors of each moment (those of a variance: by the fourth moment)."""
    rng = np.random.default_rng(0)
    r, angle = rng.normal(distance_km, sd_km, 400_000), np.deg2rad(rng.normal(azimuth_deg, sd_deg, 400_000))
    points = np.stack([r * np.sin(angle), r * np.cos(angle)], -1)
    parts = hypocentres(polar([[0.0]], [distance_km], [sd_km], [azimuth_deg], [sd_deg]), STATION_KM)
    found = gaussian_mixture(*parts)
    error = points.std(0) / np.sqrt(len(points))
    assert (np.abs(mean(found)[:2] - STATION_KM[:2] - points.mean(0)) < 4 * error + 1e-4).all()
    apart = points - points.mean(0)
    products = apart[:, :, None] * apart[:, None, :]
    error = products.std(0) / np.sqrt(len(points))
    assert (np.abs(covariance(found)[:2, :2] - products.mean(0)) < 4 * error + 1e-3).all()
    np.testing.assert_allclose(mean(found)[2:], [8.0, 5.0])
    np.testing.assert_allclose(covariance(found)[2:, 2:], np.diag([4.0, 0.25]), rtol=1e-5)


def test_weights_are_joint_and_depth_and_origin_may_go_with_distance():
    log_weight = jnp.log(jnp.array([[0.1, 0.2, 0.0], [0.3, 0.0, 0.4]]))
    said = polar(log_weight, [10.0, 40.0], [1.0, 2.0], [0.0, 90.0, 270.0], [5.0, 5.0, 5.0], by_distance=True)
    parts = hypocentres(said, STATION_KM)
    np.testing.assert_allclose(np.exp(parts.log_weight), [0.1, 0.2, 0, 0.3, 0, 0.4], atol=1e-6)
    np.testing.assert_allclose(parts.mean[:, 2], [9.0] * 3 + [12.0] * 3)
    np.testing.assert_allclose(parts.mean[:, 3], 5 - np.repeat([10.0, 40.0], 3) / 6, rtol=1e-6)
    west = parts.mean[5, :2] - STATION_KM[:2]
    np.testing.assert_allclose(west, [-40 * np.exp(-(np.deg2rad(5.0) ** 2) / 2), 0], atol=1e-4)


def test_a_ring_of_equal_weights_has_no_direction():
    bins = np.arange(0, 360, 10)
    parts = hypocentres(polar(np.zeros((1, 36)), [50.0], [2.0], bins, np.full(36, 5.0)), STATION_KM)
    whole = gaussian_mixture(*parts)
    np.testing.assert_allclose(mean(whole)[:2], STATION_KM[:2], atol=1e-3)
    np.testing.assert_allclose(covariance(whole)[:2, :2], np.eye(2) * (50**2 + 2**2) / 2, rtol=1e-3, atol=0.1)


def test_the_heaviest_components_stay_and_the_rest_keeps_its_moments():
    key = jax.random.key(0)
    weight = 3 * jax.random.normal(key, (5, 36))
    said = polar(weight, np.linspace(5, 60, 5), np.full(5, 4.0), np.arange(0, 360, 10), np.full(36, 5.0), True)
    whole = gaussian_mixture(*hypocentres(said, STATION_KM))
    few = gaussian_mixture(*heaviest(components(whole), 20))
    assert few.parts.log_weight.shape == (21,)
    np.testing.assert_allclose(np.sort(few.parts.log_weight[:20]), np.sort(whole.parts.log_weight)[-20:], rtol=1e-5)
    np.testing.assert_allclose(mean(few), mean(whole), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(covariance(few), covariance(whole), rtol=1e-3, atol=0.05)
    same = heaviest(components(whole), 180)
    np.testing.assert_array_equal(same.mean, whole.parts.mean)


def test_weights_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"\(1, 2\), got \(2, 1\)"):
        hypocentres(polar(np.zeros((2, 1)), [1.0], [1.0], [0.0, 1.0], [1.0, 1.0]), STATION_KM)


@pytest.mark.parametrize(
    ("east_km", "north_km", "azimuth_deg"),
    [(0, 3, 0), (3, 0, 90), (0, -3, 180), (-3, 0, 270), (-1e-6, 3, 0), (-3, 3, 315), (0, 0, 0)],
)
def test_distance_and_azimuth_from_the_station(east_km, north_km, azimuth_deg):
    """Just west of north is north from either side, and no larger than the full circle."""
    event = STATION_KM + jnp.array([east_km, north_km, 9.0])
    value, slope = jax.value_and_grad(lambda x: sum(distance_and_azimuth(STATION_KM, x)))(event)
    distance, azimuth = distance_and_azimuth(STATION_KM, event)
    np.testing.assert_allclose(distance, np.hypot(east_km, north_km), rtol=1e-6)
    assert 0 <= azimuth < 2 * np.pi
    np.testing.assert_allclose(np.exp(1j * azimuth), np.exp(1j * np.deg2rad(azimuth_deg)), atol=1e-6)
    assert np.isfinite(value)
    assert np.isfinite(slope).all()
    assert distance == distance_km(STATION_KM, event)


@pytest.mark.parametrize("mean_deg", [0.0, 3.0, 200.0, 357.0])
@pytest.mark.parametrize("sd_deg", [5.0, 40.0])
def test_circular_mean_and_standard_deviation_of_wrapped_normals(mean_deg, sd_deg):
    """Exact where the bins are fine: the resultant of a wrapped normal is exp(-s^2 / 2)."""
    azimuth = jnp.deg2rad(jnp.arange(0, 360, 2.0))
    turns = jnp.deg2rad(mean_deg) + 2 * jnp.pi * jnp.arange(-3, 4)
    weight = jnp.exp(-0.5 * ((azimuth[:, None] - turns) / jnp.deg2rad(sd_deg)) ** 2).sum(-1)
    found = circular(weight, azimuth)
    np.testing.assert_allclose(np.exp(1j * found.mean_rad), np.exp(1j * np.deg2rad(mean_deg)), atol=1e-4)
    np.testing.assert_allclose(found.sd_rad, np.deg2rad(sd_deg), rtol=1e-3)
    np.testing.assert_allclose(found.resultant, np.exp(-(np.deg2rad(sd_deg) ** 2) / 2), rtol=1e-4)


def test_directions_without_preference_have_no_resultant():
    found = circular(jnp.ones(36), jnp.deg2rad(jnp.arange(0, 360, 10.0)))
    assert found.resultant < 1e-6
    assert found.sd_rad > 5
