"""Hyper-parameters of path terms by restricted marginal likelihood, with random probes for traces.

With b = R r and R the inverse covariance of residuals after hypocentres are integrated out, the slope of the restricted
log-likelihood is (b' dC b - tr(R dC)) / 2 (Patterson & Thompson 1971, Biometrika 58). The trace is the mean of
z' R dC z over vectors of random signs z (Hutchinson 1990). The curvature is taken as b' dC R dC b / 2, the mean of
observed and expected information (Gilmour, Thompson & Cullis 1995, Biometrics 51), so that a step costs no more than
another solution of the system. Factors of picks stay as they are, which is exact where expectation propagation has
converged (Seeger 2005).
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int

from jaxloc.physics.joint_system import Solution, StationPicks, StationSystem, without_hypocentres
from jaxloc.physics.path_terms import PathKernel, covariance_s2

PROBES = 16
PRIOR_SD = 1.0  # of the logarithm of each hyper-parameter about its start: a factor of e
DAMPING, LARGEST_STEP = 0.1, 0.3  # as a share of the curvature, and in the logarithm


class Slope(NamedTuple):
    """Slope and curvature (positive) of the log-likelihood in the hyper-parameters."""

    slope: Float[np.ndarray, " parameter"]
    curvature: Float[np.ndarray, "parameter parameter"]


def slope_of(
    rng: np.random.Generator,
    picks: Sequence[StationPicks],
    systems: Sequence[StationSystem],
    solution: Solution,
    kernel: PathKernel,
    place_km: Float[np.ndarray, "event 3"],
) -> Slope:
    """The restricted log-likelihood's slope and curvature at a kernel."""
    probes = [rng.choice([-1.0, 1.0], (len(each.event), PROBES)) for each in picks]
    through = without_hypocentres(picks, systems, solution.covariance, probes)
    size, slope, changed = max(len(each.event) for each in picks), 0.0, []
    for each, probe, past, left in zip(picks, probes, through, solution.left, strict=True):
        number = len(each.event)
        columns = np.zeros((size, 1 + PROBES))
        columns[:number] = np.concatenate([left[:, None], probe], 1)
        fill = lambda values, more=size - number: np.pad(values, (0, more))
        products = np.asarray(_changed(kernel, place_km[fill(each.event)], fill(each.phase), columns))[:, :number]
        changed.append(products[:, :, 0].T)
        slope = slope + 0.5 * products[:, :, 0] @ left - 0.5 * np.einsum("kpz,pz->k", products[:, :, 1:], past) / PROBES
    projected = without_hypocentres(picks, systems, solution.covariance, changed)
    curvature = 0.5 * sum(a.T @ b for a, b in zip(changed, projected, strict=True))
    return Slope(np.asarray(slope), np.asarray(curvature))


def stepped(kernel: PathKernel, start: PathKernel, slope: Slope) -> PathKernel:
    """A step of Newton's method with that curvature, towards the largest posterior density of the kernel.

    The prior is normal in the parameters as they are, about `start`.
    """
    value, restored = ravel_pytree(jax.tree.map(np.asarray, kernel))
    middle = np.asarray(ravel_pytree(jax.tree.map(np.asarray, start))[0])
    damped = slope.curvature + np.diag(DAMPING * np.diagonal(slope.curvature) + PRIOR_SD**-2)
    right = slope.slope - (np.asarray(value) - middle) / PRIOR_SD**2
    step = np.linalg.solve(damped, right)
    step = step * min(1.0, LARGEST_STEP / np.abs(step).max())
    return jax.tree.map(np.asarray, restored(jnp.asarray(np.asarray(value) + step)))


@jax.jit
def _changed(
    kernel: PathKernel,
    place_km: Float[Array, "pick 3"],
    phase: Int[Array, " pick"],
    columns: Float[Array, "pick column"],
) -> Float[Array, "parameter pick column"]:
    """Derivatives of the covariance in each hyper-parameter, times columns."""
    value, restored = ravel_pytree(kernel)

    def product(value: Float[Array, " parameter"]) -> Float[Array, "pick column"]:
        return covariance_s2(restored(value), place_km, phase, place_km, phase) @ columns

    one = lambda direction: jax.jvp(product, (value,), (direction,))[1]
    return jax.lax.map(one, jnp.eye(len(value)))
