"""Scores of located events: every locator is judged by the same numbers, from its posterior and the truth alone.

`score_event` scores one event, `score_events` a batch in bounded memory; `jaxloc.scores.score_card` summarises events.

Scores are named "region/score". Errors are estimate minus truth; kilometres and seconds. What the truth does
not know is NaN.
"""

from collections.abc import Mapping
from functools import partial
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Bool, Float, Int, Key

from jaxloc.distributions.any_distribution import marginal_of, mode_of, plain, smoothed
from jaxloc.distributions.credible_regions import level_of, volume_of
from jaxloc.distributions.gaussian_mixture import HypocentreMixture, covariance, is_mixture, marginal, mean
from jaxloc.types import LEVELS, Label, Posterior

COORDINATE_REGIONS = {"east": (0,), "north": (1,), "depth": (2,), "origin": (3,)}
SPACE_REGIONS = {"epicentre": (0, 1), "hypocentre": (0, 1, 2)}
REGIONS = {**COORDINATE_REGIONS, **SPACE_REGIONS, "space_time": (0, 1, 2, 3)}

Scores: TypeAlias = dict[str, Float[Array, "*event"]]


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
    key: Key[Array, ""],
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
    whole = plain(posterior.hypocentre)
    key_kernels = key
    if not is_mixture(whole):
        key, key_kernels = jax.random.split(key)  # kernels at the scored samples would count for themselves
    draws = jnp.asarray(whole.sample(key, (num_draws,)))
    parts = _parts(key_kernels, whole, num_draws)
    mode_error = mode_of(parts["hypocentre"], draws[:, :3]) - truth[:3]
    spread, error = covariance(whole), mean(whole) - truth
    scores: Scores = {}
    for region, part in _density_scores(parts, draws, truth).items():
        index = jnp.array(REGIONS[region])
        seen = known[index].all()
        part |= _error_scores(region, error, mode_error, draws - truth[None])
        scores |= {f"{region}/{name}": jnp.where(seen, value, jnp.nan) for name, value in part.items()}
        scores |= {f"{region}/{name}": value for name, value in _predicted_spread(posterior, spread, index).items()}
        scores[f"{region}/known"] = seen.astype(truth.dtype)
    return scores


def _parts(key: Key[Array, ""], whole: dist.Distribution, number: int) -> dict[str, dist.Distribution]:
    """The distribution of each region's coordinates; kernel density estimates where it has no closed form."""
    found = {region: whole if len(dims) == 4 else marginal_of(whole, dims) for region, dims in REGIONS.items()}
    if all(part is not None for part in found.values()):
        return {region: part for region, part in found.items() if part is not None}
    kernels = smoothed(jnp.asarray(whole.sample(key, (number,))))
    return {region: marginal(kernels, REGIONS[region]) if part is None else part for region, part in found.items()}


def _density_scores(
    parts: Mapping[str, dist.Distribution], draws: Float[Array, "draw 4"], truth: Float[Array, "4"]
) -> dict[str, Scores]:
    """Likelihood, level and widths, all regions sorted at once: a sort is slow to compile.

    `parts` has the distribution of each region's coordinates.
    """
    each = [(parts[region], jnp.array(dims)) for region, dims in REGIONS.items()]
    density = jnp.stack([jnp.asarray(part.log_prob(draws[:, index])) for part, index in each], 1)
    at_truth = jnp.stack([jnp.asarray(part.log_prob(truth[index])) for part, index in each])
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


def _predicted_spread(posterior: Posterior, spread: Float[Array, "4 4"], index: Int[Array, " coordinate"]) -> Scores:
    """What the posterior says of itself, whatever the truth; not for space_time, whose units differ."""
    if index.shape[0] == 4:
        return {}
    epistemic = jnp.diagonal(posterior.epistemic)[index].sum()
    total = epistemic + jnp.diagonal(posterior.aleatoric)[index].sum()
    stated = jnp.sqrt(jnp.diagonal(spread)[index].sum())
    return {"stated": stated, "epistemic_share": epistemic / total}


def score_events(
    key: Key[Array, ""], posterior: Posterior, truth: Label, num_draws: int = 1000, max_elements: int = 2**23
) -> dict[str, np.ndarray]:
    """`score_event` over a batch of posteriors and a "hypocentre" label, [event, 4]; arrays of [event].

    Events go through in chunks, so that `max_elements` bounds chunk x draws x components held at once.

    Raises:
        ValueError: where posterior and truth differ in their number of events; names both.
    """
    mixture = plain(posterior.hypocentre)
    if mixture.batch_shape != truth.value.shape[:1] or truth.value.shape[1:] != (4,):
        raise ValueError(
            f"posterior of batch shape {mixture.batch_shape} and truth of shape {truth.value.shape} do not "
            "fit; they must be a batch of [event] posteriors and a label of [event, 4]"
        )
    width = max(num_draws, mixture.parts.log_weight.shape[-1] if isinstance(mixture, HypocentreMixture) else 0)
    chunk = max(1, min(16, max_elements // (num_draws * width)))
    number = truth.value.shape[0]
    bare = Posterior(mixture, posterior.epistemic, posterior.aleatoric)
    batch = (jax.random.split(key, number), bare, jnp.asarray(truth.value), jnp.asarray(truth.mask))
    # The last chunk is filled up with its last event: one program serves any number of events.
    chunks = [np.minimum(np.arange(first, first + chunk), number - 1) for first in range(0, number, chunk)]
    take = lambda index: jax.tree.map(lambda a: a[index], batch)
    found = [_score_chunk(take(index), num_draws) for index in chunks]
    return {name: np.concatenate([np.asarray(part[name]) for part in found])[:number] for name in found[0]}


@partial(jax.jit, static_argnames="num_draws")
def _score_chunk(
    batch: tuple[Key[Array, " event"], Posterior, Float[Array, "event 4"], Bool[Array, "event 4"]], num_draws: int
) -> Scores:
    return jax.vmap(lambda one: score_event(*one, num_draws=num_draws))(batch)
