"""A run under other velocities than those of training: python -m jaxloc.studies.velocity_shift RUN.

The same sources are simulated again with all speeds multiplied by a factor (`data.speed_factor` of the preset
groningen). With other velocities than in training, samples of the weights should disagree more, and credible regions
should grow with the errors.
"""

from collections.abc import Sequence
from pathlib import Path

from jaxloc.runs import predict
from jaxloc.runs.datasets import fresh_events
from jaxloc.runs.load import load
from jaxloc.studies.command import run_as_command
from jaxloc.studies.early_warning import arguments_of, row_of
from jaxloc.studies.table import Row, markdown_of, write_csv

FACTORS = (1.0, 0.8, 0.5, 2.0)
PURPOSE = "velocity_shift"  # of fresh events
SHOWN = {
    "speed factor": "speed_factor",
    "epicentre, median (km)": "epicentre_median_km",
    "epistemic sd (km)": "epistemic_km",
    "predicted sd (km)": "epicentre_sd_km",
    "energy (km)": "energy_km",
    "climatology": "energy_km_climatology",
    "90 % hypocentre": "hypocentre_90",
    "90 % area (km²)": "area90_km2",
}


def evaluate_factors(run: Path, number: int, folder: Path, factors: Sequence[float] = FACTORS) -> list[Row]:
    """A row for each factor on the speeds of P and S; writes velocity_shift.csv.

    Raises:
        ValueError: where `run` is no finished run, its data have no `speed_factor`, or a factor is not positive.
    """
    if not factors or not all(factor > 0 for factor in factors):
        raise ValueError(f"factors on the speeds must be positive, got {list(factors)}")
    config, fitted = load(run)
    if "speed_factor" not in config["data"]:
        raise ValueError(f"{run} has no data.speed_factor; use a run on data=groningen, which can change velocities")
    rows = []
    for factor in factors:
        events = fresh_events(config["data"] | {"speed_factor": factor}, int(config["seed"]), number, PURPOSE)
        rows.append({"speed_factor": factor} | row_of(predict.locate(fitted, events), fitted.spec))
    folder.mkdir(parents=True, exist_ok=True)
    write_csv(folder / "velocity_shift.csv", rows, list(rows[0]))
    return rows


def main() -> None:
    """The command line of this module."""
    parsed = arguments_of("scores where velocities differ from those of training", "velocity_shift")
    print(markdown_of(evaluate_factors(parsed.run, parsed.events, parsed.output), SHOWN))


if __name__ == "__main__":
    run_as_command(main)
