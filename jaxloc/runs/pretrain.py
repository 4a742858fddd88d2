"""A network of arrival rates, trained on simulated records alone: its weights serve at any station.

No record is seen twice: record `i` of a seed is simulated where training asks for it. What comes out is a file of
weights (`weights.npz`, `jaxloc.models.pretrained`) and scores on fresh simulated records.
"""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import random
from jaxtyping import Bool, Float, Int

from jaxloc import prng
from jaxloc.atomic_write import write_whole
from jaxloc.heads.arrival_rates import RecordLabels, log_likelihood
from jaxloc.models.model import as_tuples
from jaxloc.models.pretrained import Pretrained, write_pretrained
from jaxloc.models.weight_arrays import by_path, in_place
from jaxloc.networks.arrival_rates import RateModel, RecordRates
from jaxloc.physics.rate_picks import picks_of_rates
from jaxloc.scores.pick_scores import Known, PhaseScore, markdown, score_picks
from jaxloc.simulation.records import Ranges, Record, draw_record
from jaxloc.training.fitting import Fitted, Problem, Row, fit, outputs
from jaxloc.training.log import OnStep, Say
from jaxloc.training.run_folder import worked_in

Config = Mapping[str, Any]
TASK, WEIGHTS = "arrival_rates", "weights.npz"
RatesOf = Callable[
    [Float[np.ndarray, "sample component"], Bool[np.ndarray, " sample"] | None], Float[jax.Array, "*rates"]
]
"""A record [sample, component] and which of its samples were recorded (None: all), to log rates by draws of weights."""
ENDLESS = 2**31 - 1  # records of a seed
SCORED_AT_ONCE = 64
LEAST_SNR_DB = 6.0  # arrivals below are no misses
SHOWN_DIRECTION_DB = 3.0  # below this signal-to-noise ratio of P, neither direction nor first motion is a label


def run(config: Config, folder: Path, say: Say = print, on_step: OnStep | None = None) -> Path:
    """Train and score a network of arrival rates in a run folder; it continues from what is there.

    Raises:
        ValueError: for wrong configurations, or a folder of another configuration or in use.
    """
    return worked_in(folder, config, say, on_step, lambda log, stepped: _run(config, folder, log, stepped))


def _run(config: Config, folder: Path, say: Say, on_step: OnStep) -> None:
    began, records = time.monotonic(), config["data"]
    fitted = fit(config, folder, problem_of(config), say, on_step)
    write_pretrained(folder / WEIGHTS, portable(config, fitted))
    say(f"scoring {records['num_scored']} simulated records")
    scored = score(config, fitted, int(records["num_scored"]))
    about = {"name": config["name"], "task": TASK, "seconds": round(time.monotonic() - began, 1)}
    scores = {"about": about, "picks": {phase: each._asdict() for phase, each in scored.items()}}
    write_whole(folder / "scores.json", json.dumps(scores, indent=1).encode())
    write_whole(folder / "table.md", markdown(scored).encode())


def problem_of(config: Config) -> Problem:
    """What the weights are fitted to: arrivals of records that are simulated as they are asked for."""
    records, draw = config["data"], drawer(config)
    rate_hz = float(records["rate_hz"])

    def take(index: Int[np.ndarray, " record"]) -> Row:
        record = draw(jnp.asarray(index))
        return Row(record.waveforms, labels_of(record))

    def of_record(raw: Any, labels: Any) -> Float[jax.Array, ""]:
        return log_likelihood(raw, labels, rate_hz=rate_hz)

    return Problem(module_of(config), of_record, take, ENDLESS, int(records["num_data"]), ahead=True)


def module_of(config: Config) -> RecordRates:
    """The network that a configuration describes."""
    # XLA's convolutions on the CPU are the faster ones where steps are not in a loop (`jaxloc.networks.layers`).
    by_slices = None if any(stage["per_call"] > 1 for stage in config["stages"].values()) else False
    return _module(config["model"], float(config["data"]["rate_hz"]), by_slices)


def _module(settings: Config, rate_hz: float, by_slices: bool | None = None) -> RecordRates:
    own: Any = as_tuples({name: value for name, value in settings.items() if name != "name"})
    return RecordRates(RateModel(**own, by_slices=by_slices), rate_hz)


def drawer(config: Config, stream: str = "simulated records") -> Callable[[Int[jax.Array, " record"]], Record]:
    """Records of a seed by their numbers, compiled."""
    records, ranges = config["data"], Ranges()
    key = prng.stream(stream, int(config["seed"]))
    number, rate_hz = int(records["num_samples"]), float(records["rate_hz"])
    one = lambda i: draw_record(random.fold_in(key, i), ranges, number, rate_hz)
    return jax.jit(jax.vmap(one))


def labels_of(record: Record) -> RecordLabels:
    """What a network learns of simulated records."""
    seen = record.arrival_mask[..., 0] & (record.snr_db[..., 0] > SHOWN_DIRECTION_DB)
    return RecordLabels(
        record.arrival_s,
        record.arrival_mask,
        record.back_azimuth_rad,
        seen & record.azimuth_known[..., None],
        (record.first_motion > 0).astype(jnp.float32),
        seen & (record.first_motion != 0),
    )


def portable(config: Config, fitted: Fitted) -> Pretrained:
    """Draws of the weights, with what it takes to build their network."""
    draws = jax.jit(lambda key: fitted.method.sample(key, fitted.state, fitted.num_draws).params)
    weights = {path: np.asarray(leaf) for path, leaf in by_path(draws(prng.stream("location"))).items()}
    return Pretrained(dict(config["model"]), float(config["data"]["rate_hz"]), None, weights)


def score(config: Config, fitted: Fitted, number: int) -> dict[str, PhaseScore]:
    """Scores of picks on simulated records that training has not seen, `number` of them."""
    draw, rate_hz = drawer(config, "scored records"), float(config["data"]["rate_hz"])
    key = prng.stream("location")
    picks, known = [], []
    for first in range(0, number, SCORED_AT_ONCE):
        record = draw(first + jnp.arange(SCORED_AT_ONCE))
        rates = mean_log_rate(outputs(fitted, key, record.waveforms).log_rate)
        picks += [picks_of_rates(each, rate_hz) for each in rates]
        truth = Known(*map(np.asarray, (record.arrival_s, record.arrival_mask, record.snr_db)))
        known += [Known(*each) for each in zip(*truth, strict=True)]
    return score_picks(picks, known, int(config["data"]["num_samples"]) / rate_hz, LEAST_SNR_DB)


def rates_reader(found: Pretrained) -> RatesOf:
    """Log rates [draw, sample, phase] of one record by every draw of weights; records of any length, each compiled."""
    module = _module(found.settings, found.rate_hz)
    like = jax.eval_shape(lambda: module.init(prng.stream("location"), jnp.zeros((1024, 3)))["params"])
    weights = in_place(like, found.weights)

    @jax.jit
    def read(waveforms: Any, sample_mask: Any) -> Any:
        of_draw: Any = lambda draw: module.apply({"params": draw}, waveforms, sample_mask)
        return jax.vmap(lambda draw: of_draw(draw).log_rate)(weights)

    return read


def mean_log_rate(log_rate: Float[np.ndarray, "draw *shape"]) -> Float[np.ndarray, "*shape"]:
    """The log of the mean rate over draws of the weights."""
    return np.logaddexp.reduce(log_rate, 0) - np.log(len(log_rate))
