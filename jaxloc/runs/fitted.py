"""A trained run as it locates: what it was built from, and its posterior over weights."""

from collections.abc import Callable
from typing import NamedTuple

import jax
from jaxtyping import Array, Key

from jaxloc.calibration.shift_detector import ShiftDetector
from jaxloc.locators.neural import with_weights
from jaxloc.models.model import Model
from jaxloc.models.spec import ModelSpec
from jaxloc.types import Locator, Method, Params, State


class Fitted(NamedTuple):
    """A trained run: what it was built from, its posterior over weights, and its out-of-distribution flags if any."""

    spec: ModelSpec
    model: Model
    method: Method
    state: State
    num_draws: int
    shifts: ShiftDetector | None = None


def locator_of(fitted: Fitted, on_event: Callable[[int], None] = lambda done: None) -> Locator:
    """The locator of a trained run, compiled once."""
    return with_weights(
        fitted.model.locate,
        jax.jit(lambda key: fitted.method.sample(key, fitted.state, fitted.num_draws)),
        on_event=on_event,
    )


def draw_of(key: Key[Array, ""], fitted: Fitted) -> Params:
    """One draw of the network's parameters."""
    draw = jax.jit(lambda key: fitted.method.sample(key, fitted.state, 1).params)(key)
    return jax.tree.map(lambda x: x[0], draw)
