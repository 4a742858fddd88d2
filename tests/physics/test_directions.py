"""Directions of P against those to a hypocentre."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxloc.physics.directions import NEAR_KM, WRONG, direction_log_density

STATION_KM = jnp.zeros((1, 3))


def density(towards: tuple[float, float], place_km: tuple[float, float, float], active: float = 1.0) -> float:
    return float(direction_log_density(jnp.array([towards]), jnp.array([active]), STATION_KM, jnp.array(place_km)))


def test_a_source_lies_where_its_wave_comes_from() -> None:
    around = [(30 * np.sin(a), 30 * np.cos(a), 10.0) for a in np.linspace(0, 2 * np.pi, 72, endpoint=False)]
    found = [density((0.0, 20.0), place) for place in around]
    assert np.argmax(found) == 18  # a wave from the east
    assert np.exp(found).mean() == pytest.approx(1.0, abs=0.02)  # relative to directions that are all alike


def test_a_wrong_direction_costs_no_more_than_its_share() -> None:
    assert density((0.0, 500.0), (-30.0, 0.0, 5.0)) == pytest.approx(np.log(WRONG), abs=1e-3)


def test_directions_tell_little_right_below_a_station() -> None:
    assert abs(density((0.0, 5.0), (0.01 * NEAR_KM, 0.0, 5.0)) - density((0.0, 5.0), (0.0, 0.0, 5.0))) < 0.06


def test_no_concentration_and_silent_stations_tell_nothing() -> None:
    assert density((0.0, 0.0), (10.0, 3.0, 5.0)) == pytest.approx(0.0, abs=1e-4)
    assert density((0.0, 9.0), (10.0, 3.0, 5.0), active=0.0) == 0.0
