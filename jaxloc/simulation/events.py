"""Simulated records of local and regional earthquakes, made on the device that trains on them.

The steps of one event: a source (`sources`), rays and scattering to each station (`propagation`, `seismograms`), site
response, noise and instrument (`recording`), and one inverse Fourier transform a trace.

Not included: reflections from the Moho (a head wave has the amplitude of a direct one), dispersion of surface waves
(they are a wave train of the right duration), coda with frequency-dependent decay.
"""

import datetime
from collections.abc import Callable, Iterator
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import random
from jaxtyping import Array, Bool, Float, Int, Key

from jaxloc.data.dataset import Dataset, Event, Station, positions_km
from jaxloc.geometry import Frame, to_degrees
from jaxloc.physics.layered import VelocityModel, layered, uniform
from jaxloc.simulation.propagation import Earth, Path, draw_earth
from jaxloc.simulation.recording import (
    Noise,
    Recording,
    active_channels,
    check_recording,
    colour,
    draw_noise,
    passband,
    through,
)
from jaxloc.simulation.seismograms import Simulation, Truth, draw_truth, first_motion_up, ground_motion, split_keys
from jaxloc.simulation.sources import Source, around, box
from jaxloc.types import Batch, Label, Observations

__all__ = [
    "Noise",
    "Path",
    "Recording",
    "Simulation",
    "Source",
    "around",
    "box",
    "oklahoma_like",
    "quick_start",
    "random_network",
    "simulate_event",
    "simulated_dataset",
    "stream",
    "taken",
]

CHUNK = 16  # events simulated at a time by a data set: one compilation, bounded memory
FIRST_START = datetime.datetime(2000, 1, 1)
DEFAULT_FRAME = Frame(40.0, 15.0)


def default_model() -> VelocityModel:
    """Flat layers of an average continental crust."""
    return layered([0.0, 2.0, 8.0, 20.0, 38.0], [4.8, 5.8, 6.1, 6.7, 8.0], [2.75, 3.35, 3.52, 3.85, 4.5])


def quick_start(half_width_km: float = 40.0, depth_km: tuple[float, float] = (2.0, 15.0)) -> Simulation:
    """A simulation without data: uniform hypocentres about the frame's origin."""
    low = (-half_width_km, -half_width_km, depth_km[0])
    return Simulation(box(low, (half_width_km, half_width_km, depth_km[1])), default_model())


def oklahoma_like(catalogue_km: Float[Array, "event 3"]) -> Simulation:
    """Induced earthquakes of magnitude 3 and more in Oklahoma, 1.5-8.5 Hz, near those of a catalogue.

    Its parameters reproduce the medians of amplitude, noise, S/P ratio, spectra and coda length of 200 recorded events
    at 30 stations; `gain` includes their unknown units.
    """
    return Simulation(
        around(catalogue_km, (2.0, 2.0, 1.0), (0.5, 12.0)),
        uniform(6.1, 1.73),
        Source((3.0, 5.2), 0.9, stress_drop_mpa=0.25, stress_drop_sd=1.3, corner_ratio=1.2, smear=0.2),
        Path(
            q_s=400.0,
            kappa_s=0.055,
            kappa_p_ratio=0.77,
            surface_speed_km_s=(1.7, 0.9),
            free_time_s=8.0,
            broadening=(0.1, 0.04),
            coda_level=0.1,
            coda_decay_s=15.0,
            coda_power=0.6,
            surface_level=0.3,
            surface_sd=1.2,
            polarised=0.95,
            coda_vertical=(0.48, 0.11),
            conversion=0.2,
            gain=0.062,
            gain_sd=0.6,
            event_gain_sd=0.6,
            delay_sd_s=0.17,
        ),
        Noise(1.75e-9, 0.4, 0.8, slope=1.0, cultural=0.0, silent_station=0.0015, missing_component=0.005),
        Recording(20.0, 1280, (1.6, 8.5), zero_phase=True, origin_s=4.3, origin_sd_s=0.8),
    )


