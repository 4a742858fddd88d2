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
import numpyro.distributions as dist
from jaxtyping import Array, Float

from jaxloc.distributions.any_distribution import ByEvent, of_draws, plain
from jaxloc.distributions.gaussian_mixture import (
    Components,
    HypocentreMixture,
    components,
    covariance,
    covariance_of_means,
    heaviest,
    mean,
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
    """Locate one event by every draw of weights; with one station the posterior is exactly the network's density.

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
        head: of one station; "hypocentre" among its distributions is a Gaussian mixture or a `ByEvent` density.
        prior: the training catalogue's density of hypocentres. Where its tails are lighter than a station's, their
            ratio grows without bound: make it heavier by `jaxloc.distributions.gaussian_mixture.contaminated`.
        region: search region of several stations.
        average: raw outputs of one station with a leading draw axis to those of the mean density, as for `neural`.
        sizes: of their search; the last lattice's points in space are the components of a draw's posterior.
        most: components of a station's Gaussian mixture that enter a product; the rest are one. Other densities enter
            as they are.
        correlation: of the stations' errors: n stations are as informative as n / (1 + correlation (n - 1)).
        draw_chunk: draws held in memory at a time.

    Raises:
        ValueError: where the correlation is not within 0-1.
    """
    if not 0 <= correlation <= 1:
        raise ValueError(f"correlation must be within 0-1 (0: stations err independently), got {correlation}")
    question = Question(prior, region, sizes, most, correlation)

    def of_stations(raw: AtStation) -> tuple[dist.Distribution, dict[str, LabelPosterior]]:
        places, others = jax.vmap(lambda one: _answer(head, one))(raw)
        return places, {name: pooled(each, raw.active) for name, each in others.items()}

    def combine(raws: AtStation) -> Posterior:
        places, others = jax.lax.map(of_stations, raws, batch_size=draw_chunk)
        if alone := raws.active.shape[1] == 1:
            raws, places = jax.tree.map(lambda x: x[:, 0], (raws, places))
        else:
            places = jax.lax.map(lambda draw: _together(question, *draw), (places, raws.active))
        hypocentre = head.distribution(average(raws))["hypocentre"] if average and alone else of_draws(places)
        epistemic, aleatoric = covariance_of_means(mean(places)), covariance(places).mean(0)
        return Posterior(hypocentre, epistemic, aleatoric, {name: averaged(draws) for name, draws in others.items()})

    return combine


def _answer(head: Head, raw: AtStation) -> tuple[dist.Distribution, dict[str, LabelPosterior]]:
    """One station's distribution over hypocentres, and its labels."""
    labels = head.distribution(raw)
    place = plain(labels.pop("hypocentre"))
    return place, {name: of_draw(label) for name, label in labels.items()}


class Question(NamedTuple):
    """How several stations are combined; see `combined`."""

    prior: HypocentreMixture
    region: Region
    sizes: Search
    most: int
    correlation: float


def _together(question: Question, places: dist.Distribution, active: Float[Array, " station"]) -> HypocentreMixture:
    """One draw's posterior by all stations, a component for each point in space of the last lattice."""
    if isinstance(places, HypocentreMixture):
        places = HypocentreMixture(jax.vmap(lambda own: heaviest(own, question.most))(places.parts))
    density = log_product(places, active, question.prior, question.correlation)

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
    log_weight, middle, tril = found(*jax.lax.fori_loop(0, PLACINGS, again, start))
    return HypocentreMixture(Components(log_weight, middle, jnp.broadcast_to(tril, (*middle.shape, 4))))


def log_product(
    stations: dist.Distribution, active: Float[Array, " station"], prior: HypocentreMixture, correlation: float = 0.0
) -> LogDensity:
    """The unnormalised log-density of all active stations together, for `jaxloc.physics.adaptive_grid`.

    Smoothed, each distribution, or component of a mixture, is wider by `BLUR` spacings times the root of the number of
    stations: a product of n
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
        before = _wider(prior, blur_km)(flat)
        gained = jnp.where(active > 0, each - before[:, None], 0.0).sum(-1)
        return (before + share * gained).reshape(origin_s.shape)

    return value


def _wider(place: dist.Distribution, blur_km: Float[Array, ""]) -> Callable[[Array], Array]:
    """The log-density of a distribution that is wider by `blur_km`, and in time by that over a speed."""
    blur = blur_km * jnp.array([1.0, 1.0, 1.0, 1 / SMOOTHING_SPEED_KM_S])
    if isinstance(place, ByEvent):
        return place.widened(blur).log_prob  # pyright: ignore[reportReturnType]
    parts = components(place)
    wide = jnp.broadcast_to(jnp.diag(blur), (*parts.scale_tril.shape[:-2], 4, 4))
    return HypocentreMixture(
        parts._replace(scale_tril=triangular(jnp.concatenate([parts.scale_tril, wide], -1)))
    ).log_prob
