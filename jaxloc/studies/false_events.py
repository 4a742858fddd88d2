"""False events an hour where there is no local earthquake, and how well log-evidence tells events from each kind.

    python -m jaxloc.studies.false_events --noise noise_and_negatives --events oklahoma:dev iceland_vt

An event is false where a window of noise is not refused; each window counts once. Kinds are records of noise (as
pseudo-networks of five and as single stations), noise and reversed events of real networks, and simulated noise with
each kind of disturbance at five stations (`false_windows`). Velocities are those of the model. AUROC is the probability
that an event has a larger score than a window of the kind, at as many stations: of log-evidence, by which windows are
refused, and of log-evidence for each station with a pick, by which locations are flagged.
"""

import argparse
from collections.abc import Mapping, Sequence
from functools import partial, reduce
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import scipy.stats
from jaxtyping import Float

from jaxloc import prng
from jaxloc.data.selection import concatenated, evenly, held
from jaxloc.io.seisbench_alone import read_alone
from jaxloc.physics.readings import ArrivalCheck
from jaxloc.runs.fitted import Fitted
from jaxloc.runs.flags import Verdict, verdicts
from jaxloc.runs.inputs import open_input
from jaxloc.runs.load import load
from jaxloc.runs.new_events import searched
from jaxloc.runs.predict import joined, located_chunks
from jaxloc.runs.transfer import prepared, trained_for
from jaxloc.scores.auroc import auroc
from jaxloc.studies.command import run_as_command
from jaxloc.studies.false_windows import EVENTS, FEW, NETWORK, ONE, Windows, of_network, of_records, simulated
from jaxloc.studies.table import Row, markdown_of, write_csv
from jaxloc.training.log import counted

SHOWN = {
    "kind": "kind",
    "stations": "stations",
    "windows": "windows",
    "hours": "hours",
    "located": "located",
    "an hour": "per_hour",
    "without a flag": "unflagged",
    "AUROC": "auroc",
    "a station": "auroc_station",
}


class Judged(NamedTuple):
    """Verdicts on windows, and their scores: log-evidence, and that for each station with a pick."""

    verdicts: list[Verdict]
    evidence: Float[np.ndarray, " window"]
    per_station: Float[np.ndarray, " window"]


def judge(fitted: Fitted, kinds: Mapping[Any, Windows], config: Mapping[str, Any]) -> dict[Any, Judged]:
    """Windows of several kinds at the same stations, located as one data set: the program is compiled once."""
    whole = reduce(concatenated, (each.dataset for each in kinds.values()))
    fitted = prepared(trained_for(fitted, whole, None), whole)
    on_chunk = counted(partial(print, flush=True), f"{whole.name}: located", len(whole))
    located = joined(list(located_chunks(fitted, whole, with_checks=True, on_chunk=on_chunk)))
    assert located.check is not None, "a model of arrivals has checks"
    decided = verdicts(located, searched(fitted, whole, config))
    evidence, per_station = np.asarray(located.check.log_evidence, float), evidence_a_station(located.check)
    ends = np.cumsum([0, *(len(each.dataset) for each in kinds.values())])
    parts = [slice(first, last) for first, last in pairwise(ends.tolist())]
    return {name: Judged(decided[at], evidence[at], per_station[at]) for name, at in zip(kinds, parts, strict=True)}


def evidence_a_station(check: ArrivalCheck) -> Float[np.ndarray, " window"]:
    """Log-evidence for each station with a pick; of a window without one, its log-evidence."""
    evidence = np.asarray(check.log_evidence, float)
    if check.picks is None:
        return evidence
    sure = np.asarray(check.picks.sure).any(-1) & (np.asarray(check.active) > 0)
    return evidence / np.maximum(sure.sum(-1), 1)


def row_of(name: str, windows: Windows, found: Judged, events: Judged | None) -> Row:
    """Located windows of a kind an hour with the exact 95 % interval of a Poisson process; AUROC against events."""
    located = sum(not each.refused for each in found.verdicts)
    low, high = (scipy.stats.chi2.ppf(p, 2 * n) / 2 if n else 0.0 for p, n in ((0.025, located), (0.975, located + 1)))
    return {
        "kind": name,
        "stations": windows.stations,
        "windows": len(windows.dataset),
        "hours": windows.hours,
        "located": located,
        "per_hour": located / windows.hours,
        "per_hour_low": float(low) / windows.hours,
        "per_hour_high": float(high) / windows.hours,
        "unflagged": sum(not each.told for each in found.verdicts),
        "auroc": float("nan") if events is None else auroc(found.evidence, events.evidence),
        "auroc_station": float("nan") if events is None else auroc(found.per_station, events.per_station),
    }


