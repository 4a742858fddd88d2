"""The optimiser of point estimates and variational inference."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated

import jax
import optax
from jaxtyping import PyTree

ConstantRate = Annotated[optax.GradientTransformation, "its rate stays up after the warm-up"]
"""What a weight posterior has in its signature for an optimiser whose rate must not decay."""


def optimizer(
    learning_rate: float,
    steps: int,
    *,
    rates: Mapping[str, float] = MappingProxyType({}),
    parts: PyTree[str] | None = None,
    clip: float = 10.0,
    decay: bool = True,
) -> optax.GradientTransformation:
    """Adam with warm-up over a twentieth of the steps, cosine decay and clipping by global norm.

    Args:
        learning_rate: highest learning rate.
        steps: number of steps.
        rates: factors of the learning rate by part of the model; parts that it does not name have the learning rate.
            They apply where parameters themselves are optimised. Variational inference and SVGD optimise displacements
            in units of the prior, which need no factor.
        parts: labels of a tree like the parameters (`jaxloc.types.Target`).
        clip: largest global norm of a gradient.
        decay: whether the rate decays after the warm-up.
    """
    end = 0.0 if decay else learning_rate
    schedule = optax.warmup_cosine_decay_schedule(0.0, learning_rate, max(1, steps // 20), max(steps, 2), end)

    def by_part(updates: optax.Updates, params: optax.Params | None) -> optax.Updates:
        if not rates or jax.tree.structure(updates) != jax.tree.structure(parts):
            return updates
        return jax.tree.map(lambda u, part: u * rates[part] if part in rates else u, updates, parts)

    return optax.chain(optax.clip_by_global_norm(clip), optax.adam(schedule), optax.stateless(by_part))
