"""Rates of clutter against those that picks were drawn with."""

import numpy as np
import pytest

from jaxloc.data.pick_list import NO_EVENT, PickList
from jaxloc.detection.clutter import Arrivals, clutter_hz

SPAN_S, STEADY_HZ, TRIGGERED, EVENTS = 40_000.0, 0.01, 0.5, 400
SURE = 50.0


def drawn(seed=0):
    """P of events at one station, half of which have another P 1 to 2 s later, and steady false P."""
    rng = np.random.default_rng(seed)
    origin_s = np.sort(rng.uniform(10, SPAN_S - 10, EVENTS))
    late_s = origin_s[rng.random(EVENTS) < TRIGGERED]
    late_s = late_s + rng.uniform(1, 2, len(late_s))
    steady_s = rng.uniform(0, SPAN_S, rng.poisson(STEADY_HZ * SPAN_S))
    time_s = np.concatenate([origin_s, late_s, steady_s])
    event = np.concatenate([np.arange(EVENTS), np.full(len(late_s) + len(steady_s), NO_EVENT)])
    kind = np.repeat([0, 1, 2], [EVENTS, len(late_s), len(steady_s)])
    order = np.argsort(time_s)
    nothing = np.zeros(len(order), int)
    picks = PickList(
        nothing, nothing, time_s[order], np.full(len(order), 0.1), np.ones(len(order)), np.ones(len(order))
    )
    each = np.arange(EVENTS)
    arrivals = Arrivals(each, np.zeros(EVENTS, int), np.zeros(EVENTS, int), origin_s, np.zeros(EVENTS, int))
    return picks, event[order], kind[order], arrivals


def test_clutter_is_raised_after_arrivals_by_what_follows_them():
    picks, event, kind, arrivals = drawn()
    rate_hz = clutter_hz(picks, event, np.full(EVENTS, SURE), arrivals, 1)
    # Where several arrivals precede a pick, rates add up: the median has one.
    assert np.median(rate_hz[kind == 1]) == pytest.approx(STEADY_HZ + TRIGGERED, rel=0.2)
    assert np.median(rate_hz[kind == 2]) == pytest.approx(STEADY_HZ, rel=0.3)


def test_arrivals_of_an_event_are_no_clutter_of_its_own_nor_of_weaker_ones():
    picks, event, kind, arrivals = drawn()
    rate_hz = clutter_hz(picks, event, np.full(EVENTS, SURE), arrivals, 1)
    assert np.median(rate_hz[kind == 0]) == pytest.approx(STEADY_HZ, rel=0.3)
    strong = np.arange(EVENTS) % 2 == 1
    mixed_hz = clutter_hz(picks, event, np.where(strong, SURE, 1.0), arrivals, 1)
    before = np.searchsorted(arrivals.time_s, picks.time_s[kind == 1] - 1.0) - 1
    assert np.median(mixed_hz[kind == 1][strong[before]]) > 10 * np.median(mixed_hz[kind == 1][~strong[before]])


def test_picks_of_a_probability_that_arrivals_have_count_for_more():
    picks, event, _, arrivals = drawn()
    rng = np.random.default_rng(1)
    probability = np.where(event == NO_EVENT, rng.uniform(0.3, 0.7, len(event)), rng.uniform(0.5, 0.9, len(event)))
    odds, nobody = np.full(EVENTS, SURE), Arrivals(*(each[:0] for each in arrivals))
    alike = clutter_hz(picks, event, odds, nobody, 1)
    ratio = clutter_hz(picks._replace(probability=probability), event, odds, nobody, 1) / alike
    assert np.median(ratio[probability > 0.75]) < 0.2
    assert np.median(ratio[probability < 0.45]) > 5


def test_without_events_or_picks_clutter_is_steady():
    picks, event, _, arrivals = drawn()
    nobody = Arrivals(*(each[:0] for each in arrivals))
    rate_hz = clutter_hz(picks, np.full(len(event), NO_EVENT), np.zeros(0), nobody, 3)
    assert np.median(rate_hz) == pytest.approx(len(event) / SPAN_S, rel=0.2)
    empty = PickList(*(each[:0] for each in picks))
    assert len(clutter_hz(empty, np.zeros(0, int), np.zeros(0), nobody, 3)) == 0
