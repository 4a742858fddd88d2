"""Velocity models by default, by where stations are."""

import numpy as np
import pytest

from jaxloc.data.dataset import Station
from jaxloc.physics.layered import velocity_of
from jaxloc.runs.crusts import Crust, continental, crust_at, oceanic


def stations(*elevation_m: float) -> list[Station]:
    return [Station(f"XX.{i}", 10.0, 0.1 * i, each) for i, each in enumerate(elevation_m)]


def test_on_land_it_is_that_of_ak135() -> None:
    found = continental()
    assert found.settings["top_km"][:3] == [0.0, 20.0, 35.0]
    assert found.settings["vp_km_s"][:3] == [5.8, 6.5, 8.04]
    assert crust_at(stations(100.0, 900.0, -2000.0)) == found  # one station of three on the sea floor
    assert crust_at(stations(-200.0, -900.0)) == found  # on the shelf


def test_at_the_floor_of_an_ocean_layers_begin_there() -> None:
    found = crust_at(stations(-2400.0, -2600.0, -2500.0))
    assert found == oceanic(2.5)
    assert found.settings["top_km"][:4] == pytest.approx([0.0, 4.25, 9.0, 77.5])
    assert found.settings["vp_km_s"][:3] == [5.05, 6.75, 8.04]
    assert "2.5 km of water" in found.name


@pytest.mark.parametrize("found", [continental(), oceanic(3.0)], ids=lambda found: found.name)
def test_settings_make_a_velocity_model_with_an_uncertainty(found: Crust) -> None:
    model = velocity_of(found.settings)
    assert len(model.top_km) == len(found.settings["top_km"])
    assert (np.diff(found.settings["top_km"]) > 0).all()
    assert (np.asarray(found.settings["vp_km_s"]) / found.settings["vs_km_s"] > 1.6).all()
    assert found.settings["speed_sd"] > 0
    assert found.settings["vp_vs_sd"] > 0
