"""Characteristic functions peak at onsets and nowhere else, and their scale is found again."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloc.data.characteristic_functions import (
    KINDS,
    Characteristic,
    Windows,
    characteristic_functions,
    check,
    window_sum,
)
from jaxloc.data.onset_densities import NOTHING, fit, log_mass_of

RATE_HZ, ONSET = 20.0, 200


def record(seed=0, gain=1.0):
    """Noise, and a wave ten times as large on all components from sample `ONSET` on."""
    rng = np.random.default_rng(seed)
    value = rng.normal(size=(1, 3, 400))
    value[..., ONSET:] *= 1 + 10 * np.exp(-np.arange(400 - ONSET) / 10)
    return jnp.asarray(gain * value, jnp.float32)


@pytest.mark.parametrize("length", [1, 2, 5, 8, 31, 64, 500])
def test_window_sums_are_sums(length):
    """In single precision, of noise a millionth of the wave that comes before it: running sums would lose it."""
    value = np.random.default_rng(1).uniform(size=(2, 100)) * np.where(np.arange(100) < 50, 1e8, 1.0)
    expected = [value[:, i : i + length].sum(-1) for i in range(100)]
    np.testing.assert_allclose(window_sum(jnp.asarray(value, jnp.float32), length), np.stack(expected, -1), rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("gain", [1.0, 1e-9])
def test_a_function_is_large_at_the_onset(kind, gain):
    """Within half a second after it, for counts and metres per second alike, of P and of S."""
    found = characteristic_functions(record(gain=gain), None, RATE_HZ, kind)
    peak = np.asarray(jnp.where(found.mask, found.value, -1.0).argmax(-1))
    assert (np.abs(peak - ONSET - 2) <= 10).all(), peak


@pytest.mark.parametrize("kind", KINDS)
def test_gaps_silent_components_and_ends_of_records_bring_no_onset(kind):
    """What stands in a gap does not matter, nothing exists within it, and a missing horizontal changes little."""
    mask = np.ones((1, 400), bool)
    mask[:, 80:110] = mask[:, :10] = False
    plain = record()
    wild = jnp.where(jnp.asarray(mask)[:, None], plain, 1e3)
    zero = jnp.where(jnp.asarray(mask)[:, None], plain, 0.0)
    for given, sample_mask in ((wild, mask), (zero, mask), (zero, None)):
        found = characteristic_functions(given, None if sample_mask is None else jnp.asarray(mask), RATE_HZ, kind)
        assert not np.asarray(found.mask)[..., 85:105].any()
        peak = np.asarray(jnp.where(found.mask, found.value, -1.0).argmax(-1))
        assert (np.abs(peak - ONSET - 2) <= 10).all()
        if sample_mask is not None:
            reference = found
        np.testing.assert_allclose(found.value, reference.value, atol=1e-4)
    silent = characteristic_functions(plain.at[:, 0].set(0.0), None, RATE_HZ, kind)
    assert not np.asarray(silent.mask)[:, 0].any()
    assert np.asarray(silent.mask)[:, 1].any()
    one = characteristic_functions(plain.at[:, 2].set(0.0), None, RATE_HZ, kind)
    assert abs(int(jnp.where(one.mask, one.value, -1.0)[0, 1].argmax()) - ONSET - 2) <= 10


def test_densities_are_normalised_and_say_nothing_where_there_is_no_record():
    seen = record().repeat(2, 0).at[1].set(0.0)
    log_mass = log_mass_of(characteristic_functions(seen, None, RATE_HZ), jnp.array([0.4, 0.3]))
    np.testing.assert_allclose(jnp.exp(log_mass).sum(-1), 1.0, rtol=1e-4)
    np.testing.assert_allclose(log_mass[1, :, -1], 0.0)
    assert (log_mass[1, :, :-1] == NOTHING).all()
    assert (log_mass[0, :, -1] == NOTHING).all()


def test_a_scale_is_found_again():
    """Arrivals sampled from the density of a known scale; temperatures to a fifth, since arrivals
    are read between samples where the density is linear."""
    rng = np.random.default_rng(2)
    smooth = np.cumsum(rng.normal(size=(1500, 2, 300)), -1)
    value = jnp.asarray(smooth - smooth.mean(-1, keepdims=True), jnp.float32)
    temperature, delay_s, outlier = np.array([2.0, 0.8]), np.array([0.3, -0.2]), 0.1
    mass = jax.nn.softmax(value / temperature[:, None], -1)
    peak = np.asarray(jax.random.categorical(jax.random.key(0), jnp.log(mass)))
    anywhere = rng.uniform(size=peak.shape) < outlier
    arrival_s = np.where(anywhere, rng.uniform(0, 300, peak.shape), peak) / RATE_HZ - delay_s
    known = np.ones((1500, 2), bool)
    known[:20, 1] = False
    found = fit(Characteristic(value, jnp.ones(value.shape, bool)), arrival_s, known, RATE_HZ)
    np.testing.assert_allclose(found.scale.temperature, temperature, rtol=0.2)
    np.testing.assert_allclose(found.scale.delay_s, delay_s, atol=0.02)
    np.testing.assert_allclose(found.outlier, outlier, atol=0.04)
    with pytest.raises(ValueError, match=r"arrivals of P and S must be known, got \[1500, 0\]"):
        fit(Characteristic(value, jnp.ones(value.shape, bool)), arrival_s, known & [True, False], RATE_HZ)


@pytest.mark.parametrize(
    ("kind", "windows", "says"),
    [("sta", Windows(), "one of sta_lta, kurtosis, amplitude, got 'sta'"), ("sta_lta", Windows((0.01, 1.0)), "0.01 s")],
)
def test_wrong_settings_are_refused(kind, windows, says):
    with pytest.raises(ValueError, match=says):
        check(kind, windows, RATE_HZ)
