"""Early warning and velocity shift: wrong settings, the events at each time, and a tiny run over time."""

import csv
import math
from pathlib import Path

import pytest

from jaxloc.runs import config as configuration
from jaxloc.runs import train
from jaxloc.studies import early_warning, velocity_shift


@pytest.mark.parametrize("factors", [(), (1.0, 0.0), (-1.0,)])
def test_factors_on_speeds_must_be_positive(tmp_path: Path, factors: tuple[float, ...]):
    with pytest.raises(ValueError, match="factors on the speeds must be positive, got"):
        velocity_shift.evaluate_factors(tmp_path, 10, tmp_path, factors)


@pytest.mark.parametrize("times_s", [(), (1.0, 0.0), (-1.0,), (1.0, float("nan"))])
def test_times_of_early_warning_must_be_positive(tmp_path: Path, times_s: tuple[float, ...]):
    with pytest.raises(ValueError, match="times_s must be positive times in s after the first P, got"):
        early_warning.evaluate_over_time(tmp_path, 10, tmp_path, times_s)


TINY = [
    "posterior=point",
    "posterior.draws=1",
    "data.num_train=10",
    "data.num_dev=3",
    "data.num_samples=300",
    "data.records.elapsed_s=[0.5,4.0]",
    "stages.learn.steps=10",
    "stages.weights.steps=0",
]


@pytest.mark.slow
def test_a_tiny_run_over_time_has_a_row_for_each_time(tmp_path: Path):
    """Triggered stations increase with time, and the climatology of the same events does not depend on it."""
    config = configuration.load("marmara_preseis", TINY) | {"run_dir": str(tmp_path / "run")}
    train.run(config, tmp_path / "run", say=lambda line: None)
    first, last = early_warning.evaluate_over_time(tmp_path / "run", 6, tmp_path / "over_time", (0.5, math.inf))
    assert (first["elapsed_s"], last["elapsed_s"], first["events"], last["events"]) == (0.5, math.inf, 6, 6)
    assert 1 <= first["triggered"] < last["triggered"] <= 10
    assert first["energy_km_climatology"] == pytest.approx(last["energy_km_climatology"], rel=1e-5)
    assert first["magnitude_crps_climatology"] == pytest.approx(last["magnitude_crps_climatology"], rel=1e-5)
    assert first["energy_km"] != last["energy_km"]
    with (tmp_path / "over_time" / "early_warning.csv").open() as file:
        written = list(csv.DictReader(file))
    assert [row["elapsed_s"] for row in written] == ["0.5", "inf"]
    assert float(written[0]["energy_km_low"]) <= float(written[0]["energy_km"]) <= float(written[0]["energy_km_high"])
    assert (tmp_path / "over_time" / "early_warning.png").stat().st_size > 10_000
