"""Separations of near events by the joint model and others: python -m jaxloc.studies.pair_separations FOLDER.

The folder is a benchmark with known separations (`jaxloc.io.pair_benchmark`). The error of a pair is that of its
horizontal and of its vertical separation, both without sign; its standard deviation is that of the difference of the
two hypocentres along it, and jointly the two errors are compared with their covariance. Programs that state errors of
single events alone have those of the two events added.
"""

# pyright: reportArgumentType=false
# Arrays are NumPy's, in double precision on the host.

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import scipy.stats
from jaxtyping import Float

from jaxloc.io.pair_benchmark import Benchmark, Pairs, read_benchmark, read_references
from jaxloc.locators.hierarchical import Fit, Settings, fit
from jaxloc.physics.adaptive_grid import Region
from jaxloc.physics.gradient import thin_layers
from jaxloc.physics.layered import VelocityModel
from jaxloc.physics.table import table_around
from jaxloc.physics.table_times import table_times
from jaxloc.scores.markdown import markdown_table
from jaxloc.studies.command import run_as_command
from jaxloc.types import LEVELS, Observations

AROUND_KM, DEPTH_KM = 10.0, (-0.5, 25.0)
ORIGIN_S = (-10.0, 10.0)
SPACING_KM = 0.25
KINDS = ("joint", "horizontal", "vertical")


class PairScore(NamedTuple):
    """Root mean square and median of errors of separations in km; coverage by kind and level, NaN where unknown."""

    rms_km: tuple[float, float]
    median_km: tuple[float, float]
    coverage: Float[np.ndarray, "kind level"]
    pairs: int


def observations_of(benchmark: Benchmark) -> Observations:
    """The picks as observations; no errors are stated, the joint model finds them."""
    events, stations = benchmark.mask.shape[:2]
    return Observations(
        None,
        np.broadcast_to(benchmark.station_km, (events, stations, 3)),
        benchmark.mask.any(-1),
        np.broadcast_to(np.arange(stations), (events, stations)),
        np.ones(events),
        benchmark.picks_s,
        np.zeros(benchmark.picks_s.shape),
        benchmark.mask,
    )  # pyright: ignore[reportArgumentType]


def located(benchmark: Benchmark, seed: int = 0, gradient: bool = True, settings: Settings = Settings()) -> Fit:
    """The joint model of a benchmark; speeds are linear in depth between rows of its velocity model, or constant."""
    model = benchmark.depth_km, benchmark.vp_km_s, benchmark.vs_km_s
    layers = thin_layers(*model, [True] * len(model[0])) if gradient else model
    low, high = benchmark.station_km[:, :2].min(0) - AROUND_KM, benchmark.station_km[:, :2].max(0) + AROUND_KM
    region = Region((low[0], high[0]), (low[1], high[1]), DEPTH_KM, ORIGIN_S)
    table = table_around(VelocityModel(*layers), region, benchmark.station_km, SPACING_KM)
    return fit(np.random.default_rng(seed), observations_of(benchmark), table_times(table), region, settings)


def score_pairs(
    apart_km: Float[np.ndarray, "pair 3"], covariance_km2: Float[np.ndarray, "pair 3 3"], pairs: Pairs
) -> PairScore:
    """Errors and coverage of separations; pairs that were not located (NaN) are left out."""
    horizontal_km = np.hypot(apart_km[:, 0], apart_km[:, 1])
    along = np.zeros((len(apart_km), 2, 3))
    along[:, 0, :2] = apart_km[:, :2] / np.maximum(horizontal_km, 1e-9)[:, None]
    along[:, 1, 2] = np.sign(apart_km[:, 2])
    error = np.stack([horizontal_km - pairs.horizontal_km, np.abs(apart_km[:, 2]) - pairs.vertical_km], -1)
    spread = np.einsum("pai,pij,pbj->pab", along, covariance_km2, along)
    seen = np.isfinite(error).all(-1)
    error, spread = error[seen], spread[seen]
    coverage = np.full((len(KINDS), len(LEVELS)), np.nan)
    if np.isfinite(spread).all() and len(error):
        squares = np.einsum("pa,pab,pb->p", error, np.linalg.inv(spread + 1e-12 * np.eye(2)), error)
        single = error**2 / np.maximum(np.einsum("paa->pa", spread), 1e-12)
        for i, (values, freedom) in enumerate(((squares, 2), (single[:, 0], 1), (single[:, 1], 1))):
            coverage[i] = [(values < scipy.stats.chi2.ppf(level, freedom)).mean() for level in LEVELS]
    rms, median = np.sqrt((error**2).mean(0)), np.median(np.abs(error), axis=0)
    return PairScore((rms[0], rms[1]), (median[0], median[1]), coverage, int(seen.sum()))


