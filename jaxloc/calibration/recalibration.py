"""Recalibration: maps of posteriors to posteriors, fitted to events whose truth is known.

A recalibration is monotonic in each coordinate and takes distributions over hypocentres to such distributions, so that
every score and every file is computed from the recalibrated posterior as from the predicted one. It is fitted to a
calibration set, held out from training and model selection.

`MAPS` is the registry. All functions are over batches of events and compile once for a batch: the events to fit to are
a mask.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.scipy.special import ndtr, ndtri
from jaxtyping import Array, Bool, Float, Key

from jaxloc.calibration.conformal import fold_of
from jaxloc.distributions.any_distribution import as_mixture, part_of, plain, stretched
from jaxloc.distributions.gaussian_mixture import Components, HypocentreMixture, components, covariance, mean
from jaxloc.types import COORDINATES, Label, Posterior

KNOTS = 19  # quantiles at which quantile recalibration is fitted: each twentieth
FURTHEST = 4.0  # standard deviations within which quantiles are mapped; further out the shift is constant
LOG_TEMPERATURES = np.linspace(np.log(0.02), np.log(50.0), 241)
NODES, SPAN = 1025, 8.0  # of tabulated marginals, and standard deviations on either side of the mean
MIN_PROBABILITY = 1e-5  # probabilities closer to zero or one are lost in single precision
PIECES = 1000  # components of a posterior after quantile recalibration
GRAIN = 0.5  # width of such a piece, in widths of its component: narrower ones leave holes in four dimensions


class Recalibration(NamedTuple):
    """A fitted recalibration: the name of its kind, and its parameters, `[4, n]` or `[4]` for the `COORDINATES`."""

    kind: str
    values: Float[np.ndarray, "4 ..."]


def fit(kind: str, posterior: Posterior, truth: Label, use: Bool[np.ndarray, " event"] | None = None) -> Recalibration:
    """Fit a recalibration to the events of `use` (all, if None) whose truth is known.

    Args:
        kind: one of `MAPS`.
        posterior: of a batch of events.
        truth: "hypocentre" labels, [event, 4]; a coordinate that is never known is unchanged.
        use: mask of the events to fit to.

    Raises:
        ValueError: for an unknown kind, or where no event has a known epicentre; lists the kinds.
    """
    of = _named(kind)
    return Recalibration(kind, of.fit(of.statistics_of(posterior, truth), _known(truth, use)))


def _named(kind: str) -> "Map":
    if kind not in MAPS:
        raise ValueError(f"no such recalibration: {kind!r}; use one of {', '.join(MAPS)}")
    return MAPS[kind]


def _known(truth: Label, use: Bool[np.ndarray, " event"] | None) -> Bool[np.ndarray, "event 4"]:
    known = np.asarray(truth.mask) & (True if use is None else np.asarray(use)[:, None])
    if not known[:, :2].all(-1).any():
        raise ValueError("no event with a known epicentre to calibrate with; use events whose truth is known")
    return known


def recalibrated(key: Key[Array, ""], recalibration: Recalibration, posterior: Posterior) -> Posterior:
    """The recalibrated posteriors of a batch of events."""
    values = jnp.asarray(recalibration.values)
    number = len(posterior.epistemic)
    return MAPS[recalibration.kind].apply(key, jnp.broadcast_to(values, (number, *values.shape)), posterior)


def cross_fitted(
    key: Key[Array, ""],
    kind: str,
    posterior: Posterior,
    truth: Label,
    *,
    altered: Posterior | None = None,
    folds: int = 5,
    seed: int = 0,
) -> Posterior:
    """Posteriors of events, each recalibrated by the events of the other folds alone.

    `altered` are posteriors of the same events under shifted conditions, recalibrated in place of their own.

    Raises:
        ValueError: where there are fewer events than folds, or fewer than two folds.
    """
    of, fold = _named(kind), fold_of(len(truth.mask), folds, seed)
    statistics = of.statistics_of(posterior, truth)
    values = np.stack([of.fit(statistics, _known(truth, fold != own)) for own in range(folds)])
    return of.apply(key, jnp.asarray(values[fold]), posterior if altered is None else altered)


class Map(NamedTuple):
    """A kind of recalibration.

    `statistics_of(posterior, truth)` computes the statistics of all events once, `fit(statistics, known)` the
    parameters from those of the masked events, and `apply(key, numbers, posterior)` recalibrates each event by its own
    parameters.
    """

    statistics_of: Callable[[Posterior, Label], Any]
    fit: Callable[[Any, np.ndarray], np.ndarray]
    apply: Callable[[Key[Array, ""], Array, Posterior], Posterior]


# Temperature: covariances times a factor about a fixed mean (Guo and others 2017 for the idea; for a normal
# distribution it is exactly the density to the power of 1 / temperature).


def _scaled(key: Key[Array, ""], temperature: Float[Array, "event 4"], posterior: Posterior) -> Posterior:
    """Every posterior scaled about its mean, in each coordinate by the root of its temperature."""
    scale = jnp.sqrt(temperature)
    new = stretched(posterior.hypocentre, scale)
    outer = scale[:, :, None] * scale[:, None]
    return posterior._replace(
        hypocentre=new, epistemic=outer * posterior.epistemic, aleatoric=outer * posterior.aleatoric
    )


@partial(jax.jit, static_argnums=2)
def _log_likelihoods(
    posterior: dist.Distribution, truth: Float[Array, "event 4"], dims: tuple[int, ...]
) -> Float[Array, "temperature event"]:
    """Log-density of truths at each of `LOG_TEMPERATURES`, [temperature, event]."""
    part = part_of(posterior, dims)
    middle, value = mean(part), truth[:, jnp.array(dims)]

    def at(log_temperature: Float[Array, ""]) -> Float[Array, " event"]:
        scale = jnp.exp(0.5 * log_temperature)
        return jnp.asarray(part.log_prob(middle + (value - middle) / scale)) - len(dims) * jnp.log(scale)

    return jax.lax.map(at, jnp.asarray(LOG_TEMPERATURES, value.dtype))


Tables = dict[tuple[int, ...], Float[np.ndarray, "temperature event"]]
"""By coordinates: log-densities of truths at each temperature, [temperature, event]."""


def _tabulated(posterior: Posterior, truth: Label, which: list[tuple[int, ...]]) -> Tables:
    place, value = plain(posterior.hypocentre), jnp.asarray(truth.value)
    return {dims: np.asarray(_log_likelihoods(place, value, dims), float) for dims in which}


def _best(table: Float[np.ndarray, "temperature event"], use: Bool[np.ndarray, " event"]) -> float:
    """The temperature of highest likelihood of the masked events' truths; 1 where there is none."""
    if not use.any():
        return 1.0
    total = table[:, use].sum(1)
    best = int(np.clip(total.argmax(), 1, len(total) - 2))
    # The vertex of the parabola through the best three: a hundredth of the table's step.
    below, at, above = total[best - 1 : best + 2]
    bend = below - 2 * at + above
    step = LOG_TEMPERATURES[1] - LOG_TEMPERATURES[0]
    shift = np.clip(0.5 * (below - above) / bend, -1, 1) if bend < 0 else 0.0
    return float(np.exp(LOG_TEMPERATURES[best] + shift * step))


