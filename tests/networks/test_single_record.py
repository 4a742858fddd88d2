"""Networks of one station: published sizes, what they cannot but answer, their heads, and the rule of S minus P."""

from functools import lru_cache

import cases
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import BEFORE, quick_jit

from jaxloc.data.views import one_station, picked
from jaxloc.distributions.gaussian_mixture import covariance, gaussian_mixture, mean
from jaxloc.distributions.labels import Classes
from jaxloc.distributions.polar import distance_and_azimuth
from jaxloc.heads import distance_ring
from jaxloc.heads.single_station import numbers, station
from jaxloc.locators import sp_rule
from jaxloc.networks import mousavi2020
from jaxloc.networks.single_record import cut, polarisation, turned
from jaxloc.scores.labels import score_labels
from jaxloc.scores.polar import polar_lines, score_polar
from jaxloc.simulation.events import DEFAULT_FRAME, Recording, quick_start, random_network, simulated_dataset
from jaxloc.types import Batch, Label, Posterior, Weights

DRAWS = 4000
HERE = jnp.array([5.0, -3.0, -0.4])


def seen(samples=128, rate_hz=20.0):
    """Noise at one station with P and S picks within it."""
    one = cases.observations(stations=1, samples=samples)
    return one._replace(rate_hz=jnp.asarray(rate_hz), picks_s=jnp.array([[0.3, 0.6]]) * samples / rate_hz)


def full(value):
    value = jnp.asarray(value, jnp.float32)
    return Label(value, jnp.ones(value.shape, bool))


def test_published_networks_have_their_published_sizes():
    """59,384 with 880 statistics, and 46,602; shapes alone."""
    network = mousavi2020.network(4, published=True)
    shapes = jax.eval_shape(network.init, jax.random.key(0), seen(6000, 100.0))
    size = lambda tree: sum(leaf.size for leaf in jax.tree.leaves(tree))
    assert (size(shapes["distance"]), size(shapes["azimuth"])) == (59_384, 46_602)
    statistics = [
        x for path, x in jax.tree_util.tree_leaves_with_path(shapes) if path[-1].key in ("mean", "log_variance")
    ]
    assert size(statistics) == 880
    raw = jax.eval_shape(lambda p: network.apply(Weights(p), seen(6000, 100.0)), shapes).raw
    assert raw.shape == (1, 4 + 2 + mousavi2020.PASSED)


