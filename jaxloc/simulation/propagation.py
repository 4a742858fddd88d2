"""From source to station: rays, geometric spreading, attenuation, scattering and site effects."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import random
from jaxtyping import Array, Complex, Float, Key

from jaxloc.geometry import distance_km
from jaxloc.physics.layered import VelocityModel, travel_time_s
from jaxloc.physics.spherical import EARTH_KM, flat_depth_km, flattened

NUM_WAVES = 32  # random plane waves that make up the smooth travel-time error
THIN_KM, THIN = (-3.0, 45.0), 12  # depths with thin layers for the earth's roundness, and their number


class Path(NamedTuple):
    """Parameters of propagation and site effects. Standard deviations of amplitudes are of natural logarithms.

    Attributes:
        spreading: exponents of geometric spreading before and beyond `spreading_change_km` (Atkinson 2004).
        q_s, q_power: Q of S is q_s f^q_power (f in Hz); `q_p_ratio` is Q of P over it.
        kappa_s: attenuation below a station of S, exp(-pi kappa f), the median; `kappa_sd` is its scatter,
            `kappa_p_ratio` that of P over it.
        surface_speed_km_s: P and S speed below the stations, which determine the incidence angle.
        free_time_s: travel time after which 1/e of the energy is still unscattered.
        broadening: seconds of pulse broadening, and its growth with travel time (Sato & Fehler 2012, ch. 9).
        coda_level: energy of diffuse coda in the second after the onset, over that of the direct wave.
        coda_decay_s: its exponential decay in energy, Q_c / 2 pi f; `coda_power` the exponent of lapse time
            (Aki & Chouet 1975).
        surface_level: energy of the train of surface waves over the direct S, the median; `surface_sd` is the
            scatter of its logarithm.
        polarised: share of the forward-scattered energy with the polarisation of the direct wave.
        coda_vertical: share of the other energy on the vertical, after P and after S; 1/3 is isotropic.
        conversion: amplitude of P-to-S and S-to-P conversions below the station, relative to the direct wave, and
            `conversion_s` the median time between the two.
        gain, gain_sd, component_sd: amplification at all stations, its scatter, that of components.
        event_gain_sd: scatter of a station's amplification from event to event, as paths differ.
        delay_sd_s: station delays of P; those of S are correlated with them and 1.7 times as large.
        slowness_sd: smooth relative error of the velocity model over `slowness_scale_km`.
        jitter_sd_s: residual error of P and S, independent between arrivals.
    """

    spreading: tuple[float, float] = (1.0, 0.5)
    spreading_change_km: float = 70.0
    q_s: float = 200.0
    q_power: float = 0.6
    q_p_ratio: float = 1.0
    kappa_s: float = 0.02
    kappa_sd: float = 0.3
    kappa_p_ratio: float = 0.6
    surface_speed_km_s: tuple[float, float] = (3.0, 1.5)
    free_time_s: float = 20.0
    broadening: tuple[float, float] = (0.1, 0.03)
    coda_level: float = 0.02
    coda_decay_s: float = 15.0
    coda_power: float = 1.5
    surface_level: float = 0.3
    surface_sd: float = 1.0
    polarised: float = 0.8
    coda_vertical: tuple[float, float] = (0.4, 0.2)
    conversion: float = 0.25
    conversion_s: float = 0.4
    gain: float = 1.0
    gain_sd: float = 0.5
    component_sd: float = 0.2
    event_gain_sd: float = 0.2
    delay_sd_s: float = 0.15
    slowness_sd: float = 0.01
    slowness_scale_km: float = 40.0
    jitter_sd_s: tuple[float, float] = (0.03, 0.06)


class Earth(NamedTuple):
    """Site effects and velocity mismatch of a network, constant over events."""

    gain: Float[Array, "station component"]
    kappa_s: Float[Array, " station"]
    delay_s: Float[Array, "station phase"]
    conversion: Float[Array, "station phase"]
    conversion_s: Float[Array, " station"]
    noise: Float[Array, " station"]
    wavenumber: Float[Array, "wave 6"]
    wave_phase: Float[Array, " wave"]


def draw_earth(key: Key[Array, ""], path: Path, num_stations: int, noise_sd: float) -> Earth:
    """Site effects of a network and one smooth mismatch of the velocity model."""
    gain, component, kappa, delay, convert, lag, noise, wave, phase = random.split(key, 9)
    of_station = path.gain_sd * random.normal(gain, (num_stations, 1))
    of_component = path.component_sd * random.normal(component, (num_stations, 3))
    common, own = random.normal(delay, (2, num_stations))
    delay_s = path.delay_sd_s * jnp.stack([common, 1.7 * (0.8 * common + 0.6 * own)], -1)
    return Earth(
        gain=path.gain * jnp.exp(of_station + of_component),
        kappa_s=path.kappa_s * jnp.exp(path.kappa_sd * random.normal(kappa, (num_stations,))),
        delay_s=delay_s,
        conversion=path.conversion * random.normal(convert, (num_stations, 2)),
        conversion_s=path.conversion_s * jnp.exp(0.4 * random.normal(lag, (num_stations,))),
        noise=jnp.exp(noise_sd * random.normal(noise, (num_stations,))),
        wavenumber=random.normal(wave, (NUM_WAVES, 6)) / path.slowness_scale_km,
        wave_phase=random.uniform(phase, (NUM_WAVES,), maxval=2 * jnp.pi),
    )


def slowness_error(earth: Earth, source_km: Float[Array, "3"], station_km: Float[Array, "station 3"]) -> Array:
    """Shape of the travel-time error [station], smooth in source and station, of unit variance."""
    ends = jnp.concatenate([jnp.broadcast_to(source_km, station_km.shape), station_km], -1)
    waves = jnp.cos(ends @ earth.wavenumber.T + earth.wave_phase)
    return (2 / NUM_WAVES) ** 0.5 * waves.sum(-1)


class Rays(NamedTuple):
    """Rays from one source to every station; unit vectors (east, north, down) in the direction of propagation."""

    time_s: Float[Array, "station phase"]
    leaving: Float[Array, "station phase 3"]
    arriving: Float[Array, "station phase 3"]


def trace_rays(
    model: VelocityModel,
    source_km: Float[Array, "3"],
    station_km: Float[Array, "station 3"],
    surface_speed_km_s: tuple[float, float],
) -> Rays:
    """First arrivals in a spherical earth; directions are gradients of travel time, refracted by Snell's law."""
    flat = flattened(model, THIN_KM, THIN)

    def time_s(source: Float[Array, "3"], station: Float[Array, "3"], speed: Float[Array, " layer"]) -> Array:
        depths_km = (flat_depth_km(place[2], 1 / EARTH_KM) for place in (source, station))
        return travel_time_s(flat.top_km, speed, distance_km(source, station), *depths_km)

    def ray(station: Float[Array, "3"], speed: Float[Array, " layer"], surface: Float[Array, ""]) -> tuple:
        time, (at_source, at_station) = jax.value_and_grad(time_s, (0, 1))(source_km, station, speed)
        sine = jnp.minimum(surface, speed[0]) * at_station[:2]
        up = -jnp.sqrt(jnp.maximum(1 - (sine**2).sum(), 1e-6))
        return time, _unit(-at_source), _unit(jnp.append(sine, up))

    over_phases = jax.vmap(ray, (None, 0, 0))
    speeds = jnp.stack([flat.vp_km_s, flat.vs_km_s])
    return Rays(*jax.vmap(over_phases, (0, None, None))(station_km, speeds, jnp.asarray(surface_speed_km_s)))


