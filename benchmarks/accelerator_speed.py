"""Speed and memory on one device: training steps, predictive samples, and the largest batch of a training step."""

import os
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import local_network

KEY = 4


class Sizes(NamedTuple):
    """Events of a training step, samples of the weights in a prediction, samples at a time, and rounds to time."""

    events: int = 32
    draws: int = 100
    chunk: int = 25
    rounds: int = 10
    max_events: int = 4096


SMALL = Sizes(events=1, draws=2, chunk=2, rounds=2, max_events=4)


def least_s(run: Callable[[], Any], rounds: int) -> float:
    """Seconds of the least disturbed of several calls, after one that warms up."""
    jax.block_until_ready(run())
    seconds = []
    for _ in range(rounds):
        began = time.perf_counter()
        jax.block_until_ready(run())
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def training_step(network: str, method: str, sizes: Sizes) -> dict[str, float]:
    """Seconds of one update, events a second, and seconds of compilation."""
    fitted, state = local_network.fitted(local_network.CASES[network](), method)
    batch = local_network.batch(sizes.events)
    compiled, compile_s = _compiled(fitted.update, jax.random.key(KEY), state, batch)
    seconds = least_s(lambda: compiled(jax.random.key(KEY), state, batch), sizes.rounds)
    return {"step_s": seconds, "events_per_s": sizes.events / seconds, "compile_s": compile_s}


def prediction(network: str, sizes: Sizes) -> dict[str, float]:
    """Seconds of locating one event with all samples of the weights, samples a second, and seconds of compilation."""
    case = local_network.CASES[network]()
    arguments = local_network.draws(case, sizes.draws), local_network.event()
    compiled, compile_s = _compiled(case.locate(sizes.chunk), *arguments)
    seconds = least_s(lambda: compiled(*arguments), sizes.rounds)
    return {"event_s": seconds, "draws_per_s": sizes.draws / seconds, "compile_s": compile_s}


def largest_batch(network: str, sizes: Sizes) -> dict[str, float]:
    """Events of the largest training step (mean field) that fits into memory, in powers of two, and its memory.

    Memory grows linearly with events, so two compilations predict the largest power of two; a step of that size is
    then run, and halved while memory is exhausted.
    """
    limit, few = _memory_bytes(), sizes.events
    one, two = (_step_bytes(network, number) for number in (few, 2 * few))
    slope = max(two - one, 1) / few
    most = min((limit - one) / slope + few, sizes.max_events)
    number = 1 << max(int(most).bit_length() - 1, 0)
    while number >= 1:
        try:
            return {"events": number, "gb": _run_step(network, number) / 1e9, "limit_gb": limit / 1e9}
        except jax.errors.JaxRuntimeError as error:
            if "RESOURCE_EXHAUSTED" not in str(error):
                raise
            number //= 2
    return {"events": 0, "gb": float("nan"), "limit_gb": limit / 1e9}


def _step(network: str, number: int) -> tuple[jax.stages.Compiled, tuple]:
    fitted, state = local_network.fitted(local_network.CASES[network](), "mean_field")
    arguments = jax.random.key(KEY), state, local_network.batch(number)
    return _compiled(fitted.update, *arguments)[0], arguments


def _step_bytes(network: str, number: int) -> float:
    return _bytes_of(_step(network, number)[0])


def _run_step(network: str, number: int) -> float:
    compiled, arguments = _step(network, number)
    jax.block_until_ready(compiled(*arguments))
    return _bytes_of(compiled)


def _bytes_of(compiled: jax.stages.Compiled) -> float:
    memory = compiled.memory_analysis()
    return float(memory.temp_size_in_bytes + memory.argument_size_in_bytes + memory.output_size_in_bytes)


def _memory_bytes() -> float:
    """What JAX may allocate on the device; half of the memory of the machine, for the CPU."""
    known = (jax.devices()[0].memory_stats() or {}).get("bytes_limit")
    return float(known or 0.5 * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))


def _compiled(function: Callable[..., Any], *arguments: Any) -> tuple[jax.stages.Compiled, float]:
    began = time.perf_counter()
    compiled = jax.jit(function).lower(*arguments).compile()
    return compiled, time.perf_counter() - began
