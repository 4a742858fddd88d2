"""Weighted samples of space as a mixture of Gaussians that have the shape of the density nearby.

Each sample becomes the Gaussian of its neighbours within a window: as thin as a shell is and as long as the window,
which is wide enough to hold a given number of samples. Gaussians at the samples would widen the whole by their own
width; moved towards the mean of their neighbours they keep its covariance, as West (1993, JRSS B 55) does for all.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxloc.physics.small_matrices import inverse, lower_cholesky, lower_inverse, product, square_root

FEW = 5.0  # neighbours that do not show the shape of the density
WINDOWS = np.geomspace(0.04, 4.0, 16)  # widths in standard deviations of the whole
TRIED = 64  # samples whose neighbours are counted to choose a window
LEAST_KM, LEAST_S = 0.005, 0.002
LEAST_WEIGHT = 1e-15  # of neighbours that have a mean: derivatives divide by its square, which is zero from 1e-23 on


class Kernels(NamedTuple):
    """A mixture over space, and origin time given space: normal about a linear function of the place."""

    log_weight: Float[Array, " part"]
    mean_km: Float[Array, "part 3"]
    tril_km: Float[Array, "part 3 3"]
    origin_s: Float[Array, " part"]  # at the mean
    slope_s_km: Float[Array, "part 3"]
    origin_sd_s: Float[Array, " part"]


class Samples(NamedTuple):
    """Places, the log of the probability that each stands for, and mean and variance of origin time at each."""

    point_km: Float[Array, "point 3"]
    log_weight: Float[Array, " point"]
    origin_s: Float[Array, " point"]
    variance_s2: Float[Array, " point"]


def local_gaussians(
    samples: Samples, neighbours: Float[Array, ""] | float, floor_km: Float[Array, ""] | float = 0.0
) -> Kernels:
    """A Gaussian about each sample and `neighbours` others (an effective number), `floor_km` wide at least.

    More neighbours give a smoother density, fewer follow a bent shell more closely.
    Derivatives flow through weights and means, not through the Gaussians' shapes.
    """
    weight = jnp.exp(samples.log_weight)
    fixed: Samples = jax.lax.stop_gradient(samples)
    centre, whole = _whole(fixed, floor_km)
    unwhite = lower_inverse(whole)
    place, centre_s = (fixed.point_km - centre) @ unwhite.T, jnp.exp(fixed.log_weight) @ fixed.origin_s
    window = _window(place, jnp.exp(fixed.log_weight), neighbours)
    near = jnp.exp(-0.5 * _squared(place, place) / window**2)
    local = _means(near, weight, place, samples.origin_s - centre_s)
    cov, slope, sd_s = _shape(near, fixed, place, centre_s, jax.lax.stop_gradient(local), window)
    nearer = inverse(jnp.eye(3) + square_root(cov / window**2))
    moved = place + (nearer * (local[:, :3] - place)[:, None]).sum(-1)
    at_s = local[:, 3] + (slope * (moved - local[:, :3])).sum(-1)
    cov_km = jnp.einsum("ij,njk,lk->nil", whole, cov, whole) + _least(floor_km)
    tril_km = lower_cholesky(cov_km)
    return Kernels(samples.log_weight, centre + moved @ whole.T, tril_km, centre_s + at_s, slope @ unwhite, sd_s)


def _least(floor_km: Float[Array, ""] | float) -> Float[Array, "3 3"]:
    return jnp.maximum(LEAST_KM, floor_km) ** 2 * jnp.eye(3)


def _whole(samples: Samples, floor_km: Float[Array, ""] | float) -> tuple[Float[Array, " 3"], Float[Array, "3 3"]]:
    """Mean of all samples and the Cholesky factor of their covariance."""
    weight = jnp.exp(samples.log_weight)
    centre = weight @ samples.point_km
    apart = samples.point_km - centre
    return centre, lower_cholesky((apart * weight[:, None]).T @ apart + _least(floor_km))


def _squared(some: Float[Array, "some 3"], others: Float[Array, "other 3"]) -> Float[Array, "some other"]:
    return sum(((some[:, i, None] - others[:, i]) ** 2 for i in range(3)), jnp.zeros(()))


def _window(
    place: Float[Array, "point 3"], weight: Float[Array, " point"], neighbours: Float[Array, ""] | float
) -> Float[Array, ""]:
    """The narrowest window within which half of the samples have so many neighbours; the widest, if none."""
    share = jnp.cumsum(weight)
    some = jnp.searchsorted(share, (jnp.arange(TRIED) + 0.5) / TRIED * share[-1])
    squared = _squared(place[jnp.minimum(some, len(place) - 1)], place)

    def number(window: Float[Array, ""]) -> Float[Array, ""]:
        near = jnp.exp(-0.5 * squared / window**2) * weight
        return jnp.median(near.sum(-1) ** 2 / jnp.maximum((near**2).sum(-1), 1e-30))

    windows = jnp.asarray(WINDOWS, place.dtype)
    enough = jax.lax.map(number, windows) >= neighbours
    return jnp.where(enough.any(), windows[jnp.argmax(enough)], windows[-1])


def _means(
    near: Float[Array, "point point"],
    weight: Float[Array, " point"],
    place: Float[Array, "point 3"],
    origin_s: Float[Array, " point"],
) -> Float[Array, "point 4"]:
    """Mean place and origin time of each sample's neighbours."""
    return _mean_of(near, weight, jnp.concatenate([place, origin_s[:, None]], -1))[0]


