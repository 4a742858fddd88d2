"""Real events buried in more of the noise before their own P, at each station its own, so that spectra are kept.

The ratio of an event is the median over stations of P's: power above 1 Hz in the second after P less that of noise,
over that of the noise before P, on the best component. All stations get the same multiple of their own noise, made of
the spectrum of three seconds before P and random phases.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from jaxloc.data.augmentation import noise_like, recorded, records_of
from jaxloc.data.dataset import Dataset, retaken
from jaxloc.locators.setup import Setup, times_of
from jaxloc.simulation.snr import FLOOR, SIGNAL_S, cumulative_energy, power_between, without_trend
from jaxloc.types import Batch

NOISE_S = 3.0  # of the noise before P
MARGIN_S = 1.0  # of its end before P as velocities predict it
SPACING_KM = 0.5  # of the table of travel times


def p_arrivals_s(dataset: Dataset, setup: Setup) -> Float[np.ndarray, "event station"]:
    """P at each station from the catalogued hypocentre and the velocity model of the setup.

    Where no origin time is labelled, it is the median over stations of picks of P less their travel times.

    Raises:
        ValueError: where an event has no labelled place, or neither an origin time nor picks of P; names it.
    """
    batch = dataset.take(np.arange(len(dataset)))
    value, known = (np.asarray(x) for x in batch.labels["hypocentre"])
    seen, times = batch.observations, times_of(setup, "grid_search", SPACING_KM)
    of_event = jax.jit(jax.vmap(lambda station_km, place: times(station_km)(place[None])[0, :, 0]))
    travel_s = np.asarray(of_event(jnp.asarray(seen.station_km), jnp.asarray(value[:, :3])))
    origin_s = np.where(known[:, 3], value[:, 3], np.nan)
    if seen.picks_s is not None and seen.pick_mask is not None:
        picked = np.where(np.asarray(seen.pick_mask)[..., 0], np.asarray(seen.picks_s)[..., 0], np.nan)
        untimed = np.isnan(origin_s) & np.isfinite(picked).any(1)
        origin_s[untimed] = np.nanmedian((picked - travel_s)[untimed], axis=1)
    lacking = ~(known[:, :3].all(-1) & np.isfinite(origin_s))
    if lacking.any():
        name = dataset.events[int(lacking.argmax())].id
        raise ValueError(
            f"event {name} of {dataset.name} must have a hypocentre, and an origin time or picks of P (--p-column); "
            "leave it out by --split"
        )
    return origin_s[:, None] + travel_s


def ratios_db(dataset: Dataset, p_s: Float[np.ndarray, "event station"]) -> Float[np.ndarray, " event"]:
    """The median ratio of each event in dB, -inf where no more than half of the stations show P.

    Raises:
        ValueError: where P comes so early at a station that there is no noise before it; names it.
    """
    batch = dataset.take(np.arange(len(dataset)))
    early = np.asarray(batch.observations.station_mask) & (p_s < NOISE_S + MARGIN_S)
    if early.any():
        event, station = np.argwhere(early)[0]
        raise ValueError(
            f"P of event {dataset.events[event].id} comes {p_s[event, station]:.1f} s after the first sample at "
            f"{dataset.stations[station].code}; at least {NOISE_S + MARGIN_S:g} s of noise must be before it"
        )
    ratios = jax.jit(jax.vmap(lambda event, p_s: median_ratio(event, p_s, dataset.rate_hz)))(batch, jnp.asarray(p_s))
    return 10 * np.log10(np.maximum(np.asarray(ratios), 1e-30))


def median_ratio(event: Batch, p_s: Float[Array, " station"], rate_hz: float) -> Float[Array, ""]:
    """The median over recording stations of the ratio of P to noise in power, of one event."""

    def at_station(record: Float[Array, "component sample"], p_s: Float[Array, ""]) -> Float[Array, ""]:
        energy = cumulative_energy(without_trend(record, rate_hz))
        noise, after = _noise_power(energy, p_s, rate_hz), power_between(energy, p_s, p_s + SIGNAL_S, rate_hz)
        least = FLOOR * noise.max() + 1e-30
        return jnp.where(noise > least, (after - noise) / jnp.maximum(noise, least), -jnp.inf).max()

    seen = event.observations
    ratio = jax.vmap(at_station)(records_of(event), p_s)
    return jnp.nanmedian(jnp.where(seen.station_mask, jnp.maximum(ratio, 0.0), jnp.nan))


def _noise_power(
    energy: Float[Array, "component end"], p_s: Float[Array, ""], rate_hz: float
) -> Float[Array, " component"]:
    return power_between(energy, p_s - MARGIN_S - NOISE_S, p_s - MARGIN_S, rate_hz)


def noise_before_p(
    key: Key[Array, ""], event: Batch, p_s: Float[Array, " station"], rate_hz: float
) -> Float[Array, "station component sample"]:
    """Noise with the spectrum of that before P at each station, of zero mean and trend; none where nothing is recorded.

    Above 1 Hz it has the power of that before P: the taper of the spectrum leaves out what is near its ends. What is
    below a third of a hertz has periods longer than the noise before P, and is not in it.
    """
    short = round(NOISE_S * rate_hz)
    first = jnp.round((p_s - MARGIN_S) * rate_hz).astype(int) - short
    time = jnp.linspace(-1.0, 1.0, short)

    def at_station(key: Key[Array, ""], record: Float[Array, "component sample"], first: Array, p_s: Array) -> Array:
        near = jax.lax.dynamic_slice_in_dim(record, first, short, -1)
        near = near - near.mean(-1, keepdims=True)
        near = near - time * (near * time).sum(-1, keepdims=True) / (time**2).sum()
        noise = noise_like(key, near, record.shape[-1])
        wanted = _noise_power(cumulative_energy(without_trend(record, rate_hz)), p_s, rate_hz)
        power = (without_trend(noise, rate_hz) ** 2).mean(-1)
        return jnp.sqrt(wanted / jnp.maximum(power, FLOOR * power.max() + 1e-30))[:, None] * noise

    waveforms = records_of(event)
    return recorded(event, jax.vmap(at_station)(jax.random.split(key, len(p_s)), waveforms, first, p_s))


def buried(dataset: Dataset, p_s: Float[np.ndarray, "event station"], level_db: float, key: Key[Array, ""]) -> Dataset:
    """Each event with so much noise more that its median ratio is `level_db`; an event below it stays as it is.

    The noise is the same at all levels but for its size.
    """
    rate_hz = dataset.rate_hz

    def noisier(number: Array, event: Batch, p_s: Array) -> Batch:
        more = jnp.maximum(median_ratio(event, p_s, rate_hz) / 10 ** (level_db / 10) - 1.0, 0.0)
        noise = noise_before_p(jax.random.fold_in(key, number), event, p_s, rate_hz)
        waveforms = records_of(event) + jnp.sqrt(more) * noise
        return event._replace(observations=event.observations._replace(waveforms=waveforms))

    run, inner = jax.jit(jax.vmap(noisier)), dataset.take

    def take(index: Int[np.ndarray, " event"]) -> Batch:
        index = np.asarray(index)
        return jax.tree.map(np.asarray, run(jnp.asarray(index), inner(index), jnp.asarray(p_s[index])))

    return retaken(dataset, take)
