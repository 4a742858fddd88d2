"""A simulated day of a seismic network: stations, true and assumed velocities, sources, arrivals, and recorder faults.

Travel times are those of a model whose speeds differ from the assumed one layer by layer, with a smooth error over the
region that no layered model has, station delays, and independent errors of each arrival.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import random
from jaxtyping import Array, Bool, Float, Int, Key

from jaxloc.data.dataset import Station, positions_km
from jaxloc.geometry import Frame
from jaxloc.physics.layered import VelocityModel
from jaxloc.simulation.events import DEFAULT_FRAME, default_model, random_network
from jaxloc.simulation.propagation import Earth, Path, Rays, draw_earth, slowness_error, trace_rays
from jaxloc.simulation.seismicity import Seismicity, SeismicitySettings, draw_seismicity, generator_of

DAY_START = "2024-01-01T00:00:00Z"
EVENTS_AT_ONCE = 64  # of rays, traced together
DAY_PATH = Path(delay_sd_s=0.05, jitter_sd_s=(0.01, 0.02))


class FaultSettings(NamedTuple):
    """What goes wrong at stations within a day.

    Attributes:
        outages, outage_s: mean number of outages a station, and their shortest and longest duration.
        gaps, gap_s: as those, of short gaps of telemetry.
        clock_chance, clock_s: of a station whose clock is wrong for some hours, and the error's smallest and largest.
        spikes, spike_gain: mean number of single wrong samples a channel, and their height over the noise.
        constants, constant_s: mean number of constant runs a station, and their durations.
    """

    outages: float = 0.15
    outage_s: tuple[float, float] = (1800.0, 14400.0)
    gaps: float = 4.0
    gap_s: tuple[float, float] = (0.5, 40.0)
    clock_chance: float = 0.1
    clock_s: tuple[float, float] = (0.2, 2.0)
    spikes: float = 2.0
    spike_gain: tuple[float, float] = (20.0, 1000.0)
    constants: float = 0.5
    constant_s: tuple[float, float] = (0.5, 8.0)


class NetworkSettings(NamedTuple):
    """Stations and velocities.

    Attributes:
        num_stations, aperture_km: of a network spread evenly over a disc.
        speed_sd: standard deviation of the natural logarithm by which each layer's speed differs from the assumed one.
        path: propagation, site effects, and errors of travel times.
    """

    num_stations: int = 20
    aperture_km: float = 40.0
    speed_sd: float = 0.02
    path: Path = DAY_PATH


class Interval(NamedTuple):
    """A stretch of time at a station in s from the beginning of the day; `value` is the error of a clock in s."""

    station: int
    start_s: float
    end_s: float
    value: float = 0.0


class Faults(NamedTuple):
    """What goes wrong, by kind."""

    outages: tuple[Interval, ...] = ()
    gaps: tuple[Interval, ...] = ()
    clocks: tuple[Interval, ...] = ()
    constants: tuple[Interval, ...] = ()


class Day(NamedTuple):
    """All that is true of a day before it is recorded.

    Attributes:
        frame, stations, station_km: the network.
        assumed, actual: velocity model that a user is given, and the true one.
        sources: earthquakes and blasts.
        rays: of first arrivals, [event, station, phase].
        travel_s: with all errors of the model, clocks excluded.
        earth: site effects.
        faults: of stations.
        length_s: of the day.
    """

    frame: Frame
    stations: tuple[Station, ...]
    station_km: Float[np.ndarray, "station 3"]
    assumed: VelocityModel
    actual: VelocityModel
    sources: Seismicity
    rays: Rays
    travel_s: Float[np.ndarray, "event station phase"]
    earth: Earth
    faults: Faults
    length_s: float

    @property
    def arrival_s(self) -> Float[np.ndarray, "event station phase"]:
        """True arrivals in s from the beginning of the day, double precision."""
        return self.sources.hypocentre[:, None, None, 3] + self.travel_s


def draw_day(
    key: Key[Array, ""],
    seismicity: SeismicitySettings = SeismicitySettings(),
    network: NetworkSettings = NetworkSettings(),
    faults: FaultSettings = FaultSettings(),
    frame: Frame = DEFAULT_FRAME,
) -> Day:
    """A day at random.

    Raises:
        ValueError: for settings out of range; names the value.
    """
    of = dict(zip(("stations", "sources", "earth", "speed", "jitter", "faults"), random.split(key, 6), strict=True))
    stations = random_network(of["stations"], network.num_stations, network.aperture_km, frame)
    station_km = positions_km(frame, stations)
    assumed = default_model()
    actual = _perturbed(of["speed"], assumed, network.speed_sd)
    sources = draw_seismicity(of["sources"], seismicity)
    earth = draw_earth(of["earth"], network.path, len(stations), 0.0)
    rays = traced(actual, sources.hypocentre[:, :3], station_km, network.path.surface_speed_km_s)
    travel_s = _travel_s(of["jitter"], network.path, earth, rays, sources, station_km)
    length_s = seismicity.hours * 3600
    found = draw_faults(of["faults"], faults, len(stations), length_s)
    return Day(frame, stations, station_km, assumed, actual, sources, rays, travel_s, earth, found, length_s)


def _perturbed(key: Key[Array, ""], model: VelocityModel, speed_sd: float) -> VelocityModel:
    """Speeds of each layer at random, sorted so that they still increase with depth; Vp/Vs differs by half as much."""
    change, ratio = random.normal(key, (2, len(model.vp_km_s)))
    vp = jnp.sort(model.vp_km_s * jnp.exp(speed_sd * change))
    vs = jnp.sort(model.vs_km_s * jnp.exp(speed_sd * (change + 0.5 * ratio)))
    return VelocityModel(model.top_km, vp, vs)


def traced(
    model: VelocityModel,
    source_km: Float[np.ndarray, "event 3"],
    station_km: Float[np.ndarray, "station 3"],
    surface_speed_km_s: tuple[float, float],
) -> Rays:
    """Rays of first arrivals from each source to each station, [event, station, phase]."""
    number = len(source_km)
    room = -(-max(number, 1) // EVENTS_AT_ONCE) * EVENTS_AT_ONCE
    padded = np.zeros((room, 3), np.float32) + np.array([0.1, 0.1, 5.0], np.float32)
    padded[:number] = source_km
    parts = [
        jax.tree.map(np.asarray, _traced(model, part, station_km, surface_speed_km_s))
        for part in padded.reshape(-1, EVENTS_AT_ONCE, 3)
    ]
    return jax.tree.map(lambda *each: np.concatenate(each)[:number], *parts)


@partial(jax.jit, static_argnums=3)
def _traced(
    model: VelocityModel,
    source_km: Float[Array, "event 3"],
    station_km: Float[Array, "station 3"],
    surface_speed_km_s: tuple[float, float],
) -> Rays:
    """Of a fixed number of events, so that a network of one size is compiled once."""
    return jax.vmap(trace_rays, (None, 0, None, None))(model, source_km, station_km, surface_speed_km_s)


def _travel_s(
    key: Key[Array, ""],
    path: Path,
    earth: Earth,
    rays: Rays,
    sources: Seismicity,
    station_km: Float[np.ndarray, "station 3"],
) -> Float[np.ndarray, "event station phase"]:
    """Travel times with their errors; a family shares its paths, and so the errors of single arrivals."""
    smooth = jax.vmap(partial(slowness_error, earth), (0, None))
    source_km = jnp.asarray(sources.hypocentre[:, :3], jnp.float32)
    error = 1 + path.slowness_sd * np.asarray(smooth(source_km, jnp.asarray(station_km)))
    jitter_s = np.asarray(path.jitter_sd_s) * generator_of(key).normal(size=rays.time_s.shape)
    for family in np.unique(sources.family[sources.family >= 0]):
        members = np.flatnonzero(sources.family == family)
        jitter_s[members] = jitter_s[members[0]]
    late_s = np.maximum(rays.time_s * error[..., None] + np.asarray(earth.delay_s) + jitter_s, 0.01)
    return np.stack([late_s[..., 0], np.maximum(late_s[..., 1], 1.2 * late_s[..., 0])], -1)


def draw_faults(key: Key[Array, ""], settings: FaultSettings, num_stations: int, length_s: float) -> Faults:
    """Outages, gaps, constant runs and wrong clocks; means are of 24 h and fall with the length of the day."""
    rng = generator_of(key)
    share = length_s / 86400

    def stretches(mean: float, duration_s: tuple[float, float]) -> tuple[Interval, ...]:
        found = []
        for station in range(num_stations):
            for _ in range(rng.poisson(mean * share)):
                long_s = min(np.exp(rng.uniform(*np.log(duration_s))), 0.3 * length_s)
                start_s = rng.uniform(0, length_s - long_s)
                found.append(Interval(station, float(start_s), float(start_s + long_s)))
        return tuple(found)

    outages = stretches(settings.outages, settings.outage_s)
    gaps = stretches(settings.gaps, settings.gap_s)
    constants = stretches(settings.constants, settings.constant_s)
    clocks = []
    for station in np.flatnonzero(rng.random(num_stations) < settings.clock_chance):
        start_s, error_s = rng.uniform(0, 0.7) * length_s, np.exp(rng.uniform(*np.log(settings.clock_s)))
        end_s = start_s + rng.uniform(0.1, 0.3) * length_s
        clocks.append(Interval(int(station), float(start_s), float(end_s), float(error_s * rng.choice([-1, 1]))))
    return Faults(outages, gaps, tuple(clocks), constants)


def inside(
    intervals: tuple[Interval, ...], station: Int[np.ndarray, "*shape"], time_s: Float[np.ndarray, "*shape"]
) -> Bool[np.ndarray, "*shape"]:
    """Which times at stations lie within one of the intervals."""
    found = np.zeros(np.shape(time_s), bool)
    for each in intervals:
        found |= (station == each.station) & (time_s >= each.start_s) & (time_s < each.end_s)
    return found


def clock_error_s(
    clocks: tuple[Interval, ...], station: Int[np.ndarray, "*shape"], time_s: Float[np.ndarray, "*shape"]
) -> Float[np.ndarray, "*shape"]:
    """By how much the clocks of stations are fast at true times."""
    error_s = np.zeros(np.shape(time_s))
    for each in clocks:
        error_s += each.value * inside((each,), station, time_s)
    return error_s
