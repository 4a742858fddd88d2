"""The associator of PAL (Zhou, Yue, Fang, Zhou, Zhao & Ghosh 2022, SRL 93): clusters of origin times, then a grid.

1. Each pair of P and S at a station gives an origin time. The pair with the most others within `origin_s` of it is the
   seed of a cluster, as long as there are `fewest` of them.
2. Nodes of a regular grid are searched for the most pairs whose P time is explained within `residual_s` by straight
   rays of one speed; of those with equally many, for the smallest mean residual.
3. These pairs are an event and are removed. The others of the cluster are left over; a pair that has been left over
   more than `failures` times is removed as well. Then the next seed is taken.

Differs from the paper: text, class defaults and published configuration have different values, and the published
example was made with yet others: `Settings()` has the class defaults, `EXAMPLE` the configuration, `RIDGECREST` what
reproduces the example. As in the program, pairs are counted where the text counts stations: a station with two pairs
in a cluster counts twice, unless `first_version` is set. Magnitudes leave out stations without an amplitude, and keep
all stations where there are one or two.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxloc.data.pick_list import NO_EVENT, Associated, PickList
from jaxloc.detection.pal_grid import DIGITS, Grid, Places, Settings, distances_km, grid_of, magnitude_of
from jaxloc.detection.station_pairs import Pairs, pairs_of
from jaxloc.geometry import Frame, to_degrees, to_km

FEW_ORIGINS = "fewer than {} origin times of stations lie within {:g} s"
NO_NODE = "left over: the event of its origin time, if any, does not explain its P within {:g} s"


class Found(NamedTuple):
    """Events of PAL, in the order of their origin times.

    Attributes:
        latitude_deg, longitude_deg: of the node, in hundredths of a degree.
        depth_km: of the node.
        origin_s: median of the cluster's origin times.
        residual_s: mean residual of P.
        magnitude: NaN where no pair has an amplitude.
        event: of each pair, or `NO_EVENT`.
        left_over: of each pair, whether a cluster has left it over.
    """

    latitude_deg: Float[np.ndarray, " event"]
    longitude_deg: Float[np.ndarray, " event"]
    depth_km: Float[np.ndarray, " event"]
    origin_s: Float[np.ndarray, " event"]
    residual_s: Float[np.ndarray, " event"]
    magnitude: Float[np.ndarray, " event"]
    event: Int[np.ndarray, " pair"]
    left_over: Bool[np.ndarray, " pair"]


class _Located(NamedTuple):
    """The node that a cluster is located at, its origin time and mean residual."""

    node: int
    origin_s: float
    residual_s: float


def associate(
    picks: PickList, station_km: Float[np.ndarray, "station 3"], frame: Frame, settings: Settings = Settings()
) -> Associated:
    """Events of a list of picks; `from_picks` gives magnitudes and residuals as well.

    Args:
        picks: of the stations; those that are in no pair of P and S are not used.
        station_km: east, north and depth of the stations.
        frame: of `station_km`.
        settings: of PAL.

    Raises:
        ValueError: as `grid_of` and `pairs_of`.
    """
    return from_picks(picks, station_km, frame, settings)[0]


def from_picks(
    picks: PickList, station_km: Float[np.ndarray, "station 3"], frame: Frame, settings: Settings = Settings()
) -> tuple[Associated, Found]:
    """As `associate`, with what PAL tells of each event and of each of `pairs_of`."""
    places = Places(*to_degrees(frame, station_km[:, 0], station_km[:, 1]), -station_km[:, 2])
    pairs, alone = pairs_of(picks, settings.pair_vp_km_s, settings.pair_vs_km_s, settings.longest_s)
    found = associate_pairs(pairs, places, settings)
    return as_associated(found, pairs, alone, frame, settings), found


def associate_pairs(pairs: Pairs, places: Places, settings: Settings = Settings()) -> Found:
    """Events of pairs, whose stations are rows of `places`; raises as `grid_of`."""
    grid = grid_of(places, settings)
    event = np.full(len(pairs.p_s), NO_EVENT)
    failures = np.zeros(len(event), int)
    neighbours = _neighbours(pairs.origin_s, pairs.origin_s, settings.origin_s)  # with itself; 0 for those removed
    located: list[_Located] = []
    while len(neighbours) and neighbours.max() >= settings.fewest:
        free, cluster = _about(pairs.origin_s, int(neighbours.argmax()), neighbours, settings.origin_s)
        where, explained = _locate(pairs, cluster, grid, settings)
        if where is not None:
            event[cluster[explained]] = len(located)
            located.append(where)
        failures[cluster[~explained]] += 1
        gone = cluster[explained | (failures[cluster] > settings.failures)]
        neighbours[free] -= _neighbours(pairs.origin_s[free], pairs.origin_s[gone], settings.origin_s)
        neighbours[gone] = 0
    return _in_order(pairs, places, grid, located, event, failures > 0, settings.first_version)


def _about(
    origin_s: Float[np.ndarray, " pair"], seed: int, neighbours: Int[np.ndarray, " pair"], within_s: float
) -> tuple[Int[np.ndarray, " near"], Int[np.ndarray, " cluster"]]:
    """Pairs that are not removed: those that may have one of the seed's cluster as a neighbour, and the cluster."""
    centre_s = origin_s[seed]
    begin, end = np.searchsorted(origin_s, [centre_s - 2 * within_s, centre_s + 2 * within_s])
    free = begin + np.flatnonzero(neighbours[begin:end])
    return free, free[np.abs(origin_s[free] - centre_s) < within_s]


