"""Mixtures against NumPyro's own, against closed forms, and against counts of draws."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
import scipy.stats
from cases import quick_jit
from jaxtyping import Array

from jaxloc.distributions.credible_regions import highest_density_level, highest_density_volume
from jaxloc.distributions.ellipsoids import credible_ellipsoid
from jaxloc.distributions.gaussian_mixture import (
    HypocentreMixture,
    components,
    contaminated,
    covariance,
    covariance_of_means,
    gaussian_mixture,
    marginal,
    mean,
    mixture_of_draws,
    mode,
    split_covariance,
)

KEY = jax.random.key(0)

# Step by step each operation is compiled by itself, which takes nearly all of the time here.
log_prob = quick_jit(lambda mixture, value: mixture.log_prob(value))
sample = quick_jit(lambda mixture, shape: mixture.sample(KEY, shape), static_argnums=1)
volume_of = quick_jit(highest_density_volume, static_argnums=3)
ellipsoid_of = quick_jit(credible_ellipsoid, static_argnums=1)


@partial(quick_jit, static_argnames=("shape", "num_components", "size", "shared"))
def random_parts(
    shape: tuple[int, ...], num_components: int, size: int = 4, shared: bool = False
) -> tuple[Array, Array, Array]:
    keys = jax.random.split(KEY, 4)
    count = (1,) if shared else (num_components,)
    diagonal = jnp.exp(0.3 * jax.random.normal(keys[0], (*shape, *count, size)))
    lower = jnp.tril(0.4 * jax.random.normal(keys[1], (*shape, *count, size, size)), -1)
    scale_tril = lower + diagonal[..., None] * jnp.eye(size)
    log_weight = jax.random.normal(keys[2], (*shape, num_components))
    return log_weight, 2 * jax.random.normal(keys[3], (*shape, num_components, size)), scale_tril


@pytest.mark.parametrize(("size", "shared"), [(4, False), (2, True)])
def test_log_prob_and_moments_are_those_of_numpyro(shared: bool, size: int) -> None:
    mixture = gaussian_mixture(*random_parts((3,), 5, size, shared))
    parts = components(mixture)
    tril = jnp.broadcast_to(parts.scale_tril, (*parts.mean.shape, size))
    other = dist.MixtureSameFamily(
        dist.Categorical(logits=parts.log_weight), dist.MultivariateNormal(parts.mean, scale_tril=tril)
    )
    value = 3 * jax.random.normal(KEY, (6, 2, 3, size))
    np.testing.assert_allclose(log_prob(mixture, value), log_prob(other, value), rtol=2e-5, atol=2e-5)
    np.testing.assert_allclose(mean(mixture), other.mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(mixture.variance, other.variance, rtol=1e-4)
    np.testing.assert_allclose(mean(other), mean(mixture), rtol=1e-4, atol=1e-5)
    assert sample(mixture, (7, 2)).shape == (7, 2, 3, size)


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    mixture, value = gaussian_mixture(*random_parts((3,), 5)), jax.random.normal(KEY, (7, 3, 4))
    whole = mixture.log_prob(value)
    monkeypatch.setattr("jaxloc.distributions.gaussian_mixture.MAX_ELEMENTS", 30)
    np.testing.assert_allclose(mixture.log_prob(value), whole, rtol=1e-6)


def test_far_from_the_origin_float32_loses_nothing() -> None:
    """A grid 300 km away with cells of 0.05 km: distances are taken before they are squared."""
    centre = 300.0 + 0.05 * jnp.arange(40.0)[:, None] * jnp.ones(3)
    mixture = gaussian_mixture(jnp.zeros(40), centre, 0.05 * jnp.eye(3)[None])
    exact = np.log(scipy.stats.norm.pdf(301.0, np.asarray(centre, np.float64), 0.05).prod(-1).mean())
    assert abs(float(mixture.log_prob(jnp.full(3, 301.0))) - exact) < 5e-3


def test_draws_have_the_moments_and_skip_weight_zero() -> None:
    log_weight, centre, tril = random_parts((2,), 4)
    log_weight = log_weight.at[:, 1].set(-jnp.inf)
    centre = centre.at[:, 1].set(1e6)
    mixture = gaussian_mixture(log_weight, centre, tril)
    draws = sample(mixture, (40_000,))
    error = 4 * jnp.sqrt(mixture.variance / 40_000)  # four standard errors of eight means
    assert (jnp.abs(draws.mean(0) - mean(mixture)) < error).all()
    np.testing.assert_allclose(np.cov(draws[:, 0].T), covariance(mixture)[0], atol=0.03 * 12)


def test_it_maps_indexes_and_jits_as_a_pytree() -> None:
    log_weight, centre, tril = random_parts((3,), 5)
    mixture = jax.jit(jax.vmap(gaussian_mixture))(log_weight, centre, tril)
    assert isinstance(mixture, HypocentreMixture)
    assert mixture.batch_shape == (3,)
    assert mixture.event_shape == (4,)
    first = jax.tree.map(lambda a: a[0], mixture)
    assert first.batch_shape == ()
    value = jnp.ones(4)
    np.testing.assert_allclose(jax.vmap(lambda m: m.log_prob(value))(mixture)[0], first.log_prob(value), rtol=1e-6)


def test_marginals_are_exact() -> None:
    parts = random_parts((), 5)
    mixture = gaussian_mixture(*parts)
    part = marginal(mixture, (3, 1))
    index = np.array([3, 1])
    np.testing.assert_allclose(covariance(part), covariance(mixture)[index][:, index], rtol=1e-4, atol=1e-5)
    # against the integral over the other two coordinates, by the densities of the components
    full = np.einsum("kij,klj->kil", parts[2], parts[2])[:, index][:, :, index]
    weight = np.exp(jax.nn.log_softmax(parts[0]))
    exact = sum(
        w * scipy.stats.multivariate_normal.pdf([0.3, -1.0], m[index], c)
        for w, m, c in zip(weight, np.asarray(parts[1]), full, strict=True)
    )
    assert float(jnp.exp(part.log_prob(jnp.array([0.3, -1.0])))) == pytest.approx(float(exact), rel=1e-4)


def test_mode_is_a_summit() -> None:
    one = gaussian_mixture(*random_parts((3,), 1))
    np.testing.assert_allclose(jax.jit(mode)(one), components(one).mean[:, 0], atol=1e-5)
    # two equal Gaussians less than two sd apart: one summit, half way between
    pair = gaussian_mixture(jnp.zeros(2), jnp.array([[0.0, 0.0], [1.0, 0.0]]), jnp.eye(2)[None])
    np.testing.assert_allclose(jax.jit(partial(mode, num_steps=60))(pair), [0.5, 0.0], atol=1e-2)
    many = gaussian_mixture(*random_parts((4,), 30))
    summit = jax.jit(mode)(many)
    gradient = quick_jit(jax.grad(lambda x: many.log_prob(x).sum()))(summit)
    assert float(jnp.abs(gradient).max()) < 0.02
    assert (log_prob(many, summit) >= log_prob(many, sample(many, (2000,))).max(0)).all()


@pytest.mark.parametrize("shared", [False, True])
def test_epistemic_and_aleatoric_add_up(shared: bool) -> None:
    """The mixture has the biased covariance of the six draws' means."""
    parts = random_parts((6, 3), 2, shared=shared)
    epistemic, aleatoric = quick_jit(split_covariance)(*parts)
    whole = mixture_of_draws(gaussian_mixture(*parts))
    assert whole.batch_shape == (3,)
    assert components(whole).mean.shape == (3, 12, 4)
    np.testing.assert_allclose(epistemic * 5 / 6 + aleatoric, covariance(whole), rtol=1e-4, atol=1e-5)
    assert (jnp.linalg.eigvalsh(epistemic) > -1e-5).all()


