"""A run under other velocities than those of training: python -m jaxloc.studies.velocity_shift RUN --output FOLDER.

The same sources are simulated again with all speeds slower or faster (`data.speed_factor` of the preset groningen).
Where a network does not know the ground, its draws of weights should disagree, and regions should grow with errors.
"""

from collections.abc import Sequence
from pathlib import Path

from jaxloc.runs import train
from jaxloc.runs.datasets import fresh_events
from jaxloc.studies.early_warning import asked, row_of
from jaxloc.studies.table import Row, markdown_of, write_csv

FACTORS = (1.0, 0.8, 0.5, 2.0)
ROUND = 7  # of fresh events: none that a calibration or another study uses
SHOWN = {
    "speeds": "speed_factor",
    "epicentre, median (km)": "epicentre_median_km",
    "epistemic (km)": "epistemic_km",
    "stated (km)": "stated_km",
    "energy (km)": "energy_km",
    "catalogue": "catalogue_energy_km",
    "90 % hypocentre": "hypocentre_90",
    "90 % area (km²)": "area90_km2",
}


def judge(run: Path, number: int, folder: Path, factors: Sequence[float] = FACTORS) -> list[Row]:
    """A row for each factor on the speeds of the ground; writes `ground.csv`.

    Raises:
        ValueError: where the folder is no finished run, or its data have no `speed_factor`.
    """
    config, fitted = train.load(run)
    if "speed_factor" not in config["data"]:
        raise ValueError(
            f"{run} has no data.speed_factor: only ground that is simulated by data=groningen can be changed"
        )
    rows = []
    for factor in factors:
        events = fresh_events(config["data"] | {"speed_factor": factor}, int(config["seed"]), number, ROUND)
        rows.append({"speed_factor": factor} | row_of(fitted, events))
    folder.mkdir(parents=True, exist_ok=True)
    write_csv(folder / "ground.csv", rows, list(rows[0]))
    return rows


def main() -> None:
    """The command line of this module."""
    parsed = asked("a run where the ground is slower or faster than it learnt")
    print(markdown_of(judge(parsed.run, parsed.events, parsed.output), SHOWN))


if __name__ == "__main__":
    main()
