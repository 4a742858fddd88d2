"""A network over picks: learnt steps of Geiger's method, then attention among (station, phase) picks.

After J. Lee and others (2019), Set Transformer, ICML, and TEAM-LM of J. Munchmeyer and others (2021), Earthquake
magnitude and location estimation from real time seismic waveforms with a transformer network, GJI 226. Each pick is a
token; tokens see one another by masked attention, and attention pools them. So the order of picks does not matter,
there may be any number of them, and a pick that is not there has no influence.

Differs from the papers:

* A token is a pick (its time, stated error and phase, and where its station is), not a station's waveforms.
* Before attention the event is located, by a few steps of least squares (Geiger 1912) whose travel times and
  slownesses are a dense network's, learnt with the rest as a correction to straight rays. What attention sees are
  residuals at that place, and the raw outputs are in units of its errors: all zero they are Geiger's normal posterior,
  and what is learnt is how the true one differs from it. A posterior is a hundred times narrower than where events may
  be, and attention alone, which has to carry that precision through all layers, learns it slowly.
* Times count from the mean of picks less travel times (weighted by stated errors), so that the raw outputs do not
  change when all picks are later; place, time and errors are put behind them for a head to use (`jaxloc.heads.moved`).
* Pooling is by scores that are linear in the tokens, the seeds of attention's pooling multiplied out; a mean over
  picks and their number stand beside it, since attention forgets how many there were.
* Layers are normalised before attention and not after it, and there are no inducing points: picks are few.
"""

import math
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxloc.networks.binding import bind
from jaxloc.networks.layers import Dropout, Norm
from jaxloc.types import Network, Observations

LEAST_SD_S, FAR_KM, DEEP_KM = 1e-3, 20.0, 10.0
ALONG = (0.0, -3.0, -2.0, -1.0, 1.0, 2.0, 3.0)  # where the misfit is looked at, in standard deviations of depth
PLACE = 4 + 16  # numbers of a place: east, north, depth in km, origin time in s, and what makes errors of units


class Picks(NamedTuple):
    """The picks of one event, stations and phases in one axis; zero where there is none."""

    time_s: Float[Array, " pick"]
    sd_s: Float[Array, " pick"]
    station_km: Float[Array, "pick 3"]
    phase: Float[Array, "pick 2"]
    mask: Bool[Array, " pick"]


def picks_of(observations: Observations) -> Picks:
    """Picks of the stations that are there; those that are not finite are left out.

    Raises:
        ValueError: where the observations hold no picks.
    """
    time_s, sd_s, mask = observations.picks_s, observations.pick_sigma_s, observations.pick_mask
    if time_s is None or sd_s is None or mask is None:
        raise ValueError(
            "this network reads picks, but observations hold none (picks_s, pick_sigma_s, pick_mask); "
            "use a data set with picks, or a network that reads waveforms"
        )
    known = mask & observations.station_mask[:, None] & jnp.isfinite(time_s) & jnp.isfinite(sd_s)
    station_km = jnp.where(observations.station_mask[:, None], observations.station_km, 0.0)
    return Picks(
        jnp.where(known, time_s, 0.0).ravel(),
        jnp.maximum(jnp.where(known, sd_s, 1.0), LEAST_SD_S).ravel(),
        jnp.repeat(station_km, 2, axis=0),
        jnp.tile(jnp.eye(2), (len(station_km), 1)),
        known.ravel(),
    )


class Rays(NamedTuple):
    """Travel times from places to the station of each pick, and how they change with the place, in s/km."""

    time_s: Float[Array, "*place pick"]
    slope_s_km: Float[Array, "*place pick 3"]


class TravelTimes(nn.Module):
    """Straight rays of one speed, times what a dense network makes of distance and depth.

    Time and the two parts of its slope, horizontal and vertical, are corrected each on its own: nothing makes the
    slopes be those of the times but that the likelihood asks for both.
    """

    width: int
    speed_km_s: tuple[float, float]

    @nn.compact
    def __call__(self, picks: Picks, place_km: Float[Array, "*place 3"]) -> Rays:
        """Rays of one event from one or more places."""
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
        slope = jnp.concatenate([unit[..., :2] * jnp.exp(across)[..., None], vertical], -1)
        return Rays(distance * slowness * jnp.exp(time), slope)


