"""Seismograms of the sources of a simulated day at its stations, in counts, to be added to continuous noise.

Members of a family have one mechanism and share the scattered waves of their paths, so that their records are alike and
a matched filter can find one by another.
"""

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.fft
from jax import random
from jaxtyping import Array, Complex, Float, Key

from jaxloc.physics.layered import VelocityModel
from jaxloc.simulation.day import Day, clock_error_s
from jaxloc.simulation.propagation import Earth, Path, Rays
from jaxloc.simulation.recording import Recording, butterworth
from jaxloc.simulation.records import fast_length
from jaxloc.simulation.seismograms import Simulation, Truth, ground_motion
from jaxloc.simulation.snr import SIGNAL_S, cumulative_energy, power_between
from jaxloc.simulation.sources import Source, corner_hz

LEAD_S = 5.0  # of a record before the origin time
WINDOWS_S = ((1.5, 75.0), (3.0, 150.0), (9.9, 400.0))  # largest magnitude, and length of its record
FADE = 0.1  # share of a record at its end, over which it goes to zero
SENSOR_HZ, DAMPING = 1.0, 0.707
COUNTS_PER_M_S = 4e8
SNR_BAND_HZ = (2.0, 15.0)
SOURCE = Source(stress_drop_mpa=3.0, stress_drop_sd=0.5, corner_ratio=1.5, smear=0.3)


class Recorded(NamedTuple):
    """A source as the network records it.

    Attributes:
        event: its row.
        first: sample of the day at which its traces begin.
        traces: counts, components Z, N, E.
        onset_s: arrivals by the stations' clocks, from the first sample of the traces.
        power: mean of the second after each arrival within `SNR_BAND_HZ`.
    """

    event: int
    first: int
    traces: Float[np.ndarray, "station component sample"]
    onset_s: Float[np.ndarray, "station phase"]
    power: Float[np.ndarray, "station phase component"]


def sensor(frequency_hz: Float[np.ndarray, " frequency"]) -> Complex[np.ndarray, " frequency"]:
    """Response of a short-period seismometer from ground velocity, 1 far above its corner."""
    s, corner = 2j * np.pi * frequency_hz, 2 * np.pi * SENSOR_HZ
    return s**2 / (s**2 + 2 * DAMPING * corner * s + corner**2)


def sensor_poles() -> tuple[complex, complex]:
    """The poles of `sensor` in rad/s; it has two zeros at 0."""
    corner = 2 * np.pi * SENSOR_HZ
    across = corner * np.sqrt(1 - DAMPING**2)
    return complex(-DAMPING * corner, across), complex(-DAMPING * corner, -across)


def anti_alias(frequency_hz: Float[np.ndarray, " frequency"], rate_hz: float) -> Float[np.ndarray, " frequency"]:
    """Linear-phase filter of the recorder: 1 up to 0.8 of the Nyquist frequency, from where it falls to zero."""
    return np.cos(np.pi / 2 * np.clip((frequency_hz / (rate_hz / 2) - 0.8) / 0.2, 0, 1)) ** 2


def band_gain(frequency_hz: Float[np.ndarray, " frequency"], rate_hz: float) -> Float[np.ndarray, " frequency"]:
    """Gain of the band in which signal-to-noise ratios are measured."""
    low, high = SNR_BAND_HZ[0], min(SNR_BAND_HZ[1], 0.35 * rate_hz)
    above = butterworth(low / np.maximum(frequency_hz, 1e-9), 4)
    return np.abs(np.asarray(above) * np.asarray(butterworth(frequency_hz / high, 4)))


def noise_power(
    counts: Float[np.ndarray, "station component sample"], rate_hz: float
) -> Float[np.ndarray, "station component"]:
    """Mean power of noise within `SNR_BAND_HZ`."""
    spectrum = np.fft.rfft(counts)
    gain = band_gain(np.fft.rfftfreq(counts.shape[-1], 1 / rate_hz), rate_hz)
    return 2 * (np.abs(spectrum * gain) ** 2).sum(-1) / counts.shape[-1] ** 2


def within_band(
    counts: Float[np.ndarray, "station component sample"], rate_hz: float
) -> Float[np.ndarray, "station component sample"]:
    """Records within `SNR_BAND_HZ`, without a shift in time."""
    number = counts.shape[-1]
    gain = band_gain(scipy.fft.rfftfreq(number, 1 / rate_hz), rate_hz).astype(np.float32)
    return np.asarray(scipy.fft.irfft(gain * np.asarray(scipy.fft.rfft(counts)), number))


