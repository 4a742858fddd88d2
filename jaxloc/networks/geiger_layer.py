"""Geiger's method as a layer: damped least-squares steps with learnt travel times (Geiger 1912).

Arrivals are analysts' picks or the network's own soft picks.
"""

from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

FAR_KM, DEEP_KM = 20.0, 10.0


class Picks(NamedTuple):
    """The picks of one event, stations and phases in one axis; zero where missing."""

    time_s: Float[Array, " pick"]
    sd_s: Float[Array, " pick"]
    station_km: Float[Array, "pick 3"]
    phase: Float[Array, "pick 2"]
    mask: Bool[Array, " pick"]


class Rays(NamedTuple):
    """Travel times from points to the station of each pick, and their gradients in s/km."""

    time_s: Float[Array, "*place pick"]
    gradient_s_km: Float[Array, "*place pick 3"]


class TravelTimes(nn.Module):
    """Straight rays at one speed, corrected by a dense network of distance and depth.

    Travel time and the horizontal and vertical parts of its gradient are corrected separately; only the likelihood ties
    the gradients to the times.
    """

    width: int
    speed_km_s: tuple[float, float]

    @nn.compact
    def __call__(self, picks: Picks, place_km: Float[Array, "*place 3"]) -> Rays:
        """Rays of one event from one or more points."""
        apart = place_km[..., None, :] - picks.station_km
        distance = jnp.sqrt((apart**2).sum(-1) + 1e-2)
        depths = [place_km[..., None, 2], picks.station_km[:, 2]]
        numbers = [distance / FAR_KM, jnp.log(distance), *(z / DEEP_KM for z in depths), *picks.phase.T]
        hidden = jnp.stack([jnp.broadcast_to(x, distance.shape) for x in numbers], -1)
        for _ in range(2):
            hidden = nn.tanh(nn.Dense(self.width)(hidden))
        time, across, down = jnp.moveaxis(nn.Dense(3, kernel_init=nn.initializers.normal(1e-2))(hidden), -1, 0)
        slowness = picks.phase @ (1 / jnp.array(self.speed_km_s))
        unit = apart / distance[..., None] * slowness[:, None]
        vertical = unit[..., 2:] + (slowness * down)[..., None]
        gradient = jnp.concatenate([unit[..., :2] * jnp.exp(across)[..., None], vertical], -1)
        return Rays(distance * slowness * jnp.exp(time), gradient)


class Located(NamedTuple):
    """An event after a step: its location, a square root of its covariance, and the residual of each pick.

    The first column of `errors` contains all covariances with depth: depth limits truncate the posterior, and in these
    units they are perpendicular to its first axis.
    """

    place: Float[Array, " 4"]
    errors: Float[Array, "4 4"]
    late: Float[Array, " pick"]
    influence: Float[Array, "pick 3"]


def step(
    picks: Picks, rays: Rays, from_km: Float[Array, " 3"], middle_km: Float[Array, " 3"], spread_km: Float[Array, " 3"]
) -> Located:
    """One damped least-squares step from a location, with a normal prior for directions that picks do not constrain.

    `late` are residuals before the step in units of the picks' errors, `influence` the centred gradients of travel
    times, in units of the posterior's and the pick's errors.
    """
    weight = picks.mask / picks.sd_s**2
    total = jnp.maximum(weight.sum(), 1e-6)
    mean = lambda x: jnp.tensordot(weight, x, 1) / total
    apparent_s = picks.time_s - rays.time_s
    origin_s, gradient = mean(apparent_s), mean(rays.gradient_s_km)
    late_s, apart = apparent_s - origin_s, rays.gradient_s_km - gradient
    precision = (weight[:, None] * apart).T @ apart + jnp.diag(1 / spread_km**2)
    pull = (weight * late_s) @ apart + (middle_km - from_km) / spread_km**2
    depth_first = jnp.linalg.inv(precision)[jnp.ix_(jnp.array([2, 0, 1]), jnp.array([2, 0, 1]))]
    errors = jnp.linalg.cholesky(depth_first)[jnp.array([1, 2, 0])]
    move = errors @ (errors.T @ pull)
    place = jnp.append(from_km + move, origin_s - gradient @ move)
    whole = jnp.zeros((4, 4)).at[:3, :3].set(errors).at[3, :3].set(-gradient @ errors).at[3, 3].set(1 / jnp.sqrt(total))
    root = jnp.sqrt(weight)
    return Located(place, whole, root * late_s, root[:, None] * apart @ errors)


def misfit(picks: Picks, rays: Rays) -> Float[Array, " place"]:
    """Half the weighted sum of squared residuals at points, minimised over the origin time."""
    weight = picks.mask / picks.sd_s**2
    apparent_s = picks.time_s - rays.time_s
    origin_s = (apparent_s @ weight) / jnp.maximum(weight.sum(), 1e-6)
    return 0.5 * (apparent_s - origin_s[:, None]) ** 2 @ weight
