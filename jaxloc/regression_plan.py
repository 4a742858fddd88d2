"""What `jaxloc.regression.fit` does where it is not told: steps, batches, members, where each posterior starts from.

Samplers start from the first weights, and not from a mode, which heavy training has by heart. NUTS takes all rows a step,
and few steps: each goes through up to a thousand gradients.
"""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import optax

from jaxloc import posteriors
from jaxloc.types import Method, Target

MakeMethod = Callable[..., Method]
"""A target to a method; an optimiser comes second, where one is asked for, `steps` and `start` by name."""


class Usual(NamedTuple):
    """What is usual for a method."""

    steps: int = 2000
    batch_size: int | None = 128
    members: int = 1
    to_mode: bool = True
    held_out: float = 0.0


USUAL: dict[MakeMethod, Usual] = {
    posteriors.nuts: Usual(steps=400, batch_size=None, to_mode=False),
    posteriors.sghmc: Usual(steps=20_000, batch_size=512, members=4, to_mode=False),
    posteriors.sgld: Usual(steps=20_000, batch_size=512, members=4, to_mode=False),
    posteriors.point: Usual(to_mode=False),
    posteriors.dropout: Usual(to_mode=False),
}


class Plan(NamedTuple):
    """What a fit does: `mode_steps` of Adam to the posterior's mode, then `steps` of the method, on `num_fitted` rows."""

    method: MakeMethod
    num_fitted: int
    mode_steps: int
    steps: int
    batch_size: int
    learning_rate: float
    members: int


def planned(
    method: MakeMethod,
    num_rows: int,
    steps: int | None,
    batch_size: int | None,
    learning_rate: float,
    members: int | None,
    held_out: float | None,
) -> Plan:
    """The plan of a fit, by what is asked for, and by what is usual for the method where nothing is."""
    usual = USUAL.get(_bare(method), Usual())
    given = lambda value, otherwise: otherwise if value is None else value
    steps = given(steps, usual.steps)
    batch_size = min(given(given(batch_size, usual.batch_size), num_rows), num_rows)
    to_mode = steps if usual.to_mode else 0
    return Plan(method, num_rows, to_mode, steps, batch_size, learning_rate, given(members, usual.members))


def made(make: MakeMethod, target: Target, optimizer: optax.GradientTransformation, steps: int) -> Method:
    """The method, given what it asks for and has no value of."""
    _, *others = inspect.signature(make).parameters.values()
    open_ = [p for p in others if p.default is p.empty]
    at_place = [optimizer] if any(p.kind is p.POSITIONAL_OR_KEYWORD for p in open_) else []
    offered: dict[str, Any] = {"steps": steps, "start": steps // 2}
    by_name = {p.name: offered[p.name] for p in open_ if p.kind is p.KEYWORD_ONLY and p.name in offered}
    return make(target, *at_place, **by_name)


def _bare(method: MakeMethod) -> MakeMethod:
    return _bare(method.func) if isinstance(method, partial) else method
