"""Background noise of the ground anywhere: Peterson's range, microseism, culture, wind, and their changes in time.

The amplitude spectrum of stationary noise is continued beyond Peterson's (1993) models and varied about them; records
are then sums of coloured noises, each with an envelope of its own. Everything is periodic in the number of samples,
so that a response can be applied in the frequency domain; cut the record out of a longer one afterwards.
"""

import math
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import random
from jax.lax import optimization_barrier
from jaxtyping import Array, Complex, Float, Key

from jaxloc.simulation.noise_models import HIGH_NOISE_DB, LOW_NOISE_DB, SHORTEST_S, peterson_db
from jaxloc.simulation.ranges import Range, happens, log_uniform, one_of, uniform
from jaxloc.simulation.scattering import white_noise

DB = math.log(10) / 20  # the natural logarithm of an amplitude ratio of 1 dB
NUM_LINES = 3
LOUD = 0.6  # at the level of the high noise model, which has them already, culture and microseism rise that much less
KNOTS_DECADE = 1 / 3  # correlation length of random offsets over log-frequency


class GroundNoiseRanges(NamedTuple):
    """Ranges of background noise; sd are standard deviations, dB are of power density.

    Attributes:
        level: share of the way, in dB, from Peterson's low to the high noise model; a station's level.
        offset_sd_db: smooth random offset over frequency, correlated over a third of a decade.
        slope_sd_db: a random slope per decade about 1 Hz.
        beyond_db: slope of acceleration per decade beyond 10 Hz, where Peterson's models end. Horizontal sensors
            in boreholes and on rock fall; shallow soft ground rises.
        component_offset_sd_db: as `offset_sd_db`, independent for each component.
        horizontal_sd_db: of horizontal over vertical noise at all frequencies.
        microseism_hz, microseism_db, microseism_decades: double-frequency peak, its height over the rest (less at
            loud stations, as that of culture), and its standard deviation over log10 frequency.
        microseism_sd, microseism_s: log-normal modulation of the microseism, its sd and correlation time.
        culture_chance, culture_db, culture_hz, culture_decades: a broad rise by traffic and machines.
        line_chance, line_db, line_hz, line_quality: narrow lines of rotating machines, where there is culture.
        passing_chance: chances of nothing, wind, a car, a train.
        wind_db, wind_hz, gust_sd, gust_s: rise of wind in gusts above a corner; log power is linear in wind speed.
        car_db, car_hz, car_s; train_db, train_hz, train_s: rise, centre and duration of a passing vehicle.
        tilt_chance, tilt_db, tilt_below_hz: rise of horizontals at low frequency: tilt, and currents at the sea floor.
        coherence, coherence_below_hz: squared coherence of horizontals with the vertical, and where it ends.
        envelope_sd, envelope_s: log-normal envelope of the background, which gives an excess kurtosis of
            3 exp(4 sd²) - 3: .1 to 10.

    Sources: Peterson (1993, USGS Open-File Report 93-322) for levels; McNamara & Buland (2004, Bull. Seismol. Soc.
    Am. 94) for culture and microseism; Withers and others (1996, Bull. Seismol. Soc. Am. 86) for wind at Datil;
    Webb (1998, Rev. Geophys. 36) for the sea floor. Slopes, kurtosis and ratios cover those of records of six
    regions (`jaxloc.studies.record_statistics`).
    """

    level: Range = (0.0, 1.0)
    offset_sd_db: float = 6.0
    slope_sd_db: float = 8.0
    beyond_db: Range = (-15.0, 15.0)
    component_offset_sd_db: float = 2.0
    horizontal_sd_db: float = 4.0
    microseism_hz: Range = (0.12, 0.35)
    microseism_db: Range = (0.0, 30.0)
    microseism_decades: Range = (0.06, 0.2)
    microseism_sd: Range = (0.1, 0.5)
    microseism_s: Range = (10.0, 100.0)
    culture_chance: float = 0.3
    culture_db: Range = (10.0, 40.0)
    culture_hz: Range = (2.0, 30.0)
    culture_decades: Range = (0.15, 0.5)
    line_chance: float = 0.4
    line_db: Range = (5.0, 35.0)
    line_hz: Range = (1.0, 60.0)
    line_quality: Range = (50.0, 1000.0)
    passing_chance: tuple[float, float, float, float] = (0.55, 0.25, 0.15, 0.05)
    wind_db: Range = (5.0, 30.0)
    wind_hz: Range = (0.5, 15.0)
    gust_sd: Range = (0.2, 0.8)
    gust_s: Range = (5.0, 60.0)
    car_db: Range = (10.0, 40.0)
    car_hz: Range = (5.0, 30.0)
    car_s: Range = (5.0, 20.0)
    train_db: Range = (10.0, 40.0)
    train_hz: Range = (2.0, 20.0)
    train_s: Range = (20.0, 120.0)
    tilt_chance: float = 0.3
    tilt_db: Range = (3.0, 20.0)
    tilt_below_hz: Range = (0.1, 1.0)
    coherence: Range = (0.2, 0.9)
    coherence_below_hz: float = 1.0
    envelope_sd: Range = (0.1, 0.6)
    envelope_s: Range = (1.0, 20.0)


