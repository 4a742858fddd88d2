"""Clusters of epicentres, by k-means among training events, and what is known of where events of each are.

After Perol, Gharbi & Denolle (2018), with two mistakes mended: distances are in kilometres, not in degrees of different
lengths, and only events that a network learns from have a say.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.cluster.vq import kmeans2

from jaxloc.types import COORDINATES

SEED = 6
LEAST = (0.1, 0.1, 0.1, 0.05)  # smallest bandwidth: km, km, km, s
SIZE = len(COORDINATES)


class Clusters(NamedTuple):
    """Centres of clusters, and the kernels of the events: which cluster each is of, its mean and bandwidths."""

    centre_km: Float[np.ndarray, "cluster 2"]
    of_event: Int[np.ndarray, " event"]
    mean: Float[np.ndarray, "event 4"]
    sd: Float[np.ndarray, "event 4"]


def clusters(
    hypocentres: Float[np.ndarray, "event 4"],
    known: Bool[np.ndarray, "event 4"],
    number: int,
    broad: tuple[Float[np.ndarray, " 4"], Float[np.ndarray, " 4"]],
    max_events: int = 400,
) -> Clusters:
    """`number` clusters of the events with epicentres; fewer, if some would have no event.

    Events that are there several times (records of one event) count once; of many, `max_events` are taken evenly. A
    kernel's bandwidth is Silverman's (1986), of the spread within its cluster; a coordinate that an event lacks has
    `broad`, the mean and standard deviation of the catalogue.

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
    return _kernels(centre_km, nearest(centre_km, kept[:, :2]), kept[:, :SIZE], kept[:, SIZE:] > 0, broad)


def nearest(centre_km: Float[np.ndarray, "cluster 2"], place_km: Float[np.ndarray, "event 2"]) -> np.ndarray:
    """The cluster of each epicentre."""
    return ((place_km[:, None] - centre_km) ** 2).sum(-1).argmin(-1)


def _kernels(
    centre_km: np.ndarray, of_event: np.ndarray, places: np.ndarray, known: np.ndarray, broad: tuple
) -> Clusters:
    mean, sd = np.where(known, places, broad[0]), np.broadcast_to(broad[1], places.shape).copy()
    for cluster in range(len(centre_km)):
        own = of_event == cluster
        for i in range(SIZE):
            has = own & known[:, i]
            if has.any():
                spread = places[has, i].std() if has.sum() > 1 else broad[1][i] / np.sqrt(len(centre_km))
                sd[has, i] = max(spread * (4 / ((SIZE + 2) * has.sum())) ** (1 / (SIZE + 4)), LEAST[i])
    return Clusters(centre_km, of_event, mean.astype(np.float32), sd.astype(np.float32))
