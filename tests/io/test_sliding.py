"""Sliding windows, and one event in several of them."""

import numpy as np
import pytest
from obspy import UTCDateTime

from jaxloc.io.catalogue import Hypocentre
from jaxloc.io.sliding import one_each, window_starts

BEGIN = UTCDateTime("2020-01-01T00:00:00")
COVARIANCE = np.diag([0.25, 0.25, 1.0, 0.01])


@pytest.mark.parametrize(
    ("span_s", "overlap", "seconds"),
    [
        (40.0, 0.5, [0]),
        (50.0, 0.5, [0]),  # up to a quarter longer: one window
        (60.0, 0.5, [0, 20]),
        (300.0, 0.5, [*range(0, 260, 20), 260]),
        (100.0, 0.0, [0, 40, 60]),  # the last one ends with the records
    ],
)
def test_windows_cover_the_records(span_s, overlap, seconds):
    assert [start - BEGIN for start in window_starts(BEGIN, span_s, 40.0, overlap)] == pytest.approx(seconds)


@pytest.mark.parametrize("overlap", [-0.1, 0.95, float("nan")])
def test_an_overlap_without_end_is_refused(overlap):
    with pytest.raises(ValueError, match=r"must be within 0-0\.9"):
        window_starts(BEGIN, 300.0, 40.0, overlap)


def event(name, start_s, origin_s, latitude=40.0, longitude=15.0, depth=8.0, flag="", covariance=COVARIANCE):
    start = str(BEGIN + start_s)
    return Hypocentre(name, start, latitude, longitude, depth, origin_s, covariance, flag=flag)


def test_an_event_of_two_windows_is_kept_once_with_the_fewest_flags():
    first = event("a", 0, 30.0, flag="record cut", covariance=COVARIANCE / 4)
    second = event("b", 20, 10.1, 40.005, 15.005)
    other = event("c", 40, 15.0)  # 25 s later at the same place
    far = event("d", 20, 10.0, 40.2)  # at the same time 22 km north
    kept, again = one_each([far, first, other, second])
    assert sorted(h.id for h in kept) == ["b", "c", "d"]
    assert [h.id for h in kept][-1] == "c"
    assert again == {"a": "b"}


@pytest.mark.parametrize(("later_s", "same"), [(1.0, True), (1.5, True), (1.7, False)])
def test_events_of_one_place_are_one_within_four_standard_deviations_and_a_second(later_s, same):
    """The difference has a standard deviation of 0.1 s times the root of two: 1.57 s in all."""
    kept, _ = one_each([event("a", 0, 10.0), event("b", 0, 10.0 + later_s)])
    assert (len(kept) == 1) == same


def test_nothing_is_merged_of_nothing():
    assert one_each([]) == ([], {})
