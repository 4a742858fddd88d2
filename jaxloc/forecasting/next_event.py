"""Time and place of the next large event as distributions: censored waiting times, and a mixture of places.

The likelihood of an open waiting time is the survival function, not a density. Leaving open intervals out would bias
waiting times low.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.scipy.special import logsumexp
from jaxtyping import Array, Bool, Float
from scipy.optimize import minimize

from jaxloc.distributions.bandwidth import silverman

LIMIT = 4.0
INITIAL_LOG_ODDS = -2.0  # initial log odds of the network's own component
SIZE, PUBLISHED_SIZE = 7, 3  # raw outputs: two of time and five of place; published, time, east and north
PUBLISHED_LOG_ODDS = 20.0  # log odds of the published place, which is the only component
KINDS = ("log_normal", "weibull", "normal")


class Waiting(NamedTuple):
    """Waiting times: location and scale of the logarithm of days, normal or (Weibull) Gumbel; or of days."""

    location: Float[Array, ""]
    scale: Float[Array, ""]


class Places(NamedTuple):
    """Epicentres of large events: normal kernels at training events; mean and spread (km) of them all."""

    kernels_km: Float[Array, "event 2"]
    width_km: Float[Array, ""]
    middle_km: Float[Array, " 2"]
    spread_km: Float[Array, ""]


class Next(NamedTuple):
    """The next event: waiting time in days, whether it ended, and the epicentre (km east and north; 0 if it did not).

    `waited_days` had passed without an event at the issue time.
    """

    waiting_days: Float[Array, "*event"]
    over: Bool[Array, "*event"]
    place_km: Float[Array, "*event 2"]
    waited_days: Float[Array, "*event"]


class Own(NamedTuple):
    """The network's own component of the mixture: weight, mean and spread (km)."""

    log_odds: Float[Array, ""]
    middle_km: Float[Array, " 2"]
    spread_km: Float[Array, " 2"]


def log_waiting(kind: str, waiting: Waiting, days: Float[Array, ""], over: Bool[Array, ""]) -> Float[Array, ""]:
    """Log density of a closed waiting time in days, log survival of an open one.

    Raises:
        ValueError: for an unknown kind of distribution.
    """
    z = _standard(kind, waiting, days)
    if kind == "weibull":
        density, survival = z - jnp.exp(z), -jnp.exp(z)
    else:
        density, survival = -0.5 * z**2 - 0.5 * math.log(2 * math.pi), jax.scipy.stats.norm.logcdf(-z)
    by_day = 0.0 if kind == "normal" else jnp.log(days)
    return jnp.where(over, density - jnp.log(waiting.scale) - by_day, survival)


def _standard(kind: str, waiting: Waiting, days: Float[Array, "*event"]) -> Float[Array, "*event"]:
    if kind not in KINDS:
        raise ValueError(f"waiting must be one of {', '.join(KINDS)}, got {kind!r}")
    z = ((days if kind == "normal" else jnp.log(days)) - waiting.location) / waiting.scale
    return jnp.minimum(z, 20.0)  # of a Weibull, exp(z) is cumulative hazard


def quantile_days(
    kind: str, waiting: Waiting, level: Float[Array, " level"], waited_days: Float[Array, ""]
) -> Float[Array, " level"]:
    """Quantiles of the waiting time in days, conditioned on the time already waited."""
    survived = jnp.exp(log_waiting(kind, waiting, jnp.maximum(waited_days, 1e-6), jnp.asarray(False)))
    gone = jnp.where(waited_days > 0, 1 - survived, 0.0)
    level = jnp.clip(gone + (1 - gone) * level, 1e-7, 1 - 1e-6)
    z = jnp.log(-jnp.log1p(-level)) if kind == "weibull" else jax.scipy.stats.norm.ppf(level)
    at = waiting.location + waiting.scale * z
    return jnp.maximum(at, waited_days) if kind == "normal" else jnp.exp(at)