def _unit(vector: Float[Array, "3"]) -> Float[Array, "3"]:
    return vector / jnp.sqrt((vector**2).sum() + 1e-12)


def shear_axes(ray: Float[Array, "3"]) -> tuple[Float[Array, "3"], Float[Array, "3"]]:
    """Unit vectors of SV and SH perpendicular to a ray (east, north, down); a vertical ray is taken as going north."""
    flat = ray[:2]
    vertical = (flat**2).sum() < 1e-10
    flat = jnp.where(vertical, jnp.asarray([0.0, 1.0]), flat)
    flat = flat / jnp.linalg.norm(flat)
    sh = jnp.stack([-flat[1], flat[0], jnp.zeros(())])
    return jnp.cross(sh, ray), sh


def spreading(hypocentral_km: Float[Array, " station"], path: Path) -> Float[Array, " station"]:
    """Geometric spreading, 1 at a kilometre."""
    near, far = path.spreading
    change = path.spreading_change_km
    far_side = change**-near * (jnp.maximum(hypocentral_km, change) / change) ** -far
    return jnp.where(hypocentral_km < change, jnp.maximum(hypocentral_km, 0.1) ** -near, far_side)


def attenuation(
    frequency_hz: Float[Array, " frequency"],
    time_s: Float[Array, ""],
    kappa_s: Float[Array, ""],
    q_one_hz: Float[Array, ""],
    q_power: float,
) -> Complex[Array, " frequency"]:
    """Absorption along a path and below the station, nearly causal.

    Low frequencies lag by t* / pi ln(f_max / f) (Aki & Richards 2002, eq. 5.81); the acausal amplitude 0.2 s before the
    onset is below 1 % of the peak.
    """
    above = jnp.maximum(frequency_hz, frequency_hz[1])
    star_s = time_s / (q_one_hz * above**q_power) + kappa_s
    lag = 2j * frequency_hz * star_s * jnp.log(above / frequency_hz[-1])
    return jnp.exp(-jnp.pi * frequency_hz * star_s + lag)


