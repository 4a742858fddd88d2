"""Defaults of `jaxloc.regression.fit`: steps, batches, members, where each posterior starts from.

Optimisers run for some forty epochs, and at least 2,000 batches. Point estimates overfit few rows, so some are held out
for early stopping. Samplers start after a few steps towards a mode: at the mode they would first have to leave an
overfitted state, from initial weights they may not find a small noise level. NUTS takes all rows at every step, and few
steps: each costs up to a thousand gradients.
"""

import inspect
import math
from collections.abc import Callable
from functools import partial
from numbers import Integral
from typing import Any, NamedTuple

import optax

from jaxloc import inference
from jaxloc.inference.optimizer import ConstantRate
from jaxloc.types import Method, Target

MakeMethod = Callable[..., Method]
"""A target to a method; an optimiser as the second argument where one is needed, `steps` and `start` by name."""


class MethodDefaults(NamedTuple):
    """Defaults of a method: `steps`, but not fewer than `epochs`; a batch size of None takes all rows."""

    steps: int = 2000
    epochs: int = 40
    mode_steps: int | None = None  # as many as `steps`
    batch_size: int | None = 128
    members: int = 1
    held_out: float = 0.0


CHAINS = MethodDefaults(steps=20_000, mode_steps=2000, batch_size=512, members=4)
POINTS = MethodDefaults(mode_steps=0, held_out=0.1)
METHOD_DEFAULTS: dict[MakeMethod, MethodDefaults] = {
    inference.nuts: MethodDefaults(steps=400, epochs=0, mode_steps=2000, batch_size=None),
    inference.sghmc: CHAINS,
    inference.sgld: CHAINS,
    inference.point: POINTS,
    inference.dropout: POINTS,
}


class Plan(NamedTuple):
    """The plan of a fit: `mode_steps` of Adam towards the mode, then `steps` of the method, on `num_fitted` rows."""

    method: MakeMethod
    num_fitted: int
    mode_steps: int
    steps: int
    batch_size: int
    learning_rate: float
    members: int


def require_positive_whole(name: str, number: int | None) -> None:
    """Refuse a number that is no positive whole one; None stands for a default.

    Raises:
        ValueError: for such a number; names it.
    """
    if number is not None and (isinstance(number, bool) or not isinstance(number, Integral) or number < 1):
        raise ValueError(f"{name} must be a whole number, at least 1, got {number!r}")


def planned(
    method: MakeMethod,
    num_rows: int,
    steps: int | None,
    batch_size: int | None,
    learning_rate: float,
    members: int | None,
    held_out: float | None,
) -> Plan:
    """The plan of a fit: the given settings, and the method's defaults for the others.

    Raises:
        ValueError: where a number is not positive, or the share of rows that is held out is not below one.
    """
    for name, number in {"steps": steps, "batch_size": batch_size, "members": members}.items():
        require_positive_whole(name, number)
    if not 0 < learning_rate < math.inf:
        raise ValueError(f"learning_rate must be positive and finite, got {learning_rate}")
    defaults = METHOD_DEFAULTS.get(_bare(method), MethodDefaults())
    share = defaults.held_out if held_out is None else held_out
    if not 0 <= share < 1:
        raise ValueError(f"held_out must be a share of the rows within 0-1, got {share}")
    num_fitted = num_rows - int(share * num_rows)
    batch_size = min(batch_size or defaults.batch_size or num_fitted, num_fitted)
    steps = max(defaults.steps, defaults.epochs * num_fitted // batch_size) if steps is None else steps
    mode_steps = steps if defaults.mode_steps is None else min(steps, defaults.mode_steps)
    members = defaults.members if members is None else members
    return Plan(method, num_fitted, mode_steps, steps, batch_size, learning_rate, members)


def rate_decays(method: MakeMethod) -> bool:
    """Whether the learning rate of a method's optimiser decays: not of those that ask for a constant one."""
    arguments = inspect.signature(_bare(method)).parameters
    return "optimizer" not in arguments or arguments["optimizer"].annotation != ConstantRate


def made(make: MakeMethod, target: Target, optimizer: optax.GradientTransformation, steps: int) -> Method:
    """The method, with the arguments that it needs and that were not given."""
    _, *others = inspect.signature(make).parameters.values()
    open_ = [p for p in others if p.default is p.empty]
    at_place = [optimizer] if any(p.kind is p.POSITIONAL_OR_KEYWORD for p in open_) else []
    offered: dict[str, Any] = {"steps": steps, "start": steps // 2}
    by_name = {p.name: offered[p.name] for p in open_ if p.kind is p.KEYWORD_ONLY and p.name in offered}
    return make(target, *at_place, **by_name)


def _bare(method: MakeMethod) -> MakeMethod:
    return _bare(method.func) if isinstance(method, partial) else method
