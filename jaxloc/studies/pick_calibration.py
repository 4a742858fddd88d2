"""Recalibration of the picks of a file of weights on simulated records, and whether it holds on real ones.

    python -m jaxloc.studies.pick_calibration anywhere --records 4096 --output jaxloc/weights/anywhere_picks.json
    python -m jaxloc.studies.pick_calibration anywhere --sets FOLDER FOLDER:dev ...

The first fits and writes the calibration; records are those of the experiment that trained the weights, by numbers
that training and its scores do not use. The second prints reliability of probabilities and coverage of standard
deviations on SeisBench folders with labelled arrivals, without calibration and with that beside the weights. Records
of real sets may bear arrivals that nobody labelled: the share of picks that are right is a lower bound there.
"""

import argparse
import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.optimize import minimize

from jaxloc.atomic_write import write_whole
from jaxloc.io.seisbench import read_seisbench
from jaxloc.models.pretrained import Pretrained, read_pretrained
from jaxloc.physics.pick_calibration import (
    NONE,
    Calibration,
    PhaseCalibration,
    calibration_text,
    read_calibration,
    recalibrated,
)
from jaxloc.physics.rate_picks import RatePicks, picks_of_rates
from jaxloc.runs import config as configuration
from jaxloc.runs.network_picker import calibration_of
from jaxloc.runs.pretrain import drawer, mean_log_rate, rates_reader
from jaxloc.runs.shipped import weights_of
from jaxloc.scores.markdown import markdown_table
from jaxloc.scores.pick_scores import WITHIN_S, Known
from jaxloc.studies.command import run_as_command
from jaxloc.studies.pick_residuals import labelled_records
from jaxloc.types import PHASES

STREAM, FIRST = "scored records", 1_000_000  # the first ones of the stream are those that training scores
LEAST_PROBABILITY = 0.05  # of the picks that the calibration is fitted to
QUANTILES = {0.683: 1.0, 0.9: 1.645}  # of absolute residuals, and standard deviations that they are to be
SHIPPED_SIGMA = ("S",)
"""Phases whose standard deviations are recalibrated in a file: those of P come out too small for real records, whose
emergent onsets are read up to 0.1 s late, and stay as the network gives them."""
BINS = (0.3, 0.5, 0.7, 0.9, 1.0)
TOGETHER = 64  # records simulated at once


class Matched(NamedTuple):
    """Picks of many records, each with the distance to the nearest known arrival of its phase in s (infinite: none)."""

    phase: Int[np.ndarray, " pick"]
    probability: Float[np.ndarray, " pick"]
    sigma_s: Float[np.ndarray, " pick"]
    residual_s: Float[np.ndarray, " pick"]

    @property
    def right(self) -> Bool[np.ndarray, " pick"]:
        """Whether there is such an arrival."""
        return np.abs(self.residual_s) <= WITHIN_S[1]


def matched(picks: Iterable[tuple[RatePicks, Known]]) -> Matched:
    """Picks of records with their distance to what is known."""
    parts = [Matched(p.phase, p.probability, p.sigma_s, _residuals(p, known)) for p, known in picks]
    if not parts:
        raise ValueError("no record has a labelled arrival; give sets with picks by analysts")
    return Matched(*(np.concatenate(each) for each in zip(*parts, strict=True)))


def _residuals(picks: RatePicks, known: Known) -> Float[np.ndarray, " pick"]:
    out = np.full(len(picks.time_s), np.inf)
    for i, (time_s, phase) in enumerate(zip(picks.time_s, picks.phase, strict=True)):
        away = time_s - known.times_s[known.known[:, phase], phase]
        if len(away):
            out[i] = away[np.abs(away).argmin()]
    return out


def simulated(found: Pretrained, experiment: str, number: int) -> Iterator[tuple[RatePicks, Known]]:
    """Picks of simulated records, with all their arrivals."""
    draw, read = drawer(configuration.load(experiment, []), STREAM), rates_reader(found)
    for first in range(0, number, TOGETHER):
        record = draw(FIRST + first + jnp.arange(TOGETHER))
        truth = [np.asarray(x) for x in (record.arrival_s, record.arrival_mask, record.snr_db)]
        for i, waveforms in enumerate(np.asarray(record.waveforms)):
            yield _picks(read(waveforms, None), found.rate_hz), Known(*(x[i] for x in truth))


def labelled(found: Pretrained, name: str) -> Iterator[tuple[RatePicks, Known]]:
    """Picks of the records with a labelled arrival of a SeisBench folder, FOLDER or FOLDER:SPLIT, and the labels."""
    folder, _, split = name.partition(":")
    dataset, read = read_seisbench(folder, rate_hz=found.rate_hz, split=split or None), rates_reader(found)
    for record, mask, known in labelled_records(dataset):
        yield _picks(read(record, mask), found.rate_hz), known


def _picks(log_rate: object, rate_hz: float) -> RatePicks:
    return picks_of_rates(mean_log_rate(np.asarray(log_rate)), rate_hz, LEAST_PROBABILITY)


