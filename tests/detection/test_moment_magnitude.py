"""Moment magnitudes of simulated spectra and records: known answers, coverage, and an exact sampler as the oracle."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro.infer import MCMC, NUTS
from scipy import stats

from jaxloc.detection.brune import SourcePriors, Speeds, brune_model, log_brune, log_marginal
from jaxloc.detection.laplace_sampling import laplace_draws
from jaxloc.detection.moment_magnitude import batch_source_draws, moment_magnitude, source_draws
from jaxloc.detection.source_spectra import Spectra, event_spectra, usable_band
from jaxloc.simulation.sources import corner_hz

PRIORS, SPEEDS, KEY = SourcePriors(), Speeds(6.0, 3.5), jax.random.key(0)
STATIONS, BINS, RATE_HZ = 6, 24, 100.0
FREQUENCY_HZ = np.geomspace(0.5, 40.0, BINS)


def blank(seed: int) -> Spectra:
    """Rows of stations at random distances, without amplitudes."""
    distance_km = np.tile(np.random.default_rng(seed).uniform(8, 60, STATIONS), 2)
    phase = np.repeat([0, 1], STATIONS)
    shape = (2 * STATIONS, BINS)
    travel_s = distance_km / np.array(SPEEDS)[phase]
    return Spectra(np.zeros(shape), np.ones(shape, bool), FREQUENCY_HZ, distance_km, travel_s, phase)


def simulated(seed: int, smallest: float = 1.5) -> tuple[Spectra, float, float]:
    """Spectra of a source of the priors with noise that hides small ones, its magnitude and log stress drop."""
    rng, empty = np.random.default_rng(seed), blank(seed)
    magnitude, log_stress = rng.uniform(smallest, 4), rng.normal(*PRIORS.log_stress_mpa)
    ratio, kappa_s = np.exp(rng.normal(*PRIORS.log_corner_ratio)), np.exp(rng.normal(*PRIORS.log_kappa_s))
    quality = np.exp(rng.normal(*PRIORS.log_quality, 2))
    corner = float(corner_hz(jnp.asarray(magnitude), jnp.exp(log_stress), jnp.asarray(SPEEDS.vs_km_s)))
    star_s = empty.travel_s / quality[empty.phase] + kappa_s + PRIORS.kappa_sd_s * rng.normal(size=2 * STATIONS)
    expected = log_brune(empty, SPEEDS, magnitude, jnp.array([ratio * corner, corner]), jnp.asarray(star_s))
    site, scatter = np.exp(rng.normal(*PRIORS.log_site)), np.exp(rng.normal(*PRIORS.log_scatter))
    seen = np.asarray(expected) + site * rng.normal(size=(2 * STATIONS, 1)) + scatter * rng.normal(size=expected.shape)
    noise = np.log(2e-9) - np.log(FREQUENCY_HZ) + 0.5 * rng.normal(size=(2 * STATIONS, 1))
    used = np.stack([usable_band(*row) for row in zip(np.exp(2 * seen), np.exp(2 * noise), strict=True)])
    used &= used.sum(1, keepdims=True) > 5
    return empty._replace(log_amplitude=np.where(used, seen, 0), used=used), magnitude, log_stress


def test_terms_of_rows_are_integrated_out_exactly():
    """The closed form of two by two against a multivariate normal of all bins."""
    rng, spectra = np.random.default_rng(0), blank(0)
    used = rng.random(spectra.used.shape) < 0.7
    misfit = rng.normal(size=used.shape)
    found = log_marginal(
        spectra._replace(used=used, log_amplitude=misfit), jnp.zeros(used.shape), jnp.array(0.3), jnp.array(0.6), 0.01
    )
    tilt = -np.pi * 0.01 * FREQUENCY_HZ
    for row, there in enumerate(used):
        covariance = 0.09 * np.eye(BINS) + 0.36 + np.outer(tilt, tilt)
        exact = stats.multivariate_normal(np.zeros(there.sum()), covariance[np.ix_(there, there)])
        expected = exact.logpdf(misfit[row][there]) + 0.5 * there.sum() * np.log(2 * np.pi)
        assert float(found[row]) == pytest.approx(expected, rel=1e-4, abs=1e-3)


def test_the_spectrum_of_a_brune_source_has_its_level_and_corner():
    """1.5e-9 Nm of level at 1 Hz: M0 2 Rms / (4 pi rho v^3 R)."""
    spectra = blank(0)
    level = np.exp(np.asarray(log_brune(spectra, SPEEDS, 3.0, jnp.array([30.0, 20.0]), jnp.zeros(2 * STATIONS))))
    moment_nm = 10 ** (1.5 * 3 + 9.1)
    for row in (0, STATIONS):
        speed, mean = 1e3 * SPEEDS[spectra.phase[row]], (4 / 15, 2 / 5)[spectra.phase[row]] ** 0.5
        expected = moment_nm * 2 * mean / (4 * np.pi * 2700 * speed**3 * 1e3 * spectra.distance_km[row])
        assert level[row, 0] == pytest.approx(expected, rel=2e-3)
    at_corner = np.interp(20.0, FREQUENCY_HZ, level[STATIONS])
    assert at_corner == pytest.approx(level[STATIONS, 0] / 2, rel=0.02)


def test_bins_are_chosen_in_one_band():
    signal, noise = np.full(20, 100.0), np.ones(20)
    noise[12:] = 50.0
    signal[4] = 0.5  # one bin of low scatter stays
    signal[17] = 1e4  # one of high scatter is not preferred
    assert np.flatnonzero(usable_band(signal, noise)).tolist() == list(range(12))
    assert not usable_band(noise, noise).any()


def test_laplace_draws_have_the_moments_of_a_skewed_density():
    """A banana: x standard normal, y given x normal about x^2 / 2."""
    density = lambda v: -0.5 * v[0] ** 2 - 0.5 * ((v[1] - 0.5 * v[0] ** 2) / 0.5) ** 2
    found = laplace_draws(KEY, density, jnp.array([[1.0, 1.0], [-1.0, 2.0]]), 4000, 4000)
    draws = np.asarray(found.value)
    assert float(found.effective) > 800
    np.testing.assert_allclose(draws.mean(0), [0, 0.5], atol=0.15)
    np.testing.assert_allclose(draws.std(0), [1, np.sqrt(0.5 + 0.25)], atol=0.12)


def records(magnitude: float, corner: float, noise_m: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Displacement of Brune's pulses of S at four stations, their hypocentre, positions and arrivals."""
    rng, station_km = np.random.default_rng(0), np.array([[20.0, 0, 0], [0, 25, 0], [-30, 0, 0], [0, -35, 0]])
    hypocentre = np.array([0.0, 0.0, 10.0, 15.0])
    far_km = np.linalg.norm(station_km - hypocentre[:3], axis=-1)
    arrival_s = hypocentre[3] + far_km[:, None] / np.array(SPEEDS)
    time_s = np.arange(4000) / RATE_HZ - arrival_s[:, 1:]
    omega = 2 * np.pi * corner
    level = 10 ** (1.5 * magnitude + 9.1) * 2 * 0.4**0.5 / (4 * np.pi * 2700 * 3500**3 * 1e3 * far_km)
    pulse = np.where(time_s > 0, omega**2 * np.maximum(time_s, 0) * np.exp(-omega * np.maximum(time_s, 0)), 0)
    waves = np.zeros((4, 3, 4000))
    waves[:, 1:] = (level[:, None] * pulse / np.sqrt(2))[:, None]
    return waves + noise_m * rng.standard_normal(waves.shape), hypocentre[None], station_km, arrival_s


