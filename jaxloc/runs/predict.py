"""Locating with a trained run or a weight-free locator: a data set's events and their posteriors."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Key

from jaxloc import prng
from jaxloc.calibration.calibration import Calibration, Predictions, calibrated_predictions
from jaxloc.calibration.event_statistics import Statistics, statistics_of
from jaxloc.data.dataset import Dataset
from jaxloc.data.onsets import Onsets, onsets_of
from jaxloc.data.wave_statistics import wave_statistics
from jaxloc.distributions.gaussian_mixture import moments
from jaxloc.locators.neural import with_weights
from jaxloc.locators.padding import first_stations, padded, padded_size, without_padding
from jaxloc.models.registry import build
from jaxloc.models.spec import as_json
from jaxloc.physics.readings import ArrivalCheck
from jaxloc.runs.fitted import Fitted, draw_of, locator_of
from jaxloc.runs.located import Located
from jaxloc.runs.traced import traced_once
from jaxloc.types import Locator, Observations, Posterior, Weights

CHUNK = 32  # events whose waveforms are in memory at a time
FEW = 8  # of new events: what is kept at an interruption


def locate(
    fitted: Fitted,
    dataset: Dataset,
    seed: int = 0,
    *,
    with_features: bool = False,
    with_checks: bool = False,
    on_chunk: Callable[[int], None] = lambda done: None,
) -> Located:
    """All events of a data set with their posteriors; waveforms are read a chunk at a time and not kept.

    `on_chunk` receives the number of events located so far, after each chunk.
    """
    chunks = located_chunks(
        fitted, dataset, seed, with_features=with_features, with_checks=with_checks, on_chunk=on_chunk
    )
    return joined(list(chunks))


def located_chunks(
    fitted: Fitted,
    dataset: Dataset,
    seed: int = 0,
    *,
    with_features: bool = False,
    with_checks: bool = False,
    on_chunk: Callable[[int], None] = lambda done: None,
) -> Iterator[Located]:
    """As `locate`, in parts: of `CHUNK` events, or of `FEW` with checks of the located events."""
    plain, size = locator_of(fitted), FEW if with_checks else CHUNK
    run = checked_locator_of(fitted) if with_checks else lambda key, seen: (plain(key, seen), None)
    describe = _features(fitted, size) if with_features else lambda observations: None
    for at in range(0, len(dataset), size):
        batch = dataset.take(np.arange(at, min(at + size, len(dataset))))
        seen = batch.observations
        posterior, check = run(prng.stream("location", seed), seen)
        onsets = _onsets(seen) if with_checks or with_features else None
        bare = batch._replace(observations=seen._replace(waveforms=None, explained_s=None))
        yield Located(bare, posterior, describe(seen), check, onsets, _statistics(seen, posterior, check, onsets))
        on_chunk(min(at + size, len(dataset)))


def until_interrupted(parts: Iterable[Located]) -> tuple[Located, bool]:
    """All parts as one, or those before an interruption from the keyboard; and whether there was one.

    Raises:
        KeyboardInterrupt: where there is no part before the interruption.
    """
    found = []
    try:
        for part in parts:
            found.append(part)
    except KeyboardInterrupt:
        if not found:
            raise
        return joined(found), True
    return joined(found), False


def _onsets(seen: Observations) -> Onsets | None:
    if seen.waveforms is None:
        return None
    mask = None if seen.sample_mask is None else np.asarray(seen.sample_mask)
    return onsets_of(np.asarray(seen.waveforms), float(seen.rate_hz[0]), mask)


def _statistics(
    seen: Observations, posterior: Posterior, check: ArrivalCheck | None, onsets: Onsets | None
) -> Statistics | None:
    if check is None or check.picks is None or onsets is None or seen.waveforms is None:
        return None
    rate_hz, active = float(seen.rate_hz[0]), np.asarray(check.active) > 0
    waves = wave_statistics(np.asarray(seen.waveforms), rate_hz, np.asarray(check.arrival_s), active)
    spread, epistemic = np.asarray(moments(posterior.hypocentre)[1]), np.asarray(posterior.epistemic)
    return statistics_of(check, onsets, waves, spread, epistemic, seen.waveforms.shape[-1] / rate_hz)


def joined(parts: Sequence[Located]) -> Located:
    """Parts of a data set as one."""
    return jax.tree.map(lambda *x: np.concatenate(x), *parts)


def checked_locator_of(
    fitted: Fitted,
) -> Callable[[Key[Array, ""], Observations], tuple[Posterior, ArrivalCheck | None]]:
    """The locator of a trained run together with the check of its posteriors, as one compiled program.

    Stations are padded where the model takes any, and the searched region is an argument, so that other stations use
    the same program; events are located one a call, since those of a whole chunk would be computed for one event too.
    """
    draw = jax.jit(lambda key, state: fitted.method.sample(key, state, fitted.num_draws))
    numbers = None if fitted.model.search is None else fitted.model.search.numbers(fitted.spec)
    shared: Any = lambda key: (draw(key, fitted.state), numbers)
    both: Any = with_weights(_checked(fitted), shared, chunk=1, compiled_by=_compiler(fitted, numbers))
    if not fitted.model.any_station:
        return both

    def run(key: Key[Array, ""], seen: Observations) -> tuple[Posterior, ArrivalCheck | None]:
        number = seen.station_mask.shape[1]
        posterior, check = both(key, padded(seen, padded_size(number)))
        if check is not None:
            of_events = {"log_evidence": check.log_evidence, "common": check.common}
            check = first_stations(check._replace(**dict.fromkeys(of_events)), number)._replace(**of_events)
        return without_padding(posterior, number), check

    return run


def _compiler(fitted: Fitted, numbers: Any) -> Callable[[Callable], Callable]:
    """What compiles `_checked`: it is traced once where it is made of the specification alone."""
    if fitted.model.search is None or numbers is None:
        return jax.jit
    without_numbers = fitted.model.search.placed(fitted.spec, jax.tree.map(np.zeros_like, numbers))
    return partial(traced_once, closes_over=as_json(without_numbers).encode())


def _checked(fitted: Fitted) -> Any:
    """Weights with the numbers of the searched region, and an event, to its posterior and check."""
    plain, search, spec = fitted.model.locate, fitted.model.search, fitted.spec
    if search is None:
        return lambda shared, seen: (plain(shared[0], seen), None)

    def locate(shared: Any, seen: Observations) -> Any:
        weights, numbers = shared
        placed = search if numbers is None else build(search.placed(spec, numbers)).search
        assert placed is not None
        return placed.locate(weights, seen)

    return locate


def of_known(located: Located) -> Located:
    """Those events of whose hypocentre something is known: windows of noise have none to be scored by."""
    known = np.asarray(located.batch.labels["hypocentre"].mask).any(-1)
    return jax.tree.map(lambda x: x[known], located)


def _features(fitted: Fitted, size: int) -> Callable[[Observations], np.ndarray | None]:
    """Features of each of up to `size` events by the network with one sample of its weights, compiled once."""
    of = fitted.model.network.features
    if of is None:
        return lambda observations: None
    weights = Weights(draw_of(prng.stream("features"), fitted))
    read = jax.jit(lambda weights, seen: jax.lax.map(lambda one: of(weights, one), seen))

    def describe(observations: Observations) -> np.ndarray:
        number, stations = observations.station_mask.shape
        if fitted.model.any_station:
            observations = padded(observations, padded_size(stations))
        events = jax.tree.map(lambda x: x[np.arange(size) % number], observations)
        return np.asarray(read(weights, events))[:number]

    return describe


def locate_by(
    key: Key[Array, ""],
    locator: Locator,
    dataset: Dataset,
    on_chunk: Callable[[int], None] = lambda done: None,
    jointly: bool = False,
) -> Located:
    """All events of a data set by a weight-free locator; waveforms are read in parts and not kept."""
    return joined(list(located_parts(key, locator, dataset, on_chunk, jointly)))


def located_parts(
    key: Key[Array, ""],
    locator: Locator,
    dataset: Dataset,
    on_chunk: Callable[[int], None] = lambda done: None,
    jointly: bool = False,
) -> Iterator[Located]:
    """As `locate_by`, up to `CHUNK` events at a time, or all at once by a locator that treats them jointly."""
    number = 1 if jointly else -(-len(dataset) // CHUNK)
    parts = np.array_split(np.arange(len(dataset)), number)
    for one, index in zip(jax.random.split(key, len(parts)), parts, strict=True):
        batch = dataset.take(index)
        posterior = locator(one, batch.observations)
        yield Located(batch._replace(observations=batch.observations._replace(waveforms=None)), posterior, None)
        on_chunk(int(index[-1]) + 1)


def as_calibrated(calibration: Calibration | None, located: Located) -> Predictions:
    """Predictions for located events, corrected by the calibration where there is one."""
    if calibration is None:
        return Predictions(located.posterior)
    key, seen = prng.stream("recalibration"), located.batch.observations
    return calibrated_predictions(key, calibration, located.posterior, seen, located.features, located.onsets)
