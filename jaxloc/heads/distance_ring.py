"""The head after Janbakhsh and others (2019): event or noise, magnitude, distance and first motion of one record.

Raw outputs, in this order: log-odds of noise and event; mean and width of magnitude, if predicted; mean and width of
the base-10 logarithm of distance; log-odds of up over down; the reconstruction error of an autoencoder. A missing label
adds nothing to the likelihood.

A distance alone gives a ring about the station (`jaxloc.distributions.rings`). The density along the ring is the
climatology's, conditioned on the distance; depth and origin time are the climatology's too.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float

from jaxloc.distributions.gaussian_mixture import HypocentreMixture, marginal
from jaxloc.distributions.polar import Polar, distance_and_azimuth
from jaxloc.distributions.rings import ring_density
from jaxloc.heads.labels import categorical, joint, number, of_label
from jaxloc.types import Head, Label, Labels

MIN_KM = 0.1  # smallest distance of which the logarithm is taken
FLOOR = 0.02  # smallest standard deviation of the logarithm
REACH = 3.0  # standard deviations that nodes of a posterior reach
NODES = 8, 12  # numbers of distances and azimuths of a ring's components
LN_10 = math.log(10)
Catalogue = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]
"""Mean and standard deviation of the logarithm of distance in km, of depth in km and of origin time in s."""


def of_record(
    catalogue: Catalogue,
    magnitude: tuple[float, float] | None,
    reconstruction: float,
    prior: HypocentreMixture | None = None,
) -> Callable[[Float[Array, " 3"]], Head]:
    """The head of a record at a place, [east, north, depth] in km.

    Args:
        catalogue: the climatology of distance, depth and origin time.
        magnitude: centre and scale of magnitudes, None where they are not predicted.
        reconstruction: weight of the autoencoder's error in nats: the log-likelihood is reduced by it times the share
            of
            the record's power that is not reconstructed. Windows labelled as noise do not count.
        prior: the climatology's density of hypocentres; None for uniform directions.
    """

    def at(station_km: Float[Array, " 3"]) -> Head:
        size = [] if magnitude is None else [number(*magnitude, 0.05)]
        return joint(
            categorical(2), *size, ring(catalogue, station_km, prior), first_motion(), left_over(reconstruction)
        )

    return at


def size_of(magnitude: bool) -> int:
    """Number of raw outputs before first motion and reconstruction error."""
    return 6 if magnitude else 4


def ring(catalogue: Catalogue, station_km: Float[Array, " 3"], prior: HypocentreMixture | None = None) -> Head:
    """A normal of the logarithm of distance from a station: "distance_km", and a hypocentre on a ring around it."""
    log_distance, depth_km, origin_s = catalogue
    of_logarithm = number(*log_distance, FLOOR, "log_distance")

    def normal(raw: Float[Array, " 2"]) -> tuple[Array, Array]:
        predicted = of_logarithm.distribution(raw)["log_distance"]
        return jnp.asarray(predicted.mean), jnp.sqrt(jnp.asarray(predicted.variance))

    def distribution(raw: Float[Array, " 2"]) -> dict[str, dist.Distribution]:
        mean, sd = normal(raw)
        polar = _polar(mean, sd, depth_km, origin_s)
        if prior is not None:
            polar = polar._replace(log_weight=polar.log_weight + _where_on(polar, prior, station_km))
        return {"hypocentre": ring_density(polar, station_km), "distance_km": dist.LogNormal(LN_10 * mean, LN_10 * sd)}

    @of_label("hypocentre")
    def log_likelihood(raw: Float[Array, " 2"], label: Label) -> Float[Array, ""]:
        value, mask = label
        placed = mask[:2].all()
        distance_km, _ = distance_and_azimuth(station_km, jnp.where(mask, value, 0.0))
        logarithm = jnp.log10(jnp.maximum(distance_km, MIN_KM))
        mean, sd = normal(raw)
        return jnp.where(placed, dist.Normal(mean, sd).log_prob(jnp.where(placed, logarithm, mean)), 0.0)

    return Head(2, distribution, log_likelihood)


def _polar(
    mean: Float[Array, ""], sd: Float[Array, ""], depth_km: tuple[float, float], origin_s: tuple[float, float]
) -> Polar:
    """Distances in equal steps of the logarithm, azimuths all around."""
    step = 2 * REACH * sd / NODES[0]
    away = (jnp.arange(NODES[0]) + 0.5 - NODES[0] / 2) * step
    own = sd * math.sqrt(1 - (REACH / NODES[0]) ** 2)  # the rest of the variance is that of the steps
    distance_km = 10 ** jnp.clip(mean + away, -2.0, 4.0)
    arc = 2 * math.pi / NODES[1]
    each = jnp.ones(NODES[0])
    return Polar(
        (-0.5 * (away / own) ** 2)[:, None] + jnp.zeros(NODES[1]),
        distance_km,
        distance_km * LN_10 * step / 2,
        arc * (jnp.arange(NODES[1]) + 0.5),
        jnp.full(NODES[1], arc / 2),
        depth_km[0] * each,
        depth_km[1] * each,
        origin_s[0] * each,
        origin_s[1] * each,
    )


def _where_on(
    polar: Polar, prior: HypocentreMixture, station_km: Float[Array, " 3"]
) -> Float[Array, "distance azimuth"]:
    """Log-probabilities of the azimuths at each distance, from the climatology's density in the plane."""
    towards = jnp.stack([jnp.sin(polar.azimuth_rad), jnp.cos(polar.azimuth_rad)], -1)
    places = station_km[:2] + polar.distance_km[:, None, None] * towards
    density = marginal(prior, (0, 1)).log_prob(places.reshape(-1, 2))
    return jax.nn.log_softmax(density.reshape(places.shape[:2]), -1)


def first_motion() -> Head:
    """Up (1) or down (0) as "polarity", from the log-odds of up."""
    both = categorical(2, "polarity")
    odds = lambda raw: jnp.append(jnp.zeros(1, raw.dtype), raw)
    return Head(1, lambda raw: both.distribution(odds(raw)), lambda raw, labels: both.log_likelihood(odds(raw), labels))


def left_over(weight: float) -> Head:
    """No distribution; the log-likelihood is minus `weight` times the raw output, except for windows labelled as noise.

    Raises:
        ValueError: where the weight is negative or not finite.
    """
    if not 0 <= weight < math.inf:
        raise ValueError(f"network.reconstruction must be zero or positive, got {weight}")

    def log_likelihood(raw: Float[Array, " 1"], labels: Labels) -> Float[Array, ""]:
        if not labels:
            return jnp.zeros((), raw.dtype)
        noise = jnp.zeros((), bool)
        if "is_event" in labels:
            value, known = labels["is_event"]
            noise = known & (value < 0.5)
        return jnp.where(noise, 0.0, -weight * raw[0])

    return Head(1, lambda raw: {}, log_likelihood)
