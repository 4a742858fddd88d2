"""Parts of networks for any number of stations: a station encoder, a first location, and outputs relative to it.

A station becomes a token by one network common to all stations, that of `jaxloc.networks.arrivals`. Between the three
parts stations exchange information, by attention or along the edges of a graph. Positions are relative to the centroid
of the active stations, so that outputs are equivariant to translation; depth is relative to their mean elevation.
"""

from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxloc.networks.arrivals import TraceModel, trace_channels
from jaxloc.networks.attention import Pool
from jaxloc.networks.geiger_layer import FAR_KM, Located, Picks, TravelTimes, step
from jaxloc.networks.inputs import station_traces, waveforms_of
from jaxloc.physics.readings import Readings, WithReadings
from jaxloc.types import PHASES, Observations

DEPTH_KM, DEEPEST_KM = (8.0, 8.0), 60.0  # mean and standard deviation of depth before data; and its limit
BEYOND_KM = 15.0  # standard deviation of epicentres about the stations, added to the stations' own spread
MIN_SD_S, MIN_PRESENCE = 0.03, 1e-3
UNBELIEVED = 3.0  # standard deviations at which a residual has half of its weight
TIME_SCALE_S = 5.0


class Seen(NamedTuple):
    """All encoded stations of an event. Positions are relative to `centre_km`; `reach_km` is their spread."""

    tokens: Float[Array, "station width"]
    mask: Bool[Array, " station"]
    time_s: Float[Array, "station phase"]
    sd_s: Float[Array, "station phase"]
    place_km: Float[Array, "station 3"]
    centre_km: Float[Array, " 3"]
    reach_km: Float[Array, ""]
    readings: Readings


class Reader(nn.Module):
    """Waveforms of each station to a token and to soft arrival times.

    Each trace is scaled separately; the logarithm of each station's amplitude relative to the mean is a feature, which
    is independent of units and gains.
    """

    width: int
    channels: tuple[int, ...]
    kernel_size: int
    dropout: float

    @nn.compact
    def __call__(self, observations: Observations) -> Seen:
        """Encode all stations of an event; silent stations are masked."""
        traces = station_traces(observations)
        mask, rate_hz = traces.mask, observations.rate_hz
        traced = TraceModel(self.channels, self.kernel_size, dropout=self.dropout)
        logits, features, pooled = traced.read(trace_channels(waveforms_of(observations)))
        readings = Readings(jax.nn.log_softmax(logits, -1), rate_hz, mask.astype(logits.dtype))
        share = jax.nn.softmax(logits[..., :-1], -1)
        second = jnp.arange(share.shape[-1]) / rate_hz
        time_s = share @ second
        spread_s = jnp.sqrt((share * (second - time_s[..., None]) ** 2).sum(-1) + MIN_SD_S**2)
        there = 1 - jnp.exp(readings.log_mass[..., -1])
        place_km, centre_km, reach_km = _about_centre(observations, mask)
        early_s = _mean(time_s[:, 0], mask)
        loud = traces.log_amplitude - _mean(traces.log_amplitude, mask)
        at_arrivals = jnp.einsum("spt,stc->spc", share, features).reshape(len(mask), -1)
        numbers = [
            pooled,
            at_arrivals,
            jnp.arcsinh((time_s - early_s) / TIME_SCALE_S),
            jnp.log(spread_s),
            there,
            jnp.stack([loud, (time_s[:, 1] - time_s[:, 0]) / TIME_SCALE_S], -1),
            jnp.arcsinh(place_km / FAR_KM),
            place_km[:, :2] / reach_km,
            jnp.broadcast_to(jnp.log(reach_km / FAR_KM), (len(mask), 1)),
        ]
        tokens = nn.Dense(self.width)(nn.gelu(nn.Dense(2 * self.width)(jnp.concatenate(numbers, -1))))
        sd_s = spread_s / jnp.sqrt(there + MIN_PRESENCE)
        return Seen(jnp.where(mask[:, None], tokens, 0.0), mask, time_s, sd_s, place_km, centre_km, reach_km, readings)


def _mean(values: Float[Array, "station *feature"], mask: Bool[Array, " station"]) -> Float[Array, "*feature"]:
    return jnp.tensordot(mask / jnp.maximum(mask.sum(), 1), values, 1)


def _about_centre(observations: Observations, mask: Bool[Array, " station"]) -> tuple[Array, Array, Array]:
    """Stations relative to their centroid, the centroid, and the root mean square distance from it."""
    station_km = jnp.where(mask[:, None], observations.station_km, 0.0)
    centre_km = _mean(station_km, mask)
    place_km = jnp.where(mask[:, None], station_km - centre_km, 0.0)
    return place_km, centre_km, jnp.sqrt(_mean((place_km[:, :2] ** 2).sum(-1), mask) + 1.0)


class Placed(NamedTuple):
    """A first least-squares location relative to the stations' centroid, with its picks and their weights."""

    found: Located
    picks: Picks


