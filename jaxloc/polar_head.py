"""The head of Lomax, Michelini & Jozinovic (2019): classes of distance, magnitude, depth and back-azimuth.

The raw numbers are the logarithms of the odds of noise and of each distance, then of magnitudes, depths and azimuths,
in this order: 1 + 50 + 20 + 20 + 36 as published. Depth, azimuth and magnitude count where there is an event.

As published, the likelihood is that of the class that holds the label (four cross-entropies). By default it is the
density of the label where each class is a normal about its centre, `smoothing` class widths wide: just what the
posterior states, and classes beside the right one are not all equally wrong, which few events could not teach.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float

from jaxloc.distributions import HypocentreMixture
from jaxloc.polar import Polar, distance_and_azimuth, hypocentres
from jaxloc.polar_classes import (
    PUBLISHED_AZIMUTHS,
    PUBLISHED_DEPTH,
    PUBLISHED_DISTANCE,
    PUBLISHED_MAGNITUDE,
    Scale,
    azimuth_centres,
    centres,
    encode,
    encode_azimuth,
    widths,
)
from jaxloc.station_by_station import placed
from jaxloc.types import Head, Label, Labels

LEAST_KM = 0.3  # least standard deviation of a class of distance or depth
HALF_LOG_2_PI = 0.5 * math.log(2 * math.pi)


class Classes(NamedTuple):
    """What the classes are, and how wide each is in standard deviations over its own width; None: the published form.

    `most` components of a draw's hypocentre are kept, and the rest are one.
    """

    distance: Scale = PUBLISHED_DISTANCE
    magnitude: Scale = PUBLISHED_MAGNITUDE
    depth: Scale = PUBLISHED_DEPTH
    azimuths: int = PUBLISHED_AZIMUTHS
    smoothing: float | None = 0.5
    most: int = 256

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """Numbers of raw outputs: distances and noise, magnitudes, depths, azimuths."""
        return 1 + self.distance.number, self.magnitude.number, self.depth.number, self.azimuths


class Normals(NamedTuple):
    """Classes of one number as normals."""

    mean: Float[np.ndarray, " class"]
    sd: Float[np.ndarray, " class"]


class Kernels(NamedTuple):
    """All that raw numbers are read by: the classes as normals, and what the network does not tell."""

    classes: Classes
    distance: Normals
    magnitude: Normals
    depth: Normals
    azimuth: Normals
    origin_s: tuple[float, float]
    log_ratio: float


class Read(NamedTuple):
    """Logarithms of probabilities; the first of `distance` is that of noise."""

    distance: Float[Array, " noise_and_class"]
    magnitude: Float[Array, " class"]
    depth: Float[Array, " class"]
    azimuth: Float[Array, " class"]


def polar_classes(classes: Classes, origin_s: tuple[float, float], prior_ratio: float = 1.0) -> Head:
    """The head of one station's record, `AtStation`; labels "hypocentre", "magnitude" and "is_event".

    Depth is stated as the normal of its classes' mean and variance, magnitude likewise; distance and azimuth are
    independent for each draw of weights, so their draws together are not.

    Args:
        classes: what the raw numbers stand for.
        origin_s: mean and standard deviation of the origin time in the training catalogue; the network tells none.
        prior_ratio: odds of an event where the network is used over its odds in training, corrected at prediction.

    Raises:
        ValueError: where a smoothing is not positive, or the ratio or the origin time is none.
    """
    smoothing = 0.5 if classes.smoothing is None else classes.smoothing
    if not (0 < smoothing < math.inf and 0 < prior_ratio < math.inf and 0 < origin_s[1] < math.inf):
        raise ValueError(
            f"smoothing, prior_ratio and the deviation of origin_s must be positive, got {classes.smoothing}, "
            f"{prior_ratio} and {origin_s}"
        )
    turn = 2 * np.pi / classes.azimuths
    kernels = Kernels(
        classes,
        _normals(classes.distance, smoothing, LEAST_KM),
        _normals(classes.magnitude, smoothing, 0.0),
        _normals(classes.depth, smoothing, LEAST_KM),
        Normals(azimuth_centres(classes.azimuths), np.full(classes.azimuths, smoothing * turn)),
        origin_s,
        math.log(prior_ratio),
    )

    def at(station_km: Float[Array, " 3"]) -> Head:
        return Head(
            sum(classes.sizes),
            lambda raw: _stated(kernels, station_km, _read(classes, raw)),
            lambda raw, labels: _log_likelihood(kernels, station_km, _read(classes, raw), labels),
        )

    return placed(at, sum(classes.sizes))


def _normals(scale: Scale, smoothing: float, least: float) -> Normals:
    return Normals(centres(scale), np.maximum(smoothing * widths(scale), least))


def _read(classes: Classes, raw: Float[Array, " raw"]) -> Read:
    return Read(*map(jax.nn.log_softmax, jnp.split(raw, np.cumsum(classes.sizes)[:-1])))


def _stated(kernels: Kernels, station_km: Float[Array, " 3"], read: Read) -> dict[str, dist.Distribution]:
    numbers = (*kernels.distance, *kernels.azimuth, *_moments(read.depth, kernels.depth), *kernels.origin_s)
    polar = Polar(read.distance[1:, None] + read.azimuth, *map(jnp.asarray, numbers))  # pyright: ignore[reportCallIssue]
    odds = logsumexp(read.distance[1:]) - read.distance[0] + kernels.log_ratio
    return {
        "hypocentre": HypocentreMixture(hypocentres(polar, station_km, kernels.classes.most)),
        "magnitude": dist.Normal(*_moments(read.magnitude, kernels.magnitude)),
        "is_event": dist.CategoricalLogits(jnp.stack([jnp.zeros_like(odds), odds])),
    }


def _moments(log_weight: Float[Array, " class"], normals: Normals) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Mean and standard deviation."""
    weight = jnp.exp(log_weight)
    mean = weight @ normals.mean
    return mean, jnp.sqrt(weight @ ((normals.mean - mean) ** 2 + normals.sd**2))