def _joint_statistics(posterior: Posterior, truth: Label) -> Tables:
    """Of the largest set of coordinates that are all known for some event."""
    known = np.asarray(truth.mask)
    together = ((0, 1), (0, 1, 2), (0, 1, 2, 3))
    dims = max(together, key=lambda d: (known[:, list(d)].all(-1).any(), len(d)))
    return _tabulated(posterior, truth, [dims])


def _one_temperature(tables: Tables, known: Bool[np.ndarray, "event 4"]) -> Float[np.ndarray, " 4"]:
    """One temperature for space and time."""
    (dims,) = tables
    return np.full(len(COORDINATES), _best(tables[dims], np.asarray(known[:, list(dims)].all(-1))))


def _marginal_statistics(posterior: Posterior, truth: Label) -> Tables:
    return _tabulated(posterior, truth, [(i,) for i in range(len(COORDINATES))])


def _temperature_each(tables: Tables, known: Bool[np.ndarray, "event 4"]) -> Float[np.ndarray, " 4"]:
    """A temperature for each coordinate, by its marginal alone."""
    return np.array([_best(table, known[:, i]) for (i,), table in tables.items()])


# Quantiles: the predicted quantile of each coordinate to the empirical quantile of the truths (Kuleshov and others
# 2018, algorithm 1: their isotonic regression of shares on predicted levels is the empirical distribution of PIT
# values).


