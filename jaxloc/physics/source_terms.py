"""Station terms that depend on where the source is: a Gaussian process over hypocentres for each station and phase.

Travel times to a station err alike for sources that are near each other, since their paths are (source-specific station
terms, Richards-Dinger & Shearer 2000, JGR 105). Residuals of events with known hypocentres tell the term of a new
source near them, with little left unknown; far from all of them the term is zero with its full variance. The covariance
falls exponentially with distance between sources, and terms of P and S go together. What a term shares with no other
source, however near, is the nugget.

Only the `NEAREST` events count at any place, so that the cost does not grow with the catalogue (Vecchia 1988,
JRSS B 50).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

NEAREST = 24
FIT_EVENTS = 160  # with which variances and scale are fitted: the cost is the third power of their number
FIT_STEPS, FIT_RATE = 80, 0.08
UNSEEN_S2 = 1e6  # variance of a residual that there is not
WRONG_SD = 4.0  # residuals beyond so many standard deviations are wrong picks
START_SD_S, START_NUGGET_S, START_SCALE_KM, START_TOGETHER = 0.1, 0.1, 8.0, 1.0


class Covariance(NamedTuple):
    """Standard deviations of terms and nuggets of P and S in s, the scale in km, and the correlation of P and S."""

    sd_s: Float[Array, " phase"]
    nugget_s: Float[Array, " phase"]
    scale_km: Float[Array, ""]
    together: Float[Array, ""]


class SourceTerms(NamedTuple):
    """Residuals of events with known hypocentres, and the covariance of their terms.

    `noise_s2` is the variance of each residual besides its term: the nugget's and the pick's, `UNSEEN_S2` without one.
    """

    source_km: Float[Array, "source 3"]
    residual_s: Float[Array, "source station phase"]
    noise_s2: Float[Array, "source station phase"]
    covariance: Covariance


class Terms(NamedTuple):
    """Mean and covariance, between phases, of the terms of each station at one place."""

    mean_s: Float[Array, "station phase"]
    covariance_s2: Float[Array, "station phase phase"]


def terms_at(terms: SourceTerms, place_km: Float[Array, "3"], spread_km: Float[Array, ""]) -> Terms:
    """The terms of sources within `spread_km` of a place: their mean, and the variance of each.

    Distances to known events are those in the mean square over the spread.
    """
    squared_km2 = ((terms.source_km - place_km) ** 2).sum(-1)
    number = min(NEAREST, len(squared_km2))
    near = jax.lax.top_k(-squared_km2, number)[1]
    source_km, residual_s, noise_s2 = (x[near] for x in terms[:3])
    between = jnp.sqrt(((source_km[:, None] - source_km) ** 2).sum(-1))
    away = jnp.sqrt(squared_km2[near] + spread_km**2)
    phases_s2 = _phases_s2(terms.covariance)
    decay = lambda km: jnp.exp(-km / terms.covariance.scale_km)

    def of_station(
        residual_s: Float[Array, "source phase"], noise_s2: Float[Array, "source phase"]
    ) -> tuple[Float[Array, " phase"], Float[Array, "phase phase"]]:
        known = jnp.kron(decay(between), phases_s2) + jnp.diag(noise_s2.reshape(-1))
        cross = jnp.kron(decay(away)[None], phases_s2)
        factor = jnp.linalg.cholesky(known)
        half = jax.scipy.linalg.solve_triangular(factor, cross.T, lower=True)
        mean = half.T @ jax.scipy.linalg.solve_triangular(factor, residual_s.reshape(-1), lower=True)
        return mean, phases_s2 - half.T @ half

    return Terms(*jax.vmap(of_station, (1, 1))(residual_s, noise_s2))


def fit_terms(
    source_km: Float[Array, "source 3"],
    residual_s: Float[Array, "source station phase"],
    seen: Bool[Array, "source station phase"],
    pick_sd_s: Float[Array, "source station phase"],
) -> SourceTerms:
    """Terms of all stations from residuals of events; variances and scale are those of largest marginal likelihood.

    Args:
        source_km: hypocentres.
        residual_s: picked minus predicted arrival times.
        seen: which of them there are; wrong picks, of residuals beyond four robust standard deviations, are left out.
        pick_sd_s: errors of the picks.
    """
    median = jnp.nanmedian(jnp.where(seen, residual_s, jnp.nan), axis=0)
    robust_s = 1.48 * jnp.nanmedian(jnp.abs(jnp.where(seen, residual_s - median, jnp.nan)), axis=(0, 1))
    seen = seen & (jnp.abs(residual_s - jnp.nan_to_num(median)) < WRONG_SD * robust_s)
    residual_s = jnp.where(seen, residual_s, 0.0)
    step = -(-len(source_km) // FIT_EVENTS)
    covariance = _fitted(source_km[::step], residual_s[::step], seen[::step], pick_sd_s[::step])
    noise_s2 = jnp.where(seen, covariance.nugget_s**2 + pick_sd_s**2, UNSEEN_S2)
    return SourceTerms(source_km, residual_s, noise_s2, covariance)


def of_stations(terms: SourceTerms, row: Int[Array, " station"]) -> SourceTerms:
    """The terms of other rows of stations; a row after the last is a station without residuals."""
    residual_s = jnp.pad(jnp.asarray(terms.residual_s), ((0, 0), (0, 1), (0, 0)))[:, row]
    noise_s2 = jnp.pad(jnp.asarray(terms.noise_s2), ((0, 0), (0, 1), (0, 0)), constant_values=UNSEEN_S2)[:, row]
    return SourceTerms(jnp.asarray(terms.source_km), residual_s, noise_s2, terms.covariance)


def share_of(covariance: Covariance) -> Float[Array, " phase"]:
    """The share of the variance of travel-time errors that sources nearby have in common."""
    return covariance.sd_s**2 / (covariance.sd_s**2 + covariance.nugget_s**2)


def _phases_s2(covariance: Covariance) -> Float[Array, "phase phase"]:
    correlation = jnp.where(jnp.eye(len(covariance.sd_s), dtype=bool), 1.0, covariance.together)
    return correlation * jnp.outer(covariance.sd_s, covariance.sd_s)


@jax.jit
def _fitted(
    source_km: Float[Array, "source 3"],
    residual_s: Float[Array, "source station phase"],
    seen: Bool[Array, "source station phase"],
    pick_sd_s: Float[Array, "source station phase"],
) -> Covariance:
    between = jnp.sqrt(((source_km[:, None] - source_km) ** 2).sum(-1))
    phases = residual_s.shape[-1]

    def covariance_of(free: Covariance) -> Covariance:
        return Covariance(jnp.exp(free.sd_s), jnp.exp(free.nugget_s), jnp.exp(free.scale_km), jnp.tanh(free.together))

    def loss(free: Covariance) -> Float[Array, ""]:
        covariance = covariance_of(free)
        smooth = jnp.kron(jnp.exp(-between / covariance.scale_km), _phases_s2(covariance))
        noise_s2 = jnp.where(seen, covariance.nugget_s**2 + pick_sd_s**2, UNSEEN_S2)

        def of_station(
            values: tuple[Float[Array, "source phase"], Float[Array, "source phase"]],
        ) -> Float[Array, ""]:
            residual, noise = (x.reshape(-1) for x in values)
            factor = jnp.linalg.cholesky(smooth + jnp.diag(noise))
            half = jax.scipy.linalg.solve_triangular(factor, residual, lower=True)
            return 0.5 * (half**2).sum() + jnp.log(jnp.diagonal(factor)).sum()

        by_station = jax.tree.map(lambda x: jnp.moveaxis(x, 1, 0), (residual_s, noise_s2))
        return jax.lax.map(of_station, by_station).sum() / seen.sum()

    full = lambda value: jnp.full(phases, jnp.log(value))
    free = Covariance(full(START_SD_S), full(START_NUGGET_S), jnp.log(START_SCALE_KM), jnp.array(START_TOGETHER))
    optimizer = optax.adam(optax.cosine_decay_schedule(FIT_RATE, FIT_STEPS))

    def step(carry: tuple, _: None) -> tuple[tuple, None]:
        free, state = carry
        change, state = optimizer.update(jax.grad(loss)(free), state)
        return (optax.apply_updates(free, change), state), None

    (free, _), _ = jax.lax.scan(step, (free, optimizer.init(free)), None, length=FIT_STEPS)
    return covariance_of(free)
