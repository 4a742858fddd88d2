"""The posterior of a poorly constrained event as many local Gaussians: a shell, a band, several modes, a whole region.

Geiger's method from many places of the region, each held back to its own by a wide normal prior, finds the set of
places that fit the picks (randomised maximum likelihood; Oliver and others 1996, Math. Geol. 28). Laplace's
approximation about each is a piece of a proposal; importance weights make its sample one of the posterior, and the
pieces are placed anew where that sample is (population Monte Carlo; Cappé and others 2004, J. Comput. Graph. Stat. 13).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float, Int, Key

from jaxloc.distributions.gaussian_mixture import Components, triangular
from jaxloc.physics.gauss_newton import BLURS_S, Anchor, Problem, Trial, climb, equations, times_and_slopes, weighed
from jaxloc.physics.pick_likelihood import OriginTime, over_origin
from jaxloc.physics.picks_on_cells import Question, residuals_at
from jaxloc.physics.small_matrices import lower_cholesky, lower_inverse

ANCHORS = 80
STEPS = (*BLURS_S, *(0.0,) * 6)
FIRST_DRAWS = 5  # of each of the first pieces
PIECES, DRAWS = 128, 3  # of the later rounds
ROUNDS = 2
PATCH = 0.5  # of a piece along what picks leave open, as a share of the posterior's standard deviation
KERNEL = 0.8  # of a component, as a share of its piece
DEFENCE = 0.1  # share of draws from anywhere in the region (Hesterberg 1995, Technometrics 37)
COMPONENTS = PIECES * DRAWS


class Pieces(NamedTuple):
    """Local Gaussians of place."""

    middle_km: Float[Array, "piece 3"]
    scale_tril_km: Float[Array, "piece 3 3"]


class Sample(NamedTuple):
    """Weighted places, the mean origin time at each, and the piece that each is of."""

    place_km: Float[Array, "draw 3"]
    origin_s: Float[Array, " draw"]
    log_weight: Float[Array, " draw"]
    piece: Int[Array, " draw"]


At = Callable[[Float[Array, "point 3"]], tuple[Float[Array, " point"], OriginTime]]
"""Places to their log-density, origin time integrated out, and to origin time there."""


def pieces(
    key: Key[Array, ""], question: Question, problem: Problem, reference_s: Float[Array, ""], start: Components
) -> Components:
    """The posterior of one event, `COMPONENTS` Gaussians of hypocentre; origin times count from `reference_s`.

    `start` is a first approximation, which may be wrong: its components of place are among the first pieces.
    """
    key_first, key_rounds = jax.random.split(key)
    at = lambda places: _posterior_at(question, problem, reference_s, places)
    first = _drawn(key_first, at, problem, _first(problem, start), FIRST_DRAWS)
    # Of the later rounds' size, for a loop: half of the first draws or so have no weight.
    kept = jax.lax.top_k(first.log_weight, COMPONENTS)[1]

    def again(carry: tuple[Sample, Pieces], key_round: Key[Array, ""]) -> tuple[tuple[Sample, Pieces], None]:
        key_place, key_draw = jax.random.split(key_round)
        found = _placed_anew(key_place, problem, carry[0])
        return (_drawn(key_draw, at, problem, found, DRAWS), found), None

    nothing = Pieces(jnp.zeros((PIECES, 3)), jnp.zeros((PIECES, 3, 3)))
    begin = jax.tree.map(lambda x: x[kept], first), nothing
    (sample, found), _ = jax.lax.scan(again, begin, jax.random.split(key_rounds, ROUNDS))
    return _mixture(at, problem, found, sample)


def _posterior_at(
    question: Question, problem: Problem, reference_s: Float[Array, ""], places: Float[Array, "point 3"]
) -> tuple[Float[Array, " point"], OriginTime]:
    """Log-density of places with origin time integrated out, and origin time there; -inf outside the region."""
    inside = ((places >= problem.low_km) & (places <= problem.high_km)).all(-1)
    places = jnp.clip(places, problem.low_km, problem.high_km)
    origin = over_origin(problem.errors, residuals_at(problem.errors, problem.picks, problem.travel, places, 0.0))
    low, high = question.region.origin_s
    known = jnp.isfinite(origin.variance_s2)
    mean = jnp.where(known, origin.mean_s, (low + high) / 2 - reference_s)
    variance = jnp.minimum(origin.variance_s2, (high - low) ** 2 / 12)
    prior = question.log_prior(places, mean[:, None] + reference_s, jnp.zeros(()))[:, 0]
    density = jnp.where(inside, origin.log_evidence + prior, -jnp.inf)
    return density, OriginTime(density, mean, variance)


def _first(problem: Problem, start: Components) -> Pieces:
    """Pieces at the ends of climbs from places all over the region, and those of `start`."""
    size = problem.high_km - problem.low_km
    # An additive recurrence, which fills the box evenly (Roberts 2018: the root of x^4 = x + 1 for three dimensions).
    ratio = 1.2207440846057596
    unit = (0.5 + jnp.arange(1, ANCHORS + 1)[:, None] * ratio ** -jnp.arange(1.0, 4.0)) % 1.0
    patch = size / ANCHORS ** (1 / 3)

    def of_anchor(place_km: Float[Array, " 3"]) -> tuple[Array, Array]:
        anchor = Anchor(place_km, patch**-2)
        fit = climb(problem, place_km, STEPS, anchor=anchor)
        return fit.place_km, _local_tril(problem, fit, patch)

    anchored = Pieces(*jax.vmap(of_anchor)(problem.low_km + size * unit))
    known = Pieces(start.mean[:, :3], triangular(start.scale_tril[:, :3]))
    usable = jnp.isfinite(known.middle_km).all(-1) & jnp.isfinite(known.scale_tril_km).all((-1, -2))
    middle = jnp.where(usable[:, None], known.middle_km, anchored.middle_km[0])
    tril = jnp.where(usable[:, None, None], known.scale_tril_km, anchored.scale_tril_km[0])
    return Pieces(jnp.concatenate([anchored.middle_km, middle]), jnp.concatenate([anchored.scale_tril_km, tril]))


def _trial(problem: Problem, place_km: Float[Array, " 3"], origin_s: Float[Array, ""]) -> Trial:
    return Trial(place_km, origin_s, *times_and_slopes(problem.travel, place_km), jnp.zeros(()))


def _local_tril(problem: Problem, at: Trial, patch_km: Float[Array, " 3"]) -> Float[Array, "3 3"]:
    """Cholesky factor of the covariance of place, no wider than a patch."""
    information = equations(problem, at, weighed(problem, at), observed=True).information + jnp.diag(patch_km**-2)
    return _inverse_root(information)


def _inverse_root(information: Float[Array, "3 3"]) -> Float[Array, "3 3"]:
    """The lower triangle L with L Lᵀ = information⁻¹."""
    flipped = lower_cholesky(information[::-1, ::-1])[::-1, ::-1]
    return lower_inverse(flipped.T)


def _drawn(key: Key[Array, ""], at: At, problem: Problem, found: Pieces, draws: int) -> Sample:
    """Draws of each piece, a few of them from the whole region, with their importance weights."""
    key_normal, key_where, key_which = jax.random.split(key, 3)
    piece = jnp.repeat(jnp.arange(len(found.middle_km)), draws)
    white = jax.random.normal(key_normal, (len(piece), 3))
    place = found.middle_km[piece] + jnp.einsum("nij,nj->ni", found.scale_tril_km[piece], white)
    anywhere = jax.random.uniform(key_where, place.shape, minval=problem.low_km, maxval=problem.high_km)
    defence = jax.random.uniform(key_which, (len(piece),)) < DEFENCE
    place = jnp.where(defence[:, None], anywhere, place)
    log_flat = -jnp.log(problem.high_km - problem.low_km).sum() + jnp.log(DEFENCE)
    proposal = jnp.logaddexp(_log_density(found, place) + jnp.log1p(-DEFENCE), log_flat)
    density, origin = at(place)
    return Sample(place, origin.mean_s, density - proposal, piece)


def _log_density(found: Pieces, place: Float[Array, "draw 3"]) -> Float[Array, " draw"]:
    """Log-density of the mixture of pieces."""
    white = jnp.einsum("pij,npj->npi", lower_inverse(found.scale_tril_km), place[:, None] - found.middle_km)
    log_scale = jnp.log(jnp.diagonal(found.scale_tril_km, axis1=-2, axis2=-1)).sum(-1)
    each = -0.5 * (white**2).sum(-1) - log_scale - 1.5 * jnp.log(2 * jnp.pi)
    return logsumexp(each, axis=-1) - jnp.log(len(found.middle_km))


def _placed_anew(key: Key[Array, ""], problem: Problem, sample: Sample) -> Pieces:
    """Pieces about places resampled by their weights (systematic resampling)."""
    weight = jax.nn.softmax(sample.log_weight)
    levels = (jnp.arange(PIECES) + jax.random.uniform(key)) / PIECES
    chosen = jnp.minimum(jnp.searchsorted(jnp.cumsum(weight), levels), len(weight) - 1)
    mean = weight @ sample.place_km
    sd = jnp.sqrt(weight @ (sample.place_km - mean) ** 2)
    patch = PATCH * jnp.maximum(sd, 1e-2)
    places = sample.place_km[chosen]

    def of_place(place_km: Float[Array, " 3"], origin_s: Float[Array, ""]) -> Float[Array, "3 3"]:
        return _local_tril(
            problem, Trial(place_km, origin_s, *times_and_slopes(problem.travel, place_km), jnp.zeros(())), patch
        )

    return Pieces(places, jax.vmap(of_place)(places, sample.origin_s[chosen]))


def _mixture(at: At, problem: Problem, found: Pieces, sample: Sample) -> Components:
    """A component a draw, drawn together towards its piece so that the piece keeps its width (West 1993, JRSS B 55)."""
    own = found.middle_km[sample.piece]
    near = (jnp.abs(sample.place_km - own) < 6 * jnp.linalg.norm(found.scale_tril_km[sample.piece], axis=-1)).all(-1)
    place = jnp.where(near[:, None], own + jnp.sqrt(1 - KERNEL**2) * (sample.place_km - own), sample.place_km)
    place = jnp.clip(place, problem.low_km, problem.high_km)
    origin = at(place)[1]
    rows = jnp.zeros((len(place), 4, 4)).at[:, :3, :3].set(KERNEL * found.scale_tril_km[sample.piece])

    def slope(place_km: Float[Array, " 3"], origin_s: Float[Array, ""]) -> Float[Array, " 3"]:
        here = _trial(problem, place_km, origin_s)
        return equations(problem, here, weighed(problem, here)).mean_slope_s_km

    rows = rows.at[:, 3, :3].set(-jnp.einsum("ni,nij->nj", jax.vmap(slope)(place, origin.mean_s), rows[:, :3, :3]))
    rows = rows.at[:, 3, 3].set(jnp.sqrt(origin.variance_s2))
    return Components(sample.log_weight, jnp.concatenate([place, origin.mean_s[:, None]], -1), rows)
