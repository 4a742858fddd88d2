"""Layers against Flax's own, and all waveform networks by table."""

import importlib
from functools import cache, partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from marks import slow_if

from jaxloc import networks
from jaxloc.networks import arrivals, kriegerowski2019, zhang2020
from jaxloc.networks.flax_adapter import bind
from jaxloc.networks.inputs import in_order, station_traces
from jaxloc.networks.layers import Conv1D, Conv2D, Dropout, Norm, largest, max_pool
from jaxloc.types import Network, Observations, Weights

# Compiling takes nearly all of the time here; without optimisation it takes an eighth.
quick_jit = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})

STATIONS, SAMPLES = 5, 160

NETWORKS = {
    "zhang2020": (zhang2020.network((12, 10, 3), width=2, dropout=0.5, num_stations=STATIONS), (12, 10, 3)),
    "zhang2020, plain": (zhang2020.network((6, 5, 2), width=2, norm="none", remap=False), (6, 5, 2)),
    "zhang2020, published": (zhang2020.network((16, 8, 3), width=2, published=True), (16, 8, 3)),
    "kriegerowski2019": (kriegerowski2019.network(14, width=4, num_stations=STATIONS), (14,)),
    "kriegerowski2019, published": (kriegerowski2019.network(6, width=4, published=True), (6,)),
}
# Other forms of the same layers; the size of the published one is known below.
NAMES = slow_if(("zhang2020, plain", "zhang2020, published"), NETWORKS)


def observations(key=0, stations=STATIONS, samples=SAMPLES, masked=()):
    mask = jnp.ones(stations, bool).at[jnp.array(masked, int)].set(False)
    waveforms = 1e-6 * jax.random.normal(jax.random.key(key), (stations, 3, samples))
    return Observations(waveforms, jnp.zeros((stations, 3)), mask, jnp.arange(stations), jnp.asarray(20.0, jnp.float32))


@cache
def case(name):
    """A jitted network, the shape of its output, and its parameters."""
    network, shape = NETWORKS[name]
    network = Network(quick_jit(network.init), quick_jit(network.apply))
    return network, shape, network.init(jax.random.key(0), observations())


@pytest.mark.parametrize("name", NAMES)
def test_output_is_finite_and_of_the_size_asked(name):
    network, shape, params = case(name)
    out = network.apply(Weights(params), observations())
    assert out.shape == shape
    assert out.dtype == jnp.float32
    assert np.isfinite(out).all()
    assert np.abs(out - network.apply(Weights(params), observations(1))).max() > 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_gradients_reach_every_parameter_and_are_finite(name):
    _, _, params = case(name)
    network = NETWORKS[name][0]
    events = jax.tree.map(lambda *a: jnp.stack(a), *(observations(k) for k in range(2)))
    dead = events._replace(waveforms=jnp.zeros_like(events.waveforms))
    loss = lambda p, o: (jax.vmap(lambda one: network.apply(Weights(p), one))(o) ** 2).sum()
    slope = quick_jit(jax.grad(loss))
    for tree in (slope(params, events), slope(params, dead)):
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(tree)), name
    # A bias before a group normalisation of one channel a group cancels; kernels never do.
    moved = jax.tree_util.tree_leaves_with_path(slope(params, events))
    still = [jax.tree_util.keystr(p) for p, leaf in moved if "kernel" in str(p) and not np.any(leaf)]
    assert not still


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("loud", [1e3, np.nan, np.inf])
def test_masked_stations_have_no_influence(name, loud):
    network, _, params = case(name)
    one = observations(masked=(1, 3))
    other = one._replace(waveforms=one.waveforms.at[jnp.array([1, 3])].set(loud))
    np.testing.assert_array_equal(*(network.apply(Weights(params), o) for o in (one, other)))
    assert np.abs(network.apply(Weights(params), observations()) - network.apply(Weights(params), one)).max() > 0


