"""Recalibration: maps of posteriors to posteriors, fitted to events whose truth is known.

A map works on one coordinate at a time (two of them with one number for all), leaves the order of things along it as
it was, and takes Gaussian mixtures to Gaussian mixtures, so that every score and every file comes of the recalibrated
posterior as of the stated one. It is to be fitted to events that nothing else was fitted to or chosen on.

`MAPS` holds what there is, by name. All functions are over batches of events, and compile once for a batch: which
events a map is fitted to is a mask.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr, ndtri
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from jaxloc.calibration.conformal import fold_of
from jaxloc.distributions.gaussian_mixture import (
    Components,
    HypocentreMixture,
    components,
    covariance,
    gaussian_mixture,
    marginal,
    mean,
)
from jaxloc.types import COORDINATES, Label, Posterior

KNOTS = 19  # quantiles that a map by quantiles is fitted at: each twentieth
FURTHEST = 4.0  # standard deviations within which quantiles are mapped; further out all is shifted alike
LOG_TEMPERATURES = np.linspace(np.log(0.02), np.log(50.0), 241)
NODES, SPAN = 1025, 8.0  # of tabulated marginals, and standard deviations on either side of the mean
LEAST = 1e-5  # shares below it, and above one less it, are not told from nothing in single precision
PIECES = 1000  # components of a posterior mapped by quantiles
GRAIN = 0.5  # width of such a piece, in widths of its component: narrower ones leave holes in four dimensions


class Recalibration(NamedTuple):
    """A fitted map: the name of its kind, and its numbers, `[4, n]` or `[4]` for the `COORDINATES`."""

    kind: str
    values: Float[np.ndarray, "4 ..."]


def fit(kind: str, posterior: Posterior, truth: Label, use: Bool[np.ndarray, " event"] | None = None) -> Recalibration:
    """Fit a map to the events of `use` (all, if None) whose truth is known.

    Args:
        kind: one of `MAPS`.
        posterior: of a batch of events.
        truth: "hypocentre" labels, [event, 4]; a coordinate that is never known is left as it is.
        use: which events to fit to.

    Raises:
        ValueError: where there is no such map, or no event with a known epicentre; says which there are.
    """
    of = _named(kind)
    return Recalibration(kind, of.fit(of.look(posterior, truth), _known(truth, use)))


def _named(kind: str) -> "Map":
    if kind not in MAPS:
        raise ValueError(f"no such recalibration: {kind!r}; use one of {', '.join(MAPS)}")
    return MAPS[kind]


def _known(truth: Label, use: np.ndarray | None) -> Bool[np.ndarray, "event 4"]:
    known = np.asarray(truth.mask) & (True if use is None else np.asarray(use)[:, None])
    if not known[:, :2].all(-1).any():
        raise ValueError("no event with a known epicentre to calibrate with; give some whose truth is known")
    return known


def recalibrated(key: PRNGKeyArray, recalibration: Recalibration, posterior: Posterior) -> Posterior:
    """The posteriors of a batch of events through a fitted map."""
    values = jnp.asarray(recalibration.values)
    number = len(posterior.epistemic)
    return MAPS[recalibration.kind].apply(key, jnp.broadcast_to(values, (number, *values.shape)), posterior)


def cross_fitted(
    key: PRNGKeyArray,
    kind: str,
    posterior: Posterior,
    truth: Label,
    *,
    altered: Posterior | None = None,
    folds: int = 5,
    seed: int = 0,
) -> Posterior:
    """Posteriors of events, each through a map fitted to the events of the other folds alone.

    `altered` are posteriors of the same events under other conditions, to be mapped in place of their own.

    Raises:
        ValueError: where there are fewer events than folds, or fewer than two folds.
    """
    of, fold = _named(kind), fold_of(len(truth.mask), folds, seed)
    seen = of.look(posterior, truth)
    values = np.stack([of.fit(seen, _known(truth, fold != own)) for own in range(folds)])
    return of.apply(key, jnp.asarray(values[fold]), posterior if altered is None else altered)


class Map(NamedTuple):
    """A kind of map.

    `look(posterior, truth)` asks all events once for what a fit needs, `fit(seen, known)` makes numbers of what those
    have told that count, and `apply(key, numbers, posterior)` maps each event by numbers of its own.
    """

    look: Callable[[Posterior, Label], Any]
    fit: Callable[[Any, np.ndarray], np.ndarray]
    apply: Callable[[PRNGKeyArray, Array, Posterior], Posterior]


# Temperature: covariances times a number, the mean held (Guo and others 2017 for the idea; of a normal distribution
# it is exactly the density to the power of 1 / temperature).


def _warmer(key: PRNGKeyArray, temperature: Float[Array, "event 4"], posterior: Posterior) -> Posterior:
    """Every mixture stretched about its mean, along each coordinate by the root of its temperature."""
    scale = jnp.sqrt(temperature)
    parts, middle = components(posterior.hypocentre), mean(posterior.hypocentre)[..., None, :]
    apart, tril = parts.mean - middle, scale[:, None, :, None] * parts.scale_tril
    stretched = gaussian_mixture(parts.log_weight, middle + scale[:, None] * apart, tril)
    outer = scale[:, :, None] * scale[:, None]
    return posterior._replace(
        hypocentre=stretched, epistemic=outer * posterior.epistemic, aleatoric=outer * posterior.aleatoric
    )


@partial(jax.jit, static_argnums=2)
def _log_likelihoods(mixture: HypocentreMixture, truth: Float[Array, "event 4"], dims: tuple[int, ...]) -> Array:
    """Log-density of truths at each of `LOG_TEMPERATURES`, [temperature, event]."""
    part = marginal(mixture, dims)
    middle, value = mean(part), truth[:, jnp.array(dims)]

    def at(log_temperature: Array) -> Array:
        scale = jnp.exp(0.5 * log_temperature)
        return part.log_prob(middle + (value - middle) / scale) - len(dims) * jnp.log(scale)

    return jax.lax.map(at, jnp.asarray(LOG_TEMPERATURES, value.dtype))


Tables = dict[tuple[int, ...], np.ndarray]
"""By coordinates: log-densities of truths at each temperature, [temperature, event]."""


def _tabulated(posterior: Posterior, truth: Label, which: list[tuple[int, ...]]) -> Tables:
    mixture, value = gaussian_mixture(*components(posterior.hypocentre)), jnp.asarray(truth.value)
    return {dims: np.asarray(_log_likelihoods(mixture, value, dims), float) for dims in which}


def _best(table: np.ndarray, seen: np.ndarray) -> float:
    """The temperature of highest likelihood of the truths of some events; 1 where there is none."""
    if not seen.any():
        return 1.0
    total = table[:, seen].sum(1)
    best = int(np.clip(total.argmax(), 1, len(total) - 2))
    # The vertex of the parabola through the best three: a hundredth of the table's step.
    below, at, above = total[best - 1 : best + 2]
    bend = below - 2 * at + above
    step = LOG_TEMPERATURES[1] - LOG_TEMPERATURES[0]
    shift = np.clip(0.5 * (below - above) / bend, -1, 1) if bend < 0 else 0.0
    return float(np.exp(LOG_TEMPERATURES[best] + shift * step))


def _look_at_all(posterior: Posterior, truth: Label) -> Tables:
    """Of as many coordinates together as some truth knows."""
    known = np.asarray(truth.mask)
    together = ((0, 1), (0, 1, 2), (0, 1, 2, 3))
    dims = max(together, key=lambda d: (known[:, list(d)].all(-1).any(), len(d)))
    return _tabulated(posterior, truth, [dims])


def _joint(tables: Tables, known: np.ndarray) -> np.ndarray:
    """One temperature for space and time."""
    (dims,) = tables
    return np.full(len(COORDINATES), _best(tables[dims], np.asarray(known[:, list(dims)].all(-1))))


def _look_at_each(posterior: Posterior, truth: Label) -> Tables:
    return _tabulated(posterior, truth, [(i,) for i in range(len(COORDINATES))])


def _each(tables: Tables, known: np.ndarray) -> np.ndarray:
    """A temperature for each coordinate, by its marginal alone."""
    return np.array([_best(table, known[:, i]) for (i,), table in tables.items()])


# Quantiles: the stated quantile of each coordinate to the one at which that share of truths lies (Kuleshov and others
# 2018, algorithm 1: their isotonic regression of shares on stated levels is the empirical distribution of the levels).


def _look_at_levels(posterior: Posterior, truth: Label) -> np.ndarray:
    return np.asarray(_levels(gaussian_mixture(*components(posterior.hypocentre)), jnp.asarray(truth.value)))


def _quantiles(level: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Normal scores of the stated levels below which k / (`KNOTS` + 1) of truths lie, [4, KNOTS]."""
    share = np.arange(1, KNOTS + 1) / (KNOTS + 1)
    found = np.tile(np.asarray(ndtri(share)), (len(COORDINATES), 1))
    for i in range(len(COORDINATES)):
        if known[:, i].sum() >= 2:
            # Weibull's plotting positions: of n truths the r-th lies where r / (n + 1) are expected.
            found[i] = np.quantile(level[known[:, i], i], share, method="weibull")
    return np.clip(found, -FURTHEST, FURTHEST)


