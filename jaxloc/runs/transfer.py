"""A trained run at other stations than its own, in another region or with another velocity model."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, Key

from jaxloc.data.dataset import Dataset, positions_km
from jaxloc.io.stations import recognised
from jaxloc.io.velocity_model import VelocityFile
from jaxloc.models.registry import at_stations, build
from jaxloc.models.spec import ModelSpec
from jaxloc.physics.adaptive_grid import Region
from jaxloc.physics.velocity_error import VelocityError, error_settings
from jaxloc.runs.crusts import crust_at
from jaxloc.runs.fitted import Fitted
from jaxloc.runs.search_region import (
    LEAST_MARGIN_KM,
    highest_km,
    parse_depths,
    parse_region,
    region_of_records,
    with_options,
)
from jaxloc.runs.shipped import of_no_network
from jaxloc.types import Method, Params, State, Weights

FEW, FEW_STATIONS_KM = 2, 200.0  # stations that are a network of no extent


def trained_for(fitted: Fitted, dataset: Dataset, velocity: VelocityFile | None) -> Fitted:
    """The run as it is, or with the search region of other stations, or with another velocity model.

    Events of a data set with stations of the run, by code and position, are searched in the region of training. At
    another network the region is that of the stations with a margin, depth is free, and station delays are not used.
    A network that locates relative to its stations (set_transformer, station_graph) has no region: only the
    climatology that it is compared with changes.

    Raises:
        ValueError: where a network of fixed geometry is given other stations, or one that has no velocity model is
            given one.
    """
    spec = fitted.spec
    shared = recognised(dataset.stations, spec.stations)
    if shared and velocity is None:
        # Travel times are tabulated for the depths and distances of known stations: others widen the table.
        added = any(station.code not in shared for station in dataset.stations)
        return searched_in(fitted, dataset, spec.region) if added else fitted
    if fitted.model.transfer is None:
        raise ValueError(
            f"the model {spec.settings['name']} takes the {len(spec.stations)} stations of its training "
            "alone; train one of model=arrivals to use other stations or velocity models, or of set_transformer or "
            "station_graph to use other stations"
        )
    given_velocity = fitted.model.transfer.velocity
    if velocity is not None and given_velocity is None:
        raise ValueError(
            f"the model {spec.settings['name']} has learned travel times from its training events and can use no "
            f"velocity model: leave out {velocity.path}, or train one of model=arrivals"
        )
    layers = by_default(spec, dataset) if velocity is None else velocity.settings()
    moved = spec._replace(velocity=layers, num_samples=dataset.num_samples, source_terms=None)
    if not shared:
        region, places_km = _region_around(dataset)
        moved = at_stations(moved, fitted.model, dataset.frame, region, places_km)
    method, change = fitted.method, given_velocity if shared else fitted.model.transfer.elsewhere
    if change is not None:
        method = _changed(method, lambda params: change(params, len(layers["top_km"])))
    return fitted._replace(model=build(moved), spec=moved, method=method)


def by_default(spec: ModelSpec, dataset: Dataset) -> Mapping[str, Any]:
    """The velocity model of other stations, where none is given.

    That of training, whatever is known of it, is at another network one without a reported uncertainty; a model of no
    network in particular has a crust by place (`jaxloc.runs.crusts`).
    """
    if of_no_network(spec):
        return crust_at(dataset.stations).settings
    return dict(spec.velocity) | error_settings(VelocityError())


def told_by_default(fitted: Fitted, dataset: Dataset, velocity: VelocityFile | None) -> str:
    """A line for the user that names the velocity model which a place has by default; empty where one is known."""
    if velocity is not None or not of_no_network(fitted.spec):
        return ""
    return f"no velocity model given: {crust_at(dataset.stations).name}"


def searched_in(fitted: Fitted, dataset: Dataset, region: Region) -> Fitted:
    """The run with its locations searched in another region; unchanged where its model has no search."""
    search = fitted.model.search
    if search is None:
        return fitted
    stations_km = positions_km(dataset.frame, (*fitted.spec.stations, *dataset.stations))
    if not recognised(dataset.stations, fitted.spec.stations):
        stations_km = stations_km[len(fitted.spec.stations) :]
    settings = fitted.spec.settings | search.settings(region, stations_km)
    spec = fitted.spec._replace(region=region, settings=settings)
    return fitted._replace(model=build(spec), spec=spec)


def prepared(
    fitted: Fitted, dataset: Dataset, region: str | None = None, depth_km: Sequence[float] | None = None
) -> Fitted:
    """The run with the search region of the records of a data set, or as options --region and --depth-km give it.

    Raises:
        ValueError: where an option is wrong, or the model has no search region (`jaxloc.runs.search_region`).
    """
    degrees = None if region is None else parse_region(region)
    depths = None if depth_km is None else parse_depths(depth_km)
    if fitted.model.search is None and (degrees or depths):
        name = fitted.spec.settings["name"]
        raise ValueError(f"the model {name} searches no region: leave out --region and --depth-km")
    duration_s = dataset.num_samples / dataset.rate_hz
    found = region_of_records(fitted.spec.region, duration_s, highest_km(dataset))
    return searched_in(fitted, dataset, with_options(found, dataset.frame, degrees, depths))


def searched_beyond(fitted: Fitted, dataset: Dataset, region: Region) -> Fitted:
    """As `searched_in` for a region of whose places and paths training knows nothing (`RegionSearch.beyond`)."""
    found, search = searched_in(fitted, dataset, region), fitted.model.search
    if search is None or not search.beyond:
        return found
    spec = found.spec._replace(settings={**found.spec.settings, **search.beyond})
    return found._replace(model=build(spec), spec=spec)


def _changed(method: Method, change: Callable[[Params], Params]) -> Method:
    """The same weight posterior with the parameters of each draw changed."""

    def sample(key: Key[Array, ""], state: State, n: int) -> Weights:
        weights = method.sample(key, state, n)
        return weights._replace(params=jax.vmap(change)(weights.params))

    return method._replace(sample=sample)


def _region_around(dataset: Dataset) -> tuple[Region, Float[np.ndarray, "station 3"]]:
    """The region of the stations of a data set, three times as long as their network, and their positions in km.

    One or two stations have no network that tells how far events lie: as far as S follows P by 25 s.
    """
    places = positions_km(dataset.frame, dataset.stations)
    low, high = places.min(0), places.max(0)
    least_km = FEW_STATIONS_KM if len(places) <= FEW else LEAST_MARGIN_KM
    margin = max(least_km, float(np.hypot(*(high - low)[:2])))
    duration_s = dataset.num_samples / dataset.rate_hz
    region = Region(
        (float(low[0] - margin), float(high[0] + margin)),
        (float(low[1] - margin), float(high[1] + margin)),
        (0.0, 40.0),
        (-20.0, duration_s),
    )
    return region, places
