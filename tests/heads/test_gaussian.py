"""Heads against NumPyro's own densities, by table."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import optax
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from jaxloc.distributions.any_distribution import as_mixture
from jaxloc.distributions.gaussian_mixture import components, covariance
from jaxloc.distributions.gaussian_mixture import mean as mixture_mean
from jaxloc.heads import gaussian, isotropic, volume
from jaxloc.types import Label

# Compiling takes nearly all of the time here; without optimisation it takes an eighth.
quick_jit = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})

CENTRE = np.array([3.0, -4.0, 8.0, 12.0])
SCALE = np.array([20.0, 15.0, 5.0, 2.0])
EAST, NORTH, DEPTH = np.linspace(-20, 20, 9), np.linspace(-15, 15, 7), np.array([0.0, 2, 5, 10, 20])
ELSEWHERE = (np.array([0.0, 0, 10]), np.array([60.0, 60, 10]))

HEADS = {
    "gaussian": gaussian.gaussian(CENTRE, SCALE),
    "isotropic": isotropic.isotropic(CENTRE, SCALE),
    "mixture": gaussian.mixture(CENTRE, SCALE, 3),
    "moved": gaussian.moved(gaussian.mixture(np.zeros(4), np.ones(4), 3)),
    "volume": volume.volume(EAST, NORTH, DEPTH, 12.0, 2.0),
    "volume, null class": volume.volume(EAST, NORTH, DEPTH, 12.0, 2.0, null_class=ELSEWHERE),
    "volume, smoothed": volume.volume(EAST, NORTH, DEPTH, 12.0, 2.0, label_sigma_km=(1.0, 1.0, 1.0)),
    "published volume": volume.published_volume(EAST, NORTH, DEPTH, 12.0, 2.0),
}
EXACT = ["gaussian", "mixture", "moved", "volume", "volume, null class"]
MASKS = list(itertools.product([False, True], repeat=4))
VALUE = np.array([5.0, 2.0, 6.0, 11.0], np.float32)


def raw_of(head, key=0, scale=1.0):
    return scale * jax.random.normal(jax.random.key(key), jnp.atleast_1d(jnp.array(head.size)).tolist())


def hypocentre(value=VALUE, mask=(True,) * 4):
    mask = jnp.array(mask)
    return {"hypocentre": Label(jnp.where(mask, jnp.asarray(value), 0.0), mask)}


def every_mask(value=VALUE):
    mask = jnp.array(MASKS)
    return {"hypocentre": Label(jnp.where(mask, jnp.asarray(value), 0.0), mask)}


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_distribution_and_likelihood_are_finite_with_finite_gradients(head):
    """Raw values up to 1e20, labels near and far, all masks; what is unknown counts exactly zero."""
    raws = jnp.stack([raw_of(head, key, scale) for key, scale in enumerate([0.0, 1.0, 30.0, 1e4, 1e20])])
    over_masks = jax.vmap(jax.value_and_grad(head.log_likelihood), (None, 0))
    value_and_slope = quick_jit(jax.vmap(over_masks, (0, None)))
    for value in (VALUE, jnp.array([900.0, -900.0, 200.0, 60.0])):
        each, slopes = value_and_slope(raws, every_mask(value))
        assert each.shape == (5, 16)
        assert np.isfinite(each).all(), each
        assert np.isfinite(slopes).all()
        assert (each[:, 0] == 0).all()
        assert (slopes[:, 0] == 0).all()
    assert head.log_likelihood(raws[0], {}) == 0

    @quick_jit
    def use(raws):
        mixtures = jax.vmap(lambda raw: head.distribution(raw)["hypocentre"])(raws)
        density = mixtures.log_prob(jnp.broadcast_to(VALUE, (5, 4)))
        return mixtures, density, mixtures.sample(jax.random.key(1), (7,))

    mixtures, density, draws = use(raws)
    assert mixtures.batch_shape == (5,)
    assert mixtures.event_shape == (4,)
    assert np.isfinite(density).all()
    assert draws.shape == (7, 5, 4)
    assert np.isfinite(draws).all()


@pytest.mark.parametrize("name", EXACT)
def test_likelihood_is_the_exact_marginal_for_every_mask(name):
    """SciPy in double precision, rows and columns of the known coordinates picked from the covariance."""
    head = HEADS[name]
    raw = raw_of(head, 4)
    got = quick_jit(jax.vmap(head.log_likelihood, (None, 0)))(raw, every_mask())
    log_weight, mean, tril = (np.asarray(a, float) for a in as_mixture(head.distribution(raw)["hypocentre"]).parts)
    full = np.einsum("kij,klj->kil", tril, tril)
    for mask, one in zip(MASKS[1:], got[1:], strict=True):
        known = np.flatnonzero(mask)
        each = [
            multivariate_normal.logpdf(VALUE[known], m[known], c[np.ix_(known, known)])
            for m, c in zip(mean, full, strict=True)
        ]
        np.testing.assert_allclose(one, logsumexp(log_weight + each), atol=2e-4, rtol=2e-5, err_msg=str(mask))


def test_gaussian_density_is_numpyros():
    head = HEADS["gaussian"]
    raw = raw_of(head, 4)
    _, mean, tril = components(head.distribution(raw)["hypocentre"])
    want = dist.MultivariateNormal(mean[0], scale_tril=tril[0]).log_prob(VALUE)
    np.testing.assert_allclose(head.log_likelihood(raw, hypocentre()), want, rtol=1e-5)


@pytest.mark.parametrize(
    ("raw_width", "expected", "tolerance"),
    [(0.0, SCALE + np.array(gaussian.FLOOR), 1e-5), (-1e6, np.array(gaussian.FLOOR), 1e-4)],
    ids=["start", "floor"],
)
def test_gaussian_starts_from_the_catalogue_and_keeps_its_floor(raw_width, expected, tolerance):
    head = HEADS["gaussian"]
    mixture = head.distribution(jnp.zeros(head.size).at[4:8].set(raw_width))["hypocentre"]
    np.testing.assert_allclose(mixture.mean, CENTRE, rtol=1e-6)
    np.testing.assert_allclose(np.sqrt(mixture.variance), expected, rtol=tolerance)


def test_mixture_components_differ_where_raw_is_zero():
    head = HEADS["mixture"]
    means = components(head.distribution(jnp.zeros(head.size))["hypocentre"]).mean
    assert len(np.unique(np.asarray(means).round(3), axis=0)) == 3


def test_gaussian_finds_the_maximum_likelihood_of_labels_without_depth():
    """Fitted by gradient to events of unknown depth, it returns their own moments; depth stays as it was."""
    head = gaussian.gaussian(np.zeros(4), np.ones(4) * 10)
    rng = np.random.default_rng(0)
    values = jnp.asarray(rng.normal([3, -2, 0, 1], [4, 2, 1, 0.5], (400, 4)), jnp.float32)
    labels = {"hypocentre": Label(values.at[:, 2].set(0.0), jnp.tile(jnp.array(MASKS[13]), (400, 1)))}
    loss = lambda raw: -jax.vmap(lambda one: head.log_likelihood(raw, one))(labels).mean()
    adam = optax.adam(optax.cosine_decay_schedule(0.05, 500))

    def step(carry, _):
        raw, state = carry
        change, state = adam.update(jax.grad(loss)(raw), state)
        return (optax.apply_updates(raw, change), state), None

    start = jnp.zeros(head.size)
    raw = quick_jit(lambda c: jax.lax.scan(step, c, None, length=500)[0][0])((start, adam.init(start)))
    mixture = head.distribution(raw)["hypocentre"]
    seen = np.array([0, 1, 3])
    np.testing.assert_allclose(mixture.mean[seen], values.mean(0)[seen], atol=0.02)
    np.testing.assert_allclose(np.sqrt(mixture.variance)[seen], values.std(0)[seen], rtol=0.02)
    assert mixture.mean[2] == 0


def test_volume_density_is_nearly_flat_for_equal_weights():
    """A voxel's Gaussian of half a cell ripples within 5 % of the uniform density, away from the faces."""
    edges = np.arange(-10.0, 11)
    head = volume.volume(edges, edges, edges, 0.0, 1.0)
    at = jnp.array([[x, 0.3, y] for x in np.linspace(-4, 4, 41) for y in (0.0, 0.5)])
    labels = lambda x: hypocentre(jnp.append(x, 0.0), (True, True, True, False))
    density = quick_jit(jax.vmap(lambda x: head.log_likelihood(jnp.zeros(head.size), labels(x))))(at)
    density = jnp.exp(density) * 20.0**3
    assert np.abs(density - 1).max() < 0.05


