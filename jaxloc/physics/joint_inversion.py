"""The physics of a data set from its onsets: delays, positions and hypocentres that explain picks together.

A few picks are wrong by seconds, so residuals follow a mixture of a normal and a flat level. The catalogue is wrong
too, by a kilometre or two in depth, so each hypocentre may leave it (joint hypocentre determination, Douglas 1967,
Nature 215): were depths held, physics would bend until depth no longer mattered. Once fitted, physics says when
P and S reach every station, also where nothing was picked: labels to learn arrivals from.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float

from jaxloc.physics.arrival_likelihood import Physics, predicted_s
from jaxloc.types import Batch, Label, Params

OUTLIER_S = 20.0  # range over which a wrong pick may lie
NARROWING_S = (1.0, 0.3, 0.12)  # error of picks, from a wide one that finds its way to the one that counts
ORIGIN_SD_S = 0.2  # error of labelled origin times
MIN_PICKS = 3  # that give an event an origin time, where none is labelled
TEMPERING = 1 / 3  # of the picks against the priors: errors of neighbouring stations are alike

PhysicsOf = Callable[[Params], Physics]


class Joint(NamedTuple):
    """What is fitted together: physics, and of each event origin time and way from the catalogue (in its sd)."""

    params: Params
    origin_s: Float[Array, " event"]
    shift: Float[Array, "event 3"]


def fit_physics(
    physics_of: PhysicsOf,
    params: Params,
    batch: Batch,
    *,
    catalogue_sd_km: tuple[float, float, float] = (0.4, 0.4, 1.5),
    depth_km: tuple[float, float] = (0.0, 700.0),
    steps: int = 200,
    learning_rate: float = 0.05,
) -> tuple[Params, Float[Array, "event 4"]]:
    """Physical parameters and the hypocentre of each event, from picks and a catalogue that errs.

    Args:
        physics_of: parameters to physics, for stations that are the same in all events.
        params: physical parameters to start from, standard normal before data.
        batch: events with picks; one with too few, or no labelled place, comes back without an origin time (NaN).
        catalogue_sd_km: error of the catalogue in east, north and depth.
        depth_km: range that hypocentres stay in.
        steps: of Adam, at each width of the residuals.
        learning_rate: of Adam, falling to zero.

    Raises:
        ValueError: where the observations hold no picks.
    """
    picks_s, pick_mask = _picks(batch)
    known = batch.labels["hypocentre"].mask[:, :3].all(-1)
    use = pick_mask & known[:, None, None]
    placed = use.any((1, 2))[:, None]
    sd_km = jnp.array(catalogue_sd_km)
    labelled_s, timed = batch.labels["hypocentre"].value[:, 3], batch.labels["hypocentre"].mask[:, 3]

    def hypocentres(joint: Joint) -> Float[Array, "event 4"]:
        # A shift of all epicentres is one of all stations, whose terms would take it up: the catalogue has none.
        common = jnp.where(placed, joint.shift, 0.0).sum(0) / jnp.maximum(placed.sum(), 1)
        shift = joint.shift - jnp.where(placed, common.at[2].set(0.0), 0.0)
        place_km = _catalogue_km(batch) + sd_km * shift
        return jnp.concatenate(
            [place_km.at[:, 2].set(jnp.clip(place_km[:, 2], *depth_km)), joint.origin_s[:, None]], -1
        )

    def residual_s(joint: Joint) -> Float[Array, "event station phase"]:
        physics = physics_of(joint.params)
        return picks_s - jax.vmap(lambda place: predicted_s(physics, place))(hypocentres(joint))

    def loss(joint: Joint, width_s: Float[Array, ""] | float) -> Array:
        good = -0.5 * (residual_s(joint) / width_s) ** 2 - jnp.log(width_s)
        fit = jnp.where(use, jnp.logaddexp(good + jnp.log(0.9), jnp.log(0.1 / OUTLIER_S)), 0.0).sum()
        late = jnp.where(timed, (joint.origin_s - labelled_s) / ORIGIN_SD_S, 0.0)
        prior = sum((leaf**2).sum() / 2 for leaf in jax.tree.leaves((joint.params, joint.shift, late)))
        return prior - TEMPERING * fit

    optimizer = optax.adam(optax.cosine_decay_schedule(learning_rate, steps))

    @jax.jit
    def narrowed(joint: Joint, width_s: Float[Array, ""] | float) -> Joint:
        def step(carry: tuple, _: None) -> tuple[tuple, None]:
            change, memory = optimizer.update(jax.grad(loss)(carry[0], width_s), carry[1])
            return (optax.apply_updates(carry[0], change), memory), None

        return jax.lax.scan(step, (joint, optimizer.init(joint)), None, length=steps)[0][0]

    start = Joint(params, jnp.zeros(len(known)), jnp.zeros((len(known), 3)))
    # The median of pick minus travel time, half of which may be wrong.
    apart = jnp.where(use, jax.jit(residual_s)(start), jnp.nan)
    origin_s = jnp.where(timed, labelled_s, jnp.nan_to_num(jnp.nanmedian(apart, (1, 2))))
    joint = start._replace(origin_s=origin_s)
    for width_s in NARROWING_S:
        joint = narrowed(joint, width_s)
    timeless = ~timed & (use.sum((1, 2)) < MIN_PICKS)
    return joint.params, hypocentres(joint).at[:, 3].set(jnp.where(timeless, jnp.nan, joint.origin_s))


def _catalogue_km(batch: Batch) -> Float[Array, "event 3"]:
    value, mask = batch.labels["hypocentre"]
    return jnp.where(mask[:, :3], value[:, :3], 0.0)


def _picks(batch: Batch) -> tuple[Float[Array, "event station phase"], Bool[Array, "event station phase"]]:
    seen = batch.observations
    if seen.picks_s is None or seen.pick_mask is None:
        raise ValueError("observations.picks_s is None; physics is fitted to picks: use a data set that has them")
    return seen.picks_s, seen.pick_mask


def label_arrivals(physics: Physics, event: Batch, hypocentre: Float[Array, " 4"]) -> Batch:
    """One event with an arrival time for every station and phase, as physics has it, where none was labelled.

    An event without an origin time (NaN), or whose place is not labelled, keeps the labels that it has.
    """
    value, picked = event.labels["arrivals"]
    every = jnp.where(picked, value, predicted_s(physics, jnp.nan_to_num(hypocentre)))
    usable = picked | (event.labels["hypocentre"].mask[:3].all() & jnp.isfinite(hypocentre[3]))
    labels = event.labels | {"arrivals": Label(every, jnp.broadcast_to(usable, every.shape))}
    return event._replace(labels=labels)
