"""Location by networks of one station: the posterior of each station, and their product over the prior.

The posterior of a network of one record contains the prior, the training catalogue, once. Stations whose records are
independent given the hypocentre x have together, for each draw of weights,

    p(x | all) ~ p(x) prod_i p(x | record i) / p(x),

the product of their posteriors over the prior to the power of their number less one; the mean over draws is the
posterior, so errors of the weights that stations share do not shrink with their number.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxloc.distributions.gaussian_mixture import (
    Components,
    HypocentreMixture,
    components,
    covariance,
    heaviest,
    mixture_of_draws,
    split_covariance,
    triangular,
)
from jaxloc.distributions.labels import LabelPosterior, averaged, of_draw, pooled
from jaxloc.locators.neural import LocateByDraws
from jaxloc.per_station import AtStation
from jaxloc.physics import adaptive_grid
from jaxloc.physics.adaptive_grid import LogDensity, Region, Search
from jaxloc.physics.priors import SMOOTHING_SPEED_KM_S
from jaxloc.types import Head, Network, Observations, Posterior, Weights

PLACED_ANEW = 2  # times: the first lattice may be too wide for its points, which widens what it finds
PLACINGS = 2  # of the last lattice by itself: of five times the width of the posterior, they leave 1.0001
BLUR = 0.5  # of a coarse lattice's spacing: how much wider components are there
Average = Callable[[AtStation], AtStation]
SIZES = Search((13, 13, 3, 16), (8, 8, 8, 7), 12, (9, 9, 9, 15))  # the last widens origin times by 3 %


def single_station(
    network: Network,
    head: Head,
    prior: HypocentreMixture,
    region: Region,
    average: Average | None = None,
    *,
    sizes: Search = SIZES,
    most: int = 64,
    correlation: float = 0.0,
    draw_chunk: int = 8,
) -> LocateByDraws:
    """Locate one event by every draw of weights; with one station the posterior is exactly the network's mixture.

    Args:
        network: gives `AtStation` for all stations of an event (`jaxloc.per_station.each_station`).
        head: as for `combined`, and so are all others.
        prior: density of hypocentres.
        region: search region of several stations.
        average: raw outputs of the mean density.
        sizes: of the search.
        most: components of a station that enter a product.
        correlation: of the stations' errors.
        draw_chunk: draws held in memory at a time.

    Raises:
        ValueError: where the correlation is not within 0-1.
    """
    shared = {"sizes": sizes, "most": most, "correlation": correlation, "draw_chunk": draw_chunk}
    combine = combined(head, prior, region, average, **shared)

    def locate(weights: Weights, observations: Observations) -> Posterior:
        return combine(jax.lax.map(lambda draw: network.apply(draw, observations), weights, batch_size=draw_chunk))

    return locate


def combined(
    head: Head,
    prior: HypocentreMixture,
    region: Region,
    average: Average | None = None,
    *,
    sizes: Search = SIZES,
    most: int = 64,
    correlation: float = 0.0,
    draw_chunk: int = 8,
) -> Callable[[AtStation], Posterior]:
    """From raw outputs of all stations of one event, with a leading draw axis, to its posterior.

    Auxiliary labels are the mean over active stations of their distributions (a linear pool, Stone 1961).

    Args:
        head: of one station; its distribution has a mixture "hypocentre".
        prior: the training catalogue's density of hypocentres. Where its tails are lighter than a station's, their
            ratio grows without bound: make it heavier by `jaxloc.distributions.gaussian_mixture.contaminated`.
        region: search region of several stations.
        average: raw outputs of one station with a leading draw axis to those of the mean density, as for `neural`.
        sizes: of their search; the last lattice's points in space are the components of a draw's posterior.
        most: components of a station that enter a product; the rest are one.
        correlation: of the stations' errors: n stations are as informative as n / (1 + correlation (n - 1)).
        draw_chunk: draws held in memory at a time.

    Raises:
        ValueError: where the correlation is not within 0-1.
    """
    if not 0 <= correlation <= 1:
        raise ValueError(f"correlation must be within 0-1 (0: stations err independently), got {correlation}")
    question = Question(prior, region, sizes, most, correlation)

    def of_stations(raw: AtStation) -> tuple[Components, dict[str, LabelPosterior]]:
        parts, others = jax.vmap(lambda one: _answer(head, one))(raw)
        return parts, {name: pooled(each, raw.active) for name, each in others.items()}

    def combine(raws: AtStation) -> Posterior:
        parts, others = jax.lax.map(of_stations, raws, batch_size=draw_chunk)
        if alone := raws.active.shape[1] == 1:
            raws, parts = jax.tree.map(lambda x: x[:, 0], (raws, parts))
        else:
            parts = jax.lax.map(lambda draw: _together(question, *draw), (parts, raws.active))
        mixture = mixture_of_draws(HypocentreMixture(parts))
        if average and alone:
            mixture = head.distribution(average(raws))["hypocentre"]
        epistemic, aleatoric = split_covariance(*parts)
        return Posterior(mixture, epistemic, aleatoric, {name: averaged(draws) for name, draws in others.items()})

    return combine


def _answer(head: Head, raw: AtStation) -> tuple[Components, dict[str, LabelPosterior]]:
    """One station's mixture, with a matrix for each component, and its labels."""
    labels = head.distribution(raw)
    log_weight, mean, scale_tril = components(labels.pop("hypocentre"))
    whole = Components(log_weight, mean, jnp.broadcast_to(scale_tril, (*mean.shape, mean.shape[-1])))
    return whole, {name: of_draw(label) for name, label in labels.items()}