def fitted(picks: Matched) -> Calibration:
    """The calibration of each phase: probabilities by maximum likelihood, standard deviations by two quantiles."""
    return tuple(_of_phase(Matched(*(each[picks.phase == phase] for each in picks))) for phase in range(len(PHASES)))


def _of_phase(picks: Matched) -> PhaseCalibration:
    log_p, log_rest, right = np.log(picks.probability), np.log1p(-picks.probability), picks.right

    def log_loss(parameters: np.ndarray) -> float:
        odds = parameters[0] + parameters[1] * log_p - parameters[2] * log_rest
        return float(np.logaddexp(0, np.where(right, -odds, odds)).mean())

    log_sigma, log_size = np.log(picks.sigma_s[right]), np.log(np.abs(picks.residual_s[right]) + 1e-4)

    def quantile_loss(parameters: np.ndarray) -> float:
        over = log_size - parameters[0] - parameters[1] * log_sigma
        each = [np.maximum(q * (over - np.log(n)), (q - 1) * (over - np.log(n))).mean() for q, n in QUANTILES.items()]
        return float(sum(each))

    odds = minimize(log_loss, [0.0, 1.0, 1.0], bounds=[(None, None), (0.0, None), (0.0, None)]).x
    size = minimize(quantile_loss, [0.0, 1.0], method="Nelder-Mead", options={"xatol": 1e-4, "fatol": 1e-7}).x
    return PhaseCalibration(*(round(float(x), 4) for x in (*odds, *size)))


def shipped(calibration: Calibration) -> Calibration:
    """A calibration without that of the standard deviations which are to stay."""
    none = {"log_scale": 0.0, "exponent": 1.0}
    return tuple(
        each if phase in SHIPPED_SIGMA else each._replace(**none)
        for phase, each in zip(PHASES, calibration, strict=True)
    )


def reliability(picks: Matched, calibration: Calibration) -> dict[str, list[str]]:
    """By phase: for each bin of probability how many picks are right, and what share of residuals errors cover."""
    zero = np.zeros(len(picks.phase))
    own = recalibrated(RatePicks(picks.phase, zero, picks.sigma_s, picks.probability), calibration)
    out = {}
    for phase, name in enumerate(PHASES):
        here = (picks.phase == phase) & (own.probability >= BINS[0])
        cells = [f"{here.sum():,}"]
        for low, high in zip(BINS, (*BINS[1:-1], 1.01), strict=False):
            inside = here & (own.probability >= low) & (own.probability < high)
            mean = own.probability[inside].mean() if inside.any() else np.nan
            cells.append(f"{mean:.2f} → {picks.right[inside].mean():.2f} ({inside.sum():,})" if inside.any() else "")
        good = here & picks.right
        z = np.abs(picks.residual_s[good]) / own.sigma_s[good]
        cells += [f"{np.mean(z <= number):.3f}" if good.any() else "" for number in QUANTILES.values()]
        out[name] = cells
    return out


def table(rows: dict[tuple[str, str], dict[str, list[str]]]) -> str:
    """A row for each set, calibration and phase: mean probability → share right (picks), and coverage."""
    bins = [f"{low:g}-{high:g}" for low, high in itertools.pairwise(BINS)]
    header = ["set", "probability", "phase", "picks", *bins, *(f"inside {q:.0%}" for q in QUANTILES)]
    return markdown_table(header, [[*of, phase, *cells] for of, each in rows.items() for phase, cells in each.items()])


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit and write a calibration, or print what it makes of real sets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path, help="file of weights, or the name of a model that comes with jaxloc")
    parser.add_argument("--experiment", default="anywhere", help="whose simulated records are used")
    parser.add_argument("--records", type=int, default=0, help="simulated records that the calibration is fitted to")
    parser.add_argument("--output", type=Path, help="file of the calibration (default: beside the weights)")
    parser.add_argument("--sets", nargs="*", default=[], help="SeisBench folders, FOLDER or FOLDER:SPLIT")
    parsed = parser.parse_args(arguments)
    weights = weights_of(parsed.weights) or parsed.weights
    found, path = read_pretrained(weights), parsed.output or calibration_of(weights)
    rows = {}
    if parsed.records:
        picks = matched(simulated(found, parsed.experiment, 2 * parsed.records))
        first = np.arange(len(picks.phase)) < len(picks.phase) // 2
        calibration = fitted(Matched(*(each[first] for each in picks)))
        about = {"experiment": parsed.experiment, "records": parsed.records, "picks": int(first.sum())}
        write_whole(path, calibration_text(shipped(calibration), about))
        rest = Matched(*(each[~first] for each in picks))
        rows |= {("simulated, held out", name): reliability(rest, c) for name, c in _both(path)}
    for given in parsed.sets:
        picks = matched(labelled(found, given))
        rows |= {(Path(given).name, name): reliability(picks, c) for name, c in _both(path)}
    print(table(rows))


def _both(path: Path) -> tuple[tuple[str, Calibration], ...]:
    return ("as read", NONE), ("calibrated", read_calibration(path))


if __name__ == "__main__":
    run_as_command(main)