class Placing(nn.Module):
    """A first location by Geiger's method from soft arrival times, weighted by errors from the stations' tokens.

    Residuals beyond a few standard deviations are downweighted. Only the last step is differentiated.
    """

    width: int
    rounds: int
    speed_km_s: tuple[float, float] = (6.0, 3.5)

    @nn.compact
    def __call__(self, tokens: Float[Array, "station width"], seen: Seen) -> Placed:
        """The location; without any arrival the centroid of the stations, with large errors."""
        trust = nn.Dense(len(PHASES), kernel_init=nn.initializers.normal(1e-2))(tokens)
        sd_s = seen.sd_s * jnp.exp(3 * jnp.tanh(trust / 3))
        two = len(PHASES)
        picks = Picks(
            seen.time_s.ravel(),
            sd_s.ravel(),
            jnp.repeat(seen.place_km, two, axis=0),
            jnp.tile(jnp.eye(two), (len(seen.mask), 1)),
            jnp.repeat(seen.mask, two),
        )
        travel = TravelTimes(self.width, self.speed_km_s)
        middle = jnp.array([0.0, 0.0, DEPTH_KM[0]])
        spread = jnp.stack([BEYOND_KM + seen.reach_km] * 2 + [jnp.array(DEPTH_KM[1])])
        low, high = (middle - 4 * spread).at[2].set(0.0), (middle + 4 * spread).at[2].set(DEEPEST_KM)
        at, used, rays = middle, picks, travel(picks, middle)
        for number in range(self.rounds - 1):
            found = step(used, rays, at, middle, spread)
            at = jax.lax.stop_gradient(jnp.clip(found.place[:3], low, high))
            rays = travel(picks, at)
            if number:
                doubt = jax.lax.stop_gradient(_doubt(picks, rays.time_s))
                used = picks._replace(sd_s=picks.sd_s * doubt)
        return Placed(step(used, rays, at, middle, spread), used)


def _doubt(picks: Picks, travel_s: Float[Array, " pick"]) -> Float[Array, " pick"]:
    """The factor on the errors of picks from their residuals about the median."""
    apparent_s = jnp.where(picks.mask, picks.time_s - travel_s, jnp.nan)
    late_s = jnp.nan_to_num(apparent_s - jnp.nanmedian(apparent_s))
    return jnp.sqrt(1 + (late_s / (UNBELIEVED * picks.sd_s)) ** 2)


class SecondLook(nn.Module):
    """Tokens updated with the location: residuals, and its distance and direction from each station."""

    @nn.compact
    def __call__(
        self, tokens: Float[Array, "station width"], seen: Seen, placed: Placed
    ) -> Float[Array, "station width"]:
        """Tokens with the features of the location added."""
        found, picks = placed
        away = seen.place_km - found.place[:3]
        distance = jnp.sqrt((away**2).sum(-1, keepdims=True) + 1e-2)
        by_station = lambda x: x.reshape(len(seen.mask), -1)
        numbers = [
            by_station(jnp.arcsinh(found.late)),
            by_station(jnp.log(picks.sd_s)),
            by_station(jnp.arcsinh(found.influence)),
            away / distance,
            distance / FAR_KM,
            jnp.log(distance),
        ]
        more = nn.Dense(tokens.shape[-1])(nn.gelu(nn.Dense(2 * tokens.shape[-1])(jnp.concatenate(numbers, -1))))
        return jnp.where(seen.mask[:, None], tokens + more, 0.0)


class Answer(nn.Module):
    """Tokens of all stations to `size` raw outputs in units of the first location's errors, with it appended."""

    size: int
    seeds: int

    @nn.compact
    def __call__(
        self, tokens: Float[Array, "station width"], seen: Seen, placed: Placed
    ) -> Float[Array, " size_and_place"]:
        """Inputs of `jaxloc.heads.gaussian.moved`."""
        place, errors = placed.found.place, placed.found.errors
        sd = jnp.sqrt((errors**2).sum(-1))
        slants = (errors[:3, :3] / sd[:3, None]).ravel()
        reach = jnp.stack([seen.reach_km / FAR_KM, jnp.log(seen.reach_km), jnp.log1p(seen.mask.sum())])
        misfit = jnp.log1p(jnp.square(placed.found.late).mean())[None]
        where = [jnp.arcsinh(place[:3] / FAR_KM), place[:2] / seen.reach_km, jnp.log(sd), slants, reach, misfit]
        hidden = jnp.concatenate([Pool(self.seeds)(tokens, seen.mask), *where])
        for _ in range(2):
            hidden = nn.gelu(nn.Dense(2 * tokens.shape[-1])(hidden))
        raw = nn.Dense(self.size, kernel_init=nn.initializers.normal(1e-2))(hidden)
        return jnp.concatenate([raw, place.at[:3].add(seen.centre_km), errors.ravel()])


def located_between(
    exchange: Callable[[Float[Array, "station width"]], Float[Array, "station width"]],
    rounds: tuple[int, int],
    placing: Placing,
    answer: Answer,
    seen: Seen,
) -> WithReadings:
    """The answer after rounds of exchange between stations, with a location by least squares amid them.

    Layers are created, so it is called within a compact method.

    Args:
        exchange: creates the layers of one round.
        rounds: numbers of them before and after the location.
        placing, answer: the location, and the last layers.
        seen: of `Reader`.
    """
    tokens = seen.tokens
    for _ in range(rounds[0]):
        tokens = exchange(tokens)
    placed = placing(tokens, seen)
    tokens = SecondLook()(tokens, seen, placed)
    for _ in range(rounds[1]):
        tokens = exchange(tokens)
    return WithReadings(answer(tokens, seen, placed), seen.readings)
