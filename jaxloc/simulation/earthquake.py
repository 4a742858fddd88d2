"""An earthquake of a random region as one station records it: where and how large it is, and its ground motion."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import random
from jaxtyping import Array, Complex, Float, Key

from jaxloc.physics.layered import VelocityModel
from jaxloc.simulation.absorption import absorption
from jaxloc.simulation.phases import PhaseRanges, draw_waves, speeds_at, trace
from jaxloc.simulation.random_velocity import VelocityRanges
from jaxloc.simulation.ranges import Range, happens, log_uniform, one_of, uniform
from jaxloc.simulation.scattering import ScatteringRanges, draw_scattering, reflectivity
from jaxloc.simulation.sources import corner_hz, double_couple, velocity_spectrum
from jaxloc.simulation.surface_waves import SurfaceRanges, draw_surface_waves

CLEAR = 0.1  # share of energy in the pulse of P from which its first motion can be known
TAPER = 0.8  # of the Nyquist frequency, from where spectra fall to zero: a steeper end would ring before onsets


class PlaceRanges(NamedTuple):
    """Where earthquakes are. Gaps between S and P are log-uniform, distances and chances uniform.

    Attributes:
        gap_s: between S and P of local, regional and very close earthquakes; `chance` of each. The rest is of
            `world_km`, by epicentral distance.
        depth_km: largest depth, log-uniform, of which the source is within; a `deep` share is of `deep_km`.
        steepness: sine of the angle at which the hypocentre is below the horizontal.
    """

    gap_s: tuple[Range, ...] = ((0.15, 25.0), (25.0, 60.0), (0.005, 0.15))
    chance: tuple[float, ...] = (0.7, 0.1, 0.05)
    world_km: Range = (1.0, 300.0)
    depth_km: Range = (4.0, 60.0)
    deep_km: Range = (60.0, 700.0)
    deep: float = 0.1
    steepness: Range = (0.03, 0.999)


class SourceRanges(NamedTuple):
    """Sources and absorption; pairs are the ends of log-uniform distributions, of uniform ones where said.

    Attributes:
        magnitude: uniform, not by Gutenberg and Richter's law: large ones are as frequent as small ones. At a station
            at r km they are at most `near_magnitude` + 2 log10 r.
        stress_drop_mpa: 0.1 to 100 MPa (Allmann & Shearer 2009, figure 11).
        corner_ratio: corner frequency of P over that of S (Madariaga 1976; Kaneko & Shearer 2014), uniform.
        directivity: speed of unilateral rupture over that of S waves, uniform; 0 for none (Ben-Menahem 1961).
        isotropic: chance of a source without slip: explosions and collapses.
        quality: of S at 1 Hz, and `quality_power`, uniform, of its growth with frequency.
        quality_ratio: of P over S.
        kappa_s: of S near the surface (Anderson & Hough 1984; Ktenidou et al. 2014), and `kappa_ratio` of P over S.
        star_s: largest and smallest attenuation time t* along the path.
    """

    magnitude: Range = (-1.0, 7.5)
    near_magnitude: float = 3.0
    stress_drop_mpa: Range = (0.1, 100.0)
    corner_ratio: Range = (1.0, 1.8)
    directivity: Range = (0.0, 0.9)
    isotropic: float = 0.06
    quality: Range = (50.0, 2000.0)
    quality_power: Range = (0.0, 0.8)
    quality_ratio: Range = (0.5, 2.5)
    kappa_s: Range = (0.002, 0.1)
    kappa_ratio: Range = (0.3, 1.0)
    star_s: Range = (0.0003, 0.3)


class EarthquakeRanges(NamedTuple):
    """All ranges of an earthquake's ground motion."""

    velocity: VelocityRanges = VelocityRanges()
    place: PlaceRanges = PlaceRanges()
    source: SourceRanges = SourceRanges()
    phases: PhaseRanges = PhaseRanges()
    scattering: ScatteringRanges = ScatteringRanges()
    surface: SurfaceRanges = SurfaceRanges()