@pytest.mark.parametrize("samples", [40, 41])
def test_blocks_at_every_other_place_are_dilated_convolutions_at_every_place(samples):
    """The skip sum of the last sample against the layers as the paper writes them, with the same weights."""
    tcn = mousavi2020.Tcn(3, 6, 3, "layer", 0.0)
    inputs = jax.random.normal(jax.random.key(0), (samples, 4))
    params = quick_jit(tcn.init)(jax.random.key(1), inputs)["params"]

    def convolved(steps, layer, dilation):
        window = layer["kernel"].shape[0]
        padded = jnp.pad(steps, (((window - 1) * dilation, 0), (0, 0)))
        taps = [padded[k * dilation : k * dilation + len(steps)] @ layer["kernel"][k] for k in range(window)]
        return sum(taps) + layer["bias"]

    def causal(steps, layers, dilation):
        steps = convolved(steps, layers["Conv1D_0"], dilation)
        centred = steps - steps.mean(-1, keepdims=True)
        scale, bias = layers["Norm_0"]["LayerNorm_0"]["scale"], layers["Norm_0"]["LayerNorm_0"]["bias"]
        return jax.nn.relu(centred / jnp.sqrt((centred**2).mean(-1, keepdims=True) + 1e-6) * scale + bias)

    def published(params):
        steps, total = convolved(inputs, params["Conv1D_0"], 1), 0.0
        for block in range(3):
            inner = causal(steps, params[f"Causal_{2 * block}"], 2**block)
            inner = causal(inner, params[f"Causal_{2 * block + 1}"], 2**block)
            total = total + inner[-1]
            if block < 2:
                steps = convolved(steps, params[f"Conv1D_{block + 1}"], 1) + inner
        return total

    found = quick_jit(lambda p: (tcn.apply({"params": p}, inputs), published(p)))(params)
    np.testing.assert_allclose(*found, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("angle", [0.7, 3.0])
def test_turned_horizontals_turn_the_direction_alone(angle):
    """Horizontals turned by an angle: distance, time and depth stay, the pairs of direction turn by it."""
    north, east = seen().waveforms[0, 1], seen().waveforms[0, 2]
    cosine, sine = np.cos(angle), np.sin(angle)
    moved = jnp.stack([seen().waveforms[0, 0], cosine * north - sine * east, sine * north + cosine * east])
    raws = [said("mousavi2020")(one) for one in (seen(), seen()._replace(waveforms=moved[None]))]
    pairs = [raw[8:12].reshape(2, 2) for raw in raws]
    turn = np.array([[cosine, sine], [-sine, cosine]])
    np.testing.assert_allclose(pairs[1], pairs[0] @ turn, atol=1e-4)
    np.testing.assert_allclose(*(np.concatenate([raw[:8], raw[12:]]) for raw in raws), atol=1e-4)


@lru_cache
def said(name):
    """A network's answer at a random start, as a function of what it sees."""
    network = cases.NETWORKS[name].build()
    params = quick_jit(network.init)(jax.random.key(0), seen())
    answer = quick_jit(lambda one: network.apply(Weights(params), one).raw[0])
    return lambda one: np.asarray(answer(one))


@pytest.mark.parametrize(
    "change",
    [
        lambda one: one._replace(waveforms=one.waveforms.at[:, 1:].set(0.0)),
        lambda one: one._replace(pick_mask=jnp.zeros((1, 2), bool)),
    ],
    ids=["no horizontals", "no pick"],
)
def test_no_direction_without_horizontals_or_a_pick(change):
    assert np.abs(said("mousavi2020")(seen())[8:12]).max() > 0
    raw = said("mousavi2020")(change(seen()))
    np.testing.assert_array_equal(raw[8:12], 0.0)
    assert np.isfinite(raw).all()


@pytest.mark.parametrize("sign", [1, -1])
def test_polarisation_points_to_the_source_for_either_sign_of_the_pulse(sign):
    """P from back-azimuth 120 degrees: ground that goes up goes towards 300 degrees; either sign of the pulse."""
    back = np.deg2rad(120.0)
    ray = np.array([np.cos(0.5), -np.sin(0.5) * np.cos(back), -np.sin(0.5) * np.sin(back)])
    pulse = np.exp(-(np.linspace(-2, 2, 30) ** 2))[:, None] * ray
    found = polarisation(jnp.asarray(sign * pulse))
    np.testing.assert_allclose(np.mod(found.back_azimuth_rad, 2 * np.pi), back, atol=1e-4)
    np.testing.assert_allclose(found.steepness_rad, 0.5, atol=1e-3)
    np.testing.assert_allclose(found.linearity, 1.0, atol=1e-3)
    along = turned(jnp.asarray(pulse), back)
    np.testing.assert_allclose(along[:, 2], 0.0, atol=1e-6)
    assert (along[:, 1] <= 0).all()


@pytest.mark.parametrize(
    ("first", "want"), [(-2, [0, 0, 1, 2]), (1, [2, 3, 4, 5]), (3, [4, 5, 0, 0]), (99, [0] * 4), (-99, [0] * 4)]
)
def test_a_window_may_extend_beyond_both_ends(first, want):
    traces = jnp.arange(1.0, 6.0)[:, None]
    np.testing.assert_array_equal(cut(traces, jnp.asarray(first), 4)[:, 0], want)


def test_an_upside_down_record_has_the_opposite_first_motion():
    up = said("janbakhsh2019")(seen())
    down = said("janbakhsh2019")(seen()._replace(waveforms=-seen().waveforms))
    assert abs(up[-2]) > 1e-6
    np.testing.assert_allclose(down[-2], -up[-2], rtol=1e-4)
    unpicked = seen()._replace(pick_mask=jnp.zeros((1, 2), bool))
    none = said("janbakhsh2019")(unpicked)
    np.testing.assert_array_equal(none[-2], 0.0)
    np.testing.assert_array_equal(none[:-2], up[:-2])  # picks tell no one that there is an event


def raw_station(**told):
    """Raw numbers of `station_head` with two directions: zeros but for what is told."""
    places = {"distance": 0, "width": 1, "slope": 4, "depth_slope": 7, "north": 8, "east": 9, "share": 12}
    raw = jnp.zeros(sum(numbers(2)) + 4).at[-4:].set(jnp.array([7.0, 2.0, 1.0, 1.0]))
    for name, value in told.items():
        raw = raw.at[places[name]].set(value)
    return raw


def test_raw_outputs_of_zero_follow_the_s_minus_p_rule():
    """P at 7 s, S 2 s later, Vp 6 km/s and Vp/Vs 1.73: 16.4 km along the ray, 14.4 km over a depth of 8."""
    head = station(BEFORE, 2)(HERE)
    slant_km = 2.0 * 6.0 / 0.73
    mixture = quick_jit(lambda raw: head.distribution(raw)["hypocentre"])(raw_station())
    draws = mixture.sample(jax.random.key(0), (DRAWS,))
    distance_km, azimuth_rad = distance_and_azimuth(HERE, draws)
    width_km = 0.25 * slant_km + 1.1
    # Four standard errors; cut off at zero, the mean is a little above the middle.
    np.testing.assert_allclose(distance_km.mean(), np.sqrt(slant_km**2 - 64), atol=4 * width_km / DRAWS**0.5 + 0.15)
    np.testing.assert_allclose(distance_km.std(), width_km, rtol=0.08)
    assert abs(jnp.exp(1j * azimuth_rad).mean()) < 5 / DRAWS**0.5
    np.testing.assert_allclose(mean(mixture)[2:], [8.0, 7.0 - 2.0 / 0.73], atol=1e-3)
    assert head.log_likelihood(raw_station(), {}) == 0


@pytest.mark.parametrize("told", [{}, {"width": -2.0, "north": 20.0, "share": 2.0, "slope": 1.0, "depth_slope": -1.0}])
def test_the_likelihood_of_a_label_is_its_density_in_the_posterior(told):
    """In the plane, depth and time; nodes are half a step wide, so densities agree to a tenth."""
    head = station(BEFORE, 2, nodes=(24, 48))(HERE)
    raw = raw_station(**told)
    away_km, azimuth = np.array([14.0, 15.5, 13.5]), np.array([0.1, 0.2, -0.1])
    east, north = HERE[0] + away_km * np.sin(azimuth), HERE[1] + away_km * np.cos(azimuth)
    labels = jnp.stack([east, north, jnp.full(3, 9.0), jnp.full(3, 4.2)], -1)
    given = quick_jit(jax.vmap(lambda value, mask: head.log_likelihood(raw, {"hypocentre": Label(value, mask)})))
    stated = quick_jit(jax.vmap(lambda value: head.distribution(raw)["hypocentre"].log_prob(value)))(labels)
    np.testing.assert_allclose(given(labels, jnp.ones((3, 4), bool)), stated, atol=0.1)
    np.testing.assert_array_equal(given(labels, jnp.zeros((3, 4), bool)), 0.0)


def test_a_ring_has_its_distance_and_no_direction():
    head = distance_ring.ring(((1.0, 0.3), (8.0, 5.0), (2.0, 1.0)), HERE)
    stated = quick_jit(head.distribution)(jnp.array([1.0, -1.0]))
    draws = stated["hypocentre"].sample(jax.random.key(0), (DRAWS,))
    distance_km, azimuth_rad = distance_and_azimuth(HERE, draws)
    logarithm = jnp.log10(distance_km)
    sd = float(jnp.log(stated["distance_km"].variance / stated["distance_km"].mean ** 2 + 1) ** 0.5 / np.log(10))
    np.testing.assert_allclose(logarithm.mean(), 1.3, atol=0.03)
    np.testing.assert_allclose(logarithm.std(), sd, rtol=0.1)
    assert abs(jnp.exp(1j * azimuth_rad).mean()) < 5 / DRAWS**0.5
    np.testing.assert_allclose(jnp.diagonal(covariance(stated["hypocentre"]))[2:] ** 0.5, [5.0, 1.0], rtol=1e-3)


def test_the_catalogue_gives_the_direction_on_the_ring():
    """Events north of the station alone: the ring is there, and its distance stays what the record says."""
    middle, tril = HERE + jnp.array([0.0, 20.0, 8.0]), jnp.diag(jnp.array([8.0, 8.0, 5.0, 1.0]))
    prior = gaussian_mixture(jnp.zeros(1), jnp.append(middle, 2.0)[None], tril[None])
    catalogue = ((1.0, 0.3), (8.0, 5.0), (2.0, 1.0))
    heads = [distance_ring.ring(catalogue, HERE, density) for density in (prior, None)]
    mixtures = [quick_jit(head.distribution)(jnp.array([1.0, -1.0]))["hypocentre"] for head in heads]
    polar = [distance_and_azimuth(HERE, mixture.sample(jax.random.key(0), (DRAWS,))) for mixture in mixtures]
    north = [jnp.cos(azimuth_rad).mean() for _, azimuth_rad in polar]
    assert north[0] > 0.7
    assert abs(north[1]) < 4 / DRAWS**0.5
    means = [jnp.log10(distance_km).mean() for distance_km, _ in polar]
    np.testing.assert_allclose(*means, atol=0.02)


def test_labels_that_are_missing_add_nothing_and_noise_is_not_reconstructed():
    head = distance_ring.of_record(((1.0, 0.3), (8.0, 5.0), (2.0, 1.0)), (2.0, 1.5), 3.0)(HERE)
    raw = jnp.zeros(8).at[-1].set(0.5)
    unknown = {name: Label(jnp.zeros(()), jnp.zeros((), bool)) for name in ("magnitude", "polarity")}
    unknown["hypocentre"] = Label(jnp.zeros(4), jnp.zeros(4, bool))
    np.testing.assert_allclose(head.log_likelihood(raw, unknown), -1.5)
    noise = unknown | {"is_event": full(0.0)}
    np.testing.assert_allclose(head.log_likelihood(raw, noise), np.log(0.5), rtol=1e-5)
    with pytest.raises(ValueError, match="reconstruction"):
        distance_ring.left_over(-1.0)


def _rays(number=60):
    """Records whose P goes straight along its ray and whose S comes at textbook times; a fifth from anywhere."""
    rng = np.random.default_rng(0)
    distance_km, back = rng.uniform(10, 30, number), rng.uniform(0, 2 * np.pi, number)
    shown = np.where(rng.uniform(size=number) < 0.2, rng.uniform(0, 2 * np.pi, number), back)
    travel_s = np.hypot(distance_km, 8.0) / 6.0
    pulse = np.exp(-(np.linspace(-2, 2, 20) ** 2))
    waveforms = np.zeros((number, 1, 3, 200), np.float32)
    waveforms[:, 0, :, 40:60] = np.stack([np.ones(number), -np.cos(shown), -np.sin(shown)], -1)[..., None] * pulse
    p_s = np.full(number, 2.0)
    picks_s = np.stack([p_s, p_s + 0.73 * travel_s * rng.normal(1, 0.05, number)], -1)[:, None]
    single = jax.tree.map(lambda x: np.repeat(np.asarray(x)[None], number, 0), seen(200))
    single = single._replace(waveforms=waveforms, picks_s=picks_s.astype(np.float32))
    station_km = single.station_km[:, 0]
    east, north = station_km[:, 0] + distance_km * np.sin(back), station_km[:, 1] + distance_km * np.cos(back)
    hypocentre = np.stack([east, north, np.full(number, 8.0), p_s - travel_s], -1).astype(np.float32)
    return Batch(single, {"hypocentre": Label(hypocentre, np.ones(hypocentre.shape, bool))})


def test_the_rule_learns_how_wrong_it_is():
    """Five per cent of S minus P is about that of the distance; a fifth of directions fail."""
    events = _rays()
    rule = sp_rule.fit_rule([events], BEFORE, shake=20)
    share = 1 / (1 + np.exp(-rule.log_odds))
    assert abs(share - 0.8) < 4 * np.sqrt(0.8 * 0.2 / 60)
    assert rule.log_concentration > np.log(100)
    width_km = (0.25 * 20.0 + 1) * np.log1p(np.exp(rule.widths[0] + np.log(np.e - 1)))
    assert 0.4 < width_km / (0.05 * 20.0) < 2.0
    np.testing.assert_array_equal(rule.offsets, 0.0)
    with pytest.raises(ValueError, match="got none"):
        sp_rule.fit_rule([], BEFORE)


def test_picks_err_as_told_and_one_record_is_that_of_a_living_station():
    simulation = quick_start(20.0)._replace(recording=Recording(10.0, 200, (1.0, 4.0)))
    stations = random_network(jax.random.key(0), 3, 30.0)
    events = simulated_dataset(jax.random.key(1), simulation, stations, DEFAULT_FRAME, 16)
    both = picked(events, (0.05, 0.2)).take(np.arange(16))
    arrival_s, known = both.labels["arrivals"]
    error = ((both.observations.picks_s - arrival_s) / both.observations.pick_sigma_s)[known]
    assert abs(np.std(error) - 1) < 4 / np.sqrt(2 * error.size)
    again = picked(events, (0.05, 0.2)).take(np.array([3]))
    np.testing.assert_array_equal(again.observations.picks_s[0], both.observations.picks_s[3])
    single = one_station(events)
    batch = single.take(np.arange(len(single)))
    assert batch.observations.waveforms.shape[1] == 1
    assert np.asarray(batch.observations.station_mask).all()
    assert len({event.id.split()[1] for event in single.events}) > 1
    assert batch.labels["polarity"].value.shape == (len(single), 1)
    with pytest.raises(ValueError, match="picks_sd_s"):
        picked(events, (0.05,))


def test_first_motion_of_the_only_station_is_scored():
    stated = Classes(np.array([[[0.1, 0.9]], [[0.8, 0.2]]]))
    label = Label(np.array([[1.0], [1.0]]), np.array([[True], [True]]))
    card = score_labels({"polarity": stated}, {"polarity": label})["polarity"]
    np.testing.assert_allclose(card["accuracy"]["value"], 0.5)
    np.testing.assert_allclose(card["brier"]["value"], (0.02 + 1.28) / 2)


@pytest.mark.slow
def test_distances_and_directions_of_calibrated_posteriors_score_as_calibrated():
    """Normals about the truth, across north: errors known, intervals that hold 90 % within four standard errors."""
    number, sd_km = 300, 1.0
    key_truth, key_error = jax.random.split(jax.random.key(0))
    azimuth = 0.5 * jax.random.normal(key_truth, (number,))
    truth = jnp.stack([20 * jnp.sin(azimuth), 20 * jnp.cos(azimuth), jnp.full(number, 8.0), jnp.zeros(number)], -1)
    middle = truth + sd_km * jax.random.normal(key_error, (number, 4))
    mixture = gaussian_mixture(jnp.zeros((number, 1)), middle[:, None], jnp.eye(4) * jnp.ones((number, 1, 1, 1)))
    posterior = Posterior(mixture, jnp.zeros((number, 4, 4)), jnp.zeros((number, 4, 4)))
    one = jax.tree.map(lambda x: jnp.repeat(jnp.asarray(x)[None], number, 0), seen(8))
    one = one._replace(station_km=jnp.zeros((number, 1, 3)))
    cards = score_polar(jax.random.key(1), {"own": posterior}, one, full(truth))
    value = {name: card["value"] for name, card in cards["own"].items()}
    np.testing.assert_allclose(value["distance_error_km"], np.sqrt(2 / np.pi), rtol=0.2)
    np.testing.assert_allclose(value["azimuth_error_deg"], np.rad2deg(np.sqrt(2 / np.pi) / 20), rtol=0.2)
    for name in ("distance_coverage_90", "azimuth_coverage_90"):
        assert abs(value[name] - 0.9) < 4 * np.sqrt(0.09 / number) + 0.01
    assert "azimuth off by" in polar_lines(cards)[0]
    two = one._replace(station_mask=jnp.ones((number, 2), bool))
    assert score_polar(jax.random.key(1), {"own": posterior}, two, full(truth)) == {}
