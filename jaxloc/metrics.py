"""The score card: every locator is judged by the same numbers, from its posterior and the truth alone.

`score_event` scores one event, `score_events` a batch in bounded memory, `score_card` sums up over events
with intervals, and `table` lays cards side by side. `catalogue_baseline` is the posterior of one who
has seen the training catalogue but no waveform: what a locator must beat.

Scores are named "region/score". Errors are estimate minus truth; kilometres and seconds. What the truth does
not know is NaN, and left out of the card with its count stated.
"""

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray
from rich.table import Table

from jaxloc.distributions import (
    HypocentreMixture,
    components,
    covariance,
    gaussian_mixture,
    level_of,
    marginal,
    mean,
    mode,
    volume_of,
)
from jaxloc.types import Label, Posterior

COORDINATE_REGIONS = {"east": (0,), "north": (1,), "depth": (2,), "origin": (3,)}
SPACE_REGIONS = {"epicentre": (0, 1), "hypocentre": (0, 1, 2)}
REGIONS = {**COORDINATE_REGIONS, **SPACE_REGIONS, "space_time": (0, 1, 2, 3)}
UNITS = {"origin": "s", "epicentre": "km", "hypocentre": "km", "space_time": None}
WIDTH_UNITS = {"origin": "s", "epicentre": "km2", "hypocentre": "km3", "space_time": "km3 s"}
LEVELS = (0.50, 0.68, 0.90, 0.95)

Scores: TypeAlias = dict[str, Float[Array, "*event"]]
Card: TypeAlias = dict[str, Any]


def crps(draws: Float[Array, " draw"], truth: Float[Array, ""]) -> Float[Array, ""]:
    """The continuous ranked probability score of draws, unbiased for that of their distribution.

    E|X - y| - E|X - X'| / 2 with X, X' different draws (fair form, Ferro 2014), by sorting.
    """
    number = draws.shape[0]
    apart = jnp.sort(draws - truth)
    rank = (2 * jnp.arange(1, number + 1) - number - 1) / (number - 1.0)
    return jnp.abs(apart).mean() - (rank * apart).mean()


def energy_score(draws: Float[Array, "draw d"], truth: Float[Array, " d"]) -> Float[Array, ""]:
    """The energy score of draws (Gneiting and Raftery 2007, sect. 4.3), unbiased; the CRPS where D is 1."""
    number = draws.shape[0]
    apart = draws - truth[None]
    squared = sum((apart[:, None, i] - apart[None, :, i]) ** 2 for i in range(apart.shape[1]))
    spread = jnp.sqrt(squared).sum(1) / (number - 1.0)
    return jnp.linalg.norm(apart, axis=-1).mean() - 0.5 * spread.mean()


def score_event(
    key: PRNGKeyArray,
    posterior: Posterior,
    truth: Float[Array, "4"],
    known: Bool[Array, "4"],
    num_draws: int = 1000,
) -> Scores:
    """All scores of one event; those that need an unknown coordinate are NaN.

    For each region (coordinates, epicentre, hypocentre, space_time): `known`, `nll` (nats), `level` (the mass
    of the region denser than the truth), `width50` ... `width95` (length, area or volume of that
    smallest region). For coordinates: `error`, `crps`, `pit`, `stated` (standard deviation). For
    epicentre and hypocentre: `error`, `energy`, `stated` (root of the covariance's trace). `mode_error` is
    that of the densest hypocentre, `epistemic_share` the epistemic part of the variance.
    """
    mixture = gaussian_mixture(*components(posterior.hypocentre))
    draws = mixture.sample(key, (num_draws,))
    spread = covariance(mixture)
    error = mean(mixture) - truth
    mode_error = mode(marginal(mixture, (0, 1, 2))) - truth[:3]
    scores: Scores = {}
    for region, part in _density_scores(mixture, draws, truth).items():
        index = jnp.array(REGIONS[region])
        seen = known[index].all()
        part |= _error_scores(region, error, mode_error, draws - truth[None])
        scores |= {f"{region}/{name}": jnp.where(seen, value, jnp.nan) for name, value in part.items()}
        scores |= {f"{region}/{name}": value for name, value in _stated(posterior, spread, index).items()}
        scores[f"{region}/known"] = seen.astype(truth.dtype)
    return scores


def _density_scores(
    mixture: HypocentreMixture, draws: Float[Array, "draw 4"], truth: Float[Array, "4"]
) -> dict[str, Scores]:
    """Likelihood, level and widths, all regions sorted at once: a sort is slow to compile."""
    parts = [(marginal(mixture, dims), jnp.array(dims)) for dims in REGIONS.values()]
    density = jnp.stack([part.log_prob(draws[:, index]) for part, index in parts], 1)
    at_truth = jnp.stack([part.log_prob(truth[index]) for part, index in parts])
    level, width = level_of(density, at_truth), volume_of(density, jnp.array(LEVELS))
    return {
        region: {"nll": -at_truth[r], "level": level[r]}
        | {f"width{round(100 * p)}": width[r, i] for i, p in enumerate(LEVELS)}
        for r, region in enumerate(REGIONS)
    }


def _error_scores(
    region: str, error: Float[Array, "4"], mode_error: Float[Array, "3"], apart: Float[Array, "draw 4"]
) -> Scores:
    """Scores in units of the coordinates; `apart` are draws from which the truth is taken away."""
    index = jnp.array(REGIONS[region])
    if region in COORDINATE_REGIONS:
        own = apart[:, index[0]]
        pit = ((own < 0) + 0.5 * (own == 0)).mean()
        scores = {"error": error[index[0]], "crps": crps(own, jnp.zeros(())), "pit": pit}
        return scores | ({"mode_error": mode_error[2]} if region == "depth" else {})
    if region in SPACE_REGIONS:
        energy = energy_score(apart[:, index], jnp.zeros(index.shape))
        both = {"error": error[index], "mode_error": mode_error[index]}
        return {"energy": energy, **{name: jnp.linalg.norm(value) for name, value in both.items()}}
    return {}


