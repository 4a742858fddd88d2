"""Earthquakes on a fault of finite size: rupture plane, subfaults, rupture times and source spectra.

A rupture is a vertical rectangle on a fault trace, of a size that scales with magnitude (Wells & Coppersmith 1994), cut
into subfaults of equal area. It spreads from the hypocentre at a share of the S speed. Subfaults radiate spectra of
Brune's model whose corner frequency falls while the rupture grows (Motazedian & Atkinson 2005, BSSA 95, eq. 8-9).

Not included: dip, jumps between faults, slip correlated over subfaults, rupture to the surface.
"""

import math
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import random
from jaxtyping import Array, Float, Key

from jaxloc.simulation.sources import corner_hz

LENGTH, LENGTH_SD = (
    (-2.57, 0.62),
    0.15,
)  # of log10 of subsurface length, strike-slip (Wells & Coppersmith 1994, table 2A)
WIDTH, WIDTH_SD = (-0.76, 0.27), 0.14  # of log10 of width, likewise


class FaultZone(NamedTuple):
    """Geometry and source parameters of a fault.

    Attributes:
        trace_km: vertices of the trace from one end to the other, east and north.
        aside_sd_km: standard deviation of the rupture's offset north or south of the trace (parallel strands).
        depth_km: seismogenic depth range.
        magnitude_range: scenarios are uniform in between, so that large ones are as frequent as small ones.
        stress_drop_mpa, stress_drop_sd: median, and standard deviation of the natural logarithm.
        slip_sd: standard deviation of the natural logarithm of a subfault's moment.
        subfaults: along and down the fault.
        vs_km_s, rupture_ratio: S speed at depth, and that of the rupture over it.
        start: smallest and largest share of the length, and of the width downwards, of the nucleation point.
    """

    trace_km: Float[np.ndarray, "vertex 2"]
    aside_sd_km: float = 4.0
    depth_km: tuple[float, float] = (1.0, 18.0)
    magnitude_range: tuple[float, float] = (4.5, 7.5)
    stress_drop_mpa: float = 6.0
    stress_drop_sd: float = 0.5
    slip_sd: float = 0.5
    subfaults: tuple[int, int] = (12, 4)
    vs_km_s: float = 3.5
    rupture_ratio: float = 0.8
    start: tuple[tuple[float, float], tuple[float, float]] = ((0.02, 0.98), (0.3, 0.95))


class Rupture(NamedTuple):
    """One earthquake. Positions are east, north and depth in km, times count from the origin.

    `ends_km` are the two ends as distances along the trace; corner frequencies are those of the S waves of subfaults,
    and of a point source of the same moment.
    """

    hypocentre_km: Float[Array, "3"]
    magnitude: Float[Array, ""]
    ends_km: Float[Array, "2"]
    place_km: Float[Array, "subfault 3"]
    start_s: Float[Array, " subfault"]
    part_magnitude: Float[Array, " subfault"]
    part_corner_hz: Float[Array, " subfault"]
    corner_hz: Float[Array, ""]


def draw_rupture(key: Key[Array, ""], zone: FaultZone) -> Rupture:
    """A rupture of random size, position and nucleation point on a fault."""
    keys = random.split(key, 7)
    magnitude = random.uniform(keys[0], minval=zone.magnitude_range[0], maxval=zone.magnitude_range[1])
    size_km = rupture_size_km(random.normal(keys[1], (2,)), magnitude, zone)
    length_km = arc_lengths_km(zone.trace_km)[-1]
    west_km, drop_km = random.uniform(keys[2], (2,)) * (jnp.array([length_km, _thickness_km(zone)]) - size_km)
    corner_km = jnp.stack([west_km, zone.depth_km[0] + drop_km])
    aside_km = zone.aside_sd_km * random.normal(keys[3])
    low, high = (jnp.array(side) for side in zip(*zone.start, strict=True))
    begin = random.uniform(keys[4], (2,), minval=low, maxval=high)
    parts = (_middles(zone.subfaults) * size_km).reshape(-1, 2)
    start_s = jnp.linalg.norm(parts - begin * size_km, axis=-1) / (zone.rupture_ratio * zone.vs_km_s)
    slip = jnp.exp(zone.slip_sd * random.normal(keys[5], (len(parts),)))
    stress_mpa = zone.stress_drop_mpa * jnp.exp(zone.stress_drop_sd * random.normal(keys[6]))
    mean_magnitude = magnitude - 2 / 3 * math.log10(len(parts))
    broken = (start_s[:, None] >= start_s).sum(1)
    return Rupture(
        on_fault(corner_km + begin * size_km, aside_km, zone),
        magnitude,
        jnp.stack([west_km, west_km + size_km[0]]),
        on_fault(corner_km + parts, aside_km, zone),
        start_s,
        mean_magnitude + 2 / 3 * jnp.log10(slip / slip.mean()),
        corner_hz(mean_magnitude, stress_mpa, jnp.asarray(zone.vs_km_s)) * broken ** (-1 / 3),
        corner_hz(magnitude, stress_mpa, jnp.asarray(zone.vs_km_s)),
    )


def rupture_size_km(scatter: Float[Array, "2"], magnitude: Float[Array, ""], zone: FaultZone) -> Float[Array, "2"]:
    """Length and width for standard normal scatter, bounded by the fault's length and seismogenic width."""
    length_km = 10 ** (LENGTH[0] + LENGTH[1] * magnitude + LENGTH_SD * scatter[0])
    width_km = 10 ** (WIDTH[0] + WIDTH[1] * magnitude + WIDTH_SD * scatter[1])
    length_km = jnp.minimum(length_km, 0.95 * arc_lengths_km(zone.trace_km)[-1])
    return jnp.stack([length_km, jnp.minimum(jnp.minimum(width_km, length_km), _thickness_km(zone))])


def on_fault(
    along_and_depth_km: Float[Array, "*place 2"], aside_km: Float[Array, "*place"], zone: FaultZone
) -> Float[Array, "*place 3"]:
    """East, north and depth of points given by their distance along the trace and their depth."""
    along_km, depth_km = along_and_depth_km[..., 0], along_and_depth_km[..., 1]
    arc_km = arc_lengths_km(zone.trace_km)
    east_km, north_km = (jnp.interp(along_km, arc_km, zone.trace_km[:, i]) for i in range(2))
    return jnp.stack([east_km, north_km + aside_km, depth_km], -1)


def arc_lengths_km(trace_km: Float[np.ndarray, "vertex 2"]) -> Float[np.ndarray, " vertex"]:
    """Distance of each vertex along the trace from the first."""
    steps = np.linalg.norm(np.diff(trace_km, axis=0), axis=-1)
    return np.concatenate([[0.0], np.cumsum(steps)])


def _thickness_km(zone: FaultZone) -> float:
    return zone.depth_km[1] - zone.depth_km[0]


def _middles(subfaults: tuple[int, int]) -> Float[np.ndarray, "along down 2"]:
    along, down = ((np.arange(n) + 0.5) / n for n in subfaults)
    return np.stack(np.meshgrid(along, down, indexing="ij"), -1)
