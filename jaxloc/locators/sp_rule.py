"""S-P rule: distance from the S minus P time, direction from the first motion of P; a baseline of single stations.

Distance is the time from P to S times a speed; direction is the polarisation of the first second of P, the sign of the
vertical component resolving its ambiguity of 180 degrees. Only uncertainties are fitted, by maximum likelihood on
training records: widths of distance and travel time, the concentration of directions and a share of failures. With
`fitted` the speeds are fitted too. Without training records `build` takes textbook widths.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize
from jaxtyping import Array, Float, Key

from jaxloc.distributions.gaussian_mixture import HypocentreMixture, gaussian_mixture
from jaxloc.heads.single_station import UNIT, Beforehand, numbers, station
from jaxloc.locators.over_events import over_events
from jaxloc.locators.setup import Setup, velocity_of
from jaxloc.locators.single_station import combined
from jaxloc.networks.single_record import cut, polarisation, record_of
from jaxloc.per_station import at_stations, placed, rows_of
from jaxloc.physics.adaptive_grid import Region
from jaxloc.physics.layered import mean_speed_km_s
from jaxloc.physics.priors import CRUSTAL_DEPTH_KM
from jaxloc.types import Batch, Head, LocateEvent, Locator, Observations, Posterior

DIRECTIONS = 2  # that of the polarisation, and uniform
START = (-1.0, -1.0, 1.0, 1.0)  # widths of distance and travel time, log-concentration, log-odds of its being right
SIZE = sum(numbers(DIRECTIONS, depth=False)) + 4


class Rule(NamedTuple):
    """Fitted parameters: raw numbers of the station head, relative to the rule itself.

    Widths of distance and travel time, logarithm of the concentration, log-odds of a direction that is none of the
    failures; and what distance and travel time are off by, zero for the rule as it is.
    """

    widths: Float[Array, " 2"]
    log_concentration: Float[Array, ""]
    log_odds: Float[Array, ""]
    offsets: Float[Array, " 2"]


def build(setup: Setup, *, width: float = 1.0, shake_s: float = 1.0) -> Locator:
    """The rule without training: textbook widths, and the mean speeds of the setup's velocity model.

    Epicentral distance has a standard deviation of 25 % of the hypocentral distance plus 1 km, travel time one of 10 %
    plus 0.1 s, both times `width`. Depth has the mean and spread of the catalogue, or `CRUSTAL_DEPTH_KM`. The direction
    is read from the first `shake_s` seconds of P where there are waveforms, and is unknown otherwise.

    Raises:
        ValueError: where there is no velocity model, or `width` or `shake_s` is not positive.
    """
    if not (width > 0 and shake_s > 0):
        raise ValueError(f"width and shake_s of the S-P rule must be positive, got {width} and {shake_s}")
    before = before_of(setup)
    prior, shake = flat_prior(setup.region, before), max(4, round(shake_s * setup.rate_hz))
    return over_events(sp_rule(textbook(width), before, prior, setup.region, shake=shake))


def textbook(width: float = 1.0) -> Rule:
    """The rule without training: no offsets, `width` times the widths of `build`, directions as `START` has them."""
    raw = float(np.log(np.expm1(width)) - UNIT)
    return Rule(jnp.array([raw, raw]), jnp.asarray(START[2]), jnp.asarray(START[3]), jnp.zeros(2))


def before_of(setup: Setup) -> Beforehand:
    """What the rule assumes before a record is read; raises where the setup has no velocity model."""
    model, region = velocity_of(setup, "sp_rule"), setup.region
    low_km, high_km = region.depth_km
    mean_km, sd_km = CRUSTAL_DEPTH_KM
    depth_km = (float(np.clip(mean_km, low_km, high_km)), min(sd_km, (high_km - low_km) / 12**0.5))
    if setup.climatology is not None:
        depth_km = (float(setup.climatology.mean[2]), float(jnp.sqrt(setup.climatology.variance[2])))
    vp_km_s, vs_km_s = (mean_speed_km_s(np.asarray(model.top_km), np.asarray(v), depth_km[0]) for v in model[1:])
    half_km = float(np.hypot(*np.ptp(np.asarray(region[:2]), axis=1))) / 4
    origin_s = (float(np.mean(region.origin_s)), float(np.ptp(region.origin_s)) / 12**0.5)
    return Beforehand((half_km, half_km), depth_km, origin_s, vp_km_s, vp_km_s / vs_km_s)


def flat_prior(region: Region, before: Beforehand) -> HypocentreMixture:
    """Nearly flat in east and north; depth and origin time as known beforehand."""
    centre = [*np.mean(np.asarray(region[:2]), axis=1), before.depth_km[0], before.origin_s[0]]
    spread = [*np.ptp(np.asarray(region[:2]), axis=1), before.depth_km[1], before.origin_s[1]]
    return gaussian_mixture(jnp.zeros(1), jnp.asarray([centre], jnp.float32), jnp.diag(jnp.asarray(spread))[None])


def sp_rule(
    rule: Rule, before: Beforehand, prior: HypocentreMixture, region: Region, *, shake: int = 50
) -> LocateEvent:
    """Locate one event by the rule; deterministic: the key is not used. `shake` is the first second of P in samples.

    Several stations are combined as those of networks are (`jaxloc.locators.single_station`).
    """
    combine = combined(head_of(before), prior, region)

    def locate(key: Key[Array, ""], observations: Observations) -> Posterior:
        raw = at_stations(lambda row: raw_of(rule, measured(row, shake)), observations)
        picked = raw.raw[:, -1]  # a station without P or S adds no information
        return combine(jax.tree.map(lambda x: x[None], raw._replace(active=raw.active * picked)))

    return locate


def head_of(before: Beforehand) -> Head:
    """The head of the rule's raw numbers at a station; depth is the catalogue's."""
    return placed(station(before, DIRECTIONS, depth=False), SIZE)


def measured(observations: Observations, shake: int) -> Float[Array, " 6"]:
    """Measurements of a record: direction of P's motion (north, east), then the timing inputs of the station head."""
    if observations.waveforms is None:
        return jnp.concatenate([jnp.zeros(2), _timing(observations)])
    record = record_of(observations)
    p = jnp.round(record.pick[0]).astype(int)
    motion = polarisation(cut(record.waveforms, p, shake))
    towards = jnp.stack([jnp.cos(motion.back_azimuth_rad), jnp.sin(motion.back_azimuth_rad)])
    passed = jnp.stack([record.pick[0] / record.rate_hz, record.wait_s, record.known[0], record.known.all()])
    return jnp.concatenate([jnp.where(motion.known & record.known[0], towards, 0.0), passed])


