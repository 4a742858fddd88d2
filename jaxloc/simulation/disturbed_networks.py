"""A network in noise and a disturbance of one kind, without an earthquake, to count what is located in it.

Ground noise is independent at each station, behind an instrument of its own. A wave that crosses the network reaches
each station by its slowness, as a plane wave from a random direction; what is near one sensor (vehicles, helicopters,
footsteps, calibration) comes to each station at a time of its own.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import random
from jaxtyping import Array, Float, Int, Key

from jaxloc.simulation.disturbances import KINDS, DisturbanceRanges, disturbance
from jaxloc.simulation.ranges import Range, uniform
from jaxloc.simulation.records import NUM_EVENTS, EventRanges, Plan, Ranges, at_station, fast_length, window_of

AIR = (2.85, 3.05)
SLOWNESS_S_KM: dict[str, Range] = {
    "teleseismic_body_wave": (0.04, 0.08),
    "teleseismic_surface_wave": (0.25, 0.33),
    "regional_lg": (0.27, 0.32),
    "long_period_event": (0.3, 0.8),
    "hybrid_event": (0.3, 0.8),
    "tremor": (0.3, 0.8),
    "thunder": AIR,
    "t_phase": (0.15, 0.35),
    "slide": (0.3, 0.8),
    "shot": AIR,
}
"""Of kinds that cross a network; of waves at depth, of surface waves near their source, of sound in air."""
EARLIER_S, LONGER_S = 10.0, 20.0  # of the disturbance than the record, whose ends fade
STATION_DB = 6.0  # standard deviation of amplitudes at stations
QUIET = Ranges(events=EventRanges(none=1.0, disturbed=(0.0, 0.0)))


class Disturbed(NamedTuple):
    """How strong a disturbance is: its peak over the standard deviation of noise in dB, uniform."""

    peak_db: Range = (6.0, 50.0)


def disturbed_network(
    key: Key[Array, ""],
    kind: Int[Array, ""],
    station_km: Float[Array, "station 3"],
    num_samples: int,
    rate_hz: float,
    settings: Disturbed = Disturbed(),
) -> Float[Array, "station component sample"]:
    """Records of one window of a network.

    Args:
        key: of everything random.
        kind: index in `KINDS`.
        station_km: positions, east, north and depth.
        num_samples: of the window.
        rate_hz: sampling rate.
        settings: of the strength.
    """
    keys = random.split(key, 7)
    number, window = len(station_km), window_of(num_samples, rate_hz)
    none = jnp.zeros(NUM_EVENTS)
    plan = Plan(none > 0, none, none, none, none.astype(int))
    silent = jnp.zeros((3, window.num_padded // 2 + 1), jnp.complex64)
    noise = jax.lax.map(lambda k: at_station(k, QUIET, silent, plan, window).noise, random.split(keys[0], number))
    slowness = jnp.asarray([SLOWNESS_S_KM.get(each.__name__, (0.0, 0.0)) for each in KINDS])[kind]
    shared = slowness[1] > 0
    azimuth = uniform(keys[1], (0.0, 2 * jnp.pi))
    along_km = station_km[:, :2] @ jnp.stack([jnp.sin(azimuth), jnp.cos(azimuth)])
    delay_s = (slowness[0] + (slowness[1] - slowness[0]) * random.uniform(keys[2])) * along_km
    own = random.split(keys[3], number)
    one = jax.tree.map(lambda k: jnp.where(shared, jnp.broadcast_to(k[:1], k.shape), k), random.key_data(own))
    waves = jax.lax.map(lambda each: _wave(each, kind, num_samples, rate_hz), (random.wrap_key_data(one), delay_s))
    level_db = uniform(keys[4], settings.peak_db) + STATION_DB * random.normal(keys[5], (number,))
    size = 10 ** (level_db / 20) * noise.std(-1).max(-1)
    return noise + size[:, None, None] * waves


def _wave(
    each: tuple[Key[Array, ""], Float[Array, ""]], kind: Int[Array, ""], num_samples: int, rate_hz: float
) -> Float[Array, "component sample"]:
    """A disturbance of unit peak, later by a delay; nothing before and after it."""
    key, delay_s = each
    length = fast_length(num_samples + round(LONGER_S * rate_hz))
    whole = disturbance(key, DisturbanceRanges(), length, rate_hz, kind)
    at = jnp.arange(num_samples) + jnp.round((EARLIER_S - delay_s) * rate_hz).astype(int)
    return jnp.where((at >= 0) & (at < length), whole[:, jnp.clip(at, 0, length - 1)], 0.0)
