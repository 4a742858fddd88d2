"""Calibration of the odds of association on simulated days: python -m jaxloc.studies.association_odds DAY PICKS ...

Each DAY is a folder of `python -m jaxloc.studies.simulated_day`, PICKS the file that `jaxloc pick` makes of it. Prints
the intercept and slope for `jaxloc.detection.odds_calibration`, and the reliability of the odds as they are shipped.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxloc.data.pick_list import NO_EVENT
from jaxloc.detection.association import Settings, associate
from jaxloc.detection.odds_calibration import computed, fit_calibration
from jaxloc.io.judged_catalogue import hypocentres, read_judged
from jaxloc.io.velocity_model import read_velocity
from jaxloc.runs.associate import Request, open_picks
from jaxloc.scores.catalogues import Limits, match
from jaxloc.scores.detections import reliability_of_odds
from jaxloc.studies.command import run_as_command


def judged(day: Path, picks: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of all events that association finds in a day: log odds, the share of picks that have one, and which are real."""
    opened = open_picks(Request(picks, day / "stations.xml"))
    velocity = read_velocity(day / "velocity.csv", None)
    found = associate(opened.picks, opened.station_km, velocity, settings=Settings(least_log_odds=-np.inf))
    truth = hypocentres(opened.frame, opened.zero_ns, read_judged(day).events)
    real = np.zeros(len(found.log_odds), bool)
    real[match(found.hypocentre, truth, Limits()).first] = True
    return found.log_odds, np.full(len(real), (found.event != NO_EVENT).mean()), real


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line of this module."""
    parser = argparse.ArgumentParser(prog="python -m jaxloc.studies.association_odds", description=__doc__)
    parser.add_argument("given", type=Path, nargs="+", metavar="DAY PICKS")
    given = parser.parse_args(arguments).given
    if len(given) % 2:
        parser.error(f"days and picks must come in pairs, got {len(given)} paths")
    days = map(judged, given[::2], given[1::2])
    log_odds, share, real = (np.concatenate(each) for each in zip(*days, strict=True))
    intercept, slope = fit_calibration(computed(log_odds, share), share, real)
    print(f"{len(real)} events, {int(real.sum())} real: INTERCEPT, SLOPE = {intercept:.3f}, {slope:.4f}")
    bins: Any = reliability_of_odds(log_odds, real)["bins"]
    print(*bins, sep="\n")


if __name__ == "__main__":
    run_as_command(main)