class Question(NamedTuple):
    """How several stations are combined; see `combined`."""

    prior: HypocentreMixture
    region: Region
    sizes: Search
    most: int
    correlation: float


def _together(question: Question, parts: Components, active: Float[Array, " station"]) -> Components:
    """One draw's posterior by all stations, a component for each point in space of the last lattice."""
    kept = jax.vmap(lambda own: heaviest(own, question.most))(parts)
    density = log_product(kept, active, question.prior, question.correlation)

    def found(centre: Float[Array, " 4"], scale_tril: Float[Array, "4 4"]) -> Components:
        return adaptive_grid.components(
            adaptive_grid.evaluate(density, centre, scale_tril, question.sizes.last), jnp.zeros(2)
        )

    def again(
        _: int, at: tuple[Float[Array, " 4"], Float[Array, "4 4"]]
    ) -> tuple[Float[Array, " 4"], Float[Array, "4 4"]]:
        own = HypocentreMixture(found(*at))
        return own.mean, jnp.linalg.cholesky(covariance(own))

    # The search is as wide as its smoothed levels: the last lattice is placed again by what it found itself.
    start = adaptive_grid.search(density, question.region, question.sizes)
    log_weight, mean, tril = found(*jax.lax.fori_loop(0, PLACINGS, again, start))
    return Components(log_weight, mean, jnp.broadcast_to(tril, (*mean.shape, 4)))


def log_product(
    stations: Components, active: Float[Array, " station"], prior: HypocentreMixture, correlation: float = 0.0
) -> LogDensity:
    """The unnormalised log-density of all active stations together, for `jaxloc.physics.adaptive_grid`.

    Smoothed, each component is wider by `BLUR` spacings times the root of the number of stations: a product of n
    densities is narrower than each by that root.
    """
    number = active.sum()
    share = 1 / (1 + correlation * (jnp.maximum(number, 1) - 1))

    def value(
        points: Float[Array, "point 3"], origin_s: Float[Array, "point time"], spacing_km: Float[Array, ""]
    ) -> Float[Array, "point time"]:
        blur_km = BLUR * spacing_km * jnp.sqrt(jnp.maximum(number, 1))
        place = jnp.broadcast_to(points[:, None], (*origin_s.shape, 3))
        flat = jnp.concatenate([place, origin_s[..., None]], -1).reshape(-1, 4)
        each = _wider(stations, blur_km)(flat[:, None])
        before = _wider(prior.parts, blur_km)(flat)
        gained = jnp.where(active > 0, each - before[:, None], 0.0).sum(-1)
        return (before + share * gained).reshape(origin_s.shape)

    return value


def _wider(parts: Components, blur_km: Float[Array, ""]) -> Callable[[Array], Array]:
    """The log-density of a mixture whose components are wider by `blur_km`, and in time by that over a speed."""
    blur = blur_km * jnp.array([1.0, 1.0, 1.0, 1 / SMOOTHING_SPEED_KM_S])
    wide = jnp.broadcast_to(jnp.diag(blur), (*parts.scale_tril.shape[:-2], 4, 4))
    return HypocentreMixture(
        parts._replace(scale_tril=triangular(jnp.concatenate([parts.scale_tril, wide], -1)))
    ).log_prob
