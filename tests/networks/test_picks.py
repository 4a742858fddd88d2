"""Picks without waveforms: what simulates them, and the network that reads them."""

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import NETWORKS, observations, quick_jit
from scipy.stats import kstest

from jaxloc.data.augmentation import Augmentation, augment
from jaxloc.data.dataset import Dataset
from jaxloc.distributions.gaussian_mixture import components
from jaxloc.heads import gaussian, volume
from jaxloc.networks import picks
from jaxloc.physics.adaptive_grid import Region
from jaxloc.physics.layered import uniform
from jaxloc.simulation.events import DEFAULT_FRAME, random_network
from jaxloc.simulation.picks import Picking, simulated_picks
from jaxloc.types import Weights

REGION = Region((-20.0, 20.0), (-20.0, 20.0), (2.0, 15.0), (0.0, 10.0))
SPEEDS = np.array([6.0, 3.5])


@lru_cache
def events(number: int = 300, first: int = 0) -> Dataset:
    stations = random_network(jax.random.key(0), 6, 60.0)
    model = uniform(6.0, 6.0 / 3.5)
    return simulated_picks(jax.random.key(1), Picking(REGION), model, stations, DEFAULT_FRAME, number, "train", first)


def test_errors_of_simulated_picks_have_their_standard_deviation():
    """White residuals about straight rays are normal: by the test of Kolmogorov and Smirnov at 1 %, with a fixed key.

    The table of travel times is exact where there is one speed.
    """
    seen, labels = (batch := events().take(np.arange(300))).observations, batch.labels
    truth = labels["hypocentre"].value
    apart = np.linalg.norm(truth[:, None, :3] - seen.station_km, axis=-1)
    np.testing.assert_allclose(labels["arrivals"].value, truth[:, 3, None, None] + apart[..., None] / SPEEDS, atol=2e-3)
    white = ((seen.picks_s - labels["arrivals"].value) / seen.pick_sigma_s)[seen.pick_mask]
    assert kstest(white, "norm").pvalue > 0.01
    assert (seen.pick_mask.sum((1, 2)) >= 6).all()
    assert not seen.picks_s[~seen.pick_mask].any()
    for i, (low, high) in enumerate(REGION):
        assert kstest((truth[:, i] - low) / (high - low), "uniform").pvalue > 0.01


def test_events_follow_from_their_number_alone():
    first, later = events(8, 0).take(np.arange(8)), events(4, 4).take(np.arange(4))
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a[4:], b), first, later)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda build: build(Picking(REGION, lost=1.5)), "share within 0-1"),
        (lambda build: build(Picking(REGION), 0), "at least one, got 0"),
    ],
)
def test_wrong_picking_settings_are_named(action, message):
    stations = random_network(jax.random.key(0), 3, 60.0)
    build = lambda picking, number=1: simulated_picks(
        jax.random.key(1), picking, uniform(6.0), stations, DEFAULT_FRAME, number
    )
    with pytest.raises(ValueError, match=message):
        action(build)


def test_repicked_events_keep_their_arrivals():
    """New errors of the stated size (root mean square within 4 standard errors of one), the same picks missing."""
    one = jax.tree.map(lambda x: jnp.asarray(x[0]), events().take(np.arange(1)))
    keys = jax.random.split(jax.random.key(0), 400)
    again = quick_jit(jax.vmap(lambda key: augment(key, Augmentation(repick=True), one)))(keys)
    seen, mask = again.observations, one.observations.pick_mask
    white = ((seen.picks_s - one.labels["arrivals"].value) / one.observations.pick_sigma_s)[:, mask]
    assert abs((white**2).mean() - 1) < 4 * np.sqrt(2 / white.size)
    np.testing.assert_array_equal(seen.pick_mask, jnp.broadcast_to(mask, seen.pick_mask.shape))
    bare = one._replace(observations=one.observations._replace(picks_s=None))
    with pytest.raises(ValueError, match="cannot be sampled again"):
        augment(keys[0], Augmentation(repick=True), bare)


@lru_cache
def case():
    network = NETWORKS["picks"].build()
    params = quick_jit(network.init)(jax.random.key(0), observations())
    # Away from the start, where all the outputs are close to zero.
    moved = jax.tree.map(lambda x: x + 0.05 * jax.random.normal(jax.random.key(x.size), x.shape), params)
    apply = quick_jit(network.apply)
    return network, moved, lambda one: apply(Weights(moved), one)


def test_what_is_no_pick_has_no_influence():
    _, _, read = case()
    one = observations()
    less = one._replace(pick_mask=one.pick_mask.at[2, 1].set(False), station_mask=one.station_mask.at[4].set(False))
    wild = less._replace(
        picks_s=less.picks_s.at[2, 1].set(jnp.nan).at[4].set(1e6), station_km=less.station_km.at[4].set(jnp.inf)
    )
    np.testing.assert_array_equal(read(less), read(wild))
    assert np.abs(read(less) - read(one)).max() > 1e-3
    none = read(one._replace(pick_mask=jnp.zeros_like(one.pick_mask)))
    assert np.isfinite(none).all()


