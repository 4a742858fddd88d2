"""Networks over stations of any number: what does not matter to them, and what moves with what."""

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import HEADS, NETWORKS, observations, quick_jit

from jaxloc.distributions.gaussian_mixture import components
from jaxloc.heads.arrivals import with_arrivals
from jaxloc.networks.station_graph import edges_between
from jaxloc.physics.readings import Readings, WithReadings
from jaxloc.types import Label, Weights

NAMES = ("set_transformer", "station_graph")
ROWS = 7  # some of them of stations that are not there


@lru_cache
def built(name):
    """What a network of random weights makes of an event; a start's last layers are small and would answer nothing."""
    network, generator = NETWORKS[name].build(), np.random.default_rng(0)

    def drawn(path, like):
        scale = path[-1].key == "scale"  # of a normalisation, which is about one
        return scale + 0.5 * generator.normal(size=like.shape) / np.sqrt(max(1, np.prod(like.shape[:-1])))

    shapes = jax.eval_shape(network.init, jax.random.key(0), observations(stations=ROWS))
    params = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), jax.tree_util.tree_map_with_path(drawn, shapes))
    return quick_jit(lambda seen: network.apply(Weights(params), seen))


def event(masked=()):
    mask = jnp.ones(ROWS, bool).at[jnp.array(masked, int)].set(False)
    return observations(stations=ROWS)._replace(station_mask=mask)


def place_of(out):
    """Mean hypocentre of the answer."""
    log_weight, mean, _ = components(HEADS["beside"]().distribution(out)["hypocentre"])
    return np.asarray(jax.nn.softmax(log_weight) @ mean)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_stations_does_not_matter(name):
    order = jnp.array([4, 2, 6, 0, 3, 1, 5])
    one = event(masked=(2, 5))
    mixed = one._replace(**{k: getattr(one, k)[order] for k in ("waveforms", "station_km", "station_mask")})
    first, second = (built(name)(seen) for seen in (one, mixed))
    np.testing.assert_allclose(first.raw, second.raw, rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(first.readings.log_mass[order], second.readings.log_mass, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_rows_of_no_station_have_no_influence(name):
    one = event(masked=(2, 5))
    gone = jnp.array([2, 5])
    loud = one._replace(
        waveforms=one.waveforms.at[gone].set(jnp.nan), station_km=one.station_km.at[gone].set(jnp.array([1e4, 0, 0]))
    )
    np.testing.assert_array_equal(built(name)(one).raw, built(name)(loud).raw)
    assert np.abs(built(name)(event()).raw - built(name)(one).raw).max() > 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_answers_move_with_the_stations(name):
    """Hundreds of kilometres away and 100 m down, the answer has moved by just that, and origin time by nothing."""
    moved_km = jnp.array([300.0, -200.0, 0.1])
    one = event(masked=(3,))
    before, after = (built(name)(one._replace(station_km=one.station_km + shift)) for shift in (0.0, moved_km))
    np.testing.assert_allclose(place_of(after) - place_of(before), [300.0, -200.0, 0.1, 0.0], atol=0.01)


@pytest.mark.parametrize("name", NAMES)
def test_units_of_waveforms_do_not_matter_and_gains_of_single_stations_do(name):
    one = event()
    counts = one._replace(waveforms=one.waveforms * 1e9)
    single = one._replace(waveforms=one.waveforms.at[1].multiply(1e3))
    np.testing.assert_allclose(built(name)(one).raw, built(name)(counts).raw, rtol=2e-3, atol=2e-3)
    assert np.abs(built(name)(one).raw - built(name)(single).raw).max() > 1e-2


@pytest.mark.parametrize("name", NAMES)
def test_silent_and_empty_events_get_finite_wide_answers(name):
    one = event()
    for nothing in (one._replace(waveforms=0 * one.waveforms), event(masked=range(ROWS))):
        out = built(name)(nothing)
        assert np.isfinite(out.raw).all()
        _, _, scale = components(HEADS["beside"]().distribution(out)["hypocentre"])
        assert np.sqrt((np.asarray(scale)[:, 0] ** 2).sum(-1)).max() > 3.0  # km, east


def test_edges_are_those_of_the_nearest_active_stations():
    place_km = jnp.array([[0.0, 0, 0], [1, 0, 0], [3, 0, 0], [2, 0, 0], [9, 0, 0]])
    mask = jnp.array([True, True, True, False, True])
    near = np.asarray(edges_between(place_km, mask, 2).near)
    assert [np.flatnonzero(row).tolist() for row in near] == [[1, 2], [0, 2], [0, 1], [], [1, 2]]
    assert edges_between(place_km, mask, None).near.sum() == 4 * 3


@pytest.mark.parametrize("weight", [0.0, 1.0, 0.3])
def test_labelled_arrivals_have_their_weight_except_at_masked_stations(weight):
    """A network that knows nothing gives each labelled arrival the density of one sample among all and none."""
    flat = Readings(jnp.full((3, 2, 121), -jnp.log(121.0)), jnp.array(20.0), jnp.array([1.0, 1.0, 0.0]))
    out = WithReadings(jnp.zeros(HEADS["beside"]().size), flat)
    known = jnp.array([[True, False], [False, True], [True, True]])
    labels = {"arrivals": Label(jnp.full((3, 2), 2.5), known)}
    head = with_arrivals(HEADS["moved"](), arrival_weight=weight)
    assert float(head.log_likelihood(out, labels)) == pytest.approx(2 * weight * np.log(20 / 121), rel=1e-5)
