"""Hypocentres fitted to all picks at once, each pick belonging to the event or to clutter.

The logarithm of the odds of an event at h is the sum over stations and phases of log(1 - p + p f / clutter), with the
pick nearest to its predicted time; it is maximised by Gauss-Newton steps weighted by the probability that the pick
belongs to the event and by Student's t (expectation-maximisation), with residual scales that start wide and narrow.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxloc.data.pick_list import PickList
from jaxloc.detection.arrival_model import (
    DEGREES_OF_FREEDOM,
    ArrivalModel,
    detection_probability,
    log_density,
    log_rate,
)
from jaxloc.detection.travel_cells import Travel, times_and_slopes
from jaxloc.physics.adaptive_grid import Region

NARROWING = (0.4, 0.4, 0.3, 0.3, 0.2, 0.2, 0.1, 0.0, 0.0, 0.0)
"""Added to residual scales at each step, as a share of how far the start may be off in s."""
FINAL = (0.0, 0.0, 0.0)
NONE = -1


class PickOrder(NamedTuple):
    """Picks sorted by station and phase, then by time: `key` is one number that has this order."""

    key: Float[np.ndarray, " pick"]
    row: Int[np.ndarray, " pick"]
    ray: Int[np.ndarray, " pick"]
    span_s: float
    zero_s: float


class Fitted(NamedTuple):
    """Candidates with what they would have of the picks.

    Attributes:
        hypocentre: east, north and depth in km, origin time in s.
        covariance: of it.
        distance_km: to each station.
        travel_s: to each station, with its delay.
        size: place in the sizes of the model.
        base: log odds if no station had a pick: prior, volume of the posterior, silent stations.
        pick: the nearest pick before and after each predicted time, `NONE` for none.
        gain: what each adds to the log odds, -inf for none.
    """

    hypocentre: Float[np.ndarray, "candidate 4"]
    covariance: Float[np.ndarray, "candidate 4 4"]
    distance_km: Float[np.ndarray, "candidate station"]
    travel_s: Float[np.ndarray, "candidate ray"]
    size: Int[np.ndarray, " candidate"]
    base: Float[np.ndarray, " candidate"]
    pick: Int[np.ndarray, "candidate ray side"]
    gain: Float[np.ndarray, "candidate ray side"]

    @property
    def log_odds(self) -> Float[np.ndarray, " candidate"]:
        """With the best pick of each station and phase."""
        return self.base + np.maximum(self.gain.max(-1), 0.0).sum(-1)

    def at(self, chosen: np.ndarray) -> "Fitted":
        """Some of the candidates."""
        return Fitted(*(each[chosen] for each in self))


def joined(first: Fitted, second: Fitted) -> Fitted:
    """Both sets of candidates, one behind the other."""
    return Fitted(*(np.concatenate(both) for both in zip(first, second, strict=True)))


def resized(model: ArrivalModel, fitted: Fitted, free: Bool[np.ndarray, "candidate ray side"]) -> Fitted:
    """Candidates with the size that suits those of their picks which are free, for instance of no other event.

    Where events overlap, a candidate has picks of others about its predicted times; by these it would be larger than it
    is, and pay for stations that do not have it.
    """
    number, rays = fitted.travel_s.shape
    detected = detection_probability(model.best, model.size_km[:, None], fitted.distance_km[:, None])
    detected = detected.reshape(number, len(model.size_km), rays)
    rows = np.arange(number)
    before = detected[rows, fitted.size]
    log_ratio = fitted.gain - _log_odds(before)[..., None]
    ratio = np.exp(np.minimum(np.where(free, log_ratio, -np.inf).max(-1), 60.0))
    size = (np.log1p(detected * (ratio[:, None] - 1)).sum(-1) + model.log_weight).argmax(-1)
    chosen = detected[rows, size]
    base = (
        fitted.base
        + (np.log1p(-chosen) - np.log1p(-before)).sum(-1)
        + (model.log_weight[size] - model.log_weight[fitted.size])
    )
    return fitted._replace(size=size, base=base, gain=log_ratio + _log_odds(chosen)[..., None])


def _log_odds(probability: np.ndarray) -> np.ndarray:
    return np.log(probability) - np.log1p(-probability)


def pick_order(picks: PickList, usable: Bool[np.ndarray, " pick"] | None = None) -> PickOrder:
    """Sort picks, or those of them that are usable, for look-up by station, phase and time."""
    row = np.arange(len(picks.time_s)) if usable is None else np.flatnonzero(usable)
    zero_s = float(picks.time_s.min()) if len(picks.time_s) else 0.0
    span_s = (float(np.ptp(picks.time_s)) if len(picks.time_s) else 0.0) + 1e4
    ray = (picks.station * 2 + picks.phase)[row]
    key = ray * span_s + (picks.time_s[row] - zero_s)
    order = np.argsort(key, kind="stable")
    return PickOrder(key[order], row[order], ray[order], span_s, zero_s)


def neighbours(order: PickOrder, time_s: Float[np.ndarray, "event ray"]) -> Int[np.ndarray, "event ray side"]:
    """Rows of the picks just before and at or after a time of each station and phase."""
    rays = np.arange(time_s.shape[1])
    key = rays * order.span_s + np.clip(time_s - order.zero_s, -4e3, order.span_s - 5e3)
    after = np.searchsorted(order.key, key)
    sides = []
    for at in (after - 1, after):
        inside = (at >= 0) & (at < len(order.key))
        safe = np.clip(at, 0, max(len(order.key) - 1, 0))
        there = inside & (order.ray[safe] == rays) if len(order.key) else np.zeros(at.shape, bool)
        sides.append(np.where(there, order.row[safe] if len(order.key) else NONE, NONE))
    return np.stack(sides, -1)


class Problem(NamedTuple):
    """What the fit needs beside the candidates."""

    travel: Travel
    region: Region
    picks: PickList
    model: ArrivalModel
    farthest_sigma: float
    start_error_s: float


def fit(
    problem: Problem,
    order: PickOrder,
    start: Float[np.ndarray, "candidate 4"],
    narrowing: tuple[float, ...] = NARROWING,
    allowed: Int[np.ndarray, "candidate ray"] | None = None,
) -> Fitted:
    """Fit candidates from where they start.

    Args:
        problem: network and picks.
        order: the picks that may be used.
        start: east, north and depth in km and origin time in s.
        narrowing: what is added to residual scales at each step, as a share of `start_error_s`.
        allowed: the only pick that each station and phase may have, `NONE` for none; None: any.
    """
    block = max(4_000_000 // max(problem.model.delay_s.size * 8, 1), 64)
    parts = [
        _fit(problem, order, start[i : i + block], narrowing, None if allowed is None else allowed[i : i + block])
        for i in range(0, max(len(start), 1), block)
    ]
    return Fitted(*(np.concatenate(each) for each in zip(*parts, strict=True)))


def _fit(
    problem: Problem,
    order: PickOrder,
    start: Float[np.ndarray, "candidate 4"],
    narrowing: tuple[float, ...],
    allowed: Int[np.ndarray, "candidate ray"] | None,
) -> Fitted:
    place = np.array(start, float)
    for widened in narrowing:
        ray = _rays(problem, order, place, widened * problem.start_error_s, allowed)
        place = _step(problem.region, place, ray)
    ray = _rays(problem, order, place, 0.0, allowed)
    gain = np.where(
        np.abs(ray.residual_s) <= problem.farthest_sigma * ray.scale_s, ray.log_ratio + ray.log_odds[..., None], -np.inf
    )
    curvature = _curvature(problem.region, ray, ray.belongs * (DEGREES_OF_FREEDOM + 1) / (DEGREES_OF_FREEDOM + 3))
    covariance = np.linalg.inv(curvature)
    volume = 0.5 * np.linalg.slogdet(2 * np.pi * covariance)[1]
    base = log_rate(problem.model, problem.region, place) + volume + ray.log_weight + ray.log_silent
    return Fitted(place, covariance, ray.distance_km, ray.travel_s, ray.size, base, ray.pick, gain)


class _Rays(NamedTuple):
    """Candidates against the picks about their predicted times."""

    distance_km: np.ndarray
    travel_s: np.ndarray
    slope: Float[np.ndarray, "candidate ray 4"]
    pick: Int[np.ndarray, "candidate ray side"]
    residual_s: Float[np.ndarray, "candidate ray side"]
    scale_s: Float[np.ndarray, "candidate ray side"]
    log_ratio: Float[np.ndarray, "candidate ray side"]
    size: Int[np.ndarray, " candidate"]
    log_weight: Float[np.ndarray, " candidate"]
    log_silent: Float[np.ndarray, " candidate"]
    log_odds: Float[np.ndarray, "candidate ray"]
    belongs: Float[np.ndarray, "candidate ray"]
    nearer: Int[np.ndarray, "candidate ray"]


def _rays(
    problem: Problem,
    order: PickOrder,
    place: Float[np.ndarray, "candidate 4"],
    widened_s: float,
    allowed: Int[np.ndarray, "candidate ray"] | None,
) -> _Rays:
    model, picks = problem.model, problem.picks
    number = len(place)
    time_s, slopes = times_and_slopes(problem.travel, place[:, :3])
    rays = model.delay_s.size
    travel_s = (time_s + model.delay_s).reshape(number, rays)
    slope = np.concatenate([np.moveaxis(slopes, 0, -1), np.ones((*time_s.shape, 1))], -1).reshape(number, rays, 4)
    arrival_s = place[:, 3:] + travel_s
    only = None if allowed is None else np.stack([allowed, np.full_like(allowed, NONE)], -1)
    pick = neighbours(order, arrival_s) if only is None else only
    there = pick != NONE
    residual_s = np.where(there, picks.time_s[pick] - arrival_s[..., None], np.inf)
    scale_s = np.sqrt(picks.sigma_s[pick] ** 2 + (model.model_share * travel_s[..., None]) ** 2 + widened_s**2)
    with np.errstate(invalid="ignore"):
        log_ratio = np.where(there, log_density(residual_s, scale_s) - np.log(model.clutter_hz[pick]), -np.inf)
    nearer = log_ratio.argmax(-1)
    ratio = np.exp(np.minimum(log_ratio.max(-1), 60.0))
    distance_km = np.linalg.norm(place[:, None, :3] - problem.travel.station_km, axis=-1)
    detected = detection_probability(model.best, model.size_km[:, None], distance_km[:, None])
    detected = detected.reshape(number, len(model.size_km), rays)
    likelihood = np.log1p(detected * (ratio[:, None] - 1)).sum(-1) + model.log_weight
    size = likelihood.argmax(-1)
    chosen = detected[np.arange(number), size]
    return _Rays(
        distance_km,
        travel_s,
        slope,
        pick,
        residual_s,
        scale_s,
        log_ratio,
        size,
        model.log_weight[size],
        np.log1p(-chosen).sum(-1),
        _log_odds(chosen),
        chosen * ratio / (1 + chosen * (ratio - 1)),
        nearer,
    )


def _at(value: np.ndarray, side: np.ndarray) -> np.ndarray:
    return np.take_along_axis(value, side[..., None], -1)[..., 0]


def _curvature(region: Region, ray: _Rays, weight: Float[np.ndarray, "candidate ray"]) -> np.ndarray:
    """Of the log posterior: weighted squares of slopes over variances, and the region as a wide normal prior."""
    precision = weight / _at(ray.scale_s, ray.nearer) ** 2
    prior = np.array([*(12 / (high - low) ** 2 for low, high in region[:3]), 1e-4])
    return np.einsum("krp,krq->kpq", ray.slope * precision[..., None], ray.slope) + np.diag(prior)


def _step(region: Region, place: Float[np.ndarray, "candidate 4"], ray: _Rays) -> Float[np.ndarray, "candidate 4"]:
    """One Gauss-Newton step, no longer than a fifth of the region, within it."""
    residual_s, scale_s = (_at(each, ray.nearer) for each in (ray.residual_s, ray.scale_s))
    finite = np.isfinite(residual_s)
    residual_s = np.where(finite, residual_s, 0.0)
    nu = DEGREES_OF_FREEDOM
    weight = np.where(finite, ray.belongs * (nu + 1) / (nu + (residual_s / scale_s) ** 2), 0.0)
    gradient = np.einsum("kr,krp->kp", weight * residual_s / scale_s**2, ray.slope)
    step = np.linalg.solve(_curvature(region, ray, weight), gradient[..., None])[..., 0]
    longest = np.array([*((high - low) / 5 for low, high in region[:3]), np.inf])
    step = step / np.maximum((np.abs(step) / longest).max(-1, keepdims=True), 1.0)
    moved = place + step
    low, high = np.array(region[:3]).T
    moved[:, :3] = np.clip(moved[:, :3], low, high)
    return moved
