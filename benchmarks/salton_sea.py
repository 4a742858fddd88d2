"""Association of the Salton Sea swarm's picks (1 and 2 October 2020, 16 stations): recall and false events.

Run: python benchmarks/salton_sea.py [first hour] [last hour], of $JAXLOC_DATA/saltonsea_picks, 0 48 without. Events are
matched one to one within 3 s. Picks shifted by a time of its own for each station have no common source: what is
associated of them is false, and their number is the rate of false events to expect.
"""

import csv
import gzip
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from jaxloc.data.pick_list import Associated, PickList
from jaxloc.detection.association import associate
from jaxloc.detection.shifted_picks import shifted_picks
from jaxloc.geometry import Frame, to_km
from jaxloc.physics.layered import uniform
from jaxloc.scores.catalogues import Limits, match

SIGMA_S = 0.1
VELOCITY = uniform(6.0, 1.75)
START = datetime(2020, 10, 1, tzinfo=UTC)
WITHIN = Limits(3.0, 1000.0)
LOG_ODDS = (0.0, 1.0, 2.0, 5.0)


class Swarm(NamedTuple):
    """Picks, stations and the catalogue; times in s from `START`."""

    picks: PickList
    station_km: np.ndarray
    hypocentre: np.ndarray


def read(folder: Path, span_s: tuple[float, float]) -> Swarm:
    """The picks and events of a span."""
    with (folder / "stations.tsv").open() as file:
        stations = list(csv.DictReader(file, delimiter="\t"))
    with (folder / "events_scsn.tsv").open() as file:
        events = list(csv.DictReader(file, delimiter="\t"))
    with gzip.open(folder / "picks.csv.gz", "rt") as file:
        picks = list(csv.DictReader(file))
    frame = Frame(33.1, -115.6)
    place = lambda rows: np.stack(to_km(frame, *(np.array([float(r[n]) for r in rows]) for n in ("lat", "lng"))), -1)
    time_of = lambda rows: np.array(
        [(datetime.fromisoformat(r["time"]).replace(tzinfo=UTC) - START).total_seconds() for r in rows]
    )
    station_km = np.column_stack([place(stations), [-float(r["elv(m)"]) / 1000 for r in stations]])
    row = {r["station"]: i for i, r in enumerate(stations)}
    time_s = time_of(picks)
    listed = PickList(
        np.array([row[pick["station"]] for pick in picks]),
        np.array([pick["phase"] == "S" for pick in picks], int),
        time_s,
        np.full(len(picks), SIGMA_S),
        np.array([float(pick["prob"]) for pick in picks]),
        np.array([float(pick["amp"]) for pick in picks]),
    )
    order = np.argsort(time_s, kind="stable")
    order = order[(time_s[order] >= span_s[0]) & (time_s[order] < span_s[1])]
    truth = np.column_stack([place(events), [float(r["depth(m)"]) / 1000 for r in events], time_of(events)])
    inside = (truth[:, 3] >= span_s[0]) & (truth[:, 3] < span_s[1])
    return Swarm(PickList(*(each[order] for each in listed)), station_km, truth[inside])


def scored(found: Associated, false: Associated, truth: np.ndarray) -> list[str]:
    """A line for each least log odds: events, recall, false events and their share."""
    lines = []
    for least in LOG_ODDS:
        kept = found.log_odds >= least
        recall = len(match(found.hypocentre[kept], truth, WITHIN).first) / len(truth)
        number = int((false.log_odds >= least).sum())
        lines.append(f"{least:8g} {kept.sum():7d} {recall:7.3f} {number:13d} {number / max(kept.sum(), 1):6.3f}")
    return lines


def main() -> None:
    """Print the scores of a span of hours."""
    first, last = (float(x) for x in sys.argv[1:] + ["0", "48"][len(sys.argv) - 1 :])
    swarm = read(Path(os.environ["JAXLOC_DATA"]) / "saltonsea_picks", (first * 3600, last * 3600))
    begin = time.process_time()
    found = associate(swarm.picks, swarm.station_km, VELOCITY, say=print)
    print(f"{len(swarm.picks.time_s)} picks in {time.process_time() - begin:.0f} CPU s")
    shifted = shifted_picks(jax.random.key(0), swarm.picks, (first * 3600, last * 3600))
    false = associate(shifted, swarm.station_km, VELOCITY)
    print("log odds  events  recall  with shifted   share", *scored(found, false, swarm.hypocentre), sep="\n")


if __name__ == "__main__":
    main()
