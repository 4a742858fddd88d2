"""Pairs of neighbouring events and their differential times from picks, as ph2dt makes them; clusters of linked events.

Waldhauser (2001), hypoDD: a program to compute double-difference hypocenter locations, USGS Open-File Report 01-113;
program ph2dt of version 2.1.

Differs from the program: outliers may be kept (`PairSettings.outliers`), distances are those of the local frame, and
links with negative weights ("always use") have no meaning, since picks here have standard deviations.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from jaxloc.physics.differential_times import DifferentialTimes
from jaxloc.types import Observations

SLOWEST_KM_S, SLACK_S = (4.0, 2.3), 0.5  # ph2dt's line above which a difference is an outlier
PAIRS_AT_ONCE = 4096


class PairSettings(NamedTuple):
    """ph2dt's settings: MINWGHT, MAXDIST, MAXSEP, MAXNGH, MINLNK, MINOBS and MAXOBS.

    Picks below `least_weight` are left out, and stations beyond `station_distance_km` from a pair's middle. An event
    is paired with its nearest neighbours within `separation_km` until `neighbours` of them are strong, with
    `strong_links` common picks or more; pairs of `fewest` links or more are kept, of each the `most` nearest stations.
    With `outliers` False, differences that no speed explains are left out.
    """

    least_weight: float = 0.0
    station_distance_km: float = 500.0
    separation_km: float = 10.0
    neighbours: int = 10
    strong_links: int = 8
    fewest: int = 8
    most: int = 50
    outliers: bool = False


class Picks(NamedTuple):
    """Picks of all events, stations and phases in one axis; `weight` as in phase.dat, 1 is best."""

    time_s: Float[np.ndarray, "event pick"]
    sd_s: Float[np.ndarray, "event pick"]
    mask: Bool[np.ndarray, "event pick"]
    weight: Float[np.ndarray, "event pick"]


class Paired(NamedTuple):
    """Differential times of pairs of events, and the mean weight of the two picks of each."""

    times: DifferentialTimes
    weight: Float[np.ndarray, " link"]


def pair_events(
    observations: Observations,
    hypocentre: Float[np.ndarray, "event 4"],
    settings: PairSettings = PairSettings(),
    weight: Float[np.ndarray, "event station phase"] | None = None,
) -> Paired:
    """Differences of the picks of neighbouring events at common stations; none where no pair has enough.

    Args:
        observations: picks; the stations of all events are those of the first.
        hypocentre: locations in km and origin times in s that choose the pairs, on the clock of each event's picks.
        settings: of ph2dt.
        weight: of picks, as in phase.dat; None: 1.

    Raises:
        ValueError: where there are no picks, a hypocentre is not finite, or a setting is out of range.
    """
    picks = _picks_of(observations, weight, settings)
    hypocentre = np.asarray(hypocentre, float)
    _check(settings, hypocentre, len(picks.mask))
    station_km = np.asarray(observations.station_km[0], float)
    first, second = _neighbours(picks, hypocentre, station_km, settings)
    found = [
        _links(picks, hypocentre, station_km, settings, first[at : at + PAIRS_AT_ONCE], second[at : at + PAIRS_AT_ONCE])
        for at in range(0, len(first), PAIRS_AT_ONCE)
    ]
    if not found:
        found = [_links(picks, hypocentre, station_km, settings, first, second)]
    times = zip(*(part.times for part in found), strict=True)
    return Paired(DifferentialTimes(*map(np.concatenate, times)), np.concatenate([part.weight for part in found]))  # pyright: ignore[reportArgumentType]


def clusters(
    first: Int[np.ndarray, " link"], second: Int[np.ndarray, " link"], num_events: int, fewest_links: int = 8
) -> Int[np.ndarray, " event"]:
    """The cluster of each event, the largest first: events that pairs of `fewest_links` links or more connect.

    -1 for an event without such a pair.
    """
    links = coo_array((np.ones(len(first)), (np.minimum(first, second), np.maximum(first, second))), (num_events,) * 2)
    links.sum_duplicates()
    strong = coo_array((links.data >= max(fewest_links, 1), links.coords), links.shape)
    strong.eliminate_zeros()
    number, label = connected_components(strong, directed=False)
    size = np.bincount(label, minlength=number)
    rank = np.empty(number, int)
    rank[np.argsort(-size, kind="stable")] = np.arange(number)
    return np.where(size[label] > 1, rank[label], -1)


def _picks_of(
    observations: Observations, weight: Float[np.ndarray, "event station phase"] | None, settings: PairSettings
) -> Picks:
    time_s, sd_s, mask = observations.picks_s, observations.pick_sigma_s, observations.pick_mask
    if time_s is None or sd_s is None or mask is None:
        raise ValueError("observations have no picks; pairs of events need picks_s, pick_sigma_s and pick_mask")
    station_km = np.asarray(observations.station_km)
    if (station_km != station_km[:1])[np.asarray(observations.station_mask)].any():
        raise ValueError("events have different stations; give all events of a relocation the same list of stations")
    flat = lambda values: np.asarray(values).reshape(len(station_km), -1)
    weight = np.ones(np.shape(time_s)) if weight is None else np.asarray(weight, float)
    kept = flat(np.asarray(mask) & np.asarray(observations.station_mask)[..., None])
    kept = kept & (flat(weight) >= settings.least_weight)
    return Picks(flat(time_s).astype(float), flat(sd_s).astype(float), kept, flat(weight))


def _check(settings: PairSettings, hypocentre: Float[np.ndarray, "event 4"], num_events: int) -> None:
    if hypocentre.shape != (num_events, 4) or not np.isfinite(hypocentre).all():
        raise ValueError(
            f"hypocentres must be finite, [{num_events}, 4], got shape {hypocentre.shape} with "
            f"{(~np.isfinite(hypocentre)).sum()} values that are not finite"
        )
    for name in ("station_distance_km", "separation_km", "neighbours", "strong_links", "fewest", "most"):
        if not getattr(settings, name) > 0:
            raise ValueError(f"{name} must be positive, got {getattr(settings, name)}")


def _neighbours(
    picks: Picks,
    hypocentre: Float[np.ndarray, "event 4"],
    station_km: Float[np.ndarray, "station 3"],
    settings: PairSettings,
) -> tuple[Int[np.ndarray, " pair"], Int[np.ndarray, " pair"]]:
    """Pairs, each once: for every event the nearest others until enough of them are strong.

    Looks at twice as many neighbours in each round, of the events that have too few strong ones yet.
    """
    tree, found = KDTree(hypocentre[:, :3]), []
    open_, number = np.arange(len(hypocentre)), len(hypocentre)
    look = min(2 * settings.neighbours + 1, number)
    while len(open_) and number > 1:
        far_km, other = map(
            np.asarray, tree.query(hypocentre[open_, :3], look, distance_upper_bound=settings.separation_km)
        )
        near = np.isfinite(far_km) & (other != open_[:, None])
        row, column = np.nonzero(near)
        pairs = np.stack([open_[row], other[row, column]], -1)
        common = np.zeros(near.shape, int)
        common[row, column] = _common(picks, hypocentre, station_km, settings, pairs)
        strong = common >= settings.strong_links
        before = np.cumsum(strong, 1) - strong
        wanted = (before < settings.neighbours) & (common >= settings.fewest)
        done = (strong.sum(1) >= settings.neighbours) | ~np.isfinite(far_km[:, -1]) | (look == number)
        found.append(pairs[(wanted & done[:, None])[row, column]])
        open_, look = open_[~done], min(2 * look, number)
    pairs = np.unique(np.sort(np.concatenate([np.zeros((0, 2), int), *found]), 1), axis=0)
    return pairs[:, 0], pairs[:, 1]


def _common(
    picks: Picks,
    hypocentre: Float[np.ndarray, "event 4"],
    station_km: Float[np.ndarray, "station 3"],
    settings: PairSettings,
    pairs: Int[np.ndarray, "pair 2"],
) -> Int[np.ndarray, " pair"]:
    """The number of usable common picks of pairs, in chunks that bound the memory."""
    found = np.zeros(len(pairs), int)
    for at in range(0, len(pairs), PAIRS_AT_ONCE):
        rows = pairs[at : at + PAIRS_AT_ONCE]
        found[at : at + PAIRS_AT_ONCE] = _usable(picks, hypocentre, station_km, settings, *rows.T)[0].sum(1)
    return found


def _usable(
    picks: Picks,
    hypocentre: Float[np.ndarray, "event 4"],
    station_km: Float[np.ndarray, "station 3"],
    settings: PairSettings,
    first: Int[np.ndarray, " pair"],
    second: Int[np.ndarray, " pair"],
) -> tuple[Bool[np.ndarray, "pair pick"], Float[np.ndarray, "pair pick"]]:
    """Which picks of pairs can be used, and the distance of their stations from the middles of the pairs."""
    middle_km = (hypocentre[first, :2] + hypocentre[second, :2]) / 2
    far_km = np.repeat(np.linalg.norm(middle_km[:, None] - station_km[None, :, :2], axis=-1), 2, 1)
    usable = picks.mask[first] & picks.mask[second] & (far_km <= settings.station_distance_km)
    if not settings.outliers:
        apart_km = np.linalg.norm(hypocentre[first, :3] - hypocentre[second, :3], axis=-1)[:, None]
        speed_km_s = np.tile(SLOWEST_KM_S, len(station_km))
        travel_s = picks.time_s - hypocentre[:, 3:]
        usable &= np.abs(travel_s[first] - travel_s[second]) <= apart_km / speed_km_s + SLACK_S
    return usable, far_km


def _links(
    picks: Picks,
    hypocentre: Float[np.ndarray, "event 4"],
    station_km: Float[np.ndarray, "station 3"],
    settings: PairSettings,
    first: Int[np.ndarray, " pair"],
    second: Int[np.ndarray, " pair"],
) -> Paired:
    """The links of pairs, of each those of its nearest stations."""
    usable, far_km = _usable(picks, hypocentre, station_km, settings, first, second)
    order = np.argsort(np.where(usable, far_km, np.inf), 1, kind="stable")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(order.shape[1])[None], 1)
    pair, pick = np.nonzero(usable & (rank < settings.most))
    one, other = first[pair], second[pair]
    time_s = picks.time_s[one, pick] - picks.time_s[other, pick]
    sd_s = np.hypot(picks.sd_s[one, pick], picks.sd_s[other, pick])
    weight = (picks.weight[one, pick] + picks.weight[other, pick]) / 2
    return Paired(DifferentialTimes(one, other, pick // 2, pick % 2, time_s, sd_s), weight)  # pyright: ignore[reportArgumentType]
