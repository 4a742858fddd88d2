"""What the events of a catalogue tell of velocities, from exact arrivals of another model than the given one."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chi2

from jaxloc.data.dataset import Station, positions_km
from jaxloc.geometry import frame_of, to_km
from jaxloc.io.pick_files import Pick, PickedEvent, PickFile
from jaxloc.io.picks import as_dataset
from jaxloc.io.station_epochs import Epoch
from jaxloc.locators.setup import Setup, times_of
from jaxloc.physics.adaptive_grid import Region
from jaxloc.physics.layered import layered
from jaxloc.physics.layered_times import layered_times
from jaxloc.physics.model_errors import of_velocity
from jaxloc.physics.velocity_error import VelocityError
from jaxloc.runs.learnt_velocities import FEWEST_EVENTS, LATERAL, learnt_from
from jaxloc.runs.locate_picks import locate, with_learnt
from jaxloc.runs.pick_setup import Request

GIVEN = layered([0.0, 4.0], [5.5, 6.2], [5.5 / 1.73, 6.2 / 1.73])
TRUE = layered([0.0, 4.0], [5.7, 6.0], [5.7 / 1.75, 6.0 / 1.75])
RNG = np.random.default_rng(0)
STATIONS = tuple(
    Station(f"XX.S{i}", *at, 0.0) for i, at in enumerate(RNG.uniform([39.85, 9.8], [40.15, 10.2], (12, 2)))
)
ZERO_NS = 1_577_836_800 * 10**9


def picks_of(number):
    """Events of places spread over the network, with picks of P and S at all stations that err by 0.02 s."""
    rng = np.random.default_rng(1)
    frame = frame_of(*np.array([[s.latitude_deg, s.longitude_deg] for s in STATIONS]).T)
    station_km = positions_km(frame, STATIONS).astype(np.float32)
    place_km = np.c_[rng.uniform(-12, 12, (number, 2)), rng.uniform(2, 14, number)].astype(np.float32)
    arrival_s = np.asarray(layered_times(TRUE)(station_km)(place_km)) + 0.02 * rng.normal(size=(number, 12, 2))
    events = [
        PickedEvent(
            f"{i:03d}",
            tuple(
                Pick(STATIONS[j].code, "PS"[k], ZERO_NS + 60 * i * 10**9 + round(1e9 * arrival_s[i, j, k]), 0.02, 1.0)
                for j in range(12)
                for k in range(2)
            ),
        )
        for i in range(number)
    ]
    return as_dataset("test", PickFile(tuple(events), 0), [Epoch(s) for s in STATIONS], 0.1), place_km, frame


def asked(number):
    picks, place_km, frame = picks_of(number)
    dataset = picks.dataset
    shift_km = np.array(to_km(dataset.frame, frame.latitude_deg, frame.longitude_deg))
    region = Region((-30.0, 30.0), (-30.0, 30.0), (0.0, 30.0), (-20.0, 5.0))
    setup = Setup(region, positions_km(dataset.frame, dataset.stations), GIVEN, velocity_error=VelocityError())
    return setup, dataset, place_km + np.append(shift_km, 0.0)


@pytest.fixture(scope="module")
def learnt():
    setup, dataset, place_km = asked(80)
    said = []
    start_km = place_km + np.random.default_rng(2).normal(size=place_km.shape)
    return learnt_from(setup, dataset, start_km, said.append), said, place_km


def test_speeds_are_nearer_to_the_true_ones(learnt):
    """Both were wrong by 3 %; 1 % is some four standard deviations of what 80 events leave unknown."""
    found = learnt[0].setup.velocity
    np.testing.assert_allclose(found.vp_km_s, TRUE.vp_km_s, rtol=0.01)
    np.testing.assert_allclose(np.asarray(found.vp_km_s) / np.asarray(found.vs_km_s), 1.75, rtol=0.005)


def test_travel_times_are_those_of_the_learnt_model_with_its_terms(learnt):
    """At a known place residuals are within the picks' errors, where the given model's are 0.1 s and more."""
    setup, place_km = learnt[0].setup, learnt[2]
    station_km = np.asarray(setup.station_km, np.float32)
    rms = lambda late_s: float(np.sqrt((late_s - late_s.mean((1, 2), keepdims=True)).var()))
    of_true = np.asarray(layered_times(TRUE)(station_km)(place_km.astype(np.float32)))
    of_learnt = np.asarray(times_of(setup, "octree", 0.5)(station_km)(place_km.astype(np.float32)))
    of_given = np.asarray(layered_times(GIVEN)(station_km)(place_km.astype(np.float32)))
    assert rms(of_learnt - of_true) < 0.03 < rms(of_given - of_true)


def test_errors_that_residuals_do_not_show_remain(learnt):
    found, said, _ = learnt
    assert found.settings["model_share"] >= LATERAL
    assert found.setup.shared is not None
    assert "learnt from" in said[0]


def test_a_few_events_tell_a_part():
    """Of 6 events: speeds wrong by 3 % are nearer to the true ones in the mean, and their errors stay larger."""
    far = lambda model: float(np.abs(np.log(np.asarray(model.vp_km_s) / np.asarray(TRUE.vp_km_s))).mean())
    spread = lambda shared: float(np.sqrt(np.square(shared.factor[: len(TRUE.vp_km_s)]).sum()))
    few, many = ([*asked(number)] for number in (FEWEST_EVENTS + 1, 80))
    few, many = (learnt_from(*each, lambda line: None).setup for each in (few, many))
    assert far(few.velocity) < 0.7 * far(GIVEN)
    assert spread(many.shared) < spread(few.shared) < spread(of_velocity(GIVEN, VelocityError()))


def test_hardly_any_event_leaves_the_given_velocities_and_their_errors():
    setup, dataset, start_km = asked(FEWEST_EVENTS - 1)
    said = []
    found = learnt_from(setup, dataset, start_km, said.append)
    assert found.setup.velocity is setup.velocity
    assert found.setup.terms is None
    assert found.setup.shared is not None
    assert not found.settings
    assert "are needed to learn them" in said[0]


def test_the_option_is_for_locators_that_take_what_is_learnt(tmp_path):
    setup, _, _ = asked(5)
    request = Request("geiger", tmp_path, learn_velocities=True)
    with pytest.raises(ValueError, match="no effect on the locator geiger; use grid_search or octree"):
        with_learnt(request, picks_of(5)[0], setup, print)


@pytest.mark.slow
def test_locations_with_learnt_velocities_are_nearer():
    """Errors of depth are at most 0.7 times those with the given speeds (0.54 measured); 90 % regions hold 80 %."""
    picks, _, _ = picks_of(80)
    setup, _, place_km = asked(80)
    request = Request("octree", Path(), settings={"kind": "student_t"}, learn_velocities=True)
    plain = locate(jax.random.key(0), request, picks, setup=setup)
    learnt, changed = with_learnt(request, picks, setup, lambda line: None)
    found = locate(jax.random.key(0), learnt, picks, setup=changed)
    error_km = lambda located: np.abs(np.asarray(located.posterior.mean)[:, 2] - place_km[:, 2]).mean()
    assert error_km(found) < 0.7 * error_km(plain)
    truth = jnp.asarray(np.c_[place_km, np.zeros(80)], jnp.float32)
    draws = found.posterior.hypocentre.sample(jax.random.key(1), (400,))[..., :3]
    spread = jax.vmap(lambda x: jnp.cov(x.T), 1)(draws)
    away = np.asarray(found.posterior.mean)[:, :3] - np.asarray(truth[:, :3])
    inside = np.einsum("ni,nij,nj->n", away, np.linalg.inv(spread), away) < chi2.ppf(0.9, 3)
    assert inside.mean() > 0.8
