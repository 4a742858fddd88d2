"""Arrival densities of simple events in a uniform medium, and their likelihood in NumPy: shared by physics tests."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import norm

from jaxloc.physics.adaptive_grid import Region
from jaxloc.physics.adaptive_sampling import Sampling
from jaxloc.physics.arrival_likelihood import Arrivals, Physics
from jaxloc.physics.layered import uniform
from jaxloc.physics.table import TableGrid, for_stations, tabulate

RATE_HZ, SAMPLES, VP, VS, NONE = 20.0, 500, 6.0, 6.0 / 1.73, 0.02
REGION = Region((-40.0, 40.0), (-40.0, 40.0), (0.0, 20.0), (-2.0, 12.0))
DEPTH_PRIOR = (8.0, 6.0)
TRUTH = np.array([3.0, -4.0, 9.0, 4.0])
SMOOTHING_S, OUTLIER, PICK_SD_S = (0.12, 0.2), 0.03, 0.06
SURPRISES = 0.1  # share of hypocentres that err more than stated
ROWS = 12  # of every event, so that one compilation serves all
GRID = TableGrid(150.0, (0.0, 25.0), (-3.0, 1.0), 3, 3, 2)  # slowness is the same everywhere: exact
SIZES = Sampling()


def stations(number, seed=0):
    rng = np.random.default_rng(seed)
    return np.c_[rng.uniform(-25, 25, (number, 2)), rng.uniform(-2, 0, number)]


def times_s(station_km, hypocentre):
    """Straight rays, in NumPy: [..., station, phase]."""
    apart = hypocentre[..., None, :3] - station_km
    return hypocentre[..., 3, None, None] + np.linalg.norm(apart, axis=-1)[..., None] / [VP, VS]


@jax.jit
def physics_of(station_km, correlation, delay_s):
    table = for_stations(tabulate(uniform(VP), GRID), station_km[:, 2])
    delay_s = jnp.broadcast_to(delay_s, (ROWS, 2))
    return Physics(
        table,
        station_km,
        delay_s,
        jnp.tile(jnp.array(SMOOTHING_S), (len(station_km), 1)),
        jnp.zeros((len(station_km), 2, 2)),
        jnp.array(OUTLIER),
        correlation,
        jnp.full(2, 1e-3),
        jnp.array(SURPRISES),
    )


def arrivals(station_km, arrival_s, correlation=0.0, delay_s=0.0):
    """Gaussian arrival densities of width `PICK_SD_S` about given times, with a little mass on no arrival.

    Rows beyond the stations are dead, and hold arrivals at 20 s that must not count.
    """
    number, spare = len(station_km), ROWS - len(station_km)
    station_km = np.concatenate([station_km, np.full((spare, 3), 5.0)])
    arrival_s = np.concatenate([arrival_s, np.full((spare, 2), 20.0)])
    mass = norm.pdf(np.arange(SAMPLES) / RATE_HZ, arrival_s[..., None], PICK_SD_S)
    mass = np.concatenate([(1 - NONE) * mass / mass.sum(-1, keepdims=True), np.full((ROWS, 2, 1), NONE)], -1)
    single = lambda x: jnp.asarray(x, jnp.float32)
    physics = physics_of(single(station_km), single(correlation), single(delay_s))
    active = single(np.arange(ROWS) < number)
    return Arrivals(jnp.log(single(mass) + 1e-30), single(RATE_HZ), active, physics)


def log_density_numpy(station_km, arrival_s, points, correlation=0.0):
    """The formula of the density written again with SciPy's normal: smoothing adds in squares, outliers are flat."""
    duration_s = SAMPLES / RATE_HZ
    width = np.hypot(PICK_SD_S, SMOOTHING_S)
    density = (1 - NONE) * norm.pdf(times_s(station_km, points), arrival_s, width) + NONE / duration_s
    each = np.log((1 - OUTLIER) * density + OUTLIER / duration_s)
    present = (1 - NONE) * len(station_km)
    return each.sum((-1, -2)) / (1 + correlation * (present - 1))