def unscattered(time_s: Float[Array, "..."], path: Path) -> Float[Array, "..."]:
    """Share of the energy in the direct wave."""
    return jnp.exp(-time_s / path.free_time_s)


def envelopes(
    after_s: Float[Array, " sample"], time_s: Float[Array, ""], path: Path
) -> tuple[Float[Array, " sample"], Float[Array, " sample"]]:
    """Energy a second of the forward-scattered train and of the diffuse coda.

    Both relative to the energy of the direct wave without scattering, zero before the onset, where `after_s` begins.
    """
    since = jnp.maximum(after_s, 0.0)
    width_s = path.broadening[0] + path.broadening[1] * time_s
    forward = (1 - unscattered(time_s, path)) * since / width_s**2 * jnp.exp(-since / width_s)
    lapse = 1 + since / jnp.maximum(time_s, 1.0)
    diffuse = path.coda_level * lapse**-path.coda_power * jnp.exp(-since / path.coda_decay_s)
    started = after_s >= 0
    return jnp.where(started, forward, 0.0), jnp.where(started, diffuse, 0.0)


def coda_density(
    mean_motion: Float[Array, "3"],
    forward: Float[Array, " sample"],
    diffuse: Float[Array, " sample"],
    vertical: Float[Array, ""],
    polarised: Float[Array, ""] | float,
) -> Float[Array, "component sample"]:
    """Energy a second on each component (Z, N, E) of the two `envelopes` of a wave with a mean motion.

    The forward-scattered train shares a part of the polarisation of the direct wave, the diffuse coda none.
    """
    direct_ways = mean_motion**2
    side = 0.5 * (1 - vertical)
    all_ways = direct_ways.sum() * jnp.stack([vertical, side, side])
    mixed = polarised * direct_ways + (1 - polarised) * all_ways
    return mixed[:, None] * forward + all_ways[:, None] * diffuse


def surface_train(
    key: Key[Array, ""], after_s: Float[Array, " sample"], time_s: Float[Array, ""], path: Path
) -> Float[Array, " sample"]:
    """Energy a second of surface waves over that of the direct S, `after_s` counting from S.

    They arrive later by 0.1 to 0.5 times the travel time of S (group velocities of 3.2 to 2.3 km/s for S at 3.5)
    in a wave train whose duration increases with it.
    """
    level, delay, width = random.split(key, 3)
    energy = path.surface_level * jnp.exp(path.surface_sd * random.normal(level))
    centre_s = time_s * random.uniform(delay, minval=0.1, maxval=0.5)
    width_s = 0.3 + time_s * random.uniform(width, minval=0.04, maxval=0.15)
    shape = jnp.exp(-0.5 * ((after_s - centre_s) / width_s) ** 2) / (width_s * (2 * jnp.pi) ** 0.5)
    return jnp.where(after_s >= 0, energy * shape, 0.0)
