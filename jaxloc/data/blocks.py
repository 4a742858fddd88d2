"""Blocks of events in space, time and by network, and folds that leave whole blocks out.

Events left out at random are too like those of training: neighbours of a sequence are on both sides. Folds that leave
out whole blocks measure how a locator does away from its training events (Roberts and others 2017, Ecography 40). In
each fold the events that choose the checkpoint are blocks of the training part of their own.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

LEAST_BLOCKS = 3  # one to test, one to choose the checkpoint by, one to train on


class Fold(NamedTuple):
    """Events of one fold by number: to train on, to choose the checkpoint by, and to test on."""

    train: Int[np.ndarray, " train"]
    dev: Int[np.ndarray, " dev"]
    test: Int[np.ndarray, " test"]


def cells(epicentre_km: Float[np.ndarray, "event 2"], size_km: float) -> Int[np.ndarray, " event"]:
    """The block of each event: square cells of a grid, of a side of `size_km`.

    Raises:
        ValueError: where the size is not positive.
    """
    _check_size(size_km)
    corner = np.floor(np.asarray(epicentre_km, float) / size_km).astype(int)
    return np.unique(corner, axis=0, return_inverse=True)[1].reshape(-1)


def clusters(epicentre_km: Float[np.ndarray, "event 2"], reach_km: float) -> Int[np.ndarray, " event"]:
    """The block of each event: clusters by single linkage, so that different blocks are at least `reach_km` apart.

    Raises:
        ValueError: where the reach is not positive.
    """
    _check_size(reach_km)
    number = len(epicentre_km)
    pairs = KDTree(np.asarray(epicentre_km, float)).query_pairs(reach_km, output_type="ndarray")
    linked = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(number, number))
    return np.asarray(connected_components(linked, directed=False)[1])


def _check_size(size_km: float) -> None:
    if not size_km > 0:
        raise ValueError(f"blocks in space must have a positive size in km, got {size_km}")


def by_station_group(
    station_km: Float[np.ndarray, "event station 3"], mask: Bool[np.ndarray, "event station"], codes: tuple[str, ...]
) -> Int[np.ndarray, " event"]:
    """The block of each event: the network that recorded it.

    Where stations differ from event to event, events of the same station positions are a block; otherwise the network
    code of most of the event's active stations (NET of NET.STA) is its block.
    """
    if np.ptp(station_km, axis=0).max(initial=0.0) > 1e-3:
        return np.unique(np.round(station_km, 3).reshape(len(station_km), -1), axis=0, return_inverse=True)[1].ravel()
    network, of_station = np.unique([code.partition(".")[0] for code in codes], return_inverse=True)
    count = mask.astype(int) @ (of_station[:, None] == np.arange(len(network)))
    return count.argmax(1)


def leaving_out(block: Int[np.ndarray, " event"], number: int, dev_share: float, seed: int) -> list[Fold]:
    """Folds that leave out whole blocks, each block in the test part of one fold.

    Args:
        block: of each event; events of a block less than zero are in no fold.
        number: of folds, at most one a block; they have nearly equal numbers of events.
        dev_share: least share of the training events that choose the checkpoint, in whole blocks.
        seed: of the choice of these.

    Raises:
        ValueError: where there are fewer than three blocks, or a number or share that cannot be; says which.
    """
    _check(number, dev_share)
    used = np.flatnonzero(np.asarray(block) >= 0)
    names, own = np.unique(np.asarray(block)[used], return_inverse=True)
    if len(names) < LEAST_BLOCKS:
        raise ValueError(
            f"{len(used)} events are in {len(names)} block{'s' * (len(names) != 1)}; at least {LEAST_BLOCKS} are "
            "needed to leave one out: use smaller blocks"
        )
    size = np.bincount(own)
    fold = _balanced(size, min(number, len(names)))
    generator = np.random.default_rng(seed)
    found = []
    for each in range(fold.max() + 1):
        dev = _chosen(size, np.flatnonzero(fold != each), dev_share, generator)
        is_dev, is_test = np.isin(own, dev), fold[own] == each
        found.append(Fold(used[~is_dev & ~is_test], used[is_dev], used[is_test]))
    return found


def _check(number: int, dev_share: float) -> None:
    if number < 2:
        raise ValueError(f"folds must be at least 2, got {number}")
    if not 0 < dev_share < 1:
        raise ValueError(f"dev_share must be a share of the training events between 0 and 1, got {dev_share}")


def _balanced(size: Int[np.ndarray, " block"], number: int) -> Int[np.ndarray, " block"]:
    """The fold of each block: the largest first, each to the fold of fewest events."""
    filled, fold = np.zeros(number, int), np.zeros(len(size), int)
    for block in np.argsort(-size, kind="stable"):
        fold[block] = filled.argmin()
        filled[fold[block]] += size[block]
    return fold


def _chosen(
    size: Int[np.ndarray, " block"], others: Int[np.ndarray, " other"], share: float, generator: np.random.Generator
) -> Int[np.ndarray, " chosen"]:
    """Blocks at random until they have a share of the events of `others`; at least one is left."""
    order = generator.permutation(others)
    enough = int(np.searchsorted(np.cumsum(size[order]), share * size[others].sum())) + 1
    return order[: min(enough, len(others) - 1)]


def forward_chaining(time: Float[np.ndarray, " event"], number: int, dev_share: float) -> list[Fold]:
    """Folds in time: each tests on a period, and trains on events before it alone.

    The periods are the last `number` of `number + 1` of nearly equal numbers of events. The last `dev_share` of the
    events before a period choose the checkpoint.

    Args:
        time: of each event, in any unit; events of an unknown time (NaN) are in no fold.
        number: of folds.
        dev_share: share of the earlier events that choose the checkpoint.

    Raises:
        ValueError: where there are too few events of different times, or a number or share that cannot be.
    """
    _check(number, dev_share)
    time = np.asarray(time, float)
    order = np.argsort(time, kind="stable")[: np.isfinite(time).sum()]
    if len(order) < LEAST_BLOCKS * (number + 1):
        raise ValueError(
            f"{len(order)} events with a time are too few for {number} folds in time; use fewer folds, or "
            f"{LEAST_BLOCKS * (number + 1)} events"
        )
    ordered, edges = time[order], np.linspace(0, len(order), number + 2).round().astype(int)[1:-1]
    first = np.searchsorted(ordered, ordered[edges])  # events of one time are in one period
    ends = [*first[1:], len(order)]
    return [_fold_before(order, begin, end, dev_share) for begin, end in zip(first, ends, strict=True) if end > begin]


def _fold_before(order: Int[np.ndarray, " event"], begin: int, end: int, dev_share: float) -> Fold:
    if begin < 2:
        raise ValueError("the first period has no two earlier events: use fewer folds in time")
    cut = min(max(1, round((1 - dev_share) * begin)), begin - 1)
    return Fold(np.sort(order[:cut]), np.sort(order[cut:begin]), np.sort(order[begin:end]))


def nearest_km(
    epicentre_km: Float[np.ndarray, "event 2"], trained_km: Float[np.ndarray, "train 2"]
) -> Float[np.ndarray, " event"]:
    """The distance of each epicentre to the nearest one of training, in km."""
    return np.asarray(KDTree(np.asarray(trained_km, float)).query(np.asarray(epicentre_km, float))[0])


def held_out(
    epicentre_km: Float[np.ndarray, "event 2"],
    time: Float[np.ndarray, " event"],
    share: float,
    reach_km: float,
    seed: int,
) -> Int[np.ndarray, " held"]:
    """Events to choose by, half of them in time and half in space: the latest ones, and whole clusters of the others.

    Args:
        epicentre_km: of each event.
        time: of each event, in any unit.
        share: of all events that is held out, rounded up to two.
        reach_km: least distance between clusters (`clusters`).
        seed: of the choice of clusters.

    Raises:
        ValueError: for a share that is not between 0 and 1, or a reach that is not positive.
    """
    if not 0 < share < 1:
        raise ValueError(f"the held-out share of events must be between 0 and 1, got {share}")
    half = max(1, round(share * len(time) / 2))
    order = np.argsort(time, kind="stable")
    late, others = order[-half:], order[:-half]
    cluster = clusters(np.asarray(epicentre_km)[others], reach_km)
    size = np.bincount(cluster)
    # A cluster with more events than are held out is what the others learn from.
    small = np.flatnonzero(size <= max(half, size.min()))
    chosen = np.random.default_rng(seed).permutation(small)
    enough = int(np.searchsorted(np.cumsum(size[chosen]), half)) + 1
    return np.sort(np.concatenate([late, others[np.isin(cluster, chosen[:enough])]]))