class Levels(NamedTuple):
    """Velocity in dB relative to 1 (m/s)²/Hz of stationary noise, and the rise over it of what changes in time."""

    background_db: Float[Array, "component frequency"]
    microseism_db: Float[Array, " frequency"]
    passing_db: Float[Array, " frequency"]


def ground_noise(
    key: Key[Array, ""],
    ranges: GroundNoiseRanges,
    num_samples: int,
    rate_hz: float,
    self_noise_m_s2: float | Float[Array, ""] = 0.0,
) -> Float[Array, "component sample"]:
    """Ground velocity of background noise in m/s, components Z and two horizontals; periodic in `num_samples`.

    Args:
        key: of one record.
        ranges: what everything is drawn from.
        num_samples: a number with small factors is fast.
        rate_hz: sampling rate.
        self_noise_m_s2: white self noise of the sensor per √Hz of acceleration, added in power.
    """
    level_key, white_key, coherence_key, envelope_key, passing_key = random.split(key, 5)
    kind = one_of(passing_key, ranges.passing_chance)
    levels = draw_levels(level_key, ranges, positive_frequencies(num_samples, rate_hz), kind)
    keys = NoiseKeys(white_key, coherence_key, envelope_key)
    return noise_at_levels(keys, ranges, levels, kind, num_samples, rate_hz, self_noise_m_s2)


class NoiseKeys(NamedTuple):
    """Keys of a record of known levels: of its random phases, of what components share, of its changes in time."""

    white: Key[Array, ""]
    coherence: Key[Array, ""]
    envelope: Key[Array, ""]


def noise_at_levels(
    keys: NoiseKeys,
    ranges: GroundNoiseRanges,
    levels: Levels,
    kind: Array,
    num_samples: int,
    rate_hz: float,
    self_noise_m_s2: float | Float[Array, ""] = 0.0,
) -> Float[Array, "component sample"]:
    """As `ground_noise`, of levels that are known: those of one station over a day."""
    frequency_hz = positive_frequencies(num_samples, rate_hz)
    white = optimization_barrier(white_spectrum(keys.white, num_samples))
    white = _coherent(keys.coherence, ranges, white, frequency_hz)
    own_db = 20 * jnp.log10(jnp.maximum(self_noise_m_s2, 1e-12)) - jnp.asarray(20 * np.log10(2 * np.pi * frequency_hz))
    background = jnp.sqrt(_power(levels.background_db) + _power(own_db)) * math.sqrt(num_samples * rate_hz / 2)
    rises = [_rise(levels.microseism_db), jnp.where(kind > 0, _rise(levels.passing_db), 0.0)]
    envelopes = _envelopes(keys.envelope, ranges, num_samples, rate_hz, kind)
    # XLA would compute what lies before these lines again for each use.
    white, background, rises, envelopes = optimization_barrier((white, background, rises, envelopes))
    # Parts that change in time must not interfere: other components' numbers, reversed in time.
    other = [background * rise * jnp.roll(white, n + 1, 0).conj() for n, rise in enumerate(rises)]
    steady, *changing = (to_traces(spectrum, num_samples) for spectrum in (background * white, *other))
    return envelopes[0] * steady + envelopes[1] * changing[0] + envelopes[2] * changing[1]