class Window(NamedTuple):
    """Sampling of ground motion: it begins `before_s` before the record, and transforms have room after its end."""

    num_samples: int
    num_padded: int
    before_s: float
    rate_hz: float


class Onset(NamedTuple):
    """When P arrives: at `p_s`, less `early` times the sum of the gap between S and P and `lead_s`."""

    p_s: Float[Array, ""]
    early: Float[Array, ""]
    lead_s: float = 10.0


class Earthquake(NamedTuple):
    """Ground motion of an earthquake: spectrum of velocity, and its first arrivals, in s from the record's beginning.

    The spectrum has unit energy of direct P and S together; its origin of time is the window's beginning.
    """

    spectrum: Complex[Array, "component frequency"]
    first_s: Float[Array, " phase"]
    back_azimuth_rad: Float[Array, ""]
    incidence_rad: Float[Array, ""]
    first_motion: Float[Array, ""]


def draw_hypocentre(
    key: Key[Array, ""], ranges: PlaceRanges, model: VelocityModel
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Epicentral distance and depth in km.

    A gap between S and P becomes a distance by the speeds of the upper crust; actual gaps differ as the model does.
    """
    kind, gap, world, deep, depth, within, steep = random.split(key, 7)
    chances = (*ranges.chance, 1 - sum(ranges.chance))
    which = one_of(kind, chances)
    gaps_s = jnp.stack([log_uniform(gap, ends) for ends in ranges.gap_s])
    per_km = 1 / model.vs_km_s[2] - 1 / model.vp_km_s[2]
    straight_km = jnp.append(gaps_s / per_km, uniform(world, ranges.world_km))[which]
    usual_km, rare_km = log_uniform(depth, ranges.depth_km), log_uniform(depth, ranges.deep_km)
    deepest_km = jnp.where(happens(deep, ranges.deep), rare_km, usual_km * uniform(within, (0.05, 1.0)))
    sine = uniform(steep, ranges.steepness)
    depth_km = jnp.minimum(straight_km * sine, deepest_km)
    distance_km = jnp.sqrt(straight_km**2 - depth_km**2)
    return distance_km, depth_km


class Source(NamedTuple):
    """Magnitude, moment tensor of unit moment, and apparent corner frequencies of P and S."""

    magnitude: Float[Array, ""]
    moment: Float[Array, "3 3"]
    corner_hz: Float[Array, " phase"]


def draw_source(
    key: Key[Array, ""],
    again: Key[Array, ""],
    ranges: SourceRanges,
    straight_km: Float[Array, ""],
    speed_km_s: Float[Array, " phase"],
) -> Source:
    """Source of an earthquake at a distance, in rock of P and S speeds; `again` gives its size, `key` the mechanism."""
    ratio, moment, isotropic, rupture = random.split(key, 4)
    size, stress, towards = random.split(again, 3)
    smallest, largest = ranges.magnitude
    largest = jnp.clip(ranges.near_magnitude + 2 * jnp.log10(straight_km), smallest + 1, largest)
    magnitude = random.uniform(size, minval=smallest, maxval=largest)
    corner = corner_hz(magnitude, log_uniform(stress, ranges.stress_drop_mpa), speed_km_s[1])
    corners = corner * jnp.append(uniform(ratio, ranges.corner_ratio), 1.0)
    # Rupture towards the station shortens the apparent duration (Ben-Menahem 1961), that of S more than that of P.
    mach = uniform(rupture, ranges.directivity) * speed_km_s[1] / speed_km_s
    corners = corners / (1 - mach * random.uniform(towards, minval=-1.0))
    there, sign = random.split(isotropic)
    shear = double_couple(moment)
    bulk = random.rademacher(sign, (), float) * jnp.eye(3) + 0.2 * shear
    tensor = jnp.where(happens(there, ranges.isotropic), bulk, shear)
    return Source(magnitude, tensor, corners)


def pulse_spectra(
    key: Key[Array, ""],
    ranges: SourceRanges,
    source: Source,
    first_s: Float[Array, " phase"],
    speed_km_s: Float[Array, " phase"],
    frequency_hz: Float[Array, " frequency"],
) -> Complex[Array, "phase frequency"]:
    """Ground velocity of a unit pulse of P and S: source and absorption along the path and near the surface."""
    keys = random.split(key, 5)
    quality = log_uniform(keys[0], ranges.quality) * jnp.append(log_uniform(keys[1], ranges.quality_ratio), 1.0)
    star_s = jnp.clip(first_s / quality, *ranges.star_s)
    kappa_s = log_uniform(keys[2], ranges.kappa_s) * jnp.append(uniform(keys[3], ranges.kappa_ratio), 1.0)
    power = uniform(keys[4], ranges.quality_power)

    taper = jnp.cos(jnp.pi / 2 * jnp.clip((frequency_hz / frequency_hz[-1] - TAPER) / (1 - TAPER), 0, 1)) ** 2

    def one(of_phase: tuple[Array, Array, Array, Array]) -> Array:
        corner, speed, star, kappa = of_phase
        pulse = velocity_spectrum(frequency_hz, source.magnitude, corner, speed)
        return taper * pulse * absorption(frequency_hz, star, power, kappa)

    # In a loop, because XLA would compute pulses again for each component if they were in one piece with their use.
    return jax.lax.map(one, (source.corner_hz, speed_km_s, star_s, kappa_s))


def draw_earthquake(
    key: Key[Array, ""],
    again: Key[Array, ""],
    ranges: EarthquakeRanges,
    model: VelocityModel,
    onset: Onset,
    window: Window,
) -> Earthquake:
    """An earthquake whose P arrives at a time; one key gives the same place, mechanism and path.

    `again` is the key of what differs between neighbours: magnitude and scattered waves.
    """
    keys = random.split(key, 7)
    of_source, of_coda = random.split(again)
    num_padded, rate_hz = window.num_padded, window.rate_hz
    frequency_hz = jnp.fft.rfftfreq(num_padded, 1 / rate_hz)
    distance_km, depth_km = draw_hypocentre(keys[1], ranges.place, model)
    azimuth_rad = random.uniform(keys[2], maxval=2 * jnp.pi)
    speed_km_s = speeds_at(model, depth_km)
    source = draw_source(keys[0], of_source, ranges.source, jnp.hypot(distance_km, depth_km), speed_km_s)
    rays = trace(model, distance_km, depth_km)
    waves = draw_waves(keys[6], ranges.phases, model, rays, depth_km, source.moment, azimuth_rad)
    scattering = draw_scattering(keys[5], ranges.scattering, rays.first_s, 1 / source.corner_hz)
    early_s = onset.early * (jnp.diff(rays.first_s)[0] + onset.lead_s)
    first_s = rays.first_s + onset.p_s - early_s - rays.first_s[0]
    origin_s = first_s[0] - rays.first_s[0] + window.before_s
    reflected = reflectivity(of_coda, scattering, waves, rays.first_s, origin_s, window.num_samples, rate_hz)
    pulse = pulse_spectra(keys[3], ranges.source, source, rays.first_s, speed_km_s, frequency_hz)
    surface = draw_surface_waves(
        keys[4], ranges.surface, distance_km, depth_km, azimuth_rad, frequency_hz, origin_s, num_padded / rate_hz
    )
    power = pulse.real**2 + pulse.imag**2
    pulse = pulse * jax.lax.rsqrt((power.sum(-1) * (waves.mean_motion[:, 0] ** 2).sum(-1)).sum())
    p_motion, s_motion = jnp.fft.rfft(reflected, num_padded)
    return Earthquake(
        pulse[0] * p_motion + pulse[1] * (s_motion + surface),
        first_s,
        (azimuth_rad + jnp.pi) % (2 * jnp.pi),
        waves.incidence_rad,
        jnp.where(scattering.direct[0, 0] > CLEAR, waves.first_motion, 0.0),
    )
