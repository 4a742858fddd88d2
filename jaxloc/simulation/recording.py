"""Instrument and noise: background noise, bursts, spikes, pass band and silent channels."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import random
from jaxtyping import Array, Complex, Float, Key, Num


class Noise(NamedTuple):
    """Background noise and faults. Standard deviations are of natural logarithms.

    Attributes:
        level_m_s: median root mean square of ground velocity within the recorder's band.
        station_sd, event_sd, component_sd: scatter over stations, over events at a station, over components.
        slope: velocity amplitude falls as f^-slope.
        microseism, microseism_hz: height of the microseism over the rest, and its frequency (Peterson 1993).
        cultural, cultural_hz: height of cultural noise over the rest, and its frequency.
        burst_rate, burst_gain, burst_s: chance of a burst at a station, height over the noise, length.
        spike_rate, spike_gain: chance of a spike on a component and its height over the noise.
        silent_station, missing_component, vertical_only: chances of a station without any signal, of one
            component without, and of both horizontals without.
    """

    level_m_s: float = 3e-8
    station_sd: float = 0.5
    event_sd: float = 0.5
    component_sd: float = 0.15
    slope: float = 0.6
    microseism: float = 5.0
    microseism_hz: float = 0.2
    cultural: float = 0.5
    cultural_hz: float = 6.0
    burst_rate: float = 0.03
    burst_gain: float = 10.0
    burst_s: float = 1.0
    spike_rate: float = 0.002
    spike_gain: float = 100.0
    silent_station: float = 0.02
    missing_component: float = 0.01
    vertical_only: float = 0.0


class Recording(NamedTuple):
    """Sampling, filter and window of a trace.

    Attributes:
        rate_hz, num_samples: sampling.
        band_hz: corners of a Butterworth band-pass, or None for all up to the Nyquist frequency.
        order: order of each side.
        zero_phase: filtered forwards and backwards, as in many archives, which is slightly acausal.
        origin_s, origin_sd_s: origin time from the first sample, and its scatter.
    """

    rate_hz: float = 50.0
    num_samples: int = 3000
    band_hz: tuple[float, float] | None = (1.0, 20.0)
    order: int = 4
    zero_phase: bool = False
    origin_s: float = 5.0
    origin_sd_s: float = 1.0


def check_recording(recording: Recording) -> None:
    """Refuse an invalid recording.

    Raises:
        ValueError: where a rate or length is not positive, or the band is not within the Nyquist frequency.
    """
    if not (recording.rate_hz > 0 and recording.num_samples > 1):
        raise ValueError(
            f"rate_hz must be positive and num_samples above 1, got {recording.rate_hz} and {recording.num_samples}"
        )
    if recording.band_hz is not None:
        low, high = recording.band_hz
        if not 0 < low < high < recording.rate_hz / 2:
            raise ValueError(
                f"band_hz must be 0 < low < high < {recording.rate_hz / 2} Hz (half of rate_hz), "
                f"got {recording.band_hz}"
            )


def butterworth(
    relative: Float[np.ndarray, " frequency"] | Float[Array, " frequency"], order: int
) -> Complex[np.ndarray, " frequency"] | Complex[Array, " frequency"]:
    """Complex response of the causal low-pass at frequency over corner; its conjugate at the inverse is a high-pass."""
    poles = np.exp(1j * np.pi * (2 * np.arange(order) + order + 1) / (2 * order))
    highest, *lower = np.poly(poles).real.tolist()
    denominator = highest
    for coefficient in lower:
        denominator = denominator * (1j * relative) + coefficient
    return 1 / denominator  # pyright: ignore[reportReturnType]


def passband(recording: Recording, frequency_hz: Float[np.ndarray, " frequency"]) -> Complex[np.ndarray, " frequency"]:
    """Complex response of the recorder: anti-alias taper and band-pass; [frequency]."""
    nyquist_hz = recording.rate_hz / 2
    taper = np.cos(np.pi / 2 * np.clip((frequency_hz / nyquist_hz - 0.8) / 0.2, 0, 1)) ** 2
    if recording.band_hz is None:
        return taper * (frequency_hz > 0)
    low_hz, high_hz = recording.band_hz
    above = butterworth(low_hz / np.maximum(frequency_hz, 1e-9), recording.order).conj()
    band = above * butterworth(frequency_hz / high_hz, recording.order)
    return taper * (np.abs(band) ** 2 if recording.zero_phase else band)


def colour(
    noise: Noise, frequency_hz: Float[np.ndarray, " frequency"], response: Num[np.ndarray, " frequency"]
) -> Float[np.ndarray, " frequency"]:
    """Amplitude spectrum of background noise of unit root mean square after the instrument; [frequency]."""
    safe_hz = np.maximum(frequency_hz, frequency_hz[1])
    bump = noise.microseism / (1 + (np.log(safe_hz / noise.microseism_hz) / 0.5) ** 2) ** 2
    hum = noise.cultural / (1 + (np.log(safe_hz / noise.cultural_hz) / 0.4) ** 2) ** 2
    shape = safe_hz**-noise.slope * (1 + bump) + hum
    return shape / np.sqrt(((shape * np.abs(response)) ** 2).mean())


def draw_noise(
    key: Key[Array, ""],
    noise: Noise,
    recording: Recording,
    station_level: Float[Array, " station"],
    num_samples: int,
) -> Float[Array, "station component sample"]:
    """White noise with bursts and spikes, scaled to each channel's level in m/s, before colouring."""
    keys = random.split(key, 8)
    num = len(station_level)
    level = noise.level_m_s * station_level * jnp.exp(noise.event_sd * random.normal(keys[0], (num,)))
    level = level[:, None] * jnp.exp(noise.component_sd * random.normal(keys[1], (num, 3)))
    second = jnp.arange(num_samples) / recording.rate_hz
    centre = random.uniform(keys[2], (num, 1), maxval=recording.num_samples / recording.rate_hz)
    height = (
        noise.burst_gain * random.bernoulli(keys[3], noise.burst_rate, (num, 1)) * random.exponential(keys[4], (num, 1))
    )
    burst = height * jnp.exp(-0.5 * ((second - centre) / noise.burst_s) ** 2)
    white = random.normal(keys[5], (num, 3, num_samples)) * (1 + burst[:, None])
    at = random.randint(keys[6], (num, 3, 1), 0, recording.num_samples)
    spike = random.bernoulli(keys[7], noise.spike_rate, (num, 3, 1)) * (jnp.arange(num_samples) == at)
    return level[..., None] * (white + noise.spike_gain * spike)


def active_channels(key: Key[Array, ""], noise: Noise, num_stations: int) -> Float[Array, "station component"]:
    """1 for active channels, 0 for silent ones."""
    silent, vertical, component = random.split(key, 3)
    station = ~random.bernoulli(silent, noise.silent_station, (num_stations, 1))
    horizontals = ~random.bernoulli(vertical, noise.vertical_only, (num_stations, 1))
    single = ~random.bernoulli(component, noise.missing_component, (num_stations, 3))
    return (station & single & (horizontals | jnp.asarray([True, False, False]))).astype(float)


def through(spectrum: Complex[Array, "*batch frequency"], num_padded: int, recording: Recording) -> Array:
    """Spectra back to traces of the recorder's length."""
    return jnp.fft.irfft(spectrum, num_padded)[..., : recording.num_samples]
