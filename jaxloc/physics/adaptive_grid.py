"""Coarse-to-fine grid search over hypocentre and origin time, differentiable in the density that it grids.

A lattice is a regular grid seen through a lower-triangular matrix: its axes follow the posterior found one level
before, so that a few thousand points resolve a broad or a sharp, a round or a slanted posterior alike. The first
level covers the whole search region; each next one covers the mean plus and minus `SPREAD` standard deviations of the
last. Coarse levels ask for a density smoothed to their own spacing, so that no narrow peak falls between their
points.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp
from jaxtyping import Array, Bool, Float, Int

from jaxloc.distributions.gaussian_mixture import Components

SPREAD = 3.5
STILL = 0.2  # a level that narrows the lattice by less than a twentieth along each axis is the last
MIN_KM = 0.02  # a lattice keeps a size, however sharp the density is


class Region(NamedTuple):
    """Where hypocentres are looked for: ranges of east, north and depth in km and of origin time in s."""

    east_km: tuple[float, float]
    north_km: tuple[float, float]
    depth_km: tuple[float, float]
    origin_s: tuple[float, float]


class Search(NamedTuple):
    """Points along east, north, depth and origin time of the first level, at most `num_middle` more, and the last.

    A level with k points along an axis narrows a sharp density by 4 / (k - 1) at best, since smoothing and the width
    of a cell come to 0.57 of the spacing; the axis with the fewest points holds up the others, and five would never
    narrow.
    """

    first: tuple[int, int, int, int] = (15, 15, 3, 40)
    middle: tuple[int, int, int, int] = (8, 8, 8, 7)
    num_middle: int = 12
    last: tuple[int, int, int, int] = (15, 15, 13, 9)


class Lattice(NamedTuple):
    """A grid of hypocentres and the probability of each of its points.

    Point u of the grid (`axes`, standard units) is the hypocentre `centre + scale_tril @ u`.
    """

    centre: Float[Array, " 4"]
    scale_tril: Float[Array, "4 4"]
    axes: tuple[Float[Array, " point"], ...]
    log_mass: Float[Array, "east north depth origin"]


LogDensity = Callable[
    [Float[Array, "point 3"], Float[Array, "point time"], Float[Array, ""]], Float[Array, "point time"]
]
"""Points in space, origin times at each, and the spacing of points in km, to log-densities (not normalised).

