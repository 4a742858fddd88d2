"""Picks of many events on a network of stations, with false picks: to judge association, whose truth is then known.

The rules are those of PyOcto's synthetic tests (Münchmeyer 2024, Seismica 3(1), doi:10.26443/seismica.v3i1.1130):
uniform origin times, Gutenberg-Richter magnitudes, a radius of detection that grows with magnitude, P and S of a
station correlated, errors that grow with travel time, false picks at uniform times.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxloc.geometry import distance_km
from jaxloc.physics.adaptive_grid import Region
from jaxloc.physics.layered import VelocityModel
from jaxloc.physics.table import for_stations, look_up_s, table_around

NO_EVENT = -1
APART_S = 5.0


class PickRules(NamedTuple):
    """How events are picked.

    Attributes:
        least_magnitude: of a Gutenberg-Richter distribution with b = `b_value`.
        radius_km: of detection: the first times the magnitude, plus the second.
        edge: width of the edge of detection, as a share of the radius, and at least in km.
        best: probability of a pick well within the radius.
        phase_correlation: of the chances of P and S at a station.
        error: standard deviation of a pick, as a share of the travel time, and at least in s.
        least_both, least_picks: stations with P and S, and picks, without which an event does not count.
    """

    least_magnitude: float = -0.5
    b_value: float = 1.0
    radius_km: tuple[float, float] = (120.0, 80.0)
    edge: tuple[float, float] = (0.1, 30.0)
    best: float = 0.8
    phase_correlation: float = 0.5
    error: tuple[float, float] = (0.01, 0.4)
    least_both: int = 4
    least_picks: int = 10


class PickDay(NamedTuple):
    """Picks in the order of their times, and the events that made them.

    `sigma_s` is the standard deviation that each error had, `event` the row of a pick's event, `NO_EVENT` of a false
    one.
    """

    station: Int[np.ndarray, " pick"]
    phase: Int[np.ndarray, " pick"]
    time_s: Float[np.ndarray, " pick"]
    sigma_s: Float[np.ndarray, " pick"]
    event: Int[np.ndarray, " pick"]
    hypocentre: Float[np.ndarray, "event 4"]
    magnitude: Float[np.ndarray, " event"]


def pick_day(
    rng: np.random.Generator,
    station_km: Float[np.ndarray, "station 3"],
    velocity: VelocityModel,
    region: Region,
    num_events: int,
    noise_factor: float,
    rules: PickRules = PickRules(),
    apart_km: float = 0.0,
) -> PickDay:
    """Simulate the picks of events at uniform places and times of a region.

    Args:
        rng: source of chance.
        station_km: east, north and depth.
        velocity: layers.
        region: of the events, with their origin times.
        num_events: that count by `rules`; others leave no picks.
        noise_factor: number of false picks over that of true ones.
        rules: how events are picked.
        apart_km: least distance of two events within `APART_S` of each other.

    Raises:
        ValueError: where hardly any event counts, or none can be placed so far from the others.
    """
    ready = for_stations(table_around(velocity, region, station_km), jnp.asarray(station_km[:, 2]))
    kept: list[tuple[np.ndarray, ...]] = []
    number = 0
    for _ in range(200):
        hypocentre = np.column_stack([rng.uniform(*ends, num_events) for ends in region])
        magnitude = rules.least_magnitude + rng.exponential(1 / (rules.b_value * np.log(10)), num_events)
        apart = np.asarray(distance_km(jnp.asarray(hypocentre[:, None, :3]), jnp.asarray(station_km)), float)
        time_s = np.asarray(look_up_s(ready, jnp.asarray(apart), jnp.asarray(hypocentre[:, None, 2])), float)
        deep_km = np.hypot(apart, hypocentre[:, None, 2] - station_km[:, 2])
        picked = _picked(rng, deep_km, magnitude, rules)
        counts = (picked.all(-1).sum(-1) >= rules.least_both) & (picked.sum((1, 2)) >= rules.least_picks)
        kept.append((hypocentre[counts], magnitude[counts], time_s[counts], picked[counts]))
        number += int(counts.sum())
        if number >= num_events:
            break
    else:
        raise ValueError(
            f"of {200 * num_events} events {number} are picked well enough, and {num_events} must be; use more "
            "stations, a smaller region, or larger magnitudes"
        )
    hypocentre, magnitude, time_s, picked = (np.concatenate(each)[:num_events] for each in zip(*kept, strict=True))
    if apart_km:
        hypocentre[:, 3] = _times_apart(rng, hypocentre, region.origin_s, apart_km)
    return _day(rng, station_km, region, hypocentre, magnitude, time_s, picked, noise_factor, rules)


def _picked(
    rng: np.random.Generator, away_km: Float[np.ndarray, "event station"], magnitude: np.ndarray, rules: PickRules
) -> np.ndarray:
    """Which phases are picked: two chances a station, the same one for both phases with the given probability."""
    radius_km = (rules.radius_km[0] * magnitude + rules.radius_km[1])[:, None]
    width_km = np.maximum(rules.edge[0] * radius_km, rules.edge[1])
    probability = rules.best / (1 + np.exp(np.clip((away_km - radius_km) / width_km, -50, 50)))
    chance = rng.uniform(size=(*away_km.shape, 2))
    same = rng.uniform(size=away_km.shape) < rules.phase_correlation
    chance[..., 1] = np.where(same, chance[..., 0], chance[..., 1])
    return chance < probability[..., None]


def _times_apart(
    rng: np.random.Generator, hypocentre: Float[np.ndarray, "event 4"], span_s: tuple[float, float], apart_km: float
) -> Float[np.ndarray, " event"]:
    """Origin times with no two events within `APART_S` and `apart_km`."""
    placed = np.zeros(0, int)
    origin_s = hypocentre[:, 3].copy()
    for row in range(len(origin_s)):
        near = placed[np.linalg.norm(hypocentre[placed, :2] - hypocentre[row, :2], axis=-1) < apart_km]
        for _ in range(200):
            if not (np.abs(origin_s[near] - origin_s[row]) < APART_S).any():
                break
            origin_s[row] = rng.uniform(*span_s)
        else:
            raise ValueError(f"{len(origin_s)} events do not fit {apart_km:g} km apart within {APART_S:g} s; use fewer")
        placed = np.append(placed, row)
    return origin_s


def _day(
    rng: np.random.Generator,
    station_km: np.ndarray,
    region: Region,
    hypocentre: np.ndarray,
    magnitude: np.ndarray,
    travel_s: np.ndarray,
    picked: np.ndarray,
    noise_factor: float,
    rules: PickRules,
) -> PickDay:
    order = np.argsort(hypocentre[:, 3])
    hypocentre, magnitude, travel_s, picked = (each[order] for each in (hypocentre, magnitude, travel_s, picked))
    event, station, phase = np.nonzero(picked)
    sigma_s = np.maximum(rules.error[0] * travel_s[picked], rules.error[1])
    time_s = hypocentre[event, 3] + travel_s[picked] + sigma_s * rng.normal(size=len(event))
    number = round(noise_factor * len(event))
    false = (
        rng.integers(0, len(station_km), number),
        rng.integers(0, 2, number),
        rng.uniform(*region.origin_s, number),
        np.full(number, rules.error[1]),
        np.full(number, NO_EVENT),
    )
    true = (station, phase, time_s, sigma_s, event)
    joined = [np.concatenate(both) for both in zip(true, false, strict=True)]
    by_time = np.argsort(joined[2], kind="stable")
    station, phase, time_s, sigma_s, event = (each[by_time] for each in joined)
    return PickDay(station, phase, time_s, sigma_s, event, hypocentre, magnitude)
