"""Seismic phases of a local or regional earthquake at one station: their times, directions and amplitudes."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import random
from jaxtyping import Array, Bool, Float, Int, Key

from jaxloc.physics.head_waves import NEVER_S, layer_of
from jaxloc.physics.layered import VelocityModel, crossed_layers_km, head_waves_s, refracted_ray
from jaxloc.simulation.propagation import shear_axes
from jaxloc.simulation.random_velocity import MOHO, SEDIMENTS
from jaxloc.simulation.ranges import Range, happens, log_uniform, uniform
from jaxloc.simulation.sources import MEAN_RADIATION, radiation, smeared

BRANCHES = ("direct", "head", "reflected")
NUM_WAVES = 6  # of each type: the three branches, two depth phases, one conversion


class PhaseRanges(NamedTuple):
    """Amplitudes of secondary phases over that of the direct wave; pairs are the ends of log-uniform distributions.

    Attributes:
        head: of Pn and Sn, -30 to -4 dB (Sereno & Given 1990, GRL 17: Pn some 10-20 dB below Pg).
        reflected: of PmP and SmS beyond the critical distance, where they exceed the direct wave (Mooney & Brocher
            1987); `steep` times that before it. Both and depth phases are weaker by their longer way in addition.
        depth: of pP, sP, sS and pS.
        converted: of Ps after P and of Sp before S, converted at the bottom of the sediments (Langston 1979 for
            radial receiver functions, 0.1 to 0.5 of P).
        nodal: amplitude where a phase is close to a node, and `nodal_chance` how often that is added.
        smear: as of `sources.Source`, uniform.
    """

    head: Range = (0.03, 0.6)
    reflected: Range = (0.05, 1.2)
    steep: float = 0.2
    depth: Range = (0.03, 0.8)
    converted: Range = (0.03, 0.6)
    nodal: Range = (0.03, 0.3)
    nodal_chance: float = 0.07
    smear: Range = (0.0, 0.6)


class Rays(NamedTuple):
    """Times after the origin and horizontal slowness of three branches (`BRANCHES`); `NEVER_S` where there is none.

    `first_s` is that of the first arrival.
    """

    time_s: Float[Array, "phase branch"]
    slowness_s_km: Float[Array, "phase branch"]
    first_s: Float[Array, " phase"]


def trace(model: VelocityModel, distance_km: Float[Array, ""], depth_km: Float[Array, ""]) -> Rays:
    """Rays from a source to a station at the surface: direct, first head wave, and reflection from the Moho."""
    surface_km, moho_km = jnp.zeros(()), model.top_km[MOHO]

    def of_phase(speed_km_s: Float[Array, " layer"]) -> tuple[Array, Array]:
        deep_km = jnp.maximum(depth_km, 1e-3)
        direct = refracted_ray(crossed_layers_km(model.top_km, surface_km, deep_km), speed_km_s, distance_km)
        down_km = crossed_layers_km(model.top_km, deep_km, moho_km)
        there_and_back_km = crossed_layers_km(model.top_km, surface_km, moho_km) + down_km
        reflected_s, reflected = refracted_ray(there_and_back_km, speed_km_s, distance_km)
        heads_s = head_waves_s(model.top_km, speed_km_s, distance_km, deep_km, surface_km)
        head = jnp.argmin(heads_s)
        times_s = jnp.stack([direct[0], heads_s[head], jnp.where(deep_km < moho_km, reflected_s, NEVER_S)])
        slowness = jnp.stack([direct[1], 1 / speed_km_s[head], reflected])
        return jnp.minimum(times_s, NEVER_S), slowness

    time_s, slowness = jax.vmap(of_phase)(jnp.stack([model.vp_km_s, model.vs_km_s]))
    return Rays(time_s, slowness, time_s[:, :2].min(-1))


def speeds_at(model: VelocityModel, depth_km: Float[Array, ""]) -> Float[Array, " phase"]:
    """P and S speed at a depth, in km/s."""
    layer: Int[Array, ""] = layer_of(model.top_km, depth_km)
    return jnp.stack([model.vp_km_s[layer], model.vs_km_s[layer]])


def directions(
    slowness_s_km: Float[Array, "phase branch"],
    speed_km_s: Float[Array, " phase"],
    azimuth_rad: Float[Array, ""],
    down: Bool[Array, " branch"],
) -> Float[Array, "phase branch 3"]:
    """Unit vectors (east, north, down) of rays with a slowness, going down or up."""
    sine = jnp.minimum(slowness_s_km * speed_km_s[:, None], 0.9999)
    vertical = jnp.sqrt(1 - sine**2) * jnp.where(down, 1.0, -1.0)
    return jnp.stack([sine * jnp.sin(azimuth_rad), sine * jnp.cos(azimuth_rad), vertical], -1)


class Waves(NamedTuple):
    """Everything coherent of one event at one station, of P type and of S type by the spectrum of its source.

    `time_s` after the origin, `motion` its amplitude on Z (up), N, E; `mean_motion` that of direct and head
    waves without signs and averaged over polarisations of S, for their coda.
    """

    time_s: Float[Array, "phase wave"]
    motion: Float[Array, "phase wave component"]
    mean_motion: Float[Array, "phase branch component"]
    incidence_rad: Float[Array, ""]
    first_motion: Float[Array, ""]


def draw_waves(
    key: Key[Array, ""],
    ranges: PhaseRanges,
    model: VelocityModel,
    rays: Rays,
    depth_km: Float[Array, ""],
    moment: Float[Array, "3 3"],
    azimuth_rad: Float[Array, ""],
) -> Waves:
    """Waves with the radiation pattern of a moment tensor at a station in an azimuth, at random relative amplitudes."""
    keys = random.split(key, 8)
    leaving = directions(rays.slowness_s_km, speeds_at(model, depth_km), azimuth_rad, jnp.asarray([False, True, True]))
    # P moves the free surface in a steeper direction than its ray's, of half the angle of S (Wiechert 1907).
    half = jnp.arcsin(jnp.minimum(rays.slowness_s_km[0] * model.vs_km_s[0], 0.9999))
    apparent = jnp.sin(2 * half)
    at_surface = jnp.stack([apparent, jnp.minimum(rays.slowness_s_km[1] * model.vs_km_s[0], 0.9999)])
    arriving = directions(at_surface, jnp.ones(2), azimuth_rad, jnp.zeros(3, bool))
    pattern = _patterns(moment, leaving, uniform(keys[0], ranges.smear))
    nodal = jnp.where(happens(keys[1], ranges.nodal_chance, (2,)), log_uniform(keys[2], ranges.nodal, (2,)), 1.0)
    motion, even = _motions(pattern * nodal[jnp.asarray([0, 1, 1])], arriving)
    exists = rays.time_s < NEVER_S
    longer = rays.time_s[:, 0] / rays.time_s[:, 2]
    beyond = rays.slowness_s_km[:, 2] > 1 / jnp.stack([model.vp_km_s[MOHO], model.vs_km_s[MOHO]])
    reflected = log_uniform(keys[4], ranges.reflected) * longer * jnp.where(beyond, 1.0, ranges.steep)
    level = jnp.stack([jnp.ones(2), log_uniform(keys[3], ranges.head) * jnp.ones(2), reflected], -1)
    motion = jnp.where(exists, level, 0.0)[..., None] * motion
    first = jnp.argmin(rays.time_s[:, :2], -1)
    leading = jnp.take_along_axis(motion, first[:, None, None], 1)[:, 0]
    slowness = jnp.take_along_axis(rays.slowness_s_km, first[:, None], 1)[:, 0]
    depth_s = _depth_phases_s(model, depth_km, slowness)
    depth_level = log_uniform(keys[5], ranges.depth, (2, 2)) * random.rademacher(keys[6], (2, 2), float)
    depth_level = depth_level * longer[:, None]
    # Shallower than about a kilometre, depth phases are part of the direct wave.
    depth_motion = jnp.where(depth_s > 0.3, depth_level, 0.0)[..., None] * motion[:, :1]
    converted_s, converted = _converted(keys[7], ranges, model, motion[:, 0])
    gap_s = jnp.asarray([-1.0, 1.0]) * jnp.diff(rays.first_s)
    lags_s = jnp.concatenate([depth_s, jnp.clip(converted_s, *(0.4 * gap_s))[:, None]], -1)
    # They follow a wave that left downwards: the head wave where it is first, or else the reflection.
    downwards_s = jnp.where(first == 1, rays.time_s[:, 1], rays.time_s[:, 2])
    base_s = jnp.stack([downwards_s, downwards_s, rays.time_s[:, 0]], -1)
    return Waves(
        jnp.concatenate([rays.time_s, base_s + lags_s], -1),
        jnp.concatenate([motion, depth_motion, converted[:, None]], 1),
        (exists[..., None] * level[..., None] * even)[:, :2],
        jnp.arcsin(jnp.take(apparent, first[0])),
        jnp.sign(leading[0, 0]),
    )


def _patterns(
    moment: Float[Array, "3 3"], leaving: Float[Array, "phase branch 3"], smear: Float[Array, ""]
) -> Float[Array, "branch wave"]:
    """Radiation of P, SV and SH along each branch."""

    def one(p_ray: Float[Array, "3"], s_ray: Float[Array, "3"]) -> Float[Array, " wave"]:
        sv, sh = shear_axes(s_ray)
        return jnp.append(radiation(moment, p_ray, sv, sh)[:1], radiation(moment, s_ray, sv, sh)[1:])

    return smeared(jax.vmap(one)(*leaving), smear)


def _motions(
    pattern: Float[Array, "branch wave"], arriving: Float[Array, "phase branch 3"]
) -> tuple[Float[Array, "phase branch component"], Float[Array, "phase branch component"]]:
    """Motion at the surface with components Z (up), N, E: as radiated, and its absolute value for an average one."""

    def one(pattern: Float[Array, " wave"], p_ray: Float[Array, "3"], s_ray: Float[Array, "3"]) -> tuple[Array, Array]:
        sv, sh = shear_axes(s_ray)
        s_motion = pattern[1] * sv + pattern[2] * sh
        # Scattered waves left the source in all directions: nodes fill in.
        mean_p, mean_s = MEAN_RADIATION
        even = jnp.stack([mean_p * jnp.abs(p_ray), mean_s * jnp.sqrt(0.5 * (sv**2 + sh**2))])
        return jnp.stack([pattern[0] * p_ray, s_motion]), even

    motion, even = (jnp.moveaxis(each, 0, 1) for each in jax.vmap(one)(pattern, *arriving))
    return motion[..., ::-1] * jnp.asarray([-1.0, 1.0, 1.0]), even[..., ::-1]


def _vertical_s_km(model: VelocityModel, slowness_s_km: Float[Array, " phase"]) -> Float[Array, "phase leg layer"]:
    """Vertical slowness in each layer of legs of P and S with the horizontal slowness of a phase."""
    speed = jnp.stack([model.vp_km_s, model.vs_km_s])
    return jnp.sqrt(jnp.maximum(speed**-2 - slowness_s_km[:, None, None] ** 2, 1e-4))


def _depth_phases_s(
    model: VelocityModel, depth_km: Float[Array, ""], slowness_s_km: Float[Array, " phase"]
) -> Float[Array, "phase lag"]:
    """Lags of pP and sP after P, and of sS and pS after S; here waves that leave downwards lead (Pn, PmP, deep P)."""
    crossed = crossed_layers_km(model.top_km, jnp.zeros(()), jnp.maximum(depth_km, 1e-3))
    legs = (_vertical_s_km(model, slowness_s_km) * crossed).sum(-1)
    p, s = legs
    return jnp.stack([jnp.stack([2 * p[0], p[0] + p[1]]), jnp.stack([2 * s[1], s[0] + s[1]])])


def _converted(
    key: Key[Array, ""], ranges: PhaseRanges, model: VelocityModel, direct: Float[Array, "phase component"]
) -> tuple[Float[Array, " phase"], Float[Array, "phase component"]]:
    """Lag and motion of Ps, on horizontals after P, and of Sp, on the vertical before S."""
    level, sign = random.split(key)
    up = 1 / jnp.stack([model.vp_km_s, model.vs_km_s])
    crossed = crossed_layers_km(model.top_km, jnp.zeros(()), model.top_km[SEDIMENTS])
    lag_s = jnp.minimum(((up[1] - up[0]) * crossed).sum(), 2.0)
    strength = log_uniform(level, ranges.converted, (2,)) * random.rademacher(sign, (2,), float)
    strength = strength * jnp.linalg.norm(direct, axis=-1)
    flat = direct[0].at[0].set(0.0)
    flat = flat / (jnp.linalg.norm(flat) + 1e-9)
    motion = jnp.stack([flat, jnp.asarray([1.0, 0.0, 0.0])]) * strength[:, None]
    return lag_s * jnp.asarray([1.0, -1.0]), motion
