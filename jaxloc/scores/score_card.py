"""The score card: scores of many events summed up by region, with intervals, and cards side by side.

What a truth does not know is left out of the card, with its count stated.
"""

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeAlias

import jax
import numpy as np
import scipy.stats
from jaxtyping import Array, PRNGKeyArray
from rich.table import Table

from jaxloc.scores.events import COORDINATE_REGIONS, LEVELS, REGIONS

UNITS = {"origin": "s", "epicentre": "km", "hypocentre": "km", "space_time": None}
WIDTH_UNITS = {"origin": "s", "epicentre": "km2", "hypocentre": "km3", "space_time": "km3 s"}

Card: TypeAlias = dict[str, Any]


def score_card(key: PRNGKeyArray, scores: Mapping[str, Array | np.ndarray], num_resamples: int = 1000) -> Card:
    """Scores of many events summed up, by region; every estimate is {"value", "low", "high"} (95 %).

    Each region has its `unit`, the `number` of events that count, how many have an `unknown` truth and for
    how many the locator `failed` (a known truth, but a score that is not finite), and

    - `error`, `mode_error`: mean, median, 90th percentile (`p90`), `sd`; signed ones of coordinates have
      `bias` and `mae`, and their median and p90 are of absolute errors;
    - `crps`, `energy`, `nll`, `stated`, `width50` ...: mean and median; `epistemic_share`: mean;
    - `coverage`: by level in per cent, with Clopper-Pearson intervals;
    - `pit_uniformity`, `level_uniformity`: Cramer-von Mises statistic and p-value;
    - `rank_correlation`: Spearman's, of stated standard error and absolute error.

    Intervals are percentiles over `num_resamples` bootstrap resamples of events, the same events in all
    scores. Plain numbers, so `json.dumps` takes the card as it is; what cannot be computed is None.
    """
    arrays = {name: np.asarray(value, float) for name, value in scores.items()}
    number = len(next(iter(arrays.values())))
    seed = int(jax.random.randint(key, (), 0, np.iinfo(np.int32).max))
    card: Card = {"number": number}
    for region in REGIONS:
        own = {name.split("/")[1]: value for name, value in arrays.items() if name.startswith(f"{region}/")}
        if own:
            card[region] = _region_card(region, own, seed, num_resamples)
    return card


def _region_card(region: str, scores: dict[str, np.ndarray], seed: int, num_resamples: int) -> Card:
    known = scores.pop("known") > 0
    finite = np.all([np.isfinite(scores[name]) for name in scores if name != "epistemic_share"], axis=0)
    use = known & finite
    card: Card = {
        "unit": UNITS.get(region, "km"),
        "width_unit": WIDTH_UNITS.get(region, "km"),
        "number": int(use.sum()),
        "unknown": int((~known).sum()),
        "failed": int((known & ~finite).sum()),
    }
    if not use.any():
        return card
    kept = {name: value[use] for name, value in scores.items()}
    estimate = partial(_bootstrap, seed=seed, num_resamples=num_resamples)
    for name, value in kept.items():
        statistics = _statistics(region, name)
        if statistics:
            card[name] = {label: estimate(statistic, value) for label, statistic in statistics.items()}
    card["coverage"] = {f"{round(100 * p)}": _coverage(kept["level"], p) for p in LEVELS}
    for name in ("pit", "level"):
        if name in kept:
            card[f"{name}_uniformity"] = _uniformity(kept[name])
    if "error" in kept:
        card["rank_correlation"] = estimate(_rank_correlation, kept["stated"], np.abs(kept["error"]))
    return card


Statistic: TypeAlias = Callable[..., np.ndarray]
_MEAN: dict[str, Statistic] = {"mean": lambda x: x.mean(-1)}
_MIDDLE: dict[str, Statistic] = _MEAN | {"median": lambda x: np.median(x, -1)}
_DISTANCE: dict[str, Statistic] = _MIDDLE | {
    "p90": lambda x: np.percentile(x, 90, -1),
    "sd": lambda x: x.std(-1, ddof=min(1, x.shape[-1] - 1)),
}
_SIGNED: dict[str, Statistic] = {
    "bias": _MEAN["mean"],
    "mae": lambda x: np.abs(x).mean(-1),
    "median": lambda x: np.median(np.abs(x), -1),
    "p90": lambda x: np.percentile(np.abs(x), 90, -1),
    "sd": _DISTANCE["sd"],
}


def _statistics(region: str, name: str) -> dict[str, Statistic]:
    if name in ("error", "mode_error"):
        return _SIGNED if region in COORDINATE_REGIONS else _DISTANCE
    if name in ("pit", "level"):
        return {}
    return _MEAN if name == "epistemic_share" else _MIDDLE


def _bootstrap(statistic: Statistic, *values: np.ndarray, seed: int, num_resamples: int) -> Card:
    return {
        name: _plain(x) for name, x in resampled(statistic, *values, seed=seed, num_resamples=num_resamples).items()
    }


