"""Heads: a network's raw output for one event to probability over hypocentres, and the likelihood of a label.

Each builder returns a `jaxloc.types.Head`. A label's unknown coordinates are integrated out, so a catalogue
without depths or origin times still trains the rest; an event with nothing known adds exactly zero.
Everything is a function of one event and works under `jit`, `vmap` and for each draw of weights.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.scipy.special import logsumexp
from jaxtyping import Array, ArrayLike, Bool, Float

from jaxloc.distributions import Components, HypocentreMixture, components, gaussian_mixture, heaviest, triangular
from jaxloc.types import COORDINATES, Head, Label, Labels

SIZE = len(COORDINATES)
FLOOR = (0.05, 0.05, 0.05, 0.01)  # least standard deviation given the other coordinates: km, km, km, s
LOWER = np.tril_indices(SIZE, -1)
RAW_SIZE = 2 * SIZE + len(LOWER[0])
MEAN_LIMIT, DIAGONAL_LIMIT, OFF_DIAGONAL_LIMIT = 30.0, 20.0, 10.0  # in units of `scale`
PLACE_LIMIT, ERROR_LIMIT, LEAST_ERROR = 1e5, 1e3, 1e-3  # in km and s
SMOOTHING = 0.5  # standard deviation of a voxel's Gaussian, in cells
MAX_VOXELS = 4096


def gaussian(
    centre: Float[np.ndarray, " 4"],
    scale: Float[np.ndarray, " 4"],
    floor: Float[np.ndarray, " 4"] | tuple[float, ...] = FLOOR,
) -> Head:
    """A Gaussian of full covariance over (east, north, depth, origin time) from 4 + 10 raw numbers.

    `centre` and `scale` are the training catalogue's means and standard deviations: raw zeros say that
    distribution, coordinates independent. Raw numbers are the mean, the logs (softplus) of the Cholesky
    factor's diagonal and its off-diagonals, all in units of `scale` and bounded by tanh (30 scales for
    means), so that no raw value overflows. `floor` is added to the diagonal: the least standard
    deviation of a coordinate given those before it.

    Raises:
        ValueError: where centre, scale or floor are not four finite numbers, or not positive.
    """
    return mixture(centre, scale, 1, floor)


def mixture(
    centre: Float[np.ndarray, " 4"],
    scale: Float[np.ndarray, " 4"],
    num_components: int,
    floor: Float[np.ndarray, " 4"] | tuple[float, ...] = FLOOR,
) -> Head:
    """A mixture density head (Bishop 1994): `num_components` Gaussians as in `gaussian`, each with a weight.

    Several components start half a `scale` apart (fixed normal draws), so that they do not stay one.

    Raises:
        ValueError: as `gaussian`, or where there is no component.
    """
    if num_components < 1:
        raise ValueError(f"num_components must be 1 or more, got {num_components}")
    centre, scale, floor = _four("centre", centre), _positive("scale", scale), _positive("floor", floor)
    per = RAW_SIZE + (num_components > 1)
    apart = np.random.default_rng(0).normal(size=(num_components, SIZE)) * 0.5 * (num_components > 1)

    def distribution(raw: Float[Array, " raw"]) -> dict[str, dist.Distribution]:
        rows = raw.reshape(num_components, per)
        mean = jnp.asarray(centre) + scale * _bounded(rows[:, :SIZE] + apart, MEAN_LIMIT)
        scale_tril = _cholesky(rows[:, SIZE:RAW_SIZE], scale, floor)
        log_weight = rows[:, RAW_SIZE] if num_components > 1 else jnp.zeros(1, raw.dtype)
        return {"hypocentre": gaussian_mixture(log_weight, mean, scale_tril)}

    def log_likelihood(raw: Float[Array, " raw"], labels: Labels) -> Float[Array, ""]:
        if "hypocentre" not in labels:
            return jnp.zeros((), raw.dtype)
        return marginal_log_prob(components(distribution(raw)["hypocentre"]), labels["hypocentre"])

    return Head(per * num_components, distribution, log_likelihood)


def moved(head: Head) -> Head:
    """A head in units of the network's own: about a place, and seen through a matrix of its errors.

    Raw numbers are those of `head`, then the place (east, north, depth and origin time in km and s) and a matrix by
    rows: a hypocentre x of `head` becomes place + matrix x. So `head` is best one about zero of scale one. A
    network whose numbers do not change when all times are later puts the time in here. Places and errors are held
    within `PLACE_LIMIT` and `ERROR_LIMIT`; `LEAST_ERROR` is added to errors, in squares.

    Raises:
        ValueError: where the head is not one of flat raw numbers.
    """
    if not isinstance(head.size, int):
        raise ValueError(f"a head to be moved must take flat raw numbers, got the size {head.size}")
    own = head.size

    def distribution(raw: Float[Array, " raw"]) -> dict[str, dist.Distribution]:
        place = jnp.clip(raw[own : own + SIZE], -PLACE_LIMIT, PLACE_LIMIT)
        errors = jnp.clip(raw[own + SIZE :].reshape(SIZE, SIZE), -ERROR_LIMIT, ERROR_LIMIT)
        log_weight, mean, scale_tril = components(head.distribution(raw[:own])["hypocentre"])
        least = jnp.broadcast_to(LEAST_ERROR * jnp.eye(SIZE, dtype=raw.dtype), scale_tril.shape)
        rows = jnp.concatenate([errors @ scale_tril, least], -1)
        return {"hypocentre": gaussian_mixture(log_weight, place + mean @ errors.T, triangular(rows))}

    def log_likelihood(raw: Float[Array, " raw"], labels: Labels) -> Float[Array, ""]:
        if "hypocentre" not in labels:
            return jnp.zeros((), raw.dtype)
        return marginal_log_prob(components(distribution(raw)["hypocentre"]), labels["hypocentre"])

    return Head(own + SIZE + SIZE**2, distribution, log_likelihood)


def marginal_log_prob(parts: Components, label: Label) -> Float[Array, ""]:
    """The log-density of the known coordinates of a label, the unknown ones integrated out.

    Unknown rows of each Cholesky factor become independent standard normals at their mean, whose
    constant is taken off again; zero where nothing is known.
    """
    mask, (log_weight, mean, scale_tril) = label.mask, parts
    unknown = jnp.diag(1.0 - mask.astype(mean.dtype))
    known = jnp.where(mask[:, None], scale_tril, 0.0)
    rows = jnp.concatenate([known, jnp.broadcast_to(unknown, scale_tril.shape)], -1)
    masked = HypocentreMixture(Components(log_weight, jnp.where(mask, mean, 0.0), triangular(rows)))
    density = masked.log_prob(jnp.where(mask, label.value, 0.0))
    return jnp.where(mask.any(), density + 0.5 * math.log(2 * math.pi) * (~mask).sum(), 0.0)


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
    elsewhere: tuple[Float[np.ndarray, " 3"], Float[np.ndarray, " 3"]] | None = None,
    max_voxels: int = MAX_VOXELS,
) -> Head:
    """A softmax over all voxels of a grid of cell edges, from raw log-weights [east, north, depth].

    A voxel is a Gaussian at its centre with a standard deviation of half a cell along each axis: equal
    weights then make a density flat within 5 %, which a uniform cell's cell / sqrt(12) does not; it adds a
    quarter of the squared cell to the variance. Origin time is independent, from the training
    catalogue's `origin_mean_s` and `origin_sd_s`.

    The likelihood of a label is the density of the whole mixture, so the width is learnt. With
    `label_sigma_km` it is minus the cross-entropy to a Gaussian of these widths (east, north, depth) about the
    label (normalised over the voxels), as a density (less log voxel volumes), for labels of known error.
    `elsewhere` adds a null class of log-weight zero, with given mean and standard deviation
    (east, north, depth in km): events outside the grid.

    The distribution holds the `max_voxels` heaviest voxels; the rest are one Gaussian with their
    mass, mean and covariance.

    Raises:
        ValueError: where edges are not finite and rising, or a width is not positive.
    """
    grid = _grid(grid_east_km, grid_north_km, grid_depth_km)
    _origin(origin_mean_s, origin_sd_s)
    if label_sigma_km is not None and not (
        np.shape(label_sigma_km) == (3,) and all(0 < sigma < math.inf for sigma in label_sigma_km)
    ):
        raise ValueError(
            f"label_sigma_km must be None (the exact density) or three positive widths, got {label_sigma_km}"
        )
    if max_voxels < 1:
        raise ValueError(f"max_voxels must be 1 or more, got {max_voxels}")
    outside = None if elsewhere is None else (_three("mean", elsewhere[0]), _three("sd", elsewhere[1]))

    def log_weights(raw: Array) -> tuple[Array, Array]:
        """Log-weights of the voxels and of the null class, normalised together."""
        null = jnp.full((), -jnp.inf if outside is None else 0.0, raw.dtype)
        total = logsumexp(raw)
        total = total if outside is None else jnp.logaddexp(total, null)
        return raw - total, null - total

    def distribution(raw: Float[Array, "east north depth"]) -> dict[str, dist.Distribution]:
        weight, null = log_weights(raw)
        parts = _heaviest(weight, grid, max_voxels)
        if outside is not None:
            parts = _append(parts, null, jnp.asarray(outside[0]), jnp.diag(outside[1]))
        return {"hypocentre": _with_origin(parts, origin_mean_s, origin_sd_s)}

    def log_likelihood(raw: Float[Array, "east north depth"], labels: Labels) -> Float[Array, ""]:
        if "hypocentre" not in labels:
            return jnp.zeros((), raw.dtype)
        value, mask = labels["hypocentre"]
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

    `log_likelihood` is minus the mean binary cross-entropy to an unnormalised Gaussian of the imposed
    `sigma_km` about the label (peak 1), zero unless east, north and depth are known: a training
    score, not a probability of the label. The distribution takes sigmoids, divided by their sum, as
    the weights of voxels; its width is the one imposed. Arguments and errors else as for `volume`.
    """
    grid = _grid(grid_east_km, grid_north_km, grid_depth_km)
    _origin(origin_mean_s, origin_sd_s)
    sigma = np.asarray(sigma_km, float)
    if sigma.shape != (3,) or not (np.isfinite(sigma) & (sigma > 0)).all():
        raise ValueError(f"sigma_km must be three positive numbers, got {sigma_km}")

    def distribution(raw: Float[Array, "east north depth"]) -> dict[str, dist.Distribution]:
        weight = jax.nn.log_sigmoid(raw)
        parts = _heaviest(weight - logsumexp(weight), grid, MAX_VOXELS)
        return {"hypocentre": _with_origin(parts, origin_mean_s, origin_sd_s)}

    def log_likelihood(raw: Float[Array, "east north depth"], labels: Labels) -> Float[Array, ""]:
        if "hypocentre" not in labels:
            return jnp.zeros((), raw.dtype)
        value, mask = labels["hypocentre"]
        exponent = [-0.5 * ((c - value[i]) / sigma[i]) ** 2 for i, c in enumerate(grid.centre_km)]
        wanted = jnp.exp(_outer_sum(exponent))
        score = wanted * jax.nn.log_sigmoid(raw) + (1 - wanted) * jax.nn.log_sigmoid(-raw)
        return jnp.where(mask[:3].all(), score.mean(), 0.0)

    return Head(grid.shape, distribution, log_likelihood)


