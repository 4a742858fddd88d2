"""Voxel densities: a weight for each voxel of a grid, each voxel a Gaussian along every axis.

A voxel density is a Gaussian mixture with a component for each voxel, too many to go through one by one: densities
are sums over the voxels near a point, marginals and moments are sums over axes. Nothing is merged.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float, Key

from jaxloc.distributions.any_distribution import ByEvent, Density, by_event
from jaxloc.distributions.gaussian_mixture import MAX_ELEMENTS, Components, HypocentreMixture

WINDOW = 10  # voxels along an axis that count at a point: others are ten of their standard deviations away, or more
STEPS, CANDIDATES = 30, 64  # of the search for the mode


class Voxels(NamedTuple):
    """Log-weights, with an axis for each coordinate, and the centres and standard deviations of voxels along it."""

    log_weight: Float[Array, "*cells"]
    centre: tuple[Float[Array, " cell"], ...]
    sd: tuple[Float[Array, " cell"], ...]


def voxel_density(
    log_weight: Float[Array, "*cells"],
    centre: tuple[Float[Array, " cell"], ...],
    sd: tuple[Float[Array, " cell"], ...],
) -> ByEvent:
    """The density of one event; weights need not add up to one.

    At a point, voxels count that are among the nearest `WINDOW` along each axis. Where standard deviations are half a
    cell and neighbouring cells alike, the others add less than exp(-50) of their weight over their volume.

    Raises:
        ValueError: where the shapes do not fit together; names them.
    """
    shapes = tuple(jnp.shape(axis) for axis in centre), tuple(jnp.shape(axis) for axis in sd)
    if shapes != (tuple((n,) for n in jnp.shape(log_weight)),) * 2:
        raise ValueError(
            f"log_weight {jnp.shape(log_weight)} must have an axis for each of centre and sd, got {shapes}"
        )
    whole = log_weight - logsumexp(log_weight)
    return by_event(VOXELS, Voxels(whole, tuple(map(jnp.asarray, centre)), tuple(map(jnp.asarray, sd))))


def _sample(of: Voxels, key: Key[Array, ""], number: int) -> Float[Array, "sample d"]:
    key_voxel, key_normal = jax.random.split(key)
    cumulative = jnp.cumsum(jnp.exp(of.log_weight).ravel())
    uniform = jax.random.uniform(key_voxel, (number,), cumulative.dtype) * cumulative[-1]
    flat = jnp.minimum(jnp.searchsorted(cumulative, uniform, side="right"), cumulative.shape[0] - 1)
    which = jnp.unravel_index(flat, of.log_weight.shape)
    normal = jax.random.normal(key_normal, (number, len(of.centre)), cumulative.dtype)
    axes = zip(of.centre, of.sd, which, normal.T, strict=True)
    return jnp.stack([centre[i] + sd[i] * z for centre, sd, i, z in axes], -1)


def _log_prob(of: Voxels, points: Float[Array, "point d"]) -> Float[Array, " point"]:
    window = math.prod(min(WINDOW, n) for n in of.log_weight.shape)
    one = lambda point: _log_density(of, point)
    return jax.lax.map(one, points, batch_size=max(1, min(len(points), MAX_ELEMENTS // (16 * window))))


def _log_density(of: Voxels, point: Float[Array, " d"]) -> Float[Array, ""]:
    """The log of the sum over a window of voxels around a point."""
    sizes = [min(WINDOW, n) for n in of.log_weight.shape]
    first = [
        jnp.clip(jnp.searchsorted(centre, point[i]) - size // 2, 0, len(centre) - size)
        for i, (centre, size) in enumerate(zip(of.centre, sizes, strict=True))
    ]
    total = jax.lax.dynamic_slice(of.log_weight, first, sizes)
    for i, (start, size) in enumerate(zip(first, sizes, strict=True)):
        centre, sd = (jax.lax.dynamic_slice(axis[i], (start,), (size,)) for axis in (of.centre, of.sd))
        kernel = -0.5 * ((point[i] - centre) / sd) ** 2 - jnp.log(sd) - 0.5 * math.log(2 * math.pi)
        total += kernel.reshape(-1, *[1] * (len(sizes) - 1 - i))
    return logsumexp(total)


def _along(of: Voxels, dims: tuple[int, ...]) -> Float[Array, "*cells"]:
    """Log-weights summed over the axes of other coordinates, axes in the order given."""
    rest = tuple(i for i in range(len(of.centre)) if i not in dims)
    kept = tuple(sorted(dims))
    total = logsumexp(of.log_weight, rest) if rest else of.log_weight
    return jnp.transpose(total, tuple(kept.index(i) for i in dims))


def _share(of: Voxels, *dims: int) -> Float[Array, "*cells"]:
    """Weights along one or two axes, in rising order; summed as they are, since moments are no matter of tails."""
    return jnp.exp(of.log_weight).sum(tuple(i for i in range(len(of.centre)) if i not in dims))


def _mean(of: Voxels) -> Float[Array, " d"]:
    return jnp.stack([_share(of, i) @ centre for i, centre in enumerate(of.centre)])


def _covariance(of: Voxels) -> Float[Array, "d d"]:
    apart = [centre - middle for centre, middle in zip(of.centre, _mean(of), strict=True)]
    found = [[jnp.zeros(())] * len(apart) for _ in apart]
    for i in range(len(apart)):
        found[i][i] = _share(of, i) @ (apart[i] ** 2 + of.sd[i] ** 2)
        for j in range(i):
            found[i][j] = found[j][i] = apart[j] @ _share(of, j, i) @ apart[i]
    return jnp.stack([jnp.stack(row) for row in found])


def _marginal(of: Voxels, dims: tuple[int, ...]) -> dist.Distribution:
    centre, sd = (tuple(axes[i] for i in dims) for axes in (of.centre, of.sd))
    log_weight = _along(of, dims)
    if len(dims) > 1:
        return by_event(VOXELS, Voxels(log_weight, centre, sd))
    return HypocentreMixture(Components(log_weight, centre[0][:, None], sd[0][:, None, None]))


def _mode(of: Voxels) -> Float[Array, " d"]:
    """The densest point that the mean-shift iteration reaches from the densest of the heaviest voxels' centres."""
    sd = [_shaped(axis, i, len(of.sd)) for i, axis in enumerate(of.sd)]
    peak = of.log_weight - sum(jnp.log(axis) for axis in sd)
    _, flat = jax.lax.top_k(peak.ravel(), min(CANDIDATES, peak.size))
    which = jnp.stack(jnp.unravel_index(flat, peak.shape), -1)
    at = lambda axes, index: jnp.stack([axis[i] for axis, i in zip(axes, index, strict=True)])
    candidates = jax.vmap(lambda index: at(of.centre, index))(which)
    best = jnp.argmax(jax.vmap(lambda point: _log_density(of, point))(candidates))
    width = at(of.sd, which[best])
    gradient = jax.value_and_grad(lambda point: _log_density(of, point))

    def step(
        at: tuple[Float[Array, " d"], Float[Array, ""], Float[Array, " d"]], _: None
    ) -> tuple[tuple[Array, Array, Array], None]:
        point, density, slope = at
        new = point + width**2 * slope  # the mean shift of kernels of one width
        value, new_slope = gradient(new)
        return jax.tree.map(lambda a, b: jnp.where(value > density, a, b), (new, value, new_slope), at), None

    start = (candidates[best], *gradient(candidates[best]))
    return jax.lax.scan(step, start, None, length=STEPS)[0][0]


def _shaped(axis: Float[Array, " cell"], at: int, number: int) -> Float[Array, "..."]:
    return axis.reshape([-1 if i == at else 1 for i in range(number)])


def _mixture(of: Voxels) -> HypocentreMixture:
    """The same density with a component for each voxel; memory grows with voxels x coordinates squared."""
    centre, sd = (jnp.stack(jnp.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(axes)) for axes in of[1:])
    return HypocentreMixture(Components(of.log_weight.ravel(), centre, sd[:, :, None] * jnp.eye(sd.shape[-1])))


VOXELS = Density(_sample, _log_prob, _mean, _covariance, _marginal, _mixture, _mode)
