"""Augmentations of one event, each with its own random key.

Labels are transformed too: a shift in time moves arrivals and origin. Shifts do not wrap round; the gap is filled with
noise of the amplitude spectrum of the trace's beginning.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key, Shaped

from jaxloc.data.truncation import truncate
from jaxloc.types import AT_STATIONS, Batch, Label, Observations

BEGINNING = 50  # samples at the beginning of a trace that are taken as noise
BY_STATION = tuple(name for name in Observations._fields if name != "rate_hz")


class Augmentation(NamedTuple):
    """The strength of each augmentation; the defaults leave events unchanged."""

    earlier_s: float = 0.0  # longest shift towards the beginning of the record
    later_s: float = 0.0
    drop_stations: float = 0.0  # largest share of stations dropped; the share itself is uniform up to it
    drop_horizontals: float = 0.0  # probability that a station keeps its vertical component alone
    noise: float = 0.0  # largest standard deviation of added noise, in units of the trace's pre-event noise
    quieter: float = 0.0  # largest reduction of the event's amplitude in decades, at constant noise
    gain_log10_sd: float = 0.0  # error of each station's gain
    repick: bool = False  # errors of simulated picks sampled again about the labelled arrivals
    turn: bool = False  # random rotation and reflection of the whole event, stations included, about the frame's origin
    few_stations: int = 0  # if positive, every event keeps that many stations, sampled at random
    cut_s: float = 0.0  # if positive, records end at a uniform time up to it after the first P (`truncation`)


def augment(key: Key[Array, ""], settings: Augmentation, event: Batch) -> Batch:
    """One event after all augmentations that are switched on."""
    keys = dict(
        zip(
            ("shift", "noise", "gain", "horizontals", "stations", "few"),
            jax.random.split(key, 6),
            strict=True,
        )
    )
    if settings.earlier_s or settings.later_s:
        event = shift(keys["shift"], event, settings.earlier_s, settings.later_s)
    if settings.noise or settings.quieter:
        event = add_noise(keys["noise"], event, settings.noise, settings.quieter)
    if settings.gain_log10_sd:
        event = change_gain(keys["gain"], event, settings.gain_log10_sd)
    if settings.drop_horizontals:
        event = drop_horizontals(keys["horizontals"], event, settings.drop_horizontals)
    if settings.drop_stations:
        event = drop_stations(keys["stations"], event, settings.drop_stations)
    if settings.turn:
        event = turned(jax.random.fold_in(key, 3), event)
    if settings.few_stations:
        event = keep_few(keys["few"], event, settings.few_stations)
    if settings.repick:
        event = picked_again(jax.random.fold_in(key, 1), event)
    if settings.cut_s:
        event = truncate(jax.random.fold_in(key, 2), event, settings.cut_s)
    return event


def noise_like(
    key: Key[Array, ""], segment: Float[Array, "*trace short"], samples: int
) -> Float[Array, "*trace sample"]:
    """Noise with the amplitude spectrum of a short segment, and random phases."""
    short = segment.shape[-1]
    window = jnp.hanning(short)
    spectrum = jnp.abs(jnp.fft.rfft(segment * window)) / jnp.sqrt((window**2).sum())
    places = jnp.linspace(0, spectrum.shape[-1] - 1, samples // 2 + 1)
    lower = jnp.clip(jnp.floor(places).astype(int), 0, spectrum.shape[-1] - 2)
    part = places - lower
    amplitude = spectrum[..., lower] * (1 - part) + spectrum[..., lower + 1] * part
    white = jnp.fft.rfft(jax.random.normal(key, (*segment.shape[:-1], samples), segment.dtype))
    return jnp.fft.irfft(white * amplitude, samples)


def shift(key: Key[Array, ""], event: Batch, earlier_s: float, later_s: float) -> Batch:
    """Move the record in time by a uniform number of whole samples; noise fills the gap."""
    key_amount, key_noise = jax.random.split(key)
    seen, waveforms = event.observations, records_of(event)
    samples, rate = waveforms.shape[-1], seen.rate_hz
    amount_s = jax.random.uniform(key_amount, (), minval=-earlier_s, maxval=later_s)
    moved = jnp.round(amount_s * rate).astype(int)
    places = jnp.arange(samples) - moved
    inside = (places >= 0) & (places < samples)
    waveforms = jnp.where(inside, jnp.roll(waveforms, moved, -1), own_noise(key_noise, event))
    sample_mask = None if seen.sample_mask is None else _shifted(seen.sample_mask, moved, inside)
    moved_s = moved / rate
    labels = dict(event.labels)
    if "hypocentre" in labels:
        value, mask = labels["hypocentre"]
        labels["hypocentre"] = Label(value.at[3].add(jnp.where(mask[3], moved_s, 0.0)), mask)
    if "arrivals" in labels:
        value, mask = labels["arrivals"]
        labels["arrivals"] = Label(jnp.where(mask, value + moved_s, 0.0), mask)
    picks_s = seen.picks_s
    if picks_s is not None and seen.pick_mask is not None:
        picks_s = jnp.where(seen.pick_mask, picks_s + moved_s, 0.0)
    moved_event = Batch(seen._replace(picks_s=picks_s, sample_mask=sample_mask), labels)
    return moved_event._replace(
        observations=moved_event.observations._replace(waveforms=recorded(moved_event, waveforms))
    )


def _shifted(
    mask: Bool[Array, "station sample"], moved: Int[Array, ""], inside: Bool[Array, " sample"]
) -> Bool[Array, "station sample"]:
    """The mask moved with its record; what the shift uncovers counts as recorded where the beginning, its model, is."""
    return jnp.where(inside, jnp.roll(mask, moved, -1), mask[:, :BEGINNING].all(-1, keepdims=True))


def records_of(event: Batch) -> Float[Array, "station component sample"]:
    """The records of an event.

    Raises:
        ValueError: where it has none.
    """
    if event.observations.waveforms is None:
        raise ValueError("observations.waveforms is None; records are changed here: use a data set that has them")
    return event.observations.waveforms


def own_noise(key: Key[Array, ""], event: Batch) -> Float[Array, "station component sample"]:
    """Noise as at the beginning of each trace; none on a silent channel."""
    waveforms = records_of(event)
    short = min(BEGINNING, waveforms.shape[-1])
    # The shortest segment common to all rates is taken in samples, since shapes cannot depend on the rate.
    return noise_like(key, waveforms[..., :short], waveforms.shape[-1])


def add_noise(key: Key[Array, ""], event: Batch, largest: float, quieter: float) -> Batch:
    """Added noise of the trace's own spectrum, and an event reduced by up to `quieter` decades."""
    key_level, key_noise, key_size = jax.random.split(key, 3)
    waveforms = records_of(event)
    level = jax.random.uniform(key_level, waveforms.shape[:1], maxval=1.0) * largest
    factor = 10 ** -jax.random.uniform(key_size, (), maxval=1.0 * quieter) if quieter else jnp.ones(())
    if quieter:  # its magnitude is no longer the labelled one
        event = event._replace(labels={name: label for name, label in event.labels.items() if name != "magnitude"})
    # The noise reduced together with the event is added again, so that the background is constant.
    return noisier(key_noise, event, jnp.sqrt(level**2 + (1 - factor**2)), factor)


