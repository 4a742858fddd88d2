"""Flags of locations and refusals of records, over tables of cases."""

import numpy as np
import pytest

from jaxloc.calibration.shift_detector import Shift
from jaxloc.data.onsets import Onsets
from jaxloc.physics.adaptive_grid import Region
from jaxloc.physics.readings import ArrivalCheck, ArrivalPicks
from jaxloc.runs.flags import (
    Searched,
    Verdict,
    contradiction_flag,
    cut_flag,
    edge_flag,
    edges_of,
    no_arrivals,
    onset_flag,
    with_shift,
)

REGION = Region((-45.0, 45.0), (-30.0, 30.0), (-0.6, 20.0), (-20.0, 40.0))


def check(arrival_s, log_evidence=50.0, active=None):
    arrival_s = np.asarray(arrival_s, float)
    active = np.ones(len(arrival_s)) if active is None else np.asarray(active, float)
    return ArrivalCheck(np.array(log_evidence), np.zeros_like(arrival_s), arrival_s, active)


def onsets(onset_s, log_ratio=5.0):
    number = len(onset_s)
    return Onsets(np.full(number, log_ratio), np.ones(number), np.array(onset_s, float), np.ones(number, bool))


@pytest.mark.parametrize(
    ("place", "sd", "edges"),
    [
        ((0, 0, 10), (1, 1, 3), ()),
        ((44.2, 0, 10), (0.6, 1, 3), ("east",)),
        ((60, 0, 10), (0.6, 1, 3), ("east",)),
        ((-44, 29.5, 19.2), (1, 1, 0.76), ("west", "north", "bottom")),
        ((0, -30, 10), (1, 1, 3), ("south",)),
        ((0, 0, -0.5), (1, 1, 0.3), ()),  # the ground
        ((0, 0, 10), (1, 1, 20.6 / 12**0.5), ("bottom",)),  # flat in depth: not resolved
        ((np.nan, 0, 10), (1, 1, 3), ()),
    ],
)
def test_edges_that_a_posterior_reaches(place, sd, edges):
    assert edges_of(np.array([*place, 5.0]), np.array([*sd, 0.1]), REGION, highest_km=-0.6) == edges


def test_the_top_is_an_edge_where_stations_stand_higher():
    assert edges_of(np.array([0, 0, -0.5, 5]), np.array([1, 1, 0.3, 0.1]), REGION, highest_km=-3.0) == ("top",)


def test_an_edge_is_named_with_its_side_and_place():
    assert edge_flag(("bottom", "west"), REGION) == (
        "edge of the search region: bottom (20 km), west (-45 km); the event may lie beyond"
    )


@pytest.mark.parametrize(
    ("late", "early", "flag"),
    [
        (0, 0, ""),
        (2, 0, ""),
        (3, 0, "record cut: of 24 predicted arrivals 3 after its end"),
        (0, 4, "record cut: of 24 predicted arrivals 4 before its start"),
        (5, 4, "record cut: of 24 predicted arrivals 4 before its start and 5 after its end"),
    ],
)
def test_arrivals_outside_the_record_are_counted(late, early, flag):
    arrival_s = np.full(24, 20.0)
    arrival_s[:late], arrival_s[late : late + early] = 41.0, -1.0
    # A silent station does not count.
    seen = check(np.concatenate([arrival_s.reshape(12, 2), [[99.0, 99.0]]]), active=[1] * 12 + [0])
    assert cut_flag(seen, 40.0) == flag


@pytest.mark.parametrize(
    ("evidence", "onset_s", "words"),
    [
        (10.1, 8.0, ""),
        (9.9, 8.0, "no event found: the arrivals at 5 stations fit no hypocentre better than chance"),
        (-20.0, 35.0, "energy sets in at 35.0 s of 40 s: let the window start later"),
    ],
)
def test_evidence_below_ten_nats_is_no_event(evidence, onset_s, words):
    reason = no_arrivals(check(np.full((5, 2), 20.0), evidence), onsets([onset_s] * 5), 40.0)
    assert words in reason
    assert bool(reason) == bool(words)
    assert ("start later" in reason) == (onset_s > 24)


@pytest.mark.parametrize(("sure", "active", "evidence", "stations"), [(6, 6, 11.9, 6), (6, 6, 12.1, 0), (6, 4, 7.9, 4)])
def test_picks_that_contradict_each_other_are_flagged(sure, active, evidence, stations):
    """Two nats are expected of each station that records and has a pick of either phase."""
    is_sure = np.zeros((8, 2), bool)
    is_sure[:sure, 1] = True
    picks = ArrivalPicks(np.zeros((8, 2)), np.full((8, 2), 0.1), np.ones((8, 2)), is_sure)
    seen = check(np.full((8, 2), 20.0), evidence, active=[1] * active + [0] * (8 - active))._replace(picks=picks)
    flag = contradiction_flag(seen)
    assert bool(flag) == bool(stations)
    assert not stations or f"those at {stations} stations" in flag
    assert contradiction_flag(seen._replace(picks=None)) == ""


def test_records_of_no_station_are_no_event():
    seen = check(np.zeros((3, 2)), active=[0, 0, 0])
    assert no_arrivals(seen, None, 40.0) == "no event found: no station has a record"


@pytest.mark.parametrize(("onset_s", "flagged"), [(3.0, True), (5.0, False), (13.9, False), (20.0, True)])
def test_networks_that_learn_the_position_in_the_record_flag_others(onset_s, flagged):
    searched = Searched(None, 0.0, 40.0, (6.0, 13.0))
    flag = onset_flag(onsets([onset_s] * 3), searched)
    assert flag == (
        f"window unlike training: energy sets in {onset_s:.1f} s after its start, in training 6.0 to 13.0 s"
        if flagged
        else ""
    )


@pytest.mark.parametrize(
    ("refused", "shift", "reason", "flag"),
    [
        ("", Shift(), "", ""),
        (
            "",
            Shift("two events in one window", "so"),
            "",
            "out of distribution: it looks like two events in one window (so)",
        ),
        ("", Shift("noise", "so", refused=True), "no event found: it looks like noise (so)", "out of distribution"),
        ("no event found: chance", Shift("noise", "so"), "no event found: chance; it looks like noise", ""),
    ],
)
def test_shifts_are_flags_and_windows_without_an_earthquake_are_refused(refused, shift, reason, flag):
    verdict = with_shift(Verdict(refused, ("record cut",)), shift)
    assert verdict.refused == reason
    assert verdict.flags[0] == "record cut"
    assert len(verdict.flags) == 1 + bool(flag)
    assert flag in verdict.flag


@pytest.mark.parametrize(
    ("stations", "sure", "located"),
    [
        (1, [[True, True]], True),
        (1, [[True, False]], False),
        (2, [[True, False], [True, True]], True),
        (3, [[True, True]] * 3, False),  # from three stations on, moveout has to tell
    ],
)
def test_one_or_two_stations_are_located_by_p_and_s(stations, sure, located):
    zero = np.zeros((stations, 2))
    found = check(np.full((stations, 2), 10.0), log_evidence=1.0)
    found = found._replace(picks=ArrivalPicks(zero, zero, zero, np.array(sure)))
    assert (no_arrivals(found, None, 60.0) == "") == located
