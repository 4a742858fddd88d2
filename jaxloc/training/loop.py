"""Training any weight posterior: compiled steps, chosen on held-out events, stopped and resumed at will."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from jaxloc.data.augmentation import Augmentation, augment
from jaxloc.data.dataset import Dataset
from jaxloc.devices import on_all, shared_out
from jaxloc.training.progress import Progress
from jaxloc.types import Batch, Method, Params, State, Target

DEV_CHUNK = 10
COMPARED = 16  # batches by which a bound is compared with that of the prior
TakeBatch = Callable[[Int[np.ndarray, " event"]], Batch]


class Plan(NamedTuple):
    """How one stage trains: `per_call` steps are scanned in one compiled call, progress is validated `checks` times.

    With `ahead` the events of the next call are made meanwhile, in a thread: of simulations, which take a core's time.
    """

    name: str
    steps: int
    batch_size: int
    seed: int
    augmentation: Augmentation = Augmentation()
    per_call: int = 5
    checks: int = 5
    keep_best: bool = True
    ahead: bool = False


def fit(
    key: Key[Array, ""],
    method: Method,
    progress: Progress,
    plan: Plan,
    num_events: int,
    take: TakeBatch,
    dev_loss: Callable[[Key[Array, ""], State], float] | None,
    on_check: Callable[[Progress, dict[str, Any]], None],
    on_step: Callable[[int, float], None] = lambda step, loss: None,
) -> Progress:
    """Train from `progress` to the end of the plan, or until a posterior that knows when it has converged has ended.

    A step's events, augmentation and noise follow from the plan's seed and the number of the step alone, so that
    training resumed from a check is the training that was never interrupted.

    Raises:
        FloatingPointError: at the first loss that is not finite; names stage and steps and the likely cause.
    """
    advance = _compiled(method, plan)
    every = max(plan.per_call, -(-plan.steps // plan.checks // plan.per_call) * plan.per_call)
    losses: list[Array] = []
    since, began = progress.step, time.monotonic()
    coming = _coming(key, plan, progress.step, num_events, take)
    while not complete(method, plan, progress):
        steps, keys, batches = next(coming)
        at = on_all((keys, progress.state), plan.batch_size)
        state, info = advance(*at, shared_out(batches, plan.batch_size, axis=1))
        _check_finite(plan, steps, np.asarray(info.loss), batches, state)
        losses.append(info)
        progress = progress._replace(step=int(steps[-1]) + 1, state=state)
        on_step(progress.step, float(info.negative_log_likelihood[-1]))
        if progress.step % every == 0 or complete(method, plan, progress):
            progress, dev = _validated(key, progress, plan, dev_loss)
            mean = {name: float(np.mean([np.mean(getattr(i, name)) for i in losses])) for name in info._fields}
            seconds = time.monotonic() - began
            record = {
                "stage": plan.name,
                "step": progress.step,
                **mean,
                "dev_loss": dev,
                "steps_a_second": (progress.step - since) / seconds,
            }
            on_check(progress, record)
            losses, since, began = [], progress.step, time.monotonic()
    return progress


def complete(method: Method, plan: Plan, progress: Progress) -> bool:
    """Whether a stage has ended: by its number of steps, or because further ones would change nothing."""
    if progress.step >= plan.steps or method.finished is None:
        return progress.step >= plan.steps
    return bool(method.finished(progress.state))


def gain_over_prior(
    key: Key[Array, ""], method: Method, plan: Plan, state: State, num_events: int, take: TakeBatch
) -> Float[np.ndarray, " step"] | None:
    """How much higher the lower bound of a state is than that of the prior, in nats an event, by batches of training.

    By the compiled steps of the stage, whose changes are discarded; None where a method has no bound.
    """
    if method.at_prior is None:
        return None
    advance, found = _compiled(method, plan), []
    prior = jax.jit(method.at_prior)(state)
    number = min(plan.per_call, plan.steps)
    for first in range(plan.steps, plan.steps + COMPARED, number):
        keys, batches = _of_steps(key, plan, np.arange(first, first + number), num_events, take)
        batches = shared_out(batches, plan.batch_size, axis=1)
        own, before = (advance(*on_all((keys, each), plan.batch_size), batches)[1].loss for each in (state, prior))
        found.append(np.asarray(before) - np.asarray(own))
    return np.concatenate(found)


def chosen(progress: Progress, plan: Plan) -> State:
    """The state that the stage ends with: the best on held-out events, or the last."""
    return progress.best if plan.keep_best else progress.state


def members_of(key: Key[Array, ""], method: Method, state: State, members: int, *, first: bool = False) -> Params:
    """Each member's parameters, to start the next stage from; with `first` those of the first alone."""
    take = (lambda x: x[0]) if first else (lambda x: x)
    draw = jax.jit(lambda key, state: jax.tree.map(take, method.sample(key, state, members).params))
    return draw(key, state)


