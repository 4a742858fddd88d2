"""Where training stands: step, state, and the best state so far."""

from typing import NamedTuple

from jaxloc.types import State


class Progress(NamedTuple):
    """Where training stands; `best` is the state of lowest loss on held-out events so far."""

    step: int
    state: State
    best: State
    best_loss: float


def start(state: State) -> Progress:
    """Progress at step zero."""
    return Progress(0, state, state, float("inf"))
