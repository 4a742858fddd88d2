"""Samplers of weights, on a linear-Gaussian regression whose posterior is known exactly."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from blackjax.vi import svgd
from cases import METHODS
from linear_regression import DIM, EVENTS, PRIOR, analytic, batch, falling, fit, linear, start, two_arrays
from numpyro.diagnostics import effective_sample_size

from jaxloc import inference
from jaxloc.inference.sample_buffer import keep_if, nothing, sample_kept
from jaxloc.inference.sgmcmc import cycles_of
from jaxloc.inference.svgd import force
from jaxloc.training import checkpoints
from jaxloc.training.progress import Progress
from jaxloc.types import Target

SAMPLERS = ("nuts", "sghmc", "sgld", "stein")
CHAINS, STEPS, KEEP, FRICTION = 1000, 4000, 20, 10.0
CYCLES = {"cycles": 4, "exploration": 0.2, "keep": KEEP}
SIZES = {"sgld": 1e-3, "sghmc": 2e-2}
OWN = {"sgld": {}, "sghmc": {"friction": FRICTION}}


def in_prior_units():
    """Mean and precision of the posterior of displacements."""
    mean, precision, _ = analytic()
    return mean / PRIOR, precision * PRIOR**2


def chains(name, **settings):
    """The kept draws of many chains from one start, [chain, kept, weight], in units of the prior."""
    method = getattr(inference, name)(linear(), steps=STEPS, **CYCLES, **settings)
    events = batch()

    def run(key):
        keys = jax.random.split(key, STEPS)
        update = lambda state, key: (method.update(key, state, events)[0], None)
        return jax.lax.scan(update, method.init(key, start()), keys)[0].kept

    kept = jax.jit(jax.vmap(run))(jax.random.split(jax.random.key(3), CHAINS))
    assert (kept.number == KEEP).all()
    return np.asarray(kept.weights, float)


def by_hand(name):
    """Mean and covariance of each kept draw: each step is linear in where the chain is, with noise of known width."""
    mean, precision = in_prior_units()
    when, one = cycles_of(STEPS, **CYCLES), np.eye(DIM)
    at, cov, found = np.zeros(2 * DIM), np.zeros((2 * DIM, 2 * DIM)), []
    at[:DIM] = np.asarray(start()["kernel"], float) / PRIOR
    for step in range(STEPS):
        h = SIZES[name] * float(np.cos(np.pi * (step % when.length) / when.length) + 1) / 2
        heat = step % when.length >= when.exploring
        if name == "sgld":
            turn = np.block([[one - h * precision, 0 * one], [0 * one, 0 * one]])
            push, noise = np.r_[h * precision @ mean, np.zeros(DIM)], np.r_[np.full(DIM, 2 * h * heat), np.zeros(DIM)]
        else:
            slower = (1 - FRICTION * h) * one
            turn = np.block([[one, h * one], [-h * precision, slower - h**2 * precision]])
            push = np.r_[np.zeros(DIM), h * precision @ mean]
            noise = np.r_[np.zeros(DIM), np.full(DIM, 2 * FRICTION * h * heat)]
        at, cov = turn @ at + push, turn @ cov @ turn.T + np.diag(noise)
        if when.due(np.int32(step)):
            found.append((at[:DIM], cov[:DIM, :DIM]))
    return (np.array(x) for x in zip(*found, strict=True))


@pytest.mark.parametrize("name", SIZES)
def test_stochastic_gradient_chains_are_those_worked_out_by_hand(name):
    """Each kept draw over 1,000 chains: four standard errors of means (one over the root of 1,000) and covariances."""
    draws = chains(name, step_size=SIZES[name], adaptation=0.0, **OWN[name])
    means, covs = by_hand(name)
    assert len(means) == KEEP
    for kept, (mean, cov) in enumerate(zip(means, covs, strict=True)):
        sd = np.sqrt(np.diag(cov))
        np.testing.assert_allclose((draws[:, kept].mean(0) - mean) / sd, 0, atol=4 / np.sqrt(CHAINS))
        error = np.sqrt((np.outer(sd, sd) ** 2 + cov**2) / CHAINS)
        np.testing.assert_allclose((np.cov(draws[:, kept].T) - cov) / error, 0, atol=4)


@pytest.mark.parametrize(("name", "bias"), [("sgld", 0.05), ("sghmc", 0.01)])
def test_stochastic_gradient_draws_are_nearly_the_posterior(name, bias):
    """All kept draws together, by the moments worked out by hand: no chance is in it, only the bias of finite steps.

    In the sharpest direction the largest step makes the variance of Langevin draws 1 / (1 - h / 2 s^2) = 1.11 times too
    wide, of those with momentum 1 / (1 - (h / 2 s)^2) = 1.02 times; less over a cycle, whose steps fall to zero.
    """
    means, covs = by_hand(name)
    mean, precision = in_prior_units()
    together = covs.mean(0) + np.cov(means.T, bias=True)
    root = np.linalg.cholesky(precision)
    np.testing.assert_allclose(np.linalg.eigvalsh(root.T @ together @ root), 1, atol=bias)
    np.testing.assert_allclose(root.T @ (means.mean(0) - mean), 0, atol=0.01)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "settings"), [("sghmc", {}), ("sgld", {"step_size": 0.05})])
def test_chains_find_their_own_widths(name, settings):
    """The posterior, whitened, within three standard errors of 1,000 chains, and the few per cent of finite steps."""
    mean, precision = in_prior_units()
    away = (chains(name, **settings) - mean) @ np.linalg.cholesky(precision)
    together = away.reshape(-1, DIM)
    np.testing.assert_allclose(together.mean(0), 0, atol=3 / np.sqrt(CHAINS))
    np.testing.assert_allclose(np.cov(together.T), np.eye(DIM), atol=3 * np.sqrt(2 / CHAINS) + 0.05)


def standard_errors(draws, truth):
    """How far the mean of correlated draws is from the truth, in standard errors by effective sample size."""
    return (draws.mean(0) - truth) / (draws.std(0) / np.sqrt(effective_sample_size(draws[None])))


def test_nuts_is_exact():
    """Mean and covariance within four standard errors, by effective sample size."""
    state, info = fit(inference.nuts(linear(), start=300, keep=3000), start(), 3300)
    draws = np.asarray(state.kept.weights, float)
    mean, precision = in_prior_units()
    cov = np.linalg.inv(precision)
    assert np.abs(standard_errors(draws, mean)).max() < 4
    away = draws - mean
    products = (away[:, :, None] * away[:, None, :]).reshape(len(draws), -1)
    assert np.abs(standard_errors(products, cov.ravel())).max() < 4
    assert (effective_sample_size(draws[None]) > 300).all()
    np.testing.assert_allclose(info.loss, info.negative_log_likelihood + info.divergence, rtol=1e-4)


def test_nuts_reports_the_loss_as_the_point_estimate_does():
    """The loss of the weights that the chain is at, by the target itself."""
    aim = linear()
    method = inference.nuts(aim, start=5, keep=1)
    state, info = fit(method, start(), 20)
    params = jax.tree.map(lambda x: x[0], method.sample(jax.random.key(0), state, 1))
    negative = -aim.log_likelihood(params, batch()).mean()
    assert info.negative_log_likelihood[-1] == pytest.approx(float(negative), rel=1e-4)
    assert info.divergence[-1] == pytest.approx(float(-aim.log_prior(params.params) / EVENTS), rel=1e-4)


def test_stein_takes_the_step_of_blackjax():
    z, slope = jax.random.normal(jax.random.key(0), (2, 7, DIM))
    look = lambda particle: slope[jnp.argmin(((z - particle) ** 2).sum(-1))]
    first = svgd.update_median_heuristic(svgd.init(z, {}, optax.sgd(1.0)))
    want = svgd.build_kernel(optax.sgd(1.0))(first, look, svgd.rbf_kernel).particles
    np.testing.assert_allclose(z + force(z, slope), want, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_stein_particles_have_the_posterior():
    """The mean is exact; a hundred particles in three dimensions are drawn 12 per cent too narrow in variance.

    Nothing random is in it but where particles start. Noise of the last steps: a fiftieth of a standard deviation.
    """
    method = inference.stein(linear(), falling(2000, 0.03), particles=100)
    state, _ = fit(method, start(), 2000)
    mean, precision = in_prior_units()
    root = np.linalg.cholesky(precision)
    away = (np.asarray(state.particles, float) - mean) @ root
    np.testing.assert_allclose(away.mean(0), 0, atol=0.02)
    np.testing.assert_allclose(np.linalg.eigvalsh(np.cov(away.T)), 0.88, atol=0.03)
    draws = method.sample(jax.random.key(0), state, 103).params["kernel"]
    np.testing.assert_allclose(draws, np.asarray(state.particles)[np.arange(103) % 100] * PRIOR, rtol=1e-5)


@pytest.mark.parametrize(("size", "variance"), [(3, 0.61), (20, 0.15), (61, 0.05)])
def test_twenty_stein_particles_are_too_close_as_documented(size, variance):
    """Of a standard normal; a known weakness. Averaged over weights, chance of where particles start is below 0.02."""
    optimizer = optax.adam(optax.cosine_decay_schedule(0.01, 3000))
    first = 0.05 * jax.random.normal(jax.random.key(0), (20, size))

    def step(state, _):
        change, memory = optimizer.update(-force(state[0], -state[0]), state[1])
        return (state[0] + change, memory), None

    (z, _), _ = jax.jit(lambda z: jax.lax.scan(step, (z, optimizer.init(z)), None, 3000))(first)
    assert z.var(0).mean() == pytest.approx(variance, abs=0.02)


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] if n == "nuts" else []) for n in SAMPLERS])
def test_members_side_by_side_are_those_that_go_alone(name):
    method, keys = METHODS[name](linear(), optax.sgd(0.01)), jax.random.split(jax.random.key(1), 2)
    events = batch()

    def run(key, params):
        update = lambda state, key: method.update(key, state, events)
        return jax.lax.scan(update, method.init(key, params), jax.random.split(key, 4))

    side = jax.jit(jax.vmap(run))(keys, start(2))
    row = jax.jit(lambda keys, params: jax.lax.map(lambda each: run(*each), (keys, params)))(keys, start(2))
    for a, b in zip(jax.tree.leaves(side), jax.tree.leaves(row), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", SAMPLERS)
def test_samplers_are_kept_in_checkpoints(name, tmp_path):
    method = METHODS[name](linear(), optax.adam(0.01))
    state, _ = fit(method, start(), 4)
    folder = checkpoints.manager(tmp_path)
    checkpoints.save(folder, Progress(4, state, state, 0.0))
    found = checkpoints.restore(folder, jax.eval_shape(method.init, jax.random.key(0), start()))
    for a, b in zip(jax.tree.leaves(found.state), jax.tree.leaves(state), strict=True):
        np.testing.assert_array_equal(a, b)
    draws = [method.sample(jax.random.key(0), one, 3).params["kernel"] for one in (found.state, state)]
    np.testing.assert_array_equal(*draws)


def test_nuts_over_a_subspace_has_the_conditional_posterior():
    held = 0.9
    method = inference.subspace(
        two_arrays(), lambda name: name == "rest", lambda part: inference.nuts(part, start=200, keep=1000)
    )
    state, _ = fit(method, {"first": jnp.array([held]), "rest": jnp.zeros(DIM - 1)}, 1200)
    mean, precision, _ = analytic()
    want = mean[1:] - np.linalg.solve(precision[1:, 1:], precision[1:, 0]) * (held - mean[0])
    draws = np.asarray(state.inner.kept.weights, float) * PRIOR
    assert np.abs(standard_errors(draws, want)).max() < 4
    assert (method.sample(jax.random.key(0), state, 3).params["first"] == np.float32(held)).all()


@pytest.mark.parametrize("name", ["sghmc", "sgld", "stein"])
def test_samplers_work_over_a_subspace(name):
    method = inference.subspace(two_arrays(), lambda name: name == "rest", lambda p: METHODS[name](p, optax.sgd(0.1)))
    state, info = fit(method, {"first": jnp.array([0.9]), "rest": jnp.zeros(DIM - 1)}, 8)
    draws = method.sample(jax.random.key(0), state, 3).params
    assert (draws["first"] == np.float32(0.9)).all()
    assert np.ptp(draws["rest"], axis=0).min() > 0
    assert np.isfinite(info.loss).all()


def test_the_last_draws_are_kept_and_given_evenly_spaced():
    kept = nothing(4, 1)
    current = jnp.array([-1.0])
    assert (sample_kept(jax.random.key(0), kept, current, 3) == -1).all()
    for step in range(12):
        kept = keep_if(jnp.array(step % 2 == 0), jnp.array([float(step)]), kept)
    assert set(np.asarray(kept.weights).ravel()) == {4.0, 6.0, 8.0, 10.0}
    for key in jax.random.split(jax.random.key(0), 5):
        whole, half, more = (np.asarray(sample_kept(key, kept, current, n)).ravel() for n in (4, 2, 9))
        assert len(set(whole)) == 4
        assert abs(half[0] - half[1]) == 4
        np.testing.assert_array_equal(more[:4], more[4:8])


def test_cycles_explore_then_sample_and_keep_evenly():
    when = cycles_of(40, 2, 0.25, 6)
    steps = jnp.arange(40)
    assert when == (20, 5, 5)
    np.testing.assert_array_equal(np.flatnonzero(~jax.vmap(when.samples)(steps)), [*range(5), *range(20, 25)])
    np.testing.assert_array_equal(np.flatnonzero(jax.vmap(when.due)(steps)), [9, 14, 19, 29, 34, 39])
    sizes = jax.vmap(when.size)(steps)
    assert sizes[0] == sizes[20] == 1
    assert sizes[10] == pytest.approx(0.5)
    assert cycles_of(1, 4, 0.9, 20) == (1, 0, 1)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (partial(inference.sgld, steps=0), "at least 1, got 0, 4 and 100"),
        (partial(inference.sgld, steps=9, exploration=1.0), "within 0-1, got 1.0"),
        (partial(inference.sgld, steps=9, step_size=0.0), "step_size must be above zero, got 0.0"),
        (
            partial(inference.sghmc, steps=10, adaptation=1.5),
            "adaptation must be a share of the steps within 0-1, got 1.5",
        ),
        (partial(inference.sghmc, steps=9, friction=600.0), r"within 0-1, got 600.0 \* 0.05"),
        (partial(inference.sgld, steps=9, temperature=0.0), "temperature must be above zero, got 0.0"),
        (partial(inference.nuts, start=0, keep=0), "keep must be at least 1 draw, got 0"),
        (partial(inference.nuts, start=-1), "start must be at least 0 and every at least 1, got -1 and 1"),
        (partial(inference.stein, optimizer=optax.sgd(0.1), particles=1), "particles must be at least 2, got 1"),
    ],
)
def test_settings_out_of_range_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build(linear()).init(jax.random.key(0), start())


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (
            lambda few, method, aim: method.update(jax.random.key(0), method.init(jax.random.key(0), start()), few),
            r"all 40 training events in every batch, got 7; set batch_size=40",
        ),
        (lambda few, method, aim: inference.nuts(aim, start=1), r"30,000 weights, at most 20,000.*subspace"),
    ],
)
def test_nuts_refuses_batches_and_large_networks(action, message):
    method = inference.nuts(linear(), start=1)
    few = jax.tree.map(lambda x: x[:7], batch())
    wide = {"kernel": jnp.zeros(30_000)}
    aim = Target(lambda w, b: jnp.zeros(1), lambda p: jnp.zeros(()), wide, wide, 1, wide)
    with pytest.raises(ValueError, match=message):
        action(few, method, aim)
