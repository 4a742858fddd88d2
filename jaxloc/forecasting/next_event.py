"""When and where the next large event comes, as distributions: waiting times with censoring, places as a mixture.

A waiting time that is not over tells that it is longer than it has been so far: its likelihood is the survival
function, not a density. Left out, open intervals would make waiting times short.
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

LIMIT = 4.0
SHY = -2.0  # log odds that the network's own place gets before it says anything
SIZE, PUBLISHED_SIZE = 7, 3  # raw numbers: two of time and five of place; published, time, east and north
ALONE = 20.0  # log odds of the published place, which nothing is mixed with
KINDS = ("log_normal", "weibull", "normal")


class Waiting(NamedTuple):
    """Waiting times: location and scale of the logarithm of days, normal or (Weibull) of least extremes; or of days."""

    location: Float[Array, ""]
    scale: Float[Array, ""]


class Places(NamedTuple):
    """Where large events were: normal kernels at training events; middle and spread (km) of them all."""

    kernels_km: Float[Array, "event 2"]
    width_km: Float[Array, ""]
    middle_km: Float[Array, " 2"]
    spread_km: Float[Array, ""]


class Next(NamedTuple):
    """What came next: waiting time in days, whether it is over, and where (km east and north; 0 if it is not).

    `waited_days` had passed without an event when the forecast was made.
    """

    waiting_days: Float[Array, "*event"]
    over: Bool[Array, "*event"]
    place_km: Float[Array, "*event 2"]
    waited_days: Float[Array, "*event"]


class Own(NamedTuple):
    """The part of a mixture that is the network's own: its weight, middle and spread (km)."""

    log_odds: Float[Array, ""]
    middle_km: Float[Array, " 2"]
    spread_km: Float[Array, " 2"]


def log_waiting(kind: str, waiting: Waiting, days: Float[Array, ""], over: Bool[Array, ""]) -> Float[Array, ""]:
    """Log density of a waiting time in days that is over, log survival of one that is not.

    Raises:
        ValueError: for a kind of distribution that does not exist.
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
    """The time in days by which the event has come with a probability, given how long it has not."""
    survived = jnp.exp(log_waiting(kind, waiting, jnp.maximum(waited_days, 1e-6), jnp.asarray(False)))
    gone = jnp.where(waited_days > 0, 1 - survived, 0.0)
    level = jnp.clip(gone + (1 - gone) * level, 1e-7, 1 - 1e-6)
    z = jnp.log(-jnp.log1p(-level)) if kind == "weibull" else jax.scipy.stats.norm.ppf(level)
    at = waiting.location + waiting.scale * z
    return jnp.maximum(at, waited_days) if kind == "normal" else jnp.exp(at)


def fitted_waiting(kind: str, days: Float[np.ndarray, " event"], over: Bool[np.ndarray, " event"]) -> Waiting:
    """The distribution of highest likelihood of training intervals, the open one among them."""

    def loss(at: np.ndarray) -> float:
        waiting = Waiting(jnp.asarray(at[0]), jnp.exp(at[1]))
        return -float(log_waiting(kind, waiting, jnp.asarray(days), jnp.asarray(over)).sum())

    known = days if kind == "normal" else np.log(days)
    start = np.array([known.mean(), math.log(max(known.std(), 0.1))])
    found = minimize(loss, start, method="Nelder-Mead").x
    return Waiting(jnp.float32(found[0]), jnp.float32(np.exp(found[1])))


def fitted_exponential(days: Float[np.ndarray, " event"], over: Bool[np.ndarray, " event"]) -> float:
    """The mean waiting time of a Poisson process: all time over the number of events."""
    return float(days.sum() / max(over.sum(), 1))


def places_of(place_km: Float[np.ndarray, "event 2"]) -> Places:
    """Kernels by Silverman's rule (1986), no less than 5 km wide."""
    spread = float(np.sqrt(place_km.var(0).mean()))
    width = max(spread * len(place_km) ** (-1 / 6), 5.0)
    return Places(*(jnp.asarray(x, jnp.float32) for x in (place_km, width, place_km.mean(0), spread)))


def changed_waiting(raw: Float[Array, " raw"], usual: Waiting) -> Waiting:
    """The waiting time after what a network says; zeros change nothing."""
    if len(raw) == PUBLISHED_SIZE:
        return Waiting(usual.location + usual.scale * raw[0], usual.scale)
    shift, widen = LIMIT * jnp.tanh(raw[:2] / LIMIT)
    return Waiting(usual.location + usual.scale * shift, usual.scale * jnp.exp(0.5 * widen))


def own_place(raw: Float[Array, " raw"], usual: Places) -> Own:
    """The network's own part of the mixture; zeros say that of all places, with little weight."""
    if len(raw) == PUBLISHED_SIZE:
        middle = usual.middle_km + usual.spread_km * raw[1:]
        return Own(jnp.asarray(ALONE), middle, jnp.broadcast_to(usual.spread_km, (2,)))
    places = LIMIT * jnp.tanh(raw[2:] / LIMIT)
    middle = usual.middle_km + usual.spread_km * places[1:3]
    return Own(SHY + places[0], middle, usual.spread_km * jnp.exp(0.5 * places[3:]))


def log_place(own: Own, usual: Places, place_km: Float[Array, " 2"]) -> Float[Array, ""]:
    """Log density of a place, per square kilometre: kernels at past events and the network's own normal, mixed."""
    share = jax.nn.log_sigmoid(own.log_odds)
    normal = dist.Normal(own.middle_km, own.spread_km).log_prob(place_km)
    return jnp.logaddexp(share + jnp.sum(jnp.asarray(normal)), share - own.log_odds + log_rate(usual, place_km))


def log_rate(usual: Places, place_km: Float[Array, " 2"]) -> Float[Array, ""]:
    """Log density of the rate map: kernels at past events."""
    each = dist.Normal(usual.kernels_km, usual.width_km).log_prob(place_km)
    return logsumexp(jnp.asarray(each).sum(-1)) - jnp.log(len(usual.kernels_km))


def middle_km(own: Own, usual: Places) -> Float[Array, " 2"]:
    """The mean of the mixture."""
    share = jax.nn.sigmoid(own.log_odds)
    return share * own.middle_km + (1 - share) * usual.kernels_km.mean(0)


def log_likelihood(
    kind: str, waiting: Waiting, places: Places, raw: Float[Array, " raw"], target: Next
) -> Float[Array, ""]:
    """Of a waiting time and, where it is over, of the place (nats)."""
    when = log_time(kind, changed_waiting(raw, waiting), target)
    return when + jnp.where(target.over, log_place(own_place(raw, places), places, target.place_km), 0.0)


def log_time(kind: str, waiting: Waiting, target: Next) -> Float[Array, ""]:
    """Log density, or survival, of a waiting time, given how long there had been no event when it was forecast."""
    waited = jnp.maximum(target.waited_days, 1e-6)
    before = jnp.where(target.waited_days > 0, log_waiting(kind, waiting, waited, jnp.asarray(False)), 0.0)
    return log_waiting(kind, waiting, target.waiting_days, target.over) - before
