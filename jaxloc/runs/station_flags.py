"""Flags that name what is wrong outside of an event's records: stations, and the velocity model.

`LEAST_EVIDENCE` and `LEAST_EXCHANGED` were chosen so that at most some 1 % of stations of good data are named by an
event (docs/anywhere.md, "Under faults", has the measured rates); `MOST_SURPRISE` is exceeded in 5 % of regions whose
velocity model has an uncertainty that is right and normal. What is wrong with a station mostly is so in all events:
their evidence adds up, and by chance a sum exceeds `LEAST_TOGETHER` at one of 20 stations at most (Markov's
inequality).
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from jaxloc.physics.readings import NEVER, ArrivalCheck, CommonShift, StationFaults

LEAST_EVIDENCE = 2.0  # of a clock or coordinates over an ordinary station, in nats
LEAST_EXCHANGED = 4.0  # of exchanged records: an event has many pairs of stations
LEAST_TOGETHER, FEWEST = 3.0, 3  # the same summed over events, of which there are so many with a record of the station
APART = 2.0  # in nats: the less likely of two faults is not mentioned then
MOST_NAMED = 3  # stations of an event; more are not faults of single stations
MOST_SURPRISE = 5.99  # chi-square of two degrees of freedom, 95 %


class Fault(NamedTuple):
    """A station that is named: its row, what is wrong, how sure that is in nats, and offsets of P and S in s.

    `kind` is "clock", "coordinates" or "exchanged", then with the station of row `partner`; `unsure` is whether the
    other one of the first two is about as likely.
    """

    row: int
    kind: str
    evidence: float
    offset_s: float = 0.0
    partner: int = -1
    unsure: bool = False


def faulty_stations(faults: StationFaults) -> list[Fault]:
    """Stations of one event with evidence of a fault, the surest first; pairs of exchanged records are one of them."""
    exchanged = _pairs(faults)
    taken = {row for pair in exchanged for row in (pair.row, pair.partner)}
    clock, place = np.asarray(faults.clock, float), np.asarray(faults.place, float)
    found = []
    for row in np.flatnonzero(np.maximum(clock, place) > LEAST_EVIDENCE):
        if row in taken:
            continue
        of_clock = clock[row] >= place[row]
        unsure = bool(abs(clock[row] - place[row]) < APART)
        offset_s = float((faults.clock_s if of_clock else faults.place_s)[row])
        kind, evidence = ("clock", clock[row]) if of_clock else ("coordinates", place[row])
        found.append(Fault(int(row), kind, float(evidence), offset_s, unsure=unsure))
    return sorted([*exchanged, *found], key=lambda each: -each.evidence)


def _pairs(faults: StationFaults) -> list[Fault]:
    """Pairs of stations that are each other's likeliest partner, where nothing else explains either as well."""
    partner, evidence = np.asarray(faults.partner), np.asarray(faults.exchanged, float)
    alone = np.maximum(np.asarray(faults.clock, float), np.asarray(faults.place, float))
    return [
        Fault(int(row), "exchanged", float(evidence[row]), partner=int(other))
        for row, other in enumerate(partner)
        if row < other
        and partner[other] == row
        and evidence[row] > max(LEAST_EXCHANGED, np.maximum(alone[row], 0) + np.maximum(alone[other], 0))
    ]


def faulty_in_all(faults: StationFaults, located: Bool[np.ndarray, " event"]) -> list[Fault]:
    """Stations whose clock or coordinates are wrong by all events together, the surest first.

    Args:
        faults: of a batch of events.
        located: those that count, since they have an earthquake.

    Returns:
        Faults with the sum of evidence, and medians of the offsets.
    """
    kinds = {"clock": (faults.clock, faults.clock_s), "coordinates": (faults.place, faults.place_s)}
    there = (np.asarray(faults.clock, float) > NEVER) & np.asarray(located)[:, None]
    total = {kind: np.where(there, np.asarray(each, float), 0.0).sum(0) for kind, (each, _) in kinds.items()}
    found = []
    for row in np.flatnonzero(there.sum(0) >= FEWEST):
        kind, other = sorted(kinds, key=lambda each, row=row: -total[each][row])
        if total[kind][row] > LEAST_TOGETHER:
            offset_s = float(np.median(np.asarray(kinds[kind][1], float)[there[:, row], row]))
            unsure = bool(total[kind][row] - total[other][row] < APART)
            found.append(Fault(int(row), kind, float(total[kind][row]), offset_s, unsure=unsure))
    return sorted(found, key=lambda each: -each.evidence)


def lines_of_all(check: ArrivalCheck, located: Bool[np.ndarray, " event"], codes: tuple[str, ...]) -> list[str]:
    """What all events together say of stations (`faulty_in_all`) and of the velocity model, in lines for the user.

    Args:
        check: of a batch of events.
        located: as for `faulty_in_all`.
        codes: of the stations.
    """
    number = int(np.sum(located))
    found = [] if check.faults is None else [_text(each, codes) for each in faulty_in_all(check.faults, located)]
    if check.common is not None and number >= FEWEST:
        of_all = CommonShift(*(np.asarray(each, float)[located].mean(0) for each in check.common))  # pyright: ignore
        found.append(velocity_flag(check._replace(common=of_all)))
    return [f"by {number} events together {each}" for each in found if each]


def largest_evidence(faults: StationFaults) -> float:
    """The evidence of the likeliest fault of any station of one event, in nats."""
    return float(np.max([np.asarray(each) for each in (faults.clock, faults.place, faults.exchanged)]))


def station_flag(check: ArrivalCheck, codes: tuple[str, ...]) -> str:
    """Names stations that do not fit the others; empty where there is none.

    Args:
        check: of one event.
        codes: of the stations, in the order of the check.
    """
    found = [] if check.faults is None else faulty_stations(check.faults)
    if not found:
        return ""
    if len(found) > MOST_NAMED:
        number = int((np.asarray(check.active) > 0).sum())
        return f"arrivals at {len(found)} of {number} stations do not fit those at the others: the velocity model?"
    return "; ".join(_text(each, codes) for each in found)


def _text(fault: Fault, codes: tuple[str, ...]) -> str:
    name = lambda row: codes[row] if row < len(codes) else f"number {row + 1}"
    if fault.kind == "exchanged":
        return f"records of stations {name(fault.row)} and {name(fault.partner)} may be exchanged"
    other = {"clock": "coordinates", "coordinates": "clock"}[fault.kind]
    cause = f"its {fault.kind}, or its {other}?" if fault.unsure else f"its {fault.kind}?"
    phases = "in P and S" if fault.kind == "clock" else "in P, and more in S"
    return f"station {name(fault.row)} is off by {fault.offset_s:+.1f} s {phases}: {cause}"


def velocity_flag(check: ArrivalCheck) -> str:
    """Names travel times that differ from those of the velocity model by more than its uncertainty allows."""
    if check.common is None or velocity_surprise(check) <= MOST_SURPRISE:
        return ""
    of_both, of_s = np.asarray(check.common.relative, float)
    return (
        f"travel times are not those of the velocity model, beyond its uncertainty: P by {100 * of_both:+.0f} %, S by "
        f"{100 * (of_both + of_s):+.0f} %; is it of this region?"
    )


def velocity_surprise(check: ArrivalCheck) -> float:
    """How unlikely the velocity model's error is that arrivals speak for (chi-square); 0 where it counts as exact."""
    return 0.0 if check.common is None else float(check.common.surprise)
