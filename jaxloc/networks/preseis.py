"""PreSEIS (Boese, Wenzel & Erdik 2008): three chained networks, updated every half second after the first trigger.

M. Boese, F. Wenzel & M. Erdik, PreSEIS: a neural network-based approach to earthquake early warning for finite
faults, Bulletin of the Seismological Society of America 98(1), 366-382. Each network has one hidden layer. The first
reads the trigger delays relative to the first station and gives the hypocentre; the second also reads the cumulative
absolute velocity (the integral of absolute acceleration from a station's trigger on) and gives the magnitude; the third
reads all of these and gives the extent of the rupture. A station that has not triggered is encoded by the elapsed time,
the lower bound of its delay.

The outputs of the second and third network are functions of earlier labels in the chain: samples of the hypocentre in
prediction, the true one in training (`jaxloc.heads.autoregressive.chain`).

Not published, or not found, and chosen here in both forms: hidden sizes, tanh, scales of inputs; acceleration is the
difference of ground velocity between two samples, all components together, so its band is that of the records.

Differs from the paper, with `published=True` (weights for each of 30 time steps, late stations by the time alone):

* Output: as many numbers as the heads take, for distributions, not for values under a squared error.
* The second and third network are conditioned on samples of earlier labels, not on point estimates.

Differs besides, as it is by default (`published=False`):

* One set of weights for all times, with the time since the first trigger as an input, so that neighbouring times share
  training data: a few hundred scenarios are few for 30 networks.
* Whether a station has triggered is an input besides its delay; a silent station differs from one not yet triggered.
* The second and third network read stations in the order of their triggers, with the time since, the velocity of each
  one's first half second besides the current one, its distance from the hypocentre and its position east of it. They
  have a linear skip connection: magnitude is nearly linear in the logarithms of shaking and of distance.
"""

from typing import Any, NamedTuple, TypeAlias

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.tree_util import Partial
from jaxtyping import Array, Bool, Float, Int

from jaxloc.networks.flax_adapter import bind
from jaxloc.networks.inputs import in_order, waveforms_of
from jaxloc.per_station import active_stations
from jaxloc.types import Network, Observations

P = 0  # the phase that triggers
STEP_S, STEPS = 0.5, 30
LATE_SCALE_S = 5.0
MIN_CAV_M_S = 1e-5  # about the noise of an instrument in half a second, a tenth of a weak earthquake's
DECADES = 0.5  # unit of logarithmic inputs
ENCODINGS = ("bound", "bound_mask", "zero_mask", "attention")


class Readings(NamedTuple):
    """Inputs of PreSEIS: delays after the first trigger, and cumulative absolute velocity so far.

    `early_m_s` is that of the first half second of each station.
    """

    late_s: Float[Array, " station"]
    triggered: Bool[Array, " station"]
    active: Bool[Array, " station"]
    cav_m_s: Float[Array, " station"]
    early_m_s: Float[Array, " station"]
    first_s: Float[Array, ""]
    elapsed_s: Float[Array, ""]


def readings(observations: Observations) -> Readings:
    """Delays and cumulative absolute velocity up to the last sample that is not zero at all stations.

    Raises:
        ValueError: where the observations hold no waveforms or no picks.
    """
    if observations.picks_s is None or observations.pick_mask is None:
        raise ValueError("PreSEIS reads onsets, but observations.picks_s is None; use a data set with picks of P")
    waveforms, rate_hz = waveforms_of(observations), observations.rate_hz
    heard = (waveforms != 0).any(-1)
    samples = jnp.arange(waveforms.shape[1])
    last = jnp.where(heard.any(), jnp.where(heard, samples, 0).max(), waveforms.shape[1] - 1)
    now_s = last / rate_hz
    pick_s = observations.picks_s[:, P]
    triggered = observations.pick_mask[:, P] & observations.station_mask & (pick_s <= now_s)
    pick_s = jnp.where(triggered, pick_s, now_s)
    first_s = jnp.minimum(pick_s.min(), now_s)
    acceleration = jnp.linalg.norm(jnp.diff(waveforms, axis=1) * rate_hz, axis=-1)
    since_s = samples[1:] / rate_hz - pick_s[:, None]
    counts = (samples[1:] <= last) & (since_s > 0)
    velocity = lambda which: jnp.where(which, acceleration, 0.0).sum(-1) / rate_hz
    return Readings(
        jnp.where(triggered, pick_s - first_s, 0.0),
        triggered,
        active_stations(observations),
        velocity(counts),
        velocity(counts & (since_s <= STEP_S)),
        first_s,
        jnp.clip(now_s - first_s, 0.0, STEP_S * STEPS),
    )


