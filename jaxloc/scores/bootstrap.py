"""Intervals of statistics over events by the bootstrap, percentiles of resampled events (Efron and Tibshirani 1993).

A resample is held as how often it has each event, so that means are one matrix product, and order statistics and ranks
are running sums along events that are sorted once.
"""

import math
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import NamedTuple, TypeAlias, TypeVar

import numpy as np
from jaxtyping import Float, Int

BLOCK = 2**22  # counts (resample x event) held at once


class Ordered(NamedTuple):
    """Values of events, with their order and where groups of equal ones begin in it."""

    values: Float[np.ndarray, " event"]
    order: Int[np.ndarray, " event"]
    first: Int[np.ndarray, " group"]


Name = TypeVar("Name", bound=Hashable)
Counts: TypeAlias = Float[np.ndarray, "resample event"]
Statistic: TypeAlias = Callable[[Counts], Float[np.ndarray, " resample"]]
"""A statistic of events under resampling; equal counts of one give the statistic of the events themselves."""


def interval(values: Float[np.ndarray, " resample"]) -> tuple[float, float]:
    """Ends of the 95 % interval; NaN where the statistic is not defined for a resample."""
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def intervals(
    statistics: Mapping[Name, Statistic], number: int, *, seed: int, num_resamples: int
) -> dict[Name, dict[str, float]]:
    """Value of each statistic and the ends of its 95 % interval, on the same resamples of events for all.

    Args:
        statistics: by name.
        number: of events.
        seed: of the resampling.
        num_resamples: how many.
    """
    found: dict[Name, list[np.ndarray]] = {name: [] for name in statistics}
    for counts in resamples(number, seed=seed, num_resamples=num_resamples):
        for name, statistic in statistics.items():
            found[name].append(statistic(counts))
    once = np.ones((1, number))
    ends = {name: interval(np.concatenate(parts)) for name, parts in found.items()}
    values = {name: float(statistic(once)[0]) for name, statistic in statistics.items()}
    return {name: {"value": values[name], "low": low, "high": high} for name, (low, high) in ends.items()}


def resampled_mean(
    values: Float[np.ndarray, " event"], *, seed: int = 20, num_resamples: int = 1000
) -> dict[str, float]:
    """A mean over events with its interval."""
    values = np.asarray(values, float)
    return intervals({"mean": mean(values)}, len(values), seed=seed, num_resamples=num_resamples)["mean"]


def resamples(number: int, *, seed: int, num_resamples: int) -> Iterator[Counts]:
    """Blocks of resamples of as many events as there are, as counts of each event."""
    rng = np.random.default_rng(seed)
    block = max(1, BLOCK // number)
    for first in range(0, num_resamples, block):
        size = min(block, num_resamples - first)
        index = rng.integers(number, size=(size, number)) + number * np.arange(size)[:, None]
        yield np.bincount(index.reshape(-1), minlength=size * number).reshape(size, number).astype(float)


def mean(values: Float[np.ndarray, " event"]) -> Statistic:
    """The mean over events."""
    middle = values.mean()
    return lambda counts: middle + counts @ (values - middle) / len(values)


def standard_deviation(values: Float[np.ndarray, " event"]) -> Statistic:
    """The standard deviation over events, of n - 1 degrees of freedom (one event: 0)."""
    number, apart = len(values), values - values.mean()
    freedom = max(1, number - 1)

    def of(counts: Counts) -> Float[np.ndarray, " resample"]:
        sums = counts @ np.stack([apart, apart**2], -1)
        return np.sqrt(np.maximum(sums[:, 1] - sums[:, 0] ** 2 / number, 0.0) / freedom)

    return of


def quantile(values: Float[np.ndarray, " event"], share: float) -> Statistic:
    """A quantile over events, linear between neighbouring values (the median for 0.5)."""
    number, order = len(values), np.argsort(values, kind="stable")
    position = share * (number - 1)
    low = math.floor(position)
    high, part = min(low + 1, number - 1), position - low
    # A resample has the value of rank k close to where all events have it: twelve standard deviations of a binomial.
    room = math.ceil(6 * math.sqrt(number))
    begin, end = max(0, low - room), min(number, high + room + 1)
    before = np.isin(np.arange(number), order[:begin]).astype(float)
    near, of_near = order[begin:end], values[order[begin:end]]

    def of(counts: Counts) -> Float[np.ndarray, " resample"]:
        running = (counts @ before)[:, None] + np.cumsum(counts[:, near], 1)
        lower, upper = (of_near[np.minimum((running <= rank).sum(1), len(near) - 1)] for rank in (low, high))
        return lower + part * (upper - lower)

    return of


def rank_correlation(first: Float[np.ndarray, " event"], second: Float[np.ndarray, " event"]) -> Statistic:
    """Spearman's rank correlation over events, equal values at the mean of their ranks; NaN where all are equal."""
    ordered, number = [_ordered(values) for values in (first, second)], len(first)

    def of(counts: Counts) -> Float[np.ndarray, " resample"]:
        one, other = (_ranks(each, counts) - (number + 1) / 2 for each in ordered)
        products = (one * other, one**2, other**2)
        both, one_squared, other_squared = (np.einsum("re,re->r", counts, each) for each in products)
        scale = np.sqrt(one_squared * other_squared)
        return np.where(scale > 0, both / np.where(scale > 0, scale, 1), np.nan)

    return of


def _ordered(values: Float[np.ndarray, " event"]) -> Ordered:
    order = np.argsort(values, kind="stable")
    new = np.diff(values[order], prepend=np.nan) != 0
    return Ordered(values, order, np.flatnonzero(new))


def _ranks(ordered: Ordered, counts: Counts) -> Float[np.ndarray, "resample event"]:
    """Ranks from one of each event in its resample."""
    groups = np.add.reduceat(counts[:, ordered.order], ordered.first, 1)
    rank_of_group = np.cumsum(groups, 1) - groups / 2 + 0.5
    size = np.diff(ordered.first, append=len(ordered.order))
    ranks = np.empty_like(counts)
    ranks[:, ordered.order] = np.repeat(rank_of_group, size, 1)
    return ranks