def _timing(observations: Observations) -> Float[Array, " 4"]:
    """P pick and S minus P in s, zero where unknown, and whether P, and both, are picked."""
    if observations.picks_s is None or observations.pick_mask is None:
        return jnp.zeros(4)
    known = observations.pick_mask[0] & observations.station_mask[0]
    p_s, s_s = jnp.where(known, observations.picks_s[0], 0.0)
    wait_s = jnp.where(known.all(), jnp.maximum(s_s - p_s, 0.0), 0.0)
    return jnp.stack([p_s, wait_s, known[0].astype(float), known.all().astype(float)])


def raw_of(rule: Rule, measures: Float[Array, " 6"]) -> Float[Array, " raw"]:
    """Raw numbers of the head; zeros, which give the climatology of distance, where P or S is not picked."""
    far = jnp.stack([rule.offsets, rule.widths], -1).ravel() * measures[-1]
    pair = jnp.exp(rule.log_concentration) * measures[:2]
    return jnp.concatenate([far, pair, jnp.zeros(2), rule.log_odds[None], measures[2:]])


def fit_rule(batches: Sequence[Batch], before: Beforehand, *, shake: int = 50, fitted: bool = False) -> Rule:
    """The maximum-likelihood rule of training records, given in batches.

    Raises:
        ValueError: where there is no batch.
    """
    if not batches:
        raise ValueError(
            "the S-P rule needs training records to fit its uncertainties, got none; give at least one batch"
        )
    measure = jax.jit(jax.vmap(lambda seen: jax.vmap(lambda row: measured(row, shake))(rows_of(seen))))
    measures = np.concatenate([np.asarray(measure(batch.observations)) for batch in batches])
    station_km = np.concatenate([np.asarray(batch.observations.station_km) for batch in batches])
    labels = [batch.labels["hypocentre"] for batch in batches]
    label = jax.tree.map(lambda *x: np.concatenate(x), *labels)
    at = station(before, DIRECTIONS, depth=False)

    def loss(vector: Float[Array, " 6"]) -> Float[Array, ""]:
        rule = rule_of(vector, fitted)
        of_row = lambda row, place, own_label: at(place).log_likelihood(raw_of(rule, row), {"hypocentre": own_label})
        of_event = lambda rows, places, own_label: jax.vmap(lambda r, p: of_row(r, p, own_label))(rows, places).sum()
        return -jax.vmap(of_event)(measures, station_km, label).mean() + 1e-3 * (vector**2).sum()

    return rule_of(jnp.asarray(_lowest(loss)), fitted)


def rule_of(vector: Float[Array, " 6"], fitted: bool) -> Rule:
    """A rule from its six numbers; the last two count where speeds are fitted."""
    return Rule(vector[:2], vector[2], vector[3], vector[4:] * fitted)


def _lowest(loss: Callable[[Float[Array, " 6"]], Float[Array, ""]]) -> Float[np.ndarray, " 6"]:
    value_and_gradient = jax.jit(jax.value_and_grad(loss))
    start = np.array([*START, 0.0, 0.0])
    both = lambda x: tuple(np.asarray(part, float) for part in value_and_gradient(jnp.asarray(x, jnp.float32)))
    return scipy.optimize.minimize(both, start, jac=True, method="L-BFGS-B", bounds=[(-8.0, 8.0)] * 6).x


__all__ = ["Rule", "build", "fit_rule", "sp_rule", "textbook"]
