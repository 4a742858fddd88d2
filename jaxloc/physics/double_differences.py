"""The equations of hypoDD: residuals of differential times, their derivatives and weights (double precision, host).

A link is one differential time: two events, a station, a phase. Its double difference is the observed difference of
arrival times minus the calculated one (Waldhauser & Ellsworth 2000, BSSA 90, eq. 1 to 4). Weights are those of the
program, version 2.1: bi-power of distance, bicube of the residual.

Differs from the paper: the residual's weight is (1 - (r / cutoff)^3)^3 as in the program, not the biweight squared of
its eq. 15. Differs from the program: all clusters are weighted together, so the cutoffs are those of all residuals.
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from scipy.sparse import csr_array

from jaxloc.physics.differential_times import DifferentialTimes
from jaxloc.physics.picks_on_cells import TravelTimes

KINDS = ("catalogue", "cross_correlation")
EVENTS_AT_ONCE = 64
LEAST_WEIGHT = 1e-5  # links below it are dropped for good (hypoDD's minwght)
MAD_OF_NORMAL = 0.67449  # median of the absolute value of a standard normal variable


class Links(NamedTuple):
    """Differential times of one kind, of `KINDS`, and their a priori weights.

    Weights are hypoDD's: 2^-code or similar of picks, the squared coherency of cross-correlations. None: the median
    standard deviation of the phase over that of each time.
    """

    kind: str
    times: DifferentialTimes
    weight: Float[np.ndarray, " link"] | None = None


class Equations(NamedTuple):
    """Links of all kinds in one list; `kind` and `phase` are indices into `KINDS` and `PHASES`."""

    kind: Int[np.ndarray, " link"]
    first: Int[np.ndarray, " link"]
    second: Int[np.ndarray, " link"]
    station: Int[np.ndarray, " link"]
    phase: Int[np.ndarray, " link"]
    time_s: Float[np.ndarray, " link"]
    quality: Float[np.ndarray, " link"]

    def take(self, which: Bool[np.ndarray, " link"]) -> "Equations":
        """Some of the links."""
        return Equations(*(column[which] for column in self))


class IterationSet(NamedTuple):
    """Weights and damping of some iterations, one line of hypoDD.inp.

    Weights by phase (P, S) multiply the a priori weights; `residual` is a factor of the standard deviation of the
    residuals (from their median absolute deviation) where it is 1 or more, a cutoff in s below 1; `distance_km` is the
    cutoff of the distance of the two events. None: no such weight. `damping` is used by LSQR alone.
    """

    iterations: int
    weight_catalogue: tuple[float, float] = (1.0, 0.5)
    residual_catalogue: float | None = None
    distance_catalogue_km: float | None = None
    weight_cross: tuple[float, float] = (1.0, 0.5)
    residual_cross: float | None = None
    distance_cross_km: float | None = None
    damping: float = 20.0

    def of_kind(self, kind: int) -> tuple[tuple[float, float], float | None, float | None]:
        """Weights by phase, residual cutoff and distance cutoff of a kind of links."""
        if kind == 0:
            return self.weight_catalogue, self.residual_catalogue, self.distance_catalogue_km
        return self.weight_cross, self.residual_cross, self.distance_cross_km


def equations(links: Sequence[Links], num_events: int, num_stations: int) -> Equations:
    """All links in one list.

    Raises:
        ValueError: where there is no link, a kind does not exist, an index is out of range, an event is linked with
            itself, a time is not finite, or a weight or standard deviation is not positive.
    """
    parts = [_checked(each, num_events, num_stations) for each in links if len(each.times.first)]
    if not parts:
        raise ValueError(
            "there is no differential time; pairs need common stations: increase separation_km or reduce fewest"
        )
    return Equations(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _checked(links: Links, num_events: int, num_stations: int) -> Equations:
    if links.kind not in KINDS:
        raise ValueError(f"the kind of differential times must be one of {', '.join(KINDS)}, got {links.kind!r}")
    first, second, station, phase = (np.asarray(x, int) for x in links.times[:4])
    time_s, sd_s = (np.asarray(x, float) for x in links.times[4:])
    for name, index, most in (("event", first, num_events), ("event", second, num_events)) + (
        ("station", station, num_stations),
        ("phase", phase, 2),
    ):
        if ((index < 0) | (index >= most)).any():
            bad = index[(index < 0) | (index >= most)][0]
            raise ValueError(f"differential times name {name} {bad}; there are {most}, counted from 0")
    if (first == second).any():
        raise ValueError(f"event {first[first == second][0]} is linked with itself; a pair must have two events")
    if not np.isfinite(time_s).all():
        raise ValueError(f"differential times must be finite, got {time_s[~np.isfinite(time_s)][0]} s")
    if links.weight is None and not (sd_s > 0).all():
        raise ValueError(f"standard deviations of differential times must be positive, got {sd_s[~(sd_s > 0)][0]} s")
    quality = _quality(sd_s, phase) if links.weight is None else np.asarray(links.weight, float)
    if quality.shape != time_s.shape or not (quality >= 0).all():
        raise ValueError(f"weights must be one a link and not negative, got shape {quality.shape}")
    kind = np.full(len(first), KINDS.index(links.kind))
    return Equations(kind, first, second, station, phase, time_s, quality)


def _quality(sd_s: Float[np.ndarray, " link"], phase: Int[np.ndarray, " link"]) -> Float[np.ndarray, " link"]:
    quality = np.ones(len(sd_s))
    for index in np.unique(phase):
        quality[phase == index] = np.median(sd_s[phase == index]) / sd_s[phase == index]
    return quality


class Arrivals(NamedTuple):
    """Calculated travel times and their derivatives in east, north and depth."""

    travel_s: Float[np.ndarray, "event station phase"]
    slowness_s_km: Float[np.ndarray, "event station phase 3"]


def arrivals(
    times: TravelTimes, place_km: Float[np.ndarray, "event 3"], station_km: Float[np.ndarray, "station 3"]
) -> Arrivals:
    """Travel times from all events to all stations, their derivatives by automatic differentiation.

    Single precision inside: rounding is a millionth of a travel time.
    """
    number = len(place_km)
    padded = place_km[np.minimum(np.arange(-(-number // EVENTS_AT_ONCE) * EVENTS_AT_ONCE), number - 1)]
    found = _arrivals(times, np.asarray(padded, np.float32), np.asarray(station_km, np.float32))
    return Arrivals(*(np.asarray(x, float)[:number] for x in found))


@partial(jax.jit, static_argnums=0)
def _arrivals(
    times: TravelTimes, place_km: Float[Array, "event 3"], station_km: Float[Array, "station 3"]
) -> tuple[Float[Array, "event station phase"], Float[Array, "event station phase 3"]]:
    at = times(station_km)

    def one(place_km: Float[Array, " 3"]) -> tuple[Array, Array]:
        travel_s, push = jax.linearize(lambda place: at(place[None])[0], place_km)
        return travel_s, jax.numpy.moveaxis(jax.vmap(push)(jax.numpy.eye(3)), 0, -1)

    return jax.lax.map(one, place_km, batch_size=EVENTS_AT_ONCE)


def residuals_s(
    links: Equations, hypocentre: Float[np.ndarray, "event 4"], calculated: Arrivals
) -> Float[np.ndarray, " link"]:
    """Double differences: observed minus calculated differences of arrival times."""
    arrival_s = calculated.travel_s + hypocentre[:, 3][:, None, None]
    at = links.station, links.phase
    return links.time_s - (arrival_s[links.first, *at] - arrival_s[links.second, *at])


def design(links: Equations, calculated: Arrivals, num_events: int) -> csr_array:
    """Derivatives of calculated differences in the four coordinates of all events, [link, 4 event].

    In s/km and s/s, which are ms/m and ms/ms: the matrix of hypoDD without weights.
    """
    number = len(links.first)
    one = np.ones((number, 1))
    at = links.station, links.phase
    first = np.hstack([calculated.slowness_s_km[links.first, *at], one])
    second = np.hstack([calculated.slowness_s_km[links.second, *at], one])
    values = np.hstack([first, -second])
    columns = np.hstack([4 * links.first[:, None] + np.arange(4), 4 * links.second[:, None] + np.arange(4)])
    return csr_array((values.ravel(), columns.ravel(), 8 * np.arange(number + 1)), shape=(number, 4 * num_events))


def separations_km(links: Equations, hypocentre: Float[np.ndarray, "event 4"]) -> Float[np.ndarray, " link"]:
    """Distances of the two events of each link."""
    return np.linalg.norm(hypocentre[links.first, :3] - hypocentre[links.second, :3], axis=-1)


def weights(
    links: Equations,
    residual_s: Float[np.ndarray, " link"],
    separation_km: Float[np.ndarray, " link"],
    settings: IterationSet,
) -> tuple[Float[np.ndarray, " link"], Float[np.ndarray, " link"]]:
    """Weights of the rows of the system, and the part of them that comes from residuals; 0: to be dropped."""
    weight, by_residual = np.zeros(len(residual_s)), np.ones(len(residual_s))
    for kind in range(len(KINDS)):
        which = links.kind == kind
        if not which.any():
            continue
        of_phase, cutoff, distance_km = settings.of_kind(kind)
        power = 5 if kind else 3
        own = np.asarray(of_phase)[links.phase[which]] * links.quality[which]
        if distance_km is not None:
            own = own * np.maximum(1 - (separation_km[which] / distance_km) ** power, 0) ** power
        if cutoff is not None:
            cut_s = cutoff * standard_deviation_s(residual_s[which]) if cutoff >= 1 else cutoff
            by_residual[which] = np.maximum(1 - (np.abs(residual_s[which]) / max(cut_s, 1e-9)) ** 3, 0) ** 3
        weight[which] = own
    weight = weight * by_residual
    return np.where(weight >= LEAST_WEIGHT, weight, 0.0), by_residual


def curvature(
    links: Equations,
    residual_s: Float[np.ndarray, " link"],
    by_residual: Float[np.ndarray, " link"],
    settings: IterationSet,
) -> Float[np.ndarray, " link"]:
    """How much less an estimate yields to a residual than its squared weight says, by kind and phase, at most 1.

    The ratio of the mean derivative of w^2 r to the mean of w^2 (Huber 1964: the denominator of an M-estimate's
    variance); w is the weight by residual, and w^2 r what the equations are solved for.
    """
    ratio = np.ones(len(residual_s))
    for kind in range(len(KINDS)):
        of_kind = links.kind == kind
        cutoff = settings.of_kind(kind)[1]
        if cutoff is None or not of_kind.any():
            continue
        cut_s = cutoff * standard_deviation_s(residual_s[of_kind]) if cutoff >= 1 else cutoff
        for phase in (0, 1):
            which = of_kind & (links.phase == phase) & (by_residual > 0)
            if which.any():
                cubed = (np.abs(residual_s[which]) / max(cut_s, 1e-9)) ** 3
                squared = (1 - cubed) ** 6
                slope = squared - 18 * cubed * (1 - cubed) ** 5
                ratio[which] = np.clip(slope.mean() / squared.mean(), 0.1, 1.0)
    return ratio


def standard_deviation_s(residual_s: Float[np.ndarray, " link"]) -> float:
    """The standard deviation of a normal distribution with the residuals' median absolute deviation."""
    return float(np.median(np.abs(residual_s - np.median(residual_s)))) / MAD_OF_NORMAL


def weighted_rms_s(residual_s: Float[np.ndarray, " link"], weight: Float[np.ndarray, " link"]) -> float:
    """hypoDD's rms of weighted residuals: weights are scaled to a mean of one; NaN without links."""
    number = len(residual_s)
    if number < 2 or not weight.sum() > 0:
        return float("nan")
    scaled = residual_s * weight * number / weight.sum()
    return float(np.sqrt((np.sum(scaled**2) - scaled.mean() ** 2 / number) / (number - 1)))


def weighted_variance_s2(
    residual_s: Float[np.ndarray, " link"], weight: Float[np.ndarray, " link"], unknowns: int
) -> float:
    """The variance of weighted residuals by Waldhauser & Ellsworth (2000), eq. 13."""
    weighted = residual_s * weight
    return float(np.sum((weighted - weighted.mean()) ** 2) / max(len(weighted) - unknowns, 1))
