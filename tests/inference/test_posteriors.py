"""Weight posteriors of a linear-Gaussian regression, where mode, posterior and evidence are known exactly."""

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import optax
import pytest
from cases import ENSEMBLES, METHODS, WHOLE_BATCHES
from linear_regression import DIM, EVENTS, NOISE, PRIOR, analytic, batch, data, falling, fit, linear, start
from marks import slow_if

from jaxloc.inference import all_network, ensemble, mean_field, point, prior_mean, prior_scale, target
from jaxloc.types import Head, Info, Network, Weights


def test_point_is_the_analytic_mode():
    method = point(linear(), falling(400))
    state, info = fit(method, start(), 400)
    mean, precision, _ = analytic()
    np.testing.assert_allclose(state.params["kernel"], mean, atol=1e-3 * np.sqrt(np.linalg.inv(precision).max()))
    np.testing.assert_allclose(info.loss, info.negative_log_likelihood + info.divergence, rtol=1e-5)
    x, y = data()
    want = -dist.Normal(x @ mean, NOISE).log_prob(y).mean() - dist.Normal(0, PRIOR).log_prob(mean).sum() / EVENTS
    assert info.loss[-1] == pytest.approx(float(want), rel=1e-4)
    draws = method.sample(jax.random.key(0), state, 4)
    np.testing.assert_array_equal(draws.params["kernel"], np.broadcast_to(state.params["kernel"], (4, DIM)))


@lru_cache
def fitted_mean_field(temperature=1.0):
    method = mean_field(linear(), optax.adam(0.03), steps=3000, temperature=temperature)
    return method, *fit(method, start(), 3000)


@pytest.mark.parametrize("temperature", [1.0, 0.3])
def test_mean_field_has_the_analytic_mean_and_conditional_widths(temperature):
    """The best independent normals have the mean, and one over the root of the precision's diagonal as widths.

    At temperature T the likelihood weighs 1 / T. Steps are noisy, falling to zero: 0.2 standard deviations, three
    times the noise of the last steps, and 5 per cent.
    """
    method, state, _ = fitted_mean_field(temperature)
    x, y = data()
    precision = x.T @ x / NOISE**2 / temperature + np.eye(DIM) / PRIOR**2
    mean = np.linalg.solve(precision, x.T @ y / NOISE**2 / temperature)
    sd = 1 / np.sqrt(np.diag(precision))
    draws = np.asarray(jax.jit(method.sample, static_argnums=2)(jax.random.key(2), state, 20000).params["kernel"])
    np.testing.assert_allclose((draws.mean(0) - mean) / sd, 0, atol=0.2)
    np.testing.assert_allclose(draws.std(0) / sd, 1, atol=0.05)
    # Independent: correlations of 20,000 draws are zero within four times 0.007.
    assert np.abs(np.corrcoef(draws.T) - np.eye(DIM)).max() < 0.03


def test_the_bound_lies_under_the_evidence_by_the_known_divergence():
    """loss x events = -log evidence + KL(q, posterior); for the best q the last is half of log diag less log det."""
    _, _, info = fitted_mean_field()
    _, precision, evidence = analytic()
    gap = 0.5 * (np.log(np.diag(precision)).sum() - np.linalg.slogdet(precision)[1])
    losses = np.asarray(info.loss, float)[-500:] * EVENTS
    error = losses.std() / np.sqrt(len(losses))
    assert gap > 0.1
    assert losses.mean() > -evidence
    assert losses.mean() == pytest.approx(-evidence + gap, abs=4 * error + 0.03)
    np.testing.assert_allclose(info.loss, info.negative_log_likelihood + info.divergence, rtol=1e-4, atol=1e-5)


def test_divergence_is_that_of_numpyro():
    method, state, info = fitted_mean_field()
    draws = np.asarray(method.sample(jax.random.key(0), state, 20000).params["kernel"])
    q = dist.Normal(jnp.asarray(draws.mean(0)), jnp.asarray(draws.std(0)))
    want = dist.kl_divergence(q, dist.Normal(0.0, PRIOR)).sum() / EVENTS
    assert info.divergence[-1] == pytest.approx(float(want), rel=0.02)


