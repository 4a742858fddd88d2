"""Scores of forecasts of the next event: log densities, epicentral errors and waiting times, relative to references.

Intervals are 95 % bootstrap percentiles over events; with few events they are wide.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.special import logsumexp

from jaxloc.forecasting.next_event import Next
from jaxloc.forecasting.panakkat_periods import Forecasts
from jaxloc.forecasting.scores import blocks, estimate
from jaxloc.scores.events import crps


def score_next(
    forecasts: Mapping[str, Forecasts], target: Next, last_km: Float[np.ndarray, "event 2"]
) -> dict[str, Any]:
    """By forecast: scores, and for the first one its gains over the others.

    `gain_time` and `gain_place` are in nats an event; open times enter by their survival, and in no other score.
    `place_km` is the mean distance of the forecast's mean, `crps_days` the score of the waiting time, `error_days` the
    mean absolute error of its median, `held_90` the coverage of the central 90 % interval. `last_event` forecasts the
    epicentre of the previous event.
    """
    over = np.asarray(target.over)
    place, days = np.asarray(target.place_km)[over], np.asarray(target.waiting_days)[over]
    if not over.any():
        raise ValueError("no large event after the training years; use a longer period or a smaller magnitude")
    draws, all_draws = blocks(int(over.sum()), 1), blocks(len(over), 1)
    mean = lambda values, of=draws: estimate(lambda w: (w @ values) / w.sum(), of)
    first, *others = forecasts
    density = {name: (_pooled(each.log_time), _pooled(each.log_place)[over]) for name, each in forecasts.items()}
    found: dict[str, Any] = {"events": int(over.sum()), "open": int((~over).sum())}
    for name, each in forecasts.items():
        pooled = np.moveaxis(each.days, 0, 1).reshape(len(over), -1)[over]
        low, middle, high = np.percentile(pooled, [5, 50, 95], axis=1)
        found[name] = {
            "place_km": mean(np.hypot(*(each.middle_km.mean(0)[over] - place).T)),
            "crps_days": mean(np.asarray(jax.vmap(crps)(jnp.asarray(pooled), jnp.asarray(days)))),
            "error_days": mean(np.abs(middle - days)),
            "held_90": mean(((days >= low) & (days <= high)).astype(float)),
        }
    found["last_event"] = {"place_km": mean(np.hypot(*(np.asarray(last_km)[over] - place).T))}
    for name in others:
        time, where = (own - other for own, other in zip(density[first], density[name], strict=True))
        found[first][f"over_{name}"] = {"gain_time": mean(time, all_draws), "gain_place": mean(where)}
    return found


def _pooled(log_density: Float[np.ndarray, "draw event"]) -> Float[np.ndarray, " event"]:
    return logsumexp(log_density, axis=0) - np.log(len(log_density))