@jax.jit
def _levels(mixture: HypocentreMixture, value: Float[Array, "event 4"]) -> Float[Array, "event 4"]:
    """Normal scores of the stated distribution functions at values."""
    nodes, scores = _tables(mixture)
    return jax.vmap(jax.vmap(_through))(value, nodes, scores)


def _tables(mixture: HypocentreMixture) -> tuple[Float[Array, "event 4 node"], Float[Array, "event 4 node"]]:
    """Marginals: values, and the normal scores of their distribution functions."""
    sd = jnp.sqrt(mixture.variance)[..., None]
    nodes = mixture.mean[..., None] + sd * jnp.linspace(-SPAN, SPAN, NODES)

    def of_event(each: tuple[HypocentreMixture, Array]) -> Array:
        log_weight, middle, tril = components(each[0])
        width = jnp.broadcast_to(jnp.sqrt((tril**2).sum(-1)), middle.shape)
        of_one = lambda at, m, w: ndtr((at[:, None] - m) / w) @ jnp.exp(log_weight)
        return jax.vmap(of_one, (0, 1, 1))(each[1], middle, width)

    below = jax.lax.map(of_event, (mixture, nodes))
    scores = ndtri(jnp.clip(below, LEAST, 1 - LEAST))
    # Where single precision ends, the tails of a normal; and a table that is looked up both ways rises everywhere.
    under, over = (jnp.where(side, nodes - edge, 0.0) / sd for side, edge in _tails(below, nodes))
    return nodes, scores + under + over + 1e-4 * jnp.linspace(-SPAN, SPAN, NODES)


