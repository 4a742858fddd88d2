"""Earthquakes at many simulated seismic networks, to train models for unknown stations.

Each network has its own stations, aperture, site effects, crust and noise, and a few events (one by default). Positions
are relative to the centre of the network, the origin of the frame.
"""

import datetime
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import random
from jaxtyping import Array, Bool, Float, Int, Key

from jaxloc.data.dataset import Dataset, Event
from jaxloc.geometry import Frame
from jaxloc.physics.layered import VelocityModel
from jaxloc.simulation.events import DEFAULT_FRAME, FIRST_START, random_network, simulate_event, taken
from jaxloc.simulation.propagation import Earth, Path, draw_earth
from jaxloc.simulation.recording import Noise, Recording, check_recording
from jaxloc.simulation.seismograms import Simulation
from jaxloc.simulation.sources import Hypocentres, Source
from jaxloc.types import Batch, Label

SLOW_TOP = 0.25  # standard deviation of the logarithm by which the upper two layers are slower than the model's
HILLS_KM = 0.8  # stations are up to so much above sea level
RELIEF = "q_s", "free_time_s", "coda_level", "surface_level", "kappa_s"
RELIEF_SD = 0.5  # of the natural logarithm of the parameters in `RELIEF`, network by network


class Variety(NamedTuple):
    """Distributions of networks and their events. Pairs are the ends of log-uniform distributions, except for stations.

    Attributes:
        num_stations: fewest and most, uniformly distributed; events have as many rows as the most.
        aperture_km: diameter of the ellipse of the stations, along its longer axis.
        beyond_km: epicentres are uniform within a circle about the network whose radius is larger by this.
        depth_km: of hypocentres.
        magnitude: smallest and largest at a network of 4 km; they increase by one for every tenfold aperture.
        noise_m_s: median noise of a network.
        speed_sd: of the natural logarithm of all speeds; Vp/Vs differs by half of it.
        slowness_sd: smooth relative error of travel times that no layered model has.
        events_each: events at each network.
    """

    num_stations: tuple[int, int] = (4, 16)
    aperture_km: tuple[float, float] = (4.0, 160.0)
    beyond_km: float = 20.0
    depth_km: tuple[float, float] = (1.0, 25.0)
    magnitude: tuple[float, float] = (0.5, 3.5)
    noise_m_s: tuple[float, float] = (1e-9, 5e-8)
    speed_sd: float = 0.1
    slowness_sd: float = 0.02
    events_each: int = 1


class Place(NamedTuple):
    """One network: positions of its stations, the mask of the rows, and its site effects."""

    station_km: Float[Array, "station 3"]
    mask: Bool[Array, " station"]
    simulation: Simulation
    earth: Earth


def draw_place(key: Key[Array, ""], variety: Variety, model: VelocityModel, recording: Recording) -> Place:
    """A network: stations uniform in an ellipse, speeds about those of a model, own path, noise and site effects."""
    keys = dict(zip(("shape", "number", "speed", "path", "noise", "earth"), random.split(key, 6), strict=True))
    least, most = variety.num_stations
    aperture_km, station_km = _stations(keys["shape"], variety, most)
    mask = jnp.arange(most) < random.randint(keys["number"], (), least, most + 1)
    change = jnp.exp(RELIEF_SD * random.normal(keys["path"], (len(RELIEF),)))
    path = Path(slowness_sd=variety.slowness_sd)
    path = path._replace(**{name: getattr(path, name) * change[i] for i, name in enumerate(RELIEF)})
    larger = jnp.log10(aperture_km / 4.0)
    simulation = Simulation(
        _within(0.5 * aperture_km + variety.beyond_km, variety.depth_km),
        _speeds(keys["speed"], model, variety.speed_sd),
        Source(magnitude_range=tuple(m + larger for m in variety.magnitude), b_value=0.5),  # pyright: ignore[reportArgumentType]
        path,
        Noise(level_m_s=_log_uniform(keys["noise"], variety.noise_m_s), vertical_only=0.2),  # pyright: ignore[reportArgumentType]
        recording,
    )
    return Place(station_km, mask, simulation, draw_earth(keys["earth"], path, most, simulation.noise.station_sd))


def _log_uniform(key: Key[Array, ""], ends: tuple[float, float]) -> Float[Array, ""]:
    low, high = np.log(ends)
    return jnp.exp(random.uniform(key, (), minval=low, maxval=high))


