"""Locating with a trained run: events, their posteriors, scores and pictures."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Key

from jaxloc import prng
from jaxloc.calibration.calibration import Calibration, Predictions, calibrated_predictions
from jaxloc.calibration.event_statistics import Statistics, statistics_of
from jaxloc.calibration.shift_detector import ShiftDetector
from jaxloc.data.dataset import Dataset
from jaxloc.data.onsets import Onsets, onsets_of
from jaxloc.data.wave_statistics import wave_statistics
from jaxloc.distributions.gaussian_mixture import moments
from jaxloc.locators.neural import with_weights
from jaxloc.locators.padding import first_stations, padded, padded_size, without_padding
from jaxloc.models.model import Model
from jaxloc.models.registry import build
from jaxloc.models.spec import ModelSpec
from jaxloc.physics.arrival_check import ArrivalCheck
from jaxloc.runs import report
from jaxloc.scores.labels import score_labels
from jaxloc.scores.polar import score_polar
from jaxloc.training.log import Say, counted
from jaxloc.training.run_folder import read_log
from jaxloc.types import Batch, Locator, Method, Observations, Params, Posterior, State, Weights

CHUNK = 32  # events whose waveforms are in memory at a time
FEW = 8  # of new events: what is kept at an interruption


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


class Located(NamedTuple):
    """Located events, without their waveforms.

    Attributes:
        batch: events, one or more.
        posterior: of each.
        features: of the network's layers for each [event, feature]; None if not asked for, or if the network has none.
        check: arrival densities against each posterior; None if not asked for, or if the model has none.
        onsets: of the waveforms; None if not asked for.
        statistics: for out-of-distribution flags, by name; None if not asked for, or without arrivals.
    """

    batch: Batch
    posterior: Posterior
    features: np.ndarray | None
    check: ArrivalCheck | None = None
    onsets: Onsets | None = None
    statistics: Statistics | None = None


def locate(
    fitted: Fitted,
    dataset: Dataset,
    seed: int = 0,
    *,
    with_features: bool = False,
    on_chunk: Callable[[int], None] = lambda done: None,
) -> Located:
    """All events of a data set with their posteriors; waveforms are read a chunk at a time and not kept.

    `on_chunk` receives the number of events located so far, after each chunk.
    """
    return joined(list(located_chunks(fitted, dataset, seed, with_features=with_features, on_chunk=on_chunk)))


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
        bare = batch._replace(observations=seen._replace(waveforms=None))
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
    both: Any = with_weights(_checked(fitted), shared, chunk=1)
    if not fitted.model.any_station:
        return both

    def run(key: Key[Array, ""], seen: Observations) -> tuple[Posterior, ArrivalCheck | None]:
        number = seen.station_mask.shape[1]
        posterior, check = both(key, padded(seen, padded_size(number)))
        if check is not None:
            check = first_stations(check._replace(log_evidence=None), number)._replace(log_evidence=check.log_evidence)
        return without_padding(posterior, number), check

    return run


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


def draw_of(key: Key[Array, ""], fitted: Fitted) -> Params:
    """One draw of the network's parameters."""
    draw = jax.jit(lambda key: fitted.method.sample(key, fitted.state, 1).params)(key)
    return jax.tree.map(lambda x: x[0], draw)


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


def evaluate(
    fitted: Fitted,
    dataset: Dataset,
    folder: Path,
    name: str,
    say: Say = print,
    calibration: Calibration | None = None,
    baselines: Mapping[str, Locator] = MappingProxyType({}),
    about: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, Any]:
    """Locate labelled events and write scores, events and pictures into a folder; the score cards.

    With a calibration, events are written as it corrects them, and its score card is added to that of the run; so are
    those of `baselines`, weight-free locators. `about` is added to what scores.json tells of the run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    on_chunk = counted(say, "located", len(dataset))
    located = locate(fitted, dataset, with_features=calibration is not None, on_chunk=on_chunk)
    seconds = time.monotonic() - began
    predictions = as_calibrated(calibration, located)
    others = {"catalogue": report.baseline_of(fitted.spec, len(dataset))}
    if calibration is not None:
        others["calibrated"] = predictions.posterior
    others |= {
        name: locate_by(prng.stream("baselines"), baseline, dataset).posterior for name, baseline in baselines.items()
    }
    return write_results(folder, name, dataset, located, predictions, others, seconds, say, about)


def write_results(
    folder: Path,
    name: str,
    dataset: Dataset,
    located: Located,
    predictions: Predictions,
    others: Mapping[str, Posterior],
    locating_s: float,
    say: Say = print,
    more: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, Any]:
    """Write scores, events and pictures of located labelled events into a folder; the score cards.

    Args:
        folder: exists.
        name: of the run.
        dataset: the events.
        located: their posteriors by the run's locator.
        predictions: the posteriors that events are written with.
        others: posteriors of the same events by other locators, whose score cards are added.
        locating_s: how long locating took.
        say: takes one line for the user.
        more: what else scores.json tells of the run.
    """
    found, lost = report.hypocentres_of(dataset, located.batch, predictions)
    for event, reason in lost.items():
        say(f"event {event} was not located: {reason}")
    report.write_events(folder, found)
    truth = located.batch.labels["hypocentre"]
    locators = {"locator": located.posterior, **others}
    cards, scores = report.score(locators, truth)
    about = {
        "name": name,
        "dataset": dataset.name,
        "events": len(dataset),
        "locating_s": round(locating_s, 2),
        "lost": lost,
        "conformal": report.conformal(scores["locator"]),
        "labels": score_labels(located.posterior.others, located.batch.labels),
        "polar": score_polar(prng.stream("polar scores"), locators, located.batch.observations, truth),
        **more,
    }
    report.write_scores(folder, cards, about)
    known = np.asarray(truth.mask).any(-1)
    pick = lambda x: x[known] if known.any() else x  # windows of noise have no hypocentre
    shown, posterior, scores = jax.tree.map(pick, (located.batch, predictions.posterior, scores))
    geography = report.geography_of(dataset)
    report.write_pictures(folder / "pictures", name, shown, posterior, scores, read_log(folder), geography)
    return cards


def locate_by(
    key: Key[Array, ""], locator: Locator, dataset: Dataset, on_chunk: Callable[[int], None] = lambda done: None
) -> Located:
    """All events of a data set by a weight-free locator; waveforms are read `CHUNK` events at a time and not kept."""
    return joined(list(located_parts(key, locator, dataset, on_chunk)))


def located_parts(
    key: Key[Array, ""], locator: Locator, dataset: Dataset, on_chunk: Callable[[int], None] = lambda done: None
) -> Iterator[Located]:
    """As `locate_by`, up to `CHUNK` events at a time."""
    parts = np.array_split(np.arange(len(dataset)), -(-len(dataset) // CHUNK))
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