@pytest.mark.parametrize("name", NAMES)
def test_silent_broken_or_empty_events_are_finite(name):
    network, _, params = case(name)
    good = observations()
    events = [
        good._replace(waveforms=jnp.zeros_like(good.waveforms)),
        good._replace(station_mask=jnp.zeros(STATIONS, bool)),
        good._replace(waveforms=good.waveforms.at[0, 1, 5:50].set(jnp.nan)),
        good._replace(waveforms=good.waveforms.at[2].set(0.0).at[3, 0, 7].set(1.0)),
        good._replace(waveforms=good.waveforms * 1e-12),
    ]
    for one in events:
        assert np.isfinite(network.apply(Weights(params), one)).all()


@pytest.mark.parametrize("name", NAMES)
def test_order_of_rows_does_not_matter_where_stations_have_fixed_rows(name):
    network, _, params = case(name)
    one, order = observations(masked=(2,)), jnp.array([3, 0, 4, 2, 1])
    mixed = one._replace(**{k: getattr(one, k)[order] for k in ("waveforms", "station_km")})
    mixed = mixed._replace(station_mask=one.station_mask[order], station_index=one.station_index[order])
    same = np.allclose(*(network.apply(Weights(params), o) for o in (one, mixed)), atol=1e-5)
    assert same == (name in ("zhang2020", "kriegerowski2019"))


@pytest.mark.parametrize("name", NAMES)
def test_repaired_networks_see_moderate_gain_only_in_the_amplitude(name):
    network, _, params = case(name)
    one, silent = observations(), station_traces(observations())
    louder = station_traces(one._replace(waveforms=one.waveforms * 10))
    np.testing.assert_allclose(louder.waveforms, silent.waveforms, atol=1e-4)
    np.testing.assert_allclose(louder.log_amplitude - silent.log_amplitude, 1 / 1.5, rtol=1e-4)
    out = [network.apply(Weights(params), one._replace(waveforms=one.waveforms * g)) for g in (1.0, 10.0)]
    assert np.allclose(*out, atol=1e-4) == ("published" in name)