def _mean_of(
    near: Float[Array, "point point"], weight: Float[Array, " point"], values: Float[Array, "point value"]
) -> tuple[Float[Array, "point value"], Float[Array, " point"]]:
    """Mean of each sample's neighbours and their weight; the sample's own values where that is next to nothing."""
    sums = near @ (weight[:, None] * jnp.concatenate([jnp.ones_like(values[:, :1]), values], -1))
    seen = sums[:, :1] > LEAST_WEIGHT
    return jnp.where(seen, sums[:, 1:] / jnp.where(seen, sums[:, :1], 1.0), values), sums[:, 0]


def _shape(
    near: Float[Array, "point point"],
    samples: Samples,
    place: Float[Array, "point 3"],
    centre_s: Float[Array, ""],
    local: Float[Array, "point 4"],
    window: Float[Array, ""],
) -> tuple[Float[Array, "point 3 3"], Float[Array, "point 3"], Float[Array, " point"]]:
    """Covariance of neighbours, regression of origin time on place among them, and what it leaves of its spread."""
    both = jnp.concatenate([place, samples.origin_s[:, None] - centre_s], -1)
    squares = (both[:, :, None] * both[:, None]).at[:, 3, 3].add(samples.variance_s2).reshape(-1, 16)
    weight = jnp.exp(samples.log_weight)
    mean, total = _mean_of(near, weight, squares)
    whole = mean.reshape(-1, 4, 4) - local[:, :, None] * local[:, None]
    # More than the digits that the difference of squares loses.
    lost = 1e-5 * window**2 + 2e-6 * (local[:, :3] ** 2).sum(-1)
    # A sample of the tails without neighbours would be a spike; it is as wide as the window.
    number = total**2 / jnp.maximum(near**2 @ weight**2, 1e-30)
    lost = lost + window**2 * jnp.maximum(1 - number / FEW, 0.0) ** 2
    cov = whole[:, :3, :3] + lost[:, None, None] * jnp.eye(3)
    slope = product(inverse(cov), whole[:, :3, 3:])[..., 0]
    rest = whole[:, 3, 3] - (slope * whole[:, :3, 3]).sum(-1)
    return cov, slope, jnp.sqrt(jnp.maximum(rest, LEAST_S**2))