def _bounded(raw: Array, limit: float) -> Array:
    return limit * jnp.tanh(raw / limit)


def _cholesky(raw: Float[Array, "component 10"], scale: np.ndarray, floor: np.ndarray) -> Float[Array, "component 4 4"]:
    """Lower triangles of diagonal `scale` + `floor` and no off-diagonals where raw is zero."""
    unit = math.log(math.e - 1)  # softplus of it is one
    diagonal = scale * jax.nn.softplus(_bounded(raw[:, :SIZE], DIAGONAL_LIMIT) + unit) + floor
    below = scale[LOWER[0]] * _bounded(raw[:, SIZE:], OFF_DIAGONAL_LIMIT)
    zeros = jnp.zeros((raw.shape[0], SIZE, SIZE), raw.dtype)
    return zeros.at[:, *np.diag_indices(SIZE)].set(diagonal).at[:, *LOWER].set(below)


def _four(name: str, values: Float[np.ndarray, " 4"] | tuple[float, ...]) -> Float[np.ndarray, " 4"]:
    array = np.asarray(values, np.float32)
    if array.shape != (SIZE,) or not np.isfinite(array).all():
        raise ValueError(f"{name} must be four finite numbers, of {', '.join(COORDINATES)}; got {values}")
    return array


def _positive(name: str, values: Float[np.ndarray, " 4"] | tuple[float, ...]) -> Float[np.ndarray, " 4"]:
    array = _four(name, values)
    if not (array > 0).all():
        raise ValueError(f"{name} must be positive for {', '.join(COORDINATES)}; got {values}")
    return array


