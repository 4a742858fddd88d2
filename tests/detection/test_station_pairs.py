"""Pairs of P and S, and the origin times that they give."""

import numpy as np
import pytest

from jaxloc.data.pick_list import PickList
from jaxloc.detection.station_pairs import NO_P, NO_S, of_pairs, origin_of_pair, pairs_of


def picks(*rows: tuple[int, str, float, float]) -> PickList:
    station, phase, time_s, amplitude = zip(*rows, strict=True)
    sigma_s, probability = np.full(len(rows), 0.1), np.ones(len(rows))
    numbers = np.array([station, ["PS".index(each) for each in phase]])
    return PickList(*numbers, np.array(time_s), sigma_s, probability, np.array(amplitude, float))


def test_the_origin_time_is_that_of_a_source_at_the_distance_of_s_minus_p() -> None:
    far_km = np.array([0.0, 10.0, 80.0])
    assert origin_of_pair(5 + far_km / 5.9, 5 + far_km / 3.4, 5.9, 3.4) == pytest.approx(5.0)


def test_s_goes_with_the_p_right_before_it_at_its_station() -> None:
    given = picks((0, "P", 1, 3.0), (1, "P", 2, np.nan), (0, "S", 3, np.nan), (1, "S", 5, 7.0), (0, "P", 6, 1.0))
    pairs, alone = pairs_of(given, 6.0, 3.5, 10.0)
    by_station = np.argsort(pairs.station)
    assert pairs.rows[by_station].tolist() == [[0, 2], [1, 3]]
    assert pairs.amplitude[by_station].tolist() == [3.0, 7.0]
    assert alone == ("", "", "", "", NO_S)
    assert (np.diff(pairs.origin_s) >= 0).all()


def test_a_pick_in_no_pair_has_the_reason() -> None:
    given = picks((0, "S", 1, 1), (0, "P", 2, 1), (0, "S", 20, 1), (0, "P", 30, 1), (0, "P", 31, 1), (0, "S", 33, 1))
    pairs, alone = pairs_of(given, 6.0, 3.5, 10.0)
    assert pairs.rows.tolist() == [[4, 5]]
    assert (*alone[:1], *alone[2:]) == (NO_P, NO_P, NO_S, "", "")
    assert "within 10 s" in alone[1]


def test_pairs_come_back_from_their_list_of_picks() -> None:
    station, p_s, s_s = np.array([1, 0, 1]), np.array([4.0, 5.0, 50.0]), np.array([7.0, 6.0, 55.0])
    listed = of_pairs(station, p_s, s_s, np.array([1.0, 2.0, 3.0]), (0.1, 0.2))
    assert (np.diff(listed.time_s) >= 0).all()
    assert set(zip(listed.phase.tolist(), listed.sigma_s.tolist(), strict=True)) == {(0, 0.1), (1, 0.2)}
    pairs, alone = pairs_of(listed, 6.0, 3.5, 10.0)
    back = np.argsort(pairs.p_s)
    for found, given in zip(pairs[:3], (station, p_s, s_s), strict=True):
        assert (found[back] == given).all()
    assert pairs.amplitude[back].tolist() == [1.0, 2.0, 3.0]
    assert not any(alone)


@pytest.mark.parametrize(
    ("speeds", "longest_s", "message"), [((3.0, 3.5), 10.0, "3.5 and 3"), ((6.0, 3.5), 0.0, "got 0")]
)
def test_impossible_speeds_and_lengths_are_refused(speeds: tuple[float, float], longest_s: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pairs_of(picks((0, "P", 1, 1)), *speeds, longest_s)