class Located(NamedTuple):
    """An event after a step: its place, a square root of its covariance, and what each pick says there.

    The first column of `errors` is all that depth goes with: limits of depth cut a posterior, and in these units they
    cut it straight across its first axis.
    """

    place: Float[Array, " 4"]
    errors: Float[Array, "4 4"]
    late: Float[Array, " pick"]
    influence: Float[Array, "pick 3"]


def step(picks: Picks, rays: Rays, from_km: Array, middle_km: Array, spread_km: Array) -> Located:
    """One damped step of least squares from a place; a normal prior about the middle holds where picks say nothing.

    `late` are residuals before the step in stated errors, `influence` the slopes of travel times, less their mean, in
    units of the posterior's errors and of the pick's.
    """
    weight = picks.mask / picks.sd_s**2
    total = jnp.maximum(weight.sum(), 1e-6)
    mean = lambda x: jnp.tensordot(weight, x, 1) / total
    apparent_s = picks.time_s - rays.time_s
    origin_s, slope = mean(apparent_s), mean(rays.slope_s_km)
    late_s, apart = apparent_s - origin_s, rays.slope_s_km - slope
    precision = (weight[:, None] * apart).T @ apart + jnp.diag(1 / spread_km**2)
    pull = (weight * late_s) @ apart + (middle_km - from_km) / spread_km**2
    depth_first = jnp.linalg.inv(precision)[jnp.ix_(jnp.array([2, 0, 1]), jnp.array([2, 0, 1]))]
    errors = jnp.linalg.cholesky(depth_first)[jnp.array([1, 2, 0])]
    move = errors @ (errors.T @ pull)
    place = jnp.append(from_km + move, origin_s - slope @ move)
    whole = jnp.zeros((4, 4)).at[:3, :3].set(errors).at[3, :3].set(-slope @ errors).at[3, 3].set(1 / jnp.sqrt(total))
    root = jnp.sqrt(weight)
    return Located(place, whole, root * late_s, root[:, None] * apart @ errors)


def misfit(picks: Picks, rays: Rays) -> Float[Array, " place"]:
    """Half the weighted sum of squares of residuals at places, origin time at its best."""
    weight = picks.mask / picks.sd_s**2
    apparent_s = picks.time_s - rays.time_s
    origin_s = (apparent_s @ weight) / jnp.maximum(weight.sum(), 1e-6)
    return 0.5 * (apparent_s - origin_s[:, None]) ** 2 @ weight