def noisier(
    key: Key[Array, ""], event: Batch, level: Float[Array, " station"], factor: Float[Array, ""] | float = 1.0
) -> Batch:
    """An event `factor` times as large under `level` times as much noise of each trace's own kind again."""
    noise = recorded(event, own_noise(key, event))
    waveforms = factor * records_of(event) + level[:, None, None] * noise
    return event._replace(observations=event.observations._replace(waveforms=waveforms))


def recorded(
    event: Batch, waveforms: Float[Array, "station component sample"]
) -> Float[Array, "station component sample"]:
    """Waveforms that are zero wherever the event has no record."""
    mask = event.observations.sample_mask
    return waveforms if mask is None else waveforms * mask[:, None, :]


def change_gain(key: Key[Array, ""], event: Batch, log10_sd: float) -> Batch:
    """Each station's gain off by a log-normal factor."""
    waveforms = records_of(event)
    factor = 10 ** (log10_sd * jax.random.normal(key, waveforms.shape[:1]))[:, None, None]
    return event._replace(observations=event.observations._replace(waveforms=waveforms * factor))


def drop_horizontals(key: Key[Array, ""], event: Batch, probability: float) -> Batch:
    """Stations that keep the vertical component alone."""
    waveforms = records_of(event)
    lost = jax.random.bernoulli(key, probability, waveforms.shape[:1])
    keep = jnp.stack([jnp.ones_like(lost), ~lost, ~lost], -1)[..., None]
    return event._replace(observations=event.observations._replace(waveforms=waveforms * keep))