@pytest.mark.parametrize("name", NAMES)
def test_dropout_needs_a_key_and_repeats_with_it(name):
    network, _, params = case(name)
    first, again, other = (network.apply(Weights(params, jax.random.key(k)), observations()) for k in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    if name != "zhang2020, plain":
        assert np.abs(first - other).max() > 0


@pytest.mark.parametrize("name", NAMES)
def test_weight_draws_and_events_can_be_mapped(name):
    _, shape, params = case(name)
    network = NETWORKS[name][0]
    events = jax.tree.map(lambda *a: jnp.stack(a), *(observations(k) for k in range(2)))
    draws = jax.tree.map(lambda a: jnp.stack([a, a * 1.1]), params)
    each = lambda p: jax.vmap(lambda one: network.apply(Weights(p), one))(events)
    assert quick_jit(lambda d: jax.lax.map(each, d))(draws).shape == (2, 2, *shape)


@pytest.mark.parametrize("name", NAMES)
def test_no_waveforms_is_a_clear_error(name):
    network, _, params = case(name)
    with pytest.raises(ValueError, match="but observations"):
        network.apply(Weights(params), observations()._replace(waveforms=None))


def count(network, stations, samples):
    shapes = jax.eval_shape(network.init, jax.random.key(0), observations(0, stations, samples))
    return sum(leaf.size for leaf in jax.tree.leaves(shapes)), shapes


def test_published_fully_convolutional_network_has_its_published_size():
    """27 626 558 parameters at 30 x 2048 x 3; shapes alone, nothing is allocated."""
    network = zhang2020.network((128, 80, 30), width=64, published=True)
    number, shapes = count(network, 30, 2048)
    assert number == 27_626_558
    out = jax.eval_shape(lambda p: network.apply(Weights(p), observations(0, 30, 2048)), shapes)
    assert out.shape == (128, 80, 30)


@pytest.mark.parametrize(
    ("network", "number"),
    [
        (zhang2020.network((40, 40, 8)), 435_944),
        (kriegerowski2019.network(14), 72_678),
        (kriegerowski2019.network(14, width=32, published=True), 14_184_366),
    ],
)
def test_sizes_at_30_stations_and_64_s(network, number):
    assert count(network, 30, 1280)[0] == number


@pytest.mark.parametrize(("stations", "samples"), [(1, 40), (7, 333), (30, 1280)])
@pytest.mark.parametrize("grid", [(1, 1, 1), (9, 14, 2)])
def test_fully_convolutional_network_fits_any_input_and_grid(stations, samples, grid):
    for settings in ({}, {"remap": False}, {"published": True}):
        network = zhang2020.network(grid, width=2, **settings)
        _, shapes = count(network, stations, samples)
        one = observations(0, stations, samples)
        assert jax.eval_shape(lambda p: network.apply(Weights(p), one), shapes).shape == grid  # noqa: B023


@pytest.mark.parametrize("name", networks.__all__)
def test_registry_names_modules_with_a_builder_each(name):
    module = importlib.import_module(f"jaxloc.networks.{name}")
    assert issubclass(module.Model, nn.Module)
    assert callable(module.network)


CONVOLUTIONS = [
    (Conv1D, 3, 1, 1, "SAME"),
    (Conv1D, 3, 2, 1, "SAME"),
    (Conv1D, 10, 4, 1, "SAME"),
    (Conv1D, 5, 1, 3, "VALID"),
    (Conv1D, 2, 3, 2, "SAME"),
    (Conv2D, (3, 3), (1, 1), (1, 1), "SAME"),
    (Conv2D, (2, 2), (1, 1), (1, 1), "SAME"),
    (Conv2D, (3, 7), (1, 4), (1, 1), "SAME"),
    (Conv2D, (3, 4), (2, 3), (1, 2), "VALID"),
]


@pytest.mark.parametrize(("layer", "window", "strides", "dilation", "padding"), CONVOLUTIONS)
def test_convolutions_equal_flax(layer, window, strides, dilation, padding):
    """Same parameters, numbers and gradients on both paths, to float32 rounding."""
    space = (14,) if layer is Conv1D else (9, 14)
    inputs = jax.random.normal(jax.random.key(0), (2, *space, 3))
    wide = lambda x: x if isinstance(x, tuple) else (x,)
    oracle = nn.Conv(4, wide(window), wide(strides), padding, kernel_dilation=wide(dilation))
    ours = [layer(4, window, strides, dilation, padding, by_slices=path) for path in (True, False)]
    variables = ours[0].init(jax.random.key(1), inputs)
    variables = jax.tree.map(lambda a: a + 0.1, variables)

    @partial(quick_jit, static_argnums=0)
    def run(module):
        return jax.value_and_grad(lambda v, x: jnp.sin(module.apply(v, x)).sum(), (0, 1))(variables, inputs)

    want = oracle.apply(variables, inputs), run(oracle)
    for module in ours:
        got = module.apply(variables, inputs), run(module)
        for one, two in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
            np.testing.assert_allclose(one, two, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda inputs: Conv1D(2, 3, padding="FULL").init(jax.random.key(0), inputs), "padding must be"),
        (lambda inputs: Norm("batch").init(jax.random.key(0), inputs), "norm must be"),
        (
            lambda inputs: bind(nn.BatchNorm(use_running_average=False)).init(jax.random.key(0), inputs),
            "BatchNorm has batch_stats besides its parameters",
        ),
    ],
)
def test_layers_refuse_unknown_settings(action, message):
    inputs = jnp.ones((6, 2))
    with pytest.raises(ValueError, match=message):
        action(inputs)


def test_kernels_are_he_normal():
    """Standard deviation sqrt(2 / fan-in); 3e4 values, so its error is 0.4 %: five of them."""
    kernel = Conv1D(100, 10).init(jax.random.key(0), jnp.ones((4, 30)))["params"]["kernel"]
    np.testing.assert_allclose(kernel.std(), np.sqrt(2 / 300), rtol=0.02)