def encoded(seen: Readings, encoding: str) -> Float[Array, " number"]:
    """Delays of all stations as one vector, in units of `LATE_SCALE_S`.

    Stations that have not triggered are encoded by the lower "bound" of their delay, with or without a "mask", or
    "zero".
    """
    waiting_s = jnp.where(seen.active | (encoding == "bound"), seen.elapsed_s, 0.0)
    late_s = jnp.where(seen.triggered, seen.late_s, 0.0 if encoding == "zero_mask" else waiting_s)
    if encoding == "bound":
        return late_s / LATE_SCALE_S
    return jnp.concatenate([late_s / LATE_SCALE_S, seen.triggered.astype(late_s.dtype)])


class Geometry(NamedTuple):
    """Stations in the order of their triggers: positions in units of `scale_km` about the centre of all events."""

    station: Float[Array, "station 3"]
    there: Float[Array, " station"]
    scale_km: Float[Array, "3"]


Pair: TypeAlias = tuple[Float[Array, "..."], Float[Array, "..."]]
"""What the seen inputs of a layer came to, or its kernel; and the kernel of those that are given, or its bias."""


class Stepwise(nn.Module):
    """A dense layer with separate weights for each of several time steps; with one step an ordinary layer.

    All steps are concatenated in one kernel, [input, step * feature], whose fan-in is that of each.
    """

    features: int
    steps: int = 1

    @nn.compact
    def layer(self, size: int, step: Int[Array, ""]) -> tuple[Float[Array, "input feature"], Float[Array, " feature"]]:
        """Kernel and bias of one time step, for `size` inputs."""
        kernel = self.param("kernel", nn.initializers.lecun_normal(), (size, self.steps * self.features))
        bias = self.param("bias", nn.initializers.zeros, (self.steps * self.features,))
        of_step = lambda x: x.reshape(*x.shape[:-1], self.steps, self.features)[..., step, :]
        return of_step(kernel), of_step(bias)

    def __call__(self, inputs: Float[Array, "*batch input"], step: Int[Array, ""]) -> Float[Array, "*batch feature"]:
        """The layer's outputs at one time step, linear."""
        kernel, bias = self.layer(inputs.shape[-1], step)
        return inputs @ kernel + bias


