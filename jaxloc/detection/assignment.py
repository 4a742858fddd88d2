"""Which candidates are events, and which picks they have: one problem for all that compete for picks.

Each event pays its base (prior, silent stations) and earns the gain of each pick that it has; a pick belongs to one
event and phase at most, a station and phase of an event have one pick at most, P is before S, and an event has a least
number of picks. Candidates that share no pick do not interact, so the problem falls into components. Each is a linear
programme whose solution is nearly always integral, and then exact; where it is not, branch and bound (HiGHS) solves it
within a time limit, and beyond that the relaxation is rounded.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from jaxloc.detection.candidate_refinement import NONE, Fitted

MOST_VARIABLES = 12_000  # of one linear programme
LONGEST_S = 20.0  # of branch and bound
INTEGRAL = 1e-4
Say = Callable[[str], None]


class Assigned(NamedTuple):
    """Which candidates are events, and the pick of each of their stations and phases, `NONE` for none."""

    is_event: Bool[np.ndarray, " candidate"]
    pick: Int[np.ndarray, "candidate ray"]
    log_odds: Float[np.ndarray, " candidate"]


class _Options(NamedTuple):
    """All pairs of a candidate's station and phase with a pick that would add to its odds."""

    candidate: np.ndarray
    ray: np.ndarray
    pick: np.ndarray
    gain: np.ndarray


def assign(
    fitted: Fitted, pick_s: Float[np.ndarray, " pick"], least_picks: int, least_stations: int, say: Say
) -> Assigned:
    """Solve the joint problem of candidates and picks.

    Args:
        fitted: the candidates.
        pick_s: times of all picks.
        least_picks, least_stations: of an event.
        say: takes a line where a limit is reached.
    """
    number = len(fitted.base)
    options = _options(fitted, pick_s, least_picks, least_stations)
    chosen = np.zeros(len(options.candidate), bool)
    graph = coo_array(
        (np.ones(len(options.pick)), (options.candidate, number + options.pick)),
        shape=(number + len(pick_s), number + len(pick_s)),
    )
    component = connected_components(graph, directed=False)[1][options.candidate]
    for part in _batches(component, fitted.hypocentre[options.candidate, 3]):
        if len(part) <= MOST_VARIABLES:
            chosen[part] = _solved(_Options(*(each[part] for each in options)), fitted.base, pick_s, least_picks, say)
        else:
            chosen[part] = _in_turn(_Options(*(e[part] for e in options)), fitted, pick_s, least_picks, say)
    return _as_assigned(options, chosen, fitted, least_picks, least_stations)


def free_picks(
    assigned: Assigned, pick: Int[np.ndarray, "candidate ray side"], number: int
) -> Bool[np.ndarray, "candidate ray side"]:
    """Which picks of each candidate no other candidate has, of so many picks in all."""
    row, ray = np.nonzero(assigned.pick != NONE)
    owner = np.full(number + 1, NONE)
    owner[assigned.pick[row, ray]] = row
    of_pick = owner[np.where(pick == NONE, number, pick)]
    return (of_pick == NONE) | (of_pick == np.arange(len(pick))[:, None, None])


def _options(fitted: Fitted, pick_s: np.ndarray, least_picks: int, least_stations: int) -> _Options:
    """Those of candidates that could be events: by odds with all their picks, and by their numbers."""
    useful = (fitted.gain > 0) & (fitted.pick != NONE)
    by_ray = useful.any(-1)
    stations = _stations(by_ray)
    possible = (fitted.log_odds > 0) & (by_ray.sum(-1) >= least_picks) & (stations >= least_stations)
    candidate, ray, side = np.nonzero(useful & possible[:, None, None])
    return _Options(candidate, ray, fitted.pick[candidate, ray, side], fitted.gain[candidate, ray, side])


def _stations(has: np.ndarray) -> np.ndarray:
    """Number of stations with either phase."""
    return (has[:, 0::2] | has[:, 1::2]).sum(-1)


def _batches(component: np.ndarray, origin_s: np.ndarray) -> list[np.ndarray]:
    """Options in groups of whole components, in the order of time, of at most `MOST_VARIABLES` where possible."""
    if not len(component):
        return []
    _, component, size = np.unique(component, return_inverse=True, return_counts=True)
    earliest = np.full(len(size), np.inf)
    np.minimum.at(earliest, component, origin_s)
    by_time = np.argsort(earliest, kind="stable")
    batch, filled, batch_of = 0, 0, np.zeros(len(size), int)
    for one in by_time:
        if filled and filled + size[one] > MOST_VARIABLES:
            batch, filled = batch + 1, 0
        batch_of[one] = batch
        filled += size[one]
    of_option = batch_of[component]
    order = np.argsort(of_option, kind="stable")
    return np.split(order, np.searchsorted(of_option[order], np.arange(1, batch + 1)))


def _solved(options: _Options, base: np.ndarray, pick_s: np.ndarray, least_picks: int, say: Say) -> np.ndarray:
    """Which options are taken: by linear programme, by branch and bound where that is fractional, else rounded."""
    events, relaxed = _programme(options, base, pick_s, least_picks, None)
    if relaxed is None:
        say(f"a linear programme of {len(options.pick)} picks failed: they stay without event")
        return np.zeros(len(options.pick), bool)
    taken = relaxed[len(events) :]
    if (np.abs(relaxed - np.round(relaxed)) < INTEGRAL).all():
        return taken > 0.5
    # Candidates that the relaxation leaves out altogether are left out: the rest is a small problem.
    part = np.flatnonzero(np.isin(options.candidate, events[relaxed[: len(events)] > INTEGRAL]))
    some = _Options(*(each[part] for each in options))
    chosen = np.zeros(len(options.pick), bool)
    events, exact = _programme(some, base, pick_s, least_picks, LONGEST_S)
    if exact is None:
        say(f"branch and bound of {len(part)} picks found nothing in {LONGEST_S:.0f} s: the relaxation is rounded")
        return taken > 0.5  # options that exclude one another sum to one at most
    chosen[part] = exact[len(events) :] > 0.5
    return chosen


