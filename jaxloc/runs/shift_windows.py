"""Out-of-distribution flags of a run: fitted to windows like those of training, and to shifts made of them.

On simulated data the windows are fresh events, independent of training and validation. Real data have no further
events: validation events are used, and after them the latest training events, on which arrivals fit a little better.
"""

from collections.abc import Callable, Mapping
from functools import partial, reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Key

from jaxloc import prng
from jaxloc.calibration import shift_detector
from jaxloc.calibration.shift_detector import ShiftDetector
from jaxloc.data import shifts
from jaxloc.data.dataset import Dataset, retaken
from jaxloc.data.selection import concatenated, select
from jaxloc.runs.datasets import SIMULATED, Sources, fresh_events
from jaxloc.runs.fitted import Fitted
from jaxloc.runs.predict import joined, located_chunks
from jaxloc.runs.transfer import prepared
from jaxloc.training.log import Say, counted
from jaxloc.types import Batch

ORDINARY_EACH = 8  # windows like those of training, for each window of a kind of shift
LATEST = 0.25  # of the record: windows begin up to so much earlier than in training
PURPOSE = "shifts"  # of fresh events
UNFILTERED_HZ = 1.0  # lower end of the band of records that are not filtered
Change = Callable[[Key[Array, ""], Batch], Batch]


def fit_shifts(config: Mapping[str, Any], fitted: Fitted, sources: Sources, say: Say) -> ShiftDetector | None:
    """The detector of a run; None where its model has no arrivals, or `evaluation.shift_windows` is 0.

    Args:
        config: of the run.
        fitted: the trained run.
        sources: its training and validation events.
        say: takes one line for the user.
    """
    each = int(config.get("evaluation", {}).get("shift_windows", 0))
    if fitted.model.search is None or not each:
        return None
    whole = ordinary_windows(config, sources, ORDINARY_EACH * each)
    fitted = prepared(fitted, whole)
    found = statistics_by_kind(fitted, windows(whole, each, lowest_hz(fitted)), say)
    return shift_detector.fit(found.pop(shift_detector.ORDINARY), found)


def lowest_hz(fitted: Fitted) -> float:
    """The lower end of the band of a run's records."""
    return UNFILTERED_HZ if fitted.spec.bandpass_hz is None else float(fitted.spec.bandpass_hz[0])


def ordinary_windows(config: Mapping[str, Any], sources: Sources, number: int) -> Dataset:
    """Events like those of training: fresh ones of simulated data, else validation and the latest training events."""
    if config["data"]["kind"] in SIMULATED and "fold" not in config["data"]:
        return fresh_events(config["data"], int(config["seed"]), number, PURPOSE)
    both = concatenated(sources.dev, sources.train)
    latest = np.arange(len(both))[len(sources.dev) :][::-1]
    return select(both, np.concatenate([np.arange(len(sources.dev)), latest])[:number])


def windows(ordinary: Dataset, each: int, lowest_hz: float) -> dict[str, Dataset]:
    """Windows by kind: those like training (`shift_detector.ORDINARY`) and `each` of every shift, from the same events.

    All are moved to a random time in their records first.
    """
    key = prng.stream("shifts")
    latest_s = LATEST * ordinary.num_samples / ordinary.rate_hz
    moved = changed(key, ordinary, lambda k, event: shifts.anywhere(k, event, latest_s))
    few = select(moved, np.arange(min(each, len(moved))))
    kinds: dict[str, Change] = {
        "reversed": shifts.reversed_in_time,
        "noise": shifts.noise_alone,
        "teleseism": partial(shifts.teleseism, lowest_hz=lowest_hz),
        "swapped": shifts.swapped_stations,
        "velocity": shifts.other_velocity,
    }
    keys = jax.random.split(jax.random.fold_in(key, 1), len(kinds) + 1)
    found = {shift_detector.ORDINARY: moved, "two": _pairs(keys[-1], few, moved)}
    return found | {name: changed(k, few, change) for k, (name, change) in zip(keys, kinds.items(), strict=False)}


def changed(key: Key[Array, ""], dataset: Dataset, change: Change) -> Dataset:
    """Each event after a random change, the same one whenever the event is taken."""
    run = jax.jit(jax.vmap(lambda i, event: change(jax.random.fold_in(key, i), event)))
    inner = dataset.take
    return retaken(dataset, lambda index: jax.tree.map(np.asarray, run(jnp.asarray(index), inner(index))))


def _pairs(key: Key[Array, ""], dataset: Dataset, others: Dataset) -> Dataset:
    """Each event in one window with another one, the next of `others`."""
    run = jax.jit(jax.vmap(lambda i, first, second: shifts.two_events(jax.random.fold_in(key, i), first, second)))

    def take(index: Int[np.ndarray, " event"]) -> Batch:
        index = np.asarray(index)
        pair = dataset.take(index), others.take((index + 1) % len(others))
        return jax.tree.map(np.asarray, run(jnp.asarray(index), *pair))

    return retaken(dataset, take)


def statistics_by_kind(
    fitted: Fitted, kinds: Mapping[str, Dataset], say: Say = lambda line: None
) -> dict[str, Mapping[str, np.ndarray]]:
    """The statistics of several data sets of the same stations, located as one: the program is compiled once."""
    found = statistics_of(fitted, reduce(concatenated, kinds.values()), say)
    ends = np.cumsum([len(dataset) for dataset in kinds.values()])
    parts = {name: np.split(values, ends[:-1]) for name, values in found.items()}
    return {kind: {name: each[i] for name, each in parts.items()} for i, kind in enumerate(kinds)}


def statistics_of(fitted: Fitted, dataset: Dataset, say: Say = lambda line: None) -> Mapping[str, np.ndarray]:
    """The statistics of all events of a data set (`jaxloc.calibration.event_statistics`)."""
    on_chunk = counted(say, "windows for out-of-distribution flags, located", len(dataset))
    located = joined(list(located_chunks(fitted, dataset, with_checks=True, on_chunk=on_chunk)))
    assert located.statistics is not None
    return located.statistics