def _tails(below: Float[Array, "*axes node"], nodes: Float[Array, "*axes node"]) -> list[tuple[Array, Array]]:
    """The nodes under and over which the distribution function is too close to zero and one, and where they begin."""
    under, over = below <= LEAST, below >= 1 - LEAST
    first = jnp.where(under, nodes, -jnp.inf).max(-1, keepdims=True)
    last = jnp.where(over, nodes, jnp.inf).min(-1, keepdims=True)
    return [(under, first), (over, last)]


def _through(value: Array, x: Float[Array, " node"], y: Float[Array, " node"]) -> Array:
    """Linear interpolation in a rising table, with the slope of its whole beyond its ends."""
    slope = (y[-1] - y[0]) / (x[-1] - x[0])
    beyond = slope * (jnp.minimum(value - x[0], 0) + jnp.maximum(value - x[-1], 0))
    return jnp.interp(value, x, y) + beyond


def _by_quantiles(key: PRNGKeyArray, knots: Float[Array, "event 4 knot"], posterior: Posterior) -> Posterior:
    """Pieces of every mixture carried along; a piece keeps its correlations and is stretched by the map's slope."""
    mixture = gaussian_mixture(*components(posterior.hypocentre))
    keys = jax.random.split(key, mixture.batch_shape[0])
    new = _carried(keys, knots, mixture)
    scale = jnp.sqrt(new.variance / mixture.variance)
    epistemic = scale[..., :, None] * scale[..., None, :] * posterior.epistemic
    return posterior._replace(hypocentre=new, epistemic=epistemic, aleatoric=covariance(new) - epistemic)


@jax.jit
def _carried(keys: PRNGKeyArray, knots: Float[Array, "event 4 knot"], mixture: HypocentreMixture) -> HypocentreMixture:
    nodes, scores = _tables(mixture)
    wanted = ndtri(jnp.arange(1, KNOTS + 1) / (KNOTS + 1))

    def carry(value: Array, nodes: Array, scores: Array, stated: Array) -> Array:
        """The value whose stated level is the one that truths have where this value's level is wanted."""
        score = _through(value, nodes, scores)
        shift = jnp.interp(score, wanted, stated - wanted)
        return _through(score + shift, scores, nodes)

    def of_event(
        key: PRNGKeyArray, knots: Array, one: HypocentreMixture, nodes: Array, scores: Array
    ) -> tuple[Array, Array]:
        points, tril = _pieces(key, one)
        along = jax.vmap(carry)
        moved = jax.vmap(lambda point: along(point, nodes, scores, knots))(points)
        slope = jax.vmap(lambda point: jax.vmap(jax.grad(carry))(point, nodes, scores, knots))(points)
        return moved, slope[..., None] * tril

    moved, tril = jax.lax.map(lambda each: of_event(*each), (keys, knots, mixture, nodes, scores))
    equal = jnp.full(moved.shape[:-1], -math.log(PIECES))
    return HypocentreMixture(Components(equal, moved, tril))


def _pieces(key: PRNGKeyArray, mixture: HypocentreMixture) -> tuple[Array, Array]:
    """Narrow normals that make up a mixture: a normal is a narrower one carried around by a normal."""
    log_weight, middle, tril = components(mixture)
    key_which, key_where = jax.random.split(key)
    # Evenly spaced through the cumulative weights: each component gets its share of pieces, not its luck.
    at = (jnp.arange(PIECES) + jax.random.uniform(key_which)) / PIECES
    which = jnp.clip(jnp.searchsorted(jnp.cumsum(jnp.exp(log_weight)), at), 0, log_weight.shape[0] - 1)
    own = tril[jnp.minimum(which, tril.shape[0] - 1)]
    normal = jax.random.normal(key_where, (PIECES, middle.shape[-1]))
    away = jnp.einsum("nij,nj->ni", own, normal) * jnp.sqrt(1 - GRAIN**2)
    return middle[which] + away, GRAIN * own


MAPS = {
    "none": Map(
        lambda posterior, truth: None,
        lambda seen, known: np.ones(len(COORDINATES)),
        lambda key, values, posterior: posterior,
    ),
    "temperature": Map(_look_at_all, _joint, jax.jit(_warmer)),
    "temperatures": Map(_look_at_each, _each, jax.jit(_warmer)),
    "quantiles": Map(_look_at_levels, _quantiles, _by_quantiles),
}
