"""Errors of layers and station terms as errors that arrivals share, against finite differences and SciPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloc.physics.layered import VelocityModel, layered
from jaxloc.physics.layered_times import layered_times
from jaxloc.physics.model_errors import (
    LATE_SD,
    ModelErrors,
    before_data,
    factor_of,
    of_velocity,
    shared_errors_s,
    slopes,
    widened_s,
)
from jaxloc.physics.velocity_error import VelocityError

MODEL = layered([0.0, 2.0, 8.0, 20.0], [4.8, 5.8, 6.1, 6.7], [2.75, 3.35, 3.52, 3.85])
PLACE = jnp.array([3.0, 4.0, 10.0])
STATIONS = jnp.array([[0.0, 0.0, 0.0], [10.0, 5.0, -0.5], [60.0, 0.0, 0.0]])


def with_speeds(vp_factor, vs_factor):
    vp, vs = np.asarray(MODEL.vp_km_s), np.asarray(MODEL.vs_km_s)
    return VelocityModel(MODEL.top_km, jnp.asarray(vp * vp_factor), jnp.asarray(vs * vs_factor))


def times_s(model, place_km=PLACE):
    return np.asarray(layered_times(model)(STATIONS)(place_km[None])[0], float)


def test_slopes_by_speed_are_those_of_differences():
    time_s, _, by_speed = slopes(MODEL, PLACE, STATIONS)
    np.testing.assert_allclose(time_s, times_s(MODEL), rtol=1e-5)
    for layer in range(4):
        factor = np.where(np.arange(4) == layer, 1.003, 1.0)
        change_s = (times_s(with_speeds(factor, factor)) - times_s(with_speeds(1 / factor, 1 / factor))) / (
            2 * np.log(1.003)
        )
        np.testing.assert_allclose(by_speed[..., layer], change_s, atol=0.03)


def test_slopes_by_place_are_those_of_differences():
    _, by_place, _ = slopes(MODEL, PLACE, STATIONS)
    for axis in range(3):
        step = 0.05 * np.eye(3)[axis]
        np.testing.assert_allclose(
            by_place[..., axis], (times_s(MODEL, PLACE + step) - times_s(MODEL, PLACE - step)) / 0.1, atol=2e-3
        )


def test_the_prior_has_the_stated_errors():
    """Of each layer the stated share; of all layers together between half of its variance and all of it."""
    covariance = before_data(MODEL, VelocityError(0.05, 0.0))
    assert np.sqrt(np.diag(covariance)) == pytest.approx(0.05)
    mean = covariance[:4, :4].mean()
    assert 0.5 * 0.05**2 < mean < 0.05**2
    np.testing.assert_allclose(covariance[:4, 4:], covariance[:4, :4])  # S goes with P where Vp/Vs is exact
    ratio = before_data(MODEL, VelocityError(0.0, 0.05))
    assert np.sqrt(np.diag(ratio)[4:]) == pytest.approx(0.05 / np.mean(np.asarray(MODEL.vp_km_s / MODEL.vs_km_s)))
    assert not ratio[:4].any()


def test_a_factor_has_its_covariance():
    covariance = before_data(MODEL, VelocityError())
    factor = factor_of(covariance)
    np.testing.assert_allclose(factor @ factor.T, covariance, atol=1e-8)


def test_arrivals_share_the_errors_of_drawn_models():
    """Covariance of arrivals of 400 models drawn from the prior: of 400 draws it errs by some 7 % of each variance."""
    rng, error = np.random.default_rng(0), VelocityError(0.02, 0.02)
    draws = rng.multivariate_normal(np.zeros(8), before_data(MODEL, error), 400)
    times_of = jax.jit(
        jax.vmap(lambda z: layered_times(with_speeds(jnp.exp(z[:4]), jnp.exp(z[4:])))(STATIONS)(PLACE[None]))
    )
    times = np.asarray(times_of(jnp.asarray(draws, jnp.float32)), float).reshape(400, -1)
    modes = np.asarray(shared_errors_s(of_velocity(MODEL, error), PLACE, STATIONS, jnp.zeros((3, 2)))).reshape(6, -1)
    found, stated = np.cov(times.T), modes @ modes.T
    scale = np.sqrt(np.diag(stated))
    np.testing.assert_allclose(found / scale[:, None] / scale, stated / scale[:, None] / scale, atol=0.25)
    np.testing.assert_allclose(np.diag(found), np.diag(stated), rtol=0.25)


def test_terms_are_of_the_stations_at_the_same_place():
    factor = np.zeros((8 + 4 + 2, 1))
    factor[8:12, 0] = [0.1, 0.2, 0.3, 0.4]
    errors = ModelErrors(MODEL, np.array([[60.0, 0.0, 0.0], [0.0, 0.0, 0.0]]), factor)
    found = shared_errors_s(errors, PLACE, STATIONS, jnp.ones((3, 2)))[..., 0]
    np.testing.assert_allclose(found, [[0.3, 0.4], [0.0, 0.0], [0.1, 0.2]], atol=1e-6)


def test_picks_that_err_more_are_later_or_earlier_by_as_much_more():
    sigma_s = np.array([[0.02, 0.1], [0.2, 0.1], [0.05, 0.4]])
    errors = of_velocity(MODEL, VelocityError(0.0, 0.0))
    modes = np.asarray(shared_errors_s(errors, PLACE, STATIONS, jnp.asarray(sigma_s)))
    of_phase = np.einsum("apm,bpm->pab", modes, modes)
    np.testing.assert_allclose(of_phase, LATE_SD**2 * np.einsum("ap,bp->pab", sigma_s, sigma_s), atol=1e-6)
    assert np.abs(np.einsum("am,bm->ab", modes[:, 0], modes[:, 1])).max() < 1e-6


def test_wrong_picks_are_found_beneath_errors_that_all_share():
    """All picks late by one share of their travel time, which is 20 times their own error, and one of them wrong."""
    rng = np.random.default_rng(0)
    travel_s, sd_s = rng.uniform(2, 12, 14), np.full(14, 0.03)
    late_s = 0.05 * travel_s + 0.03 * rng.normal(size=14) + 7.0
    late_s[4] += 1.5
    mask = np.arange(14) != 9
    late_s[9] = 50.0  # a place without a pick
    arrays = (jnp.asarray(each, jnp.float32) for each in (late_s, sd_s))
    found = np.asarray(widened_s(*arrays, jnp.asarray(mask), jnp.asarray(0.05 * travel_s, jnp.float32)[:, None]))
    assert found[4] > 10 * sd_s[4]
    right = mask & (np.arange(14) != 4)
    assert found[right].max() < 2 * 0.03
    assert np.median(found[right]) < 1.2 * 0.03
