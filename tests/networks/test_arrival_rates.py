"""The network of arrival rates: records of any length, unit and offset, and rates as densities of one arrival."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

from jaxloc.networks.arrival_rates import RateModel, RecordRates, network, record_channels
from jaxloc.networks.flax_adapter import applied, initialised
from jaxloc.physics.readings import window_log_mass
from jaxloc.types import Observations, Weights

RATE_HZ = 50.0
SMALL = RateModel(channels=(4, 6, 8))
FAR_S = 40.0  # beyond the reach of the layers (a few seconds here) and of the noise (30 s)


def quake(number: int = 6000, at: int = 3000) -> np.ndarray:
    record = np.array(random.normal(random.key(0), (number, 3)))
    record[at : at + 500] *= 30 * np.exp(-np.arange(500) / 200)[:, None]
    return record


def read(record: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    module = RecordRates(SMALL, RATE_HZ)
    params = initialised(module, random.key(1), jnp.zeros((500, 3)))
    found = module.apply({"params": params}, jnp.asarray(record), None if mask is None else jnp.asarray(mask))
    return np.asarray(found.log_rate)


def test_unit_and_offset_of_a_record_do_not_matter() -> None:
    np.testing.assert_allclose(read(quake()), read(quake() * 3e7 + 1e7), atol=0.02)
    np.testing.assert_allclose(read(quake()), read(quake() * 1e-9), atol=0.02)


def test_a_longer_record_is_read_as_its_parts_far_from_the_cut() -> None:
    record, far = quake(8000, 5000), int(FAR_S * RATE_HZ)  # cut at whole strides and blocks
    whole, part = read(record), read(record[2000:])
    inner = slice(far, -1)
    np.testing.assert_allclose(whole[2000:][inner], part[inner], atol=2e-3)


def test_nothing_moves_before_its_time() -> None:
    record = np.zeros((3000, 3))
    record[2000:] = 1.0
    channels = np.asarray(record_channels(jnp.asarray(record), RATE_HZ))
    # The mean over the record is subtracted first: what is constant stays constant.
    assert np.ptp(channels[60:2000, :6], axis=0).max() < 1e-5


@pytest.mark.parametrize("level", [1e-12, 1.0])
def test_silent_records_and_components_give_finite_rates(level: float) -> None:
    record = quake() * level
    record[:, 1:] = 0.0
    assert np.isfinite(read(record)).all()
    assert np.isfinite(read(np.zeros((3000, 3)))).all()


def test_there_are_no_arrivals_where_nothing_was_recorded() -> None:
    mask = np.ones(6000, bool)
    mask[1000:1500] = False
    found = read(quake(), mask)
    assert found[1000:1500].max() < -20
    assert np.isfinite(found).all()


def test_gradients_are_finite_for_a_dead_record() -> None:
    module = RecordRates(SMALL, RATE_HZ)
    params = initialised(module, random.key(1), jnp.zeros((500, 3)))
    loss = lambda p: applied(module, Weights(p), jnp.zeros((500, 3))).log_rate.sum()
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(jax.grad(loss)(params)))


def test_one_narrow_peak_is_one_arrival() -> None:
    log_rate = jnp.full((1000, 2), -20.0).at[400, 0].set(jnp.log(0.7 * RATE_HZ))
    mass = np.exp(np.asarray(window_log_mass(log_rate, RATE_HZ)))
    np.testing.assert_allclose(mass.sum(-1), 1.0, rtol=1e-5)
    assert mass[0, -1] == pytest.approx(np.exp(-0.7), rel=1e-4)
    assert mass[0, 400] == pytest.approx(1 - np.exp(-0.7), rel=1e-4)
    assert mass[1, -1] == pytest.approx(1.0, abs=1e-4)


def test_two_arrivals_share_the_probability_of_a_window() -> None:
    log_rate = jnp.full((1000, 2), -20.0).at[jnp.array([200, 700]), 0].set(jnp.log(RATE_HZ))
    mass = np.exp(np.asarray(window_log_mass(log_rate, RATE_HZ)))
    assert mass[0, 200] == pytest.approx(mass[0, 700])
    assert mass[0, [200, 700]].sum() == pytest.approx(1 - np.exp(-2), rel=1e-4)


def test_the_network_reads_every_station() -> None:
    waveforms = jnp.asarray(np.stack([quake(), np.zeros((6000, 3))])).swapaxes(1, 2)
    observations = Observations(waveforms, jnp.zeros((2, 3)), jnp.ones(2, bool), jnp.arange(2), jnp.asarray(RATE_HZ))
    bound = network(rate_hz=RATE_HZ, channels=(4, 6, 8))
    params = bound.init(random.key(0), observations)
    readings = bound.apply(Weights(params), observations)
    np.testing.assert_allclose(np.exp(readings.log_mass).sum(-1), 1.0, rtol=1e-4)
    assert readings.active.tolist() == [1.0, 0.0]
    assert readings.towards.shape == (2, 2)
