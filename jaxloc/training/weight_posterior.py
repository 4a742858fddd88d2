"""Whether a weight posterior has converged, and what its bound is worth against that of the prior."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from jaxloc.atomic_write import write_whole
from jaxloc.types import Batch, Method, Params, State, Target

FILE = "weight_posterior.json"
EVENTS, CHUNK, DRAWS = 48, 8, 8  # training events and draws of weights of the comparison with the prior


class Expected(NamedTuple):
    """Expected negative log-likelihoods of events, in nats, under draws of the posterior and of its prior."""

    posterior: Float[np.ndarray, " event"]
    prior: Float[np.ndarray, " event"]


def described(method: Method, state: State, expected: Expected | None) -> dict[str, Any]:
    """Convergence by the method's own criterion, its figures, and its bound less the prior's in nats an event.

    The prior itself is a member of every variational family: where its bound is the higher one, the posterior is worse
    than not to have trained it. Only posteriors with a `divergence` among their figures have a bound.

    Args:
        method: one with `diagnose`.
        state: that its stage ended with.
        expected: by `expected_under`; None where there is no bound.
    """
    assert method.diagnose is not None
    found = method.diagnose(state)
    record = {"converged": bool(np.all(found.converged)), "criterion": found.criterion, **_numbers(found.figures)}
    if expected is not None and "divergence" in found.figures:
        gain = expected.prior - expected.posterior - float(np.mean(found.figures["divergence"]))
        error = float(gain.std(ddof=1) / np.sqrt(len(gain))) if len(gain) > 1 else None
        record["elbo_minus_prior_elbo"] = {"value": float(gain.mean()), "standard_error": error}
    return record


def expected_under(
    key: Key[Array, ""], method: Method, state: State, target: Target, batches: list[Batch], number: int
) -> Expected:
    """Expected negative log-likelihoods of events in batches of one size; the first `number` events count.

    Arrays of weights that do not vary under the posterior (outside of `posterior.subspace`) keep their values under
    the prior.
    """
    key_posterior, key_prior = jax.random.split(key)

    @jax.jit
    def both(batch: Batch) -> tuple[Float[Array, " event"], Float[Array, " event"]]:
        own = method.sample(key_posterior, state, DRAWS)
        others = own._replace(params=_prior_draws(key_prior, target, own.params))
        mean = lambda weights: -jax.lax.map(lambda draw: target.log_likelihood(draw, batch), weights).mean(0)
        return mean(own), mean(others)

    parts = [both(batch) for batch in batches]
    own, others = (np.concatenate([np.asarray(part[i], float) for part in parts])[:number] for i in range(2))
    return Expected(own, others)


def _prior_draws(key: Key[Array, ""], target: Target, draws: Params) -> Params:
    leaves, tree = jax.tree.flatten(draws)
    middles, scales = tree.flatten_up_to(target.prior_mean), tree.flatten_up_to(target.prior_scale)
    keys = jax.random.split(key, len(leaves))

    def of_array(key: Key[Array, ""], own: Array, middle: Array, scale: Array) -> Array:
        varies = (own != own[:1]).any()
        return jnp.where(varies, middle + scale * jax.random.normal(key, own.shape), own)

    return tree.unflatten([of_array(*each) for each in zip(keys, leaves, middles, scales, strict=True)])


def line(record: Mapping[str, Any]) -> str:
    """The record in one line for the user."""
    shown = [f"weight posterior: {'converged' if record['converged'] else 'NOT CONVERGED'}"]
    if "steps" in record:
        shown.append(f"after {record['steps']} steps")
    if "sigma_over_prior" in record:
        width = record["sigma_over_prior"]
        shown.append("sd / prior " + " - ".join(_short(width[q]) for q in ("p05", "median", "p95")))
    for name in ("r_hat_max", "ess_min", "gradient_norm"):
        if name in record:
            shown.append(f"{name} {_short(record[name])}")
    if gain := record.get("elbo_minus_prior_elbo"):
        shown.append(f"bound {gain['value']:+.1f} nats an event against the prior's")
    if not record["converged"]:
        shown.append("raise the stage's steps; its spread is that of an unfinished fit")
    return ", ".join(shown)


def write(folder: Path, record: Mapping[str, Any]) -> None:
    """Write the record into a run folder.

    Raises:
        OSError: where it cannot be written.
    """
    write_whole(folder / FILE, json.dumps(record, indent=1).encode())


def read(folder: Path) -> dict[str, Any] | None:
    """The record of a run; None where its posterior tells nothing."""
    path = folder / FILE
    return json.loads(path.read_text()) if path.is_file() else None


def _numbers(figures: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _numbers(x) if isinstance(x, Mapping) else _number(np.asarray(x)) for name, x in figures.items()}


def _number(array: np.ndarray) -> Any:
    """Of one member a number, of several a list."""
    return array.reshape(-1)[0].item() if array.size == 1 else array.tolist()


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float | int) else "/".join(f"{x:.3g}" for x in value)
