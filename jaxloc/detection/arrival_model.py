"""How stations pick the events of a region: probability of detection, errors of picks, clutter.

An event of size r (in km, a radius of detection) is picked at distance d with probability best / (1 + (d / r)**4):
logistic in the logarithm of distance. Its pick has a residual of Student's t distribution, whose scale adds the pick's
own error and an error of the travel time that grows with it. Picks of no event come at the clutter rate of their
station and phase. The odds that an event at a place made a pick, against clutter, are p f / clutter.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.ndimage import gaussian_filter
from scipy.special import gammaln

from jaxloc.data.pick_list import NO_EVENT, PickList
from jaxloc.detection.clutter import local_rate_hz
from jaxloc.physics.adaptive_grid import Region

POWER = 4
DEGREES_OF_FREEDOM = 4.0
NUM_SIZES = 5
FIRST_BEST = 0.7  # probability of detection close to an event, before it is learnt
FIRST_SHARE = 0.5  # of all picks that count as clutter before association
UNIFORM_EVENTS = 50.0
PRIOR_EVENTS = 10.0  # weight of what is assumed of a station against what is learnt


class ArrivalModel(NamedTuple):
    """What association assumes of a network, and learns from its first pass.

    Attributes:
        best: probability of a pick close to an event.
        size_km: radii of detection that an event may have.
        log_weight: logarithm of the share of events of each size.
        delay_s: mean residual of a station and phase.
        model_share: standard deviation of travel times as a share of them.
        clutter_hz: rate of picks without event at the station and phase of each pick, about its time, over the
            density of arrivals of its probability.
        rate: events per km3 and s, on average.
        relative_rate: of the cells of the region, over that average.
    """

    best: Float[np.ndarray, "station phase"]
    size_km: Float[np.ndarray, " size"]
    log_weight: Float[np.ndarray, " size"]
    delay_s: Float[np.ndarray, "station phase"]
    model_share: float
    clutter_hz: Float[np.ndarray, " pick"]
    rate: float
    relative_rate: Float[np.ndarray, "x y z"]


def log_rate(
    model: ArrivalModel, region: Region, place_km: Float[np.ndarray, "event xyz"]
) -> Float[np.ndarray, " event"]:
    """Logarithm of the rate of events at places, per km3 and s."""
    shape = np.array(model.relative_rate.shape)
    low, high = np.array(region[:3]).T
    cell = np.clip((place_km[:, :3] - low) / (high - low) * shape, 0, shape - 1).astype(int)
    return np.log(model.rate * model.relative_rate[tuple(cell.T)])


def relative_rate(
    place_km: Float[np.ndarray, "event xyz"], region: Region, shape: tuple[int, int, int]
) -> Float[np.ndarray, "x y z"]:
    """Density of events over its mean: a smoothed histogram, and a uniform part that weighs `UNIFORM_EVENTS` events."""
    number = len(place_km)
    counts = np.histogramdd(place_km[:, :3], bins=shape, range=[region.east_km, region.north_km, region.depth_km])[0]
    width = 2.0 * (20.0 / max(number, 1)) ** 0.2  # in cells
    smooth = gaussian_filter(counts, width, mode="nearest") + UNIFORM_EVENTS / counts.size
    return smooth / smooth.mean()


def detection_probability(
    best: Float[np.ndarray, "#station phase"],
    size_km: Float[np.ndarray, "*event 1"],
    distance_km: Float[np.ndarray, "*event station"],
) -> Float[np.ndarray, "*event station phase"]:
    """Probability that a station picks a phase of an event of some size at a hypocentral distance."""
    return best / (1 + (distance_km / size_km) ** POWER)[..., None]


def log_density(residual_s: Float[np.ndarray, "*ray"], scale_s: Float[np.ndarray, "*ray"]) -> Float[np.ndarray, "*ray"]:
    """Logarithm of the density in 1/s of a residual: Student's t with `DEGREES_OF_FREEDOM`."""
    nu = DEGREES_OF_FREEDOM
    constant = gammaln((nu + 1) / 2) - gammaln(nu / 2) - 0.5 * np.log(nu * np.pi)
    return constant - np.log(scale_s) - (nu + 1) / 2 * np.log1p((residual_s / scale_s) ** 2 / nu)


