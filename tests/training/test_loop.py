"""Training steps: the same events in the same order, whether they are made ahead or not."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloc import prng
from jaxloc.inference import by_event, point, prior_mean, prior_scale, with_normal_prior
from jaxloc.inference.optimizer import optimizer
from jaxloc.training.loop import Plan, fit
from jaxloc.training.progress import start
from jaxloc.types import Batch, Params

ROWS = jnp.arange(40.0)


def trained(ahead: bool, steps: int) -> tuple[Params, list[int]]:
    """A weight that is fitted to numbers, and the numbers of events that were asked for."""
    params = {"kernel": jnp.zeros((1, 1))}
    target = with_normal_prior(
        by_event(lambda weights, row: -((weights.params["kernel"].sum() - row) ** 2)),
        prior_mean(params),
        prior_scale(params),
        40,
    )
    method = point(target, optimizer(0.1, steps))
    asked: list[int] = []

    def take(index: np.ndarray) -> Batch:
        asked.extend(index.tolist())
        return ROWS[index]  # type: ignore[return-value]

    plan = Plan("numbers", steps, 4, 3, per_call=2, checks=1, keep_best=False, ahead=ahead)
    key = prng.stream("stage", 0)
    progress: Any = start(method.init(key, params))
    ended = fit(key, method, progress, plan, 40, take, None, lambda progress, record: None)
    assert ended.step == steps
    return method.sample(key, ended.state, 1).params, asked


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_events_made_ahead_are_those_of_each_step(steps: int) -> None:
    one, other = trained(False, steps), trained(True, steps)
    assert one[1] == other[1]
    np.testing.assert_array_equal(jax.tree.leaves(one[0])[0], jax.tree.leaves(other[0])[0])
