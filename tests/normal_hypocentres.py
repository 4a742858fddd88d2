"""Normal densities of hypocentres for searches: shared by physics tests."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxloc.physics.adaptive_grid import Region

REGION = Region((-100.0, 100.0), (-100.0, 100.0), (0.0, 30.0), (-5.0, 15.0))
SPEED_KM_S = 6.0


def turned(sd, seed):
    """A covariance with given standard deviations along axes turned at random in space, and time tied to depth."""
    turn = np.eye(4)
    turn[:3, :3] = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    turn[3, :3] = -0.12 * turn[2, :3]  # a deeper hypocentre began earlier
    return (turn * np.array(sd) ** 2) @ turn.T


# Centre, covariance, and how far off mean (in standard deviations) and standard deviations (as a share) may be. On the
# last lattice points lie half a standard deviation apart and end at 3.5 of them: quadrature of a Gaussian is then
# good to 1e-3 where the search has found its width, worse where it is still wider than the density.
GAUSSIANS = {
    "round": ([3.0, -4.0, 12.0, 2.0], np.diag([4.0, 4.0, 4.0, 0.2]) ** 2, 0.01, 0.01),
    "flat": ([3.0, -4.0, 12.0, 2.0], np.diag([1.0, 2.0, 4.0, 0.3]) ** 2, 0.01, 0.01),
    "slanted": ([10.0, 20.0, 15.0, 1.0], turned([6.0, 2.0, 1.5, 0.3], 0), 0.01, 0.02),
    "sharp": ([10.0, 20.0, 15.0, 1.0], np.diag([0.4, 0.4, 0.6, 0.05]) ** 2, 0.02, 0.02),
    "sharp and slanted": ([-31.0, 7.0, 8.0, 1.0], turned([1.5, 0.3, 0.3, 0.05], 1), 0.02, 0.02),
    "far from the middle": ([85.0, -88.0, 24.0, 12.0], turned([2.0, 1.5, 1.0, 0.1], 2), 0.01, 0.01),
}


def gaussian(centre, cov, smoothed=True):
    """A log-density for the search: widened by 0.3 of the spacing where it is asked for coarsely.

    Arrivals smoothed by 0.4 of the spacing at ten stations do about that in space, and a third of it in time.
    """

    def value(points, origin_s, spacing_km):
        blur = (0.3 * spacing_km) ** 2 * jnp.array([1, 1, 1, (3 * SPEED_KM_S) ** -2])
        tril = jnp.linalg.cholesky(cov + jnp.diag(blur) * smoothed)
        space = jnp.broadcast_to(points[:, None], (*origin_s.shape, 3))
        apart = jnp.concatenate([space, origin_s[..., None]], -1) - centre
        white = jax.scipy.linalg.solve_triangular(tril, apart.reshape(-1, 4).T, lower=True)
        return -0.5 * (white**2).sum(0).reshape(origin_s.shape)

    return value
