"""Disturbances that cross a network have a moveout, those of one sensor have none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloc.simulation.disturbances import KINDS
from jaxloc.simulation.disturbed_networks import SLOWNESS_S_KM, Disturbed, disturbed_network

RATE_HZ, SAMPLES = 20.0, 1200
PLACES_KM = jnp.array([[0.0, 0.0, 0.0], [20.0, 0.0, 0.0], [0.0, 20.0, 0.0]])
NAMES = [kind.__name__ for kind in KINDS]


@pytest.fixture(scope="module")
def draw():
    loud = Disturbed((80.0, 80.0))  # far above noise
    return jax.jit(lambda key, kind: disturbed_network(key, kind, PLACES_KM, SAMPLES, RATE_HZ, loud))


def best_match(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """The largest correlation of two records over lags, and the lag in s."""
    number = 2 * first.shape[-1]
    product = np.fft.rfft(first, number) * np.fft.rfft(second, number).conj()
    at = np.fft.irfft(product, number).sum(0) / np.sqrt((first**2).sum() * (second**2).sum())
    lag = int(np.abs(at).argmax())
    return float(np.abs(at[lag])), (lag if lag < number // 2 else lag - number) / RATE_HZ


def test_all_kinds_that_cross_a_network_exist() -> None:
    assert set(SLOWNESS_S_KM) < set(NAMES)


@pytest.mark.parametrize("name", ["teleseismic_body_wave", "regional_lg"])
def test_waves_cross_a_network_by_their_slowness(draw, name: str) -> None:
    """Where the wave is whole in both records; at the end of one it may be cut off in the other."""
    records = [np.asarray(draw(jax.random.key(seed), NAMES.index(name))) for seed in range(5)]
    found = [best_match(each[other], each[0]) for each in records for other in (1, 2)]
    assert np.isfinite(records).all()
    whole = [lag_s for alike, lag_s in found if alike > 0.9]
    assert len(whole) >= len(found) // 2
    assert max(np.abs(whole)) <= 20.0 * SLOWNESS_S_KM[name][1] + 1 / RATE_HZ


def test_what_is_near_one_sensor_is_not_at_the_others(draw) -> None:
    alike = [best_match(*np.asarray(draw(jax.random.key(seed), NAMES.index("footsteps")))[:2])[0] for seed in range(4)]
    assert np.median(alike) < 0.5
