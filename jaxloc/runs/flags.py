"""Checks of located records: whether there is an event at all, and reasons not to trust its location.

The thresholds were set on simulated events of the quickstart experiment (12 stations, 40 s): of 300 events the smallest
log-evidence was 70, of 300 windows of noise the largest was 6, of 60 events reversed in time the largest was 14.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from jaxloc.calibration.shift_detector import Shift, ShiftDetector, assess
from jaxloc.data.onsets import Onsets, first_onset_s, no_event
from jaxloc.distributions.gaussian_mixture import moments
from jaxloc.physics.adaptive_grid import Region
from jaxloc.physics.readings import ArrivalCheck
from jaxloc.runs.located import Located
from jaxloc.runs.station_flags import station_flag, velocity_flag

LEAST_LOG_EVIDENCE = 10.0  # by chance arrivals without moveout exceed it once in 22,000 (Markov's inequality)
LEAST_PER_STATION = 2.0  # log-evidence for each station with a pick; of 100 simulated events at least 7.0
FEW_STATIONS = 2
EDGE_SD = 2.0  # an edge of the search region nearer to the mean than this is reached; 1.7 for a flat density
CUT_SHARE = 0.1  # of the predicted arrivals, beyond the record
SIDES = {"west": (0, 0), "east": (0, 1), "south": (1, 0), "north": (1, 1), "top": (2, 0), "bottom": (2, 1)}
"""Edges of a region: axis, and which of its ends."""
ONSET_MARGIN_S = 1.5  # of onsets without a network, from where training had them


class Verdict(NamedTuple):
    """Of one event: why it is not located ("": it is), flags that name reasons not to trust its location, and edges of
    the search region that its posterior reaches (`SIDES`).
    """

    refused: str = ""
    flags: tuple[str, ...] = ()
    edges: tuple[str, ...] = ()

    @property
    def flag(self) -> str:
        """All flags in one text, empty where there is none."""
        return "; ".join(self.flags)

    @property
    def told(self) -> str:
        """The same, with the reason why it would not be located."""
        return "; ".join(filter(None, (self.refused, *self.flags)))


class Searched(NamedTuple):
    """Where and in what locations were searched.

    Attributes:
        region: of the search; None where the network's training fixes it.
        highest_km: depth of the highest station (negative above sea level), up to which an event may lie.
        duration_s: length of the records.
        onsets_s: earliest and latest first onset in training; None where the position in the record does not matter.
        shifts: out-of-distribution detector of the run at these stations; None without one.
        stations: their codes, to name those that do not fit.
    """

    region: Region | None
    highest_km: float
    duration_s: float
    onsets_s: tuple[float, float] | None = None
    shifts: ShiftDetector | None = None
    stations: tuple[str, ...] = ()


def verdicts(located: Located, searched: Searched) -> list[Verdict]:
    """A verdict for each located event."""
    centre, spread = (np.asarray(x, float) for x in moments(located.posterior.hypocentre))
    sd = np.sqrt(np.maximum(np.diagonal(spread, axis1=-2, axis2=-1), 0))
    found = [
        _verdict(_row(located.check, i), _row(located.onsets, i), centre[i], sd[i], searched)
        for i in range(len(centre))
    ]
    if searched.shifts is None or located.statistics is None:
        return found
    unlike = assess(searched.shifts, located.statistics)
    return [with_shift(verdict, shift) for verdict, shift in zip(found, unlike, strict=True)]


def with_shift(verdict: Verdict, shift: Shift) -> Verdict:
    """A verdict with what the out-of-distribution detector says of the event."""
    if not shift.kind:
        return verdict
    if verdict.refused:
        return verdict._replace(refused=f"{verdict.refused}; it looks like {shift.kind}")
    refused = f"no event found: it looks like {shift.kind} ({shift.reason})" if shift.refused else ""
    flag = f"out of distribution: it looks like {shift.kind} ({shift.reason})"
    return verdict._replace(refused=refused, flags=(*verdict.flags, flag))


def _row(tree: Any, i: int) -> Any:
    return jax.tree.map(lambda x: x[i], tree)


def _verdict(
    check: ArrivalCheck | None,
    onsets: Onsets | None,
    centre: Float[np.ndarray, " 4"],
    sd: Float[np.ndarray, " 4"],
    searched: Searched,
) -> Verdict:
    reason, found = "", []
    if check is not None:
        reason = no_arrivals(check, onsets, searched.duration_s)
        found = [cut_flag(check, searched.duration_s)]
        if not reason:
            found += [contradiction_flag(check), station_flag(check, searched.stations), velocity_flag(check)]
    elif onsets is not None and (reason := no_event(onsets)):
        reason = f"no event found: {reason}"
    elif onsets is not None:
        found = [onset_flag(onsets, searched)]
    edges = () if searched.region is None else edges_of(centre, sd, searched.region, searched.highest_km)
    if edges and searched.region is not None:
        found.append(edge_flag(edges, searched.region))
    return Verdict(reason, tuple(flag for flag in found if flag), edges)


def no_arrivals(check: ArrivalCheck, onsets: Onsets | None, duration_s: float) -> str:
    """Why arrival densities are of no event in the region; empty where they are of one."""
    number = int((check.active > 0).sum())
    if number == 0:
        return "no event found: no station has a record"
    evidence = float(check.log_evidence)
    if evidence >= LEAST_LOG_EVIDENCE or seen_by_few(check):
        return ""
    reason = (
        f"no event found: the arrivals at {number} station{'s' * (number > 1)} fit no hypocentre better than chance "
        f"(log-evidence {evidence:.1f}; at least {LEAST_LOG_EVIDENCE:g} needed)"
    )
    return reason + ("" if onsets is None else _late_hint(onsets, duration_s))


def seen_by_few(check: ArrivalCheck) -> bool:
    """Whether one or two stations record an event: P and S at one of them. They have no moveout to tell it by."""
    active = np.asarray(check.active) > 0
    if check.picks is None or active.sum() > FEW_STATIONS:
        return False
    return bool(np.asarray(check.picks.sure)[active].all(-1).any())


def _late_hint(onsets: Onsets, duration_s: float) -> str:
    """Advice where energy sets in so late that arrivals are missing."""
    first_s = first_onset_s(onsets)
    if no_event(onsets) or not first_s > 0.6 * duration_s:
        return ""
    return f"; energy sets in at {first_s:.1f} s of {duration_s:g} s: let the window start later"


def cut_flag(check: ArrivalCheck, duration_s: float) -> str:
    """Names arrivals that are predicted before or after the record, where these are not few."""
    arrival_s = np.asarray(check.arrival_s, float)[np.asarray(check.active) > 0]
    late, early = (arrival_s > duration_s).sum(), (arrival_s < 0).sum()
    if late + early <= CUT_SHARE * arrival_s.size:
        return ""
    sides = [f"{n} {where}" for n, where in ((early, "before its start"), (late, "after its end")) if n]
    return f"record cut: of {arrival_s.size} predicted arrivals {' and '.join(sides)}"


def contradiction_flag(check: ArrivalCheck) -> str:
    """Names evidence that is too weak for so many picks, some of which are then of nothing or of another event."""
    if check.picks is None:
        return ""
    if seen_by_few(check):
        return ""
    number = int((np.asarray(check.picks.sure).any(-1) & (np.asarray(check.active) > 0)).sum())
    evidence, least = float(check.log_evidence), LEAST_PER_STATION * number
    if evidence >= least:
        return ""
    return (
        f"picks contradict each other: those at {number} stations fit the location less well than picks of one "
        f"earthquake do (log-evidence {evidence:.1f}; at least {least:g} expected)"
    )


def edges_of(
    centre: Float[np.ndarray, " 4"], sd: Float[np.ndarray, " 4"], region: Region, highest_km: float = -np.inf
) -> tuple[str, ...]:
    """The edges of a region that a posterior reaches or lies beyond; the ground at `highest_km` is none."""
    reached = []
    for side, (axis, last) in SIDES.items():
        inside = (region[axis][1] - centre[axis]) if last else (centre[axis] - region[axis][0])
        ground = side == "top" and region[axis][0] <= highest_km
        if np.isfinite(centre).all() and inside < EDGE_SD * sd[axis] and not ground:
            reached.append(side)
    return tuple(reached)


def edge_flag(edges: Sequence[str], region: Region) -> str:
    """Names edges of the search region, with their coordinates."""
    ends = [f"{side} ({region[SIDES[side][0]][SIDES[side][1]]:.4g} km)" for side in edges]
    return f"edge of the search region: {', '.join(ends)}; the event may lie beyond"


def onset_flag(onsets: Onsets, searched: Searched) -> str:
    """Names a first onset where none was in training, for networks that learn positions in the record."""
    if searched.onsets_s is None:
        return ""
    first_s, (low, high) = first_onset_s(onsets), searched.onsets_s
    if low - ONSET_MARGIN_S <= first_s <= high + ONSET_MARGIN_S:
        return ""
    return (
        f"window unlike training: energy sets in {first_s:.1f} s after its start, in training {low:.1f} to {high:.1f} s"
    )