def _padding(recording: Recording) -> int:
    """Trace length with room for the filter's ringing past the end, of small prime factors for the transform."""
    low_hz = 1.0 if recording.band_hz is None else recording.band_hz[0]
    wanted = recording.num_samples + int(max(4.0, 4 / low_hz) * recording.rate_hz)
    step = 2 ** max(int(np.log2(wanted)) - 4, 1)
    return -(-wanted // step) * step


def simulate_event(
    key: Key[Array, ""],
    simulation: Simulation,
    station_km: Float[Array, "station 3"],
    earth: Earth | None = None,
) -> Batch:
    """One event as recorded by a network, with its true labels.

    Args:
        station_km: east, north, depth (below sea level, so a station on a hill has a negative one) in km.
        earth: site effects and velocity mismatch (`propagation.draw_earth`); None samples new ones.

    Returns:
        A batch of one event without leading axis: waveforms [station, component, sample] in m/s; labels
        "hypocentre", "magnitude", "arrivals" in s from the first sample, exact for the waveforms, and "polarity" of P,
        both masked where the station is silent or the arrival outside the record.
    """
    keys, recording = split_keys(key), simulation.recording
    truth = draw_truth(key, simulation, station_km, earth)
    num, num_padded = len(station_km), _padding(recording)
    frequency_hz = np.fft.rfftfreq(num_padded, 1 / recording.rate_hz).astype(np.float32)
    response = passband(recording, frequency_hz)
    ground = ground_motion(keys.coda, simulation, truth, station_km, num_padded)
    gain = truth.earth.gain * jnp.exp(simulation.path.event_gain_sd * random.normal(keys.gain, (num, 1)))
    background = draw_noise(keys.noise, simulation.noise, recording, truth.earth.noise, num_padded)
    hum = jnp.fft.rfft(background) * colour(simulation.noise, frequency_hz, response).astype(np.float32)
    # The sampling rate turns a spectral density per Hz into a trace.
    spectrum = (recording.rate_hz * gain[..., None] * ground + hum) * response.astype(np.complex64)
    live = active_channels(keys.channels, simulation.noise, num)
    waveforms = through(spectrum, num_padded, recording) * live[..., None]
    return Batch(_observations(waveforms, station_km, recording), _labels(truth, live.any(-1), simulation))


def _observations(
    waveforms: Float[Array, "station component sample"], station_km: Float[Array, "station 3"], recording: Recording
) -> Observations:
    num = len(station_km)
    return Observations(
        waveforms=waveforms,
        station_km=jnp.asarray(station_km),
        station_mask=jnp.ones(num, bool),
        station_index=jnp.arange(num),
        rate_hz=jnp.asarray(recording.rate_hz),
    )


def _labels(truth: Truth, active: Bool[Array, " station"], simulation: Simulation) -> dict[str, Label]:
    recording = simulation.recording
    end_s = recording.num_samples / recording.rate_hz
    seen = (truth.arrivals_s >= 0) & (truth.arrivals_s < end_s) & active[:, None]
    return {
        "hypocentre": Label(truth.hypocentre, jnp.ones(4, bool)),
        "arrivals": Label(jnp.where(seen, truth.arrivals_s, 0.0), seen),
        "magnitude": Label(truth.magnitude, jnp.ones((), bool)),
        "polarity": Label(jnp.where(seen[:, 0], first_motion_up(truth, simulation.source), 0.0), seen[:, 0]),
    }


def stream(
    key: Key[Array, ""], simulation: Simulation, station_km: Float[Array, "station 3"], vary_earth: bool = False
) -> Callable[[Key[Array, ""], int], Batch]:
    """Endless training data: a pure `batch(key, size)` that can be part of a compiled step (`size` static).

    Site effects and velocity mismatch are sampled once from `key`, or, with `vary_earth`, for every event, so that a
    network does not overfit stations.
    """
    check_recording(simulation.recording)
    station_km = jnp.asarray(station_km)
    earth = None if vary_earth else draw_earth(key, simulation.path, len(station_km), simulation.noise.station_sd)

    def batch(key: Key[Array, ""], size: int) -> Batch:
        return jax.vmap(lambda k: simulate_event(k, simulation, station_km, earth))(random.split(key, size))

    return batch


def simulated_dataset(
    key: Key[Array, ""],
    simulation: Simulation,
    stations: tuple[Station, ...],
    frame: Frame,
    num_events: int,
    splits: dict[str, float] | None = None,
    first: int = 0,
) -> Dataset:
    """A data set that is simulated on access: event `i` follows from `fold_in(key, first + i)`.

    All events of a key share site effects and velocity structure: `first` gives other events at the same network.
    `splits` gives the share of each split, in order; None is 80 % train, 10 % dev, 10 % test.

    Raises:
        ValueError: where there are no events or stations, shares do not add up to 1, or the recording is bad.
    """
    check_recording(simulation.recording)
    splits = {"train": 0.8, "dev": 0.1, "test": 0.1} if splits is None else splits
    if num_events < 1 or not stations:
        raise ValueError(f"num_events and stations must be at least one, got {num_events} and {len(stations)}")
    if any(share < 0 for share in splits.values()) or abs(sum(splits.values()) - 1) > 1e-6:
        raise ValueError(f"shares of splits must be positive and add up to 1, got {splits}")
    earth_key, event_key = random.split(key)
    station_km = jnp.asarray(positions_km(frame, stations))
    earth = draw_earth(earth_key, simulation.path, len(stations), simulation.noise.station_sd)
    # Keys and velocity structure are arguments, not constants: networks of one size share a compiled program.
    numbered = jax.jit(jax.vmap(partial(_numbered, simulation), (None, None, None, 0)))
    chunk = lambda index: numbered(event_key, station_km, earth, first + index)
    return Dataset(
        name="simulated",
        frame=frame,
        stations=stations,
        events=_events(event_key, simulation, station_km, earth, num_events, splits, first),
        rate_hz=simulation.recording.rate_hz,
        num_samples=simulation.recording.num_samples,
        take=partial(taken, chunk, num_events),
    )


def _numbered(
    simulation: Simulation,
    key: Key[Array, ""],
    station_km: Float[Array, "station 3"],
    earth: Earth,
    number: Int[Array, ""],
) -> Batch:
    return simulate_event(random.fold_in(key, number), simulation, station_km, earth)


def taken(chunk: Callable[[Int[Array, " event"]], Batch], num_events: int, index: Int[np.ndarray, " event"]) -> Batch:
    """Events by number, simulated `CHUNK` at a time; a ValueError names numbers out of range."""
    index = np.atleast_1d(np.asarray(index, np.int32))
    bad = (index < 0) | (index >= num_events)
    if not index.size or bad.any():
        raise ValueError(f"event indices must be 0 to {num_events - 1}, got {index[bad].tolist() or 'none'}")
    parts = [_padded(chunk, part) for part in _parts(index)]
    return jax.tree.map(lambda *arrays: np.concatenate(arrays), *parts)


def _parts(index: Int[np.ndarray, " event"]) -> Iterator[Int[np.ndarray, " part"]]:
    return (index[at : at + CHUNK] for at in range(0, len(index), CHUNK))


def _padded(chunk: Callable[[Int[Array, " event"]], Batch], part: Int[np.ndarray, " part"]) -> Batch:
    """Constant shape: the same program, and bit-identical events whatever is taken together."""
    whole = chunk(jnp.asarray(np.pad(part, (0, CHUNK - len(part)), mode="edge")))
    return jax.tree.map(lambda array: np.asarray(array)[: len(part)], whole)


def _events(
    key: Key[Array, ""],
    simulation: Simulation,
    station_km: Float[Array, "station 3"],
    earth: Earth,
    num_events: int,
    splits: dict[str, float],
    first: int,
) -> tuple[Event, ...]:
    def labels_of(
        key: Key[Array, ""], station_km: Float[Array, "station 3"], earth: Earth, number: Int[Array, ""]
    ) -> tuple[Array, Array]:
        truth = draw_truth(random.fold_in(key, number), simulation, station_km, earth)
        return truth.magnitude, truth.hypocentre[3]

    chunk = jax.jit(jax.vmap(labels_of, (None, None, None, 0)))
    parts = [_padded(partial(chunk, key, station_km, earth), part) for part in _parts(first + np.arange(num_events))]
    magnitude, origin_s = (np.concatenate(each) for each in zip(*parts, strict=True))
    ends = np.round(np.cumsum(list(splits.values())) * num_events)
    split = np.array(list(splits))[np.searchsorted(ends, np.arange(num_events), side="right")]
    return tuple(dated_event(first + i, split[i], magnitude[i], origin_s[i]) for i in range(num_events))


def dated_event(index: int, split: str, magnitude: float, origin_s: float) -> Event:
    """The metadata of a simulated event; events are an hour apart."""
    start = FIRST_START + datetime.timedelta(hours=index)
    origin = start + datetime.timedelta(seconds=float(origin_s))
    return Event(f"sim{index:06d}", str(split), start.isoformat(), origin.isoformat(), round(float(magnitude), 2))


def random_network(
    key: Key[Array, ""], num_stations: int, aperture_km: float, frame: Frame = DEFAULT_FRAME
) -> tuple[Station, ...]:
    """Stations spread evenly over a disc about the frame's origin: each is the most isolated of ten draws.

    Raises:
        ValueError: where there is no station or no aperture.
    """
    if num_stations < 1 or not aperture_km > 0:
        raise ValueError(f"num_stations and aperture_km must be positive, got {num_stations} and {aperture_km}")
    generator = np.random.default_rng(np.asarray(random.key_data(key)))
    places = np.zeros((0, 2))
    for _ in range(num_stations):
        radius = 0.5 * aperture_km * np.sqrt(generator.uniform(size=10))
        angle = generator.uniform(0, 2 * np.pi, 10)
        sampled = np.stack([radius * np.cos(angle), radius * np.sin(angle)], -1)
        nearest = np.linalg.norm(sampled[:, None] - places, axis=-1).min(-1, initial=np.inf)
        places = np.vstack([places, sampled[np.argmax(nearest)]])
    latitude, longitude = to_degrees(frame, *places.T)
    elevation = generator.uniform(0, 800, num_stations)
    rows = zip(latitude.tolist(), longitude.tolist(), elevation.round(1).tolist(), strict=True)
    return tuple(Station(f"XX.S{i:02d}", *row) for i, row in enumerate(rows))
