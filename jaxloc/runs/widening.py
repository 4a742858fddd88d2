"""Events at an edge of the search region or nowhere in it, searched once more beyond it."""

from collections.abc import Callable, Sequence

import jax
import numpy as np
from jaxtyping import Int, Shaped

from jaxloc.data.onsets import Onsets, no_event
from jaxloc.distributions.gaussian_mixture import covariance, mean
from jaxloc.physics.adaptive_grid import Region
from jaxloc.runs.flags import SIDES, Verdict, edge_flag, edges_of
from jaxloc.runs.located import Located

Relocate = Callable[[Region, Int[np.ndarray, " row"]], tuple[Located, list[Verdict]]]
"""Region and row numbers of events to their locations in this region, with verdicts."""


def beyond_edges(
    located: Located, verdicts: Sequence[Verdict], region: Region, relocate: Relocate, say: Callable[[str], None]
) -> tuple[Located, list[Verdict]]:
    """Search events once more in a wider region, and keep the likelier of both locations.

    Searched again are events whose posterior reaches an edge, and records that fit no hypocentre of the region though
    energy sets in at their stations as it does in an event. The likelier location has the larger log-evidence, in which
    the wider region counts against it. A location that reaches beyond an edge has a flag that names the edge.
    """
    verdicts = list(verdicts)
    sides = [set(v.edges) | _all_sides(v, located.onsets, i) for i, v in enumerate(verdicts)]
    rows = np.flatnonzero([len(each) > 0 for each in sides])
    if not len(rows) or located.check is None:
        return located, verdicts
    wider = widened(region, {side for row in rows for side in sides[row]})
    say(f"at an edge of the search region, or fitting nowhere in it: {len(rows)}; searched again in {describe(wider)}")
    second, new_verdicts = relocate(wider, rows)
    if second.check is None:
        return located, verdicts
    better = np.asarray(second.check.log_evidence) > np.asarray(located.check.log_evidence)[rows]
    for row, verdict in zip(rows[better], [v for v, b in zip(new_verdicts, better, strict=True) if b], strict=True):
        verdicts[row] = _flagged_beyond(verdict, edges_of(*_moments(second, rows, row), region), region)
    return jax.tree.map(lambda old, new: _with_rows(old, rows[better], new[better]), located, second), verdicts


def _all_sides(verdict: Verdict, onsets: Onsets | None, row: int) -> set[str]:
    """All sides but the ground for a refused record with onsets of an event, else none."""
    if not verdict.refused or onsets is None or no_event(jax.tree.map(lambda x: x[row], onsets)):
        return set()
    return set(SIDES) - {"top"}


def _moments(second: Located, rows: Int[np.ndarray, " row"], row: int) -> tuple[np.ndarray, np.ndarray]:
    posterior, at = second.posterior.hypocentre, int(np.flatnonzero(rows == row)[0])
    variance = np.diagonal(np.asarray(covariance(posterior), float)[at])
    return np.asarray(mean(posterior), float)[at], np.sqrt(variance)


def _flagged_beyond(verdict: Verdict, edges: Sequence[str], region: Region) -> Verdict:
    if not edges:
        return verdict
    names = edge_flag(edges, region).split(": ", 1)[1].split("; ")[0]
    return verdict._replace(flags=(f"beyond the search region: {names}", *verdict.flags))


def widened(region: Region, sides: set[str]) -> Region:
    """A region that is longer by its own extent beyond each of the named sides."""
    ends = [list(axis) for axis in region]
    for side in sides:
        axis, last = SIDES[side]
        extent = region[axis][1] - region[axis][0]
        ends[axis][last] += extent if last else -extent
    return Region(*((float(low), float(high)) for low, high in ends))


def describe(region: Region) -> str:
    """The ranges of a region in space."""
    east, north, depth = (f"{low:.0f} to {high:.0f} km" for low, high in region[:3])
    return f"east {east}, north {north}, depth {depth}"


def _with_rows(
    whole: Shaped[np.ndarray, "event *each"], rows: Int[np.ndarray, " row"], new: Shaped[np.ndarray, "row *each"]
) -> Shaped[np.ndarray, "event *each"]:
    whole = np.array(whole)
    whole[rows] = new
    return whole
