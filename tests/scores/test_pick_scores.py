"""Scores of picks against known arrivals."""

import numpy as np
import pytest

from jaxloc.physics.rate_picks import RatePicks
from jaxloc.scores.pick_scores import Known, markdown, score_picks


def picks(*each: tuple[int, float, float, float]) -> RatePicks:
    phase, *others = np.array(each, float).reshape(-1, 4).T
    return RatePicks(phase.astype(int), *others)


def known(*times_s: float, snr_db: float = 20.0) -> Known:
    value = np.array([[t, 0.0] for t in times_s], float).reshape(-1, 2)
    return Known(value, np.tile([True, False], (len(value), 1)), np.full(value.shape, snr_db))


def test_recall_precision_and_false_picks() -> None:
    found = [picks((0, 10.02, 0.05, 0.9), (0, 40.0, 0.1, 0.5)), picks(), picks((0, 20.3, 0.2, 0.7))]
    p = score_picks(found, [known(10.0), known(30.0), known(20.0)], 60.0)["P"]
    assert (p.arrivals, p.picks) == (3, 3)
    assert p.recall_near == pytest.approx(1 / 3)
    assert p.recall == pytest.approx(2 / 3)
    assert p.precision == pytest.approx(2 / 3)
    assert p.mean_probability == pytest.approx(0.7)
    assert p.false_per_hour == pytest.approx(1 / 0.05)


def test_standard_deviations_that_hold_cover_what_they_claim() -> None:
    generator = np.random.default_rng(0)
    sigma_s = generator.uniform(0.01, 0.1, 2000)
    error_s = sigma_s * generator.normal(size=2000)
    found = [picks((0, 10 + e, s, 0.9)) for e, s in zip(error_s, sigma_s, strict=True)]
    p = score_picks(found, [known(10.0)] * 2000, 60.0)["P"]
    # Three standard errors of a share of 2,000.
    assert p.inside_68 == pytest.approx(0.68, abs=3 * np.sqrt(0.68 * 0.32 / 2000))
    assert p.inside_90 == pytest.approx(0.90, abs=3 * np.sqrt(0.9 * 0.1 / 2000))


def test_weak_arrivals_are_no_misses_and_their_picks_not_false() -> None:
    p = score_picks([picks((0, 10.0, 0.1, 0.6))], [known(10.0, snr_db=-3.0)], 60.0, least_snr_db=6.0)["P"]
    assert (p.arrivals, p.picks, p.precision) == (0, 1, 1.0)
    assert np.isnan(p.recall)


def test_the_table_has_a_row_a_phase() -> None:
    text = markdown(score_picks([picks()], [known()], 60.0))
    assert [line.split("|")[1].strip() for line in text.splitlines()[2:]] == ["P", "S"]