class Attention(nn.Module):
    """Each pick asks all picks that are there (multi-head, scaled dot products)."""

    heads: int

    @nn.compact
    def __call__(self, tokens: Float[Array, "pick width"], mask: Bool[Array, " pick"]) -> Float[Array, "pick width"]:
        """What each pick is told; the width must be a multiple of the number of heads."""
        width = tokens.shape[-1]
        split = lambda x: x.reshape(len(x), self.heads, width // self.heads)
        ask, answer, tell = (split(nn.Dense(width, name=name)(tokens)) for name in ("ask", "answer", "tell"))
        score = jnp.einsum("phc,qhc->hpq", ask, answer) / math.sqrt(width // self.heads)
        share = jax.nn.softmax(jnp.where(mask, score, -1e9), -1) * mask
        return nn.Dense(width, name="out")(jnp.einsum("hpq,qhc->phc", share, tell).reshape(len(tokens), width))


class Block(nn.Module):
    """Attention and two dense layers, each added to what comes in."""

    heads: int
    dropout: float

    @nn.compact
    def __call__(self, tokens: Float[Array, "pick width"], mask: Bool[Array, " pick"]) -> Float[Array, "pick width"]:
        """Tokens after a block."""
        width = tokens.shape[-1]
        tokens = tokens + Dropout(self.dropout)(Attention(self.heads)(Norm("layer")(tokens), mask))
        hidden = nn.gelu(nn.Dense(2 * width)(Norm("layer")(tokens)))
        return tokens + Dropout(self.dropout)(nn.Dense(width)(hidden))


class Pool(nn.Module):
    """All picks as one vector: means under `seeds` attention weights, and a plain mean."""

    seeds: int

    @nn.compact
    def __call__(self, tokens: Float[Array, "pick width"], mask: Bool[Array, " pick"]) -> Float[Array, " feature"]:
        """The vector; zeros without any pick."""
        tokens = Norm("layer")(tokens)
        share = jax.nn.softmax(jnp.where(mask[:, None], nn.Dense(self.seeds)(tokens), -1e9), 0) * mask[:, None]
        mean = (tokens * mask[:, None]).sum(0) / jnp.maximum(mask.sum(), 1)
        return jnp.concatenate([(share.T @ tokens).ravel(), mean])


class Model(nn.Module):
    """The picks of one event to `size` raw outputs with a place behind them, [size + 20].

    `low_km` and `high_km` bound where events may be. `rounds` steps look for the place, `blocks` of attention at it.
    """

    size: int
    low_km: tuple[float, float, float] = (-20.0, -20.0, 0.0)
    high_km: tuple[float, float, float] = (20.0, 20.0, 20.0)
    width: int = 48
    heads: int = 4
    seeds: int = 4
    rounds: int = 4
    blocks: int = 1
    dropout: float = 0.0
    speed_km_s: tuple[float, float] = (6.0, 3.5)

    @nn.compact
    def __call__(self, observations: Observations) -> Float[Array, " size_and_place"]:
        """Raw outputs, linear in the last layer; east, north, depth and origin time; and their errors."""
        picks, low, high = picks_of(observations), jnp.array(self.low_km), jnp.array(self.high_km)
        travel = TravelTimes(self.width, self.speed_km_s)
        found = self._locate(travel, picks, low, high)
        place_km, errors = found.place[:3], found.errors[:3, :3]
        tokens = nn.Dense(self.width)(nn.gelu(nn.Dense(2 * self.width)(_features(picks, found))))
        for _ in range(self.blocks):
            tokens = Block(self.heads, self.dropout)(tokens, picks.mask)
        sd = jnp.sqrt((errors**2).sum(-1))
        edges = jnp.concatenate([(place_km - low) / sd, (high - place_km) / sd])
        where = [jnp.arcsinh(edges), 2 * (place_km - low) / (high - low) - 1, jnp.log(sd)]
        slants = (errors / sd[:, None]).ravel()
        # Along the axis of depth, where a change of layer bends it most, how the misfit differs from a normal's.
        along = misfit(picks, travel(picks, place_km + jnp.array(ALONG)[:, None] * errors[:, 0]))
        bent = jnp.arcsinh(along - along[0] - 0.5 * jnp.array(ALONG) ** 2)[1:]
        number = jnp.log1p(picks.mask.sum())[None]
        hidden = jnp.concatenate([Pool(self.seeds)(tokens, picks.mask), *where, slants, bent, number])
        for _ in range(2):
            hidden = nn.gelu(nn.Dense(2 * self.width)(hidden))
        raw = nn.Dense(self.size, kernel_init=nn.initializers.normal(1e-2))(hidden)
        return jnp.concatenate([raw, found.place, found.errors.ravel()])

    def _locate(self, travel: TravelTimes, picks: Picks, low: Float[Array, " 3"], high: Float[Array, " 3"]) -> Located:
        """Steps from the middle; only the last has derivatives, since where it starts from hardly matters."""
        if self.rounds < 1:
            raise ValueError(f"rounds must be 1 or more, got {self.rounds}")
        middle, spread = (low + high) / 2, (high - low) / math.sqrt(12)
        take = lambda at: step(picks, travel(picks, at), at, middle, spread)
        at = middle
        for _ in range(self.rounds - 1):
            at = jax.lax.stop_gradient(jnp.clip(take(at).place[:3], low, high))
        return take(at)


def _features(picks: Picks, found: Located) -> Float[Array, "pick feature"]:
    away = picks.station_km - found.place[:3]
    distance = jnp.sqrt((away**2).sum(-1) + 1e-2)
    each = [jnp.arcsinh(found.late), jnp.log(picks.sd_s), distance / FAR_KM, jnp.log(distance)]
    others = [found.influence, away / distance[:, None], picks.phase]
    return jnp.where(picks.mask[:, None], jnp.concatenate([jnp.stack(each, -1), *others], -1), 0.0)


def network(size: int, **settings: Any) -> Network:
    """The network of `size` outputs and a place as pure functions; settings are those of `Model`."""
    return bind(Model(size=size, **settings))
