"""Ground motion of a finite fault by the stochastic method (Boore 1983; Beresnev & Atkinson 1997, FINSIM), P and S.

Each subfault contributes windowed noise with the spectrum of its source, path and site at each station, as P and as S,
summed with the delays of rupture and propagation. Not included: polarisation of single rays, coda, surface waves,
nonlinear site response.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import random
from jaxtyping import Array, Complex, Float, Key

from jaxloc.simulation.finite_fault import Rupture
from jaxloc.simulation.propagation import Path, attenuation, spreading
from jaxloc.simulation.sources import MEAN_RADIATION, velocity_spectrum

RISE, END = 0.2, 0.05  # the window's peak as a share of its length, and its height at the end (Boore 2003, eq. 24)
LENGTHENING_S_KM = 0.05  # duration grows with distance (Atkinson & Boore 1995)
VERTICAL = (0.7, 0.2)  # share of the energy of P and of S on the vertical component


class Waves(NamedTuple):
    """Arrival times of each subfault's P and S at the stations of an event, and the source velocities."""

    onset_s: Float[Array, "subfault station phase"]
    speed_km_s: Float[Array, " phase"]
    kappa_s: Float[Array, " station"]


def ground_motion(
    key: Key[Array, ""],
    rupture: Rupture,
    waves: Waves,
    path: Path,
    station_km: Float[Array, "station 3"],
    rate_hz: float,
    num_samples: int,
    padded: int,
) -> Complex[Array, "station component frequency"]:
    """Spectra of ground velocity in m/s/Hz of traces of `padded` samples, components Z, N, E.

    Waves that begin before the first sample or after `num_samples` are left out.
    """
    frequency_hz = jnp.asarray(np.fft.rfftfreq(padded, 1 / rate_hz), jnp.float32)
    second = jnp.arange(num_samples) / rate_hz
    strength = energy_scale(rupture, frequency_hz)
    share = jnp.array([[v, 0.5 - 0.5 * v, 0.5 - 0.5 * v] for v in VERTICAL])

    def one(
        key: Key[Array, ""], part: tuple[Float[Array, "..."], ...]
    ) -> Complex[Array, "station component frequency"]:
        place_km, magnitude, corner_hz, onset_s, scale = part
        away_km = jnp.linalg.norm(station_km - place_km, axis=-1)
        spectrum = jax.vmap(velocity_spectrum, (None, None, None, 0))(
            frequency_hz, magnitude, corner_hz, waves.speed_km_s
        )
        spectrum = scale * jnp.array(MEAN_RADIATION)[:, None] * spectrum
        at_station = spectrum * _path_effects(frequency_hz, away_km, onset_s, waves, path)
        at_station = at_station * ((onset_s >= 0) & (onset_s < num_samples / rate_hz))[..., None]
        length_s = 2 * (1 / corner_hz + LENGTHENING_S_KM * away_km)
        window = jax.vmap(window_of, (None, 0))(second, length_s)[:, None, None]
        white = random.normal(key, (len(station_km), 2, 3, num_samples))
        noise = jnp.fft.rfft(window * white, padded)
        return (jnp.sqrt(share)[:, :, None] * noise * at_station[:, :, None]).sum(1)

    parts = (rupture.place_km, rupture.part_magnitude, rupture.part_corner_hz, waves.onset_s, strength)
    keys = random.split(key, len(rupture.start_s))
    add = lambda total, each: (total + one(each[0], each[1:]), None)
    nothing = jnp.zeros((len(station_km), 3, len(frequency_hz)), jnp.complex64)
    return jax.lax.scan(add, nothing, (keys, *parts))[0]


def energy_scale(rupture: Rupture, frequency_hz: Float[Array, " frequency"]) -> Float[Array, " subfault"]:
    """The scale that gives the radiated energy of a point source of the same moment for any number of subfaults.

    Motazedian & Atkinson (2005, eq. 10): each subfault radiates an equal share.
    """
    shape = lambda corner_hz: frequency_hz**2 / (1 + (frequency_hz / corner_hz) ** 2)
    whole = (shape(rupture.corner_hz) ** 2).sum()
    each = (shape(rupture.part_corner_hz[:, None]) ** 2).sum(-1)
    return jnp.sqrt(len(each) * whole / each)


def window_of(second: Float[Array, " sample"], length_s: Float[Array, ""]) -> Float[Array, " sample"]:
    """The window of Saragoni and Hart (1974) in the form of Boore (2003, eq. 23-24), of unit energy."""
    b = -RISE * math.log(END) / (1 + RISE * (math.log(RISE) - 1))
    since = second / (RISE * length_s)
    shape = since**b * jnp.exp(-b * (since - 1))
    return shape / jnp.sqrt((shape**2).sum())


def _path_effects(
    frequency_hz: Float[Array, " frequency"],
    away_km: Float[Array, " station"],
    onset_s: Float[Array, "station phase"],
    waves: Waves,
    path: Path,
) -> Complex[Array, "station phase frequency"]:
    """Spreading, absorption along the path and below the station, and the delay."""
    ratio = jnp.array([path.kappa_p_ratio, 1.0])
    quality = jnp.array([path.q_s * path.q_p_ratio, path.q_s])
    absorbed = jax.vmap(jax.vmap(attenuation, (None, 0, 0, 0, None)), (None, 0, 0, None, None))(
        frequency_hz, away_km[:, None] / waves.speed_km_s, waves.kappa_s[:, None] * ratio, quality, path.q_power
    )
    delay = jnp.exp(-2j * jnp.pi * frequency_hz * onset_s[..., None])
    return spreading(away_km, path)[:, None, None] * absorbed * delay