@pytest.mark.parametrize("name", [*EXACT, "isotropic"])
def test_the_distribution_is_the_density_that_is_learnt(name):
    head = HEADS[name]
    raw = raw_of(head, 4)
    place = head.distribution(raw)["hypocentre"]
    points = jnp.concatenate([place.sample(jax.random.key(1), (20,)), jnp.asarray(VALUE)[None]])
    learnt = quick_jit(jax.vmap(lambda value: head.log_likelihood(raw, hypocentre(value))))(points)
    np.testing.assert_allclose(place.log_prob(points), learnt, rtol=2e-5, atol=2e-4)


def test_all_mass_in_one_voxel_is_safe():
    edges = np.linspace(-10, 10, 18)
    head = volume.volume(edges, edges, edges, 0.0, 1.0)
    raw = jnp.zeros(head.size).at[3, 4, 5].set(1e4)
    place = quick_jit(head.distribution)(raw)["hypocentre"]
    centre = (edges[1:] + edges[:-1]) / 2
    np.testing.assert_allclose(place.mean[:3], centre[[3, 4, 5]], atol=1e-4)
    assert np.isfinite(covariance(place)).all()
    assert np.isfinite(place.log_prob(jnp.array([9.0, -9.0, 9.0, 0.0])))


def test_null_class_takes_events_outside_the_grid():
    with_null, without = HEADS["volume, null class"], HEADS["volume"]
    raw, outside = jnp.zeros(without.size), hypocentre([90.0, 0, 5, 12])
    assert without.log_likelihood(raw, outside) < -100 < with_null.log_likelihood(raw, outside)
    empty = jnp.full(without.size, -50.0)
    place = with_null.distribution(empty)["hypocentre"]
    np.testing.assert_allclose(mixture_mean(place)[:3], ELSEWHERE[0], atol=1e-3)
    np.testing.assert_allclose(np.diag(covariance(place))[:3], ELSEWHERE[1] ** 2, rtol=1e-3)


