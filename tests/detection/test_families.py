"""Families against a plain loop over all pairs."""

import time

import numpy as np
import pytest

from jaxloc.detection.families import Sameness, each_alone, families


def _by_loop(
    template: np.ndarray, origin_s: np.ndarray, statistic: np.ndarray, travel_s: np.ndarray, place_km: np.ndarray
) -> np.ndarray:
    rule, head = Sameness(), np.full(len(template), -1)
    for one in np.lexsort((template, origin_s, -statistic)):
        if head[one] >= 0:
            continue
        head[one] = one
        for other in np.flatnonzero(head < 0):
            a, b = template[one], template[other]
            difference_s = travel_s[a] - travel_s[b]
            shared = np.isfinite(difference_s)
            if a != b and (not shared.any() or np.linalg.norm(place_km[a] - place_km[b]) > rule.apart_km):
                continue
            middle_s = 0.0 if a == b else np.median(difference_s[shared])
            rest_s = 0.0 if a == b else np.median(np.abs(difference_s[shared] - middle_s))
            apart_s = abs(origin_s[one] - origin_s[other] + middle_s) + rest_s
            lobe = apart_s <= rule.window_s and statistic[other] < rule.side_lobe * statistic[one]
            if apart_s <= rule.apart_s or lobe:
                head[other] = one
    return head


def _case(number: int, templates: int, length_s: float, seed: int = 0) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    place_km, station_km = rng.uniform(0, 15, (templates, 3)), rng.uniform(-20, 20, (8, 3))
    travel_s = np.linalg.norm(place_km[:, None] - station_km, axis=-1) / 6
    travel_s[rng.random(travel_s.shape) < 0.3] = np.nan
    template, origin_s = rng.integers(0, templates, number), rng.uniform(0, length_s, number)
    return template, origin_s, rng.integers(6, 30, number).astype(float), travel_s, place_km


@pytest.mark.parametrize("seed", range(3))
def test_families_are_those_of_a_loop_with_ties(seed: int) -> None:
    case = _case(300, 12, 150.0, seed)
    np.testing.assert_array_equal(families(*case), _by_loop(*case))


def test_detections_with_the_same_arrivals_and_other_origin_times_are_one_event() -> None:
    travel_s = np.array([[1.0, 2.0, 3.0], [3.5, 4.5, 5.5]])
    place_km = np.array([[0.0, 0, 5], [0, 0, 8]])
    head = families(np.array([0, 1]), np.array([10.0, 7.5]), np.array([9.0, 12.0]), travel_s, place_km)
    np.testing.assert_array_equal(head, [1, 1])
    far = families(np.array([0, 1]), np.array([10.0, 7.5]), np.array([9.0, 12.0]), travel_s, place_km * 10)
    np.testing.assert_array_equal(far, [0, 1])


def test_events_closer_than_a_window_are_two_and_side_lobes_are_not() -> None:
    statistic = np.array([20.0, 15.0, 8.0])
    head = each_alone(np.zeros(3, int), np.array([0.0, 2.0, -3.0]), statistic)
    np.testing.assert_array_equal(head, [True, True, False])


def test_no_detections_have_no_families() -> None:
    assert len(families(np.zeros(0, int), np.zeros(0), np.zeros(0), np.ones((1, 2)), np.zeros((1, 3)))) == 0


def test_limits_that_are_negative_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must not be negative.*apart_s=-1"):
        families(*_case(5, 2, 10.0), sameness=Sameness(apart_s=-1))


@pytest.mark.slow
def test_a_million_detections_take_less_than_ten_seconds() -> None:
    case = _case(10**6, 1000, 86400.0)
    began = time.process_time()
    families(*case)
    assert time.process_time() - began < 10
