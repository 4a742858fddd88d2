"""Stations that do not fit the others: their arrivals are predicted without them, and what is wrong is told apart."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from arrival_densities import SMOOTHING_S, TRUTH, arrivals, stations, times_s

from jaxloc.physics.arrival_likelihood import Anomalies
from jaxloc.physics.common_error import CommonError
from jaxloc.physics.predicted_by_others import predicted_by_others
from jaxloc.physics.station_faults import station_faults
from jaxloc.runs.station_flags import LEAST_EVIDENCE, MOST_SURPRISE, faulty_stations

NUMBER, BAD = 10, 3
STATIONS = stations(NUMBER)
EXACT_S = times_s(STATIONS, TRUTH)
OTHER = int(np.abs(EXACT_S[:, 0] - EXACT_S[BAD, 0]).argmax())  # far nearer or farther
UNUSUAL = Anomalies(jnp.array(0.2), jnp.array(0.0), jnp.array([0.2, 0.35]))


@jax.jit
def predict(seen, hypocentre):
    return predicted_by_others(seen, hypocentre)


@jax.jit
def compare(seen, hypocentre):
    return station_faults(seen, hypocentre, predicted_by_others(seen, hypocentre))


def place(arrival_s, shift_km=(0.0, 0.0, 0.0, 0.0)):
    """Arrivals located at the truth, or beside it."""
    seen = arrivals(STATIONS, arrival_s)
    return seen._replace(physics=seen.physics._replace(anomalies=UNUSUAL)), jnp.asarray(TRUTH + shift_km, jnp.float32)


def test_a_station_is_predicted_by_the_others_alone():
    """Exact arrivals, one station 0.4 s late, and a location that it has pulled by 0.4 km.

    A second linearisation would change the prediction by the curvature of travel times, below 5 ms here; the late
    station still counts for the others, as an arrival that is not impossible.
    """
    late_s = EXACT_S.copy()
    late_s[BAD] += 0.4
    seen, hypocentre = place(late_s, (0.3, -0.2, 0.2, 0.05))
    found = predict(seen, hypocentre)
    np.testing.assert_allclose(found.arrival_s[BAD], EXACT_S[BAD], atol=0.02)
    assert (found.variance_s2 >= np.square(SMOOTHING_S)).all()
    assert found.variance_s2[:NUMBER].max() < 4 * np.square(SMOOTHING_S).max()


def test_leaving_out_a_station_is_least_squares_without_it():
    """Normal errors so small that all picks count fully: NumPy's least squares over the other nine."""
    errors_s = np.random.default_rng(0).normal(size=EXACT_S.shape) * 0.03
    seen, hypocentre = place(EXACT_S + errors_s)
    step = 1e-3
    slope = np.stack([(times_s(STATIONS, TRUTH + step * axis) - EXACT_S) / step for axis in np.eye(4)], -1)
    sd_s = np.sqrt(np.square(SMOOTHING_S) + 0.06**2)
    used = np.arange(NUMBER) != BAD
    rows = (slope / sd_s[:, None])[used].reshape(-1, 4)
    change = np.linalg.lstsq(rows, (errors_s / sd_s)[used].ravel(), rcond=None)[0]
    found = predict(seen, hypocentre)
    np.testing.assert_allclose(found.arrival_s[BAD], EXACT_S[BAD] + slope[BAD] @ change, atol=5e-3)
    covariance = np.linalg.inv(rows.T @ rows)
    variance_s2 = np.square(SMOOTHING_S) + np.einsum("pi,ij,pj->p", slope[BAD], covariance, slope[BAD])
    np.testing.assert_allclose(found.variance_s2[BAD], variance_s2, rtol=0.15)  # picks count by their probabilities


@pytest.mark.parametrize("offset_s", [1.0, -1.0])
def test_a_clock_is_off_by_the_same_in_p_and_s(offset_s):
    off_s = EXACT_S.copy()
    off_s[BAD] += offset_s
    found = compare(*place(off_s))
    (fault,) = faulty_stations(found)
    assert (fault.row, fault.kind) == (BAD, "clock")
    assert fault.offset_s == pytest.approx(offset_s, abs=0.1)


def test_wrong_coordinates_move_s_more_than_p():
    off_s = EXACT_S.copy()
    off_s[BAD] += np.array([1.5, 1.5 * 1.73])
    (fault,) = faulty_stations(compare(*place(off_s)))
    assert (fault.row, fault.kind) == (BAD, "coordinates")
    assert fault.offset_s == pytest.approx(1.5, abs=0.15)


def test_exchanged_records_are_found_as_a_pair():
    swapped_s = EXACT_S.copy()
    swapped_s[[BAD, OTHER]] = swapped_s[[OTHER, BAD]]
    (fault,) = faulty_stations(compare(*place(swapped_s)))
    assert ({fault.row, fault.partner}, fault.kind) == ({BAD, OTHER}, "exchanged")


def test_an_arrival_read_wrong_is_no_fault_of_the_station():
    """P alone is far off, or both are by different times: no clock and no place says so."""
    off_s = EXACT_S.copy()
    off_s[BAD, 0] += 4.0
    off_s[OTHER] += np.array([2.0, -1.5])
    assert faulty_stations(compare(*place(off_s))) == []


def test_good_stations_are_seldom_named():
    """Errors as the physics has them: of 200 stations at most 1 % are named."""
    rng, named = np.random.default_rng(1), 0
    for _ in range(20):
        errors_s = rng.normal(size=EXACT_S.shape) * np.hypot(SMOOTHING_S, 0.06)
        found = compare(*place(EXACT_S + errors_s))
        named += int((np.maximum(found.clock, found.place) > LEAST_EVIDENCE).sum())
        assert (np.asarray(found.clock[NUMBER:]) < -100).all()  # silent rows
    assert named <= 0.01 * 20 * NUMBER


COMMON = CommonError(jnp.array(0.05), jnp.array(0.03))


def surprise(error):
    """Of travel times with common errors, in standard deviations, and errors of picks."""
    share = np.array([1.0, 1.0]) + error[0] * 0.05 + error[1] * 0.03 * np.array([0.0, 1.0])
    errors_s = np.random.default_rng(2).normal(size=EXACT_S.shape) * np.hypot(SMOOTHING_S, 0.06)
    seen, hypocentre = place(TRUTH[3] + (EXACT_S - TRUTH[3]) * share + errors_s)
    return predict(seen._replace(physics=seen.physics._replace(common=COMMON)), hypocentre).surprise


def test_errors_of_the_velocity_model_surprise_as_often_as_they_should():
    """Chi-square of two degrees of freedom: a mean of two, with a standard error of 0.3 over 40 models."""
    errors = np.random.default_rng(3).normal(size=(40, 2))
    assert np.mean([surprise(error) for error in errors]) == pytest.approx(2.0, abs=0.9)


@pytest.mark.parametrize("error", [(5.0, 0.0), (-5.0, 0.0), (0.0, 6.0)])
def test_a_velocity_model_that_is_far_off_surprises(error):
    assert surprise(error) > MOST_SURPRISE
