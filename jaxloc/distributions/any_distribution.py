"""Distributions over hypocentres that are no Gaussian mixture: what they need, and what is made of them.

Such a distribution is a pytree whose arrays have the leading axes of events, with `sample`, `log_prob`, `batch_shape`,
`mean` and `covariance`; `by_event` makes one from pure functions of one event (`Density`). It is scored and plotted by
its samples and its log-density. Densities of some of the coordinates are its own `marginal`, or, where it has none,
kernel density estimates.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float, Key
from numpyro.distributions import constraints

from jaxloc.distributions.bandwidth import silverman
from jaxloc.distributions.gaussian_mixture import (
    HypocentreMixture,
    components,
    covariance,
    gaussian_mixture,
    is_mixture,
    marginal,
    mean,
    mixture_of_draws,
    mode,
)


class Density(NamedTuple):
    """Pure functions of the arrays of one event, at the top of a module so that compiled programs are found again.

    Attributes:
        sample: (arrays, key, number) to samples, [number, coordinate].
        log_prob: (arrays, points [point, coordinate]) to log-densities, [point].
        mean: arrays to the mean, [coordinate].
        covariance: arrays to the covariance, [coordinate, coordinate].
        marginal: (arrays, coordinates) to the distribution of these coordinates, a Gaussian mixture where it is one
            coordinate; None where there is no closed form.
        mixture: arrays to a Gaussian mixture with the same moments, for what a mixture alone can be used for.
        mode: arrays to the densest point; None: not known.
        widened: (arrays, blur [coordinate]) to arrays of a distribution that is wider by these standard deviations.
    """

    sample: Callable[[Any, Key[Array, ""], int], Array]
    log_prob: Callable[[Any, Array], Array]
    mean: Callable[[Any], Array]
    covariance: Callable[[Any], Array]
    marginal: Callable[[Any, tuple[int, ...]], dist.Distribution | None]
    mixture: Callable[[Any], HypocentreMixture]
    mode: Callable[[Any], Array] | None = None
    widened: Callable[[Any, Array], Any] | None = None


class ByEvent(dist.Distribution):
    """A distribution given by arrays and a `Density`; build it by `by_event`.

    `rank` is the number of axes that the first of the arrays has for one event; axes of events come before.
    """

    def __init__(self, density: Density, arrays: Any, rank: int) -> None:
        self.density, self.arrays, self.rank = density, arrays, rank
        super().__init__(self.batch_shape, self.event_shape, validate_args=False)

    @property
    def support(self) -> constraints.Constraint:
        """All of space and time."""
        return constraints.real_vector

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Shape of the axes of events, read from the arrays."""
        first = jax.tree.leaves(self.arrays)[0]
        return jnp.shape(first)[: jnp.ndim(first) - self.rank]

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The number of coordinates."""
        return jax.eval_shape(lambda arrays: self._over_events(self.density.mean, arrays), self.arrays).shape[-1:]

    def tree_flatten(self) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """The arrays; the functions and the rank are static."""
        return (self.arrays,), (self.density, self.rank)

    @classmethod
    def tree_unflatten(cls, aux_data: tuple[Any, ...], params: tuple[Any, ...]) -> "ByEvent":
        """From whatever `tree_flatten`'s arrays have become; nothing is checked."""
        new = cls.__new__(cls)
        (new.arrays,), (new.density, new.rank) = params, aux_data
        new._validate_args = False
        return new

    def _over_events(self, function: Any, *arguments: Any) -> Any:
        """A function of one event over all events; axes of events are the first of all arrays."""
        for _ in self.batch_shape:
            function = jax.vmap(function)
        return function(*arguments)

    def sample(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, key: Key[Array, ""], sample_shape: tuple[int, ...] = ()
    ) -> Float[Array, "*batch coordinate"]:
        """Samples of `density.sample`, each event's by a key of its own."""
        number, batch = math.prod(sample_shape), self.batch_shape
        one = lambda arrays, own: self.density.sample(arrays, own, number)
        found = self._over_events(one, self.arrays, jax.random.split(key, batch))
        return jnp.moveaxis(found, -2, 0).reshape(*sample_shape, *batch, found.shape[-1])

    def log_prob(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, value: Float[Array, "*batch coordinate"], intermediates: Any = None
    ) -> Float[Array, " *batch"]:
        """The log-density; axes of samples come before those of events."""
        batch = self.batch_shape
        lead = value.shape[: max(0, value.ndim - 1 - len(batch))]
        whole = jnp.broadcast_to(value, (*lead, *batch, value.shape[-1])).reshape(-1, *batch, value.shape[-1])
        found = self._over_events(self.density.log_prob, self.arrays, jnp.moveaxis(whole, 0, -2))
        return jnp.moveaxis(found, -1, 0).reshape(*lead, *batch)

    @property
    def mean(self) -> Float[Array, "*event coordinate"]:
        """The mean of each event."""
        return self._over_events(self.density.mean, self.arrays)

    @property
    def covariance(self) -> Float[Array, "*event coordinate coordinate"]:
        """The covariance of each event."""
        return self._over_events(self.density.covariance, self.arrays)

    @property
    def variance(self) -> Float[Array, "*event coordinate"]:
        """Diagonal of its `covariance`."""
        return jnp.diagonal(self.covariance, axis1=-2, axis2=-1)

    def marginal(self, dims: tuple[int, ...]) -> dist.Distribution | None:
        """The distribution of some coordinates, by index and in the order given; None: no closed form."""
        return self._over_events(lambda arrays: self.density.marginal(arrays, dims), self.arrays)

    def widened(self, blur: Float[Array, " coordinate"]) -> "ByEvent":
        """Wider by standard deviations `blur` along the coordinates; itself where it cannot be."""
        if self.density.widened is None:
            return self
        widen = self.density.widened
        return ByEvent(self.density, self._over_events(lambda arrays: widen(arrays, blur), self.arrays), self.rank)