@pytest.mark.parametrize(
    "change",
    [lambda x: x[jnp.array([3, 0, 4, 2, 1])], lambda x: jnp.concatenate([x, jnp.zeros_like(x)])],
    ids=["order", "padding"],
)
def test_order_and_padding_of_stations_do_not_matter(change):
    """To float32 rounding, of places in tens of kilometres."""
    _, _, read = case()
    one = observations()
    names = ("station_km", "station_mask", "station_index", "picks_s", "pick_sigma_s", "pick_mask")
    other = one._replace(**{name: change(getattr(one, name)) for name in names})
    np.testing.assert_allclose(read(one), read(other), atol=2e-3, rtol=1e-3)


def test_later_picks_make_a_later_origin_and_nothing_else():
    """A shift by 64 s: exact but for float32, whose step there is 8 microseconds."""
    _, _, read = case()
    one = observations()
    early, late = read(one), read(one._replace(picks_s=one.picks_s + 64.0))
    expected = early.at[14 + 3].add(64.0)
    np.testing.assert_allclose(late, expected, atol=5e-3, rtol=1e-3)


def test_a_new_network_is_a_least_squares_locator():
    """Without learning, picks of straight rays at its speeds are located within three stated errors."""
    network = picks.network(14, low_km=(-20.0, -20.0, 2.0), high_km=(20.0, 20.0, 15.0), width=8, heads=2)
    batch = jax.tree.map(jnp.asarray, events().take(np.arange(100)))
    params = quick_jit(network.init)(jax.random.key(0), jax.tree.map(lambda x: x[0], batch.observations))
    # Without the corrections to straight rays, which start small.
    params["TravelTimes_0"]["Dense_2"] = jax.tree.map(jnp.zeros_like, params["TravelTimes_0"]["Dense_2"])
    raw = quick_jit(jax.vmap(lambda one: network.apply(Weights(params), one)))(batch.observations)
    place, errors = raw[:, 14:18], raw[:, 18:].reshape(-1, 4, 4)
    white = jnp.linalg.solve(errors, (batch.labels["hypocentre"].value - place)[..., None])[..., 0]
    # Most by far: rays are bent a little by each event's errors, and the region's edges cut some.
    assert (jnp.abs(white) < 3).all(-1).mean() > 0.9


def test_gradients_reach_every_parameter_and_are_finite():
    network, params, _ = case()
    both = jax.tree.map(lambda *x: jnp.stack(x), observations(0), observations(1))
    none = both._replace(pick_mask=jnp.zeros_like(both.pick_mask))
    loss = lambda p, seen: (jax.vmap(lambda one: network.apply(Weights(p), one))(seen) ** 2).sum()
    slope = quick_jit(jax.grad(loss))
    full, empty = slope(params, both), slope(params, none)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((full, empty)))
    still = [jax.tree_util.keystr(p) for p, x in jax.tree_util.tree_leaves_with_path(full) if not np.any(x)]
    # A bias of the keys of attention adds the same to all scores of a pick.
    assert all("answer" in name and "bias" in name for name in still), still


def test_a_moved_head_is_the_head_seen_through_a_matrix():
    """Mean and covariance of one Gaussian, against NumPy's product; `MIN_ERROR` adds a millionth."""
    own = gaussian.gaussian(np.zeros(4), np.ones(4))
    rng = np.random.default_rng(0)
    raw, place, matrix = rng.normal(size=14), np.array([3.0, -2.0, 8.0, 60.0]), rng.normal(size=(4, 4))
    parts = lambda head, raw: components(head.distribution(jnp.asarray(raw, jnp.float32))["hypocentre"])
    _, mean, tril = (np.asarray(x, float) for x in parts(own, raw))
    whole = np.concatenate([raw, place, matrix.ravel()])
    _, found, root = (np.asarray(x, float) for x in parts(gaussian.moved(own), whole))
    np.testing.assert_allclose(found[0], place + matrix @ mean[0], rtol=1e-5)
    np.testing.assert_allclose(root[0] @ root[0].T, matrix @ tril[0] @ tril[0].T @ matrix.T, atol=1e-4)
    with pytest.raises(ValueError, match="flat vector of raw outputs"):
        gaussian.moved(volume.volume(np.arange(3.0), np.arange(3.0), np.arange(3.0), 0.0, 1.0))


def test_a_network_over_picks_wants_picks():
    with pytest.raises(ValueError, match="reads picks, but observations hold none"):
        case()[0].apply(Weights(case()[1]), observations()._replace(picks_s=None))