def _stations(key: Key[Array, ""], variety: Variety, most: int) -> tuple[Float[Array, ""], Float[Array, "station 3"]]:
    size, flat, turn, radius, angle, height = random.split(key, 6)
    aperture_km = _log_uniform(size, variety.aperture_km)
    away_km = 0.5 * aperture_km * jnp.sqrt(random.uniform(radius, (most,)))
    towards = random.uniform(angle, (most,), maxval=2 * jnp.pi)
    long, short = away_km * jnp.cos(towards), away_km * jnp.sin(towards) * random.uniform(flat, minval=0.3)
    turned = random.uniform(turn, maxval=jnp.pi)
    east, north = (
        long * jnp.cos(turned) - short * jnp.sin(turned),
        long * jnp.sin(turned) + short * jnp.cos(turned),
    )
    return aperture_km, jnp.stack([east, north, -HILLS_KM * random.uniform(height, (most,))], -1)


def _speeds(key: Key[Array, ""], model: VelocityModel, speed_sd: float) -> VelocityModel:
    """All layers scaled together, the upper two slower in addition, so that speed increases with depth."""
    together, top, ratio = random.split(key, 3)
    slower = jnp.where(jnp.arange(len(model.vp_km_s)) < 2, SLOW_TOP * jnp.abs(random.normal(top)), 0.0)
    factor = jnp.exp(speed_sd * random.normal(together) - slower)
    vp_vs = jnp.exp(0.5 * speed_sd * jnp.clip(random.normal(ratio), -2, 2))
    return VelocityModel(model.top_km, model.vp_km_s * factor, model.vs_km_s * factor / vp_vs)


def _within(radius_km: Float[Array, ""], depth_km: tuple[float, float]) -> Hypocentres:
    def sample(key: Key[Array, ""]) -> Float[Array, "3"]:
        away, towards, deep = random.split(key, 3)
        distance, angle = radius_km * jnp.sqrt(random.uniform(away)), random.uniform(towards, maxval=2 * jnp.pi)
        return jnp.stack([distance * jnp.cos(angle), distance * jnp.sin(angle), _log_uniform(deep, depth_km)])

    return sample


def simulate_at_network(
    key: Key[Array, ""], variety: Variety, model: VelocityModel, recording: Recording, number: Int[Array, ""]
) -> Batch:
    """Event `number`, at its network; rows beyond the network's stations are masked, and no station has an index."""
    key_place, key_event = random.split(key)
    place = draw_place(random.fold_in(key_place, number // variety.events_each), variety, model, recording)
    event = simulate_event(random.fold_in(key_event, number), place.simulation, place.station_km, place.earth)
    seen, mask = event.observations, place.mask
    arrival_s, known = event.labels["arrivals"]
    known = known & mask[:, None]
    seen = seen._replace(
        waveforms=jnp.where(mask[:, None, None], jnp.asarray(seen.waveforms), 0.0),
        station_km=jnp.where(mask[:, None], seen.station_km, 0.0),
        station_mask=mask,
        station_index=jnp.full(mask.shape, -1, jnp.int32),
    )
    return Batch(seen, event.labels | {"arrivals": Label(jnp.where(known, arrival_s, 0.0), known)})


def simulated_networks(
    key: Key[Array, ""],
    variety: Variety,
    model: VelocityModel,
    recording: Recording,
    num_events: int,
    split: str = "train",
    first: int = 0,
    frame: Frame = DEFAULT_FRAME,
) -> Dataset:
    """A data set simulated on access, of events `first`, `first + 1`, ... of a key, each at its network.

    Each event has stations of its own; those of the data set only name the rows of an event.

    Raises:
        ValueError: where there are no events, or variety or recording are invalid; names the value.
    """
    check_recording(recording)
    _check(variety, num_events)
    made = jax.jit(jax.vmap(lambda key, number: simulate_at_network(key, variety, model, recording, number), (None, 0)))
    starts = [FIRST_START + datetime.timedelta(hours=first + i) for i in range(num_events)]
    return Dataset(
        name="simulated networks",
        frame=frame,
        stations=random_network(key, variety.num_stations[1], variety.aperture_km[0]),
        events=tuple(Event(f"net{first + i:07d}", split, start.isoformat()) for i, start in enumerate(starts)),
        rate_hz=recording.rate_hz,
        num_samples=recording.num_samples,
        take=partial(taken, lambda index: made(key, first + index), num_events),
    )


def _check(variety: Variety, num_events: int) -> None:
    if num_events < 1 or variety.events_each < 1:
        raise ValueError(f"num_events and events_each must be 1 or more, got {num_events}, {variety.events_each}")
    least, most = variety.num_stations
    if not 1 <= least <= most:
        raise ValueError(f"num_stations must be the fewest and the most, 1 or more, got {variety.num_stations}")
    for name in ("aperture_km", "depth_km", "noise_m_s"):
        low, high = getattr(variety, name)
        if not 0 < low <= high:
            raise ValueError(f"{name} must be two positive increasing numbers, got {(low, high)}")
