"""Background noise against Peterson's models, and its coherence, envelopes and self noise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import quick_jit
from jax import random
from obspy.signal.spectral_estimation import get_nhnm, get_nlnm

from jaxloc.simulation.ground_noise import GroundNoiseRanges, ground_noise, log_normal_envelopes
from jaxloc.simulation.noise_models import HIGH_NOISE_DB, LOW_NOISE_DB, peterson_db

RATE_HZ, NUM_SAMPLES, NUMBER = 50.0, 2048, 256
PLAIN = GroundNoiseRanges(
    level=(0.5, 0.5),
    offset_sd_db=0.0,
    slope_sd_db=0.0,
    beyond_db=(0.0, 0.0),
    component_offset_sd_db=0.0,
    horizontal_sd_db=0.0,
    microseism_db=(0.0, 0.0),
    culture_chance=0.0,
    passing_chance=(1.0, 0.0, 0.0, 0.0),
    tilt_chance=0.0,
)
FREQUENCY_HZ = np.fft.rfftfreq(NUM_SAMPLES, 1 / RATE_HZ)


def _spectra(ranges: GroundNoiseRanges, self_noise_m_s2: float = 0.0) -> np.ndarray:
    """Fourier coefficients whose mean square is the power density of velocity."""
    draw = lambda key: ground_noise(key, ranges, NUM_SAMPLES, RATE_HZ, self_noise_m_s2)
    traces = np.asarray(quick_jit(jax.vmap(draw))(random.split(random.key(0), NUMBER)), float)
    return np.fft.rfft(traces) * np.sqrt(2 / (NUM_SAMPLES * RATE_HZ))


def _mean_db(spectra: np.ndarray, low_hz: float, high_hz: float) -> tuple[np.ndarray, float]:
    """Mean level of acceleration of each component in a band, and its standard error in dB."""
    use = (low_hz <= FREQUENCY_HZ) & (high_hz >= FREQUENCY_HZ)
    power = (np.abs(spectra) ** 2 * (2 * np.pi * FREQUENCY_HZ) ** 2)[..., use].mean(-1)
    return 10 * np.log10(power.mean(0)), float((10 / np.log(10) * power.std(0) / power.mean(0)).max() / NUMBER**0.5)


@pytest.mark.parametrize(
    ("table", "model", "longest_s"), [(LOW_NOISE_DB, get_nlnm, 600.0), (HIGH_NOISE_DB, get_nhnm, 354.0)]
)
def test_noise_models_are_those_of_obspy(table, model, longest_s):
    period_s, want_db = model()
    use = period_s <= longest_s
    np.testing.assert_allclose(peterson_db(table, 1 / period_s[use]), want_db[use], atol=0.1)


@pytest.mark.parametrize("band_hz", [(0.9, 1.1), (4.0, 6.0), (18.0, 22.0)])
def test_level_lies_half_way_between_the_models(band_hz):
    found_db, error_db = _mean_db(_spectra(PLAIN), *band_hz)
    at = np.linspace(*band_hz, 50)
    both = peterson_db(LOW_NOISE_DB, at), peterson_db(HIGH_NOISE_DB, at)
    want_db = 10 * np.log10((10 ** ((both[0] + both[1]) / 20)).mean())
    np.testing.assert_allclose(found_db, want_db, atol=4 * error_db)


def test_self_noise_is_white_in_acceleration_and_adds_in_power():
    white_m_s2 = 1e-3  # -60 dB, far above the ground's noise
    spectra = _spectra(PLAIN._replace(envelope_sd=(0.0, 0.0)), white_m_s2)
    for band_hz in ((1.0, 2.0), (10.0, 20.0)):
        found_db, error_db = _mean_db(spectra, *band_hz)
        np.testing.assert_allclose(found_db, -60.0, atol=4 * error_db)


def test_horizontals_are_coherent_with_the_vertical_at_low_frequency_alone():
    steady = PLAIN._replace(envelope_sd=(0.0, 0.0), coherence=(0.6, 0.6))
    spectra = _spectra(steady)
    rotated = lambda h, use: np.abs((spectra[:, h] * spectra[:, 0].conj())[:, use].mean(-1)) ** 2
    power = lambda c, use: (np.abs(spectra[:, c]) ** 2)[:, use].mean(-1)
    for low_hz, high_hz, want in ((0.3, 0.5, 0.6 / (1 + 0.4**4)), (5.0, 5.5, 0.0)):
        use = (low_hz <= FREQUENCY_HZ) & (high_hz >= FREQUENCY_HZ)
        squared = rotated(1, use) / (power(0, use) * power(1, use))
        # The estimate from n independent coefficients is too large by (1 - want)² / n (Carter and others 1973).
        bias = (1 - want) ** 2 / use.sum()
        assert abs(squared.mean() - want - bias) < 4 * squared.std() / NUMBER**0.5 + 0.01


def test_envelopes_keep_the_power_and_have_their_scatter():
    sd = jnp.asarray([0.1, 0.6])
    draw = lambda key: log_normal_envelopes(key, sd, jnp.asarray([3.0, 1.0]), NUM_SAMPLES, RATE_HZ, 1.0)
    envelopes = np.asarray(quick_jit(jax.vmap(draw))(random.split(random.key(1), 2000)))
    at_one = envelopes[:, :, 100]
    power = (at_one**2).mean(0)
    assert (np.abs(power - 1) < 4 * (at_one**2).std(0) / 2000**0.5).all()
    np.testing.assert_allclose(np.log(at_one).std(0), sd, rtol=4 / (2 * 2000) ** 0.5)


def test_a_passing_car_is_louder_than_the_rest_for_its_length():
    ranges = PLAIN._replace(envelope_sd=(0.0, 0.0), passing_chance=(0.0, 0.0, 1.0, 0.0), gust_sd=(0.0, 0.0))
    ranges = ranges._replace(car_db=(40.0, 40.0), car_s=(5.0, 5.0))
    draw = lambda key: ground_noise(key, ranges, NUM_SAMPLES, RATE_HZ)
    traces = np.asarray(quick_jit(jax.vmap(draw))(random.split(random.key(2), 32)))[:, 0]
    quick = np.diff(traces, 2)[:, :2000].reshape(32, 40, 50).std(-1)  # seconds, high-passed
    loud = quick > 3 * np.median(quick, -1, keepdims=True)
    assert (loud.sum(-1) <= 12).all()
    assert loud.any(-1).mean() > 0.9  # a car that passes at the very edge is short


def test_noise_of_all_ranges_is_finite_and_spans_the_levels_of_stations():
    draw = lambda key: ground_noise(key, GroundNoiseRanges(), NUM_SAMPLES, RATE_HZ)
    traces = np.asarray(quick_jit(jax.vmap(draw))(random.split(random.key(3), NUMBER)))
    assert np.isfinite(traces).all()
    level_db = 20 * np.log10(traces.std(-1))
    assert np.quantile(level_db, 0.95) - np.quantile(level_db, 0.05) > 40