def fitted_waiting(kind: str, days: Float[np.ndarray, " event"], over: Bool[np.ndarray, " event"]) -> Waiting:
    """The maximum-likelihood distribution of training intervals, including the open one."""

    def loss(at: Float[np.ndarray, " 2"]) -> float:
        waiting = Waiting(jnp.asarray(at[0]), jnp.exp(at[1]))
        return -float(log_waiting(kind, waiting, jnp.asarray(days), jnp.asarray(over)).sum())

    known = days if kind == "normal" else np.log(days)
    start = np.array([known.mean(), math.log(max(known.std(), 0.1))])
    found = minimize(loss, start, method="Nelder-Mead").x
    return Waiting(jnp.float32(found[0]), jnp.float32(np.exp(found[1])))


def fitted_exponential(days: Float[np.ndarray, " event"], over: Bool[np.ndarray, " event"]) -> float:
    """The mean waiting time of a Poisson process: total time divided by the number of events."""
    return float(days.sum() / max(over.sum(), 1))


def places_of(place_km: Float[np.ndarray, "event 2"]) -> Places:
    """Kernels by Silverman's rule (1986), no less than 5 km wide."""
    spread = float(np.sqrt(place_km.var(0).mean()))
    width = max(spread * silverman(len(place_km), 2), 5.0)
    return Places(*(jnp.asarray(x, jnp.float32) for x in (place_km, width, place_km.mean(0), spread)))


def changed_waiting(raw: Float[Array, " raw"], climatology: Waiting) -> Waiting:
    """The waiting time modified by a network's raw outputs; zeros change nothing."""
    if len(raw) == PUBLISHED_SIZE:
        return Waiting(climatology.location + climatology.scale * raw[0], climatology.scale)
    shift, widen = LIMIT * jnp.tanh(raw[:2] / LIMIT)
    return Waiting(climatology.location + climatology.scale * shift, climatology.scale * jnp.exp(0.5 * widen))


def own_place(raw: Float[Array, " raw"], climatology: Places) -> Own:
    """The network's own component of the mixture; zeros give the distribution of all epicentres, with little weight."""
    if len(raw) == PUBLISHED_SIZE:
        middle = climatology.middle_km + climatology.spread_km * raw[1:]
        return Own(jnp.asarray(PUBLISHED_LOG_ODDS), middle, jnp.broadcast_to(climatology.spread_km, (2,)))
    places = LIMIT * jnp.tanh(raw[2:] / LIMIT)
    middle = climatology.middle_km + climatology.spread_km * places[1:3]
    return Own(INITIAL_LOG_ODDS + places[0], middle, climatology.spread_km * jnp.exp(0.5 * places[3:]))


def log_place(own: Own, climatology: Places, place_km: Float[Array, " 2"]) -> Float[Array, ""]:
    """Log density of an epicentre per square kilometre: kernels at past events and the network's own normal."""
    share = jax.nn.log_sigmoid(own.log_odds)
    normal = dist.Normal(own.middle_km, own.spread_km).log_prob(place_km)
    return jnp.logaddexp(share + jnp.sum(jnp.asarray(normal)), share - own.log_odds + log_rate(climatology, place_km))


def log_rate(climatology: Places, place_km: Float[Array, " 2"]) -> Float[Array, ""]:
    """Log density of the rate map: kernels at past events."""
    each = dist.Normal(climatology.kernels_km, climatology.width_km).log_prob(place_km)
    return logsumexp(jnp.asarray(each).sum(-1)) - jnp.log(len(climatology.kernels_km))


def middle_km(own: Own, climatology: Places) -> Float[Array, " 2"]:
    """The mean of the mixture."""
    share = jax.nn.sigmoid(own.log_odds)
    return share * own.middle_km + (1 - share) * climatology.kernels_km.mean(0)


def log_likelihood(
    kind: str, waiting: Waiting, places: Places, raw: Float[Array, " raw"], target: Next
) -> Float[Array, ""]:
    """Log-likelihood of a waiting time and, where it is closed, of the epicentre (nats)."""
    when = log_time(kind, changed_waiting(raw, waiting), target)
    return when + jnp.where(target.over, log_place(own_place(raw, places), places, target.place_km), 0.0)


def log_time(kind: str, waiting: Waiting, target: Next) -> Float[Array, ""]:
    """Log density, or survival, of a waiting time, conditioned on the time waited at the issue time."""
    waited = jnp.maximum(target.waited_days, 1e-6)
    before = jnp.where(target.waited_days > 0, log_waiting(kind, waiting, waited, jnp.asarray(False)), 0.0)
    return log_waiting(kind, waiting, target.waiting_days, target.over) - before
