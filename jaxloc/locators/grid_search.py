"""Grid search: the posterior of the hypocentre given picked arrival times and a velocity model.

`dense_grid` evaluates every cell of a region (Tarantola & Valette 1982; Moser, van Eck & Nolet 1992, JGR 97): a slow
reference for other locators. `grid_search` goes from coarse to fine (after Sambridge & Kennett 1986, GJRAS 87; the
lattice of `jaxloc.physics.adaptive_grid` follows the posterior's axes) and serves many events. Both assume independent
pick errors (`PickErrors`) and exact travel times: errors that stations have in common make the posterior too narrow.
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from jaxloc.locators.over_events import over_events
from jaxloc.locators.setup import Setup, errors_of, flat_prior_of, shared_of, times_of
from jaxloc.physics import adaptive_grid
from jaxloc.physics.adaptive_grid import LogDensity, Region, Search
from jaxloc.physics.cell_refinement import Cells, refined, regular
from jaxloc.physics.model_errors import ModelErrors
from jaxloc.physics.pick_errors import PickErrors, check
from jaxloc.physics.pick_likelihood import joint
from jaxloc.physics.picks_on_cells import (
    BLUR,
    FEW_PICKS,
    Question,
    TravelTimes,
    posterior_of,
    residuals_at,
    seen_by,
    smoothed,
)
from jaxloc.physics.priors import SMOOTHING_SPEED_KM_S
from jaxloc.settings import hands_on
from jaxloc.types import LocateEvent, Locator, Observations, Posterior

# Steps of the last lattice are a third of a standard deviation: components half as wide widen the posterior by 2 %.
SIZES = Search(last=(21, 21, 19, 1))

# For events of few stations too, whose posterior is a shell or a band: as many cells, a ninth of them split twice.
FEW_STATIONS, SPLITS = Search(last=(13, 13, 13, 1)), (192, 768)


def uniform_times(vp_km_s: float, vp_vs: float = 1.73) -> TravelTimes:
    """Straight rays at one speed.

    Raises:
        ValueError: where the speed is not positive or S not slower than P.
    """
    if not (vp_km_s > 0 and vp_vs > 1):
        raise ValueError(f"vp_km_s must be positive and vp_vs above 1, got {vp_km_s} and {vp_vs}")
    speed = jnp.array([vp_km_s, vp_km_s / vp_vs])

    def of_stations(station_km: Float[Array, "station 3"]) -> Callable[[Array], Array]:
        return lambda place: jnp.linalg.norm(place[:, None] - station_km, axis=-1)[..., None] / speed

    return of_stations


@hands_on(errors_of)
def build(
    setup: Setup,
    *,
    kind: str = "l2",
    spacing_km: float = 0.5,
    **of_picks: Any,
) -> Locator:
    """Grid search with first arrivals of the setup's velocity model and a flat prior over its region.

    Args:
        setup: region, stations and velocity model.
        kind: likelihood of picks; further settings are those of `jaxloc.locators.setup.errors_of`.
        spacing_km: of the nodes of the travel-time table.
        of_picks: of `errors_of`.

    Raises:
        ValueError: where there is no velocity model, or the likelihood's settings are wrong.
    """
    errors = errors_of(setup, kind=kind, **of_picks)
    times, log_prior = times_of(setup, "grid_search", spacing_km), flat_prior_of(setup)
    shared = shared_of(setup, errors)
    return over_events(grid_search(times, setup.region, log_prior, errors, FEW_STATIONS, SPLITS, shared))


def grid_search(
    times: TravelTimes,
    region: Region,
    log_prior: LogDensity,
    errors: PickErrors = PickErrors(),
    sizes: Search = SIZES,
    splits: tuple[int, ...] = (),
    shared: ModelErrors | None = None,
) -> LocateEvent:
    """Locate one event by its picks, from coarse to fine; deterministic: the key is not used.

    Args:
        times: travel times.
        region: search region of hypocentres and origin times.
        log_prior: prior density of hypocentres (`jaxloc.physics.arrival_likelihood.log_prior_of`).
        errors: likelihood of picks.
        sizes: points of the lattices; the last has no origin times, which are integrated out at each point.
        splits: numbers of cells of the last lattice that are split, round by round (`jaxloc.physics.cell_refinement`).
        shared: errors of the velocity model that all arrivals of an event share; None: there are none.

    Raises:
        ValueError: where `errors` are no likelihood; from the locator, where observations hold no picks.
    """
    check(errors)

    question = Question(times, region, log_prior, errors, shared=shared)

    def locate(key: Key[Array, ""], observations: Observations) -> Posterior:
        given = seen_by(question, observations)
        more = jnp.sqrt(jnp.maximum(given.picks.mask.sum() / FEW_PICKS, 1.0))

        def log_density(
            points: Float[Array, "point 3"], origin_s: Float[Array, "point time"], spacing_km: Float[Array, ""]
        ) -> Float[Array, "point time"]:
            blur_s = BLUR * spacing_km / SMOOTHING_SPEED_KM_S * more
            seen = residuals_at(errors, *given, points, blur_s)
            return joint(errors, seen, origin_s) + log_prior(points, origin_s, spacing_km)

        centre, scale_tril = adaptive_grid.search(log_density, region, sizes)
        axes = [jnp.linspace(-adaptive_grid.SPREAD, adaptive_grid.SPREAD, n) for n in sizes.last[:3]]
        step_km = scale_tril[:3, :3] * jnp.array([axis[1] - axis[0] for axis in axes])
        middle_km = centre[:3] + _grid(axes) @ scale_tril[:3, :3].T
        lattice = Cells(middle_km, step_km, jnp.ones(len(middle_km)))
        if not splits:
            return posterior_of(question, given, lattice)

        def smooth(points: Float[Array, "cell 3"], edge_km: Float[Array, " cell"]) -> tuple[Array, Array]:
            """Blurred as the search is, or a thin shell would fall between the middles of cells.

            Cells across the region's border count by their nearest point inside.
            """
            inside = jnp.clip(points, *jnp.array(region[:3]).T)
            value, origin_s = smoothed(question, given)(inside, edge_km)
            return jnp.where(jnp.linalg.norm(points - inside, axis=-1) < edge_km / 2, value, -jnp.inf), origin_s

        return posterior_of(question, given, refined(smooth, lattice, sizes.last[:3], splits))

    return locate


def dense_grid(
    times: TravelTimes,
    region: Region,
    log_prior: LogDensity,
    errors: PickErrors = PickErrors(),
    cells: tuple[int, int, int] = (60, 60, 30),
) -> LocateEvent:
    """Locate one event by its picks on all cells of the region, east x north x depth; origin time is integrated out.

    The prior of origin time is flat; `log_prior` is evaluated at the mean origin time of each cell. The posterior has a
    component a cell with a standard deviation of half the cell: choose cells of at most half the posterior's standard
    deviation.

    Raises:
        ValueError: as `grid_search`; where there are less than two cells along an axis.
    """
    check(errors)
    if min(cells) < 2:
        raise ValueError(f"a grid needs two cells along each axis at least, got {cells}")
    question = Question(times, region, log_prior, errors)

    def locate(key: Key[Array, ""], observations: Observations) -> Posterior:
        return posterior_of(question, seen_by(question, observations), regular(region, cells))

    return locate


def _grid(axes: list[Float[Array, " _"]]) -> Float[Array, "point 3"]:
    return jnp.stack(jnp.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