def _programme(
    options: _Options, base: np.ndarray, pick_s: np.ndarray, least_picks: int, longest_s: float | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """The candidates, and the solution for them and then the options; whole numbers where there is a time limit."""
    events, event = np.unique(options.candidate, return_inverse=True)
    cost = -np.concatenate([base[events], options.gain])
    rows, upper = _constraints(options._replace(candidate=event), len(events), pick_s, least_picks)
    whole = {} if longest_s is None else {"integrality": np.ones(len(cost)),
                                          "options": {"time_limit": longest_s, "mip_rel_gap": 1e-3}}  # fmt: skip
    limits = LinearConstraint(rows, -np.inf, upper)  # pyright: ignore[reportArgumentType]
    found = milp(cost, constraints=limits, bounds=Bounds(0, 1), **whole)
    return events, found.x


def _constraints(
    options: _Options, num_events: int, pick_s: np.ndarray, least_picks: int
) -> tuple[csr_array, np.ndarray]:
    """Rows over the events and then the options, and their upper bounds."""
    count = len(options.pick)
    variable = num_events + np.arange(count)
    _, by_pick = np.unique(options.pick, return_inverse=True)
    rays, by_ray = np.unique(np.stack([options.candidate, options.ray]), axis=1, return_inverse=True)
    by_ray = by_ray.reshape(-1)
    first, second = _out_of_order(options, pick_s)
    orders = np.arange(len(first))
    picks, pairs = int(by_pick.max(initial=-1)) + 1, rays.shape[1]
    at_order, at_least = picks + pairs, picks + pairs + len(first)
    blocks = [  # row, column, value
        (by_pick, variable, 1.0),
        (picks + by_ray, variable, 1.0),
        (picks + np.arange(pairs), rays[0], -1.0),
        (at_order + orders, num_events + first, 1.0),
        (at_order + orders, num_events + second, 1.0),
        (at_order + orders, options.candidate[first], -1.0),
        (at_least + options.candidate, variable, -1.0),
        (at_least + np.arange(num_events), np.arange(num_events), float(least_picks)),
    ]
    row, column = (np.concatenate([block[i] for block in blocks]) for i in (0, 1))
    value = np.concatenate([np.full(len(block[0]), block[2]) for block in blocks])
    shape = (at_least + num_events, num_events + count)
    upper = np.zeros(shape[0])
    upper[:picks] = 1.0
    return coo_array((value, (row, column)), shape=shape).tocsr(), upper


def _out_of_order(options: _Options, pick_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of options of one event and station whose P is not before its S."""
    place = options.candidate * (options.ray.max(initial=0) // 2 + 1) + options.ray // 2
    is_s = options.ray % 2 == 1
    p, s = np.flatnonzero(~is_s), np.flatnonzero(is_s)
    order = p[np.argsort(place[p], kind="stable")]
    first, last = (np.searchsorted(place[order], place[s], side) for side in ("left", "right"))
    found = [(np.zeros(0, int), np.zeros(0, int))]
    for k in range(int((last - first).max(initial=0))):  # two picks a station and phase at most
        has = first + k < last
        one, other = order[(first + k)[has]], s[has]
        wrong = pick_s[options.pick[one]] >= pick_s[options.pick[other]]
        found.append((one[wrong], other[wrong]))
    return np.concatenate([a for a, _ in found]), np.concatenate([b for _, b in found])


def _in_turn(options: _Options, fitted: Fitted, pick_s: np.ndarray, least_picks: int, say: Say) -> np.ndarray:
    """A component too large for one programme: overlapping stretches of time, each keeping its first half."""
    say(f"{len(np.unique(options.candidate))} candidates compete for picks: they are solved in stretches of time")
    chosen = np.zeros(len(options.pick), bool)
    origin_s = fitted.hypocentre[options.candidate, 3]
    left = np.argsort(origin_s, kind="stable")
    while len(left):
        part = left[:MOST_VARIABLES]
        here = _solved(_Options(*(each[part] for each in options)), fitted.base, pick_s, least_picks, say)
        until_s = origin_s[part[len(part) // 2]] if len(part) < len(left) else np.inf
        done = origin_s[part] <= until_s
        chosen[part] = here & done
        taken = np.unique(options.pick[part[here & done]])
        left = left[(origin_s[left] > until_s) & ~np.isin(options.pick[left], taken)]
    return chosen


def _as_assigned(
    options: _Options, chosen: np.ndarray, fitted: Fitted, least_picks: int, least_stations: int
) -> Assigned:
    pick = np.full(fitted.gain.shape[:2], NONE)
    pick[options.candidate[chosen], options.ray[chosen]] = options.pick[chosen]
    gain = np.bincount(options.candidate[chosen], options.gain[chosen], len(fitted.base))
    log_odds = fitted.base + gain
    stations = _stations(pick != NONE)
    is_event = (log_odds > 0) & ((pick != NONE).sum(-1) >= least_picks) & (stations >= least_stations)
    pick[~is_event] = NONE
    return Assigned(is_event, pick, log_odds)
