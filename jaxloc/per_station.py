"""Single-station networks and heads, applied to each station of an event.

A single-record network gives an output for every station of an event independently; the station's position is passed to
its head, since distances and azimuths are relative to it. Locators combine the stations
(`jaxloc.locators.single_station`).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Bool, Float, Key

from jaxloc.types import AT_STATIONS, Head, Labels, Network, Observations, Params, Weights

TINY = 1e-20  # below any ground velocity in m/s that is not exactly zero


class AtStation(NamedTuple):
    """Raw outputs of one station's record, where the station stands, and one if it is active, zero if not."""

    raw: Float[Array, "*station raw"]
    station_km: Float[Array, "*station 3"]
    active: Float[Array, "*station"]


def each_station(network: Network) -> Network:
    """A single-record network (observations of one row) over all stations of an event: `AtStation` by station."""

    def init(key: Key[Array, ""], observations: Observations) -> Params:
        return network.init(key, jax.tree.map(lambda x: x[0], rows_of(observations)))

    def apply(weights: Weights, observations: Observations) -> AtStation:
        return at_stations(lambda row: network.apply(weights, row), observations)

    def features(weights: Weights, observations: Observations) -> Float[Array, " feature"]:
        assert network.features is not None
        of_row = network.features
        each = jax.vmap(lambda row: of_row(weights, row))(rows_of(observations))
        active = active_stations(observations).astype(each.dtype)
        return (each * active[:, None]).sum(0) / jnp.maximum(active.sum(), 1)

    return Network(init, apply, None if network.features is None else features)


def at_stations(read: Callable[[Observations], Float[Array, " raw"]], observations: Observations) -> AtStation:
    """`read` applied to the observations of one row of each station of an event."""
    raw = jax.vmap(read)(rows_of(observations))
    return AtStation(raw, observations.station_km, active_stations(observations).astype(float))


def rows_of(observations: Observations) -> Observations:
    """Each station's own observations, of one row, with a leading station axis."""
    number = observations.station_mask.shape[0]
    own = {name: x[:, None] for name, x in observations._asdict().items() if x is not None and name != "rate_hz"}
    return observations._replace(**own, rate_hz=jnp.broadcast_to(observations.rate_hz, (number,)))


def active_stations(observations: Observations) -> Bool[Array, " station"]:
    """Stations that are not masked and have a finite sample other than zero; without waveforms, those not masked."""
    if observations.waveforms is None:
        return observations.station_mask
    size = jnp.nan_to_num(jnp.abs(observations.waveforms), posinf=0.0).max((1, 2))
    return observations.station_mask & (size > TINY)


def placed(at: Callable[[Float[Array, " 3"]], Head], size: int) -> Head:
    """A head that depends on the station's position: `at(station_km)` reads the `size` raw outputs of `AtStation`."""

    def distribution(raw: AtStation) -> dict[str, dist.Distribution]:
        return at(raw.station_km).distribution(raw.raw)

    def log_likelihood(raw: AtStation, labels: Labels) -> Float[Array, ""]:
        value = at(raw.station_km).log_likelihood(raw.raw, labels)
        return jnp.where(raw.active > 0, value, 0.0)

    return Head(size, distribution, log_likelihood)


def over_stations(head: Head) -> Head:
    """A head of one station (`placed`) over all stations of an event, as `each_station` gives them.

    The log-likelihood is the sum over active stations: records are independent given the weights. Distributions have a
    leading station axis: one for each station, not their combination.
    """

    def distribution(raw: AtStation) -> dict[str, Any]:
        return jax.vmap(head.distribution)(raw)

    def log_likelihood(raw: AtStation, labels: Labels) -> Float[Array, ""]:
        axes = {name: 0 if name in AT_STATIONS else None for name in labels}
        return jax.vmap(head.log_likelihood, (0, axes))(raw, labels).sum()

    return Head(head.size, distribution, log_likelihood)