def _log_likelihood(kernels: Kernels, station_km: Float[Array, " 3"], read: Read, labels: Labels) -> Float[Array, ""]:
    each = [jnp.zeros((), read.distance.dtype)]
    if "is_event" in labels:
        value, mask = labels["is_event"]
        each.append(jnp.where(mask, jnp.where(value > 0.5, logsumexp(read.distance[1:]), read.distance[0]), 0.0))
    if "hypocentre" in labels:
        each.append(_of_place(kernels, station_km, read, labels["hypocentre"]))
    if "magnitude" in labels:
        value, mask = labels["magnitude"]
        size = jnp.where(mask, value, 0.0)
        which = encode(kernels.classes.magnitude, size)
        each.append(jnp.where(mask, _of_class(kernels, read.magnitude, kernels.magnitude, which, size), 0.0))
    return jnp.stack(each).sum()


def _of_place(kernels: Kernels, station_km: Float[Array, " 3"], read: Read, label: Label) -> Float[Array, ""]:
    """The likelihood of what is known of the hypocentre, given that there is an event."""
    classes, (value, mask) = kernels.classes, label
    place = jnp.where(mask, value, 0.0)
    distance_km, azimuth_rad = distance_and_azimuth(station_km, place)
    far, round_ = encode(classes.distance, distance_km), encode_azimuth(classes.azimuths, azimuth_rad)
    # Turned to less than half a circle from each class: further ways round weigh nothing.
    turned = azimuth_rad - 2 * jnp.pi * jnp.round((azimuth_rad - kernels.azimuth.mean) / (2 * jnp.pi))
    across = _of_class(kernels, jax.nn.log_softmax(read.distance[1:]), kernels.distance, far, distance_km)
    across += _of_class(kernels, read.azimuth, kernels.azimuth, round_, turned)
    down = _of_class(kernels, read.depth, kernels.depth, encode(classes.depth, place[2]), place[2])
    return jnp.where(mask[:2].all(), across, 0.0) + jnp.where(mask[2], down, 0.0)


def _of_class(
    kernels: Kernels, log_weight: Float[Array, " class"], normals: Normals, which: Array, value: Array
) -> Float[Array, ""]:
    """The probability of the class of a label (published), or the density of the label itself."""
    if kernels.classes.smoothing is None:
        return log_weight[which]
    density = -0.5 * ((value - normals.mean) / normals.sd) ** 2 - np.log(normals.sd) - HALF_LOG_2_PI
    return logsumexp(log_weight + density)
