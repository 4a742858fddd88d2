"""ConvNetQuake and ConvNetQuake_INGV: published sizes, clusters, classes that go there and back, and their heads."""

import cases
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloc.distributions.any_distribution import marginal_of
from jaxloc.distributions.gaussian_mixture import covariance, mean
from jaxloc.distributions.polar import circular, distance_and_azimuth
from jaxloc.heads.clusters import averaged, cluster_classes, clusters, nearest
from jaxloc.heads.polar_classes import (
    PUBLISHED_DEPTH,
    PUBLISHED_DISTANCE,
    PUBLISHED_MAGNITUDE,
    Classes,
    Scale,
    azimuth_centres,
    centres,
    encode,
    encode_azimuth,
    polar_classes,
    widths,
)
from jaxloc.networks import convnetquake, convnetquake_ingv
from jaxloc.per_station import AtStation
from jaxloc.types import Label

SCALES = {"distance": PUBLISHED_DISTANCE, "depth": PUBLISHED_DEPTH, "magnitude": PUBLISHED_MAGNITUDE}
LOCAL = Classes(Scale(20, 100.0, 2), Scale(10, 5.0), Scale(10, 30.0, 2), 36, 0.5)
STATION_KM = jnp.array([12.0, -7.0, 0.0])
BROAD = np.array([0.0, 0.0, 8.0, 2.0]), np.array([20.0, 20.0, 4.0, 1.0])


def label(value):
    return Label(jnp.array(value, jnp.float32), jnp.ones(np.shape(value), bool))


@pytest.mark.parametrize(
    ("network", "number"),
    [
        (convnetquake.network(7, published=True), 22_951),
        (convnetquake_ingv.network(127, published=True), 37_824),
    ],
)
def test_published_networks_have_their_published_sizes(network, number):
    seen = cases.observations(stations=2, samples=1001)
    shapes = jax.eval_shape(network.init, jax.random.key(0), seen)
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == number


@pytest.mark.parametrize("name", SCALES)
def test_numbers_come_back_within_half_a_class(name):
    """Every class is that of its own centre; a number is off by less than the middles to the neighbours are."""
    scale = SCALES[name]
    np.testing.assert_array_equal(encode(scale, jnp.asarray(centres(scale))), np.arange(scale.number))
    value = np.linspace(0, centres(scale)[-1], 500)
    edges = scale.largest * ((np.arange(scale.number + 1) - 0.5).clip(0) / scale.number) ** scale.power
    which = np.asarray(encode(scale, jnp.asarray(value)))
    rounding = 1e-6 * scale.largest
    assert (value >= edges[which] - rounding).all()
    assert (value <= edges[which + 1] + rounding).all()
    np.testing.assert_allclose(widths(scale), np.diff(edges))
    assert encode(scale, jnp.array(2 * scale.largest)) == scale.number - 1


@pytest.mark.parametrize(
    ("scale", "index", "expected", "tolerance"),
    [
        # Degrees: the largest distance is 180.
        (PUBLISHED_DISTANCE, [0, 1, 2, 3, 4, 5, 49], [0, 0.072, 0.288, 0.648, 1.152, 1.8, 172.872], 1e-3),
        (PUBLISHED_DEPTH, [1, 2, 3, 19], [1.75, 7.0, 15.75, 631.75], 1e-7),
        (PUBLISHED_MAGNITUDE, [1, 19], [0.5, 9.5], 1e-7),
    ],
)
def test_published_centres_are_those_of_the_paper(scale, index, expected, tolerance):
    unit = scale.largest / 180 if scale is PUBLISHED_DISTANCE else 1.0
    np.testing.assert_allclose(centres(scale)[index] / unit, expected, rtol=tolerance)


@pytest.mark.parametrize(
    ("azimuth_deg", "expected"),
    [(0.0, 0), (4.9, 0), (5.1, 1), (355.1, 0), (359.0, 0), (350.0, 35), (180.0, 18)],
)
def test_azimuths_wrap(azimuth_deg, expected):
    assert encode_azimuth(36, jnp.deg2rad(jnp.array([azimuth_deg])))[0] == expected


def test_centres_of_azimuth_classes_are_in_their_class():
    np.testing.assert_array_equal(encode_azimuth(36, jnp.asarray(azimuth_centres(36))), np.arange(36))


