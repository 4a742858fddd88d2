"""Octree importance sampling: the posterior of the hypocentre on cells that are smallest where it is largest.

The region is cut into cells; again and again the cells of largest probability are split into eight (Lomax & Curtis
2001, EGS Abstracts 3; Lomax and others 2009, in the Encyclopedia of Complexity and Systems Science). What remains
is a sample of the posterior whose density of cells follows it: sharp or broad, of one or of several parts, curved or
not, with the same number of cells. Of each event as many cells are split in each round, so that all are one program.

Differs from NonLinLoc: cells are split many at a time, not one by one; the density of a coarse cell is smoothed to its
size, so that no narrow peak falls between the middles of cells; and there is no smallest cell.
"""

from collections import defaultdict
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Int, Key

from jaxloc.locators.over_events import over_events
from jaxloc.locators.setup import Setup, errors_of, flat_prior_of, shared_of, times_of
from jaxloc.physics.adaptive_grid import LogDensity, Region
from jaxloc.physics.cell_refinement import refined, regular
from jaxloc.physics.model_errors import ModelErrors
from jaxloc.physics.pick_errors import PickErrors, check
from jaxloc.physics.picks_on_cells import Question, TravelTimes, posterior_of, seen_by, smoothed
from jaxloc.settings import hands_on
from jaxloc.types import LocateEvent, Locator, Observations, Posterior

SLOTS = (16, 32, 64, 128, 256)  # numbers of picks that programs are compiled for, which takes as long as 500 events


class Octree(NamedTuple):
    """Cells along east, north and depth, and how many of them are split in each round."""

    cells: tuple[int, int, int] = (8, 8, 4)
    splits: tuple[int, ...] = (8,) * 18


@hands_on(errors_of)
def build(
    setup: Setup,
    *,
    kind: str = "edt",
    spacing_km: float = 0.5,
    **of_picks: Any,
) -> Locator:
    """Octree importance sampling with first arrivals of the setup's velocity model and a flat prior over its region.

    Args:
        setup: region, stations and velocity model.
        kind: likelihood of picks; further settings are those of `jaxloc.locators.setup.errors_of`.
        spacing_km: of the nodes of the travel-time table.
        of_picks: of `errors_of`.

    Raises:
        ValueError: where there is no velocity model, or the likelihood's settings are wrong.
    """
    errors = errors_of(setup, kind=kind, **of_picks)
    times = times_of(setup, "octree", spacing_km)
    return by_number_of_picks(times, setup.region, flat_prior_of(setup), errors, shared=shared_of(setup, errors))


def by_number_of_picks(
    times: TravelTimes,
    region: Region,
    log_prior: LogDensity,
    errors: PickErrors = PickErrors(),
    sizes: Octree = Octree(),
    shared: ModelErrors | None = None,
) -> Locator:
    """`octree` for batches: events with about as many picks (`SLOTS`) share a program, which has no room to spare."""
    check(errors)
    programs: dict[int, Locator] = {}

    def locator(key: Key[Array, ""], observations: Observations) -> Posterior:
        rows = defaultdict(list)
        for row, slots in enumerate(_slots(observations)):
            rows[int(slots)].append(row)
        found = []
        for slots, some in sorted(rows.items()):
            if slots not in programs:
                programs[slots] = over_events(
                    octree(times, region, log_prior, errors, sizes, slots, shared), chunk=CHUNK
                )
            found.append(programs[slots](key, jax.tree.map(lambda x, some=some: x[np.array(some)], observations)))
        order = np.argsort(np.concatenate([rows[slots] for slots in sorted(rows)]))
        return jax.tree.map(lambda *x: np.concatenate(x)[order], *found)

    return locator


CHUNK = 32


def _slots(observations: Observations) -> Int[np.ndarray, " event"]:
    """The number of picks of each event, rounded up."""
    if observations.pick_mask is None:
        raise ValueError("observations have no picks; an octree search must have picks_s, pick_sigma_s and pick_mask")
    mask = np.asarray(observations.pick_mask) & np.asarray(observations.station_mask)[..., None]
    number, most = mask.sum((1, 2)), mask[0].size
    if number.max(initial=0) > SLOTS[-1]:
        return np.full(len(mask), most)
    return np.minimum(np.array(SLOTS)[np.searchsorted(SLOTS, number)], most)


def octree(
    times: TravelTimes,
    region: Region,
    log_prior: LogDensity,
    errors: PickErrors = PickErrors(),
    sizes: Octree = Octree(),
    most_picks: int | None = None,
    shared: ModelErrors | None = None,
) -> LocateEvent:
    """Locate one event by its picks; deterministic: the key is not used.

    Args:
        times: travel times.
        region: search region of hypocentres and origin times.
        log_prior: prior density of hypocentres.
        errors: likelihood of picks.
        sizes: first cells, and numbers of cells that are split.
        most_picks: room for so many picks, which no event may exceed; None: for one of each station and phase.
        shared: errors of the velocity model that all arrivals of an event share; None: there are none.

    Raises:
        ValueError: where `errors` are no likelihood; from the locator, where observations hold no picks.
    """
    check(errors)
    question = Question(times, region, log_prior, errors, most_picks, shared)

    def locate(key: Key[Array, ""], observations: Observations) -> Posterior:
        seen = seen_by(question, observations)
        cells = refined(smoothed(question, seen), regular(region, sizes.cells), sizes.cells, sizes.splits)
        return posterior_of(question, seen, cells)

    return locate
