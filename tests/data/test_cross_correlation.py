"""Cross-correlation lags against shifts that are known: sub-sample, with noise of a known level, a cycle off."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloc.data import cross_correlation
from jaxloc.data.cross_correlation import Correlation, correlate, differential_times, segments_of

RATE_HZ, BAND_HZ = 50.0, (2.0, 10.0)
SETTINGS = Correlation(BAND_HZ, filtered=True)


def noise(rng, shape, samples, band_hz=BAND_HZ):
    """White within a band, of unit variance, and periodic."""
    frequency_hz = np.fft.rfftfreq(samples, 1 / RATE_HZ)
    inside = (frequency_hz >= band_hz[0]) & (frequency_hz <= band_hz[1])
    spectrum = (rng.normal(size=(*shape, len(inside))) + 1j * rng.normal(size=(*shape, len(inside)))) * inside
    value = np.fft.irfft(spectrum, samples)
    return value / value.std(-1, keepdims=True)


def later(value, by_s):
    frequency_hz = np.fft.rfftfreq(value.shape[-1], 1 / RATE_HZ)
    return np.fft.irfft(np.fft.rfft(value) * np.exp(-2j * np.pi * frequency_hz * by_s), value.shape[-1])


def pairs(number, level, shift_s, seed, band_hz=BAND_HZ):
    """Segments of `number` pairs, P and S by the number of components, and the lag of the second against the first."""
    rng = np.random.default_rng(seed)
    inner, reach = 100, 25
    signal = noise(rng, (number, 1), 512, band_hz)
    second = np.stack([later(s, t) for s, t in zip(signal, shift_s, strict=True)])
    cut = slice(200, 200 + inner + 2 * reach)
    first, second = (x + level * noise(rng, (number, 1), 512) for x in (signal, second))
    return first[..., cut], 3e-7 * second[..., cut], inner


def lags_of(first, second, inner):
    each = lambda a, b: correlate(a, b, inner, RATE_HZ, BAND_HZ)
    return jax.jit(jax.vmap(each))(jnp.asarray(first, jnp.float32), jnp.asarray(second, jnp.float32))


def test_a_shift_without_noise_is_found_to_a_fiftieth_of_a_sample():
    """Band-limited interpolation; what is left is the ends of windows. Shifts of up to seven samples either way."""
    shift_s = np.random.default_rng(0).uniform(-0.15, 0.15, 200)
    found = lags_of(*pairs(200, 0.0, shift_s, 1))
    error = (np.asarray(found.lag_s) - shift_s) * RATE_HZ
    assert np.sqrt((error**2).mean()) < 0.02
    assert np.abs(error).max() < 0.1
    assert (np.asarray(found.coefficient) > 0.99).all()


@pytest.mark.parametrize("level", [0.1, 0.3, 0.6])
def test_errors_are_as_large_as_reported(level):
    """Standardised errors have unit spread at every level of noise, and 95 % lie within two standard deviations.

    The spread of 2,000 standard normal numbers is 1 to within 0.016; correlation of records that are cut off, noise in
    the template and few independent samples leave 15 %.
    """
    shift_s = np.random.default_rng(2).uniform(-0.15, 0.15, 2000)
    found = lags_of(*pairs(2000, level, shift_s, 3))
    kept = (np.asarray(found.skipped) < 0.1) & ~np.asarray(found.at_end)
    standardised = ((np.asarray(found.lag_s) - shift_s) / np.asarray(found.sd_s))[kept]
    assert kept.mean() > 0.95
    assert 0.85 < standardised.std() < 1.15, standardised.std()
    assert 0.93 < (np.abs(standardised) < 1.96).mean() < 0.975, (np.abs(standardised) < 1.96).mean()


def test_cycle_skips_happen_as_often_as_reported():
    """Records of a narrow band and much noise: of the lags with a skip probability p, about a share p is a cycle off.

    Over 3,000 pairs the sum of the probabilities is the number of lags that are off by more than half a period of
    6 Hz, to within a third; lags that are kept are off half as often as all, and those that are dropped more often.
    """
    shift_s = np.random.default_rng(4).uniform(-0.15, 0.15, 3000)
    found = lags_of(*pairs(3000, 0.6, shift_s, 5, band_hz=(5.0, 7.0)))
    error_s, skipped = np.asarray(found.lag_s) - shift_s, np.asarray(found.skipped)
    off = np.abs(error_s) > 0.5 / 6.0
    assert off.mean() > 0.2
    assert skipped.sum() == pytest.approx(off.sum(), rel=0.35)
    assert off[skipped < 0.1].mean() < 0.5 * off.mean()
    assert off[skipped > 0.3].mean() > 2 * off[skipped < 0.1].mean()
    doubtful = np.asarray(found.sd_s)[skipped > 0.3]
    assert np.median(doubtful) > 0.25 / 6.0  # a quarter of a cycle and more


def records(rng, origins_s, arrivals_s, samples=1000):
    """Two events at three stations with the same seismograms, moved to their arrivals."""
    wave = noise(rng, (3, 3), samples) * np.exp(-(((np.arange(samples) - 500) / 60) ** 2))
    by_phase = {0: slice(0, 1), 1: slice(1, 3)}
    seen = np.zeros((len(origins_s), 3, 3, samples))
    for event, station in np.ndindex(len(origins_s), 3):
        for phase, part in by_phase.items():
            seen[event, station, part] = later(wave[station, part], arrivals_s[event, station, phase] - 10.0)
    return seen + 0.01 * rng.normal(size=seen.shape)


def test_differential_times_are_on_the_clocks_of_the_events():
    """Picks that err by tenths of a second do not matter: times are those of the waveforms."""
    rng = np.random.default_rng(6)
    arrivals_s = 8.0 + rng.uniform(0, 4, (3, 3, 2))
    seen = records(rng, np.zeros(3), arrivals_s)
    picked_s = arrivals_s + rng.uniform(-0.1, 0.1, arrivals_s.shape)
    settings = Correlation(BAND_HZ)
    segments = segments_of(seen, picked_s, np.ones((3, 3, 2), bool), RATE_HZ, settings)
    found = differential_times(segments, np.array([0, 0, 2]), np.array([1, 2, 1]), settings)
    times = found.times
    assert len(times.time_s) == 18
    assert not any(found.lost.values())
    true_s = arrivals_s[times.first, times.station, times.phase] - arrivals_s[times.second, times.station, times.phase]
    np.testing.assert_allclose(times.time_s, true_s, atol=0.1 / RATE_HZ)
    assert (found.coefficient > 0.95).all()
    assert (times.sd_s < 0.01).all()


def test_lost_windows_are_counted_by_their_reason():
    rng = np.random.default_rng(7)
    arrivals_s = np.full((2, 3, 2), 10.0)
    arrivals_s[1] = 9.5
    seen = records(rng, np.zeros(2), arrivals_s)
    seen[1, 1] = rng.normal(size=seen[1, 1].shape)  # another wave
    there = np.ones((2, 3, 2), bool)
    there[0, 0, 1] = False  # no S
    sample_mask = np.ones((2, 3, 1000), bool)
    sample_mask[1, 2, 500:505] = False  # a gap within the windows of both phases
    settings = Correlation(BAND_HZ, most_skipped=1.0)
    segments = segments_of(seen, arrivals_s, there, RATE_HZ, settings, sample_mask)
    found = differential_times(segments, np.array([0]), np.array([1]), settings)
    assert found.lost["no record"] == 3
    assert found.lost["coefficient too low"] == 2
    assert (found.times.station.tolist(), found.times.phase.tolist()) == ([0], [0])
    off = arrivals_s.copy()
    off[1] += 0.8  # windows from another part of the record: the shift is out of reach
    segments = segments_of(seen, off, there, RATE_HZ, settings._replace(least=0.0), sample_mask)
    assert not differential_times(
        segments, np.array([0]), np.array([1]), settings._replace(least=0.9)
    ).times.time_s.size


def test_chunks_change_nothing(monkeypatch):
    rng = np.random.default_rng(8)
    arrivals_s = 8.0 + rng.uniform(0, 4, (4, 3, 2))
    segments = segments_of(
        records(rng, np.zeros(4), arrivals_s), arrivals_s, np.ones((4, 3, 2), bool), RATE_HZ, SETTINGS
    )
    first, second = np.triu_indices(4, 1)
    whole = differential_times(segments, first, second, SETTINGS)
    monkeypatch.setattr(cross_correlation, "CHUNK", 7)
    parts = differential_times(segments, first, second, SETTINGS)
    for a, b in zip(whole.times, parts.times, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


REFUSED = [
    ({"band_hz": (2.0, 30.0)}, "within 0 to 25 Hz, got 2 to 30"),
    ({"lag_s": 0.0}, "lag_s be a sample at least"),
    ({"least": 1.0}, "must be within 0-1, got 1.0"),
    ({"band_hz": (2.0, 2.5)}, "use longer windows or a wider band"),
]


@pytest.mark.parametrize(("change", "says"), REFUSED, ids=[says for _, says in REFUSED])
def test_settings_that_cannot_be_met_are_refused(change, says):
    with pytest.raises(ValueError, match=says):
        cross_correlation.check(SETTINGS._replace(**change), RATE_HZ)


def test_the_filter_has_no_shift():
    """An impulse stays where it is, and the filtered record is symmetric about it."""
    impulse = np.zeros((1, 1, 3, 1000))
    impulse[..., 500] = 1.0
    segments = segments_of(impulse, np.full((1, 1, 2), 10.0), np.ones((1, 1, 2), bool), RATE_HZ, Correlation(BAND_HZ))
    value, middle = segments.value[0][0, 0, 0], 500 - segments.begin[0, 0, 0]
    assert value.argmax() == middle
    np.testing.assert_allclose(value[middle - 20 : middle], value[middle + 20 : middle : -1], atol=1e-3)
