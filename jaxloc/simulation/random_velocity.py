"""Velocity models of random regions: sediments, a crust with or without a low-velocity layer, and the mantle."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import random
from jaxtyping import Array, Key

from jaxloc.physics.layered import VelocityModel
from jaxloc.simulation.ranges import Range, happens, log_uniform, uniform

MOHO = 5  # the layer below it
SEDIMENTS = 2  # layers of them


class VelocityRanges(NamedTuple):
    """Ranges of layered models, wider than those of regions: CRUST1.0 (Laske et al. 2013) for all but the shallowest.

    Pairs are the ends of uniform distributions, log-uniform ones where said.

    Attributes:
        moho_km: depth of the Moho, below mid-ocean ridges 5, below Tibet and the Andes some 70.
        sediment_km: thickness of sediments, log-uniform.
        hard_rock: chance that sediments are almost as fast as the crust below.
        soft: speed of the lower sediments over that of the upper crust, and of the upper over the lower sediments.
        upper_km_s, lower_km_s: P speed at the top and at the bottom of the crust.
        mantle_km_s: P speed below the Moho (Pn).
        vp_vs: of crust and mantle; 1.6 in quartz, 1.9 in serpentine or melt (Christensen 1996, JGR 101).
        sediment_vp_vs: of sediments (Brocher 2005, BSSA 95, for fast ones).
        slow_layer: chance of a low-velocity layer in the middle crust, and `slow` its speed over the usual one.
    """

    moho_km: Range = (5.0, 60.0)
    sediment_km: Range = (0.02, 6.0)
    hard_rock: float = 0.3
    soft: Range = (0.45, 0.95)
    upper_km_s: Range = (4.6, 6.3)
    lower_km_s: Range = (6.3, 7.4)
    mantle_km_s: Range = (7.5, 8.4)
    vp_vs: Range = (1.6, 1.9)
    sediment_vp_vs: Range = (1.65, 2.4)
    slow_layer: float = 0.2
    slow: Range = (0.8, 0.96)


def draw_velocity(key: Key[Array, ""], ranges: VelocityRanges) -> VelocityModel:
    """A model of eight layers: two of sediments, three of crust, three of mantle, the first of these below the Moho."""
    keys = random.split(key, 10)
    moho_km = uniform(keys[0], ranges.moho_km)
    sediment_km = jnp.minimum(log_uniform(keys[1], ranges.sediment_km), 0.3 * moho_km)
    parts = jnp.sort(uniform(keys[2], (0.1, 0.9), (2,)))
    parts = jnp.stack([parts[0], jnp.maximum(parts[1], parts[0] + 0.05)])
    top_km = jnp.concatenate(
        [
            jnp.stack([jnp.zeros(()), sediment_km * uniform(keys[3], (0.1, 0.8)), sediment_km]),
            sediment_km + (moho_km - sediment_km) * parts,
            jnp.stack([moho_km, moho_km + 60.0, moho_km + 200.0]),
        ]
    )
    upper, lower = uniform(keys[4], ranges.upper_km_s), uniform(keys[5], ranges.lower_km_s)
    crust = upper + (lower - upper) * jnp.asarray([0.0, 0.5, 1.0])
    there, how_slow = random.split(keys[6])
    slow = jnp.where(happens(there, ranges.slow_layer), uniform(how_slow, ranges.slow), 1.0)
    crust = crust.at[1].multiply(slow)
    there, how_soft = random.split(keys[7])
    soft = jnp.where(happens(there, ranges.hard_rock), 0.97, uniform(how_soft, ranges.soft, (2,)))
    sediments = upper * soft[0] * jnp.stack([soft[1], jnp.ones(())])
    mantle = uniform(keys[8], ranges.mantle_km_s) + jnp.asarray([0.0, 0.1, 0.5])
    vp_km_s = jnp.concatenate([sediments, crust, mantle])
    below, above = random.split(keys[9])
    vp_vs = jnp.full(vp_km_s.shape, uniform(below, ranges.vp_vs))
    vp_vs = vp_vs.at[:SEDIMENTS].set(jnp.sort(uniform(above, ranges.sediment_vp_vs, (SEDIMENTS,)))[::-1])
    return VelocityModel(top_km, vp_km_s, vp_km_s / vp_vs)