def _level_statistics(posterior: Posterior, truth: Label) -> Float[np.ndarray, "event 4"]:
    return np.asarray(_levels(plain(posterior.hypocentre), jnp.asarray(truth.value)))


def _quantiles(level: Float[np.ndarray, "event 4"], known: Bool[np.ndarray, "event 4"]) -> Float[np.ndarray, "4 knot"]:
    """Normal scores of the PIT values below which k / (`KNOTS` + 1) of truths lie, [4, KNOTS]."""
    share = np.arange(1, KNOTS + 1) / (KNOTS + 1)
    found = np.tile(np.asarray(ndtri(share)), (len(COORDINATES), 1))
    for i in range(len(COORDINATES)):
        if known[:, i].sum() >= 2:
            # Weibull's plotting positions: the r-th of n truths is at r / (n + 1).
            found[i] = np.quantile(level[known[:, i], i], share, method="weibull")
    return np.clip(found, -FURTHEST, FURTHEST)


@jax.jit
def _levels(posterior: dist.Distribution, value: Float[Array, "event 4"]) -> Float[Array, "event 4"]:
    """Normal scores of the predicted distribution functions at values."""
    nodes, scores = _tables(posterior)
    return jax.vmap(jax.vmap(_through))(value, nodes, scores)


def _tables(posterior: dist.Distribution) -> tuple[Float[Array, "event 4 node"], Float[Array, "event 4 node"]]:
    """Marginals: values, and the normal scores of their distribution functions."""
    sd = _sd(posterior)[..., None]
    nodes = mean(posterior)[..., None] + sd * jnp.linspace(-SPAN, SPAN, NODES)

    def of_event(each: tuple[dist.Distribution, Float[Array, "4 node"]]) -> Array:
        return jnp.stack([_below(part_of(each[0], (i,)), at) for i, at in enumerate(each[1])])

    below = jax.lax.map(of_event, (posterior, nodes))
    scores = ndtri(jnp.clip(below, MIN_PROBABILITY, 1 - MIN_PROBABILITY))
    # Beyond single precision, the tails of a normal; a table that is inverted has to increase strictly.
    under, over = (jnp.where(side, nodes - edge, 0.0) / sd for side, edge in _tails(below, nodes))
    return nodes, scores + under + over + 1e-4 * jnp.linspace(-SPAN, SPAN, NODES)


def _below(part: dist.Distribution, at: Float[Array, " node"]) -> Float[Array, " node"]:
    """The distribution function of a mixture over one coordinate."""
    log_weight, middle, tril = components(part)
    return ndtr((at[:, None] - middle[:, 0]) / tril[:, 0, 0]) @ jnp.exp(log_weight)


def _sd(posterior: dist.Distribution) -> Float[Array, "event 4"]:
    return jnp.sqrt(jnp.diagonal(covariance(posterior), axis1=-2, axis2=-1))


def _tails(below: Float[Array, "*axes node"], nodes: Float[Array, "*axes node"]) -> list[tuple[Array, Array]]:
    """Masks of the nodes at which the distribution function is too close to zero and one, and where they begin."""
    under, over = below <= MIN_PROBABILITY, below >= 1 - MIN_PROBABILITY
    first = jnp.where(under, nodes, -jnp.inf).max(-1, keepdims=True)
    last = jnp.where(over, nodes, jnp.inf).min(-1, keepdims=True)
    return [(under, first), (over, last)]


