"""Scenario earthquakes under the Sea of Marmara, recorded by ten strong-motion stations on its coast.

The setting of Boese, Wenzel & Erdik (2008, BSSA 98). Stations and fault are approximate: coastal towns, not the
instruments of the early-warning system, and a polyline after maps of the Main Marmara Fault.
"""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import random
from jaxtyping import Array, Bool, Float, Key

from jaxloc.data.dataset import Dataset, Event, Station, positions_km
from jaxloc.geometry import Frame, distance_km, to_km
from jaxloc.physics.adaptive_grid import Region
from jaxloc.physics.layered import VelocityModel
from jaxloc.physics.table import StationTable, for_stations, look_up_s, table_around
from jaxloc.simulation.events import dated_event
from jaxloc.simulation.finite_fault import FaultZone, Rupture, draw_rupture
from jaxloc.simulation.propagation import Earth, Path, draw_earth, slowness_error
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
from jaxloc.simulation.stochastic_motion import Waves, ground_motion
from jaxloc.types import Batch, Label, Observations

PADDING = 5  # length of the transforms in half records
FRAME = Frame(40.8, 28.5)
STATIONS = (
    Station("MM.BUY", 40.87, 29.12, 30.0),
    Station("MM.CIN", 40.65, 29.11, 30.0),
    Station("MM.CEK", 41.01, 28.57, 30.0),
    Station("MM.ERD", 40.41, 27.80, 20.0),
    Station("MM.ERE", 40.97, 27.96, 20.0),
    Station("MM.MAD", 40.61, 27.56, 60.0),
    Station("MM.MUD", 40.40, 28.86, 20.0),
    Station("MM.SIL", 41.07, 28.24, 20.0),
    Station("MM.TEK", 40.97, 27.52, 30.0),
    Station("MM.TUZ", 40.82, 29.30, 20.0),
)
# Latitude and longitude of the trace from Ganos to the Gulf of Izmit, in degrees.
TRACE_DEG = ((40.74, 27.30), (40.81, 27.65), (40.84, 28.0), (40.87, 28.45), (40.88, 28.8), (40.73, 29.2), (40.72, 29.5))


class Scenarios(NamedTuple):
    """Assumptions on the scenarios and their recording.

    Records begin `lead_s` before the first pick, as in a triggered system with pre-event memory. The standard
    deviations of P picks are log-uniform over `pick_sd_s` and known.
    """

    zone: FaultZone
    recording: Recording
    path: Path = Path(q_s=180.0, q_power=0.45, kappa_s=0.04, gain_sd=0.3, delay_sd_s=0.1)
    noise: Noise = Noise(3e-6, cultural=0.3, spike_rate=0.0)
    lead_s: float = 4.0
    pick_sd_s: tuple[float, float] = (0.03, 0.15)


class Place(NamedTuple):
    """Stations, travel times, P and S velocities at depth and site effects: the same for all events."""

    station_km: Float[Array, "station 3"]
    table: StationTable
    speed_km_s: Float[Array, " phase"]
    earth: Earth


def trace_km() -> Float[np.ndarray, "vertex 2"]:
    """The fault in the local frame: east and north of its vertices."""
    return np.stack(to_km(FRAME, *np.array(TRACE_DEG).T), -1)


def place_of(key: Key[Array, ""], scenarios: Scenarios, model: VelocityModel) -> Place:
    """The stations with site effects sampled from the key."""
    station_km, zone = positions_km(FRAME, STATIONS), scenarios.zone
    low, high = zone.trace_km.min(0) - 20.0, zone.trace_km.max(0) + 20.0
    around = Region((low[0], high[0]), (low[1], high[1]), (0.0, zone.depth_km[1] + 1.0), (0.0, 1.0))
    table = for_stations(table_around(model, around, station_km), jnp.asarray(station_km[:, 2]))
    earth = draw_earth(key, scenarios.path, len(STATIONS), scenarios.noise.station_sd)
    middle = jnp.searchsorted(model.top_km, sum(zone.depth_km) / 2, side="right") - 1
    return Place(jnp.asarray(station_km), table, jnp.stack([model.vp_km_s[middle], model.vs_km_s[middle]]), earth)


def simulate_scenario(key: Key[Array, ""], scenarios: Scenarios, place: Place) -> Batch:
    """One earthquake as recorded by the network.

    Labels are "hypocentre" (where it begins), "magnitude", "arrivals", and of its extent "rupture_length_km",
    "rupture_log10_km" (the logarithm of that) and its two ends as distances along the fault, "rupture_west_km" and
    "rupture_east_km".
    """
    keys = dict(zip(("rupture", "pick", "motion", "noise", "channels", "sd"), random.split(key, 6), strict=True))
    rupture = draw_rupture(keys["rupture"], scenarios.zone)
    active = active_channels(keys["channels"], scenarios.noise, len(place.station_km))
    late_s = travel_s(place, rupture.hypocentre_km)
    error = 1 + scenarios.path.slowness_sd * slowness_error(place.earth, rupture.hypocentre_km, place.station_km)
    true_s = late_s * error[:, None] + place.earth.delay_s
    narrow, wide = np.log(scenarios.pick_sd_s)
    sd_s = jnp.exp(random.uniform(keys["sd"], true_s.shape, minval=narrow, maxval=wide))
    pick_s = true_s + sd_s * random.normal(keys["pick"], true_s.shape)
    heard = active.any(-1)
    origin_s = scenarios.lead_s - jnp.where(heard, pick_s[:, 0], jnp.inf).min(initial=1e3)
    onset_s = origin_s + rupture.start_s[:, None, None] + travel_s(place, rupture.place_km) + (true_s - late_s)
    waveforms = _recorded(keys["motion"], keys["noise"], scenarios, place, rupture, onset_s) * active[..., None]
    end_s = scenarios.recording.num_samples / scenarios.recording.rate_hz
    inside = lambda time_s: (time_s >= 0) & (time_s < end_s) & heard[:, None]
    picked = inside(origin_s + pick_s) & jnp.array([True, False])
    seen = _observations(waveforms, place, scenarios, origin_s + pick_s, sd_s, picked)
    return Batch(seen, _labels(rupture, origin_s, origin_s + true_s, inside(origin_s + true_s)))


