"""The head of Lomax, Michelini & Jozinovic (2019): classes of distance, magnitude, depth and back-azimuth.

The raw outputs are the logits of noise and of each distance, then of magnitudes, depths and azimuths, in this order:
1 + 50 + 20 + 20 + 36 as published. Depth, azimuth and magnitude are defined given an event.

As published, the likelihood is that of the label's class (four cross-entropies). By default it is the density of the
label where each class is a normal about its centre, `smoothing` class widths wide: the density of the posterior itself,
with an ordering of the classes that a few events could not teach.

By default, too, logits of distances and azimuths are relative to the climatology as seen from the station: zeros give
the climatology. Distance and direction of the events of a region are dependent; as published they are independent, and
the ring about a station extends to where no event was known. Posteriors of different stations then contain the
climatology exactly once and can be multiplied.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float, Int

from jaxloc.distributions.bandwidth import silverman
from jaxloc.distributions.polar import Polar, distance_and_azimuth
from jaxloc.distributions.rings import ring_density
from jaxloc.heads.labels import of_label
from jaxloc.per_station import placed
from jaxloc.types import Head, Label, Labels

KM_PER_DEG = 111.195  # of a great circle on a sphere of 6,371 km


class Scale(NamedTuple):
    """`number` classes of a number from zero to `largest`; the last class is open-ended."""

    number: int
    largest: float
    power: int = 1


PUBLISHED_DISTANCE = Scale(50, 180 * KM_PER_DEG, 2)


PUBLISHED_DEPTH = Scale(20, 700.0, 2)


PUBLISHED_MAGNITUDE = Scale(20, 10.0, 1)


PUBLISHED_AZIMUTHS = 36


def encode(scale: Scale, value: Float[Array, "*batch"]) -> Int[Array, "*batch"]:
    """The class whose centre is nearest in class numbers: round(n (value / largest)^(1 / power)), within 0 - n - 1."""
    part = jnp.maximum(value, 0.0) / scale.largest
    index = scale.number * (part if scale.power == 1 else part ** (1 / scale.power))
    return jnp.clip(jnp.round(index), 0, scale.number - 1).astype(jnp.int32)


def centres(scale: Scale) -> Float[np.ndarray, " class"]:
    """Centres of the classes."""
    return scale.largest * (np.arange(scale.number) / scale.number) ** scale.power


def widths(scale: Scale) -> Float[np.ndarray, " class"]:
    """Distance between the midpoints to both neighbours, in the unit of the number."""
    middles = (np.arange(scale.number + 1) - 0.5).clip(0) / scale.number
    return np.diff(scale.largest * middles**scale.power)


def encode_azimuth(number: int, azimuth_rad: Float[Array, "*batch"]) -> Int[Array, "*batch"]:
    """The nearest of so many directions, the first of them north."""
    return jnp.mod(jnp.round(number * azimuth_rad / (2 * jnp.pi)), number).astype(jnp.int32)


def azimuth_centres(number: int) -> Float[np.ndarray, " class"]:
    """Directions in radians."""
    return 2 * np.pi * np.arange(number) / number


MIN_SD_KM = 0.3  # least standard deviation of a class of distance or depth
UNIFORM_SHARE = 0.05  # share of a uniform density, for events unlike the climatology
HALF_LOG_2_PI = 0.5 * math.log(2 * math.pi)


class Classes(NamedTuple):
    """The classes, and the standard deviation of each relative to its width; None: the published form."""

    distance: Scale = PUBLISHED_DISTANCE
    magnitude: Scale = PUBLISHED_MAGNITUDE
    depth: Scale = PUBLISHED_DEPTH
    azimuths: int = PUBLISHED_AZIMUTHS
    smoothing: float | None = 0.5

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """Numbers of raw outputs: distances and noise, magnitudes, depths, azimuths."""
        return 1 + self.distance.number, self.magnitude.number, self.depth.number, self.azimuths


class Normals(NamedTuple):
    """Classes of one number as normals."""

    mean: Float[np.ndarray, " class"]
    sd: Float[np.ndarray, " class"]


class Kernels(NamedTuple):
    """The classes as normals, and the climatology of what the network does not predict."""

    classes: Classes
    distance: Normals
    magnitude: Normals
    depth: Normals
    azimuth: Normals
    origin_s: tuple[float, float]
    log_ratio: float
    epicentre_km: Float[np.ndarray, "event 2"] | None


class Read(NamedTuple):
    """Logarithms of probabilities; the first of `distance` is that of noise."""

    distance: Float[Array, " noise_and_class"]
    magnitude: Float[Array, " class"]
    depth: Float[Array, " class"]
    azimuth: Float[Array, " class"]


def polar_classes(
    classes: Classes,
    origin_s: tuple[float, float],
    prior_ratio: float = 1.0,
    epicentre_km: Float[np.ndarray, "event 2"] | None = None,
) -> Head:
    """The head of one station's record, `AtStation`; labels "hypocentre", "magnitude" and "is_event".

    Depth is predicted as the normal of its classes' mean and variance, magnitude likewise. Distance and azimuth are
    independent for each draw of weights, and dependent in the mixture over draws.

    Args:
        classes: meaning of the raw outputs.
        origin_s: mean and standard deviation of the origin time in the training catalogue; the network predicts none.
        prior_ratio: odds of an event in use over its odds in training, corrected at prediction.
        epicentre_km: of the training catalogue; None, or the published form: uniform classes.

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
        _normals(classes.distance, smoothing, MIN_SD_KM),
        _normals(classes.magnitude, smoothing, 0.0),
        _normals(classes.depth, smoothing, MIN_SD_KM),
        Normals(azimuth_centres(classes.azimuths), np.full(classes.azimuths, smoothing * turn)),
        origin_s,
        math.log(prior_ratio),
        None if classes.smoothing is None else epicentre_km,
    )

    def at(station_km: Float[Array, " 3"]) -> Head:
        return Head(
            sum(classes.sizes),
            lambda raw: _distributions(kernels, station_km, _read(classes, raw)),
            lambda raw, labels: _log_likelihood(kernels, station_km, _read(classes, raw), labels),
        )

    return placed(at, sum(classes.sizes))


