"""A network over picks: learnt steps of Geiger's method, then attention among (station, phase) picks.

After J. Lee and others (2019), Set Transformer, ICML, and TEAM-LM of J. Munchmeyer and others (2021), Earthquake
magnitude and location estimation from real time seismic waveforms with a transformer network, GJI 226. Each pick is a
token, with masked attention between tokens and attention pooling, so the network is invariant to the order of picks and
takes any number of them.

Differs from the papers:

* A token is a pick (time, error, phase and station position), not a station's waveforms.
* Before attention the event is located by a few least-squares steps (Geiger 1912) with travel times and slownesses from
  a dense network, trained together as a correction to straight rays. Attention reads residuals at that location, and
  the raw outputs are in units of its errors: zeros give Geiger's normal posterior, and the network learns the
  difference to the true one. A posterior is a hundred times narrower than the region, and attention alone, which has to
  carry that precision through all layers, learns it slowly.
* Times are relative to the weighted mean of picks minus travel times, so that the raw outputs are invariant to a shift
  in
  time; location, time and errors are appended for the head (`jaxloc.heads.gaussian.moved`).
* Pooling is by scores that are linear in the tokens (the product with the seed vectors written out), with a mean over
  picks and their number appended, since attention loses the number.
* Pre-layer normalisation, no inducing points (there are few picks).
"""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxloc.networks.attention import Block, Pool
from jaxloc.networks.flax_adapter import bind
from jaxloc.networks.geiger_layer import FAR_KM, Located, Picks, TravelTimes, misfit, step
from jaxloc.types import Network, Observations

MIN_SD_S = 1e-3
ALONG = (0.0, -3.0, -2.0, -1.0, 1.0, 2.0, 3.0)  # points of the misfit, in standard deviations of depth
PLACE = 4 + 16  # numbers of a location: east, north, depth in km, origin time in s, and its 4 x 4 error matrix


def picks_of(observations: Observations) -> Picks:
    """Finite picks of the unmasked stations.

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
        jnp.maximum(jnp.where(known, sd_s, 1.0), MIN_SD_S).ravel(),
        jnp.repeat(station_km, 2, axis=0),
        jnp.tile(jnp.eye(2), (len(station_km), 1)),
        known.ravel(),
    )


class Model(nn.Module):
    """The picks of one event to `size` raw outputs with a location appended, [size + 20].

    `low_km` and `high_km` bound the region. `rounds` least-squares steps precede `blocks` of attention.
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
        # The deviation of the misfit from a parabola along the depth axis, where layer boundaries bend it most.
        along = misfit(picks, travel(picks, place_km + jnp.array(ALONG)[:, None] * errors[:, 0]))
        bent = jnp.arcsinh(along - along[0] - 0.5 * jnp.array(ALONG) ** 2)[1:]
        number = jnp.log1p(picks.mask.sum())[None]
        hidden = jnp.concatenate([Pool(self.seeds)(tokens, picks.mask), *where, slants, bent, number])
        for _ in range(2):
            hidden = nn.gelu(nn.Dense(2 * self.width)(hidden))
        raw = nn.Dense(self.size, kernel_init=nn.initializers.normal(1e-2))(hidden)
        return jnp.concatenate([raw, found.place, found.errors.ravel()])

    def _locate(self, travel: TravelTimes, picks: Picks, low: Float[Array, " 3"], high: Float[Array, " 3"]) -> Located:
        """Steps from the centre; only the last is differentiated, since its start hardly matters."""
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