Space and time come apart since travel times, the dear part, do not depend on origin time.
"""


def search(log_density: LogDensity, region: Region, sizes: Search) -> tuple[Float[Array, " 4"], Float[Array, "4 4"]]:
    """Where the posterior is, and how wide: centre and scale of the last lattice, without derivatives."""
    low, high = jnp.array(region).T
    centre, scale = (low + high) / 2, jnp.diag((high - low) / 2)
    centre, scale = _refine(log_density, centre, scale, sizes.first, 1.0)

    def narrower(
        at: tuple[Int[Array, ""], Float[Array, " 4"], Float[Array, "4 4"], Bool[Array, ""]],
    ) -> tuple[Int[Array, ""], Float[Array, " 4"], Float[Array, "4 4"], Bool[Array, ""]]:
        level, centre, scale, _ = at
        new = _refine(log_density, centre, scale, sizes.middle, SPREAD)
        return level + 1, *new, _log_volume(new[1]) < _log_volume(scale) - STILL

    def wanted(at: tuple[Int[Array, ""], Float[Array, " 4"], Float[Array, "4 4"], Bool[Array, ""]]) -> Bool[Array, ""]:
        return (at[0] < sizes.num_middle) & at[-1]

    start = (jnp.zeros((), jnp.int32), centre, scale, jnp.ones((), bool))
    _, centre, scale, _ = jax.lax.stop_gradient(jax.lax.while_loop(wanted, narrower, start))
    return centre, scale


def _log_volume(scale_tril: Float[Array, "4 4"]) -> Float[Array, ""]:
    return jnp.log(jnp.diagonal(scale_tril)).sum()


def evaluate(
    log_density: LogDensity,
    centre: Float[Array, " 4"],
    scale_tril: Float[Array, "4 4"],
    sizes: tuple[int, ...],
    half_width: float = SPREAD,
    smoothing: float = 0.0,
) -> Lattice:
    """The normalised density on a lattice; derivatives flow through the density, not the lattice's place.

    The density is asked for smoothed to `smoothing` spacings: one while the posterior is still looked for, none
    once the lattice fits it, where a spacing of half its width is fine enough and smoothing would only widen it.
    """
    axes = tuple(jnp.linspace(-half_width, half_width, n) for n in sizes)
    grid = jnp.stack(jnp.meshgrid(*axes[:3], indexing="ij"), -1).reshape(-1, 3)
    points = centre + grid @ scale_tril[:, :3].T
    origin_s = points[:, 3:] + scale_tril[3, 3] * axes[3]
    steps = jnp.array([a[1] - a[0] for a in axes[:3]])
    spacing_km = jnp.linalg.norm(scale_tril[:3, :3] * steps, axis=0).max()
    value = log_density(points[:, :3], origin_s, smoothing * spacing_km)
    return Lattice(centre, scale_tril, axes, (value - logsumexp(value)).reshape(sizes))


def _refine(
    log_density: LogDensity,
    centre: Float[Array, " 4"],
    scale_tril: Float[Array, "4 4"],
    sizes: tuple[int, ...],
    half_width: float,
) -> tuple[Float[Array, " 4"], Float[Array, "4 4"]]:
    lattice = evaluate(log_density, centre, scale_tril, sizes, half_width, smoothing=1.0)
    mean, variance = _moments(lattice)
    # What lies within a cell is not known: its own spread comes on top.
    steps = jnp.array([a[1] - a[0] for a in lattice.axes])
    variance = variance + jnp.diag(steps**2 / 6)
    new = scale_tril @ jnp.linalg.cholesky(variance)
    floor = jnp.diag(jnp.array([MIN_KM, MIN_KM, MIN_KM, MIN_KM / 6]) ** 2)
    return centre + scale_tril @ mean, jnp.linalg.cholesky(new @ new.T + floor)


def _moments(lattice: Lattice) -> tuple[Float[Array, " 4"], Float[Array, "4 4"]]:
    """Mean and covariance of a lattice in its standard units."""
    mass = jnp.exp(lattice.log_mass).reshape(-1)
    grid = jnp.stack(jnp.meshgrid(*lattice.axes, indexing="ij"), -1).reshape(-1, 4)
    mean = mass @ grid
    apart = grid - mean
    return mean, (apart * mass[:, None]).T @ apart


def components(lattice: Lattice, floor_km: Float[Array, " 2"]) -> Components:
    """A lattice as a Gaussian mixture: one component for each point of space, origin time summed over.

    Components are as wide as half the lattice's spacing, which leaves a ripple of one per cent in the density, and are
    drawn together about the mean by as much as they would widen it (West 1993, JRSS B 55). They are wider by
    `floor_km`, the error of horizontal position and of depth that no arrival time tells of.
    """
    log_weight = logsumexp(lattice.log_mass, -1).reshape(-1)
    space = jnp.exp(log_weight)
    time = lattice.axes[3]
    given_place = jax.nn.softmax(lattice.log_mass, -1)  # safe, with its derivatives, where there is no mass
    mean_u = given_place @ time
    variance_u = (given_place @ time**2 - mean_u**2).reshape(-1)
    steps = jnp.array([a[1] - a[0] for a in lattice.axes])
    grid = jnp.stack(jnp.meshgrid(*lattice.axes[:3], indexing="ij"), -1).reshape(-1, 3)
    points, gradient = _shrunk(grid, mean_u.reshape(-1), space, steps[:3] / 2)
    within = jnp.diag(steps / 2).at[3, :3].set(gradient * steps[:3] / 2)
    within = within.at[3, 3].set(jnp.sqrt(space @ variance_u + (steps[3] / 2) ** 2))
    kernel = lattice.scale_tril @ within
    floor = jnp.array([floor_km[0], floor_km[0], floor_km[1], 1e-3])
    tril = jnp.linalg.cholesky(kernel @ kernel.T + jnp.diag(floor**2))
    return Components(log_weight, lattice.centre + points @ lattice.scale_tril.T, tril[None])


def _shrunk(
    grid: Float[Array, "point 3"], time: Float[Array, " point"], mass: Float[Array, " point"], width: Float[Array, " 3"]
) -> tuple[Float[Array, "point 4"], Float[Array, " 3"]]:
    """Points so near to their mean that kernels of `width` at them have the grid's covariance; the slope of time.

    Time follows place by its regression on it, at points and within kernels alike.
    """
    mean, mean_time = mass @ grid, mass @ time
    apart = grid - mean
    spread = (apart * mass[:, None]).T @ apart + 1e-6 * jnp.eye(3)
    gradient = jnp.linalg.solve(spread, apart.T @ (mass * (time - mean_time)))
    # A posterior that is narrower than a kernel has no room left to give: it is widened.
    narrowest = jnp.linalg.eigvalsh(spread / width / width[:, None])[0]
    room = jax.lax.stop_gradient(jnp.minimum(1.0, 0.75 * narrowest))
    before, after = jnp.linalg.cholesky(spread), jnp.linalg.cholesky(spread - room * jnp.diag(width**2))
    nearer = jax.scipy.linalg.solve_triangular(before, apart.T, lower=True).T @ after.T
    return jnp.concatenate([mean + nearer, (time + (nearer - apart) @ gradient)[:, None]], -1), gradient


def region_around(
    hypocentres: Float[np.ndarray, "event 4"],
    margin_km: float,
    depth_km: tuple[float, float],
    origin_s: tuple[float, float],
) -> Region:
    """The box around known epicentres plus a margin, with given depths and origin times."""
    low, high = hypocentres.min(0) - margin_km, hypocentres.max(0) + margin_km
    return Region((float(low[0]), float(high[0])), (float(low[1]), float(high[1])), depth_km, origin_s)
