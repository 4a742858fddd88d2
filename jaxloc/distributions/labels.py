"""What draws of weights together say of a label beside the hypocentre, split into epistemic and aleatoric parts.

Draws that disagree are epistemic uncertainty: more data would settle it. What each draw leaves open is aleatoric.

* A number: variance of the draws' means, mean of their variances; they add up to the variance of the mixture.
* Classes: the mutual information of class and weights, H[mean p] - mean H[p] (Houlsby and others 2011; Depeweg and
  others 2018), and the mean entropy, in nats; they add up to the entropy of the mean probabilities.

One draw has no epistemic part, and averages of averages are averages: both are closed under `averaged`.
"""

from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Float


class Classes(NamedTuple):
    """Probabilities of classes, mutual information (epistemic) and mean entropy (aleatoric) in nats."""

    probability: Float[Array, "*event class"]
    mutual_information_nats: Float[Array, "*event"]
    mean_entropy_nats: Float[Array, "*event"]


class Number(NamedTuple):
    """Mean of a number, and the two parts of its variance, in its unit squared."""

    mean: Float[Array, "*event"]
    epistemic: Float[Array, "*event"]
    aleatoric: Float[Array, "*event"]


LabelPosterior: TypeAlias = Classes | Number


def of_draw(distribution: dist.Distribution) -> LabelPosterior:
    """What one draw of weights says.

    Raises:
        ValueError: for a distribution that is neither over classes nor over one number; names it.
    """
    if isinstance(distribution, dist.CategoricalLogits | dist.CategoricalProbs):
        probability: Any = distribution.probs
        return Classes(probability, jnp.zeros(probability.shape[:-1]), _entropy(probability))
    if distribution.event_shape:
        kind = type(distribution).__name__
        raise ValueError(f"a label must have classes or be one number, got {kind} of shape {distribution.event_shape}")
    mean: Any = distribution.mean
    return Number(mean, jnp.zeros_like(mean), jnp.asarray(distribution.variance))


def averaged(draws: LabelPosterior) -> LabelPosterior:
    """The mixture of draws of equal weight, over a leading draw axis."""
    middle = jax.tree.map(lambda x: x.mean(0), draws)
    if isinstance(draws, Number):
        return middle._replace(epistemic=middle.epistemic + draws.mean.var(0))
    apart = _entropy(middle.probability) - middle.mean_entropy_nats
    return middle._replace(mutual_information_nats=jnp.maximum(apart, 0.0))  # rounding may take it below


def pooled(stations: LabelPosterior, alive: Float[Array, " station"]) -> LabelPosterior:
    """What one draw of weights says by all living stations (`alive` 1): the mean of their distributions.

    Where stations differ, that is no matter of weights: it is aleatoric.
    """
    share = alive / jnp.maximum(alive.sum(), 1)
    share = jnp.where(alive.sum() > 0, share, 1 / alive.shape[0])
    if isinstance(stations, Number):
        mean = share @ stations.mean
        return Number(mean, jnp.zeros_like(mean), share @ (stations.aleatoric + (stations.mean - mean) ** 2))
    probability = share @ stations.probability
    return Classes(probability, jnp.zeros_like(share[0]), _entropy(probability))


def named(others: dict[str, LabelPosterior], event: int) -> dict[str, float]:
    """What is told of one event's labels, by name and unit; of two classes the probability of the second, "yes"."""
    found: dict[str, float] = {}
    for name, many in others.items():
        one = jax.tree.map(lambda x: np.asarray(x[event], float), many)
        if isinstance(one, Number):
            variances = {"": one.epistemic + one.aleatoric, "epistemic_": one.epistemic, "aleatoric_": one.aleatoric}
            found[name] = float(one.mean)
            found |= {f"{name}_{part}sd": float(np.sqrt(x)) for part, x in variances.items()}
            continue
        shown = {"": one.probability[1]} if len(one.probability) == 2 else dict(enumerate(one.probability))
        found |= {f"{name}_{which}{'_' * (which != '')}probability": float(p) for which, p in shown.items()}
        found[f"{name}_mutual_information_nats"] = float(one.mutual_information_nats)
        found[f"{name}_mean_entropy_nats"] = float(one.mean_entropy_nats)
    return found


def _entropy(probability: Float[Array, "*event class"]) -> Float[Array, "*event"]:
    return jax.scipy.special.entr(probability).sum(-1)
