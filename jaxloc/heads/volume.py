"""Heads of volumes: log-weights of voxels to probability over hypocentres, and the likelihood of a label."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.scipy.special import logsumexp
from jaxtyping import Array, ArrayLike, Bool, Float

from jaxloc.distributions.any_distribution import ByEvent
from jaxloc.distributions.either import either
from jaxloc.distributions.gaussian_mixture import gaussian_mixture
from jaxloc.distributions.voxels import WINDOW, voxel_density
from jaxloc.heads.labels import of_label
from jaxloc.types import Head, Label

SMOOTHING = 0.5  # standard deviation of a voxel's Gaussian, in cells
GROWTH = 1.2  # of a cell over its neighbour at most, along an axis of more cells than `WINDOW`


class Grid(NamedTuple):
    """Voxel centres and widths along east, north and depth, in km."""

    centre_km: tuple[Float[np.ndarray, " cell"], ...]
    width_km: tuple[Float[np.ndarray, " cell"], ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Numbers of voxels."""
        return tuple(len(axis) for axis in self.centre_km)


def volume(
    grid_east_km: Float[np.ndarray, " edge"],
    grid_north_km: Float[np.ndarray, " edge"],
    grid_depth_km: Float[np.ndarray, " edge"],
    origin_mean_s: float,
    origin_sd_s: float,
    label_sigma_km: tuple[float, float, float] | None = None,
    null_class: tuple[Float[np.ndarray, " 3"], Float[np.ndarray, " 3"]] | None = None,
) -> Head:
    """A softmax over all voxels of a grid of cell edges, from raw log-weights [east, north, depth].

    A voxel is a Gaussian at its centre with a standard deviation of half a cell along each axis: equal weights then
    give a density constant within 5 %, unlike the standard deviation of a uniform cell, cell / sqrt(12); it adds a
    quarter of the squared cell to the variance. Origin time is independent, with the training catalogue's
    `origin_mean_s` and `origin_sd_s`.

    The likelihood of a label is the density of the whole mixture, so the width is learnt. With
    `label_sigma_km` it is minus the cross-entropy to a Gaussian of these widths (east, north, depth) about the
    label (normalised over the voxels), as a density (less log voxel volumes), for labels of known error.
    `null_class` adds a null class of log-weight zero, with given mean and standard deviation
    (east, north, depth in km): events outside the grid.

    The distribution is the same density, of all voxels (`jaxloc.distributions.voxels`).

    Raises:
        ValueError: where edges are not finite and increasing, neighbouring cells of a long axis too different, or a
            width is not positive.
    """
    grid = _grid(grid_east_km, grid_north_km, grid_depth_km)
    _origin(origin_mean_s, origin_sd_s)
    if label_sigma_km is not None and not (
        np.shape(label_sigma_km) == (3,) and all(0 < sigma < math.inf for sigma in label_sigma_km)
    ):
        raise ValueError(
            f"label_sigma_km must be None (the exact density) or three positive widths, got {label_sigma_km}"
        )
    outside = None if null_class is None else (_three("mean", null_class[0]), _three("sd", null_class[1]))

    def log_weights(raw: Float[Array, "east north depth"]) -> tuple[Float[Array, "east north depth"], Float[Array, ""]]:
        """Log-weights of the voxels and of the null class, normalised together."""
        null = jnp.full((), -jnp.inf if outside is None else 0.0, raw.dtype)
        total = logsumexp(raw)
        total = total if outside is None else jnp.logaddexp(total, null)
        return raw - total, null - total

    def distribution(raw: Float[Array, "east north depth"]) -> dict[str, dist.Distribution]:
        weight, null = log_weights(raw)
        voxels = _density(weight, grid, origin_mean_s, origin_sd_s)
        if outside is None:
            return {"hypocentre": voxels}
        mean, sd = (jnp.append(jnp.asarray(a), b) for a, b in zip(outside, (origin_mean_s, origin_sd_s), strict=True))
        elsewhere = gaussian_mixture(jnp.zeros(1), mean[None], jnp.diag(sd)[None])
        return {"hypocentre": either(null, elsewhere, voxels)}

    @of_label("hypocentre")
    def log_likelihood(raw: Float[Array, "east north depth"], label: Label) -> Float[Array, ""]:
        value, mask = label
        weight, null = log_weights(raw)
        if label_sigma_km is not None:
            space = _cross_entropy(weight, grid, value[:3], mask[:3], label_sigma_km)
        else:
            space = _voxel_density(weight, grid, value[:3], mask[:3])
        if outside is not None:
            space = jnp.logaddexp(space, null + _known_normal(value[:3], *outside, mask[:3]).sum())
        origin = _known_normal(value[3], origin_mean_s, origin_sd_s, mask[3])
        return jnp.where(mask[:3].any(), space, 0.0) + origin

    return Head(grid.shape, distribution, log_likelihood)