def score_fit(fitted: Fit, pairs: Pairs) -> PairScore:
    """Of the joint model, with the covariances between events."""
    first, second = pairs.first, pairs.second
    of = lambda a, b: fitted.solution.covariance[a, :3, b, :3]
    covariance = of(first, first) + of(second, second) - of(first, second) - of(second, first)
    return score_pairs(fitted.hypocentre[first, :3] - fitted.hypocentre[second, :3], covariance, pairs)


def origin_coverage(fitted: Fit) -> tuple[float, float, dict[float, float]]:
    """Mean and standard deviation of the error of origin time in s (the truth is zero), and coverage by level."""
    error, sd_s = fitted.hypocentre[:, 3], np.sqrt(np.einsum("iaia->ia", fitted.solution.covariance)[:, 3])
    within = {level: float((np.abs(error) < scipy.stats.norm.ppf((1 + level) / 2) * sd_s).mean()) for level in LEVELS}
    return float(error.mean()), float(error.std()), within


def table_of(scores: dict[str, PairScore]) -> str:
    """One row a program."""
    header = ["program", "pairs", "rms h (km)", "rms v (km)", "median h", "median v"]
    header += [f"{kind} {100 * level:.0f} %" for kind in KINDS for level in LEVELS]
    rows = []
    for name, score in scores.items():
        errors = [f"{x:.3f}" for x in (*score.rms_km, *score.median_km)]
        covered = ["-" if np.isnan(x) else f"{x:.3f}" for x in score.coverage.ravel()]
        rows.append([name, str(score.pairs), *errors, *covered])
    return markdown_table(header, rows)


def compare(folder: Path, seed: int = 0) -> tuple[dict[str, PairScore], Fit]:
    """Scores of the joint model and of the reference programs."""
    benchmark = read_benchmark(folder)
    fitted = located(benchmark, seed)
    pairs, scores = benchmark.pairs, {"joint model": score_fit(fitted, benchmark.pairs)}
    for name, reference in read_references(folder, benchmark.frame, len(benchmark.mask)).items():
        apart = reference.place_km[pairs.first] - reference.place_km[pairs.second]
        covariance = reference.covariance_km2[pairs.first] + reference.covariance_km2[pairs.second]
        scores[name] = score_pairs(apart, covariance, pairs)
    return scores, fitted


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line of this module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    began, used = time.perf_counter(), time.process_time()
    scores, fitted = compare(given.folder, given.seed)
    print(table_of(scores))
    mean_s, sd_s, within = origin_coverage(fitted)
    print(
        f"\norigin time: error {mean_s:.3f} +- {sd_s:.3f} s; coverage "
        + ", ".join(f"{100 * level:.0f} %: {share:.3f}" for level, share in within.items())
    )
    kernel = jax.tree.map(np.asarray, fitted.model.kernel)
    print(f"path terms: sd {np.exp(kernel.log_sd).round(3).tolist()} s, scales {np.exp(kernel.log_scale).round(2)} km")
    print(f"{time.perf_counter() - began:.0f} s, {time.process_time() - used:.0f} s of CPU")


if __name__ == "__main__":
    run_as_command(main)
