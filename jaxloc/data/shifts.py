"""Records unlike those of training, made of records that are like them, to fit and to test out-of-distribution flags.

Each function is of one event with a random key; labels stay those of the event, and are wrong on purpose.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from jaxloc.data.augmentation import own_noise, recorded, records_of, shift
from jaxloc.types import Batch

SLOWNESS_S_KM = (0.04, 0.08)  # of teleseismic P across a network: 12 to 25 km/s
LEAST_SWAPPED = 1 / 3  # of the active stations
SPEED_FACTORS = (1.25, 1.45)  # of a wrong velocity model, or one over them
LATER_S = (2.0, 12.0)  # of the second of two events
GEOPHONE_HZ, DAMPING = (1.0, 4.5), 0.7  # natural frequencies of common geophones


def with_records(event: Batch, waveforms: Float[Array, "station component sample"]) -> Batch:
    """The event with other records, zero wherever it has none."""
    seen = event.observations._replace(waveforms=recorded(event, waveforms))
    return event._replace(observations=seen)


def reversed_in_time(key: Key[Array, ""], event: Batch) -> Batch:
    """The records backwards in time."""
    mask = event.observations.sample_mask
    flipped = event.observations._replace(sample_mask=None if mask is None else mask[:, ::-1])
    return with_records(event._replace(observations=flipped), records_of(event)[..., ::-1])


def noise_alone(key: Key[Array, ""], event: Batch) -> Batch:
    """Noise with the spectrum of the beginning of each trace."""
    return with_records(event, own_noise(key, event))


def teleseism(key: Key[Array, ""], event: Batch, lowest_hz: float) -> Batch:
    """A P wave from afar in the noise of each trace: at the lower end of the band, the same at all stations, and no S.

    Args:
        key: of azimuth, slowness, onset, size and coda.
        event: its noise and stations are used.
        lowest_hz: lower corner of the record's band.
    """
    keys = dict(zip(("noise", "wave", "coda", "path"), jax.random.split(key, 4), strict=True))
    seen, noise = event.observations, own_noise(keys["noise"], event)
    samples = noise.shape[-1]
    azimuth, slow, onset, size, pitch = jax.random.uniform(keys["path"], (5,))
    slowness = SLOWNESS_S_KM[0] + slow * (SLOWNESS_S_KM[1] - SLOWNESS_S_KM[0])
    direction = jnp.stack([jnp.sin(2 * jnp.pi * azimuth), jnp.cos(2 * jnp.pi * azimuth)])
    duration_s = samples / seen.rate_hz
    at_s = duration_s * (0.15 + 0.4 * onset) + slowness * (seen.station_km[:, :2] @ direction)
    time_s = jnp.arange(samples) / seen.rate_hz
    frequency_hz = lowest_hz * (0.8 + 0.8 * pitch)
    # A train of pulses of one frequency, the first the largest: reflections near the source.
    lags_s = jnp.cumsum(jax.random.exponential(keys["coda"], (12,)) * 1.5).at[0].set(0.0)
    weight = jax.random.normal(keys["wave"], (12,)).at[0].set(2.0) * jnp.exp(-lags_s / 8.0)
    away = (time_s - at_s[:, None])[:, None] - lags_s[:, None] - 1 / frequency_hz
    pulse = (1 - 2 * (jnp.pi * frequency_hz * away) ** 2) * jnp.exp(-((jnp.pi * frequency_hz * away) ** 2))
    wave = (weight[:, None] * pulse).sum(1)
    level = jnp.sqrt((noise**2).mean((1, 2), keepdims=True)) * 10 ** (0.7 + 1.3 * size)
    motion = jnp.array([1.0, 0.25 * direction[1], 0.25 * direction[0]])[:, None]
    active = (jnp.abs(records_of(event)).max(-1, keepdims=True) > 0).astype(noise.dtype)
    return with_records(event, noise + 0.5 * level * active * motion * wave[:, None])


def two_events(key: Key[Array, ""], event: Batch, other: Batch) -> Batch:
    """The records of two events of similar size, the other one some seconds later."""
    key_later, key_size, key_shift = jax.random.split(key, 3)
    later_s = jax.random.uniform(key_later, (), minval=LATER_S[0], maxval=LATER_S[1])
    moved = records_of(_later(key_shift, other, later_s))
    first = records_of(event)
    size = jnp.abs(first).max((1, 2)).mean() / jnp.maximum(jnp.abs(moved).max((1, 2)).mean(), 1e-30)
    factor = size * 10 ** jax.random.uniform(key_size, (), minval=-0.3, maxval=0.3)
    active = (jnp.abs(first).max(-1, keepdims=True) > 0).astype(first.dtype)
    return with_records(event, first + factor * active * moved)


def _later(key: Key[Array, ""], event: Batch, later_s: Float[Array, ""]) -> Batch:
    """The event later by a time, rounded to samples; zeros before it."""
    waveforms = records_of(event)
    places = jnp.arange(waveforms.shape[-1]) - jnp.round(later_s * event.observations.rate_hz).astype(int)
    moved = jnp.where(places >= 0, jnp.take(waveforms, jnp.clip(places, 0), axis=-1), 0.0)
    return event._replace(observations=event.observations._replace(waveforms=moved))


def swapped_stations(key: Key[Array, ""], event: Batch) -> Batch:
    """At least a third of the active stations with the records of one another."""
    key_share, key_order = jax.random.split(key)
    active = event.observations.station_mask
    share = jax.random.uniform(key_share, (), minval=LEAST_SWAPPED, maxval=1.0)
    chosen = _first(key_order, active, jnp.maximum(jnp.ceil(share * active.sum()), 2).astype(int))
    # Each chosen station has the record of the next chosen one, the last that of the first.
    rank = jnp.where(chosen, jnp.cumsum(chosen) - 1, -1)
    following = jnp.where(chosen, (rank + 1) % jnp.maximum(chosen.sum(), 1), -2)
    source = jnp.where(chosen, (following[:, None] == rank).argmax(1), jnp.arange(len(active)))
    mask = event.observations.sample_mask
    seen = event.observations._replace(sample_mask=None if mask is None else mask[source])
    return with_records(event._replace(observations=seen), records_of(event)[source])


def _first(key: Key[Array, ""], active: Bool[Array, " station"], number: Int[Array, ""]) -> Bool[Array, " station"]:
    """So many of the active stations, at random."""
    order = jnp.argsort(jnp.argsort(jax.random.uniform(key, active.shape) - active))
    return (order < number) & active


def other_velocity(key: Key[Array, ""], event: Batch, factors: tuple[float, float] = SPEED_FACTORS) -> Batch:
    """The event in a crust in which P and S are faster or slower alike: its records on another clock.

    Travel times that are shorter by a factor are records that are shorter by it; where the record begins is another
    origin time, which no one knows. Frequencies change by the same factor.

    Args:
        key: of the factor, and of the noise after the end of a record that is shorter.
        event: records.
        factors: range of ratios of speeds; each or one over it.
    """
    key_size, key_sign, key_noise = jax.random.split(key, 3)
    size = jax.random.uniform(key_size, (), minval=factors[0], maxval=factors[1])
    factor = jnp.where(jax.random.bernoulli(key_sign), size, 1 / size)
    waveforms = records_of(event)
    samples = waveforms.shape[-1]
    place = jnp.arange(samples) * factor
    lower = jnp.clip(jnp.floor(place).astype(int), 0, samples - 2)
    part = place - lower
    stretched = waveforms[..., lower] * (1 - part) + waveforms[..., lower + 1] * part
    return with_records(event, jnp.where(place <= samples - 1, stretched, own_noise(key_noise, event)))


def anywhere(key: Key[Array, ""], event: Batch, latest_s: float) -> Batch:
    """The same event later in its record by a uniform time: where it is in the record makes it no other event."""
    return shift(key, event, 0.0, latest_s)


def geophones(key: Key[Array, ""], event: Batch) -> Batch:
    """The records of geophones of unknown natural frequency whose response was not removed, one at each station.

    A damped oscillator (Aki & Richards 2002, section 12.1) loses what is below its natural frequency, and delays what
    is near it.
    """
    waveforms = records_of(event)
    samples = waveforms.shape[-1]
    low, high = GEOPHONE_HZ
    natural_hz = low * (high / low) ** jax.random.uniform(key, (len(waveforms), 1, 1))
    ratio = jnp.fft.rfftfreq(2 * samples) * event.observations.rate_hz / natural_hz
    response = -(ratio**2) / (1 - ratio**2 + 2j * DAMPING * ratio)
    spectrum = jnp.fft.rfft(waveforms, 2 * samples)
    return with_records(event, jnp.fft.irfft(spectrum * response, 2 * samples)[..., :samples])
