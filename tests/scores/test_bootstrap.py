"""Bootstrap statistics by counts against the same statistics of the resampled events themselves."""

import numpy as np
import pytest
import scipy.stats

from jaxloc.scores import bootstrap

RNG = np.random.default_rng(4)
DIRECT = {
    "mean": lambda x, y: x.mean(),
    "median": lambda x, y: np.median(x),
    "p90": lambda x, y: np.percentile(x, 90),
    "sd": lambda x, y: x.std(ddof=min(1, len(x) - 1)),
    "rank correlation": lambda x, y: scipy.stats.spearmanr(x, y).statistic if np.ptp(x) * np.ptp(y) else np.nan,
}
BY_COUNTS = {
    "mean": lambda x, y: bootstrap.mean(x),
    "median": lambda x, y: bootstrap.quantile(x, 0.5),
    "p90": lambda x, y: bootstrap.quantile(x, 0.9),
    "sd": lambda x, y: bootstrap.standard_deviation(x),
    "rank correlation": lambda x, y: bootstrap.rank_correlation(x, y),
}


@pytest.mark.parametrize("number", [1, 2, 5, 60, 3001])
@pytest.mark.parametrize("name", DIRECT)
def test_statistics_are_those_of_the_resampled_events(name: str, number: int) -> None:
    """With ties, and of many more events than the window that quantiles are looked for in."""
    first = RNG.lognormal(size=number)
    second = np.round(first + RNG.normal(size=number), 1)
    (counts,) = bootstrap.resamples(number, seed=7, num_resamples=20)
    found = BY_COUNTS[name](first, second)(counts)
    for value, times in zip(found, counts.astype(int), strict=True):
        expected = DIRECT[name](np.repeat(first, times), np.repeat(second, times))
        np.testing.assert_allclose(value, expected, rtol=1e-9, atol=1e-12)


def test_blocks_are_the_resamples_of_one_block(monkeypatch: pytest.MonkeyPatch) -> None:
    (whole,) = bootstrap.resamples(100, seed=1, num_resamples=10)
    monkeypatch.setattr(bootstrap, "BLOCK", 300)
    parts = list(bootstrap.resamples(100, seed=1, num_resamples=10))
    assert [len(part) for part in parts] == [3, 3, 3, 1]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert (whole.sum(1) == 100).all()


def test_intervals_of_a_mean_are_those_of_its_standard_error() -> None:
    values = RNG.normal(size=2000)
    found = bootstrap.resampled_mean(values)
    assert found["value"] == pytest.approx(values.mean())
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert (found["high"] - found["low"]) / 2 == pytest.approx(half, rel=0.1)