class Model(nn.Module):
    """The observations of one event so far to raw outputs: those of the hypocentre, and a function for each link.

    Attributes:
        size: raw outputs of the hypocentre's head, in units of `scale` about `centre` (`jaxloc.heads.gaussian.moved`).
        centre, scale: of east, north and depth in km, and of the first travel time in s, the time from the origin to
        the
            first trigger.
        links: of each network after the first, its numbers of conditions and of outputs.
        hidden: units of each hidden layer.
        encoding: of stations that have not triggered, one of `ENCODINGS`.
        published: as in the paper, see above.
        num_stations: sorts stations into fixed rows by `station_index`; None keeps the order of the rows.
    """

    size: int
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    links: tuple[tuple[int, int], ...] = ()
    hidden: int = 20
    encoding: str = "bound_mask"
    published: bool = False
    num_stations: int | None = None

    @nn.compact
    def __call__(self, observations: Observations) -> tuple[Float[Array, " size"], tuple[Partial, ...]]:
        """Raw outputs, linear in the last layer."""
        observations = in_order(observations, self.num_stations)
        seen = readings(observations)
        step = jnp.clip(jnp.round(seen.elapsed_s / STEP_S).astype(int) - 1, 0, STEPS - 1)
        step = step if self.published else jnp.zeros_like(step)
        time = jnp.atleast_1d(2 * seen.elapsed_s / (STEP_S * STEPS) - 1)[: 0 if self.published else 1]
        late = self._late(seen, observations, step)
        hidden = jnp.tanh(self._layer(self.hidden)(jnp.concatenate([late, time]), step))
        first = self._layer(self.size)(hidden, step)
        geometry, inputs = self._shaking(seen, observations, time)
        links = tuple(self._link(inputs, geometry, given, size, step) for given, size in self.links)
        return jnp.concatenate([first, self._place(seen.first_s)]), links

    def _shaking(
        self, seen: Readings, observations: Observations, time: Float[Array, " time"]
    ) -> tuple[Geometry | None, Float[Array, " input"]]:
        """Ground-motion inputs of the second and third network, and the stations' positions."""
        shaken = (jnp.log10(seen.cav_m_s + MIN_CAV_M_S) + 3) / DECADES
        if self.published:
            return None, shaken
        order = jnp.argsort(jnp.where(seen.triggered, seen.late_s, jnp.inf))
        there = seen.triggered[order].astype(shaken.dtype)
        since = jnp.log10(seen.elapsed_s - seen.late_s[order] + 0.1) / DECADES
        early = (jnp.log10(seen.early_m_s + MIN_CAV_M_S) + 3) / DECADES
        inputs = jnp.concatenate([shaken[order] * there, early[order] * there, since * there, there, time])
        middle, spread = jnp.array(self.centre[:3]), jnp.array(self.scale[:3])
        return Geometry((observations.station_km[order] - middle) / spread, there, spread), inputs

    def _layer(self, features: int) -> Stepwise:
        return Stepwise(features, STEPS if self.published else 1)

    def _late(self, seen: Readings, observations: Observations, step: Int[Array, ""]) -> Float[Array, " number"]:
        """Delays of all stations as inputs."""
        encoding = "bound" if self.published else self.encoding
        if encoding not in ENCODINGS:
            raise ValueError(f"network.encoding must be one of {', '.join(ENCODINGS)}, got {encoding!r}")
        if encoding != "attention":
            return encoded(seen, encoding)
        places = (observations.station_km[:, :2] - jnp.array(self.centre[:2])) / jnp.array(self.scale[:2])
        tokens = jnp.concatenate([seen.late_s[:, None] / LATE_SCALE_S, places], -1)
        hidden = jnp.tanh(self._layer(self.hidden)(tokens, step))
        score = jnp.where(seen.triggered[:, None], self._layer(self.hidden)(hidden, step), -1e9)
        return (jax.nn.softmax(score, 0) * self._layer(self.hidden)(hidden, step)).sum(0)

    def _link(
        self, inputs: Float[Array, " input"], geometry: Geometry | None, given: int, size: int, step: Int[Array, ""]
    ) -> Partial:
        """A network of one hidden layer, partially applied to the inputs known so far."""
        num_inputs = given if geometry is None else given + 2 * len(geometry.there)
        hidden = self._layer(self.hidden)(inputs, step), self._layer(self.hidden).layer(num_inputs, step)[0]
        outer = self._layer(size).layer(self.hidden, step)
        if geometry is None:
            return Partial(_answer, hidden, outer)
        straight = self._layer(size)(inputs, step), self._layer(size).layer(num_inputs, step)[0]
        return Partial(_answer_with_distances, hidden, outer, straight, geometry)

    def _place(self, first_s: Float[Array, ""]) -> Float[Array, " number"]:
        """The reference location of the head: the centre of all events, with an origin before the first trigger."""
        centre = jnp.array(self.centre)
        place = jnp.where(jnp.arange(4) == 3, first_s - centre, centre)
        return jnp.concatenate([place, jnp.diag(jnp.array(self.scale)).ravel()])


def _answer(hidden: Pair, outer: Pair, given: Float[Array, " given"]) -> Float[Array, " size"]:
    bias_and_known, weight = hidden
    kernel, bias = outer
    return jnp.tanh(bias_and_known + given @ weight) @ kernel + bias


def _answer_with_distances(
    hidden: Pair, outer: Pair, straight: Pair, geometry: Geometry, given: Float[Array, " given"]
) -> Float[Array, " size"]:
    """As `_answer`, with distances as inputs and a linear skip connection."""
    away_km = (geometry.station - given[:3]) * geometry.scale_km
    apart = (jnp.log10(jnp.sqrt((away_km**2).sum(-1) + 1.0)) - 1.5) / DECADES
    east = away_km[:, 0] / geometry.scale_km[0]
    inputs = jnp.concatenate([given, apart * geometry.there, east * geometry.there])
    return _answer(hidden, outer, inputs) + straight[0] + inputs @ straight[1]


def network(size: int, **settings: Any) -> Network:
    """The network as pure functions; settings are those of `Model`."""
    return bind(Model(size=size, **settings))