def _normals(scale: Scale, smoothing: float, least: float) -> Normals:
    return Normals(centres(scale), np.maximum(smoothing * widths(scale), least))


def _read(classes: Classes, raw: Float[Array, " raw"]) -> Read:
    return Read(*map(jax.nn.log_softmax, jnp.split(raw, np.cumsum(classes.sizes)[:-1])))


def _distributions(kernels: Kernels, station_km: Float[Array, " 3"], read: Read) -> dict[str, dist.Distribution]:
    numbers = (*kernels.distance, *kernels.azimuth, *_moments(read.depth, kernels.depth), *kernels.origin_s)
    polar = Polar(_together(kernels, station_km, read), *map(jnp.asarray, numbers))  # pyright: ignore[reportCallIssue]
    odds = logsumexp(read.distance[1:]) - read.distance[0] + kernels.log_ratio
    return {
        "hypocentre": ring_density(polar, station_km),
        "magnitude": dist.Normal(*_moments(read.magnitude, kernels.magnitude)),
        "is_event": dist.CategoricalLogits(jnp.stack([jnp.zeros_like(odds), odds])),
    }


def _together(kernels: Kernels, station_km: Float[Array, " 3"], read: Read) -> Float[Array, "distance azimuth"]:
    """Log-weights of distances and azimuths, given that there is an event."""
    log_weight = read.distance[1:, None] + read.azimuth
    if kernels.epicentre_km is not None:
        log_weight += _catalogue(kernels, station_km, jnp.asarray(kernels.epicentre_km))
    return log_weight - logsumexp(log_weight)


def _catalogue(
    kernels: Kernels, station_km: Float[Array, " 3"], epicentre_km: Float[Array, "event 2"]
) -> Float[Array, "distance azimuth"]:
    """Log-shares of training events by distance and azimuth from a station, by kernel density estimation.

    Bandwidths are Silverman's (1986) in two dimensions; a share of `UNIFORM_SHARE` is uniform.
    """
    width_km = epicentre_km.std(0).mean() * silverman(epicentre_km.shape[0], 2)
    distance_km, azimuth_rad = distance_and_azimuth(station_km, epicentre_km)
    width_rad = width_km / jnp.maximum(distance_km, width_km)
    across = _shares(kernels.distance, distance_km - kernels.distance.mean[:, None], width_km)
    turned = _turned(kernels, azimuth_rad) - kernels.azimuth.mean[:, None]
    share = across @ _shares(kernels.azimuth, turned, width_rad).T / epicentre_km.shape[0]
    return jnp.log((1 - UNIFORM_SHARE) * share + UNIFORM_SHARE / share.size)