def _three(name: str, values: Float[np.ndarray, " 3"]) -> Float[np.ndarray, " 3"]:
    array = np.asarray(values, np.float32)
    if array.shape != (3,) or not np.isfinite(array).all() or (name == "sd" and not (array > 0).all()):
        raise ValueError(
            f"elsewhere must be a mean and a positive sd of east, north and depth in km; got {name} {values}"
        )
    return array


def _origin(mean_s: float, sd_s: float) -> None:
    if not (math.isfinite(mean_s) and math.isfinite(sd_s) and sd_s > 0):
        raise ValueError(f"origin_mean_s must be finite and origin_sd_s positive, got {mean_s} and {sd_s}")


def _grid(east_km: np.ndarray, north_km: np.ndarray, depth_km: np.ndarray) -> Grid:
    edges = [np.asarray(axis, np.float32) for axis in (east_km, north_km, depth_km)]
    for name, axis in zip(("east", "north", "depth"), edges, strict=True):
        if axis.ndim != 1 or len(axis) < 2 or not np.isfinite(axis).all() or not (np.diff(axis) > 0).all():
            raise ValueError(f"grid_{name}_km must be two or more finite, rising cell edges, got {axis}")
    return Grid(tuple((a[1:] + a[:-1]) / 2 for a in edges), tuple(np.diff(a) for a in edges))


