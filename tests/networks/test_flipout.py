"""Linear layers whose weights differ from event to event: what one event sees is the distribution that is fitted."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import quick_jit
from linear_regression import varied
from marks import slow_if

from jaxloc.networks.flax_adapter import applied, initialised
from jaxloc.networks.layers import Conv1D, Conv2D
from jaxloc.types import Variation, Weights

DRAWS = 20_000
LAYERS = {
    "dense": (nn.Dense(3), (4,)),
    "dense, common": (nn.Dense(2), (9, 2)),
    "flax": (nn.Conv(2, (3,)), (5, 2)),
    "slices": (Conv1D(2, 3, by_slices=True), (9, 2)),
    "few slices": (Conv1D(2, 3, by_slices=True), (4, 2)),
    "convolution": (Conv2D(2, (2, 2), by_slices=False), (3, 3, 2)),
}


class Common(nn.Module):
    """A dense layer that all rows go through, under a transformation or call by call."""

    lifted: bool

    @nn.compact
    def __call__(self, x):
        if not self.lifted:
            layer = nn.Dense(3)
            return jnp.stack([layer(row) for row in x])
        return nn.vmap(nn.Dense, variable_axes={"params": None}, split_rngs={"params": False})(3)(x)


@pytest.mark.parametrize("local", [False, True])
@pytest.mark.parametrize("name", slow_if(("dense, common", "few slices", "flax"), LAYERS))
def test_outputs_of_an_event_have_the_moments_of_common_draws(name, local):
    """Means, and covariances of all outputs, differ by less than five standard errors of two samples."""
    module, shape = LAYERS[name]
    x = jax.random.normal(jax.random.key(0), shape)
    middle = initialised(module, jax.random.key(1), x)
    sd = jax.tree.map(lambda leaf: 0.2 + jnp.abs(jnp.sin(jnp.arange(leaf.size))).reshape(leaf.shape), middle)

    def outputs(key, vary):
        keys = jax.tree.unflatten(jax.tree.structure(sd), list(jax.random.split(key, len(jax.tree.leaves(sd)))))
        change = jax.tree.map(lambda k, s: s * jax.random.normal(k, s.shape), keys, sd)
        variation = Variation(jax.random.fold_in(key, 1), change, sd if local else None) if vary else None
        return applied(module, Weights(jax.tree.map(jnp.add, middle, change), None, variation), x).ravel()

    draw = quick_jit(jax.vmap(outputs, (0, None)), static_argnums=1)
    one, other = (np.asarray(draw(jax.random.split(jax.random.key(k), DRAWS), bool(k))) for k in (0, 1))
    largest = np.var(one, 0).max()
    np.testing.assert_allclose(one.mean(0), other.mean(0), atol=5 * np.sqrt(2 * largest / DRAWS))
    # A covariance of normal outputs has a variance of at most twice the square of the variance, over the draws.
    np.testing.assert_allclose(np.cov(one.T), np.cov(other.T), atol=5 * 2 * largest / np.sqrt(DRAWS))


@pytest.mark.parametrize("module", [Common(lifted=True), Common(lifted=False), nn.Dense(3)])
def test_a_layer_called_twice_has_the_same_flipout_weights(module):
    x = jnp.ones((2, 4))
    params = initialised(module, jax.random.key(0), x)
    flipped = [varied(params, jax.random.key(k), sd=None) for k in range(3)]
    draws = jnp.stack([applied(module, weights, x) for weights in flipped])
    np.testing.assert_allclose(draws[:, 0], draws[:, 1], rtol=1e-6)
    assert np.abs(draws[0] - draws[1]).max() > 1e-3


@pytest.mark.parametrize("module", [Common(lifted=True), nn.Dense(3)])
def test_a_layer_called_twice_has_the_same_draw(module):
    x = jnp.ones((2, 4))
    params = initialised(module, jax.random.key(0), x)
    np.testing.assert_allclose(*applied(module, varied(params, jax.random.key(1)), x), rtol=1e-6)


def test_local_reparameterisation_refuses_a_layer_that_is_called_again():
    x, module = jnp.ones((2, 4)), Common(lifted=False)
    params = initialised(module, jax.random.key(0), x)
    with pytest.raises(ValueError, match="layer 'Dense_0' is called more than once an event"):
        applied(module, varied(params, jax.random.key(1)), x)


def test_what_is_not_seen_through_has_the_draw_itself():
    """A checkpointed layer has other arrays than those of the parameters."""
    x, module = jnp.ones((2, 4)), nn.remat(nn.Dense)(3)
    params = initialised(module, jax.random.key(0), x)
    own = applied(module, Weights(params), x)
    np.testing.assert_array_equal(applied(module, varied(params, jax.random.key(1)), x), own)