def test_spectra_of_records_are_those_of_the_pulse():
    waves, hypocentre, station_km, arrival_s = records(2.5, 6.0, 1e-10)
    far_km = np.linalg.norm(station_km - hypocentre[0, :3], axis=-1)
    usable = np.ones(waves.shape, bool)
    spectra, reasons = event_spectra(waves, usable, RATE_HZ, arrival_s, arrival_s - 15, far_km)
    assert all("S follows P" in reason for reason in reasons[:4])
    assert reasons[4:] == ("",) * 4
    expected = log_brune(spectra, SPEEDS, 2.5, jnp.array([6.0, 6.0]), jnp.zeros(8))
    below = spectra.used & (spectra.frequency_hz < 20)  # above, a pulse that is sampled has aliases
    misfit = np.where(below, spectra.log_amplitude - np.asarray(expected), 0)[4:]
    assert below[4:].sum() > 60
    assert np.abs(misfit).max() < 0.25


def test_rows_without_spectra_have_reasons():
    waves, _, _, arrival_s = records(1.0, 6.0, 1e-6)
    usable, clipped = np.ones(waves.shape, bool), np.zeros(waves.shape, bool)
    usable[1, 0, 2400], clipped[2, 0, 2300], usable[3] = False, True, False
    arrival_s = arrival_s.copy()
    options = dict(lowest_hz=0.5, clipped=clipped)
    _, reasons = event_spectra(waves, usable, RATE_HZ, arrival_s, arrival_s, np.ones(4), **options)
    expected = ("exceeds the noise in 0", "samples missing", "clipped", "no record")
    assert all(text in reason for text, reason in zip(expected, reasons[4:], strict=True))
    arrival_s[0] = 2.0, 35.5
    _, reasons = event_spectra(waves, usable, RATE_HZ, arrival_s, arrival_s, np.ones(4), **options)
    assert "the record is too short" in reasons[4]