def drop_stations(key: Key[Array, ""], event: Batch, largest_share: float) -> Batch:
    """Stations masked and zeroed at random; their share is uniform up to `largest_share`."""
    key_share, key_which = jax.random.split(key)
    share = jax.random.uniform(key_share, (), maxval=largest_share)
    return _keep(event, ~jax.random.bernoulli(key_which, share, event.observations.station_mask.shape))


def silence_stations(key: Key[Array, ""], event: Batch, number: int | Int[Array, ""]) -> Batch:
    """That many active stations, sampled at random, masked and zeroed."""
    return _keep(event, _rank(key, event) >= number)


def only_stations(key: Key[Array, ""], event: Batch, number: int) -> Batch:
    """All but that many active stations, sampled at random, masked and zeroed."""
    return _keep(event, _rank(key, event) < number)


def _rank(key: Key[Array, ""], event: Batch) -> Int[Array, " station"]:
    """Stations in random order, active ones first."""
    mask = event.observations.station_mask
    return jnp.argsort(jnp.argsort(jax.random.uniform(key, mask.shape) - mask))


def keep_few(key: Key[Array, ""], event: Batch, number: int) -> Batch:
    """That many active stations, sampled at random, as an event of so many rows."""
    seen = event.observations
    rank = jax.random.uniform(key, seen.station_mask.shape) - seen.station_mask
    rows = jnp.argsort(rank)[:number]
    return by_station(event, lambda x: x[rows])


def turned(key: Key[Array, ""], event: Batch) -> Batch:
    """The event rotated: positions and horizontal components together.

    A layered velocity model is symmetric under rotation. Where one horizontal component is missing, the other is
    dropped.
    """
    key_angle, key_mirror = jax.random.split(key)
    angle = jax.random.uniform(key_angle, (), maxval=2 * jnp.pi)
    mirror = jnp.where(jax.random.bernoulli(key_mirror), -1.0, 1.0)
    cosine, sine = jnp.cos(angle), jnp.sin(angle)
    across = jnp.array([[cosine, sine], [-mirror * sine, mirror * cosine]])  # from (east, north), as columns
    seen, waveforms = event.observations, records_of(event)
    flat = waveforms[:, :0:-1]  # east, north
    both = jnp.any(flat != 0, -1).all(-1)
    moved = jnp.einsum("sct,cd->sdt", flat, across) * both[:, None, None]
    waveforms = jnp.concatenate([waveforms[:, :1], moved[:, ::-1]], 1)
    around = lambda place: place.at[..., :2].set(place[..., :2] @ across)
    labels = dict(event.labels)
    if "hypocentre" in labels:
        value, mask = labels["hypocentre"]
        mask = mask.at[:2].set(mask[:2].all())
        labels["hypocentre"] = Label(jnp.where(mask, around(value), 0.0), mask)
    return Batch(seen._replace(waveforms=waveforms, station_km=around(seen.station_km)), labels)


def by_station(event: Batch, choose: Callable[[Shaped[Array, "..."]], Any]) -> Batch:
    """An event, or a batch, with `choose` applied to all arrays with a station axis."""
    seen, labels = event.observations, dict(event.labels)
    chosen = {name: choose(getattr(seen, name)) for name in BY_STATION if getattr(seen, name) is not None}
    labels |= {name: Label(*map(choose, labels[name])) for name in AT_STATIONS if name in labels}
    return Batch(seen._replace(**chosen), labels)


def picked_again(key: Key[Array, ""], event: Batch) -> Batch:
    """The same event with other errors of its picks, normal with the picks' standard deviations.

    Raises:
        ValueError: where the event has no picks.
    """
    seen, (arrival_s, known) = event.observations, event.labels["arrivals"]
    if seen.picks_s is None or seen.pick_sigma_s is None or seen.pick_mask is None:
        raise ValueError("picks cannot be sampled again where observations have none: use simulated picks")
    mask = seen.pick_mask & known
    again_s = arrival_s + seen.pick_sigma_s * jax.random.normal(key, arrival_s.shape)
    return event._replace(observations=seen._replace(picks_s=jnp.where(mask, again_s, 0.0), pick_mask=mask))


def _keep(event: Batch, keep: Bool[Array, " station"]) -> Batch:
    seen = event.observations
    waveforms = records_of(event) * keep[:, None, None]
    both = lambda mask: None if mask is None else mask & keep[:, None]
    seen = seen._replace(pick_mask=both(seen.pick_mask), sample_mask=both(seen.sample_mask))
    return event._replace(observations=seen._replace(waveforms=waveforms, station_mask=seen.station_mask & keep))
