"""Fitting speeds, delays and origin times to synthetic picks, a tenth of them wrong by seconds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloc.arrival_fit import fit_physics, label_arrivals
from jaxloc.arrival_physics import predicted_s
from jaxloc.networks.arrivals import PhysicsModel, Prior
from jaxloc.traveltime import TableGrid
from jaxloc.types import Batch, Label, Observations

STATIONS, EVENTS, PICK_SD_S = 10, 24, 0.05
GRID = TableGrid(120.0, (0.0, 20.0), (-1.0, 0.0), 16, 8, 2)
MODEL = PhysicsModel(((0.0,), (6.0,)), (0.0,) * STATIONS, GRID, Prior())
TRUE = {"vp": 6.4, "vp_vs": 1.76, "delay_s": 0.2}


def stations_km():
    return np.c_[np.random.default_rng(5).uniform(-30, 30, (STATIONS, 2)), np.full(STATIONS, -0.5)].astype(np.float32)


def observations(picks_s=None, mask=None):
    return Observations(
        None, jnp.asarray(stations_km()), jnp.ones(STATIONS, bool), jnp.arange(STATIONS), jnp.asarray(20.0),
        picks_s=picks_s, pick_mask=mask,
    )  # fmt: skip


def physics_of(params):
    return MODEL.apply({"params": params}, observations())


def start():
    return MODEL.init(jax.random.key(0), observations())["params"]


def batch():
    """Events at known places, with straight rays at other speeds than the model starts from; NumPy."""
    rng = np.random.default_rng(0)
    origin_s = rng.uniform(2, 8, EVENTS)
    place = np.c_[rng.uniform(-20, 20, (EVENTS, 2)), rng.uniform(3, 15, EVENTS)]
    straight = np.linalg.norm(place[:, None] - stations_km(), axis=-1)
    arrival_s = origin_s[:, None, None] + straight[..., None] / (TRUE["vp"] / np.array([1, TRUE["vp_vs"]]))
    arrival_s[:, 0] += TRUE["delay_s"]
    picks_s = arrival_s + PICK_SD_S * rng.normal(size=arrival_s.shape)
    wrong = rng.uniform(size=picks_s.shape) < 0.1
    picks_s = np.where(wrong, arrival_s + rng.uniform(-6, 6, picks_s.shape), picks_s)
    mask = rng.uniform(size=picks_s.shape) < 0.8
    mask[-1] = False  # the last event has no picks at all
    # The origin time is not labelled, as in a catalogue whose clock is another.
    hypocentre = np.c_[place, np.zeros(EVENTS)]
    known = np.broadcast_to([True, True, True, False], (EVENTS, 4))
    single = lambda x: jnp.asarray(x, jnp.float32)
    seen = jax.vmap(observations)(single(np.where(mask, picks_s, 0)), jnp.asarray(mask))
    labelled = jnp.asarray(mask & ~wrong)
    labels = {
        "hypocentre": Label(single(hypocentre), jnp.asarray(known)),
        "arrivals": Label(jnp.where(labelled, single(picks_s), 0.0), labelled),
    }
    return Batch(seen, labels), origin_s, arrival_s


@pytest.fixture(scope="module")
def fitted():
    events, origin_s, arrival_s = batch()
    params, got_s = fit_physics(physics_of, start(), events, steps=150)
    return events, params, np.asarray(got_s), origin_s, arrival_s


def test_speeds_are_recovered_in_spite_of_wrong_picks(fitted):
    _, params, _, _, _ = fitted
    vp = 6.0 * np.exp(Prior().speed_sd * params["speed"][0])
    vp_vs = Prior().vp_vs + Prior().vp_vs_sd * params["vp_vs"]
    # 350 good picks of 0.05 s over 5 s of travel time give 0.1 per cent; delays and origin times share in it.
    assert vp == pytest.approx(TRUE["vp"], rel=0.01)
    assert vp_vs == pytest.approx(TRUE["vp_vs"], rel=0.01)


def test_origin_times_are_recovered(fitted):
    """Some 14 good picks an event give 0.05 / sqrt(14) = 0.013 s; what speeds and delays take comes on top."""
    _, _, got_s, origin_s, _ = fitted
    error = (got_s - origin_s)[:-1]
    assert np.abs(error).max() < 0.1
    assert error.std() < 0.03
    assert got_s[-1] == 0  # no pick, no origin time


def test_the_late_station_is_found(fitted):
    _, params, _, _, _ = fitted
    delay_s = np.asarray(params["delay"]) * Prior().delay_sd_s
    late = delay_s[0] - delay_s[1:].mean(0)
    np.testing.assert_allclose(late, TRUE["delay_s"], atol=0.06)


def test_labels_are_filled_by_physics_where_nothing_was_picked(fitted):
    events, params, got_s, _, arrival_s = fitted
    physics = physics_of(params)
    labelled = jax.jit(jax.vmap(lambda e, t: label_arrivals(physics, e, t)))(events, jnp.asarray(got_s))
    value, mask = labelled.labels["arrivals"]
    old, picked = events.labels["arrivals"]
    assert mask.all()
    np.testing.assert_array_equal(value[picked], old[picked])
    filled = ~np.asarray(picked)
    filled[-1] = False
    assert np.abs(value - arrival_s)[filled].max() < 0.15
    np.testing.assert_array_equal(labelled.labels["hypocentre"].mask, events.labels["hypocentre"].mask)


def test_an_unknown_place_is_left_out():
    events, _, _ = batch()
    one = jax.tree.map(lambda x: x[0], events)
    value, mask = one.labels["hypocentre"]
    one.labels["hypocentre"] = Label(value, mask.at[2].set(False))
    physics = jax.jit(physics_of)(start())
    arrivals = jax.jit(label_arrivals)(physics, one, jnp.asarray(3.0)).labels["arrivals"]
    np.testing.assert_array_equal(arrivals.mask, one.labels["arrivals"].mask)
    assert np.isfinite(jax.jit(predicted_s)(physics, value)).all()


def test_no_picks_are_refused():
    events, _, _ = batch()
    bare = events._replace(observations=events.observations._replace(picks_s=None, pick_mask=None))
    with pytest.raises(ValueError, match="picks_s is None"):
        fit_physics(physics_of, start(), bare, steps=1)
