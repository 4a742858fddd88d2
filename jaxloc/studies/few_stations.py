"""A run at few of its stations: python -m jaxloc.studies.few_stations RUN.

Fresh events of the run's own simulation are located with the records of some stations, chosen at random for each event;
all others are silent. One station knows a ring of distances and a direction, two a pair of crossings: coverage shows
whether regions of such shapes hold what they claim.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from jaxloc import prng
from jaxloc.data.augmentation import only_stations
from jaxloc.runs import predict
from jaxloc.runs.datasets import fresh_events
from jaxloc.runs.load import load
from jaxloc.runs.shift_windows import changed
from jaxloc.studies.command import run_as_command
from jaxloc.studies.early_warning import arguments_of, row_of
from jaxloc.studies.table import COVERAGE, Row, markdown_of, write_csv

PURPOSE = "test"  # of fresh events
NUMBERS = (1, 2, 3, 4, 6)
SHOWN = {
    "stations": "stations",
    "epicentre, median (km)": "epicentre_median_km",
    "predicted sd (km)": "epicentre_sd_km",
    "energy (km)": "energy_km",
    "climatology": "energy_km_climatology",
    "90 % epicentre": "epicentre_90",
    **{f"{name.partition('_')[2]} % hypocentre": name for name in COVERAGE},
}


def evaluate_numbers(run: Path, number: int, folder: Path, stations: Sequence[int] = NUMBERS) -> list[Row]:
    """A row for each number of stations; writes few_stations.csv.

    Args:
        run: folder of a finished run on simulated data.
        number: of fresh events.
        folder: for the table.
        stations: numbers of stations with a record.

    Raises:
        ValueError: where `run` is no finished run of simulated data, or a number of stations is not positive.
    """
    if not stations or min(stations) < 1:
        raise ValueError(f"numbers of stations must be positive, got {list(stations)}")
    config, fitted = load(run)
    events = fresh_events(config["data"], int(config["seed"]), number, PURPOSE)
    key = prng.stream("faults", int(config["seed"]))
    rows = []
    for count in stations:
        some = changed(key, events, partial(only_stations, number=count))
        rows.append({"stations": count} | row_of(predict.locate(fitted, some), fitted.spec))
    folder.mkdir(parents=True, exist_ok=True)
    write_csv(folder / "few_stations.csv", rows, list(rows[0]))
    return rows


def main() -> None:
    """The command line of this module."""
    parsed = arguments_of("scores where few stations have a record", "few_stations")
    print(markdown_of(evaluate_numbers(parsed.run, parsed.events, parsed.output), SHOWN))


if __name__ == "__main__":
    run_as_command(main)
