"""A run located with velocity models that are wrong: python -m jaxloc.studies.wrong_velocity RUN.

Fresh events of the run's own simulation are located with models whose speeds, or ratio of P to S speed, are not those
that the events were simulated with: once as if the model were exact, once with the uncertainty of a model of which none
is reported (`jaxloc.physics.velocity_error`).
"""

from pathlib import Path
from typing import Any

import numpy as np

from jaxloc.io.velocity_model import velocity_file, write_velocity
from jaxloc.physics.layered import VelocityModel, velocity_of
from jaxloc.runs import predict
from jaxloc.runs.datasets import fresh_events
from jaxloc.runs.load import load
from jaxloc.runs.transfer import trained_for
from jaxloc.studies.command import run_as_command
from jaxloc.studies.early_warning import arguments_of, row_of
from jaxloc.studies.table import Row, markdown_of, write_csv

PURPOSE = "test"  # of fresh events
MODELS: dict[str, tuple[float, float | None]] = {
    "right": (1.0, None),
    "speeds 8 % too low": (0.92, None),
    "speeds 8 % too high": (1.08, None),
    "Vp/Vs 1.85": (1.0, 1.85),
}
"""Factor on all speeds, and Vp/Vs of all layers (None: as it is), by name."""
ERRORS: dict[str, tuple[float | None, float | None]] = {"exact": (0.0, 0.0), "uncertain": (None, None)}
"""Standard deviations of speeds and of Vp/Vs, None for the default, by name."""
SHOWN = {
    "velocity model": "velocity",
    "taken as": "taken_as",
    "epicentre, median (km)": "epicentre_median_km",
    "predicted sd (km)": "epicentre_sd_km",
    "energy (km)": "energy_km",
    "90 % hypocentre": "hypocentre_90",
}


def evaluate_models(run: Path, number: int, folder: Path) -> list[Row]:
    """A row for each velocity model and each uncertainty of it; writes the models and wrong_velocity.csv.

    Raises:
        ValueError: where `run` is no finished run of simulated data, or its network uses no velocity model.
    """
    config, fitted = load(run)
    events = fresh_events(config["data"], int(config["seed"]), number, PURPOSE)
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for name, (factor, ratio) in MODELS.items():
        path = written(folder, name, changed(velocity_of(fitted.spec.velocity), factor, ratio))
        for taken_as, (speed_sd, vp_vs_sd) in ERRORS.items():
            there = trained_for(fitted, events, velocity_file(path, speed_sd, vp_vs_sd))
            row = row_of(predict.locate(there, events), fitted.spec)
            rows.append({"velocity": name, "taken_as": taken_as} | row)
    write_csv(folder / "wrong_velocity.csv", rows, list(rows[0]))
    return rows


def changed(model: VelocityModel, factor: float, vp_vs: float | None) -> VelocityModel:
    """A velocity model with other speeds, or another ratio of P to S speed in all layers."""
    vp = np.asarray(model.vp_km_s, float) * factor
    vs: Any = np.asarray(model.vs_km_s, float) * factor if vp_vs is None else vp / vp_vs
    return model._replace(vp_km_s=vp, vs_km_s=vs)


def written(folder: Path, name: str, model: VelocityModel) -> Path:
    """A velocity model as a file that users would give."""
    path = folder / f"{''.join(c if c.isalnum() else '_' for c in name)}.csv"
    write_velocity(path, model)
    return path


def main() -> None:
    """The command line of this module."""
    parsed = arguments_of("scores where the velocity model is wrong", "wrong_velocity")
    print(markdown_of(evaluate_models(parsed.run, parsed.events, parsed.output), SHOWN))


if __name__ == "__main__":
    run_as_command(main)