@pytest.mark.parametrize("smoothing", [None, 0.5])
@pytest.mark.parametrize("azimuth_deg", [2.0, 134.0, 358.0])
def test_the_likeliest_raw_numbers_state_the_label(smoothing, azimuth_deg):
    """Climbing the likelihood of one event leads to its place; half a class off at most."""
    away = 31.0 * jnp.array([jnp.sin(jnp.deg2rad(azimuth_deg)), jnp.cos(jnp.deg2rad(azimuth_deg))])
    place = [*(STATION_KM[:2] + away), 9.0, 2.0]
    labels = {"hypocentre": label(place), "magnitude": label(2.7), "is_event": label(1.0)}
    head = polar_classes(LOCAL._replace(smoothing=smoothing), (2.0, 1.0))
    at = lambda raw: AtStation(raw, STATION_KM, jnp.ones(()))
    climb = jax.grad(lambda raw: head.log_likelihood(at(raw), labels))
    raw = jax.jit(lambda raw: jax.lax.fori_loop(0, 300, lambda i, x: x + climb(x), raw))(jnp.zeros(head.size))
    stated = head.distribution(at(raw))
    hypocentre = mean(stated["hypocentre"])
    distance_km, azimuth_rad = distance_and_azimuth(STATION_KM, hypocentre)
    assert abs(distance_km - 31) < widths(LOCAL.distance)[11] / 2 + 0.5
    assert np.abs(np.exp(1j * azimuth_rad) - np.exp(1j * np.deg2rad(azimuth_deg))) < np.deg2rad(5.5)
    assert abs(hypocentre[2] - 9) < widths(LOCAL.depth)[5] / 2 + 0.5
    assert abs(stated["magnitude"].mean - 2.7) < 0.3
    assert stated["is_event"].probs[1] > 0.99


def test_unknown_labels_add_nothing_and_noise_is_classified_as_noise():
    head, silent = polar_classes(LOCAL, (2.0, 1.0)), jnp.zeros(sum(LOCAL.sizes))
    at = lambda active: AtStation(silent, STATION_KM, jnp.array(active, jnp.float32))
    unknown = {
        "hypocentre": Label(jnp.zeros(4), jnp.zeros(4, bool)),
        "magnitude": Label(jnp.zeros(()), jnp.array(False)),
    }
    assert head.log_likelihood(at(True), unknown) == 0
    noise = unknown | {"is_event": label(0.0)}
    np.testing.assert_allclose(head.log_likelihood(at(True), noise), -np.log(21), rtol=1e-5)
    assert head.log_likelihood(at(False), noise) == 0
    slope = jax.grad(lambda raw: head.log_likelihood(AtStation(raw, STATION_KM, jnp.ones(())), noise))(silent)
    assert slope[0] > 0
    assert (slope[21:] == 0).all()


def test_a_rare_event_is_less_likely_where_events_are_rare():
    """Odds are multiplied by the ratio of odds (Saerens and others 2002); place and size stay what they are."""
    raw = AtStation(jax.random.normal(jax.random.key(0), (sum(LOCAL.sizes),)), STATION_KM, jnp.ones(()))
    often, seldom = (polar_classes(LOCAL, (2.0, 1.0), ratio).distribution(raw) for ratio in (1.0, 1 / 260))
    odds = lambda stated: stated["is_event"].probs[1] / stated["is_event"].probs[0]
    np.testing.assert_allclose(odds(seldom), odds(often) / 260, rtol=1e-4)
    np.testing.assert_allclose(mean(seldom["hypocentre"]), mean(often["hypocentre"]))


def test_a_station_with_the_distance_alone_predicts_a_ring():
    raw = jnp.zeros(sum(LOCAL.sizes)).at[1 + 12].set(20.0)
    stated = polar_classes(LOCAL, (2.0, 1.0)).distribution(AtStation(raw, STATION_KM, jnp.ones(())))["hypocentre"]
    draws = marginal_of(stated, (0, 1)).sample(jax.random.key(0), (2000,))
    distance_km, azimuth_rad = distance_and_azimuth(STATION_KM, jnp.pad(draws, ((0, 0), (0, 2))))
    # 95 % of a normal, and a resultant of 2000 directions at random: its mean square is 1 / 2000.
    assert np.mean(np.abs(distance_km - 36.0) < 2 * 3.0) > 0.9
    assert circular(jnp.ones(2000), azimuth_rad).resultant < 4 / np.sqrt(2000)


