"""Heads: a network's raw output for one event to probability over hypocentres, and the likelihood of a label.

Each builder returns a `jaxloc.types.Head`. A label's unknown coordinates are integrated out, so a catalogue
without depths or origin times still trains the rest; an event with nothing known adds exactly zero.
Everything is a function of one event and works under `jit`, `vmap` and for each draw of weights.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Float

from jaxloc.distributions.gaussian_mixture import (
    Components,
    HypocentreMixture,
    components,
    gaussian_mixture,
    triangular,
)
from jaxloc.heads.labels import of_label
from jaxloc.types import COORDINATES, Head, Label

SIZE = len(COORDINATES)
FLOOR = (0.05, 0.05, 0.05, 0.01)  # least standard deviation given the other coordinates: km, km, km, s
LOWER = np.tril_indices(SIZE, -1)
RAW_SIZE = 2 * SIZE + len(LOWER[0])
MEAN_LIMIT, DIAGONAL_LIMIT, OFF_DIAGONAL_LIMIT = 30.0, 20.0, 10.0  # in units of `scale`
PLACE_LIMIT, ERROR_LIMIT, MIN_ERROR = 1e5, 1e3, 1e-3  # in km and s


def gaussian(
    centre: Float[np.ndarray, " 4"],
    scale: Float[np.ndarray, " 4"],
    floor: Float[np.ndarray, " 4"] | tuple[float, ...] = FLOOR,
) -> Head:
    """A Gaussian of full covariance over (east, north, depth, origin time) from 4 + 10 raw numbers.

    `centre` and `scale` are the training catalogue's means and standard deviations: raw zeros give that
    distribution, coordinates independent. Raw outputs are the mean, the logs (softplus) of the Cholesky
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

    Several components start half a `scale` apart (fixed normal draws), so that their symmetry is broken.

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

    @of_label("hypocentre")
    def log_likelihood(raw: Float[Array, " raw"], label: Label) -> Float[Array, ""]:
        return marginal_log_prob(components(distribution(raw)["hypocentre"]), label)

    return Head(per * num_components, distribution, log_likelihood)


def moved(head: Head) -> Head:
    """A head relative to a location of the network's own: translated by the location and scaled by its error matrix.

    Raw outputs are those of `head`, then the location (east, north, depth and origin time in km and s) and a matrix by
    rows: a hypocentre x of `head` becomes location + matrix x. `head` should have centre zero and scale one. A network
    that is equivariant to shifts in time puts the time here. Locations and errors are bounded by `PLACE_LIMIT` and
    `ERROR_LIMIT`; `MIN_ERROR` is added to errors in quadrature.

    Raises:
        ValueError: where the head is not one of flat raw numbers.
    """
    if not isinstance(head.size, int):
        raise ValueError(f"a head to be moved must take a flat vector of raw outputs, got the size {head.size}")
    own = head.size

    def distribution(raw: Float[Array, " raw"]) -> dict[str, dist.Distribution]:
        place = jnp.clip(raw[own : own + SIZE], -PLACE_LIMIT, PLACE_LIMIT)
        errors = jnp.clip(raw[own + SIZE :].reshape(SIZE, SIZE), -ERROR_LIMIT, ERROR_LIMIT)
        log_weight, mean, scale_tril = components(head.distribution(raw[:own])["hypocentre"])
        least = jnp.broadcast_to(MIN_ERROR * jnp.eye(SIZE, dtype=raw.dtype), scale_tril.shape)
        rows = jnp.concatenate([errors @ scale_tril, least], -1)
        return {"hypocentre": gaussian_mixture(log_weight, place + mean @ errors.T, triangular(rows))}

    @of_label("hypocentre")
    def log_likelihood(raw: Float[Array, " raw"], label: Label) -> Float[Array, ""]:
        return marginal_log_prob(components(distribution(raw)["hypocentre"]), label)

    return Head(own + SIZE + SIZE**2, distribution, log_likelihood)


def marginal_log_prob(parts: Components, label: Label) -> Float[Array, ""]:
    """The log-density of the known coordinates of a label, the unknown ones integrated out.

    Unknown rows of each Cholesky factor become independent standard normals at their mean, whose constant is
    subtracted again; zero where nothing is known.
    """
    mask, (log_weight, mean, scale_tril) = label.mask, parts
    unknown = jnp.diag(1.0 - mask.astype(mean.dtype))
    known = jnp.where(mask[:, None], scale_tril, 0.0)
    rows = jnp.concatenate([known, jnp.broadcast_to(unknown, scale_tril.shape)], -1)
    masked = HypocentreMixture(Components(log_weight, jnp.where(mask, mean, 0.0), triangular(rows)))
    density = masked.log_prob(jnp.where(mask, label.value, 0.0))
    return jnp.where(mask.any(), density + 0.5 * math.log(2 * math.pi) * (~mask).sum(), 0.0)


def _bounded(raw: Float[Array, "..."], limit: float) -> Float[Array, "..."]:
    return limit * jnp.tanh(raw / limit)


def _cholesky(
    raw: Float[Array, "component 10"], scale: Float[np.ndarray, " 4"], floor: Float[np.ndarray, " 4"]
) -> Float[Array, "component 4 4"]:
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
