"""Flags that name stations, and the velocity model, over tables of cases."""

import numpy as np
import pytest

from jaxloc.physics.readings import NEVER, ArrivalCheck, CommonShift, StationFaults
from jaxloc.runs.flags import Searched, _verdict
from jaxloc.runs.station_flags import (
    faulty_in_all,
    faulty_stations,
    largest_evidence,
    lines_of_all,
    station_flag,
    velocity_flag,
)

CODES = ("XX.AAA", "XX.BBB", "XX.CCC", "XX.DDD", "XX.EEE")
NUMBER = len(CODES)


def faults(clock=(), place=(), exchanged=(), offset_s=1.0):
    """Evidence by row, low elsewhere; pairs of `exchanged` are each other's partners."""
    empty = lambda given: np.array([dict(given).get(row, -2.0) for row in range(NUMBER)])
    partner, of_pairs = np.zeros(NUMBER, int), np.full(NUMBER, -3.0)
    for first, second, evidence in exchanged:
        partner[[first, second]], of_pairs[[first, second]] = (second, first), evidence
    offsets_s = np.full(NUMBER, offset_s)
    return StationFaults(empty(clock), offsets_s, empty(place), offsets_s, of_pairs, partner)  # pyright: ignore


def check(found=None, common=None, log_evidence=50.0):
    zero = np.full((NUMBER, 2), 10.0)
    return ArrivalCheck(np.array(log_evidence), zero, zero, np.ones(NUMBER), faults=found, common=common)  # pyright: ignore


@pytest.mark.parametrize(
    ("found", "flag"),
    [
        (faults(), ""),
        (faults(clock=[(1, 1.9)]), ""),
        (faults(exchanged=[(0, 3, 3.9)]), ""),
        (faults(clock=[(1, 2.1)]), "station XX.BBB is off by +1.0 s in P and S: its clock?"),
        (
            faults(clock=[(1, 3.0)], place=[(1, 2.5)], offset_s=-0.8),
            "station XX.BBB is off by -0.8 s in P and S: its clock, or its coordinates?",
        ),
        (
            faults(place=[(2, 4.0)], clock=[(2, 3.0)], offset_s=2.5),
            "station XX.CCC is off by +2.5 s in P, and more in S: its coordinates, or its clock?",
        ),
        (faults(exchanged=[(0, 3, 5.0)]), "records of stations XX.AAA and XX.DDD may be exchanged"),
        (
            faults(clock=[(1, 2.2)], exchanged=[(0, 3, 5.0)]),
            "records of stations XX.AAA and XX.DDD may be exchanged; "
            "station XX.BBB is off by +1.0 s in P and S: its clock?",
        ),
        (
            faults(clock=[(i, 3.0) for i in range(4)]),
            "arrivals at 4 of 5 stations do not fit those at the others: the velocity model?",
        ),
    ],
)
def test_stations_are_named_where_the_evidence_is_enough(found, flag):
    assert station_flag(check(found), CODES) == flag


def test_records_are_exchanged_only_where_nothing_simpler_explains_both():
    """Two clocks that are off explain as much by themselves: 3 + 3 nats against 5."""
    found = faulty_stations(faults(clock=[(0, 3.0), (3, 3.0)], exchanged=[(0, 3, 5.0)]))
    assert [(each.row, each.kind) for each in found] == [(0, "clock"), (3, "clock")]


def test_a_pair_must_be_mutual():
    one_sided = faults(exchanged=[(0, 3, 5.0)])._replace(partner=np.array([3, 0, 0, 1, 0]))
    assert faulty_stations(one_sided) == []


def test_the_largest_evidence_is_that_of_any_fault():
    assert largest_evidence(faults(clock=[(1, 2.0)], place=[(2, 4.5)], exchanged=[(0, 3, 3.0)])) == 4.5


@pytest.mark.parametrize(
    ("relative", "surprise", "flag"),
    [
        ((0.11, 0.02), 5.9, ""),
        (
            (0.11, 0.02),
            6.1,
            "travel times are not those of the velocity model, beyond its uncertainty: P by +11 %, S by +13 %; "
            "is it of this region?",
        ),
    ],
)
def test_a_velocity_model_of_another_region_is_flagged(relative, surprise, flag):
    assert velocity_flag(check(common=CommonShift(np.array(relative), np.array(surprise)))) == flag  # pyright: ignore
    assert velocity_flag(check()) == ""


@pytest.mark.parametrize(("evidence", "number"), [(50.0, 2), (0.0, 0)])
def test_flags_are_of_located_events_alone(evidence, number):
    seen = check(faults(clock=[(1, 3.0)]), CommonShift(np.array([0.2, 0.0]), np.array(20.0)), evidence)  # pyright: ignore
    verdict = _verdict(seen, None, np.zeros(4), np.ones(4), Searched(None, 0.0, 60.0, stations=CODES))
    assert len(verdict.flags) == number
    assert bool(verdict.refused) == (number == 0)


def test_a_silent_station_is_never_named():
    silent = faults()._replace(clock=np.full(NUMBER, NEVER), place=np.full(NUMBER, NEVER))
    assert station_flag(check(silent), CODES) == ""


def batch(*events):
    return StationFaults(*(np.stack(each) for each in zip(*events, strict=True)))


def test_evidence_of_a_station_adds_up_over_located_events():
    """Four events of 1.2 nats each name a station that none of them names; a fifth, refused, does not count."""
    weak = [faults(clock=[(1, 1.2)], offset_s=offset_s) for offset_s in (0.9, 1.0, 1.2, 1.1)]
    strong = faults(clock=[(2, 50.0)])
    found = batch(*weak, strong)
    located = np.array([True] * 4 + [False])
    (fault,) = faulty_in_all(found, located)
    assert (fault.row, fault.kind) == (1, "clock")
    assert fault.evidence == pytest.approx(4.8)
    assert lines_of_all(check(found), located, CODES) == [
        "by 4 events together station XX.BBB is off by +1.1 s in P and S: its clock?"
    ]
    assert lines_of_all(check(), located, CODES) == []


def test_two_events_are_too_few_to_name_a_station():
    found = batch(faults(clock=[(1, 2.5)]), faults(clock=[(1, 2.5)]))
    assert faulty_in_all(found, np.array([True, True])) == []


@pytest.mark.parametrize(("surprise", "number"), [(5.0, 0), (7.0, 1)])
def test_the_velocity_model_is_named_by_the_mean_of_all_events(surprise, number):
    common = CommonShift(np.tile([-0.1, -0.02], (4, 1)), np.array([surprise + 1, surprise - 1, surprise, 99.0]))
    lines = lines_of_all(check(common=common), np.array([True, True, True, False]), CODES)
    assert len(lines) == number
    assert all(
        "by 3 events together travel times are not" in line and "P by -10 %, S by -12 %" in line for line in lines
    )
