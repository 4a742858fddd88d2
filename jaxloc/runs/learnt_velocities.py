"""What the events of a catalogue tell of velocities and station terms, for their own locations.

A velocity model that someone gave is wrong by some per cent, in the same way for all events. Their picks together
tell speeds, station terms and errors of picks (`jaxloc.physics.velocity_inversion`), a few events a little, and
locations are integrated over what is still unknown. Where hardly any event has picks enough, the errors of the model
before data are integrated out.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from jaxloc.data.dataset import Dataset
from jaxloc.locators.setup import Setup, times_of, velocity_of
from jaxloc.physics.model_errors import of_velocity
from jaxloc.physics.station_terms import StationTerms
from jaxloc.physics.velocity_error import VelocityError
from jaxloc.physics.velocity_inversion import EventPicks, Inverted, invert
from jaxloc.runs.pick_setup import bare
from jaxloc.training.log import Say

FEWEST_EVENTS, MOST_EVENTS = 5, 300
FEWEST_PICKS, FEWEST_STATIONS = 8, 5
CELL_KM = 2.0  # one event of each cell is used: events near each other share the errors of their paths
LATERAL = 0.01  # of travel times, that no layered model has; hypocentres absorb most of it, so that residuals hide it
ALIKE = {"corr_km": 10.0, "corr_ps": 0.7}  # of these errors: between stations, and of P and S
SHOWN = 6  # layers in a line
SPACING_KM = 0.5  # of the nodes of travel-time tables


class Learnt(NamedTuple):
    """A setup with what events told, and settings of the errors of travel times; `inverted` is None for too few."""

    setup: Setup
    settings: Mapping[str, Any]
    inverted: Inverted | None = None


def learnt_from(setup: Setup, dataset: Dataset, start_km: Float[np.ndarray, "event 3"], say: Say) -> Learnt:
    """Speeds and station terms from the picks of all events.

    Args:
        setup: with a velocity model; its error is the default one where it has none.
        dataset: events with picks.
        start_km: where the events roughly are.
        say: takes one line for the user.

    Raises:
        ValueError: where there is no velocity model.
    """
    model, error = velocity_of(setup, "with learnt velocities"), setup.velocity_error or VelocityError()
    picks = _picks_of(dataset)
    chosen = _chosen(picks, start_km)
    if len(chosen) < FEWEST_EVENTS:
        say(
            f"velocities: as given, uncertain by {100 * error.speed:.2g} %; {len(chosen)} events {CELL_KM:g} km apart "
            f"have {FEWEST_PICKS} picks at {FEWEST_STATIONS} stations, and {FEWEST_EVENTS} are needed to learn them"
        )
        return Learnt(setup._replace(shared=of_velocity(model, error)), {})
    of_chosen = EventPicks(*(each[chosen] for each in picks))
    times = times_of(setup._replace(terms=None), "with learnt velocities", SPACING_KM)
    found = invert(of_chosen, start_km[chosen], setup.station_km, model, times, setup.region, error)
    say(f"velocities: {in_words(found, len(chosen))}")
    terms = StationTerms(np.asarray(setup.station_km, float), found.term_s)
    (p_factor, s_factor), constant_s, share = found.scale
    of_model = {"model_sd_s": constant_s, "model_share": max(share, LATERAL), **ALIKE}
    p_late, s_late = (float(each) for each in found.late)
    of_picks = {"p_factor": p_factor, "s_factor": s_factor, "p_late": p_late, "s_late": s_late}
    settings = {**of_model, **of_picks}
    setup = setup._replace(velocity=found.model, terms=terms, shared=found.errors)
    return Learnt(setup, settings, found)


def in_words(found: Inverted, events: int) -> str:
    """Speeds, station terms and residuals in a line."""
    shown = lambda speeds: ", ".join(f"{speed:.2f}" for speed in np.asarray(speeds)[:SHOWN])
    more = ", ..." if len(found.model.top_km) > SHOWN else ""
    of_p, of_s = np.abs(found.term_s).max(0)
    before_s, after_s = found.rms_s
    factor_p, factor_s = found.scale.of_picks
    return (
        f"learnt from {events} events: P {shown(found.model.vp_km_s)}{more}, "
        f"S {shown(found.model.vs_km_s)}{more} km/s; "
        f"station terms up to {of_p:.2f} s (P) and {of_s:.2f} s (S); residuals {after_s:.3f} s, before {before_s:.3f}; "
        f"errors of picks {factor_p:.2f} (P) and {factor_s:.2f} (S) times the stated ones, which they are "
        f"{found.late[0]:+.2f} (P) and {found.late[1]:+.2f} (S) late"
    )


def _picks_of(dataset: Dataset) -> EventPicks:
    """Picks on the rows of the data set's stations."""
    number = len(dataset.stations)
    found = []
    for part in bare(dataset):
        seen = jax.tree.map(np.asarray, part)
        assert seen.picks_s is not None
        mask = seen.pick_mask & seen.station_mask[..., None] & (seen.station_index >= 0)[..., None]
        event, station, phase = np.nonzero(mask)
        row = seen.station_index[event, station]
        arrays = [
            np.zeros((len(mask), number, 2)),
            np.ones((len(mask), number, 2)),
            np.zeros((len(mask), number, 2), bool),
        ]
        for array, value in zip(arrays, (seen.picks_s, seen.pick_sigma_s, mask), strict=True):
            array[event, row, phase] = value[event, station, phase]
        found.append(EventPicks(*arrays))
    return EventPicks(*(np.concatenate(each) for each in zip(*found, strict=True)))


def _chosen(picks: EventPicks, start_km: Float[np.ndarray, "event 3"]) -> Int[np.ndarray, " event"]:
    """One event of each cell, at random: those with most picks alone would say too little of errors."""
    enough = np.flatnonzero((picks.mask.sum((1, 2)) >= FEWEST_PICKS) & (picks.mask.any(-1).sum(1) >= FEWEST_STATIONS))
    shuffled = np.random.default_rng(0).permutation(enough)
    cell = np.floor(start_km[shuffled] / CELL_KM).astype(int)
    _, first = np.unique(cell, axis=0, return_index=True)
    return np.sort(shuffled[np.sort(first)][:MOST_EVENTS])
