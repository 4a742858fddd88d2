"""The rule that every network of one station must beat: distance by S minus P, direction by the first motion of P.

Distance is the time from P to S times a speed, direction that in which P shakes the ground in its first second, with
the sign of the vertical deciding between the two ends of that line. Nothing is learnt but how wrong they are: the
widths of distance and travel time, and the concentration of directions with a share of failures, by maximum likelihood
on training records. `fitted` learns the speeds too, which is a harder rule to beat.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize
from jaxtyping import Array, Float, PRNGKeyArray

from jaxloc.distributions.gaussian_mixture import HypocentreMixture
from jaxloc.heads.single_station import Beforehand, numbers, station
from jaxloc.locators.single_station import combined
from jaxloc.networks.single_record import cut, polarisation, record_of
from jaxloc.per_station import at_stations, placed, rows_of
from jaxloc.physics.adaptive_grid import Region
from jaxloc.types import Batch, Head, LocateEvent, Observations, Posterior

DIRECTIONS = 2  # as P shakes the ground, and anywhere
START = (-1.0, -1.0, 1.0, 1.0)  # widths of distance and travel time, log-concentration, log-odds of its being right
SIZE = sum(numbers(DIRECTIONS, depth=False)) + 4


class Rule(NamedTuple):
    """What is learnt: raw numbers of `station_head`, in units of what the rule says itself.

    Widths of distance and travel time, logarithm of the concentration, log-odds of a direction that is none of the
    failures; and what distance and travel time are off by, zero for the rule as it is.
    """

    widths: Float[Array, " 2"]
    log_concentration: Float[Array, ""]
    log_odds: Float[Array, ""]
    offsets: Float[Array, " 2"]


def sp_rule(
    rule: Rule, before: Beforehand, prior: HypocentreMixture, region: Region, *, shake: int = 50
) -> LocateEvent:
    """Locate one event by the rule; deterministic: the key is not used. `shake` is the first second of P in samples.

    Several stations are combined as those of networks are (`jaxloc.locators.single_station`).
    """
    combine = combined(head_of(before), prior, region)

    def locate(key: PRNGKeyArray, observations: Observations) -> Posterior:
        raw = at_stations(lambda row: raw_of(rule, measured(row, shake)), observations)
        return combine(jax.tree.map(lambda x: x[None], raw))

    return locate


def head_of(before: Beforehand) -> Head:
    """The head of the rule's raw numbers at a station; depth is the catalogue's."""
    return placed(station(before, DIRECTIONS, depth=False), SIZE)


def measured(observations: Observations, shake: int) -> Float[Array, " 6"]:
    """What the rule takes of a record: direction of P's motion (north, east), then what `station_head` is passed."""
    record = record_of(observations)
    p = jnp.round(record.pick[0]).astype(int)
    motion = polarisation(cut(record.waveforms, p, shake))
    told = motion.known & record.known[0]
    towards = jnp.stack([jnp.cos(motion.back_azimuth_rad), jnp.sin(motion.back_azimuth_rad)])
    passed = jnp.stack([record.pick[0] / record.rate_hz, record.wait_s, record.known[0], record.known.all()])
    return jnp.concatenate([jnp.where(told, towards, 0.0), passed])


def raw_of(rule: Rule, measures: Float[Array, " 6"]) -> Float[Array, " raw"]:
    """Raw numbers of the head; zeros, which say the catalogue's distances, where P or S is not picked."""
    far = jnp.stack([rule.offsets, rule.widths], -1).ravel() * measures[-1]
    pair = jnp.exp(rule.log_concentration) * measures[:2]
    return jnp.concatenate([far, pair, jnp.zeros(2), rule.log_odds[None], measures[2:]])


def learnt(batches: Sequence[Batch], before: Beforehand, *, shake: int = 50, fitted: bool = False) -> Rule:
    """The likeliest rule of training records, given in batches.

    Raises:
        ValueError: where there is no batch.
    """
    if not batches:
        raise ValueError("the rule of S minus P needs training records to learn how wrong it is; got none")
    measure = jax.jit(jax.vmap(lambda seen: jax.vmap(lambda row: measured(row, shake))(rows_of(seen))))
    measures = np.concatenate([np.asarray(measure(batch.observations)) for batch in batches])
    station_km = np.concatenate([np.asarray(batch.observations.station_km) for batch in batches])
    labels = [batch.labels["hypocentre"] for batch in batches]
    label = jax.tree.map(lambda *x: np.concatenate(x), *labels)
    at = station(before, DIRECTIONS, depth=False)

    def loss(vector: Float[Array, " 6"]) -> Float[Array, ""]:
        rule = rule_of(vector, fitted)
        of_row = lambda row, place, told: at(place).log_likelihood(raw_of(rule, row), {"hypocentre": told})
        of_event = lambda rows, places, told: jax.vmap(lambda r, p: of_row(r, p, told))(rows, places).sum()
        return -jax.vmap(of_event)(measures, station_km, label).mean() + 1e-3 * (vector**2).sum()

    return rule_of(jnp.asarray(_lowest(loss)), fitted)


def rule_of(vector: Float[Array, " 6"], fitted: bool) -> Rule:
    """A rule from its six numbers; the last two count where speeds are fitted."""
    return Rule(vector[:2], vector[2], vector[3], vector[4:] * fitted)


def _lowest(loss: Callable[[Array], Array]) -> np.ndarray:
    slope = jax.jit(jax.value_and_grad(loss))
    start = np.array([*START, 0.0, 0.0])
    both = lambda x: tuple(np.asarray(part, float) for part in slope(jnp.asarray(x, jnp.float32)))
    return scipy.optimize.minimize(both, start, jac=True, method="L-BFGS-B", bounds=[(-8.0, 8.0)] * 6).x


__all__ = ["Rule", "learnt", "sp_rule"]
