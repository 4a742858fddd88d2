"""The training, validation and pretraining data of an experiment, from its configuration."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from jaxloc import prng
from jaxloc.data.dataset import Dataset, Station
from jaxloc.data.selection import by_time, concatenated, held, of_events, select
from jaxloc.data.views import shuffled, taken_by, with_noise
from jaxloc.models.model import as_tuples
from jaxloc.models.spec import Catalogue, ModelSpec, catalogue_of
from jaxloc.physics.adaptive_grid import Region, region_around
from jaxloc.physics.layered import VelocityModel, layered, velocity_of, velocity_settings
from jaxloc.simulation.events import (
    DEFAULT_FRAME,
    Recording,
    Simulation,
    oklahoma_like,
    quick_start,
    random_network,
    simulated_dataset,
)
from jaxloc.simulation.finite_fault import FaultZone
from jaxloc.simulation.groningen import buried, groningen
from jaxloc.simulation.marmara import Scenarios, marmara_scenarios, trace_km
from jaxloc.simulation.networks import Variety, simulated_networks
from jaxloc.simulation.picks import Picking, simulated_picks
from jaxloc.simulation.sources import around

SIMULATED = "simulated", "simulated_picks", "simulated_networks", "finite_fault"
LONGEST_ROUND = 50_000  # events of one purpose
ROUNDS = {
    "training": 0,
    "calibration": 1,
    "test": 2,
    "transfer": 3,
    "velocity_shift": 7,
    "early_warning": 8,
    "exact_posterior": 9,
    "shifts": 10,
}
"""Sets of simulated events by purpose; those of different purposes are independent. Training includes validation."""


class Sources(NamedTuple):
    """Training events and events to choose and score by."""

    train: Dataset
    dev: Dataset


def open_sources(data: Mapping[str, Any], seed: int) -> Sources:
    """The data sets of an experiment, of events or of single records as its `records` asks for.

    With `records.one_station` only events that are held out from training are seen by one station each: training has
    each record. `records.shuffled` shuffles the labels of training events, and of no others: a control.

    Raises:
        ValueError: for a kind of data that does not exist, or anything wrong with the data.
    """
    train, dev = _events(data, seed)
    if fold := data.get("fold"):
        whole = concatenated(train, dev)
        train, dev = (of_events(whole, fold[part]) for part in Sources._fields)
    records = dict(data.get("records", {}))
    sources = Sources(taken_by(records | {"one_station": False}, train), taken_by(records, dev))
    return sources._replace(train=shuffled(sources.train)) if records.get("shuffled") else sources


def labelled_events(data: Mapping[str, Any], seed: int) -> Dataset:
    """All training and validation events of an experiment, as all stations recorded them."""
    return concatenated(*_events(data, seed))


def events_left_out(data: Mapping[str, Any], seed: int) -> Dataset:
    """The events that a fold of a cross-validation tests on (`jaxloc.studies.crossvalidation`)."""
    left_out = of_events(labelled_events(data, seed), data["fold"]["test"])
    return taken_by(dict(data.get("records", {})), left_out)


def _events(data: Mapping[str, Any], seed: int) -> Sources:
    if data["kind"] == "simulated":
        return _simulated(data, seed)
    if data["kind"] == "seisbench":
        train = _read(data, data["train_split"])
        if data["dev_split"] is None:
            train, dev = _held_out(train, int(data["held_out"]))
        else:
            dev = _read(data, data["dev_split"])
        return Sources(_latest(train, data["num_train"]), dev)
    if data["kind"] == "simulated_picks":
        train = _at_picked_network(data, seed, int(data["num_train"]), 0, "train")
        return Sources(train, _at_picked_network(data, seed, int(data["num_dev"]), len(train), "dev"))
    if data["kind"] == "simulated_networks":
        train = _at_networks(data, seed, int(data["num_train"]), 0, "train")
        return Sources(train, _at_networks(data, seed, int(data["num_dev"]), _apart(len(train), data), "dev"))
    if data["kind"] == "finite_fault":
        shares = {"train": int(data["num_train"]), "dev": int(data["num_dev"])}
        whole = _scenarios(data, seed, 0, shares)
        return Sources(*(select(whole, np.flatnonzero([e.split == s for e in whole.events])) for s in shares))
    raise ValueError(f"data.kind must be seisbench or one of {', '.join(SIMULATED)}, got {data['kind']!r}")


def _held_out(whole: Dataset, number: int) -> Sources:
    """The last events by time are held out, where a data set has no split of its own for that."""
    if not 0 < number < len(whole):
        raise ValueError(f"data.held_out must be within 1-{len(whole) - 1} where data.dev_split is null, got {number}")
    order = by_time(whole)
    return Sources(select(whole, order[:-number]), select(whole, order[-number:]))


def _latest(train: Dataset, number: int | None) -> Dataset:
    """The last events before those that are located: who has few labelled events has those of the last weeks."""
    if number is None:
        return train
    if not 0 < number <= len(train):
        raise ValueError(f"data.num_train must be within 1-{len(train)}, or null for all, got {number}")
    return select(train, np.sort(by_time(train)[-number:]))


def _read(data: Mapping[str, Any], split: str) -> Dataset:
    from jaxloc.io.seisbench import read_seisbench  # with pandas, which waveform files do without

    return read_seisbench(
        Path(data["folder"]).expanduser(),
        split=split,
        rate_hz=data["rate_hz"],
        num_samples=data["num_samples"],
        bandpass_hz=None if data["bandpass_hz"] is None else tuple(data["bandpass_hz"]),
        pick_columns=dict(data["pick_columns"]),
        memory_mb=data["memory_mb"],
        prefixes=tuple(data.get("prefixes", ())),
        gain_m_s=float(data.get("gain_m_s", 1.0)),
    )


def _simulated(data: Mapping[str, Any], seed: int) -> Sources:
    number, shares = data["num_train"] + data["num_dev"], {"train": data["num_train"], "dev": data["num_dev"]}
    whole = _at_simulated_network(data, seed, 0, number, {name: count / number for name, count in shares.items()})
    parts = (np.array([i for i, e in enumerate(whole.events) if e.split == split]) for split in shares)
    return Sources(*(held(select(whole, part)) for part in parts))


def fresh_events(data: Mapping[str, Any], seed: int, number: int, purpose: str = "calibration") -> Dataset:
    """Simulated events at the stations of an experiment that are independent of its training and validation events.

    The experiment's `records` apply: with single records, `number` of them; with noise, as many windows of noise more.

    Args:
        data: of the experiment's configuration.
        seed: of the experiment.
        number: of events.
        purpose: of `ROUNDS`; each has its own events.

    Raises:
        ValueError: where the experiment's data are not simulated, or for a number or purpose that there is not.
    """
    if data["kind"] not in SIMULATED:
        raise ValueError(f"this run's data are {data['kind']}, not simulated; use a data set of labelled events")
    purposes = list(ROUNDS)[1:]
    if purpose not in purposes:
        raise ValueError(f"purpose of fresh events must be one of {', '.join(purposes)}, got {purpose!r}")
    if not 1 <= number <= LONGEST_ROUND:
        raise ValueError(f"number of fresh events must be within 1-{LONGEST_ROUND}, got {number}")
    records = dict(data.get("records", {}))
    fresh = taken_by(records | {"noise": False}, _fresh(data, seed, number, ROUNDS[purpose]))
    if records.get("each_station"):
        fresh = select(fresh, np.arange(min(number, len(fresh))))
    return with_noise(fresh) if records.get("noise") else fresh


def _fresh(data: Mapping[str, Any], seed: int, number: int, round_: int) -> Dataset:
    if data["kind"] == "simulated_picks":
        first = data["num_train"] + data["num_dev"] + round_ * LONGEST_ROUND
        return _at_picked_network(data, seed, number, first, "fresh")
    if data["kind"] == "simulated_networks":
        first = data["num_train"] + data["num_dev"] + round_ * LONGEST_ROUND
        return _at_networks(data, seed, number, _apart(first, data), "fresh")
    if data["kind"] == "finite_fault":
        return _scenarios(data, seed, round_, {"fresh": number})
    return held(_at_simulated_network(data, seed, round_, number, {"fresh": 1.0}))


def _scenarios(data: Mapping[str, Any], seed: int, round_: int, splits: dict[str, int]) -> Dataset:
    recording = Recording(data["rate_hz"], data["num_samples"], tuple(data["bandpass_hz"]))
    zone = FaultZone(trace_km(), magnitude_range=tuple(data["magnitude_range"]))
    model, first = velocity_model(data["velocity"]), round_ * LONGEST_ROUND
    scenarios = Scenarios(zone, recording)
    return marmara_scenarios(prng.stream("simulation", seed), scenarios, model, sum(splits.values()), splits, first)


def _at_networks(data: Mapping[str, Any], seed: int, number: int, first: int, split: str) -> Dataset:
    known: dict[str, Any] = {name: data[name] for name in Variety._fields if name in data}
    variety = Variety()._replace(**as_tuples(known))
    recording = Recording(data["rate_hz"], data["num_samples"], tuple(data["bandpass_hz"]))
    recording = recording._replace(origin_s=data["origin_s"][0], origin_sd_s=data["origin_s"][1])
    model, key = velocity_model(data["velocity"]), prng.stream("simulation", seed)
    return held(simulated_networks(key, variety, model, recording, number, split, first))


def _apart(first: int, data: Mapping[str, Any]) -> int:
    """The first event, from `first` on, of a network that no event before has: splits share no network."""
    each = int(data["events_each"])
    return -(-first // each) * each


def _at_picked_network(data: Mapping[str, Any], seed: int, number: int, first: int, split: str) -> Dataset:
    key_network, key_events = jax.random.split(prng.stream("simulation", seed))
    stations = random_network(key_network, data["num_stations"], data["aperture_km"])
    model = velocity_model(data["velocity"])
    return simulated_picks(key_events, picking_of(data), model, stations, DEFAULT_FRAME, number, split, first)


def picking_of(data: Mapping[str, Any]) -> Picking:
    """Where the events of an experiment with simulated picks are, and how their picks err."""
    across = (-float(data["half_width_km"]), float(data["half_width_km"]))
    region = Region(across, across, tuple(data["depth_km"]), tuple(data["origin_s"]))
    return Picking(region, tuple(data["pick_sd_s"]), data["lost_picks"], data["least_picks"])


def _at_simulated_network(
    data: Mapping[str, Any], seed: int, round_: int, number: int, splits: dict[str, float]
) -> Dataset:
    key_network, key_events = jax.random.split(prng.stream("simulation", seed))
    simulation, stations = _preset(data, random_network(key_network, data["num_stations"], data["aperture_km"]))
    recording = Recording(data["rate_hz"], data["num_samples"], tuple(data["bandpass_hz"]))
    simulation = simulation._replace(recording=recording)
    # One key for all rounds: the ground under the stations comes of it too, and that must stay what it is.
    first = round_ * LONGEST_ROUND
    return simulated_dataset(key_events, simulation, stations, DEFAULT_FRAME, number, splits, first)


def _preset(data: Mapping[str, Any], stations: tuple[Station, ...]) -> tuple[Simulation, tuple[Station, ...]]:
    """The region that simulated data name, and stations as they stand there."""
    name, depth_km = data.get("preset", "general"), tuple(data["depth_km"])
    if name == "general":
        return quick_start(data["half_width_km"], depth_km), stations
    if name == "groningen":
        return groningen(depth_km, float(data["speed_factor"])), buried(stations)
    raise ValueError(f'data.preset must be "general" or "groningen", got {name!r}')


def spec_of(config: Mapping[str, Any], train: Dataset) -> ModelSpec:
    """What a run takes from its training data.

    Raises:
        ValueError: where no training event has a labelled epicentre.
    """
    data, catalogue = config["data"], catalogue_of(train)
    band = None if data["bandpass_hz"] is None else tuple(data["bandpass_hz"])
    return ModelSpec(
        dict(config["model"]),
        train.frame,
        train.stations,
        train.rate_hz,
        train.num_samples,
        band,
        catalogue,
        dict(data["velocity"]),
        _region(data["region"], catalogue),
    )


def _region(settings: Mapping[str, Any], catalogue: Catalogue) -> Region:
    known = catalogue.known[:, :2].all(-1)
    if not known.any():
        raise ValueError(
            "no training event has a labelled epicentre; some must have source_latitude_deg and source_longitude_deg"
        )
    return region_around(
        catalogue.hypocentres[known], settings["margin_km"], tuple(settings["depth_km"]), tuple(settings["origin_s"])
    )


def practice(settings: Mapping[str, Any], spec: ModelSpec, seed: int) -> Dataset:
    """Simulated events at the stations of a run, around its training catalogue, to learn from beforehand.

    With the preset "network" they are at a network of their own, of the size in the settings: for networks of one
    station, which learn from records anywhere.

    Raises:
        ValueError: for a preset that does not exist.
    """
    if settings["preset"] == "network":
        data = dict(settings) | {"preset": "general", "rate_hz": spec.rate_hz}
        whole = _at_simulated_network(data, seed, 0, settings["num_events"], {"train": 1.0})
        return taken_by(settings["records"], held(whole))
    known = spec.catalogue.known[:, :3].all(-1)
    places = spec.catalogue.hypocentres[known, :3]
    presets = {"oklahoma_like": oklahoma_like, "general": lambda p: _general(p, spec, settings)}
    if settings["preset"] not in presets:
        names = ", ".join([*presets, "network"])
        raise ValueError(f"no such simulation preset: {settings['preset']!r}; use one of {names}")
    simulation = presets[settings["preset"]](places)
    recording = simulation.recording._replace(rate_hz=spec.rate_hz, num_samples=spec.num_samples)
    spread = tuple(settings["spread_km"])
    shallow, deep = (max(0.1, limit) for limit in spec.region.depth_km)
    simulation = simulation._replace(
        recording=recording,
        model=velocity_model(spec.velocity),
        hypocentre=around(places, spread, (shallow, deep)),
    )
    key = prng.stream("simulation", seed)
    return held(simulated_dataset(key, simulation, spec.stations, spec.frame, settings["num_events"], {"train": 1.0}))


def velocity_model(velocity: Mapping[str, Any]) -> VelocityModel:
    """The velocity model of a run, to simulate with; raises as `velocity_of`."""
    return layered(*velocity_settings(velocity_of(velocity)).values())


def _general(places_km: Float[np.ndarray, "station 3"], spec: ModelSpec, settings: Mapping[str, Any]) -> Simulation:
    """Ordinary crust and noise, in the band of the data or that of the recorder."""
    band = spec.bandpass_hz or (1.0, min(20.0, 0.45 * spec.rate_hz))
    simulation = quick_start()
    recording = Recording(band_hz=band, origin_s=settings["origin_s"], origin_sd_s=settings["origin_sd_s"])
    return simulation._replace(recording=recording)


__all__ = ["Sources", "held", "open_sources", "practice", "select", "spec_of"]


def unseen(data: Mapping[str, Any], seed: int, number: int, purpose: str) -> Dataset:
    """`number` fresh events of simulated data, or the validation events of real data.

    Raises:
        ValueError: as `fresh_events` and `open_sources`.
    """
    if data["kind"] == "seisbench":
        return open_sources(data, seed).dev
    return fresh_events(data, seed, number, purpose)