def first_model(
    picks: PickList, num_stations: int, size_km: tuple[float, float], volume_km3: float, model_share: float
) -> ArrivalModel:
    """Before any event is known: half of the picks are clutter, twenty of the others make an event.

    Args:
        picks: all picks.
        num_stations: of the network.
        size_km: the smallest and the largest radius of detection.
        volume_km3: of the region.
        model_share: standard deviation of travel times as a share of them.
    """
    span_s = max(float(np.ptp(picks.time_s)), 1.0) if len(picks.time_s) else 1.0
    sizes = np.geomspace(*size_km, NUM_SIZES)
    return ArrivalModel(
        np.full((num_stations, 2), FIRST_BEST),
        sizes,
        np.full(NUM_SIZES, -np.log(NUM_SIZES)),
        np.zeros((num_stations, 2)),
        model_share,
        FIRST_SHARE * local_rate_hz(picks, np.ones(len(picks.time_s))),
        max(len(picks.time_s), 1) * (1 - FIRST_SHARE) / 20 / (span_s * volume_km3),
        np.ones((1, 1, 1)),
    )


def learnt_model(
    model: ArrivalModel,
    picks: PickList,
    event: Int[np.ndarray, " pick"],
    distance_km: Float[np.ndarray, "event station"],
    matched: Float[np.ndarray, "event station phase"],
    residual_s: Float[np.ndarray, " pick"],
    travel_s: Float[np.ndarray, " pick"],
    size: Int[np.ndarray, " event"],
    volume_km3: float,
    relative: Float[np.ndarray, "x y z"],
    clutter_hz: Float[np.ndarray, " pick"],
) -> ArrivalModel:
    """The model that fits the events of a first pass.

    Args:
        model: that of the first pass.
        picks: all picks, with their `event`.
        event: of each pick.
        distance_km: from each event to each station.
        matched: 1 where an event has a pick, else 0.
        residual_s: of each pick that has an event.
        travel_s: from its event.
        size: of each event, its place in `model.size_km`.
        volume_km3: of the region.
        relative: rate of its cells (`relative_rate`).
        clutter_hz: rate of clutter at each pick.
    """
    if not len(size):
        return model
    near = 1 / (1 + (distance_km / model.size_km[size][:, None]) ** POWER)
    expected = near.sum(0)[:, None]
    best = (matched.sum(0) + PRIOR_EVENTS * FIRST_BEST) / (expected + PRIOR_EVENTS)
    counts = np.bincount(size, minlength=len(model.size_km)) + 1.0
    with_event = event != NO_EVENT
    delay_s = _delays(model, picks, with_event, residual_s)
    rate = len(size) / (max(float(np.ptp(picks.time_s)), 1.0) * volume_km3)
    return ArrivalModel(
        np.clip(best, 0.02, 0.98),
        model.size_km,
        np.log(counts / counts.sum()),
        delay_s,
        _share(model, picks, with_event, residual_s, travel_s, delay_s - model.delay_s),
        clutter_hz,
        rate,
        relative,
    )


def _delays(
    model: ArrivalModel, picks: PickList, with_event: np.ndarray, residual_s: np.ndarray
) -> Float[np.ndarray, "station phase"]:
    """Medians of residuals, drawn towards zero where there are few, added to those known."""
    group = (picks.station * 2 + picks.phase)[with_event]
    order = np.lexsort((residual_s[with_event], group))
    ordered, groups = residual_s[with_event][order], group[order]
    at = np.arange(model.delay_s.size)
    first, last = np.searchsorted(groups, at), np.searchsorted(groups, at, "right")
    number = last - first
    middle = np.clip((first + last) // 2, 0, max(len(ordered) - 1, 0))
    median_s = np.where(number > 0, ordered[middle], 0.0) if len(ordered) else np.zeros(len(at))
    return model.delay_s + (median_s * number / (number + PRIOR_EVENTS)).reshape(model.delay_s.shape)


def _share(
    model: ArrivalModel,
    picks: PickList,
    with_event: np.ndarray,
    residual_s: np.ndarray,
    travel_s: np.ndarray,
    moved_s: np.ndarray,
) -> float:
    """The error of travel times, as a share, with which the median of residuals is that of the t distribution."""
    chosen = np.flatnonzero(with_event)
    if len(chosen) < 50:
        return model.model_share
    residual = np.abs(residual_s[chosen] - moved_s[picks.station[chosen], picks.phase[chosen]])
    shares = np.geomspace(0.003, 0.15, 60)
    scale_s = np.hypot(picks.sigma_s[chosen][:, None], shares * travel_s[chosen][:, None])
    fitted = log_density(residual[:, None], scale_s).sum(0)
    return float(shares[np.argmax(fitted)])
