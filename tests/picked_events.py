"""Simulated events with picks of a few or many stations, for locators without a network."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxloc.physics.adaptive_grid import Region
from jaxloc.physics.priors import log_prior_of, same_everywhere
from jaxloc.types import Observations

REGION = Region((-40.0, 40.0), (-40.0, 40.0), (0.0, 20.0), (-30.0, 40.0))
FLAT = log_prior_of(REGION, same_everywhere(10.0, 1e4))
NUMBERS = (1, 2, 3, 4, 6, 12)
SD_S = 0.1


def stations(rng, number=12):
    return np.column_stack([rng.uniform(-35, 35, (number, 2)), rng.uniform(-1, 0, number)]).astype(np.float32)


def simulated(seed, times, each, errors, numbers=NUMBERS, depths_km=(0.0, 20.0)):
    """Events uniform over the region with picks of 1, 2, ... stations: observations, hypocentres, stations of each."""
    rng = np.random.default_rng(seed)
    station_km, events = stations(rng), each * len(numbers)
    place = np.column_stack([rng.uniform(-40, 40, (events, 2)), rng.uniform(*depths_km, events)])
    truth = np.column_stack([place, rng.uniform(0, 5, events)]).astype(np.float32)
    travel_s = np.asarray(jax.jit(times(jnp.asarray(station_km)))(truth[:, :3]))
    sd = np.sqrt(SD_S**2 + errors.model_sd_s**2 + (errors.model_share * travel_s) ** 2)
    picks_s = travel_s + truth[:, 3, None, None] + sd * rng.normal(size=sd.shape)
    wrong = rng.uniform(size=sd.shape) < errors.outlier
    picks_s = picks_s + wrong * rng.uniform(-0.5, 0.5, sd.shape) * errors.outlier_range_s
    count = np.tile(numbers, each)
    nearest = np.argsort(np.argsort(rng.uniform(size=(events, 12)), 1), 1) < count[:, None]
    mask = nearest[..., None] & (rng.uniform(size=sd.shape) < np.array([1.0, 0.8]))
    return observed(station_km, picks_s, mask), truth, count


def observed(station_km, picks_s, mask):
    events, number = picks_s.shape[:2]
    return Observations(
        None,
        np.broadcast_to(station_km, (events, number, 3)),
        np.ones((events, number), bool),
        np.broadcast_to(np.arange(number), (events, number)),
        np.ones(events),
        picks_s.astype(np.float32),
        np.full(picks_s.shape, SD_S, np.float32),
        mask,
    )


def levels_of(posterior, truth):
    """Share of the posterior that is denser than the truth: uniform where the posterior is right."""
    draws = posterior.sample(jax.random.key(1), (400,))
    return np.asarray((posterior.log_prob(draws) > posterior.log_prob(jnp.asarray(truth))).mean(0))