def pooled(parts: Sequence[Judged]) -> Judged:
    """All windows as one."""
    decided = [verdict for part in parts for verdict in part.verdicts]
    return Judged(decided, *(np.concatenate([part[i] for part in parts]) for i in (1, 2)))


def evaluate_kinds(
    weights: Path, noise: Path | None, networks: Sequence[str], number: int, rounds: int, seconds: float, most: int
) -> list[Row]:
    """A row for each kind of window.

    Args:
        weights: a model that reads arrivals.
        noise: SeisBench folder of records without a local earthquake; None: none.
        networks: SeisBench folders of events, each with a split after a colon or without.
        number: of simulated windows of each kind of disturbance; 0: none.
        rounds: how often each record of noise is used in pseudo-networks.
        seconds: length of windows of noise and of simulated ones.
        most: events of each network, evenly spaced.

    Raises:
        ValueError: where a folder or the weights are missing or wrong, or no network is given.
    """
    if not networks:
        raise ValueError("no network of events was given; --events must name a SeisBench folder, as oklahoma:dev")
    config, fitted = load(weights)
    key, rate_hz = prng.stream("noise windows"), fitted.spec.rate_hz
    events: dict[str, list[Judged]] = {FEW: [], ONE: []}
    rows: list[Row] = []
    for i, text in enumerate(networks):
        folder, _, split = text.partition(":")
        dataset = held(evenly(open_input(fitted, config, [Path(folder)], None, None, split or None), most))
        kinds = of_network(jax.random.fold_in(key, i), dataset)
        found = judge(fitted, kinds, config)
        for stations, parts in events.items():
            parts.append(found[EVENTS, stations])
        for (name, at), each in kinds.items():
            own = None if name == EVENTS else found[EVENTS, NETWORK]
            rows.append(row_of(f"{dataset.name}: {name}", each, found[name, at], own))
    few, one = _noise(noise, rate_hz, round(seconds * rate_hz), rounds)
    few |= (
        simulated(jax.random.fold_in(key, len(networks)), number, round(seconds * rate_hz), rate_hz) if number else {}
    )
    for stations, kinds in ((FEW, few), (ONE, one)):
        if kinds:
            known, found = pooled(events[stations]), judge(fitted, kinds, config)
            rows += [row_of(name, each, found[name], known) for name, each in kinds.items()]
    return rows


def _noise(
    folder: Path | None, rate_hz: float, num_samples: int, rounds: int
) -> tuple[dict[str, Windows], dict[str, Windows]]:
    if folder is None:
        return {}, {}
    generator = np.random.default_rng(prng.SEEDS["noise windows"])
    return of_records(generator, read_alone(folder, rate_hz, num_samples), rate_hz, rounds)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line of this module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", nargs="+", required=True, metavar="FOLDER[:SPLIT]", help="networks with events")
    parser.add_argument("--noise", type=Path, help="SeisBench folder of records without a local earthquake")
    parser.add_argument("--weights", type=Path, default=Path("anywhere"), help="model (default: anywhere)")
    parser.add_argument("--simulated", type=int, default=12, help="windows of each kind of disturbance (default: 12)")
    parser.add_argument("--rounds", type=int, default=2, help="uses of each record of noise in pseudo-networks")
    parser.add_argument("--seconds", type=float, default=60.0, help="length of windows of noise (default: 60)")
    parser.add_argument("--most", type=int, default=50, help="events of each network (default: 50)")
    parser.add_argument("--output", type=Path, default=Path("false_events"), help="folder for the table")
    parsed = parser.parse_args(arguments)
    given = (parsed.noise, parsed.events, parsed.simulated, parsed.rounds, parsed.seconds, parsed.most)
    rows = evaluate_kinds(parsed.weights, *given)
    parsed.output.mkdir(parents=True, exist_ok=True)
    write_csv(parsed.output / "false_events.csv", rows, list(rows[0]))
    print(markdown_of(rows, SHOWN))


if __name__ == "__main__":
    run_as_command(main)
