import numpy as np
import pytest

from jaxloc.physics.source_velocity import ALIKE_KM, source_error, with_error

SPEED, DRAWS = 0.05, 4000


def located():
    place_km = np.array([[0.0, 0.0, 8.0], [0.5, 0.0, 8.0], [40.0, 0.0, 8.0]])
    travel_s = np.array([4.0, 4.2, 8.0])
    none = np.zeros((3, 4, 3, 4)), np.zeros((3, 4, DRAWS))
    return with_error(np.random.default_rng(0), *none, source_error(place_km, travel_s, SPEED))


def test_separations_err_by_the_share_of_speeds_and_far_ones_by_no_more_than_the_length():
    covariance, draws = located()
    along = lambda i, j, k: covariance[i, k, i, k] + covariance[j, k, j, k] - 2 * covariance[i, k, j, k]
    of = lambda i, j, k=0: np.sqrt(along(i, j, k))
    assert of(0, 1) == pytest.approx(0.5 * SPEED, rel=0.01)
    assert of(0, 1, 2) == pytest.approx(2 * of(0, 1), rel=1e-6)
    assert of(0, 2) == pytest.approx(2**0.5 * ALIKE_KM * SPEED, rel=0.01)
    # The standard deviation of DRAWS draws has a relative standard error of 0.011.
    assert (draws[0, 0] - draws[1, 0]).std() == pytest.approx(of(0, 1), rel=0.06)


def test_origin_times_err_together_by_the_share_of_travel_times():
    covariance, draws = located()
    np.testing.assert_allclose(np.sqrt(np.einsum("iaia->ia", covariance)[:, 3]), SPEED * np.array([4.0, 4.2, 8.0]))
    np.testing.assert_allclose(draws[2, 3], 2 * draws[0, 3])
