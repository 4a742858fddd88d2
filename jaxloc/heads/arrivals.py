"""The head of the arrivals network: a distribution over arrival times, and through physics over hypocentres.

It learns from arrival times, from hypocentres alone, or from both; what is not labelled is left out.
"""

from collections.abc import Callable

import jax.numpy as jnp
from jax.scipy.special import ndtr
from jax.scipy.stats import norm
from jaxtyping import Array, Bool, Float

from jaxloc.distributions.gaussian_mixture import Components, HypocentreMixture, gaussian_mixture
from jaxloc.physics.adaptive_grid import LogDensity, Region
from jaxloc.physics.adaptive_sampling import Sampling
from jaxloc.physics.arrival_likelihood import Arrivals, hypocentre_cloud, posterior_of
from jaxloc.physics.readings import Readings, WithReadings
from jaxloc.types import Head, Labels

LOST = 0.005  # share of events that may lie anywhere in the region, whatever the arrivals say


def arrivals(
    region: Region,
    log_prior: LogDensity,
    *,
    log_prior_without: Callable[[Float[Array, " 3"]], LogDensity] | None = None,
    sizes: Sampling = Sampling(),
    learning_samples: int = 512,
    arrival_weight: float = 1.0,
    hypocentre_weight: float = 1.0,
    label_sd_s: float = 0.05,
) -> Head:
    """A head for `jaxloc.networks.arrivals`.

    Args:
        region: where hypocentres are looked for.
        log_prior: prior density of hypocentres.
        log_prior_without: the same as known without the event at a labelled hypocentre, to learn with.
        sizes: of the search of a location.
        learning_samples: samples of the last round while learning.
        arrival_weight: weight of the log-likelihood of labelled arrival times, 0 to leave it out.
        hypocentre_weight: weight of the log-density of labelled hypocentres, 0 to leave it out.
        label_sd_s: error of labelled arrival times, in s.
    """
    small = sizes._replace(last=min(sizes.last, learning_samples))

    def mixture(raw: Arrivals, sizes: Sampling, prior: LogDensity = log_prior) -> HypocentreMixture:
        cloud = hypocentre_cloud(raw, prior, region, sizes)
        return posterior_of(cloud, raw.physics.floor_km, raw.physics.surprises)

    def log_likelihood(raw: Arrivals, labels: Labels) -> Float[Array, ""]:
        total = jnp.zeros(())
        if arrival_weight and "arrivals" in labels:
            value, mask = labels["arrivals"]
            total += arrival_weight * _arrival_log_likelihood(raw, value, mask, label_sd_s)
        if hypocentre_weight and "hypocentre" in labels:
            value, mask = labels["hypocentre"]
            prior = log_prior_without(value[:3]) if log_prior_without else log_prior
            density = _known_log_density(mixture(raw, small, prior).parts, value, mask)
            total += hypocentre_weight * jnp.where(mask[:3].all(), density, 0.0)
        return total

    volume = (region.east_km[1] - region.east_km[0]) * (region.north_km[1] - region.north_km[0])
    volume *= region.depth_km[1] - region.depth_km[0]

    def _known_log_density(parts: Components, value: Float[Array, " 4"], mask: Bool[Array, " 4"]) -> Float[Array, ""]:
        duration_s = region.origin_s[1] - region.origin_s[0]
        with_origin = gaussian_mixture(*parts).log_prob(value)
        # The triangle's first three rows are the space without origin time.
        space = gaussian_mixture(parts.log_weight, parts.mean[:, :3], parts.scale_tril[:, :3, :3])
        known = jnp.where(mask[3], with_origin, space.log_prob(value[:3]))
        flat = -jnp.log(volume) - jnp.where(mask[3], jnp.log(duration_s), 0.0)
        return jnp.logaddexp(jnp.log1p(-LOST) + known, jnp.log(LOST) + flat)

    return Head((), lambda raw: {"hypocentre": mixture(raw, sizes)}, log_likelihood)


def with_arrivals(
    head: Head, *, arrival_weight: float = 1.0, hypocentre_weight: float = 1.0, label_sd_s: float = 0.05
) -> Head:
    """A head of flat raw numbers, for a network that also reads arrivals on its way (`WithReadings`).

    Labelled arrival times teach it to read; the distributions are those of the head. Weights and the labels' error
    are as in `arrivals`.
    """

    def log_likelihood(raw: WithReadings, labels: Labels) -> Float[Array, ""]:
        total = jnp.zeros(())
        if arrival_weight and "arrivals" in labels:
            total += arrival_weight * _arrival_log_likelihood(raw.readings, *labels["arrivals"], label_sd_s)
        if hypocentre_weight:
            total += hypocentre_weight * head.log_likelihood(raw.raw, labels)
        return total

    return Head(head.size, lambda raw: head.distribution(raw.raw), log_likelihood)


def _arrival_log_likelihood(
    raw: Arrivals | Readings,
    arrival_s: Float[Array, "station phase"],
    mask: Bool[Array, "station phase"],
    label_sd_s: float,
) -> Float[Array, ""]:
    """Cross-entropy to each labelled time with its error; a labelled time outside the record counts as no arrival."""
    samples = raw.log_mass.shape[-1] - 1
    position = arrival_s * raw.rate_hz
    inside = (position >= 0) & (position <= samples - 1)
    away = jnp.arange(samples) - position[..., None]
    expected = interpolated(away, label_sd_s * raw.rate_hz) * inside[..., None]
    expected = jnp.concatenate([expected, ~inside[..., None]], -1)
    known = mask & (raw.active > 0)[:, None]
    # Per second, so that records of different rates weigh alike.
    per_station = (expected * raw.log_mass).sum(-1) + jnp.log(raw.rate_hz) * inside
    return jnp.where(known, per_station, 0.0).sum()


def interpolated(away: Float[Array, "*shape sample"], sd: Float[Array, ""]) -> Float[Array, "*shape sample"]:
    """Share of each sample in a normal time that densities are read at by linear interpolation; both in samples.

    The mean of the hat function that a sample has in interpolation: a second difference of the normal's second
    antiderivative. Samples as labels would make each arrival half a sample too wide.
    """

    def twice_integrated(u: Float[Array, "..."]) -> Float[Array, "..."]:
        return u * ndtr(u / sd) + sd * norm.pdf(u / sd)

    hat = twice_integrated(away + 1) - 2 * twice_integrated(away) + twice_integrated(away - 1)
    return jnp.maximum(hat, 0.0)