def _power(level_db: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    return jnp.exp(2 * DB * level_db)


def _rise(rise_db: Float[Array, " frequency"]) -> Float[Array, " frequency"]:
    """Amplitude to add to a background of 1 so that the power is by some dB higher."""
    return jnp.sqrt(jnp.expm1(2 * DB * rise_db))


def positive_frequencies(num_samples: int, rate_hz: float) -> Float[np.ndarray, " frequency"]:
    """The frequencies of the real Fourier transform in Hz without zero."""
    return np.fft.rfftfreq(num_samples, 1 / rate_hz)[1:]


def white_spectrum(key: Key[Array, ""], num_samples: int) -> Complex[Array, "component frequency"]:
    """Complex random numbers of unit mean square for three components, without the frequency zero.

    Traces are sums of so many of them that they are Gaussian all the same.
    """
    real, imaginary = white_noise(key, 6 * (num_samples // 2)).reshape(2, 3, num_samples // 2) * math.sqrt(0.5)
    return real + 1j * imaginary


def to_traces(spectrum: Complex[Array, "*batch frequency"], num_samples: int) -> Float[Array, "*batch {num_samples}"]:
    """Traces of spectra that lack the frequency zero."""
    return jnp.fft.irfft(jnp.pad(spectrum, [(0, 0)] * (spectrum.ndim - 1) + [(1, 0)]), num_samples)


def draw_levels(
    key: Key[Array, ""], ranges: GroundNoiseRanges, frequency_hz: Float[np.ndarray, " frequency"], kind: Array
) -> Levels:
    """The spectra of a station; `kind` 0 to 3 is nothing, wind, a car, a train."""
    keys = random.split(key, 6)
    shared, component = random.split(keys[0])
    low_db, high_db = (peterson_db(table, frequency_hz) for table in (LOW_NOISE_DB, HIGH_NOISE_DB))
    decade = np.log10(frequency_hz)
    beyond = np.maximum(decade + np.log10(SHORTEST_S), 0)
    level_key, slope_key, beyond_key = random.split(keys[1], 3)
    level = uniform(level_key, ranges.level)
    level_db = low_db + level * (high_db - low_db) - 20 * np.log10(2 * np.pi * frequency_hz)
    level_db = level_db + ranges.slope_sd_db * random.normal(slope_key) * decade
    level_db = level_db + uniform(beyond_key, ranges.beyond_db) * beyond
    level_db = level_db + ranges.offset_sd_db * smooth_over_frequency(shared, decade, ())
    level_db = level_db + (1 - LOUD * level) * _culture_db(keys[2], ranges, decade)
    own_db = ranges.component_offset_sd_db * smooth_over_frequency(component, decade, (3,))
    microseism_db = _bump_db(keys[4], ranges.microseism_db, ranges.microseism_hz, ranges.microseism_decades, decade)
    return Levels(
        level_db + own_db + _horizontal_db(keys[3], ranges, frequency_hz),
        (1 - LOUD * level) * microseism_db,
        _passing_db(keys[5], ranges, decade, kind),
    )


def smooth_over_frequency(
    key: Key[Array, ""], decade: Float[np.ndarray, " frequency"], shape: tuple[int, ...]
) -> Float[Array, "*shape frequency"]:
    """Smooth random functions of log10 frequency with unit standard deviation at each frequency."""
    knots = np.arange(decade[0] - 2 * KNOTS_DECADE, decade[-1] + 2 * KNOTS_DECADE, KNOTS_DECADE / 2)
    basis = np.exp(-(((decade - knots[:, None]) / KNOTS_DECADE) ** 2))
    basis = basis / np.sqrt((basis**2).sum(0))
    return random.normal(key, (*shape, len(knots))) @ jnp.asarray(basis, jnp.float32)


def _bump_db(
    key: Key[Array, ""], height_db: Range, centre_hz: Range, width: Range, decade: Float[np.ndarray, " frequency"]
) -> Float[Array, " frequency"]:
    """A peak of Gaussian shape over log10 frequency, in dB."""
    height_key, centre_key, width_key = random.split(key, 3)
    away = (decade - jnp.log10(log_uniform(centre_key, centre_hz))) / uniform(width_key, width)
    return uniform(height_key, height_db) * jnp.exp(-0.5 * away**2)


def _culture_db(
    key: Key[Array, ""], ranges: GroundNoiseRanges, decade: Float[np.ndarray, " frequency"]
) -> Float[Array, " frequency"]:
    """The rise by traffic and machines, with lines of finite width, whose amplitude and phase wander accordingly."""
    there_key, bump_key, line_key, line_hz_key, height_key, quality_key = random.split(key, 6)
    rise_db = _bump_db(bump_key, ranges.culture_db, ranges.culture_hz, ranges.culture_decades, decade)
    relative = 10**decade / log_uniform(line_hz_key, ranges.line_hz, (NUM_LINES, 1))
    width = 2 * log_uniform(quality_key, ranges.line_quality, (NUM_LINES, 1)) * (relative - 1)
    height = jnp.exp(2 * DB * uniform(height_key, ranges.line_db, (NUM_LINES, 1)))
    height = height * happens(line_key, ranges.line_chance, (NUM_LINES, 1))
    lines_db = jnp.log1p((height / (1 + width**2)).sum(0)) / (2 * DB)
    return happens(there_key, ranges.culture_chance) * (rise_db + lines_db)


def _horizontal_db(
    key: Key[Array, ""], ranges: GroundNoiseRanges, frequency_hz: Float[np.ndarray, " frequency"]
) -> Float[Array, "component frequency"]:
    """Horizontals over the vertical: everywhere, and at low frequency where there is tilt."""
    all_key, there_key, height_key, corner_key = random.split(key, 4)
    relative = frequency_hz / log_uniform(corner_key, ranges.tilt_below_hz)
    tilt_db = happens(there_key, ranges.tilt_chance) * uniform(height_key, ranges.tilt_db) / (1 + relative**4)
    rise_db = ranges.horizontal_sd_db * random.normal(all_key) + tilt_db
    return jnp.asarray([0.0, 1.0, 1.0])[:, None] * rise_db


def _passing_db(
    key: Key[Array, ""], ranges: GroundNoiseRanges, decade: Float[np.ndarray, " frequency"], kind: Array
) -> Float[Array, " frequency"]:
    """The rise by wind, a car or a train while it lasts."""
    wind_key, corner_key, car_key, train_key = random.split(key, 4)
    over = jnp.clip(decade - jnp.log10(log_uniform(corner_key, ranges.wind_hz)) + 0.5, 0, 1)
    wind_db = uniform(wind_key, ranges.wind_db) * over
    car_db = _bump_db(car_key, ranges.car_db, ranges.car_hz, (0.1, 0.3), decade)
    train_db = _bump_db(train_key, ranges.train_db, ranges.train_hz, (0.15, 0.4), decade)
    return jnp.stack([jnp.zeros_like(wind_db), wind_db, car_db, train_db])[kind]


def _coherent(
    key: Key[Array, ""],
    ranges: GroundNoiseRanges,
    white: Complex[Array, "component frequency"],
    frequency_hz: Float[np.ndarray, " frequency"],
) -> Complex[Array, "component frequency"]:
    """Horizontals that share a part of the vertical's noise at low frequency, with a phase of their own."""
    share_key, phase_key = random.split(key)
    squared = uniform(share_key, ranges.coherence) / (1 + (frequency_hz / ranges.coherence_below_hz) ** 4)
    phase = random.uniform(phase_key, (2, 1), maxval=2 * jnp.pi)
    shared = jnp.sqrt(squared) * jnp.exp(1j * phase) * white[:1]
    return jnp.concatenate([white[:1], shared + jnp.sqrt(1 - squared) * white[1:]])


def log_normal_envelopes(
    key: Key[Array, ""],
    sd: Float[Array, " envelope"],
    correlation_s: Float[Array, " envelope"],
    num_samples: int,
    rate_hz: float,
    shortest_s: float,
) -> Float[Array, "envelope sample"]:
    """Periodic log-normal envelopes of unit mean square; `shortest_s` is the smallest correlation time that occurs."""
    num = min(num_samples // 2, math.ceil(num_samples / rate_hz / shortest_s) + 1)
    frequency_hz = np.arange(num) * rate_hz / num_samples
    weight = jnp.exp(-((jnp.pi * frequency_hz * correlation_s[:, None]) ** 2) / 2)
    real, imaginary = random.normal(key, (2, len(sd), num))
    power = 2 * (weight[:, 1:] ** 2).sum(-1, keepdims=True) + weight[:, :1] ** 2
    spectrum = weight * (real + 1j * imaginary * (frequency_hz > 0)) * math.sqrt(0.5) * num_samples
    spectrum = spectrum.at[:, 0].multiply(math.sqrt(2.0)) / jnp.sqrt(power)
    normal = jnp.fft.irfft(spectrum, num_samples)
    return jnp.exp(sd[:, None] * normal - sd[:, None] ** 2)


def _envelopes(
    key: Key[Array, ""], ranges: GroundNoiseRanges, num_samples: int, rate_hz: float, kind: Array
) -> Float[Array, "part sample"]:
    """Envelopes of the background, of the microseism, and of what passes."""
    sd_key, time_key, noise_key, at_key, car_key, train_key = random.split(key, 6)
    spans = (ranges.envelope_sd, ranges.microseism_sd, ranges.gust_sd)
    times = (ranges.envelope_s, ranges.microseism_s, ranges.gust_s)
    sd = jnp.stack([uniform(k, span) for k, span in zip(random.split(sd_key, 3), spans, strict=True)])
    tau_s = jnp.stack([log_uniform(k, span) for k, span in zip(random.split(time_key, 3), times, strict=True)])
    shortest_s = min(span[0] for span in times)
    changing = log_normal_envelopes(noise_key, sd, tau_s, num_samples, rate_hz, shortest_s)
    length_s = jnp.where(kind == 2, log_uniform(car_key, ranges.car_s), log_uniform(train_key, ranges.train_s))
    second = jnp.arange(num_samples) / rate_hz
    away = (second - random.uniform(at_key, maxval=num_samples / rate_hz)) / (0.5 * length_s)
    # A car comes and goes as a bell, a train is as loud while it passes.
    passing = jnp.where(kind == 2, jnp.exp(-2 * away**2), 1 / (1 + away**8))
    return changing.at[2].multiply(jnp.where(kind == 1, 1.0, passing))