def by_event(density: Density, arrays: Any) -> ByEvent:
    """The distribution of one event; `jax.vmap` makes that of a batch."""
    return ByEvent(density, arrays, jnp.ndim(jax.tree.leaves(arrays)[0]))


def part_of(distribution: dist.Distribution, dims: tuple[int, ...]) -> dist.Distribution:
    """The distribution of some coordinates, or, where it has no closed form, that of the mixture that stands for it.

    Raises:
        ValueError: for a distribution without either.
    """
    found = marginal_of(distribution, dims)
    return marginal(as_mixture(distribution), dims) if found is None else found


def plain(distribution: dist.Distribution) -> dist.Distribution:
    """A Gaussian mixture of any kind as a `HypocentreMixture`, which can be mapped over; others as they are."""
    return HypocentreMixture(components(distribution)) if is_mixture(distribution) else distribution


def marginal_of(distribution: dist.Distribution, dims: tuple[int, ...]) -> dist.Distribution | None:
    """The distribution of some coordinates; None where it has no closed form."""
    if is_mixture(distribution):
        return marginal(distribution, dims)
    return distribution.marginal(dims) if isinstance(distribution, ByEvent) else None


def mode_of(distribution: dist.Distribution, samples: Float[Array, "sample d"]) -> Float[Array, " d"]:
    """The densest point of one event: of a mixture or a `Density.mode`, found by climbing; else the densest sample."""
    if is_mixture(distribution):
        return mode(distribution)
    if isinstance(distribution, ByEvent) and distribution.density.mode is not None:
        return distribution.density.mode(distribution.arrays)
    return samples[jnp.argmax(distribution.log_prob(samples))]


def as_mixture(distribution: dist.Distribution) -> HypocentreMixture:
    """The Gaussian mixture that a distribution is, or that stands for it (`Density.mixture`).

    Raises:
        ValueError: for a distribution without one.
    """
    if isinstance(distribution, ByEvent):
        return distribution._over_events(distribution.density.mixture, distribution.arrays)
    return HypocentreMixture(components(distribution))


def smoothed(samples: Float[Array, "sample d"]) -> HypocentreMixture:
    """The kernel density estimate of samples, shrunk to their mean so that it has their covariance (West 1993)."""
    number, size = samples.shape
    centre, width = samples.mean(0), silverman(number, size)
    tril = jnp.linalg.cholesky(jnp.cov(samples.T) + 1e-8 * jnp.eye(size))
    points = centre + math.sqrt(1 - width**2) * (samples - centre)
    return gaussian_mixture(jnp.zeros(number), points, width * tril[None])