def test_the_epistemic_part_of_few_draws_has_no_bias() -> None:
    """Three draws of a known covariance, 4,000 times: the mean estimate is it, within four standard errors."""
    scale_tril = jnp.array([[2.0, 0.0], [0.5, 1.0]])
    means = jax.random.normal(jax.random.key(0), (3, 4000, 2)) @ scale_tril.T
    each = np.asarray(covariance_of_means(means), float)
    error = each.std(0) / np.sqrt(len(each))
    assert (np.abs(each.mean(0) - np.asarray(scale_tril @ scale_tril.T)) < 4 * error).all()


def test_one_draw_has_nothing_epistemic() -> None:
    parts = random_parts((1,), 3)
    epistemic, aleatoric = split_covariance(*parts)
    np.testing.assert_allclose(epistemic, 0.0, atol=1e-6)
    np.testing.assert_allclose(aleatoric, covariance(gaussian_mixture(*parts))[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_ellipsoid_holds_its_mass(size: int) -> None:
    tril = random_parts((), 1, size)[2][0]
    spread = tril @ tril.T
    axes = ellipsoid_of(spread, 0.9)
    draws = dist.MultivariateNormal(jnp.zeros(size), scale_tril=tril).sample(KEY, (20_000,))
    inside = (((draws @ axes.directions) / axes.semi_axes) ** 2).sum(-1) < 1
    assert abs(float(inside.mean()) - 0.9) < 4 * np.sqrt(0.09 / 20_000)
    assert (jnp.diff(axes.semi_axes) <= 0).all()


@pytest.mark.parametrize("size", [1, 2, 3])
def test_level_and_volume_of_a_gaussian_are_chi_square(size: int) -> None:
    mixture = gaussian_mixture(jnp.zeros(1), jnp.zeros((1, size)), 2 * jnp.eye(size)[None])
    point = jnp.zeros(size).at[0].set(3.0)
    level = jax.jit(lambda m: highest_density_level(KEY, m, point, 20_000))(mixture)
    exact = scipy.stats.chi2.cdf(1.5**2, size)
    assert abs(float(level) - exact) < 4 * np.sqrt(exact * (1 - exact) / 20_000)

    levels = np.array([0.5, 0.9])
    volume = volume_of(KEY, mixture, jnp.array(levels), 50_000)
    radius = 2 * np.sqrt(scipy.stats.chi2.ppf(levels, size))
    ball = np.pi ** (size / 2) / scipy.special.gamma(size / 2 + 1) * radius**size
    # about one per cent of Monte Carlo error at 50 000 draws
    np.testing.assert_allclose(volume, ball, rtol=0.04)


def test_volume_of_two_islands_is_twice_that_of_one() -> None:
    centre = jnp.array([[-100.0, 0.0], [100.0, 0.0]])
    mixture = gaussian_mixture(jnp.zeros(2), centre, jnp.eye(2)[None])
    area = volume_of(KEY, mixture, jnp.array([0.9]), 50_000)
    assert float(area[0]) == pytest.approx(2 * np.pi * scipy.stats.chi2.ppf(0.9, 2), rel=0.04)


def test_levels_of_truths_from_the_mixture_are_uniform() -> None:
    mixture = gaussian_mixture(*random_parts((400,), 3, 2))
    key_truth, key_level = jax.random.split(KEY)
    level = jax.jit(highest_density_level)(key_level, mixture, mixture.sample(key_truth))
    assert scipy.stats.kstest(level, "uniform").pvalue > 0.001


def test_five_thousand_components_are_feasible() -> None:
    log_weight, centre, tril = random_parts((4,), 5000, shared=True)
    mixture = gaussian_mixture(log_weight, centre, tril)
    density = jax.jit(lambda m: m.log_prob(m.sample(KEY, (500,))))(mixture)
    assert density.shape == (500, 4)
    assert bool(jnp.isfinite(density).all())


@pytest.mark.parametrize("shapes", [((3,), (2, 4), (3, 4, 4)), ((3,), (3, 4), (2, 4, 4)), ((), (4,), (4, 4))])
def test_shapes_that_do_not_fit_are_refused(shapes: tuple[tuple[int, ...], ...]) -> None:
    with pytest.raises(ValueError, match="K, D"):
        gaussian_mixture(*(jnp.ones(shape) for shape in shapes))


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda: components(dist.Gamma(1.0)), "Gamma"),
        (lambda: credible_ellipsoid(jnp.eye(2), 90), "90"),
    ],
)
def test_other_wrong_arguments_are_named(action, message) -> None:
    with pytest.raises(ValueError, match=message):
        action()


def test_contaminated_keeps_the_mean_and_widens_as_its_share_says():
    rng = np.random.default_rng(8)
    mean, tril = rng.normal(size=(3, 6, 4)), np.tril(rng.normal(size=(3, 1, 4, 4))) + 2 * np.eye(4)
    plain = gaussian_mixture(rng.normal(size=(3, 6)), mean, tril)
    heavy = gaussian_mixture(*contaminated(plain.parts, 0.1, 3.0))
    np.testing.assert_allclose(heavy.mean, plain.mean, atol=1e-5)
    wider = 0.9 + 0.1 * 3.0**2  # Tukey's variance
    np.testing.assert_allclose(covariance(heavy), wider * covariance(plain), rtol=1e-4, atol=1e-4)
    far = plain.mean + 40.0
    assert (log_prob(heavy, far) > log_prob(plain, far)).all()
    near = log_prob(plain, plain.mean) + np.log(0.9)
    assert (log_prob(heavy, plain.mean) >= near - 1e-5).all()
