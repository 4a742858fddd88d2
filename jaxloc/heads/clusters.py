"""The head of ConvNetQuake (Perol, Gharbi & Denolle 2018): noise, or an event of one of K clusters.

K + 1 raw outputs are the logits of noise and of each cluster. The likelihood is the published cross-entropy. An event
is detected by one minus the probability of noise: with the largest of K + 1 probabilities, an event whose probability
is divided between clusters would be classified as noise. Given an event, its hypocentre has the density of the training
events of each cluster, weighted by the clusters' probabilities.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.scipy.special import logsumexp
from jaxtyping import Array, Bool, Float, Int
from scipy.cluster.vq import kmeans2

from jaxloc.distributions.bandwidth import silverman
from jaxloc.distributions.gaussian_mixture import gaussian_mixture
from jaxloc.heads.labels import of_label
from jaxloc.per_station import AtStation
from jaxloc.types import COORDINATES, Head, Label, Labels

SEED = 6


MIN_BANDWIDTH = (0.1, 0.1, 0.1, 0.05)  # smallest bandwidth: km, km, km, s


SIZE = len(COORDINATES)


class Clusters(NamedTuple):
    """Centres of clusters, and the kernels of the events: cluster, mean and bandwidths of each."""

    centre_km: Float[np.ndarray, "cluster 2"]
    of_event: Int[np.ndarray, " event"]
    mean: Float[np.ndarray, "event 4"]
    sd: Float[np.ndarray, "event 4"]


def clusters(
    hypocentres: Float[np.ndarray, "event 4"],
    known: Bool[np.ndarray, "event 4"],
    number: int,
    spread: tuple[Float[np.ndarray, " 4"], Float[np.ndarray, " 4"]],
    max_events: int = 400,
) -> Clusters:
    """`number` clusters of the events with epicentres; fewer, if some would have no event.

    Repeated events (records of one event) count once; of more than `max_events`, an even subset is taken. A kernel's
    bandwidth is Silverman's (1986) for its cluster; a coordinate that an event lacks has `spread`, the mean and
    standard deviation of the catalogue.

    Raises:
        ValueError: where there are fewer events than clusters.
    """
    located = known[:, :2].all(-1)
    once = np.unique(np.concatenate([hypocentres[located], known[located]], -1), axis=0)
    if not 0 < number <= len(once):
        raise ValueError(f"the number of clusters must be within 1-{len(once)}, the events known, got {number}")
    centre_km, _ = kmeans2(once[:, :2], number, minit="++", rng=np.random.default_rng(SEED))
    centre_km = centre_km[np.isin(np.arange(number), nearest(centre_km, once[:, :2]))]
    kept = once[np.linspace(0, len(once) - 1, min(len(once), max_events)).astype(int)]
    return _kernels(centre_km, nearest(centre_km, kept[:, :2]), kept[:, :SIZE], kept[:, SIZE:] > 0, spread)


def nearest(
    centre_km: Float[np.ndarray, "cluster 2"], place_km: Float[np.ndarray, "event 2"]
) -> Int[np.ndarray, " event"]:
    """The cluster of each epicentre."""
    return ((place_km[:, None] - centre_km) ** 2).sum(-1).argmin(-1)


def _kernels(
    centre_km: Float[np.ndarray, "cluster 2"],
    of_event: Int[np.ndarray, " event"],
    places: Float[np.ndarray, "event 4"],
    known: Bool[np.ndarray, "event 4"],
    spread: tuple,
) -> Clusters:
    mean, sd = np.where(known, places, spread[0]), np.broadcast_to(spread[1], places.shape).copy()
    for cluster in range(len(centre_km)):
        own = of_event == cluster
        for i in range(SIZE):
            has = own & known[:, i]
            if has.any():
                own_sd = places[has, i].std() if has.sum() > 1 else spread[1][i] / np.sqrt(len(centre_km))
                sd[has, i] = max(own_sd * silverman(int(has.sum()), SIZE), MIN_BANDWIDTH[i])
    return Clusters(centre_km, of_event, mean.astype(np.float32), sd.astype(np.float32))


def cluster_classes(clusters: Clusters, prior_ratio: float = 1.0) -> Head:
    """A head of K + 1 raw outputs; labels "hypocentre" and "is_event".

    Args:
        clusters: found among training events.
        prior_ratio: odds of an event in use over its odds in training. A network trained on as many events as noise
            windows has even prior odds; predictions are corrected by the logarithm (Saerens and others 2002), the
            likelihood is not.

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

    @of_label("is_event")
    def of_event(raw: Float[Array, " class"], label: Label) -> Float[Array, ""]:
        there = jax.nn.log_softmax(jnp.stack([raw[0], logsumexp(raw[1:])]))
        return jnp.where(label.mask, there[jnp.where(label.value > 0.5, 1, 0)], 0.0)

    @of_label("hypocentre")
    def of_place(raw: Float[Array, " class"], label: Label) -> Float[Array, ""]:
        place = jnp.where(label.mask[:2], label.value[:2], 0.0)
        own = ((place - clusters.centre_km) ** 2).sum(-1).argmin()
        return jnp.where(label.mask[:2].all(), jax.nn.log_softmax(raw[1:])[own], 0.0)

    def log_likelihood(raw: Float[Array, " class"], labels: Labels) -> Float[Array, ""]:
        return of_event(raw, labels) + of_place(raw, labels)

    return Head(1 + len(clusters.centre_km), distribution, log_likelihood)


def averaged(of_stations: AtStation) -> AtStation:
    """Raw outputs with a leading draw axis to those of the mean density of hypocentres: kernels are shared."""
    log_mean = lambda each: logsumexp(each, axis=0) - math.log(each.shape[0])
    clusters = log_mean(jax.nn.log_softmax(of_stations.raw[:, 1:], -1))
    return AtStation(jnp.concatenate([jnp.zeros(1), clusters]), of_stations.station_km[0], of_stations.active[0])
