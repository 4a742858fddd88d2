"""Posteriors of other labels than the hypocentre: the distribution of every draw of weights, equally likely.

The spread between draws is epistemic, the spread of each draw aleatoric.

* A number has a mixture for each draw. The variance of the draws' means is epistemic (unbiased: divided by
  their number less one), the mean of their variances aleatoric.
* Classes have probabilities for each draw. The mutual information of class and weights, H[mean p] - mean H[p]
  (Houlsby and others 2011; Depeweg and others 2018), is epistemic, the mean entropy aleatoric, both in nats; they add
  up to the entropy of the mean probabilities.

Leading axes are events; one draw has no epistemic part.
"""

from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.scipy.special import logsumexp, ndtr
from jaxtyping import Array, Bool, Float, Key

SMALLEST = 1e-30  # of which the logarithm is taken


class Classes(NamedTuple):
    """Probabilities of classes by each draw of weights."""

    by_draw: Float[Array, "*event draw class"]

    @property
    def probability(self) -> Float[Array, "*event class"]:
        """The mean over draws."""
        return self.by_draw.mean(-2)

    @property
    def mean_entropy_nats(self) -> Float[Array, "*event"]:
        """Aleatoric."""
        return _entropy(self.by_draw).mean(-1)

    @property
    def mutual_information_nats(self) -> Float[Array, "*event"]:
        """Epistemic."""
        apart = _entropy(self.probability) - self.mean_entropy_nats
        return apart * (apart > 0)  # rounding may take it below zero


class Number(NamedTuple):
    """A number by each draw of weights: a mixture of normals, of the number or of its logarithm.

    Log-weights are normalised over the components of a draw.
    """

    log_weight: Float[Array, "*event draw component"]
    loc: Float[Array, "*event draw component"]
    scale: Float[Array, "*event draw component"]
    logarithmic: Bool[Array, "*event draw component"]

    @property
    def mean(self) -> Float[Array, "*event"]:
        """Of the mixture of all draws."""
        return self._moments()[0].mean(-1)

    @property
    def epistemic(self) -> Float[Array, "*event"]:
        """The variance of the draws' means, without the bias of few draws; a single draw has none."""
        means = self._moments()[0]
        return ((means - means.mean(-1)[..., None]) ** 2).sum(-1) / max(means.shape[-1] - 1, 1)

    @property
    def aleatoric(self) -> Float[Array, "*event"]:
        """The mean of the draws' variances."""
        return self._moments()[1].mean(-1)

    @property
    def variance(self) -> Float[Array, "*event"]:
        """The epistemic and the aleatoric part together."""
        return self.epistemic + self.aleatoric

    def _moments(self) -> tuple[Float[Array, "*event draw"], Float[Array, "*event draw"]]:
        """Means and variances of the draws."""
        xp = self.loc.__array_namespace__()  # arrays of the host keep their precision
        weight, spread = xp.exp(self.log_weight), self.scale**2
        loc, width = (xp.where(self.logarithmic, x, 0.0) for x in (self.loc, spread))
        middle = xp.where(self.logarithmic, xp.exp(loc + width / 2), self.loc)
        variance = xp.where(self.logarithmic, xp.expm1(width) * middle**2, spread)
        mean = (weight * middle).sum(-1)
        return mean, (weight * (variance + (middle - mean[..., None]) ** 2)).sum(-1)

    def log_prob(self, value: Float[Array, "*event"]) -> Float[Array, "*event"]:
        """Log-density of the mixture of all draws."""
        logarithm = jnp.log(jnp.maximum(value, SMALLEST))[..., None, None]
        white = (jnp.where(self.logarithmic, logarithm, value[..., None, None]) - self.loc) / self.scale
        density = -0.5 * white**2 - jnp.log(self.scale) - 0.5 * np.log(2 * np.pi)
        density = jnp.where(self.logarithmic, density - logarithm, density) + self.log_weight
        return logsumexp(density, axis=(-2, -1)) - np.log(self.loc.shape[-2])

    def cdf(self, value: Float[Array, "*event"]) -> Float[Array, "*event"]:
        """Probability of a smaller number."""
        logarithm = jnp.log(jnp.maximum(value, SMALLEST))[..., None, None]
        white = (jnp.where(self.logarithmic, logarithm, value[..., None, None]) - self.loc) / self.scale
        return (jnp.exp(self.log_weight) * ndtr(white)).sum(-1).mean(-1)

    def sample(self, key: Key[Array, ""], sample_shape: tuple[int, ...] = ()) -> Float[Array, "*sample event"]:
        """Samples of the mixture of all draws."""
        key_component, key_normal = jax.random.split(key)
        event = self.loc.shape[:-2]
        log_weight, loc, scale, logarithmic = (x.reshape(*event, -1) for x in self)
        which = jax.random.categorical(key_component, log_weight, shape=(*sample_shape, *event))
        pick = lambda x: jnp.take_along_axis(jnp.broadcast_to(x, (*sample_shape, *x.shape)), which[..., None], -1)[
            ..., 0
        ]
        value = pick(loc) + pick(scale) * jax.random.normal(key_normal, which.shape)
        return jnp.where(pick(logarithmic), jnp.exp(jnp.where(pick(logarithmic), value, 0.0)), value)