def _outer_sum(axes: list[Array]) -> Float[Array, "east north depth"]:
    return axes[0][:, None, None] + axes[1][None, :, None] + axes[2][None, None, :]


def _known_normal(value: Array, mean: ArrayLike, sd: ArrayLike, mask: Bool[Array, "*"]) -> Array:
    """Log-density of independent normals, zero where the value is unknown."""
    white = (jnp.where(mask, value, mean) - mean) / sd
    return jnp.where(mask, -0.5 * white**2 - jnp.log(sd) - 0.5 * math.log(2 * math.pi), 0.0)


def _voxel_density(weight: Array, grid: Grid, value: Array, mask: Array) -> Float[Array, ""]:
    axes = [
        _known_normal(value[i], centre, SMOOTHING * width, mask[i])
        for i, (centre, width) in enumerate(zip(*grid, strict=True))
    ]
    return logsumexp(weight + _outer_sum(axes))


def _cross_entropy(
    weight: Array, grid: Grid, value: Array, mask: Array, sigma_km: tuple[float, float, float]
) -> Float[Array, ""]:
    """Expected log-density of the known coordinates under the smoothed label, voxels as uniform cells.

    Along unknown axes the voxels' weights are added up first: the label says nothing there.
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


def _heaviest(log_weight: Float[Array, "east north depth"], grid: Grid, number: int) -> Components:
    """The heaviest voxels, and the others as one Gaussian with their mass, mean and covariance."""
    centres = np.stack(np.meshgrid(*grid.centre_km, indexing="ij"), -1).reshape(-1, 3)
    sds = np.stack(np.meshgrid(*grid.width_km, indexing="ij"), -1).reshape(-1, 3) * SMOOTHING
    kernels = jnp.asarray(sds)[:, None] * jnp.eye(3)
    return heaviest(Components(log_weight.ravel(), jnp.asarray(centres), kernels), number)


def _append(parts: Components, log_weight: Array, mean: Array, scale_tril: Array) -> Components:
    one = Components(log_weight, mean, scale_tril)
    return Components(*(jnp.concatenate([many, new[None]]) for many, new in zip(parts, one, strict=True)))


def _with_origin(parts: Components, mean_s: float, sd_s: float) -> HypocentreMixture:
    number = parts.log_weight.shape[0]
    mean = jnp.concatenate([parts.mean, jnp.full((number, 1), mean_s, parts.mean.dtype)], -1)
    scale_tril = jnp.zeros((number, SIZE, SIZE), mean.dtype).at[:, :3, :3].set(parts.scale_tril)
    return gaussian_mixture(parts.log_weight, mean, scale_tril.at[:, 3, 3].set(sd_s))
