"""Gaussian mixtures over hypocentres: the one kind of posterior that every locator returns.

A network with S weight draws and a head of K components gives S * K components, a grid search one for
each cell; a single Gaussian is a mixture of one. Marginals of mixtures are
mixtures, so errors, regions and scores of any coordinates come from the same few functions. All of them
take a mixture of one event or a batch (leading axes) and work under `jit` and `vmap`.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float, Key
from numpyro.distributions import constraints

from jaxloc.types import Posterior

MAX_ELEMENTS = 2**23  # densities of draw x event x component held at once by `log_prob` (32 MiB in float32)


class Components(NamedTuple):
    """The parts of a mixture; `scale_tril` has one matrix a component, or one for them all."""

    log_weight: Float[Array, "*event component"]
    mean: Float[Array, "*event component coordinate"]
    scale_tril: Float[Array, "*event component_or_1 coordinate coordinate"]


class HypocentreMixture(dist.Distribution):
    """A mixture of Gaussians whose batch shape is read from its arrays; build it by `gaussian_mixture`.

    NumPyro's own mixture stores its batch shape beside the arrays, so that it is wrong after `vmap`, and
    copies a shared covariance to all components. This one is a plain pytree of three arrays, can be
    mapped over and indexed by `jax.tree.map`, and evaluates many draws against thousands of components
    in chunks of bounded memory.
    """

    def __init__(self, parts: Components) -> None:
        self.parts = parts
        super().__init__(self.batch_shape, self.event_shape, validate_args=False)

    @property
    def support(self) -> constraints.Constraint:
        """All of space and time."""
        return constraints.real_vector

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Shape of the leading axes, read from the arrays."""
        return self.parts.log_weight.shape[:-1]

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The number of coordinates, read from the arrays."""
        return self.parts.mean.shape[-1:]

    def tree_flatten(self) -> tuple[tuple[Any, ...], Any]:
        """The three arrays, and nothing beside them."""
        return (self.parts,), None

    @classmethod
    def tree_unflatten(cls, aux_data: Any, params: tuple[Any, ...]) -> "HypocentreMixture":
        """From whatever `tree_flatten`'s arrays have become; nothing is checked."""
        new = cls.__new__(cls)
        new.parts = params[0]
        new._validate_args = False
        return new

    def sample(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, key: Key[Array, ""], sample_shape: tuple[int, ...] = ()
    ) -> Float[Array, "*batch coordinate"]:
        """Draws, by inverting the cumulative weights; components of weight zero are never drawn."""
        number, batch = math.prod(sample_shape), self.batch_shape
        flat = jax.tree.map(lambda a: a.reshape(-1, *a.shape[len(batch) :]), self.parts)
        keys = jax.random.split(key, math.prod(batch))
        draws = jax.vmap(lambda k, parts: _draw(k, parts, number))(keys, flat)
        return jnp.moveaxis(draws, 1, 0).reshape(*sample_shape, *batch, *self.event_shape)

    def log_prob(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, value: Float[Array, "*batch coordinate"], intermediates: Any = None
    ) -> Float[Array, " *batch"]:
        """The log-density, exact; sample axes are gone through in chunks of `MAX_ELEMENTS`."""
        batch = len(self.batch_shape)
        if value.ndim - 1 <= batch:
            return _log_density(self.parts, value)
        flat = value.reshape(-1, *value.shape[value.ndim - 1 - batch :])
        chunk = max(1, MAX_ELEMENTS // max(1, math.prod(self.parts.log_weight.shape)))
        if chunk >= flat.shape[0]:
            density = _log_density(self.parts, flat)
        else:
            density = jax.lax.map(lambda x: _log_density(self.parts, x), flat, batch_size=chunk)
        return density.reshape(*value.shape[: value.ndim - 1 - batch], *density.shape[1:])

    @property
    def mean(self) -> Float[Array, "*event coordinate"]:
        """`mean` of the mixture."""
        return mean(self)

    @property
    def variance(self) -> Float[Array, "*event coordinate"]:
        """Diagonal of its `covariance`."""
        return jnp.diagonal(covariance(self), axis1=-2, axis2=-1)


def gaussian_mixture(
    log_weight: Float[Array, "*event component"],
    mean: Float[Array, "*event component coordinate"],
    scale_tril: Float[Array, "*event component_or_1 coordinate coordinate"],
) -> HypocentreMixture:
    """A mixture of Gaussians; weights need not add up to one, -inf leaves a component out.

    Raises:
        ValueError: where the shapes do not fit together; names them.
    """
    log_weight, mean, scale_tril = jnp.asarray(log_weight), jnp.asarray(mean), jnp.asarray(scale_tril)
    size = mean.shape[-1] if mean.ndim else 0
    fits = mean.shape[:-1] == log_weight.shape and scale_tril.shape in (
        (*log_weight.shape, size, size),
        (*log_weight.shape[:-1], 1, size, size),
    )
    if not fits or log_weight.ndim == 0:
        raise ValueError(
            f"log_weight {log_weight.shape}, mean {mean.shape} and scale_tril {scale_tril.shape} must be "
            "[..., K], [..., K, D] and [..., K or 1, D, D]; add a component axis of one to a single Gaussian"
        )
    return HypocentreMixture(Components(jax.nn.log_softmax(log_weight, -1), mean, scale_tril))


def is_mixture(distribution: dist.Distribution) -> bool:
    """Whether `components` has parts for it."""
    if isinstance(distribution, dist.MixtureSameFamily):
        return isinstance(distribution.component_distribution, dist.MultivariateNormal)
    return isinstance(distribution, HypocentreMixture | dist.MultivariateNormal)


def components(mixture: dist.Distribution) -> Components:
    """The parts of a mixture, of NumPyro's own mixture of Gaussians, or of a single Gaussian.

    Raises:
        ValueError: for any other distribution.
    """
    if isinstance(mixture, HypocentreMixture):
        return mixture.parts
    if isinstance(mixture, dist.MultivariateNormal):
        loc, scale_tril = jnp.asarray(mixture.loc), jnp.asarray(mixture.scale_tril)
        return Components(jnp.zeros((*mixture.batch_shape, 1)), loc[..., None, :], scale_tril[..., None, :, :])
    if isinstance(mixture, dist.MixtureSameFamily) and is_mixture(mixture):
        gaussian: Any = mixture.component_distribution
        weight = jnp.asarray(mixture.mixing_distribution.probs)
        return Components(jnp.log(weight), jnp.asarray(gaussian.loc), jnp.asarray(gaussian.scale_tril))
    raise ValueError(f"{type(mixture).__name__} is no Gaussian mixture; use gaussian_mixture(...) to build one")


def marginal(mixture: dist.Distribution, dims: tuple[int, ...]) -> HypocentreMixture:
    """The mixture over some coordinates, by index and in the order given."""
    log_weight, mean, scale_tril = components(mixture)
    rows = scale_tril[..., jnp.array(dims), :]
    return HypocentreMixture(Components(log_weight, mean[..., jnp.array(dims)], triangular(rows)))


def mean(mixture: dist.Distribution) -> Float[Array, "*event coordinate"]:
    """The mean of a mixture, or of a distribution that has one."""
    if not is_mixture(mixture):
        return jnp.asarray(mixture.mean)
    parts = components(mixture)
    return (jnp.exp(parts.log_weight)[..., None] * parts.mean).sum(-2)


def covariance(mixture: dist.Distribution) -> Float[Array, "*event coordinate coordinate"]:
    """The covariance of a mixture: of its components' means, plus the mean of its components' own.

    That of any other distribution is its attribute `covariance`.
    """
    if not is_mixture(mixture):
        return jnp.asarray(mixture.covariance)  # pyright: ignore[reportAttributeAccessIssue]
    return _covariance(components(mixture))


@jax.jit
def moments(
    mixture: dist.Distribution,
) -> tuple[Float[Array, "*event coordinate"], Float[Array, "*event coordinate coordinate"]]:
    """`mean` and `covariance`, as one compiled program."""
    return mean(mixture), covariance(mixture)


def mode(
    mixture: dist.Distribution, num_steps: int = 30, num_candidates: int = 128
) -> Float[Array, "*event coordinate"]:
    """The point of highest density, found from the densest of the components' means.

    The means of the `num_candidates` components of highest peaks are compared by the density of the
    whole mixture; the best climbs by the fixed-point iteration of Carreira-Perpinan (2000), which
    never goes down. Exact for one component; a mode far from all candidates is missed.
    """
    parts = components(mixture)
    climb = lambda one: _climb(one, num_steps, num_candidates)
    for _ in mixture.batch_shape:
        climb = jax.vmap(climb)
    return climb(parts)


def mixture_of_draws(draws: dist.Distribution) -> HypocentreMixture:
    """One mixture of all draws, from mixtures with a leading draw axis: [draw, ..., K] to [..., draw * K]."""
    log_weight, mean, scale_tril = components(draws)
    scale_tril = jnp.broadcast_to(scale_tril, (*mean.shape, mean.shape[-1]))
    axis = log_weight.ndim - 2

    def join(array: Float[Array, "..."]) -> Float[Array, "..."]:
        moved = jnp.moveaxis(array, 0, axis)
        return moved.reshape(*moved.shape[:axis], -1, *moved.shape[axis + 2 :])

    return gaussian_mixture(join(log_weight), join(mean), join(scale_tril))


def split_covariance(
    log_weight: Float[Array, "draw *event component"],
    mean: Float[Array, "draw *event component coordinate"],
    scale_tril: Float[Array, "draw *event component_or_1 coordinate coordinate"],
) -> tuple[Float[Array, "*event coordinate coordinate"], Float[Array, "*event coordinate coordinate"]]:
    """The epistemic and the aleatoric part of a covariance, by the law of total covariance.

    The covariance over weight draws of each draw's mean (Depeweg and others 2018; `covariance_of_means`), and the
    mean over draws of each draw's covariance. Their sum estimates the covariance under infinitely many draws; that of
    `mixture_of_draws` is smaller by the epistemic part over the number of draws.
    """
    parts = Components(jax.nn.log_softmax(log_weight, -1), mean, scale_tril)
    centre = (jnp.exp(parts.log_weight)[..., None] * mean).sum(-2)
    return covariance_of_means(centre), _covariance(parts).mean(0)


def without_weights(mixture: dist.Distribution) -> Posterior:
    """The posterior of a locator without weights: all of its covariance is aleatoric."""
    whole = covariance(mixture)
    return Posterior(mixture, jnp.zeros_like(whole), whole)


def covariance_of_means(means: Float[Array, "draw *event coordinate"]) -> Float[Array, "*event coordinate coordinate"]:
    """The epistemic part of a covariance: that of the draws' means, of which the given ones are a sample.

    Divided by the number of draws less one, so that few draws have no bias: divided by their number, the variance of
    three is a third too small. A single draw gives no estimate and has zeros.
    """
    apart = means - means.mean(0, keepdims=True)
    return (apart[..., :, None] * apart[..., None, :]).sum(0) / max(len(means) - 1, 1)


def contaminated(parts: Components, share: Float[Array, ""] | float, scale: float) -> Components:
    """A mixture with heavier tails (Tukey 1960): a share becomes one Gaussian, `scale` times as wide as it all."""
    whole = gaussian_mixture(*parts)
    wide = scale * jnp.linalg.cholesky(covariance(whole))[..., None, :, :]
    own = jnp.broadcast_to(parts.scale_tril, (*parts.mean.shape, parts.mean.shape[-1]))
    rest = jnp.full_like(parts.log_weight[..., :1], jnp.log(share))
    return Components(
        jnp.concatenate([whole.parts.log_weight + jnp.log1p(-share), rest], -1),
        jnp.concatenate([parts.mean, whole.mean[..., None, :]], -2),
        jnp.concatenate([own, wide], -3),
    )


def heaviest(parts: Components, number: int) -> Components:
    """The `number` heaviest components of one mixture, and the others as one Gaussian: their mass, mean and covariance.

    A mixture of no more components than that is as it was.
    """
    log_weight, mean, scale_tril = parts
    if log_weight.shape[0] <= number:
        return parts
    scale_tril = jnp.broadcast_to(scale_tril, (*mean.shape, mean.shape[-1]))
    top, index = jax.lax.top_k(log_weight, number)
    rest = jnp.exp(log_weight).at[index].set(0.0)
    mass = rest.sum()
    share = jnp.where(mass > 0, rest, 1.0) / jnp.where(mass > 0, mass, log_weight.shape[0])  # no mass: all of them
    others = Components(jnp.log(share), mean, scale_tril)
    log_mass = jnp.log(jnp.maximum(mass, jnp.finfo(mass.dtype).tiny))
    return Components(
        jnp.concatenate([top, log_mass[None]]),
        jnp.concatenate([mean[index], (share @ mean)[None]]),
        jnp.concatenate([scale_tril[index], jnp.linalg.cholesky(_covariance(others))[None]]),
    )


def _covariance(parts: Components) -> Float[Array, "*event coordinate coordinate"]:
    weight = jnp.exp(parts.log_weight)[..., None]
    apart = parts.mean - (weight * parts.mean).sum(-2, keepdims=True)
    between = jnp.einsum("...ki,...kj->...ij", weight * apart, apart)
    within = jnp.einsum("...kij,...klj->...kil", parts.scale_tril, parts.scale_tril)
    return between + (weight[..., None] * within).sum(-3)


def _whiten(scale_tril: Float[Array, "*batch d d"], apart: Float[Array, "*batch d"]) -> list[Float[Array, " *batch"]]:
    """Forward substitution, written out: D is at most four, and elementwise steps fuse, solves do not."""
    white: list[Array] = []
    for i in range(apart.shape[-1]):
        rest = apart[..., i] - sum(scale_tril[..., i, j] * white[j] for j in range(i))
        white.append(rest / scale_tril[..., i, i])
    return white


def _log_density(parts: Components, value: Float[Array, "*event coordinate"]) -> Float[Array, " *event"]:
    log_weight, mean, scale_tril = parts
    white = _whiten(scale_tril, value[..., None, :] - mean)
    log_scale = jnp.log(jnp.diagonal(scale_tril, axis1=-2, axis2=-1)).sum(-1)
    constant = log_weight - log_scale - 0.5 * mean.shape[-1] * math.log(2 * math.pi)
    return logsumexp(constant - 0.5 * sum(z * z for z in white), axis=-1)


def _draw(key: Key[Array, ""], parts: Components, number: int) -> Float[Array, "draw coordinate"]:
    key_component, key_normal = jax.random.split(key)
    cumulative = jnp.cumsum(jnp.exp(parts.log_weight))
    uniform = jax.random.uniform(key_component, (number,), cumulative.dtype) * cumulative[-1]
    index = jnp.minimum(jnp.searchsorted(cumulative, uniform, side="right"), cumulative.shape[0] - 1)
    normal = jax.random.normal(key_normal, (number, parts.mean.shape[-1]), parts.mean.dtype)
    scale_tril = parts.scale_tril[jnp.minimum(index, parts.scale_tril.shape[0] - 1)]
    return parts.mean[index] + jnp.einsum("nij,nj->ni", scale_tril, normal)


def triangular(rows: Float[Array, "*batch d D"]) -> Float[Array, "*batch d d"]:
    """The triangle L with L Lᵀ = rows rowsᵀ by Gram-Schmidt, which loses no digits to the product."""
    size, basis, lower = rows.shape[-2], [], []
    for i in range(size):
        rest, line = rows[..., i, :], []
        for axis in basis:
            line.append((rest * axis).sum(-1))
            rest = rest - line[-1][..., None] * axis
        line.append(jnp.sqrt((rest * rest).sum(-1)))
        basis.append(rest / line[-1][..., None])
        lower.append(jnp.stack(line + [jnp.zeros_like(line[0])] * (size - 1 - i), -1))
    return jnp.stack(lower, -2)


def _climb(parts: Components, num_steps: int, num_candidates: int) -> Float[Array, " coordinate"]:
    log_weight, means, scale_tril = parts
    identity = jnp.eye(means.shape[-1], dtype=means.dtype)
    inverse = jax.vmap(lambda tril: jax.scipy.linalg.solve_triangular(tril, identity, lower=True))(scale_tril)
    precision = jnp.einsum("kji,kjl->kil", inverse, inverse)
    log_scale = jnp.log(jnp.diagonal(scale_tril, axis1=-2, axis2=-1)).sum(-1)
    peak = log_weight - log_scale
    candidate = means[jax.lax.top_k(peak, min(num_candidates, peak.shape[0]))[1]]
    start = candidate[jnp.argmax(HypocentreMixture(parts).log_prob(candidate))]

    def step(point: Float[Array, " coordinate"], _: None) -> tuple[Float[Array, " coordinate"], None]:
        white = _whiten(scale_tril, point - means)
        share = jax.nn.softmax(peak - 0.5 * sum(z * z for z in white))[:, None, None]
        information = (share * precision).sum(0)
        pull = ((share * precision) @ (means - point)[..., None]).sum(0)[:, 0]
        new = point + jnp.linalg.solve(information, pull)
        better = _log_density(parts, new) > _log_density(parts, point)
        return jnp.where(better, new, point), None

    return jax.lax.scan(step, start, None, length=num_steps)[0]