def resampled(statistic: Statistic, *values: np.ndarray, seed: int, num_resamples: int) -> dict[str, float]:
    """A statistic over events, the last axis, with the ends of its 95 % interval over resampled events."""
    number = len(values[0])
    rng = np.random.default_rng(seed)
    block = max(1, 2**21 // number)
    parts = []
    for first in range(0, num_resamples, block):
        index = rng.integers(number, size=(min(block, num_resamples - first), number))
        parts.append(statistic(*(value[index] for value in values)))
    low, high = np.percentile(np.concatenate(parts), [2.5, 97.5])
    return {"value": float(statistic(*values)), "low": float(low), "high": float(high)}


def _plain(value: np.ndarray | float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _coverage(level: np.ndarray, nominal: float) -> Card:
    """The share of truths inside their region, with the interval of Clopper and Pearson (1934)."""
    inside = int((level <= nominal).sum())
    interval = scipy.stats.binomtest(inside, len(level)).proportion_ci(0.95, method="exact")
    return {"value": inside / len(level), "low": float(interval.low), "high": float(interval.high)}


def _uniformity(values: np.ndarray) -> Card:
    if len(values) < 2:
        return {"statistic": None, "p_value": None}
    test = scipy.stats.cramervonmises(values, "uniform")
    return {"statistic": float(test.statistic), "p_value": float(test.pvalue)}


def _rank_correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    ranks = [scipy.stats.rankdata(x, axis=-1) for x in (first, second)]
    first, second = (r - r.mean(-1, keepdims=True) for r in ranks)
    scale = np.sqrt((first**2).sum(-1) * (second**2).sum(-1))
    return np.where(scale > 0, (first * second).sum(-1) / np.where(scale > 0, scale, 1), np.nan)


def to_json(card: Card) -> str:
    """A card as JSON text, with no NaN in it."""
    return json.dumps(card, indent=2, allow_nan=False)


_ROWS = (
    ("Epicentre error, mean (km)", "epicentre/error/mean"),
    ("  median", "epicentre/error/median"),
    ("  90th percentile", "epicentre/error/p90"),
    ("  of the mode, mean", "epicentre/mode_error/mean"),
    ("Depth error, mean abs. (km)", "depth/error/mae"),
    ("  bias", "depth/error/bias"),
    ("Origin error, mean abs. (s)", "origin/error/mae"),
    ("  bias", "origin/error/bias"),
    ("Hypocentre error, mean (km)", "hypocentre/error/mean"),
    ("CRPS east (km)", "east/crps/mean"),
    ("CRPS north (km)", "north/crps/mean"),
    ("CRPS depth (km)", "depth/crps/mean"),
    ("CRPS origin time (s)", "origin/crps/mean"),
    ("Energy, hypocentre (km)", "hypocentre/energy/mean"),
    ("NLL, hypocentre (nats)", "hypocentre/nll/mean"),
    ("Stated epicentre error (km)", "epicentre/stated/mean"),
    ("  rank corr. with real", "epicentre/rank_correlation"),
    ("90 % coverage, epicentre", "epicentre/coverage/90"),
    ("90 % coverage, depth", "depth/coverage/90"),
    ("90 % coverage, hypocentre", "hypocentre/coverage/90"),
    ("90 % area, median (km2)", "epicentre/width90/median"),
    ("Epistemic share, epicentre", "epicentre/epistemic_share/mean"),
)


def table(cards: dict[str, Card], title: str = "Score card") -> Table:
    """Cards side by side for a terminal of 100 columns: a column a locator, with intervals up to three."""
    layout = Table(title=title, caption=_caption(cards), caption_justify="left")
    layout.add_column("score", no_wrap=True)
    for name in cards:
        layout.add_column(name, justify="right")
    for label, path in _ROWS:
        estimates = [lookup(card, path) for card in cards.values()]
        if any(estimates):
            layout.add_row(label, *(_cell(e, with_interval=len(cards) <= 3) for e in estimates))
    return layout


def lookup(card: Card, path: str) -> Card | None:
    """An estimate of a card by its path, as in "epicentre/error/mean"; None where there is none."""
    found: Card | None = card
    for name in path.split("/"):
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _cell(estimate: Card | None, with_interval: bool) -> str:
    if estimate is None or estimate["value"] is None:
        return "-"
    size = abs(estimate["value"])
    places = 0 if size >= 100 else 1 if size >= 10 else 2
    value, low, high = (f"{estimate[name] or 0:.{places}f}" for name in ("value", "low", "high"))
    return f"{value} [{low}, {high}]" if with_interval else value


def _caption(cards: dict[str, Card]) -> str:
    counts = []
    for name, card in cards.items():
        regions = [card[region] for region in ("epicentre", "depth", "origin") if region in card]
        failed = max((region["failed"] for region in regions), default=0)
        unknown = "/".join(str(region["unknown"]) for region in regions)
        counts.append(f"{name}: {card['number']} events, {failed} failed, {unknown} unknown epicentre/depth/origin")
    return "\n".join(counts)