def published_volume(
    grid_east_km: Float[np.ndarray, " edge"],
    grid_north_km: Float[np.ndarray, " edge"],
    grid_depth_km: Float[np.ndarray, " edge"],
    origin_mean_s: float,
    origin_sd_s: float,
    sigma_km: tuple[float, float, float] = (20.0, 20.0, 2.4),
) -> Head:
    """The head of Zhang and others (2020): an independent sigmoid a voxel, for comparison.

    `log_likelihood` is minus the mean binary cross-entropy to an unnormalised Gaussian of the imposed `sigma_km` about
    the label (peak 1), zero unless east, north and depth are known: a training score, not a probability of the label.
    The distribution takes sigmoids, divided by their sum, as the weights of voxels; its width is the imposed one. Other
    arguments and errors as for `volume`.
    """
    grid = _grid(grid_east_km, grid_north_km, grid_depth_km)
    _origin(origin_mean_s, origin_sd_s)
    sigma = np.asarray(sigma_km, float)
    if sigma.shape != (3,) or not (np.isfinite(sigma) & (sigma > 0)).all():
        raise ValueError(f"sigma_km must be three positive numbers, got {sigma_km}")

    def distribution(raw: Float[Array, "east north depth"]) -> dict[str, dist.Distribution]:
        weight = jax.nn.log_sigmoid(raw)
        return {"hypocentre": _density(weight, grid, origin_mean_s, origin_sd_s)}

    @of_label("hypocentre")
    def log_likelihood(raw: Float[Array, "east north depth"], label: Label) -> Float[Array, ""]:
        value, mask = label
        exponent = [-0.5 * ((c - value[i]) / sigma[i]) ** 2 for i, c in enumerate(grid.centre_km)]
        wanted = jnp.exp(_outer_sum(exponent))
        score = wanted * jax.nn.log_sigmoid(raw) + (1 - wanted) * jax.nn.log_sigmoid(-raw)
        return jnp.where(mask[:3].all(), score.mean(), 0.0)

    return Head(grid.shape, distribution, log_likelihood)


def _three(name: str, values: Float[np.ndarray, " 3"]) -> Float[np.ndarray, " 3"]:
    array = np.asarray(values, np.float32)
    if array.shape != (3,) or not np.isfinite(array).all() or (name == "sd" and not (array > 0).all()):
        raise ValueError(
            f"null_class must be a mean and a positive sd of east, north and depth in km; got {name} {values}"
        )
    return array


def _origin(mean_s: float, sd_s: float) -> None:
    if not (math.isfinite(mean_s) and math.isfinite(sd_s) and sd_s > 0):
        raise ValueError(f"origin_mean_s must be finite and origin_sd_s positive, got {mean_s} and {sd_s}")


def _grid(
    east_km: Float[np.ndarray, " east_edge"],
    north_km: Float[np.ndarray, " north_edge"],
    depth_km: Float[np.ndarray, " depth_edge"],
) -> Grid:
    edges = [np.asarray(axis, np.float32) for axis in (east_km, north_km, depth_km)]
    for name, axis in zip(("east", "north", "depth"), edges, strict=True):
        if axis.ndim != 1 or len(axis) < 2 or not np.isfinite(axis).all() or not (np.diff(axis) > 0).all():
            raise ValueError(f"grid_{name}_km must be two or more finite, rising cell edges, got {axis}")
        growth = np.diff(axis)[1:] / np.diff(axis)[:-1]
        if len(axis) > WINDOW + 1 and max(growth.max(), 1 / growth.min()) > GROWTH:
            raise ValueError(
                f"grid_{name}_km must have cells that grow by a factor of {GROWTH} at most from one to the next where "
                f"there are more than {WINDOW}, got {axis}"
            )
    return Grid(tuple((a[1:] + a[:-1]) / 2 for a in edges), tuple(np.diff(a) for a in edges))


def _outer_sum(axes: list[Float[Array, " _"]]) -> Float[Array, "east north depth"]:
    return axes[0][:, None, None] + axes[1][None, :, None] + axes[2][None, None, :]


def _known_normal(
    value: Float[Array, "*value"],
    mean: Float[ArrayLike, "*mean"],
    sd: Float[ArrayLike, "*mean"],
    mask: Bool[Array, "*value"],
) -> Float[Array, "*out"]:
    """Log-density of independent normals, zero where the value is unknown."""
    white = (jnp.where(mask, value, mean) - mean) / sd
    return jnp.where(mask, -0.5 * white**2 - jnp.log(sd) - 0.5 * math.log(2 * math.pi), 0.0)


def _voxel_density(
    weight: Float[Array, "east north depth"], grid: Grid, value: Float[Array, " 3"], mask: Bool[Array, " 3"]
) -> Float[Array, ""]:
    axes = [
        _known_normal(value[i], centre, SMOOTHING * width, mask[i])
        for i, (centre, width) in enumerate(zip(*grid, strict=True))
    ]
    return logsumexp(weight + _outer_sum(axes))


def _cross_entropy(
    weight: Float[Array, "east north depth"],
    grid: Grid,
    value: Float[Array, " 3"],
    mask: Bool[Array, " 3"],
    sigma_km: tuple[float, float, float],
) -> Float[Array, ""]:
    """Expected log-density of the known coordinates under the smoothed label, voxels as uniform cells.

    The voxels' weights are summed over unknown axes first.
    """
    for i in range(3):
        total = jnp.broadcast_to(logsumexp(weight, i, keepdims=True), weight.shape)
        weight = jnp.where(mask[i], weight, total)
    label, size = [], []
    for i, (centre, width) in enumerate(zip(*grid, strict=True)):
        smoothed = jax.nn.log_softmax(_known_normal(value[i], centre, sigma_km[i], mask[i]) + jnp.log(width))
        label.append(smoothed)
        size.append(jnp.where(mask[i], jnp.log(width), 0.0))
    return (jnp.exp(_outer_sum(label)) * (weight - _outer_sum(size))).sum()


def _density(
    log_weight: Float[Array, "east north depth"], grid: Grid, origin_mean_s: float, origin_sd_s: float
) -> ByEvent:
    """The voxels' density, and along origin time one voxel."""
    sd = (*(SMOOTHING * jnp.asarray(width) for width in grid.width_km), jnp.full(1, origin_sd_s))
    centre = (*map(jnp.asarray, grid.centre_km), jnp.full(1, origin_mean_s))
    return voxel_density(log_weight[..., None], centre, sd)