def _neighbours(
    origin_s: Float[np.ndarray, " pair"], others_s: Float[np.ndarray, " other"], within_s: float
) -> Int[np.ndarray, " pair"]:
    """How many of the sorted others lie less than `within_s` from each."""
    below = np.searchsorted(others_s, origin_s - within_s, "right")
    return np.searchsorted(others_s, origin_s + within_s, "left") - below


def _locate(
    pairs: Pairs, cluster: Int[np.ndarray, " pair"], grid: Grid, settings: Settings
) -> tuple[_Located | None, Bool[np.ndarray, " pair"]]:
    """The node that explains the most P times of a cluster, and which; None where they are too few for an event."""
    origin_s = float(pairs.origin_s[cluster[len(cluster) // 2]])
    station = pairs.station[cluster]
    residual_s = np.abs(grid.times_s[station] - (pairs.p_s[cluster] - origin_s)[:, None])
    explained = residual_s < settings.residual_s
    if settings.first_version:
        explained &= _first_of_station(station, explained.sum(1) > 0)[:, None]
    number = explained.sum(0)
    most = int(number.max())
    if most < settings.fewest:
        return None, np.zeros(len(cluster), bool)
    mean_s = np.where(number == most, np.where(explained, residual_s, 0.0).sum(0) / most, np.inf)
    node = int(mean_s.argmin())
    return _Located(node, origin_s, float(mean_s[node])), explained[:, node]


def _first_of_station(
    station: Int[np.ndarray, " pair"], possible: Bool[np.ndarray, " pair"]
) -> Bool[np.ndarray, " pair"]:
    """The first possible pair of each station."""
    rows = np.flatnonzero(possible)
    first = np.zeros(len(station), bool)
    first[rows[np.unique(station[rows], return_index=True)[1]]] = True
    return first


def _in_order(
    pairs: Pairs,
    places: Places,
    grid: Grid,
    located: list[_Located],
    event: Int[np.ndarray, " pair"],
    left_over: Bool[np.ndarray, " pair"],
    first_version: bool,
) -> Found:
    """Located clusters as events in the order of their origin times, with magnitudes."""
    table = np.array(located, float).reshape(-1, 3)
    order = np.argsort(table[:, 1], kind="stable")
    event = np.append(np.argsort(order), NO_EVENT)[event]  # NO_EVENT takes the last, and stays
    node = table[order, 0].astype(int)
    latitude_deg, longitude_deg = (x[node].round(DIGITS) for x in grid[:2])
    place = (latitude_deg, longitude_deg, grid.depth_km[node])
    if first_version:
        places = places._replace(elevation_km=np.zeros_like(places.elevation_km))
    far_km = distances_km(places, *place)
    used = np.flatnonzero(event != NO_EVENT)
    used = used[np.argsort(event[used], kind="stable")]
    own = np.split(used, np.searchsorted(event[used], np.arange(1, len(order))))[: len(order)]
    magnitude = [magnitude_of(pairs.amplitude[x], far_km[pairs.station[x], row]) for row, x in enumerate(own)]
    return Found(*place, table[order, 1], table[order, 2], np.array(magnitude, float), event, left_over)


def as_associated(found: Found, pairs: Pairs, alone: tuple[str, ...], frame: Frame, settings: Settings) -> Associated:
    """What `associate_pairs` has found, as events of the picks; `alone` says why a pick is in no pair."""
    number = len(found.origin_s)
    east_km, north_km = to_km(frame, found.latitude_deg, found.longitude_deg)
    few = FEW_ORIGINS.format(settings.fewest, settings.origin_s)
    unused = np.where(found.left_over, NO_NODE.format(settings.residual_s), few)
    event, reason = np.full(len(alone), NO_EVENT), np.array(alone, object)
    event[pairs.rows] = found.event[:, None]
    reason[pairs.rows] = np.where(found.event == NO_EVENT, unused, "")[:, None]
    return Associated(
        np.stack([east_km, north_km, found.depth_km, found.origin_s], -1),
        np.full((number, 4, 4), np.nan),
        np.full(number, np.nan),
        event,
        tuple(reason.tolist()),
    )
