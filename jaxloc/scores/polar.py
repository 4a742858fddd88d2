"""Scores of distance and back-azimuth at the only station of a record.

Distances and directions are those of samples of the posterior. The error of a direction is that of the circular mean,
the CRPS of directions that of Grimit and others (2006), with angular distance in place of the difference; coverage is
that of central arcs about the circular mean.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from jaxloc.distributions.polar import circular, distance_and_azimuth
from jaxloc.scores.bootstrap import resampled_mean
from jaxloc.scores.events import crps
from jaxloc.types import Label, Observations, Posterior

NUM_DRAWS = 400
LEVEL = 0.9


def score_polar(
    key: Key[Array, ""], locators: Mapping[str, Posterior], observations: Observations, truth: Label
) -> dict[str, dict[str, Any]]:
    """By locator, mean scores with their intervals; nothing where events have several stations or no epicentre.

    Of distance and of back-azimuth: absolute error, CRPS (km, degrees), and coverage of 90 % intervals.
    """
    known = np.asarray(truth.mask)[:, :2].all(-1) & np.asarray(observations.station_mask).any(-1)
    if observations.station_mask.shape[1] != 1 or not known.any():
        return {}
    station_km, place = jnp.asarray(observations.station_km)[known, 0], jnp.asarray(truth.value)[known]
    cards = {}
    for name, posterior in locators.items():
        mixture = jax.tree.map(lambda x: jnp.asarray(x)[known], posterior.hypocentre)
        scores = _scores(mixture.sample(key, (NUM_DRAWS,)), station_km, place)
        cards[name] = {score: resampled_mean(np.asarray(values)) for score, values in scores.items()}
    return cards


@jax.jit
def _scores(
    draws: Float[Array, "draw event 4"], station_km: Float[Array, "event 3"], place: Float[Array, "event 4"]
) -> dict[str, Float[Array, " event"]]:
    distance_km, azimuth_rad = distance_and_azimuth(station_km, draws)
    true_km, true_rad = distance_and_azimuth(station_km, place)
    middle_rad = circular(jnp.ones_like(azimuth_rad.T), azimuth_rad.T).mean_rad
    off = _apart(azimuth_rad, true_rad)
    among = jax.vmap(lambda one: _apart(one[:, None], one[None]).mean(), 1)(azimuth_rad)
    wrong = _apart(middle_rad, true_rad)
    rank = (distance_km < true_km).mean(0)
    return {
        "distance_error_km": jnp.abs(jnp.median(distance_km, 0) - true_km),
        "distance_crps_km": jax.vmap(crps, (1, 0))(distance_km, true_km),
        "distance_coverage_90": (jnp.abs(rank - 0.5) <= LEVEL / 2).astype(float),
        "azimuth_error_deg": jnp.rad2deg(wrong),
        "azimuth_crps_deg": jnp.rad2deg(off.mean(0) - 0.5 * among),
        "azimuth_coverage_90": ((_apart(azimuth_rad, middle_rad) < wrong).mean(0) <= LEVEL).astype(float),
    }


def _apart(first: Float[Array, "..."], second: Float[Array, "..."]) -> Float[Array, "..."]:
    """The angle between two directions, within 0 - pi."""
    return jnp.abs(jnp.mod(first - second + jnp.pi, 2 * jnp.pi) - jnp.pi)


def polar_lines(cards: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Distance and direction of each locator, a line each."""
    return [f"{name}: {_line(card, 'distance', 'km')}; {_line(card, 'azimuth', 'deg')}" for name, card in cards.items()]


def _line(card: Mapping[str, Any], what: str, unit: str) -> str:
    error, score, covered = (
        card[f"{what}_{name}"]["value"] for name in (f"error_{unit}", f"crps_{unit}", "coverage_90")
    )
    return (
        f"{what} off by {error:.2f} {unit}, CRPS {score:.2f} {unit}, coverage of 90 % intervals {100 * covered:.0f} %"
    )
