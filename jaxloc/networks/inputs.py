"""Observations of one event as networks read them: traces, stations in order, and which of them are active."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxloc.per_station import active_stations
from jaxloc.types import Observations


class Traces(NamedTuple):
    """Waveforms scaled station by station, with the scale as a feature."""

    waveforms: Float[Array, "station sample component"]
    log_amplitude: Float[Array, " station"]
    mask: Bool[Array, " station"]


def waveforms_of(observations: Observations) -> Float[Array, "station sample component"]:
    """Waveforms, time before component, zero where a station is masked or a sample is not finite.

    Raises:
        ValueError: where the observations hold no waveforms.
    """
    if observations.waveforms is None:
        raise ValueError(
            "this network reads waveforms, but observations.waveforms is None; "
            "use a data set with waveforms, or a network that reads picks"
        )
    known = observations.station_mask[:, None, None] & jnp.isfinite(observations.waveforms)
    return jnp.swapaxes(jnp.where(known, observations.waveforms, 0.0), 1, 2)


def in_order(observations: Observations, num_stations: int | None) -> Observations:
    """Each station in the row of its `station_index`, out of `num_stations` rows; None keeps the order of the rows.

    Rows without a station, and stations unknown to the training network, are masked.
    """
    if num_stations is None:
        return observations
    index = observations.station_index
    known = observations.station_mask & (index >= 0) & (index < num_stations)
    row = jnp.where(known, index, num_stations)

    place = lambda a: jnp.zeros((num_stations, *a.shape[1:]), a.dtype).at[row].set(a, mode="drop")
    rows = {name: getattr(observations, name) for name in Observations._fields if name != "rate_hz"}
    rows["station_mask"] = known
    return observations._replace(**{name: place(a) for name, a in rows.items() if a is not None})


def station_traces(
    observations: Observations, log_amplitude_mean: float = -6.0, log_amplitude_sd: float = 1.5
) -> Traces:
    """Waveforms divided by their root mean square at each station, all components together, and log10 amplitudes.

    The amplitude is the largest of a station in m/s; its log10 is standardised with the given mean and
    standard deviation. A station that is masked or silent (all zero) has zeros, and its mask False.
    """
    waveforms = waveforms_of(observations)
    largest = jnp.abs(waveforms).max((1, 2))
    active = active_stations(observations)
    scaled = waveforms / jnp.where(active, largest, 1.0)[:, None, None]  # first, lest squares underflow
    power = (scaled**2).mean((1, 2))
    level = jnp.sqrt(jnp.where(active, power, 1.0))[:, None, None]
    log_amplitude = (jnp.log10(jnp.where(active, largest, 1.0)) - log_amplitude_mean) / log_amplitude_sd
    return Traces(jnp.where(active[:, None, None], scaled / level, 0.0), jnp.where(active, log_amplitude, 0.0), active)