LabelPosterior: TypeAlias = Classes | Number


def of_draw(distribution: dist.Distribution) -> LabelPosterior:
    """The posterior of one draw of weights.

    Raises:
        ValueError: for a distribution that is none over classes, and no normal, lognormal or mixture of normals; names
            it.
    """
    if isinstance(distribution, dist.CategoricalLogits | dist.CategoricalProbs):
        return Classes(jnp.asarray(distribution.probs)[..., None, :])
    if isinstance(distribution, dist.MixtureSameFamily) and isinstance(
        distribution.component_distribution, dist.Normal
    ):
        parts = distribution.component_distribution
        log_weight = jax.nn.log_softmax(jnp.asarray(distribution.mixing_distribution.logits))
        return _number(log_weight, jnp.asarray(parts.loc), jnp.asarray(parts.scale), False)
    if isinstance(distribution, dist.LogNormal | dist.Normal) and not distribution.event_shape:
        loc, scale = (jnp.asarray(x)[..., None] for x in (distribution.loc, distribution.scale))
        return _number(jnp.zeros_like(loc), loc, scale, isinstance(distribution, dist.LogNormal))
    raise ValueError(
        "a label must have classes or be one number that is normal, lognormal or a mixture of normals, got "
        f"{type(distribution).__name__} of shape {distribution.event_shape}"
    )


def _number(
    log_weight: Float[Array, "*batch part"],
    loc: Float[Array, "*batch part"],
    scale: Float[Array, "*batch part"],
    logarithmic: bool,
) -> Number:
    """One draw of weights."""
    log_weight, loc, scale = jnp.broadcast_arrays(log_weight, loc, scale)
    parts = (log_weight, loc, scale, jnp.full(loc.shape, logarithmic))
    return Number(*(x[..., None, :] for x in parts))


def averaged(draws: LabelPosterior) -> LabelPosterior:
    """The posterior of all draws, from posteriors with a leading axis of draws: one after the other."""
    join = lambda x: jnp.moveaxis(x, 0, -3).reshape(*x.shape[1:-2], -1, x.shape[-1])
    return type(draws)(*(join(x) for x in draws))  # pyright: ignore[reportArgumentType]


def pooled(stations: LabelPosterior, active: Float[Array, " station"]) -> LabelPosterior:
    """One draw's posterior by all active stations (`active` 1): the mixture of their distributions.

    Stations have the leading axis. Differences between them are aleatoric: they do not come of the weights.
    """
    share = active / jnp.maximum(active.sum(), 1)
    share = jnp.where(active.sum() > 0, share, 1 / active.shape[0])
    if isinstance(stations, Classes):
        return Classes(jnp.tensordot(share, stations.by_draw, 1))
    log_share = jnp.log(jnp.maximum(share, SMALLEST))[:, None, None]
    parts = stations._replace(log_weight=jnp.where(share[:, None, None] > 0, stations.log_weight + log_share, -jnp.inf))
    return Number(*(jnp.moveaxis(x, 0, -2).reshape(*x.shape[1:-1], -1) for x in parts))


def named(others: dict[str, LabelPosterior], event: int) -> dict[str, float]:
    """One event's labels by name and unit; of two classes the probability of the second, "yes"."""
    found: dict[str, float] = {}
    for name, many in others.items():
        one = jax.tree.map(lambda x: np.asarray(x[event], bool if x.dtype == bool else float), many)
        if isinstance(one, Number):
            variances = {"": one.variance, "epistemic_": one.epistemic, "aleatoric_": one.aleatoric}
            found[name] = float(one.mean)
            found |= {f"{name}_{part}sd": float(np.sqrt(x)) for part, x in variances.items()}
            continue
        probability = one.probability
        shown = {"": probability[1]} if len(probability) == 2 else dict(enumerate(probability))
        found |= {f"{name}_{which}{'_' * (which != '')}probability": float(p) for which, p in shown.items()}
        found[f"{name}_mutual_information_nats"] = float(one.mutual_information_nats)
        found[f"{name}_mean_entropy_nats"] = float(one.mean_entropy_nats)
    return found


def _entropy(probability: Float[Array, "*event class"]) -> Float[Array, "*event"]:
    return jax.scipy.special.entr(probability).sum(-1)
