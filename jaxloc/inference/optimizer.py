"""The optimiser of point estimates and variational inference."""

import jax
import optax


def optimizer(
    learning_rate: float, steps: int, *, physics_rate: float = 1.0, clip: float = 10.0, decay: bool = True
) -> optax.GradientTransformation:
    """Adam with warm-up over a twentieth of the steps, cosine decay and clipping by global norm.

    Without `decay` the rate stays up after the warm-up.
    `physics_rate` multiplies the rate of physical parameters, which live in units of their prior and not of a weight.
    """
    end = 0.0 if decay else learning_rate
    schedule = optax.warmup_cosine_decay_schedule(0.0, learning_rate, max(1, steps // 20), max(steps, 2), end)
    faster = optax.stateless(
        lambda updates, _: jax.tree_util.tree_map_with_path(
            lambda path, u: u * physics_rate if any(getattr(p, "key", None) == "physics" for p in path) else u, updates
        )
    )
    return optax.chain(optax.clip_by_global_norm(clip), optax.adam(schedule), faster)