def travel_s(place: Place, source_km: Float[Array, "*source 3"]) -> Float[Array, "*source station phase"]:
    """P and S times from sources to all stations."""
    away_km = distance_km(source_km[..., None, :], place.station_km)
    return look_up_s(place.table, away_km, source_km[..., 2:])


def _recorded(
    key: Key[Array, ""],
    noise_key: Key[Array, ""],
    scenarios: Scenarios,
    place: Place,
    rupture: Rupture,
    onset_s: Float[Array, "subfault station phase"],
) -> Float[Array, "station component sample"]:
    recording, earth = scenarios.recording, place.earth
    padded = PADDING * recording.num_samples // 2  # late waves ring on past the end
    frequency_hz = np.fft.rfftfreq(padded, 1 / recording.rate_hz).astype(np.float32)
    response = passband(recording, frequency_hz)
    waves = Waves(onset_s, place.speed_km_s, earth.kappa_s)
    motion = ground_motion(
        key, rupture, waves, scenarios.path, place.station_km, recording.rate_hz, recording.num_samples, padded
    )
    hum = jnp.fft.rfft(draw_noise(noise_key, scenarios.noise, recording, earth.noise, padded))
    hum = hum * colour(scenarios.noise, frequency_hz, response).astype(np.float32)
    spectrum = (recording.rate_hz * earth.gain[..., None] * motion + hum) * response.astype(np.complex64)
    return through(spectrum, padded, recording)


def _observations(
    waveforms: Float[Array, "station component sample"],
    place: Place,
    scenarios: Scenarios,
    pick_s: Float[Array, "station phase"],
    sd_s: Float[Array, "station phase"],
    picked: Bool[Array, "station phase"],
) -> Observations:
    number = len(place.station_km)
    return Observations(
        waveforms,
        place.station_km,
        jnp.ones(number, bool),
        jnp.arange(number),
        jnp.asarray(scenarios.recording.rate_hz, jnp.float32),
        jnp.where(picked, pick_s, 0.0),
        sd_s,
        picked,
    )


def _labels(
    rupture: Rupture,
    origin_s: Float[Array, ""],
    arrival_s: Float[Array, "station phase"],
    known: Bool[Array, "station phase"],
) -> dict[str, Label]:
    west_km, east_km = rupture.ends_km
    numbers = {
        "magnitude": rupture.magnitude,
        "rupture_length_km": east_km - west_km,
        "rupture_log10_km": jnp.log10(east_km - west_km),
        "rupture_west_km": west_km,
        "rupture_east_km": east_km,
    }
    return {
        "hypocentre": Label(jnp.append(rupture.hypocentre_km, origin_s), jnp.ones(4, bool)),
        "arrivals": Label(jnp.where(known, arrival_s, 0.0), known),
        **{name: Label(value, jnp.ones((), bool)) for name, value in numbers.items()},
    }


def marmara_scenarios(
    key: Key[Array, ""],
    scenarios: Scenarios,
    model: VelocityModel,
    number: int,
    splits: Mapping[str, int],
    first: int = 0,
) -> Dataset:
    """Scenarios in memory: earthquake `i` follows from `fold_in(key, first + i)`, so disjoint ranges share none.

    Args:
        key: of the site effects, common to all earthquakes of a key, and of the earthquakes.
        scenarios: assumptions on them.
        model: velocity model of the travel times.
        number: of earthquakes.
        splits: number of events in each split, in order.
        first: number of the first one.

    Raises:
        ValueError: where there is no earthquake, splits do not add up to their number, or the recording is bad.
    """
    check_recording(scenarios.recording)
    if number < 1 or sum(splits.values()) != number:
        raise ValueError(f"there must be at least one scenario and splits must add up, got {number} and {dict(splits)}")
    ground, events = random.split(key)
    place = jax.jit(lambda key: place_of(key, scenarios, model))(ground)
    made = jax.jit(lambda i, at: jax.lax.map(lambda n: simulate_scenario(random.fold_in(events, n), scenarios, at), i))
    whole: Batch = jax.tree.map(np.asarray, made(first + jnp.arange(number), place))
    split = np.repeat(list(splits), list(splits.values()))
    return Dataset(
        "Marmara scenarios",
        FRAME,
        STATIONS,
        tuple(_event(first + i, str(split[i]), whole, i) for i in range(number)),
        scenarios.recording.rate_hz,
        scenarios.recording.num_samples,
        lambda index: jax.tree.map(lambda x: x[index], whole),
    )


def _event(number: int, split: str, whole: Batch, i: int) -> Event:
    magnitude, origin_s = whole.labels["magnitude"].value[i], whole.labels["hypocentre"].value[i, 3]
    return dated_event(number, split, float(magnitude), float(origin_s))