def recorded_sources(
    key: Key[Array, ""],
    day: Day,
    path: Path,
    rate_hz: float,
    begin_s: float,
    end_s: float,
) -> Iterator[Recorded]:
    """The sources with records between two times, one after the other.

    Args:
        key: of all sources: the records of each follow from its row alone.
        day: stations, sources and arrivals.
        path: propagation.
        rate_hz: sampling rate.
        begin_s, end_s: from the beginning of the day.
    """
    origin_s = day.sources.hypocentre[:, 3]
    for event in np.flatnonzero((origin_s < end_s + LEAD_S) & (origin_s > begin_s - WINDOWS_S[-1][1])):
        length_s = window_s(float(day.sources.magnitude[event]))
        if origin_s[event] - LEAD_S + length_s > begin_s:
            yield recorded_source(key, day, path, rate_hz, int(event), length_s)


def window_s(magnitude: float) -> float:
    """Length of the record of an event in s."""
    return next(length for largest, length in WINDOWS_S if magnitude < largest)


def recorded_source(
    key: Key[Array, ""],
    day: Day,
    path: Path,
    rate_hz: float,
    event: int,
    length_s: float,
) -> Recorded:
    """One source; see `recorded_sources`."""
    sources, station = day.sources, np.arange(len(day.stations))
    origin_s, family = float(sources.hypocentre[event, 3]), int(sources.family[event])
    first = int(np.floor((origin_s - LEAD_S) * rate_hz))
    late_s = origin_s - LEAD_S - first / rate_hz
    arrival_s = np.float32(LEAD_S + day.travel_s[event])
    clock_s = clock_error_s(day.faults.clocks, station, origin_s + day.travel_s[event, :, 0]).astype(np.float32)
    path_key = random.fold_in(random.fold_in(key, 1), family) if family >= 0 else random.fold_in(key, 2 * event + 2)
    truth = (
        np.append(sources.hypocentre[event, :3], LEAD_S).astype(np.float32),
        np.float32(sources.magnitude[event]),
        sources.moment[event].astype(np.float32),
        jax.tree.map(lambda x: x[event], day.rays),
        arrival_s,
    )
    keys = (random.fold_in(random.fold_in(key, 0), event), path_key)
    shift_s = np.float32(late_s) + clock_s
    traces, power = _recorded(keys, truth, shift_s, day.station_km, day.earth, day.actual, path, rate_hz, length_s)
    return Recorded(event, first, np.asarray(traces), arrival_s + shift_s[:, None], np.asarray(power))


@partial(jax.jit, static_argnums=(6, 7, 8))
def _recorded(
    keys: tuple[Key[Array, ""], Key[Array, ""]],
    given: tuple[Array, Array, Array, Rays, Array],
    shift_s: Float[Array, " station"],
    station_km: Float[Array, "station 3"],
    earth: Earth,
    model: VelocityModel,
    path: Path,
    rate_hz: float,
    length_s: float,
) -> tuple[Float[Array, "station component sample"], Float[Array, "station phase component"]]:
    place, magnitude, moment, rays, arrival_s = given
    num_samples = int(length_s * rate_hz)
    num_padded = fast_length(num_samples + int(5 * rate_hz))
    frequency_hz = np.fft.rfftfreq(num_padded, 1 / rate_hz)
    simulation = Simulation(lambda _: place, model, SOURCE, path, recording=Recording(rate_hz, num_samples, None))
    own, of_path = keys
    stress_mpa = SOURCE.stress_drop_mpa * jnp.exp(SOURCE.stress_drop_sd * random.normal(own))
    layer = jnp.maximum(jnp.searchsorted(model.top_km, place[2], side="right") - 1, 0)
    corner = corner_hz(magnitude, stress_mpa, model.vs_km_s[layer])
    corners = jnp.stack([SOURCE.corner_ratio * corner, corner])
    truth = Truth(place, magnitude, corners, moment, rays, arrival_s, earth)
    coda_key, gain_key = random.split(of_path)
    ground = ground_motion(coda_key, simulation, truth, station_km, num_padded)
    gain = earth.gain * jnp.exp(path.event_gain_sd * random.normal(gain_key, (len(station_km), 1)))
    late = jnp.exp(-2j * jnp.pi * jnp.asarray(frequency_hz, jnp.float32) * shift_s[:, None])
    response = jnp.asarray(
        rate_hz * COUNTS_PER_M_S * sensor(frequency_hz) * anti_alias(frequency_hz, rate_hz), jnp.complex64
    )
    spectrum = gain[..., None] * ground * (late * response)[:, None]
    fade = np.clip((1 - np.arange(num_samples) / num_samples) / FADE, 0, 1)
    traces = jnp.fft.irfft(spectrum, num_padded)[..., :num_samples] * jnp.asarray(fade, jnp.float32)
    within = jnp.fft.irfft(spectrum * jnp.asarray(band_gain(frequency_hz, rate_hz), jnp.float32), num_padded)
    onset_s = arrival_s + shift_s[:, None]
    after = lambda trace, at: power_between(cumulative_energy(trace), at, at + SIGNAL_S, rate_hz).T
    return traces, jax.vmap(after)(within[..., :num_samples], onset_s)
