"""Picks of the arrivals network, read from its densities, and record sections with both."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from jaxloc.data.dataset import Dataset
from jaxloc.io.catalogue import Hypocentre, Pick
from jaxloc.locators.arrivals import mean_of_draws
from jaxloc.physics.arrival_likelihood import Arrivals
from jaxloc.physics.readings import ArrivalPicks, pick_details
from jaxloc.prng import key_shape, stream
from jaxloc.runs.fitted import Fitted
from jaxloc.runs.located import Located
from jaxloc.runs.predict import CHUNK
from jaxloc.types import PHASES, Batch, Observations, Weights


class Read(NamedTuple):
    """Picks of a batch of events, and the densities of arrivals by sample that they are read from."""

    picks: ArrivalPicks
    density: Float[np.ndarray, "event station phase sample"]


def has_arrivals(fitted: Fitted, observations: Observations) -> bool:
    """Whether the network of a run gives densities of arrivals."""
    weights = jax.eval_shape(lambda key: fitted.method.sample(key, fitted.state, 1), key_shape())
    one, seen = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), (weights, observations))
    return isinstance(jax.eval_shape(fitted.model.network.apply, one, seen), Arrivals)


def read_arrivals(key: Key[Array, ""], fitted: Fitted, observations: Observations) -> Read:
    """Picks and densities of a batch of events, of the mean density over draws of the weights."""
    weights = jax.jit(lambda key: fitted.method.sample(key, fitted.state, fitted.num_draws))(key)

    @jax.jit
    def read(weights: Weights, seen: Observations) -> tuple[ArrivalPicks, jax.Array]:
        mean = mean_of_draws(jax.lax.map(lambda w: fitted.model.network.apply(w, seen), weights)).readings
        return pick_details(mean), jnp.exp(mean.log_mass[..., :-1])

    number = observations.station_mask.shape[0]
    event = lambda i: jax.tree.map(lambda x: x[i], observations)
    found = [read(weights, event(i)) for i in range(number)]
    return Read(*jax.tree.map(lambda *x: np.stack(x), *found))


def event_picks(dataset: Dataset, picks: ArrivalPicks, i: int) -> tuple[Pick, ...]:
    """Picks of one event of a batch, by station and phase."""
    return tuple(
        Pick(
            station.code,
            phase,
            float(picks.time_s[i, row, column]),
            float(picks.sigma_s[i, row, column]),
            float(picks.probability[i, row, column]),
        )
        for row, station in enumerate(dataset.stations)
        for column, phase in enumerate(PHASES)
        if picks.sure[i, row, column]
    )


def observed_picks(dataset: Dataset, observations: Observations, i: int) -> tuple[Pick, ...]:
    """Picks that an event was located by."""
    if observations.picks_s is None or observations.pick_mask is None or observations.pick_sigma_s is None:
        return ()
    time_s, sigma_s, mask = (
        np.asarray(x)[i] for x in (observations.picks_s, observations.pick_sigma_s, observations.pick_mask)
    )
    return tuple(
        Pick(station.code, phase, float(time_s[row, column]), float(sigma_s[row, column]))
        for row, station in enumerate(dataset.stations)
        for column, phase in enumerate(PHASES)
        if mask[row, column]
    )


def picks_of_run(dataset: Dataset, located: Located, events: Collection[str]) -> dict[str, tuple[Pick, ...]]:
    """Picks of some located events, by id, by the network of a run; empty where it gives no arrivals."""
    picks = None if located.check is None else located.check.picks
    if picks is None:
        return {}
    names = set(events)
    number = len(located.batch.observations.station_mask)  # of all events, unless interrupted
    return {
        event.id: event_picks(dataset, picks, i) for i, event in enumerate(dataset.events[:number]) if event.id in names
    }


def with_picks(dataset: Dataset, located: Located, found: Sequence[Hypocentre]) -> list[Hypocentre]:
    """Located events with the picks of the network of their run (`picks_of_run`)."""
    picks = picks_of_run(dataset, located, [event.id for event in found])
    return [event._replace(picks=picks.get(event.id, ())) for event in found]


def sections_of_run(fitted: Fitted, dataset: Dataset, events: Collection[str], folder: Path) -> None:
    """Write a record section of each of some events, by id, with the network's densities and picks, into a folder.

    A network that gives no arrivals has none.
    """
    names = set(events)
    wanted = np.flatnonzero([event.id in names for event in dataset.events])
    for index in np.split(wanted, range(CHUNK, len(wanted), CHUNK)):
        batch = dataset.take(index)
        if not has_arrivals(fitted, batch.observations):
            return
        read = read_arrivals(stream("location"), fitted, batch.observations)
        for i, event in enumerate(index):
            name = dataset.events[event].id
            _section(folder / f"{file_name(name)}_waveforms.png", dataset, batch, read, i, name)


def file_name(event: str) -> str:
    """The id of an event as part of a file's name."""
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in event)


def _section(path: Path, dataset: Dataset, batch: Batch, read: Read, i: int, title: str) -> None:
    """One event's vertical component over distance from the station of the earliest P pick, or the first station."""
    from jaxloc.plots.waveforms import waveform_section  # drawing is loaded where it is asked for

    seen = batch.observations
    picks = jax.tree.map(lambda x: x[i], read.picks)
    time_s = np.where(picks.sure, picks.time_s, np.nan)
    nearest = int(np.nan_to_num(time_s[:, 0], nan=np.inf).argmin())
    station_km = np.asarray(seen.station_km[i])
    waveform_section(
        path,
        np.asarray(seen.waveforms)[i],
        dataset.rate_hz,
        np.hypot(*(station_km - station_km[nearest])[:, :2].T),
        np.asarray(seen.station_mask[i]),
        pick_s=time_s,
        probability=read.density[i],
        title=f"{title}: vertical component, distance from the first station to record P",
        station_names=tuple(station.code for station in dataset.stations),
    )
