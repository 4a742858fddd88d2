"""Gaussians about weighted samples, also about those that weigh next to nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloc.physics.local_gaussians import Samples, local_gaussians

NUMBER = 100
FAR_KM = 60.0


def gaussians_of(log_weight: jax.Array):
    """Gaussians about samples of a normal distribution and one far away."""
    points_km = np.random.default_rng(0).normal(size=(NUMBER, 3)).astype(np.float32)
    points_km[-1] = FAR_KM, 0.0, 0.0
    samples = Samples(jnp.asarray(points_km), jax.nn.log_softmax(log_weight), jnp.zeros(NUMBER), jnp.full(NUMBER, 0.01))
    return local_gaussians(samples, 35.0)


@pytest.mark.parametrize("log_weight_of_far", [-30.0, -46.0, -60.0, -70.0, -90.0])
def test_a_sample_that_weighs_nothing_leaves_values_and_derivatives_finite(log_weight_of_far: float):
    log_weight = jnp.zeros(NUMBER).at[-1].set(log_weight_of_far)

    def spread_km2(log_weight: jax.Array) -> jax.Array:
        kernels = gaussians_of(log_weight)
        return (jnp.exp(kernels.log_weight)[:, None] * kernels.mean_km**2).sum()

    value, gradient = jax.value_and_grad(spread_km2)(log_weight)
    without, _ = jax.value_and_grad(spread_km2)(jnp.zeros(NUMBER).at[-1].set(-30.0))
    assert float(value) == pytest.approx(float(without), rel=1e-5)
    assert np.isfinite(gradient).all()
    kernels = gaussians_of(log_weight)
    assert all(np.isfinite(x).all() for x in kernels[1:])
    np.testing.assert_allclose(kernels.mean_km[-1], [FAR_KM, 0.0, 0.0], atol=0.2)
