"""The physics of a data set from its onsets: speeds, delays and origin times that explain rough picks.

A few picks are wrong by seconds, so residuals follow a mixture of a normal and a flat level. Once fitted, physics and
catalogue say when P and S reach every station, also where nothing was picked: labels to learn arrivals from.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float

from jaxloc.arrival_physics import Physics, predicted_s
from jaxloc.types import Batch, Label, Params

OUTLIER_S = 20.0  # range over which a wrong pick may lie
NARROWING_S = (1.0, 0.3, 0.1)  # error of picks, from a wide one that finds its way to the one that counts

PhysicsOf = Callable[[Params], Physics]


def fit_physics(
    physics_of: PhysicsOf, params: Params, batch: Batch, *, steps: int = 100, learning_rate: float = 0.06
) -> tuple[Params, Float[Array, " event"]]:
    """Physical parameters and the origin time in s of each event, from picks and labelled epicentres and depths.

    Args:
        physics_of: parameters to physics, for stations that are the same in all events.
        params: physical parameters to start from, standard normal before data.
        batch: events with picks; an event without any keeps an origin time of zero.
        steps: of Adam, at each width of the residuals.
        learning_rate: of Adam, falling to zero.

    Raises:
        ValueError: where the observations hold no picks.
    """
    origin_s = jax.jit(lambda p, b: jax.vmap(lambda e: _first_origin_s(physics_of(p), e))(b))(params, batch)

    def loss(fitted: tuple[Params, Array], width_s: float) -> Array:
        physics = physics_of(fitted[0])

        def of_event(event: Batch, origin: Array) -> Array:
            hypocentre = event.labels["hypocentre"].value.at[3].set(origin)
            picks_s, pick_mask = _picks(event)
            residual = picks_s - predicted_s(physics, hypocentre)
            good = -0.5 * (residual / width_s) ** 2 - jnp.log(width_s)
            known = pick_mask & event.labels["hypocentre"].mask[:3].all()
            return jnp.where(known, jnp.logaddexp(good + jnp.log(0.9), jnp.log(0.1 / OUTLIER_S)), 0.0).sum()

        prior = sum((leaf**2).sum() / 2 for leaf in jax.tree.leaves(fitted[0]))
        return prior - jax.vmap(of_event)(batch, fitted[1]).sum()

    optimizer = optax.adam(optax.cosine_decay_schedule(learning_rate, steps))

    @jax.jit
    def narrowed(fitted: tuple[Params, Array], width_s: float) -> tuple[Params, Array]:
        def step(carry: tuple, _: None) -> tuple[tuple, None]:
            change, memory = optimizer.update(jax.grad(loss)(carry[0], width_s), carry[1])
            return (optax.apply_updates(carry[0], change), memory), None

        return jax.lax.scan(step, (fitted, optimizer.init(fitted)), None, length=steps)[0][0]

    fitted = (params, origin_s)
    for width_s in NARROWING_S:
        fitted = narrowed(fitted, width_s)
    return fitted


def _picks(event: Batch) -> tuple[Float[Array, "station phase"], Bool[Array, "station phase"]]:
    seen = event.observations
    if seen.picks_s is None or seen.pick_mask is None:
        raise ValueError("observations.picks_s is None; physics is fitted to picks: use a data set that has them")
    return seen.picks_s, seen.pick_mask


def _first_origin_s(physics: Physics, event: Batch) -> Float[Array, ""]:
    """The median of pick minus travel time, half of which may be wrong."""
    hypocentre = event.labels["hypocentre"].value.at[3].set(0.0)
    picks_s, pick_mask = _picks(event)
    apart = jnp.where(pick_mask, picks_s - predicted_s(physics, hypocentre), jnp.nan)
    return jnp.nan_to_num(jnp.nanmedian(apart))


def label_arrivals(physics: Physics, event: Batch, origin_s: Float[Array, ""]) -> Batch:
    """One event with an arrival time for every station and phase, as physics has it, where none was labelled."""
    known, mask = event.labels["hypocentre"]
    predicted = predicted_s(physics, known.at[3].set(origin_s))
    value, picked = event.labels["arrivals"]
    every = jnp.where(picked, value, predicted)
    usable = picked | mask[:3].all()
    labels = event.labels | {"arrivals": Label(every, jnp.broadcast_to(usable, every.shape))}
    return event._replace(labels=labels)