@pytest.mark.parametrize("station_km", [STATION_KM, jnp.array([-25.0, 20.0, 0.0])])
def test_outputs_of_zero_give_the_catalogue_seen_from_any_station(station_km):
    """Its mean and spread of epicentres, widened by kernels and classes, from a station within and one without."""
    places = np.random.default_rng(0).normal([15.0, -10.0], [9.0, 5.0], (250, 2)).astype(np.float32)
    head = polar_classes(LOCAL, (2.0, 1.0), epicentre_km=places)
    stated = head.distribution(AtStation(jnp.zeros(head.size), station_km, jnp.ones(())))["hypocentre"]
    sd = np.sqrt(np.diag(covariance(stated)))[:2]
    assert (np.abs(mean(stated)[:2] - places.mean(0)) < 0.35 * sd).all()
    assert (sd / places.std(0) > 0.9).all()
    assert (sd / places.std(0) < 2.5).all()


def events(number=120):
    rng = np.random.default_rng(1)
    centre = np.array([[-15.0, 0.0], [10.0, 12.0], [8.0, -14.0]])[np.arange(number) % 3]
    rest = rng.normal([8.0, 2.0], [2.0, 0.5], (number, 2))
    return np.concatenate([centre + rng.normal(0, 1.5, (number, 2)), rest], -1).astype(np.float32)


def test_clusters_are_found_whatever_the_records_an_event_has():
    known = np.ones((120, 4), bool)
    once, thrice = (
        clusters(events(), known, 3, BROAD),
        clusters(np.repeat(events(), 3, 0), np.repeat(known, 3, 0), 3, BROAD),
    )
    np.testing.assert_array_equal(once.mean, thrice.mean)
    np.testing.assert_array_equal(once.sd, thrice.sd)
    assert sorted(np.bincount(once.of_event)) == [40, 40, 40]
    np.testing.assert_allclose(sorted(once.centre_km[:, 0]), [-15, 8, 10], atol=4 * 1.5 / np.sqrt(40))
    # Silverman's rule in four dimensions for 40 events of standard deviation 1.5.
    np.testing.assert_allclose(once.sd[:, :2], 1.5 * (4 / (6 * 40)) ** (1 / 8), rtol=0.4)


def test_noise_and_events_without_place_are_no_part_of_clusters():
    known = np.ones((120, 4), bool)
    known[:60] = False
    found = clusters(np.where(known, events(), 0.0), known, 3, BROAD)
    assert len(found.of_event) == 60
    known = np.ones((120, 4), bool)
    known[:, 3] = False
    found = clusters(events(), known, 3, BROAD)
    np.testing.assert_allclose(found.mean[:, 3], BROAD[0][3])
    np.testing.assert_allclose(found.sd[:, 3], BROAD[1][3])
    with pytest.raises(ValueError, match=r"within 1-120, the events known, got 121"):
        clusters(events(), known, 121, BROAD)


def test_a_cluster_is_located_at_its_events_and_detected_by_the_sum_of_clusters():
    found = clusters(events(), np.ones((120, 4), bool), 3, BROAD)
    head = cluster_classes(found)
    raw = jnp.array([0.5, 0.0, 0.0, 0.0])  # noise is the likeliest class, and an event likelier than not
    stated = head.distribution(raw)
    np.testing.assert_allclose(stated["is_event"].probs[1], 3 / (3 + np.exp(0.5)), rtol=1e-5)
    which = int(nearest(found.centre_km, np.array([[-15.0, 0.0]]))[0])
    sure = head.distribution(raw.at[1 + which].set(20.0))["hypocentre"]
    np.testing.assert_allclose(mean(sure)[:2], events()[::3, :2].mean(0), atol=1e-2)
    one = {"hypocentre": label([-14.0, 1.0, 8.0, 2.0]), "is_event": label(1.0)}
    p = jax.nn.softmax(raw)
    np.testing.assert_allclose(head.log_likelihood(raw, one), np.log(p[1 + which]), rtol=1e-5)
    np.testing.assert_allclose(head.log_likelihood(raw, {"is_event": label(0.0)}), np.log(p[0]), rtol=1e-5)


def test_draws_on_the_same_kernels_are_averaged_without_more_of_them():
    found = clusters(events(), np.ones((120, 4), bool), 3, BROAD)
    head = cluster_classes(found)
    raws = 2 * jax.random.normal(jax.random.key(0), (5, 4))
    one = averaged(AtStation(raws, jnp.zeros((5, 3)), jnp.ones(5)))
    shares = jax.nn.softmax(jax.vmap(lambda raw: head.distribution(raw)["hypocentre"].parts.log_weight)(raws))
    np.testing.assert_allclose(
        np.exp(head.distribution(one.raw)["hypocentre"].parts.log_weight), shares.mean(0), rtol=1e-4
    )