@pytest.mark.parametrize(
    "name",
    slow_if(("full_covariance", "low_rank", "subspace"), [name for name in METHODS if name not in WHOLE_BATCHES]),
)
def test_a_batch_counts_for_all_events(name):
    """The same events twice in a batch, or a quarter of copies of one: the loss an event does not know its size."""
    method = METHODS[name](linear(), optax.sgd(0.01))
    state = method.init(jax.random.key(0), start(3 if name in ENSEMBLES else 0))
    update = jax.jit(method.update)
    few = jax.tree.map(lambda x: x[:4], batch())
    again = jax.tree.map(lambda x: jnp.concatenate([x] * 5), few)
    (one, info), (other, more) = (update(jax.random.key(1), state, events) for events in (few, again))
    for a, b in zip(jax.tree.leaves((one, info)), jax.tree.leaves((other, more)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", METHODS)
def test_steps_compile_once_and_samples_have_a_leading_axis(name):
    events = batch()
    method = METHODS[name](linear(), optax.adam(0.01))
    state = jax.jit(method.init)(jax.random.key(0), start(3 if name in ENSEMBLES else 0))
    update, traces = method.update, []

    @jax.jit
    def step(key, state, events):
        traces.append(0)
        return update(key, state, events)

    for key in jax.random.split(jax.random.key(1), 3):
        before = jax.tree.map(lambda x: (x.shape, x.dtype), state)
        state, info = step(key, state, events)
        assert before == jax.tree.map(lambda x: (x.shape, x.dtype), state)
    assert len(traces) == 1
    assert isinstance(info, Info)
    assert all(np.shape(x) == () and np.isfinite(x) for x in info)
    for n in (1, 5):
        draws = method.sample(jax.random.key(0), state, n)
        assert isinstance(draws, Weights)
        assert draws.key is None or (name == "dropout" and draws.key.shape == (n,))
        assert draws.params["kernel"].shape == (n, DIM)
        assert np.isfinite(draws.params["kernel"]).all()


def test_members_of_an_ensemble_differ_and_sampling_goes_round_them():
    method = ensemble(point(linear(), optax.sgd(1e-3)), 3)
    state, _ = fit(method, start(3), 2)
    members = np.asarray(state.params["kernel"])
    assert np.linalg.norm(members[0] - members[1]) > 0.1
    draws = np.asarray(method.sample(jax.random.key(0), state, 7).params["kernel"])
    np.testing.assert_array_equal(draws, members[np.arange(7) % 3])


@pytest.mark.parametrize("in_loop", [True, False])
def test_members_of_an_ensemble_are_those_trained_alone(in_loop):
    alone = point(linear(), optax.adam(0.02))
    together, info = fit(ensemble(alone, 2, in_loop=in_loop), start(2), 20)
    one = jax.tree.map(lambda x: x[1], start(2))
    single, last = fit(alone, one, 20)
    np.testing.assert_allclose(together.params["kernel"][1], single.params["kernel"], rtol=1e-5)
    assert info.loss.shape == last.loss.shape


def test_an_ensemble_of_mean_fields_spreads_within_and_between_members():
    method = ensemble(mean_field(linear(), optax.adam(1e-3), steps=40, initial_scale=0.05), 2)
    state, _ = fit(method, start(2), 1)
    draws = np.asarray(method.sample(jax.random.key(0), state, 400).params["kernel"])
    np.testing.assert_allclose(draws[::2].std(0), 0.05 * PRIOR, rtol=4 / np.sqrt(400) + 0.05)
    np.testing.assert_allclose(draws[1::2].mean(0), start(2)["kernel"][1], atol=0.02)


def test_prior_by_kind_of_weight():
    params = {
        "trace": {"Dense": {"kernel": jnp.ones((8, 4)), "bias": jnp.ones(4)}, "Norm": {"scale": jnp.ones(3)}},
        "Conv": {"kernel": jnp.ones((5, 2, 7))},
        "physics": {"speed": jnp.ones(2), "scale_of": jnp.ones(())},
    }
    parts = all_network(params) | {"physics": {"speed": "physics", "scale_of": "physics"}}
    scale, middle = prior_scale(params, parts=parts), prior_mean(params, parts=parts)
    assert jax.tree.map(jnp.shape, scale) == jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, middle)
    np.testing.assert_allclose(scale["trace"]["Dense"]["kernel"], np.sqrt(2 / 8), rtol=1e-6)
    np.testing.assert_allclose(scale["Conv"]["kernel"], np.sqrt(2 / 10), rtol=1e-6)
    np.testing.assert_allclose(scale["trace"]["Dense"]["bias"], 0.3, rtol=1e-6)
    assert all((leaf == 1).all() for leaf in jax.tree.leaves(scale["physics"]))
    assert (middle["trace"]["Norm"]["scale"] == 1).all()
    assert not middle["trace"]["Dense"]["kernel"].any()
    around = prior_scale(params, 0.1, parts)
    np.testing.assert_allclose(around["Conv"]["kernel"], 0.1 * np.sqrt(2 / 10), rtol=1e-6)
    assert (around["physics"]["speed"] == 1).all()


def test_log_prior_and_likelihood_are_those_of_normals():
    aim, params = linear(), start()
    want = dist.Normal(0, PRIOR).log_prob(params["kernel"]).sum()
    assert aim.log_prior(params) == pytest.approx(float(want), rel=1e-5)
    x, y = data()
    each = dist.Normal(x @ np.asarray(params["kernel"]), NOISE).log_prob(y)
    np.testing.assert_allclose(aim.log_likelihood(Weights(params), batch()), each, rtol=1e-4)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda aim: ensemble(point(linear(), optax.sgd(0.1)), 0), "at least 1 member, got 0"),
        (
            lambda aim: target(Network(None, None), Head(1, None, None), aim.prior_mean, aim.prior_scale, 0),
            "at least 1, got 0",
        ),
    ],
)
def test_empty_ensembles_and_data_are_refused(action, message):
    aim = linear()
    with pytest.raises(ValueError, match=message):
        action(aim)
