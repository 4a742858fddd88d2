"""Ground motion of one earthquake at a network of stations, as spectra.

Direct waves are phase shifts, so arrivals are exact far below a sample; coda is white noise with an envelope and the
spectrum of the direct wave.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import random
from jaxtyping import Array, Complex, Float, Key

from jaxloc.physics.layered import VelocityModel
from jaxloc.simulation.propagation import (
    Earth,
    Path,
    Rays,
    attenuation,
    coda_density,
    draw_earth,
    envelopes,
    shear_axes,
    slowness_error,
    spreading,
    surface_train,
    trace_rays,
    unscattered,
)
from jaxloc.simulation.recording import Noise, Recording
from jaxloc.simulation.sources import (
    MEAN_RADIATION,
    Hypocentres,
    Source,
    draw_source,
    radiation,
    smeared,
    velocity_spectrum,
)


class Simulation(NamedTuple):
    """Parameters of a simulated region and its instruments.

    `hypocentre` draws a hypocentre from a key (`sources.box`, `sources.around`); `model` gives travel times.
    """

    hypocentre: Hypocentres
    model: VelocityModel
    source: Source = Source()
    path: Path = Path()
    noise: Noise = Noise()
    recording: Recording = Recording()


class Keys(NamedTuple):
    """One key for each random part of an event."""

    hypocentre: Key[Array, ""]
    source: Key[Array, ""]
    earth: Key[Array, ""]
    jitter: Key[Array, ""]
    origin: Key[Array, ""]
    coda: Key[Array, ""]
    gain: Key[Array, ""]
    noise: Key[Array, ""]
    channels: Key[Array, ""]


def split_keys(key: Key[Array, ""]) -> Keys:
    """The keys of an event, by name."""
    return Keys(*random.split(key, len(Keys._fields)))


class Truth(NamedTuple):
    """One event before recording. Times count from the first sample; `earth` has its site effects."""

    hypocentre: Float[Array, "4"]
    magnitude: Float[Array, ""]
    corner_hz: Float[Array, " phase"]
    moment: Float[Array, "3 3"]
    rays: Rays
    arrivals_s: Float[Array, "station phase"]
    earth: Earth


def draw_truth(
    key: Key[Array, ""],
    simulation: Simulation,
    station_km: Float[Array, "station 3"],
    earth: Earth | None = None,
) -> Truth:
    """Source, rays and arrival times of one event; `earth` None samples new site effects for it."""
    keys, path, recording = split_keys(key), simulation.path, simulation.recording
    if earth is None:
        earth = draw_earth(keys.earth, path, len(station_km), simulation.noise.station_sd)
    source_km = simulation.hypocentre(keys.hypocentre)
    magnitude, corner_hz, moment = draw_source(
        keys.source, simulation.source, _at_depth(simulation.model, source_km[2])[1]
    )
    rays = trace_rays(simulation.model, source_km, station_km, path.surface_speed_km_s)
    origin_s = recording.origin_s + recording.origin_sd_s * random.normal(keys.origin)
    error = 1 + path.slowness_sd * slowness_error(earth, source_km, station_km)
    jitter_s = jnp.asarray(path.jitter_sd_s) * random.normal(keys.jitter, (len(station_km), 2))
    late_s = jnp.maximum(rays.time_s * error[:, None] + earth.delay_s + jitter_s, 0.01)
    p_s = late_s[:, 0]
    arrivals_s = origin_s + jnp.stack([p_s, jnp.maximum(late_s[:, 1], 1.2 * p_s)], -1)
    return Truth(jnp.append(source_km, origin_s), magnitude, corner_hz, moment, rays, arrivals_s, earth)


def _at_depth(model: VelocityModel, depth_km: Float[Array, ""]) -> Float[Array, " phase"]:
    layer = jnp.maximum(jnp.searchsorted(model.top_km, depth_km, side="right") - 1, 0)
    return jnp.stack([model.vp_km_s[layer], model.vs_km_s[layer]])


def _directions(truth: Truth, smear: float) -> tuple[Float[Array, "station phase 3"], Float[Array, "station phase 3"]]:
    """Polarisation of the direct waves with their radiation pattern, and without; components Z (up), N, E."""

    def one(leaving: Float[Array, "phase 3"], arriving: Float[Array, "phase 3"]) -> tuple[Array, Array]:
        (sv, sh), (sv_up, sh_up) = shear_axes(leaving[1]), shear_axes(arriving[1])
        p = radiation(truth.moment, leaving[0], sv, sh)[0]
        s = radiation(truth.moment, leaving[1], sv, sh)[1:]
        p, *s = smeared(jnp.stack([p, *s]), smear)
        mean_p, mean_s = MEAN_RADIATION
        actual = jnp.stack([p * arriving[0], s[0] * sv_up + s[1] * sh_up])
        even = jnp.sqrt(0.5 * (sv_up**2 + sh_up**2))
        return actual, jnp.stack([mean_p * jnp.abs(arriving[0]), mean_s * even])

    actual, even = jax.vmap(one)(truth.rays.leaving, truth.rays.arriving)
    return actual[..., ::-1] * jnp.asarray([-1.0, 1.0, 1.0]), even[..., ::-1]


def first_motion_up(truth: Truth, source: Source) -> Float[Array, " station"]:
    """First motion of P: 1 up, 0 down."""
    return (_directions(truth, source.smear)[0][:, 0, 0] > 0).astype(float)


class Wave(NamedTuple):
    """One phase on its way to one station.

    `motion` is the direct wave's with its radiation pattern, `mean_motion` the same without it and without signs,
    `converted` that of the wave converted below the station, `converted_lag_s` later. Components Z, N, E.
    """

    key: Key[Array, ""]
    is_s: Float[Array, ""]
    time_s: Float[Array, ""]
    onset_s: Float[Array, ""]
    motion: Float[Array, "3"]
    mean_motion: Float[Array, "3"]
    converted: Float[Array, "3"]
    converted_lag_s: Float[Array, ""]
    corner_hz: Float[Array, ""]
    speed_km_s: Float[Array, ""]
    quality: Float[Array, ""]
    kappa_s: Float[Array, ""]
    coda_vertical: Float[Array, ""]


def _converted(
    truth: Truth, motion: Float[Array, "station phase 3"]
) -> tuple[Float[Array, "station phase 3"], Float[Array, "station phase"]]:
    """P-to-S conversions (horizontal motion) and S-to-P conversions (vertical motion), and their lags in s."""
    flat = motion[:, 0].at[:, 0].set(0.0)
    flat = flat / (jnp.linalg.norm(flat, axis=-1, keepdims=True) + 1e-9)
    upright = jnp.broadcast_to(jnp.asarray([1.0, 0.0, 0.0]), flat.shape)
    strength = truth.earth.conversion * jnp.linalg.norm(motion, axis=-1)
    gap_s = truth.arrivals_s[:, 1] - truth.arrivals_s[:, 0]
    lag_s = jnp.minimum(truth.earth.conversion_s, 0.4 * gap_s)
    return jnp.stack([flat, upright], 1) * strength[..., None], jnp.stack([lag_s, -lag_s], -1)


def _waves(key: Key[Array, ""], simulation: Simulation, truth: Truth) -> Wave:
    """All waves of an event, with leading axes [station, phase]."""
    path, shape = simulation.path, truth.arrivals_s.shape
    motion, mean_motion = _directions(truth, simulation.source.smear)
    converted, lag_s = _converted(truth, motion)

    def each(value: Float[Array, " phase"]) -> Float[Array, "station phase"]:
        return jnp.broadcast_to(value, shape)

    return Wave(
        key=random.split(key, shape),
        is_s=each(jnp.asarray([0.0, 1.0])),
        time_s=truth.rays.time_s,
        onset_s=truth.arrivals_s,
        motion=motion,
        mean_motion=mean_motion,
        converted=converted,
        converted_lag_s=lag_s,
        corner_hz=each(truth.corner_hz),
        speed_km_s=each(_at_depth(simulation.model, truth.hypocentre[2])),
        quality=each(jnp.asarray([path.q_s * path.q_p_ratio, path.q_s])),
        kappa_s=truth.earth.kappa_s[:, None] * jnp.asarray([path.kappa_p_ratio, 1.0]),
        coda_vertical=each(jnp.asarray(path.coda_vertical)),
    )


def _direct(
    wave: Wave, path: Path, frequency_hz: Float[Array, " frequency"], end_s: float
) -> Complex[Array, "component frequency"]:
    """The direct wave and the converted one as unit pulses, shifted to their times."""

    def shifted(at_s: Float[Array, ""], motion: Float[Array, "3"]) -> Complex[Array, "component frequency"]:
        # Arrivals after the end of the record would wrap round to its beginning.
        inside = (at_s >= 0) & (at_s < end_s)
        return jnp.where(inside, motion, 0.0)[:, None] * jnp.exp(-2j * jnp.pi * frequency_hz * at_s)

    both = shifted(wave.onset_s, wave.motion) + shifted(wave.onset_s + wave.converted_lag_s, wave.converted)
    return jnp.sqrt(unscattered(wave.time_s, path)) * both


def _coda(wave: Wave, path: Path, second: Float[Array, " sample"]) -> Float[Array, "component sample"]:
    """Random reflectivity: its square is the energy of a sample relative to that of the direct wave."""
    train_key, white_key = random.split(wave.key)
    forward, diffuse = envelopes(second - wave.onset_s, wave.time_s, path)
    diffuse = diffuse + wave.is_s * surface_train(train_key, second - wave.onset_s, wave.time_s, path)
    density = coda_density(wave.mean_motion, forward, diffuse, wave.coda_vertical, path.polarised)
    return jnp.sqrt(density * (second[1] - second[0])) * random.normal(white_key, density.shape)


def ground_motion(
    key: Key[Array, ""],
    simulation: Simulation,
    truth: Truth,
    station_km: Float[Array, "station 3"],
    num_padded: int,
) -> Complex[Array, "station component frequency"]:
    """Spectrum of ground velocity in m/s/Hz before site gain and recorder, traces padded to `num_padded`."""
    path, recording = simulation.path, simulation.recording
    frequency_hz = jnp.asarray(np.fft.rfftfreq(num_padded, 1 / recording.rate_hz), jnp.float32)
    second = jnp.asarray(np.arange(recording.num_samples) / recording.rate_hz, jnp.float32)
    end_s = recording.num_samples / recording.rate_hz

    def spectrum(wave: Wave) -> Complex[Array, "component frequency"]:
        pulse = velocity_spectrum(frequency_hz, truth.magnitude, wave.corner_hz, wave.speed_km_s)
        pulse = pulse * attenuation(frequency_hz, wave.time_s, wave.kappa_s, wave.quality, path.q_power)
        coda = jnp.fft.rfft(_coda(wave, path, second), num_padded)
        return pulse * (_direct(wave, path, frequency_hz, end_s) + coda)

    waves = jax.vmap(jax.vmap(spectrum))(_waves(key, simulation, truth)).sum(1)
    apart_km = jnp.linalg.norm(station_km - truth.hypocentre[:3], axis=-1)
    return waves * spreading(apart_km, path)[:, None, None]