def _shares(
    normals: Normals, apart: Float[Array, "class event"], width: Float[Array, " event"]
) -> Float[Array, "class event"]:
    """The share of each event's kernel in each class, with the widths of both."""
    variance = normals.sd[:, None] ** 2 + width**2
    return jax.nn.softmax(jnp.log(normals.sd)[:, None] - 0.5 * apart**2 / variance - 0.5 * jnp.log(variance), 0)


def _turned(kernels: Kernels, azimuth_rad: Float[Array, "*event"]) -> Float[Array, "class *event"]:
    """Azimuths relative to each class, within half a circle."""
    middle = kernels.azimuth.mean.reshape(-1, *[1] * azimuth_rad.ndim)
    return azimuth_rad - 2 * jnp.pi * jnp.round((azimuth_rad - middle) / (2 * jnp.pi))


def _moments(log_weight: Float[Array, " class"], normals: Normals) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Mean and standard deviation."""
    weight = jnp.exp(log_weight)
    mean = weight @ normals.mean
    return mean, jnp.sqrt(weight @ ((normals.mean - mean) ** 2 + normals.sd**2))


def _log_likelihood(kernels: Kernels, station_km: Float[Array, " 3"], read: Read, labels: Labels) -> Float[Array, ""]:
    @of_label("is_event")
    def of_event(read: Read, label: Label) -> Float[Array, ""]:
        there = jnp.where(label.value > 0.5, logsumexp(read.distance[1:]), read.distance[0])
        return jnp.where(label.mask, there, 0.0)

    @of_label("hypocentre")
    def of_place(read: Read, label: Label) -> Float[Array, ""]:
        return _of_place(kernels, station_km, read, label)

    @of_label("magnitude")
    def of_size(read: Read, label: Label) -> Float[Array, ""]:
        size = jnp.where(label.mask, label.value, 0.0)
        which = encode(kernels.classes.magnitude, size)
        return jnp.where(label.mask, _of_class(kernels, read.magnitude, kernels.magnitude, which, size), 0.0)

    return of_event(read, labels) + of_place(read, labels) + of_size(read, labels)


def _of_place(kernels: Kernels, station_km: Float[Array, " 3"], read: Read, label: Label) -> Float[Array, ""]:
    """The likelihood of the known coordinates of the hypocentre, given an event."""
    (value, mask), classes = label, kernels.classes
    place = jnp.where(mask, value, 0.0)
    distance_km, azimuth_rad = distance_and_azimuth(station_km, place)
    if classes.smoothing is None:
        far, round_ = encode(classes.distance, distance_km), encode_azimuth(classes.azimuths, azimuth_rad)
        across = jax.nn.log_softmax(read.distance[1:])[far] + read.azimuth[round_]
    else:
        near = _log_normal(kernels.distance, distance_km)[:, None]
        toward = _log_normal(kernels.azimuth, _turned(kernels, azimuth_rad))
        across = logsumexp(_together(kernels, station_km, read) + near + toward)
    down = _of_class(kernels, read.depth, kernels.depth, encode(classes.depth, place[2]), place[2])
    return jnp.where(mask[:2].all(), across, 0.0) + jnp.where(mask[2], down, 0.0)


def _log_normal(normals: Normals, value: Float[Array, ""]) -> Float[Array, " class"]:
    return -0.5 * ((value - normals.mean) / normals.sd) ** 2 - np.log(normals.sd) - HALF_LOG_2_PI


def _of_class(
    kernels: Kernels,
    log_weight: Float[Array, " class"],
    normals: Normals,
    which: Int[Array, ""],
    value: Float[Array, ""],
) -> Float[Array, ""]:
    """The probability of the class of a label (published), or the density of the label itself."""
    if kernels.classes.smoothing is None:
        return log_weight[which]
    return logsumexp(log_weight + _log_normal(normals, value))
