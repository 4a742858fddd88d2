"""Few stations: wrong numbers, and a small run whose regions grow as its stations fall silent."""

import pytest

from jaxloc.runs import config as configuration
from jaxloc.runs import train
from jaxloc.studies import few_stations


@pytest.mark.parametrize("numbers", [(), (1, 0)])
def test_numbers_of_stations_must_be_positive(tmp_path, numbers):
    with pytest.raises(ValueError, match="numbers of stations must be positive, got"):
        few_stations.evaluate_numbers(tmp_path, 5, tmp_path, numbers)


@pytest.mark.slow
def test_regions_grow_where_stations_are_silent(tmp_path):
    """One station gives a ring, eight a point: the predicted error falls, and stays below the climatology's."""
    overrides = [
        "posterior=point",
        "data.num_train=20",
        "data.num_dev=4",
        "stages.learn.steps=100",
        "stages.weights.steps=10",
    ]
    config = configuration.load("small_arrivals", overrides) | {"run_dir": str(tmp_path / "run")}
    train.run(config, tmp_path / "run", say=lambda line: None)
    one, eight = few_stations.evaluate_numbers(tmp_path / "run", 8, tmp_path / "few", (1, 8))
    assert (one["stations"], eight["stations"], one["events"]) == (1, 8, 8)
    assert one["epicentre_sd_km"] > eight["epicentre_sd_km"]
    assert one["energy_km_climatology"] == pytest.approx(eight["energy_km_climatology"], rel=1e-5)
    assert (tmp_path / "few" / "few_stations.csv").read_text().count("\n") == 3