def _stated(posterior: Posterior, spread: Float[Array, "4 4"], index: Array) -> Scores:
    """What the posterior says of itself, whatever the truth; not for space_time, whose units differ."""
    if index.shape[0] == 4:
        return {}
    epistemic = jnp.diagonal(posterior.epistemic)[index].sum()
    total = epistemic + jnp.diagonal(posterior.aleatoric)[index].sum()
    stated = jnp.sqrt(jnp.diagonal(spread)[index].sum())
    return {"stated": stated, "epistemic_share": epistemic / total}


def score_events(
    key: PRNGKeyArray, posterior: Posterior, truth: Label, num_draws: int = 1000, max_elements: int = 2**23
) -> dict[str, np.ndarray]:
    """`score_event` over a batch of posteriors and a "hypocentre" label, [event, 4]; arrays of [event].

    Events go through in chunks, so that `max_elements` bounds chunk x draws x components held at once.

    Raises:
        ValueError: where posterior and truth differ in their number of events; names both.
    """
    mixture = gaussian_mixture(*components(posterior.hypocentre))
    if mixture.batch_shape != truth.value.shape[:1] or truth.value.shape[1:] != (4,):
        raise ValueError(
            f"posterior of batch shape {mixture.batch_shape} and truth of shape {truth.value.shape} do not "
            "fit; give a batch of [event] posteriors and a label of [event, 4]"
        )
    width = max(num_draws, mixture.parts.log_weight.shape[-1])
    chunk = max(1, min(16, max_elements // (num_draws * width)))
    number = truth.value.shape[0]
    padded = jnp.minimum(jnp.arange(-(-number // chunk) * chunk).reshape(-1, chunk), number - 1)
    bare = Posterior(mixture, posterior.epistemic, posterior.aleatoric)
    batch = (jax.random.split(key, number), bare, jnp.asarray(truth.value), jnp.asarray(truth.mask))
    scores = _score_chunks(padded, batch, num_draws)
    return {name: np.asarray(value).reshape(-1)[:number] for name, value in scores.items()}


@partial(jax.jit, static_argnames="num_draws")
def _score_chunks(index: Int[Array, "chunk event"], batch: tuple[Any, ...], num_draws: int) -> Scores:
    def score(chunk: Int[Array, " event"]) -> Scores:
        own = jax.tree.map(lambda a: a[chunk], batch)
        return jax.vmap(lambda one: score_event(*one, num_draws=num_draws))(own)

    return jax.lax.map(score, index)


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


def catalogue_baseline(
    hypocentres: Float[np.ndarray, "n 4"],
    known: Bool[np.ndarray, "n 4"],
    num_events: int,
    broad_mean: tuple[float, ...] = (0.0, 0.0, 10.0, 0.0),
    broad_sd: tuple[float, ...] = (100.0, 100.0, 10.0, 60.0),
    max_components: int = 1000,
) -> Posterior:
    """The training catalogue as everyone's posterior: a Gaussian kernel on each event, the same for all.

    Bandwidths are by Silverman's rule (1986) for each coordinate, of its robust spread, no less
    than 0.05 km and 0.01 s. An event that lacks a coordinate has the catalogue's mean and spread of it; one
    that no event has is normal with `broad_mean` and `broad_sd`. What has no known coordinate, as windows of noise, is
    left out where anything else is there. Longer catalogues are thinned evenly.

    Raises:
        ValueError: where no event is given, or a known value is not finite.
    """
    hypocentres, known = np.asarray(hypocentres, float), np.asarray(known, bool)
    if len(hypocentres) == 0 or not np.isfinite(hypocentres[known]).all():
        raise ValueError(
            f"hypocentres of shape {hypocentres.shape} must hold at least one event and be finite where "
            "known; give the training split's labels"
        )
    told = known.any(-1) if known.any() else np.ones(len(known), bool)
    hypocentres, known = hypocentres[told], known[told]
    every = np.linspace(0, len(hypocentres) - 1, min(max_components, len(hypocentres))).astype(int)
    hypocentres, known = hypocentres[every], known[every]
    centre, spread = np.array(broad_mean, float), np.array(broad_sd, float)
    width = spread.copy()
    for i, floor in enumerate((0.05, 0.05, 0.05, 0.01)):
        if known[:, i].any():
            values = hypocentres[known[:, i], i]
            centre[i], spread[i] = values.mean(), max(values.std(), floor)
            robust = min(spread[i], np.subtract(*np.percentile(values, [75, 25])) / 1.34)
            width[i] = max(robust * (4 / (6 * len(values))) ** (1 / 8), floor)
    sd = np.where(known, width, spread)
    sd = sd[:1] if known.all() else sd
    one = gaussian_mixture(
        jnp.zeros(len(every)),
        jnp.asarray(np.where(known, hypocentres, centre), jnp.float32),
        jnp.asarray(sd[:, :, None] * np.eye(4), jnp.float32),
    )
    batch = jax.tree.map(lambda a: jnp.broadcast_to(a, (num_events, *a.shape)), one)
    total = covariance(batch)
    return Posterior(batch, jnp.zeros_like(total), total)


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