def test_smoothed_label_is_a_cross_entropy_with_its_best_at_the_label():
    """Gibbs: no weights beat the smoothed label itself; the density counts voxel volumes."""
    head = HEADS["volume, smoothed"]
    labels = hypocentre(mask=(True, True, True, False))
    likelihood = quick_jit(lambda raw: head.log_likelihood(raw, labels))
    climb = lambda raw, _: (raw + 2.0 * jax.grad(head.log_likelihood)(raw, labels), None)
    raw = quick_jit(lambda raw: jax.lax.scan(climb, raw, None, length=500)[0])(raw_of(head))
    reached = likelihood(raw)
    assert reached > max(likelihood(raw_of(head, key)) for key in range(5))
    peak = np.unravel_index(np.argmax(raw), raw.shape)
    assert peak == (4, 3, 2) or peak == (5, 3, 2)  # 5 km east is on an edge of the two
    volume_km3 = 5.0 * 5.0 * 5.0
    assert -np.log(volume_km3) - np.log(4) < reached < -np.log(volume_km3) + 0.1


def test_published_volume_is_mean_binary_cross_entropy():
    head = HEADS["published volume"]
    raw = raw_of(head)
    centre = [(edge[1:] + edge[:-1]) / 2 for edge in (EAST, NORTH, DEPTH)]
    east, north, depth = np.meshgrid(*centre, indexing="ij")
    squared = ((east - 5) ** 2 + (north - 2) ** 2) / 20**2 + (depth - 6) ** 2 / 2.4**2
    wanted, chance = np.exp(-squared / 2), 1 / (1 + np.exp(-np.asarray(raw, float)))
    want = (wanted * np.log(chance) + (1 - wanted) * np.log(1 - chance)).mean()
    np.testing.assert_allclose(head.log_likelihood(raw, hypocentre()), want, rtol=1e-5)
    weight = jnp.exp(head.distribution(raw)["hypocentre"].arrays.log_weight)
    np.testing.assert_allclose(weight[..., 0], chance / chance.sum(), rtol=1e-4)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: gaussian.gaussian(CENTRE, [1, 2, 0, 1]), "scale must be positive"),
        (lambda: gaussian.gaussian([np.nan, 0, 0, 0], SCALE), "centre must be four finite"),
        (lambda: gaussian.mixture(CENTRE, SCALE, 0), "num_components must be 1 or more, got 0"),
        (lambda: volume.volume(EAST[::-1], NORTH, DEPTH, 0.0, 1.0), "grid_east_km must be"),
        (lambda: volume.volume(EAST, NORTH, DEPTH, 0.0, -1.0), "origin_sd_s positive, got 0.0 and -1.0"),
        (lambda: volume.volume(EAST, NORTH, DEPTH, 0.0, 1.0, (1.0, 1.0, -2.0)), "label_sigma_km"),
        (lambda: volume.volume(np.geomspace(1, 99, 12), NORTH, DEPTH, 0.0, 1.0), "grow by a factor of 1.2 at most"),
        (lambda: volume.volume(EAST, NORTH, DEPTH, 0.0, 1.0, null_class=([0, 0, 0], [1, 1, 0])), "null_class"),
        (lambda: volume.published_volume(EAST, NORTH, DEPTH, 0.0, 1.0, (1, 2)), "sigma_km"),
    ],
)
def test_bad_settings_are_refused(build, words):
    with pytest.raises(ValueError, match=words):
        build()