@pytest.mark.slow
def test_records_give_the_moment_magnitude_with_its_reasons_and_flags():
    waves, hypocentre, station_km, arrival_s = records(2.5, 6.0, 1e-10)
    usable = np.ones(waves.shape, bool)
    given = (RATE_HZ, np.repeat(hypocentre, 20, 0), station_km, arrival_s, SPEEDS)
    found = moment_magnitude(KEY, waves, usable, *given, reasons=("", "", "", "no response"))
    assert found.magnitude == pytest.approx(2.5, abs=0.2)
    assert 0.1 < found.sd < 0.3
    assert found.corner_hz[1] < 6.5 < 2 * found.corner_hz[2]
    assert found.reasons[7] == "no response"
    np.testing.assert_allclose(found.station[4:7], found.magnitude, atol=0.15)
    assert found.moment_nm == pytest.approx(10 ** (1.5 * found.magnitude + 9.1), rel=0.1)
    empty = moment_magnitude(KEY, waves, usable, *given, reasons=("no response",) * 4)
    assert np.isnan(empty.magnitude)
    assert empty.flags == ()


@pytest.mark.slow
def test_intervals_cover_simulated_sources():
    """100 events of the priors: bias below 0.06, and intervals of 68 and 90 % within four binomial errors."""
    events = [simulated(seed) for seed in range(100)]
    spectra = Spectra(*(np.stack(parts) for parts in zip(*(event[0] for event in events), strict=True)))
    there = spectra.used.any((1, 2))
    many = Speeds(*(np.full(100, speed) for speed in SPEEDS))
    found = batch_source_draws(jax.random.split(KEY, 100), spectra, many)
    for draws, truth in (
        (found.magnitude, np.array([event[1] for event in events])),
        (jnp.log(found.stress_drop_mpa), np.array([event[2] for event in events])),
    ):
        level = 2 * np.abs((np.asarray(draws) < truth[:, None]).mean(1) - 0.5)[there]
        for nominal in (0.68, 0.9):
            assert abs((level < nominal).mean() - nominal) < 4 * np.sqrt(nominal * (1 - nominal) / there.sum())
    misfit = (np.asarray(found.magnitude).mean(1) - [event[1] for event in events])[there]
    assert there.sum() > 90
    assert abs(misfit.mean()) < 0.06
    assert np.quantile(np.asarray(found.effective), 0.1) > 50


@pytest.mark.slow
def test_draws_are_those_of_the_no_u_turn_sampler():
    spectra, _, _ = simulated(3, 2.5)
    found = source_draws(KEY, spectra, SPEEDS, draws=4000)
    chain = MCMC(NUTS(brune_model), num_warmup=500, num_samples=1500, progress_bar=False)
    chain.run(KEY, spectra, SPEEDS, PRIORS)
    for name, draws in (("magnitude", found.magnitude), ("log_stress_mpa", jnp.log(found.stress_drop_mpa))):
        exact = np.asarray(chain.get_samples()[name])
        assert abs(draws.mean() - exact.mean()) < 0.25 * exact.std()
        assert 0.75 < draws.std() / exact.std() < 1.3
