"""Ruptures and their ground motion against known answers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import quick_jit

from jaxloc.simulation.events import default_model
from jaxloc.simulation.finite_fault import FaultZone, arc_lengths_km, draw_rupture
from jaxloc.simulation.marmara import STATIONS, Scenarios, marmara_scenarios, trace_km
from jaxloc.simulation.recording import Recording
from jaxloc.simulation.sources import corner_hz
from jaxloc.simulation.stochastic_motion import END, RISE, energy_scale, window_of

ZONE = FaultZone(np.array([[-80.0, 0.0], [0.0, 10.0], [80.0, 0.0]]))
NUMBER = 400


@pytest.fixture(scope="module")
def ruptures():
    return jax.tree.map(
        np.asarray, quick_jit(jax.vmap(lambda k: draw_rupture(k, ZONE)))(jax.random.split(jax.random.key(0), NUMBER))
    )


def test_corner_frequency_is_brunes_in_the_units_of_the_literature():
    """4.9e6 beta (stress drop / moment)^(1/3) with km/s, bar and dyne cm."""
    moment_dyne_cm = 10 ** (1.5 * 6.0 + 16.1)
    want = 4.9e6 * 3.5 * (100.0 / moment_dyne_cm) ** (1 / 3)
    np.testing.assert_allclose(corner_hz(jnp.array(6.0), jnp.array(10.0), jnp.array(3.5)), want, rtol=0.01)


def test_lengths_follow_wells_and_coppersmith_and_stay_on_the_fault(ruptures):
    length_km = np.diff(ruptures.ends_km).ravel()
    longest_km = arc_lengths_km(ZONE.trace_km)[-1]
    residual = np.log10(length_km) - (-2.57 + 0.62 * ruptures.magnitude)
    small = ruptures.magnitude < 6.5  # larger ones may be cut by the end of the fault
    assert abs(residual[small].mean()) < 4 * 0.15 / small.sum() ** 0.5
    assert (ruptures.ends_km >= 0).all()
    assert (ruptures.ends_km <= longest_km + 1e-3).all()


def test_subfaults_share_the_moment_and_start_after_the_hypocentre(ruptures):
    moment = (10 ** (1.5 * ruptures.part_magnitude)).sum(-1)
    np.testing.assert_allclose(np.log10(moment) / 1.5, ruptures.magnitude, atol=1e-4)
    assert (ruptures.start_s >= 0).all()
    deep = (ruptures.place_km[..., 2] > ZONE.depth_km[0]) & (ruptures.place_km[..., 2] < ZONE.depth_km[1])
    assert deep.all()
    first = np.take_along_axis(ruptures.part_corner_hz, ruptures.start_s.argmin(-1)[:, None], -1)[:, 0]
    assert (first >= ruptures.part_corner_hz.max(-1) - 1e-4).all()


@pytest.mark.parametrize("subfaults", [(1, 1), (8, 3)])
def test_radiated_energy_does_not_depend_on_the_number_of_parts(subfaults):
    frequency_hz = jnp.linspace(0.05, 10.0, 200)
    zone = ZONE._replace(subfaults=subfaults, slip_sd=0.0)
    rupture = draw_rupture(jax.random.key(3), zone)
    shape = lambda corner: frequency_hz**2 / (1 + (frequency_hz / corner) ** 2)
    parts = energy_scale(rupture, frequency_hz)[:, None] / len(rupture.start_s) * shape(rupture.part_corner_hz[:, None])
    np.testing.assert_allclose((parts**2).sum(), (shape(rupture.corner_hz) ** 2).sum(), rtol=1e-4)


def test_windows_have_unit_energy_and_end_at_the_given_level():
    second = jnp.arange(0, 40, 0.05)
    window = np.asarray(window_of(second, jnp.array(10.0)))
    assert (window**2).sum() == pytest.approx(1.0, rel=1e-5)
    assert window.argmax() * 0.05 == pytest.approx(10.0 * RISE, abs=0.05)
    assert window[200] / window.max() == pytest.approx(END, rel=1e-3)


@pytest.mark.slow
def test_scenarios_shake_more_the_larger_and_nearer_they_are():
    """The same by number whatever is made with them, with their first pick at a set time; shaking grows with size."""
    scenarios = Scenarios(FaultZone(trace_km()), Recording(20.0, 200, (0.1, 8.0)))
    make = lambda first: marmara_scenarios(jax.random.key(0), scenarios, default_model(), 40, {"train": 40}, first)
    batch = make(0).take(np.arange(40))
    np.testing.assert_array_equal(make(10).take(np.array([0])).observations.picks_s, batch.observations.picks_s[10:11])
    waveforms, hypocentre = batch.observations.waveforms, batch.labels["hypocentre"].value
    assert np.isfinite(waveforms).all()
    assert waveforms.shape == (40, len(STATIONS), 3, 200)
    away_km = np.linalg.norm(batch.observations.station_km - hypocentre[:, None, :3], axis=-1)
    nearest = away_km.argmin(-1)
    peak = np.abs(waveforms).max((2, 3))[np.arange(40), nearest]
    heard = peak > 0
    assert np.corrcoef(np.log10(peak[heard]), batch.labels["magnitude"].value[heard])[0, 1] > 0.6
    first_s = np.where(batch.observations.pick_mask[..., 0], batch.observations.picks_s[..., 0], np.inf).min(-1)
    np.testing.assert_allclose(first_s, 4.0, atol=1e-3)