def held_out_loss(
    method: Method, target: Target, dataset: Dataset, num_draws: int
) -> Callable[[Key[Array, ""], State], float]:
    """Negative mean log predictive density of a data set's labels, over weight draws, in nats an event."""

    @jax.jit
    def of_chunk(key: Key[Array, ""], state: State, batch: Batch) -> Float[Array, " event"]:
        weights = method.sample(key, state, num_draws)
        each = jax.lax.map(lambda w: target.log_likelihood(w, batch), weights)
        return jax.scipy.special.logsumexp(each, axis=0) - jnp.log(num_draws)

    size = min(DEV_CHUNK, len(dataset))
    index = np.arange(-(-len(dataset) // size) * size) % len(dataset)

    def loss(key: Key[Array, ""], state: State) -> float:
        parts = [of_chunk(key, state, dataset.take(i)) for i in index.reshape(-1, size)]
        return float(-np.concatenate(parts)[: len(dataset)].mean())

    return loss


@lru_cache(1)
def _compiled(method: Method, plan: Plan) -> Callable[..., tuple[State, Any]]:
    """Steps of a stage, compiled where they are first called."""
    return jax.jit(partial(_advance, method, plan))


def _coming(
    key: Key[Array, ""], plan: Plan, first: int, num_events: int, take: TakeBatch
) -> Iterator[tuple[Int[np.ndarray, " step"], Key[Array, " step"], Batch]]:
    """Steps of each call from `first` on, with their keys and batches."""

    def of_call(at: int) -> tuple[Int[np.ndarray, " step"], Key[Array, " step"], Batch]:
        steps = np.arange(at, min(at + plan.per_call, plan.steps))
        return steps, *_of_steps(key, plan, steps, num_events, take)

    calls = range(first, plan.steps, plan.per_call)
    if not plan.ahead:
        yield from map(of_call, calls)
        return
    with ThreadPoolExecutor(1) as maker:
        made = [maker.submit(of_call, first)]
        for at in calls[1:]:
            made.append(maker.submit(of_call, at))
            yield made.pop(0).result()
        yield made.pop().result()


def _of_steps(
    key: Key[Array, ""], plan: Plan, steps: Int[np.ndarray, " step"], num_events: int, take: TakeBatch
) -> tuple[Key[Array, " step"], Batch]:
    batches = _stack([take(_events(plan, int(step), num_events)) for step in steps])
    return jax.vmap(lambda s: jax.random.fold_in(key, s))(jnp.asarray(steps)), batches


def _advance(method: Method, plan: Plan, keys: Key[Array, " step"], state: State, batches: Batch) -> tuple[State, Any]:
    def step(state: State, each: tuple[Key[Array, ""], Batch]) -> tuple[State, Any]:
        key_augment, key_update = jax.random.split(each[0])
        keys = jax.random.split(key_augment, plan.batch_size)
        batch = jax.vmap(lambda k, event: augment(k, plan.augmentation, event))(keys, each[1])
        return method.update(key_update, state, batch)

    if len(keys) > 1:
        return jax.lax.scan(step, state, (keys, batches))
    # A loop of one is left out: XLA's fast convolutions on the CPU do not work inside of loops.
    state, info = step(state, jax.tree.map(lambda x: x[0], (keys, batches)))
    return state, jax.tree.map(lambda x: x[None], info)


def _validated(
    key: Key[Array, ""], progress: Progress, plan: Plan, dev_loss: Callable[[Key[Array, ""], State], float] | None
) -> tuple[Progress, float | None]:
    if dev_loss is None:
        return progress._replace(best=progress.state), None
    loss = dev_loss(jax.random.fold_in(key, plan.steps + progress.step), progress.state)
    if not loss < progress.best_loss:
        return progress, loss
    return progress._replace(best=progress.state, best_loss=loss), loss


def _events(plan: Plan, step: int, num_events: int) -> Int[np.ndarray, " event"]:
    generator = np.random.default_rng((plan.seed, step))
    return generator.choice(num_events, plan.batch_size, replace=plan.batch_size > num_events)


def _stack(batches: list[Batch]) -> Batch:
    return jax.tree.map(lambda *arrays: np.stack(arrays), *batches)


def _check_finite(
    plan: Plan, steps: Int[np.ndarray, " step"], loss: Float[np.ndarray, " step"], batches: Batch, state: State
) -> None:
    if np.isfinite(loss).all():
        return
    step = int(steps[np.argmin(np.isfinite(loss))])
    if not all(np.isfinite(x).all() for x in jax.tree.leaves(batches) if np.issubdtype(x.dtype, np.floating)):
        cause = "the training batch has values that are not finite: check the data set's labels and station coordinates"
    else:
        cause = (
            "the likelihood or its gradient overflowed: lower the learning rate (of a sampler, "
            "posterior.options.step_size), or clip more"
        )
    raise FloatingPointError(
        f"stage {plan.name!r}: the loss is {loss[step - steps[0]]} at step {step} "
        f"(of steps {steps[0]}-{steps[-1]}); {cause}"
    )
