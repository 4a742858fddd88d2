"""A catalogue judged by another one: known answers for each score."""

import numpy as np
import pytest
from scipy.stats import binom

from jaxloc.scores.associated_picks import EventPicks, pick_scores, shared_picks
from jaxloc.scores.catalogue_score import Catalogue, match_catalogues, score_catalogue
from jaxloc.scores.catalogues import Limits, match
from jaxloc.scores.detections import chance_matches, recall_by_magnitude, reliability_of_odds, share, splits_and_merges
from jaxloc.scores.location_coverage import location_coverage

SD = np.array([0.5, 0.8, 1.5, 0.2])


def catalogue(hypocentre, magnitude=None, covariance=None, log_odds=None, **more):
    number = len(hypocentre)
    unknown = np.full(number, np.nan)
    return Catalogue(
        tuple(f"e{i}" for i in range(number)),
        np.asarray(hypocentre, float),
        unknown if magnitude is None else magnitude,
        np.full((number, 4, 4), np.nan) if covariance is None else covariance,
        unknown if log_odds is None else log_odds,
        **more,
    )


def sequence(seed, number, seconds=50_000):
    rng = np.random.default_rng(seed)
    return np.column_stack(
        [rng.uniform(-30, 30, (number, 2)), rng.uniform(2, 12, number), rng.uniform(0, seconds, number)]
    )


def test_recall_and_precision_are_those_that_were_made():
    """80 of 100 true events, and 20 more that are false; the smaller half is found less often."""
    truth, rng = sequence(0, 100), np.random.default_rng(1)
    magnitude = np.repeat([0.25, 0.75], 50)
    kept = np.r_[0:30, 50:100]
    made = np.vstack([truth[kept] + rng.normal(0, [0.3, 0.3, 1, 0.1], (80, 4)), sequence(2, 20) + [0, 0, 0, 60_000]])
    expected = np.arange(100) >= 50
    scores = score_catalogue(catalogue(made, log_odds=np.zeros(100)), catalogue(truth, magnitude, expected=expected))
    assert scores["events"] == {"catalogue": 100, "truth": 100, "matched": 80}
    gate = scores["gates"]["3 s, 20 km"]
    assert (gate["recall"]["value"], gate["precision"]["value"], gate["f1"]) == pytest.approx((0.8, 0.8, 0.8))
    assert [row["value"] for row in scores["recall by magnitude"]] == [0.6, 1.0]
    assert scores["recall of expected events"]["value"] == 1.0
    assert scores["odds"]["bins"][0]["value"] == pytest.approx(0.8)
    assert scores["odds"]["error"] == pytest.approx(0.3)


def test_wilsons_interval_covers():
    """Of shares that are sampled with a chance of 0.9, about 95 % of the intervals contain it."""
    number, p = 60, 0.9
    inside = [each.low <= p <= each.high for each in (share(k, number) for k in range(number + 1))]
    assert 0.93 < (binom.pmf(np.arange(number + 1), number, p) * inside).sum() < 0.97
    assert share(0, 5).low == 0.0
    assert np.isnan(share(0, 0).value)


def test_splits_and_merges():
    """One event twice is a split, two events as one a merge; a false event far away is neither."""
    truth = np.array([[0, 0, 5, 0.0], [0, 0, 5, 100.0], [0, 0, 5, 101.0]])
    made = np.array([[0, 0, 5, 0.1], [1, 0, 5, 0.9], [0, 0, 5, 100.2], [0, 0, 5, 500.0]])
    assert splits_and_merges(match(made, truth)) == (1, 1)


def test_chance_is_that_of_poisson_events():
    """Uniform events at one place: 1 - exp(-n w / T) of them have one of n others within the window w, a little less
    where two compete for one."""
    truth, made = sequence(3, 500, 10_000) * [0, 0, 1, 1], sequence(4, 500, 10_000) * [0, 0, 1, 1]
    expected = 1 - np.exp(-500 * 2 / 10_000)
    assert chance_matches(made, truth, Limits(1.0, 5.0)) / 500 == pytest.approx(expected, rel=0.1)


def test_unknown_magnitudes_are_left_out():
    rows = recall_by_magnitude(np.array([True, False, True]), np.array([1.0, 1.4, np.nan]))
    assert [(row["from"], row["events"], row["value"]) for row in rows] == [(1.0, 2, 0.5)]
    assert recall_by_magnitude(np.array([True]), np.array([np.nan])) == []


def test_odds_that_are_calibrated_and_that_are_not():
    rng = np.random.default_rng(5)
    probability = rng.uniform(0.02, 0.98, 20_000)
    real = rng.random(20_000) < probability
    log_odds = np.log(probability) - np.log1p(-probability)
    assert reliability_of_odds(log_odds, real)["error"] < 0.02
    assert reliability_of_odds(3 * log_odds, real)["error"] > 0.1
    assert reliability_of_odds(np.array([np.nan]), np.array([True]))["events"] == 0


def test_regions_of_correct_covariances_cover_their_level():
    """With 4,000 events within four standard errors; a covariance four times too small covers far less."""
    rng = np.random.default_rng(6)
    truth = sequence(7, 4000)
    located = truth + rng.normal(size=(4000, 4)) * SD
    covariance = np.tile(np.diag(SD**2), (4000, 1, 1))
    for name, part in location_coverage(located, covariance, truth).items():
        assert part["events"] == 4000, name
        for level, found in part["coverage"].items():
            p = float(level)
            assert abs(found["value"] - p) < 4 * np.sqrt(p * (1 - p) / 4000), (name, level)
    small = location_coverage(located, covariance / 4, truth)
    assert small["hypocentre"]["coverage"]["0.9"]["value"] < 0.5
    # The 90 % ellipsoid has semi-axes of 2.5003 standard deviations.
    volume = 4 / 3 * np.pi * np.prod(2.5003 * SD[:3])
    assert small["hypocentre"]["median size of 90 % region"] == pytest.approx(volume / 8, rel=1e-3)


def test_unknown_covariances_have_no_coverage():
    truth = sequence(8, 3)
    found = location_coverage(truth + 1.0, np.full((3, 4, 4), np.nan), truth)["epicentre"]
    assert found["events"] == 0
    assert found["median error"] == pytest.approx(np.sqrt(2))


def test_picks_shared_missing_and_extra():
    """Of a true event with four picks three are found, one of them 2 s away, and one is extra."""
    truth = EventPicks(np.zeros(4, int), ("A P", "A S", "B P", "B S"), np.array([1.0, 2.0, 3.0, 5.0]))
    made = EventPicks(np.full(4, 7), ("A P", "A S", "B P", "C P"), np.array([1.1, 1.9, 5.0, 4.0]))
    scores = pick_scores(shared_picks(made, truth, (np.array([7]), np.array([0]))))
    assert (scores["precision"], scores["recall"]) == (0.5, 0.5)
    assert (scores["missing an event"], scores["extra an event"]) == (2, 2)
    assert scores["share 0.6 of the larger set"] == 0.0


def test_well_located_events_find_their_partners_by_place():
    """Two events at one time: errors of 0.5 km in place and of a second in time decide for the place."""
    covariance = np.tile(np.diag([0.25, 0.25, 1.0, 1.0]), (2, 1, 1))
    made = catalogue([[0, 0, 5, 0.9], [8, 0, 5, 0.1]], covariance=covariance)
    truth = catalogue([[0, 0, 5, 0.0], [8, 0, 5, 1.0]])
    np.testing.assert_array_equal(match_catalogues(made, truth).second, [0, 1])
