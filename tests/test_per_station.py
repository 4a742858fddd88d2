"""Which stations of an event are active."""

import cases
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloc.per_station import active_stations

RECORDS = [
    (1e-9, True, True),
    (0.0, True, False),
    (1e-9, False, False),
    (np.nan, True, False),
    (np.inf, True, False),
    (-1e-9, True, True),
    (1e-30, True, False),
]


@pytest.mark.parametrize(("sample", "present", "active"), RECORDS)
def test_a_station_is_active_that_is_there_and_recorded_something(sample, present, active):
    seen = cases.observations()
    assert seen.waveforms is not None
    waveforms = jnp.zeros_like(seen.waveforms).at[1, 2, 5].set(sample)
    mask = jnp.ones_like(seen.station_mask).at[1].set(present)
    found = active_stations(seen._replace(waveforms=waveforms, station_mask=mask))
    np.testing.assert_array_equal(found, jnp.zeros_like(mask).at[1].set(active))
    np.testing.assert_array_equal(active_stations(seen._replace(waveforms=None, station_mask=mask)), mask)
