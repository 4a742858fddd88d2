"""Physics that events teach: fitted to picks before a stage of training, and station terms by source after it."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxloc.data.dataset import Dataset
from jaxloc.locators.arrivals import mean_of_draws
from jaxloc.models.model import LabelBatch, as_labelled
from jaxloc.models.network_and_physics import NetworkAndPhysics
from jaxloc.physics.arrival_likelihood import Arrivals, Physics, predicted_s
from jaxloc.physics.catalogue_picks import picks_of_known
from jaxloc.physics.joint_inversion import fit_physics, label_arrivals
from jaxloc.physics.parameters import PhysicsSetting, physics_at, prior_parameters
from jaxloc.physics.readings import ArrivalPicks, pick_details
from jaxloc.physics.source_terms import SourceTerms, fit_terms
from jaxloc.types import Batch, Label, Network, Observations, Params, Weights

CHUNK = 32  # events whose waveforms are in memory at a time


def fitted_to_picks(
    network: Network,
    setting: PhysicsSetting,
    params: NetworkAndPhysics,
    dataset: Dataset,
    by_network: bool,
    settings: Mapping[str, Any],
    by_catalogue: bool = False,
) -> tuple[Params, LabelBatch]:
    """Physics from picks of a data set, and arrival labels for all of its stations; settings are of `fit_physics`.

    `by_catalogue`: the network's picks are read near the arrivals that the catalogue predicts.
    """
    batch = _picked(network if by_network else None, params, dataset, by_catalogue)
    if not np.any(batch.observations.pick_mask):
        if by_network:
            raise ValueError(
                "the network is sure of no arrival in any training event, so that none can be labelled anew; "
                "train the stage before for more steps, or set relabel=false"
            )
        return params, as_labelled
    one = jax.tree.map(lambda x: x[0], dataset.take(np.arange(1)).observations)

    physics_of = lambda parameters: physics_at(parameters, setting, one)
    fitted, hypocentres = fit_physics(physics_of, prior_parameters(setting), batch, **settings)
    physics = jax.jit(physics_of)(fitted)
    labelled = jax.jit(jax.vmap(lambda event, place: label_arrivals(physics, event, place)))

    def label(index: Int[np.ndarray, " event"], events: Batch) -> Batch:
        bare = events._replace(observations=events.observations._replace(waveforms=None))
        labels: dict = jax.tree.map(np.asarray, labelled(bare, hypocentres[index]).labels)
        return events._replace(labels=labels)

    return params._replace(physics=fitted), label


def _picked(network: Network | None, params: Params, dataset: Dataset, by_catalogue: bool) -> Batch:
    """All events without waveforms, with picks: labelled ones, else the network's or, without it, the data set's."""
    alone = jax.tree.map(lambda x: x[None], params)
    read = network and jax.jit(lambda events: _picks_of_draws(network, alone, events, by_catalogue))

    def take(index: Int[np.ndarray, " event"]) -> Batch:
        events = dataset.take(index)
        seen, (value, labelled) = events.observations, events.labels["arrivals"]
        given = (value, labelled) if seen.picks_s is None else (seen.picks_s, seen.pick_mask)
        if read:
            found = read(events)
            given = found.time_s, found.sure
        picks_s, mask = (np.asarray(x) for x in given)
        seen = seen._replace(
            waveforms=None, picks_s=np.where(labelled, value, picks_s), pick_mask=np.asarray(labelled) | mask
        )
        return events._replace(observations=seen)

    parts = [take(index) for index in np.array_split(np.arange(len(dataset)), -(-len(dataset) // 32))]
    return jax.tree.map(lambda *x: jnp.asarray(np.concatenate(x)), *parts)


def terms_by_source(
    network: Network,
    setting: PhysicsSetting,
    draws: NetworkAndPhysics,
    dataset: Dataset,
    by_catalogue: bool = False,
) -> SourceTerms:
    """Station terms that depend on the source, from residuals of a data set's catalogue.

    Residuals are those of the network's picks, by the mean density of all draws, against travel times from labelled
    hypocentres, less the origin time that fits an event's picks. Errors of the catalogue that events nearby share are
    part of the terms; those of single events are part of the nugget.

    Args:
        network: with physics.
        setting: of physics.
        draws: of trained parameters, with a leading axis.
        dataset: events with labelled hypocentres; others are left out.
        by_catalogue: picks are read near the arrivals that the catalogue predicts.

    Raises:
        ValueError: where the network is sure of no arrival of an event with a labelled hypocentre.
    """
    parts = [np.arange(at, min(at + CHUNK, len(dataset))) for at in range(0, len(dataset), CHUNK)]
    read = jax.jit(lambda events: _picks_of_draws(network, draws, events, by_catalogue))
    picks, places = [], []
    for index in parts:
        batch = dataset.take(index)
        picks.append(jax.tree.map(np.asarray, read(batch)))
        places.append(jax.tree.map(np.asarray, batch.labels["hypocentre"]))
    found: ArrivalPicks = jax.tree.map(lambda *x: np.concatenate(x), *picks)
    label: Label = jax.tree.map(lambda *x: np.concatenate(x), *places)
    known = np.all(np.asarray(label.mask)[:, :3], axis=-1)
    seen = np.asarray(found.sure) & known[:, None, None]
    if not seen.any():
        raise ValueError(
            "the network is sure of no arrival in any training event with a hypocentre, to learn station terms from; "
            "train for more steps, or set model.source_terms=false"
        )
    one = jax.tree.map(lambda x: x[0], dataset.take(np.arange(1)).observations)
    residual_s = jax.jit(lambda place, time: _residuals_s(draws, setting, one, place, time))(
        jnp.asarray(label.value), jnp.where(seen, found.time_s, jnp.nan)
    )
    some = np.asarray(seen.any((1, 2)))
    arrays = (label.value[:, :3], residual_s, seen, found.sigma_s)
    return fit_terms(*(jnp.asarray(np.asarray(x)[some]) for x in arrays))


def _picks_of_draws(network: Network, draws: NetworkAndPhysics, events: Batch, by_catalogue: bool) -> ArrivalPicks:
    """Picks of the mean density of all draws; `by_catalogue` near the arrivals of events whose place is known."""

    def of_event(event: Batch) -> ArrivalPicks:
        raw: Any = jax.lax.map(lambda params: network.apply(Weights(params), event.observations), draws)
        found: Arrivals = mean_of_draws(raw)
        plain = pick_details(found.readings)
        if not by_catalogue:
            return plain
        place, known = event.labels["hypocentre"]
        return jax.tree.map(
            lambda near, alone: jnp.where(known[:3].all(), near, alone), picks_of_known(found, place[:3]), plain
        )

    return jax.lax.map(of_event, events)


def _residuals_s(
    draws: NetworkAndPhysics,
    setting: PhysicsSetting,
    one: Observations,
    hypocentre: Float[Array, "event 4"],
    picked_s: Float[Array, "event station phase"],
) -> Float[Array, "event station phase"]:
    """Picks minus travel times by the mean of the draws' physics, less the median of each event; NaN without a pick."""
    physics: Physics = jax.tree.map(
        lambda x: x.mean(0), jax.vmap(lambda params: physics_at(params.physics, setting, one))(draws)
    )
    at_zero = hypocentre.at[:, 3].set(0.0)
    late_s = picked_s - jax.vmap(lambda place: predicted_s(physics, place))(at_zero)
    return late_s - jnp.nanmedian(late_s, axis=(1, 2), keepdims=True)
