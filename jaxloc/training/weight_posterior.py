"""Whether a weight posterior has converged, and what its bound is worth against that of the prior."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped

from jaxloc.atomic_write import write_whole
from jaxloc.types import Method, State

FILE = "weight_posterior.json"


def described(method: Method, state: State, gain: Float[np.ndarray, " step"] | None) -> dict[str, Any]:
    """Convergence by the method's own criterion, its figures, and its bound less the prior's in nats an event.

    The prior itself is a member of every variational family: where its bound is the higher one, the posterior is worse
    than not to have trained it.

    Args:
        method: one with `diagnose`.
        state: that its stage ended with.
        gain: by `jaxloc.training.loop.gain_over_prior`; None where there is no bound.
    """
    assert method.diagnose is not None
    found = method.diagnose(state)
    record = {"converged": bool(np.all(found.converged)), "criterion": found.criterion, **_numbers(found.figures)}
    if gain is not None:
        error = float(gain.std(ddof=1) / np.sqrt(len(gain)))
        record["elbo_minus_prior_elbo"] = {"value": float(gain.mean()), "standard_error": error}
    return record


def line(record: Mapping[str, Any]) -> str:
    """The record in one line for the user."""
    steps = f" after {record['steps']} steps" if "steps" in record else ""
    shown = [f"weight posterior: {'converged' if record['converged'] else 'NOT CONVERGED'}{steps}"]
    if "sigma_over_prior" in record:
        width = record["sigma_over_prior"]
        shown.append("sd / prior " + " - ".join(_short(width[q]) for q in ("p05", "median", "p95")))
    for name in ("r_hat_p95", "ess_p05", "mode_is_away_sd"):
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


def _number(array: Shaped[np.ndarray, "*member"]) -> Any:
    """Of one member a number, of several a list; None where there is none."""
    values = [x if np.isfinite(x) else None for x in array.reshape(-1).tolist()]
    return values[0] if array.size == 1 else values


def _short(value: Any) -> str:
    return "/".join("none" if x is None else f"{x:.3g}" for x in (value if isinstance(value, list) else [value]))