def of_draws(draws: dist.Distribution) -> dist.Distribution:
    """The equal mixture of the distributions of draws of weights, [draw] to the distribution of one event."""
    return mixture_of_draws(draws) if is_mixture(draws) else by_event(DRAWS, draws)


def _sample_draws(draws: Any, key: Key[Array, ""], number: int) -> Float[Array, "sample d"]:
    key_draw, key_sample = jax.random.split(key)
    which = jax.random.randint(key_draw, (number,), 0, len(jax.tree.leaves(draws)[0]))
    one = lambda k, i: jax.tree.map(lambda x: x[i], draws).sample(k)
    return jax.vmap(one)(jax.random.split(key_sample, number), which)


def _log_prob_draws(draws: Any, points: Float[Array, "point d"]) -> Float[Array, " point"]:
    each = jax.vmap(lambda draw: draw.log_prob(points))(draws)
    return logsumexp(each, axis=0) - math.log(len(each))


def _mean_draws(draws: Any) -> Float[Array, " d"]:
    return mean(draws).mean(0)


def _covariance_draws(draws: Any) -> Float[Array, "d d"]:
    """The covariance of the draws' means, and the mean of their covariances."""
    apart = mean(draws) - mean(draws).mean(0)
    return jnp.einsum("si,sj->ij", apart, apart) / len(apart) + covariance(draws).mean(0)


def _marginal_draws(draws: Any, dims: tuple[int, ...]) -> dist.Distribution | None:
    each = marginal_of(draws, dims)
    return None if each is None else of_draws(each)


def _mixture_draws(draws: Any) -> HypocentreMixture:
    return mixture_of_draws(as_mixture(draws))


DRAWS = Density(_sample_draws, _log_prob_draws, _mean_draws, _covariance_draws, _marginal_draws, _mixture_draws)


class Stretch(NamedTuple):
    """A distribution and the factors that stretch it about its mean, by coordinate."""

    base: Any
    scale: Float[Array, "*event d"]


def stretched(base: dist.Distribution, scale: Float[Array, "*event d"]) -> dist.Distribution:
    """A distribution stretched about its mean, by a factor along each coordinate; a Gaussian mixture stays one."""
    if is_mixture(base):
        parts, middle = components(base), mean(base)[..., None, :]
        apart, tril = parts.mean - middle, scale[..., None, :, None] * parts.scale_tril
        return gaussian_mixture(parts.log_weight, middle + scale[..., None, :] * apart, tril)
    first = jax.tree.leaves(base)[0]
    return ByEvent(STRETCHED, Stretch(base, scale), jnp.ndim(first) - len(base.batch_shape))


def _sample_stretched(of: Stretch, key: Key[Array, ""], number: int) -> Float[Array, "sample d"]:
    middle = mean(of.base)
    return middle + of.scale * (of.base.sample(key, (number,)) - middle)


def _log_prob_stretched(of: Stretch, points: Float[Array, "point d"]) -> Float[Array, " point"]:
    middle = mean(of.base)
    return of.base.log_prob(middle + (points - middle) / of.scale) - jnp.log(of.scale).sum()


def _mean_stretched(of: Stretch) -> Float[Array, " d"]:
    return mean(of.base)


def _covariance_stretched(of: Stretch) -> Float[Array, "d d"]:
    return of.scale[:, None] * of.scale * covariance(of.base)


def _marginal_stretched(of: Stretch, dims: tuple[int, ...]) -> dist.Distribution | None:
    base = marginal_of(of.base, dims)
    return None if base is None else stretched(base, of.scale[jnp.array(dims)])


def _mixture_stretched(of: Stretch) -> HypocentreMixture:
    return as_mixture(stretched(as_mixture(of.base), of.scale))


STRETCHED = Density(
    _sample_stretched,
    _log_prob_stretched,
    _mean_stretched,
    _covariance_stretched,
    _marginal_stretched,
    _mixture_stretched,
)
