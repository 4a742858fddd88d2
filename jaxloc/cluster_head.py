"""The head of ConvNetQuake (Perol, Gharbi & Denolle 2018): noise, or an event of one of K clusters.

K + 1 raw numbers are the logarithms of the odds of noise and of each cluster. The likelihood is the published
cross-entropy. An event is detected by one minus the probability of noise: by the largest of K + 1 probabilities, an
event whose probability is shared among clusters would be called noise. Given an event, its hypocentre is distributed as
the training events of each cluster are, clusters weighted by their probabilities.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float

from jaxloc.clusters import Clusters
from jaxloc.distributions import gaussian_mixture
from jaxloc.station_by_station import AtStation
from jaxloc.types import Head, Labels


def cluster_classes(clusters: Clusters, prior_ratio: float = 1.0) -> Head:
    """A head of K + 1 raw numbers; labels "hypocentre" and "is_event".

    Args:
        clusters: found among training events.
        prior_ratio: odds of an event where the network is used over its odds in training. A network that learnt from as
            many events as windows of noise takes both for equally likely; predictions are corrected by the logarithm
            (Saerens and others 2002), the likelihood is not.

    Raises:
        ValueError: where the ratio is not positive.
    """
    if not 0 < prior_ratio < math.inf:
        raise ValueError(f"prior_ratio must be positive (1: as in training), got {prior_ratio}")
    shares = np.bincount(clusters.of_event, minlength=len(clusters.centre_km))
    log_share = -np.log(np.maximum(shares, 1))[clusters.of_event].astype(np.float32)

    def distribution(raw: Float[Array, " class"]) -> dict[str, dist.Distribution]:
        odds = logsumexp(raw[1:]) - raw[0] + math.log(prior_ratio)
        scale_tril = jnp.asarray(clusters.sd)[:, :, None] * jnp.eye(clusters.sd.shape[-1])
        return {
            "hypocentre": gaussian_mixture(
                raw[1:][clusters.of_event] + log_share, jnp.asarray(clusters.mean), scale_tril
            ),
            "is_event": dist.CategoricalLogits(jnp.stack([jnp.zeros_like(odds), odds])),
        }

    def log_likelihood(raw: Float[Array, " class"], labels: Labels) -> Float[Array, ""]:
        total = jnp.zeros((), raw.dtype)
        if "is_event" in labels:
            value, mask = labels["is_event"]
            there = jax.nn.log_softmax(jnp.stack([raw[0], logsumexp(raw[1:])]))
            total += jnp.where(mask, there[jnp.where(value > 0.5, 1, 0)], 0.0)
        if "hypocentre" in labels:
            value, mask = labels["hypocentre"]
            place = jnp.where(mask[:2], value[:2], 0.0)
            own = ((place - clusters.centre_km) ** 2).sum(-1).argmin()
            total += jnp.where(mask[:2].all(), jax.nn.log_softmax(raw[1:])[own], 0.0)
        return total

    return Head(1 + len(clusters.centre_km), distribution, log_likelihood)


def averaged(said: AtStation) -> AtStation:
    """Raw outputs with a leading draw axis, to those whose hypocentre is the mean of the draws': kernels are shared."""
    log_mean = lambda each: logsumexp(each, axis=0) - math.log(each.shape[0])
    clusters = log_mean(jax.nn.log_softmax(said.raw[:, 1:], -1))
    return AtStation(jnp.concatenate([jnp.zeros(1), clusters]), said.station_km[0], said.alive[0])
