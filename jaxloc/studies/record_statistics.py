"""Compare simulated with real records by their statistics: python -m jaxloc.studies.record_statistics FOLDER ...

Folders are in SeisBench format, with columns of P and S. For each statistic the 10 to 90 % interval of each real set
should lie within the 2 to 98 % interval of simulated records; what does not is marked in the table. Sets that were
band-pass filtered before they were published cannot agree in slopes and in the microseism unless a record has the same
filter. S-P below .15 s is no S (some catalogues repeat P) and left out.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from jaxloc.atomic_write import write_whole
from jaxloc.data.record_statistics import STATISTICS, record_statistics
from jaxloc.io.seisbench import ARRIVAL_COLUMNS, read_seisbench
from jaxloc.plots.record_samples import Sample, record_samples
from jaxloc.prng import stream
from jaxloc.scores.markdown import markdown_table
from jaxloc.simulation.records import Ranges, draw_records
from jaxloc.studies.command import run_as_command

RATE_HZ = 50.0
NUM_SAMPLES = 3000
SHORTEST_S_MINUS_P_S = 0.15
AT_ONCE = 100  # simulated records
REAL, SIMULATED = (10, 90), (2, 98)
BEFORE_S, AFTER_S = 5.0, 25.0  # of P in the picture
SIMULATED_NAME = "simulated"

Values = dict[str, Float[np.ndarray, " record"]]


class Covered(NamedTuple):
    """Quantiles of a statistic of a real set in per cent `REAL`, and whether the simulated `SIMULATED` enclose them."""

    low: float
    median: float
    high: float
    number: int
    inside: bool


def real_samples(folder: Path, pick_columns: Mapping[str, str] = ARRIVAL_COLUMNS) -> list[Sample]:
    """The records of a SeisBench folder with P, resampled to 50 Hz.

    Raises:
        ValueError: for a folder without waveforms or P.
    """
    dataset = read_seisbench(folder, rate_hz=RATE_HZ, pick_columns=pick_columns)
    samples = []
    for event in range(len(dataset.events)):
        found = dataset.take(np.array([event])).observations
        if found.waveforms is None or found.picks_s is None or found.pick_mask is None:
            raise ValueError(f"{folder} must have waveforms and a column of P ({pick_columns['P']}); it lacks one")
        at_s = np.where(np.asarray(found.pick_mask), np.asarray(found.picks_s, float), np.nan)[0]
        for waveforms, (p_s, s_s) in zip(np.asarray(found.waveforms)[0], at_s, strict=True):
            if np.isfinite(p_s) and (waveforms != 0).any():
                recorded = np.flatnonzero((waveforms != 0).any(0))
                first, last = recorded[0], recorded[-1] + 1
                shift_s = first / RATE_HZ
                s_s = s_s if s_s - p_s >= SHORTEST_S_MINUS_P_S else np.nan
                samples.append(Sample(waveforms[:, first:last], RATE_HZ, p_s - shift_s, s_s - shift_s))
    return samples


def simulated_samples(number: int, seed: int, ranges: Ranges = Ranges()) -> list[Sample]:
    """Simulated records with exactly one earthquake whose P and S are inside."""
    draw = jax.jit(lambda key: draw_records(key, ranges, AT_ONCE, NUM_SAMPLES, RATE_HZ))
    samples: list[Sample] = []
    key = stream("simulation", seed)
    while len(samples) < number:
        key, now = jax.random.split(key)
        records = jax.tree.map(np.asarray, draw(now))
        for waveforms, at_s, mask in zip(records.waveforms, records.arrival_s, records.arrival_mask, strict=True):
            if mask.sum() == 2 and mask.all(-1).any():
                p_s, s_s = at_s[mask.all(-1)][0]
                samples.append(Sample(waveforms.T, RATE_HZ, float(p_s), float(s_s)))
    return samples[:number]


def statistics_of(samples: Sequence[Sample]) -> Values:
    """All statistics of records, [record]."""
    found = [record_statistics(*sample) for sample in samples]
    return {name: np.array([each[name] for each in found]) for name in STATISTICS}


def compared(real: Values, simulated: Values) -> dict[str, Covered]:
    """Whether simulated intervals enclose the real ones; statistics that a set lacks are left out."""
    table = {}
    for name in STATISTICS:
        known, drawn = (values[name][np.isfinite(values[name])] for values in (real, simulated))
        if len(known) < 5 or len(drawn) == 0:
            continue
        low, high = np.percentile(known, REAL)
        least, most = np.percentile(drawn, SIMULATED)
        table[name] = Covered(low, float(np.median(known)), high, len(known), bool(least <= low and high <= most))
    return table


def table_of(sets: Mapping[str, Values], simulated: Values) -> str:
    """The comparison in Markdown: 10 / 50 / 90 % of real sets, 2 / 50 / 98 % of simulated records, * not covered."""
    comparisons = {name: compared(values, simulated) for name, values in sets.items()}
    lines = []
    for name, title in STATISTICS.items():
        drawn = simulated[name][np.isfinite(simulated[name])]
        line = [title, " / ".join(f"{x:.1f}" for x in np.percentile(drawn, (2, 50, 98))) if len(drawn) else "-"]
        for comparison in comparisons.values():
            one = comparison.get(name)
            mark = "" if one is None or one.inside else " *"
            line.append("-" if one is None else f"{one.low:.1f} / {one.median:.1f} / {one.high:.1f}{mark}")
        lines.append(line)
    numbers = [f"{name} ({len(next(iter(values.values())))})" for name, values in sets.items()]
    return markdown_table(["statistic", SIMULATED_NAME, *numbers], lines)


def _cut(sample: Sample) -> Sample:
    """The part of a record about P."""
    first = max(0, round((sample.p_s - BEFORE_S) * sample.rate_hz))
    last = first + round((BEFORE_S + AFTER_S) * sample.rate_hz)
    shift_s = first / sample.rate_hz
    waveforms = sample.waveforms[:, first:last]
    waveforms = waveforms - waveforms.mean(-1, keepdims=True)
    return Sample(waveforms, sample.rate_hz, sample.p_s - shift_s, sample.s_s - shift_s)


def pictured(samples: Sequence[Sample], number: int, seed: int) -> list[Sample]:
    """Some records at random, cut about P."""
    order = np.random.default_rng(seed).permutation(len(samples))[:number]
    return [_cut(samples[i]) for i in order]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table; write it and a picture where they are asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path, help="folders in SeisBench format")
    parser.add_argument("--p-column", default=ARRIVAL_COLUMNS["P"], help="column of P; folders without it are refused")
    parser.add_argument("--number", type=int, default=2000, help="of simulated records")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--table", type=Path, help="Markdown file to write")
    parser.add_argument("--picture", type=Path, help="PNG to write, of records of each set")
    parser.add_argument("--rows", type=int, default=8, help="records of each set in the picture")
    options = parser.parse_args(arguments)
    columns = {**ARRIVAL_COLUMNS, "P": options.p_column}
    samples = {folder.name: real_samples(folder, columns) for folder in options.folders}
    simulated = simulated_samples(options.number, options.seed)
    text = table_of({name: statistics_of(each) for name, each in samples.items()}, statistics_of(simulated))
    print(text)
    if options.table:
        write_whole(options.table, (text + "\n").encode())
    if options.picture:
        chosen = {**samples, SIMULATED_NAME: simulated}
        some = {name: pictured(each, options.rows, options.seed) for name, each in chosen.items()}
        record_samples(options.picture, some, "Records of real sets and simulated ones: vertical, two horizontals")


if __name__ == "__main__":
    run_as_command(main)