def test_gradients_of_maxima_go_to_largest_elements_and_nowhere_else():
    """Ties too: all of the gradient arrives, whatever its way, and what is not largest gets none."""
    x = jnp.array([[1.0, 3.0], [3.0, 2.0], [3.0, 3.0]])
    found = jax.grad(lambda x: (largest(x, 0) * jnp.array([1.0, 2.0])).sum())(x)
    np.testing.assert_array_equal(found.sum(0), [1.0, 2.0])
    np.testing.assert_array_equal(jnp.where(x < 3, found, 0), 0)
    image = jnp.round(3 * jax.random.normal(jax.random.key(0), (5, 9, 2)))
    pooled, back = jax.vjp(lambda x: max_pool(x, (2, 4)), image)
    assert float(back(jnp.ones_like(pooled))[0].sum()) == pytest.approx(pooled.size)


def test_max_pool_is_flax_pooling_with_short_ends():
    image = jax.random.normal(jax.random.key(0), (5, 11, 2)) - 3
    want = nn.max_pool(image[None], (2, 4), (2, 4), ((0, 1), (0, 1)))[0]
    np.testing.assert_array_equal(max_pool(image, (2, 4)), want)


def test_dropout_without_a_key_is_the_identity():
    inputs = jnp.ones(1000)
    np.testing.assert_array_equal(Dropout(0.5).apply({}, inputs), inputs)
    dropped = Dropout(0.5).apply({}, inputs, rngs={"dropout": jax.random.key(0)})
    assert set(np.unique(dropped)) == {0.0, 2.0}


def test_rows_follow_the_station_index_and_unknown_stations_are_left_out():
    one = observations(stations=4)._replace(station_index=jnp.array([2, -1, 6, 0]))
    placed = in_order(one, 5)
    np.testing.assert_array_equal(placed.station_mask, [True, False, True, False, False])
    np.testing.assert_array_equal(placed.waveforms[2], one.waveforms[0])
    np.testing.assert_array_equal(placed.waveforms[0], one.waveforms[3])
    assert not placed.waveforms[jnp.array([1, 3, 4])].any()
    assert placed.picks_s is None


def test_unrecorded_samples_hold_no_arrival():
    """Probability is lost where nothing was recorded and three samples beside; the rest keeps its proportions."""
    logits = jnp.asarray(np.random.default_rng(0).normal(size=(2, 2, 41)), jnp.float32)
    mask = np.ones((2, 40), bool)
    mask[0, 20:] = False
    got = np.exp(jax.nn.log_softmax(arrivals.recorded_logits(logits, jnp.asarray(mask)), -1))
    assert (got[0, :, 17:40] == 0).all()
    want = np.exp(jax.nn.log_softmax(jnp.concatenate([logits[..., :17], logits[..., 40:]], -1), -1))
    np.testing.assert_allclose(got[0, :, [*range(17), 40]], np.moveaxis(want[0], -1, 0), rtol=1e-5)
    np.testing.assert_allclose(got[1], np.exp(jax.nn.log_softmax(logits[1], -1)), rtol=1e-5)
    np.testing.assert_array_equal(arrivals.recorded_logits(logits, None), logits)


def test_a_tail_without_record_does_not_change_the_scaling():
    """Mean, largest and median sample are those of the recorded part, as if the tail had never been there."""
    waveforms = np.random.default_rng(1).normal(size=(1, 80, 3)).astype(np.float32) + 5
    mask = np.arange(80)[None] < 50
    got = arrivals.trace_channels(jnp.asarray(waveforms * mask[..., None]), jnp.asarray(mask))
    np.testing.assert_allclose(got[:, :50], arrivals.trace_channels(jnp.asarray(waveforms[:, :50])), atol=1e-5)
    assert (np.asarray(got)[:, 50:, :6] == 0).all()