def _through(value: Float[Array, ""], x: Float[Array, " node"], y: Float[Array, " node"]) -> Float[Array, ""]:
    """Linear interpolation in an increasing table, extrapolated with its mean gradient."""
    gradient = (y[-1] - y[0]) / (x[-1] - x[0])
    beyond = gradient * (jnp.minimum(value - x[0], 0) + jnp.maximum(value - x[-1], 0))
    return jnp.interp(value, x, y) + beyond


def _by_quantiles(key: Key[Array, ""], knots: Float[Array, "event 4 knot"], posterior: Posterior) -> Posterior:
    """Pieces of every posterior, transported; a piece keeps its correlations and is scaled by the local derivative.

    Of one that is no Gaussian mixture, pieces are those of the mixture that stands for it
    (`jaxloc.distributions.any_distribution.as_mixture`).
    """
    place = plain(posterior.hypocentre)
    new = _carried(jax.random.split(key, place.batch_shape[0]), knots, place)
    scale = _sd(new) / _sd(place)
    epistemic = scale[..., :, None] * scale[..., None, :] * posterior.epistemic
    return posterior._replace(hypocentre=new, epistemic=epistemic, aleatoric=covariance(new) - epistemic)


@jax.jit
def _carried(
    keys: Key[Array, " event"], knots: Float[Array, "event 4 knot"], posterior: dist.Distribution
) -> HypocentreMixture:
    nodes, scores = _tables(posterior)
    wanted = ndtri(jnp.arange(1, KNOTS + 1) / (KNOTS + 1))

    def carry(
        value: Float[Array, ""],
        nodes: Float[Array, " node"],
        scores: Float[Array, " node"],
        empirical: Float[Array, " knot"],
    ) -> Float[Array, ""]:
        """The value whose predicted level is the empirical one of this value's level."""
        score = _through(value, nodes, scores)
        shift = jnp.interp(score, wanted, empirical - wanted)
        return _through(score + shift, scores, nodes)

    def of_event(
        key: Key[Array, ""],
        knots: Float[Array, "4 knot"],
        one: dist.Distribution,
        nodes: Float[Array, "4 node"],
        scores: Float[Array, "4 node"],
    ) -> tuple[Array, Array]:
        points, tril = _pieces(key, as_mixture(one))
        along = jax.vmap(carry)
        moved = jax.vmap(lambda point: along(point, nodes, scores, knots))(points)
        gradient = jax.vmap(lambda point: jax.vmap(jax.grad(carry))(point, nodes, scores, knots))(points)
        return moved, gradient[..., None] * tril

    moved, tril = jax.lax.map(lambda each: of_event(*each), (keys, knots, posterior, nodes, scores))
    equal = jnp.full(moved.shape[:-1], -math.log(PIECES))
    return HypocentreMixture(Components(equal, moved, tril))


def _pieces(
    key: Key[Array, ""], mixture: HypocentreMixture
) -> tuple[Float[Array, "piece 4"], Float[Array, "piece 4 4"]]:
    """Narrow normals that make up a mixture: a normal is the convolution of a narrower one with a normal."""
    log_weight, middle, tril = components(mixture)
    key_which, key_where = jax.random.split(key)
    # Stratified over the cumulative weights: each component gets its share of pieces.
    at = (jnp.arange(PIECES) + jax.random.uniform(key_which)) / PIECES
    which = jnp.clip(jnp.searchsorted(jnp.cumsum(jnp.exp(log_weight)), at), 0, log_weight.shape[0] - 1)
    own = tril[jnp.minimum(which, tril.shape[0] - 1)]
    normal = jax.random.normal(key_where, (PIECES, middle.shape[-1]))
    away = jnp.einsum("nij,nj->ni", own, normal) * jnp.sqrt(1 - GRAIN**2)
    return middle[which] + away, GRAIN * own


MAPS = {
    "none": Map(
        lambda posterior, truth: None,
        lambda statistics, known: np.ones(len(COORDINATES)),
        lambda key, values, posterior: posterior,
    ),
    "temperature": Map(_joint_statistics, _one_temperature, jax.jit(_scaled)),
    "temperatures": Map(_marginal_statistics, _temperature_each, jax.jit(_scaled)),
    "quantiles": Map(_level_statistics, _quantiles, _by_quantiles),
}
