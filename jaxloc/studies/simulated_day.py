"""A simulated day of continuous records with its truth: python -m jaxloc.studies.simulated_day OUT.

OUT gets miniSEED, StationXML with responses, the velocity model that a user would have, and the true earthquakes,
arrivals, disturbances and faults. A run that was stopped goes on where it stopped. With --events 0 and --noise KIND
there are no earthquakes: whatever is located then is a false event.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import jax

from jaxloc.runs.simulated_day import DayRequest, write_day
from jaxloc.simulation.continuous_noise import DAY_NOISE, GAUSSIAN_NOISE
from jaxloc.simulation.day import FaultSettings, NetworkSettings
from jaxloc.simulation.day_disturbances import NAMES
from jaxloc.simulation.day_records import RecordSettings
from jaxloc.simulation.seismicity import SeismicitySettings
from jaxloc.studies.command import run_as_command

NOISES = ("ground", "gaussian", "spikes", *NAMES)
PER_HOUR = 30.0  # of disturbances, where one kind is chosen
MANY_SPIKES = 200.0  # a channel and day
BLASTS = 3  # in 24 h


def request_of(given: argparse.Namespace) -> DayRequest:
    """The settings of a command line.

    Raises:
        ValueError: for an unknown kind of noise, or a kind of disturbance with earthquakes.
    """
    if given.noise not in NOISES:
        raise ValueError(f"no such kind of noise: {given.noise!r}; use one of {', '.join(NOISES)}")
    blasts = max(round(BLASTS * given.hours / 24), 1) if given.events else 0
    least, most = given.magnitude
    seismicity = SeismicitySettings(
        num_events=given.events, hours=given.hours, num_blasts=blasts, magnitude=(least, most),
        radius_km=given.aperture_km / 2, outside_km=given.aperture_km, blast_km=1.2 * given.aperture_km,
        simultaneous=min(10, given.events // 20), peak_per_minute=given.peak_per_minute,
    )  # fmt: skip
    network = NetworkSettings(given.stations, given.aperture_km)
    records = RecordSettings(given.rate_hz, given.chunk_s, GAUSSIAN_NOISE if given.noise == "gaussian" else DAY_NOISE)
    faults = FaultSettings(spikes=MANY_SPIKES) if given.noise == "spikes" else FaultSettings()
    request = DayRequest(seismicity, network, faults, records)
    if given.noise in NAMES:
        return request._replace(disturbances={given.noise: PER_HOUR})
    return request if given.events else request._replace(disturbances={})


def parser() -> argparse.ArgumentParser:
    """The command line of this module."""
    made = argparse.ArgumentParser(prog="python -m jaxloc.studies.simulated_day", description=__doc__)
    made.add_argument("output", type=Path, metavar="OUT")
    made.add_argument("--stations", type=int, default=20)
    made.add_argument("--events", type=int, default=1500, help="earthquakes (default: 1500)")
    made.add_argument("--hours", type=float, default=24.0)
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--rate-hz", type=float, default=50.0, help="sampling rate (default: 50)")
    made.add_argument("--aperture-km", type=float, default=NetworkSettings().aperture_km, help="of the network")
    made.add_argument("--magnitude", type=float, nargs=2, default=(-0.5, 5.0), help="smallest and largest")
    made.add_argument("--peak-per-minute", type=float, default=60.0, help="events at the start of a sequence")
    made.add_argument("--chunk-s", type=float, default=3600.0, help="length of a file (default: 3600)")
    made.add_argument("--noise", default="ground", help=f"one of {', '.join(NOISES)}")
    made.add_argument("--sds", action="store_true", help="an SDS archive in OUT/archive, not OUT/waveforms")
    return made


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line of this module."""
    given, start = parser().parse_args(arguments), time.monotonic()
    say = lambda done, whole: print(f"chunk {done} of {whole}: {time.monotonic() - start:.0f} s", flush=True)
    day = write_day(given.output, jax.random.key(given.seed), request_of(given), given.sds, say)
    took = f"{time.monotonic() - start:.0f} s"
    print(f"{len(day.sources.magnitude)} sources at {len(day.stations)} stations in {took}: {given.output}")


if __name__ == "__main__":
    run_as_command(main)
