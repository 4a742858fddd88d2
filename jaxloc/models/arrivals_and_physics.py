"""The model of any network that reads arrivals: physics makes a posterior over hypocentres of them."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from jaxloc.data.dataset import Dataset, positions_km
from jaxloc.heads.arrivals import arrivals as arrivals_head
from jaxloc.locators.arrivals import arrivals as arrivals_locator
from jaxloc.locators.arrivals import checked_arrivals
from jaxloc.models.model import LabelBatch, Model, RegionSearch, Transfer, as_tuples
from jaxloc.models.network_and_physics import (
    at_other_stations,
    network_weights,
    parts,
    with_given_velocity,
    with_physics,
    with_weights,
)
from jaxloc.models.physics_of_events import fitted_to_picks, terms_by_source
from jaxloc.models.spec import ModelSpec, spread_of
from jaxloc.physics.adaptive_grid import Region
from jaxloc.physics.adaptive_sampling import Sampling
from jaxloc.physics.layered import velocity_of
from jaxloc.physics.parameters import PhysicsPrior, PhysicsSetting
from jaxloc.physics.priors import FREE_DEPTH_KM, as_nearby, log_prior_of, same_everywhere
from jaxloc.physics.source_terms import SourceTerms
from jaxloc.physics.table import ROUND_BEYOND_KM, THIN_LAYERS, TableGrid
from jaxloc.physics.velocity_error import velocity_error_of
from jaxloc.types import Head, Network, Params

TIME_STEP_S = 1.5  # of origin times in the first round of a new region
MOST_TIMES = 400
MISTAKES = (  # of a network at other stations: P of S, P of nothing, S of P, S of nothing
    (0.0, 0.03, 0.0, 0.03),
    (0.02, 0.1, 0.02, 0.1),
    (0.1, 0.3, 0.1, 0.3),
    (0.6, 0.3, 0.1, 0.6),  # P is missed, and S taken for it
    (0.1, 0.6, 0.1, 0.6),
)
ANOMALIES = (0.2, 0.08, 0.2, 0.35)  # share of paths unlike all others, error relative to the time, of P and S in s
# Of the prior of physics at other stations: paths err, and more arrivals are read wrong.
ELSEWHERE = {"path": 0.01, "outlier": 0.1, "mistakes": MISTAKES, "anomalies": ANOMALIES}
BEYOND = {**ELSEWHERE, "path": 0.025}  # the same beyond the region of training, whose events say nothing of the paths
REACH = ("distance_km", "receiver_km", "top_km")  # of a table, in km


def arrivals_and_physics(
    spec: ModelSpec,
    bare: Network,
    in_steps: Network | None = None,
    /,
    *,
    search_sizes: Mapping[str, Any] | None = None,
    depth_prior: tuple[float, float] | None = None,
    depth_prior_reach_km: float | None = 10.0,
    catalogue_sd_km: tuple[float, float, float] = (0.4, 0.4, 1.5),
    label_sd_s: float = 0.05,
    fit_steps: int = 200,
    table: Mapping[str, Any] | None = None,
    prior: Mapping[str, Any] | None = None,
    source_terms: bool = False,
    picks_by_catalogue: bool = False,
) -> Model:
    """Arrivals by a network of `Readings`, hypocentres by physics: at stations that were not there in training too.

    `in_steps` is the network where steps of training are compiled singly (`Model.step_network`).
    """
    region = spec.region
    centre, spread = spread_of(spec)
    if np.shape(catalogue_sd_km) != (3,):
        raise ValueError(f"model.catalogue_sd_km must be errors of east, north and depth, got {catalogue_sd_km}")
    depth = same_everywhere(*(depth_prior or (float(centre[2]), float(spread[2]))))
    known = spec.catalogue.known[:, :3].all(-1)
    if depth_prior is None and depth_prior_reach_km is not None and known.any():
        places = spec.catalogue.hypocentres[known, :3]
        depth = as_nearby(places, depth_prior_reach_km, float(centre[2]), float(spread[2]))
    log_prior = log_prior_of(region, depth)
    stations_km = positions_km(spec.frame, spec.stations)
    grid = _table_grid(region, **(table or _reach(stations_km, region)))
    setting = PhysicsSetting(
        velocity_of(spec.velocity),
        tuple(s.position_sd_km for s in spec.stations),
        grid,
        PhysicsPrior(**as_tuples(prior or {})),
        velocity_error_of(spec.velocity),
        spec.source_terms,
    )
    network = with_physics(bare, setting)
    sizes = Sampling(**as_tuples(search_sizes or {}))

    def head(arrival_weight: float, hypocentre_weight: float) -> Head:
        return arrivals_head(
            region,
            log_prior,
            log_prior_without=lambda known_km: log_prior_of(region, depth, known_km),
            sizes=sizes,
            arrival_weight=arrival_weight,
            hypocentre_weight=hypocentre_weight,
            label_sd_s=label_sd_s,
        )

    def prepare(params: Any, dataset: Dataset, by_network: bool) -> tuple[Params, LabelBatch]:
        fit = {"catalogue_sd_km": tuple(catalogue_sd_km), "depth_km": region.depth_km, "steps": fit_steps}
        return fitted_to_picks(network, setting, params, dataset, by_network, fit, picks_by_catalogue)

    def terms(draws: Any, dataset: Dataset) -> SourceTerms:
        return terms_by_source(network, setting, draws, dataset, picks_by_catalogue)

    locate = arrivals_locator(network, region, log_prior, sizes)
    local = ("depth_prior", "table", "prior")
    transfer = Transfer(
        _settings_at, with_given_velocity, network_weights, with_weights, local, elsewhere=at_other_stations
    )
    step_s = max(TIME_STEP_S, (region.origin_s[1] - region.origin_s[0]) / (sizes.first[3] - 1))
    beyond = {"depth_prior": FREE_DEPTH_KM, "prior": {**(prior or {}), **BEYOND}}
    checked = checked_arrivals(network, region, log_prior, sizes)
    search = RegionSearch(partial(_search_settings, sizes, step_s), checked, _numbers, _placed, beyond)
    own = {"prepare": prepare, "transfer": transfer, "search": search, "parts": parts, "weighted": head}
    step_network = None if in_steps is None else with_physics(in_steps, setting)
    return Model(
        network,
        head(1.0, 1.0),
        locate,
        **own,
        step_network=step_network,
        source_terms=terms if source_terms else None,
    )


def _search_settings(
    sizes: Sampling,
    step_s: float,
    region: Region,
    stations_km: Float[np.ndarray, "station 3"],
) -> dict[str, Any]:
    """A table of travel times that reaches the region, and a first round whose origin times are `step_s` apart."""
    duration_s = region.origin_s[1] - region.origin_s[0]
    times = int(np.clip(np.ceil(duration_s / step_s) + 1, sizes.first[3], MOST_TIMES))
    wider = sizes._replace(first=(*sizes.first[:3], times))
    return {"table": _for_any(region, stations_km), "search_sizes": wider._asdict()}


def _reach(stations_km: Float[np.ndarray, "station 3"], region: Region) -> dict[str, Any]:
    """What a table must cover: from every station to every corner of the region, and the stations' depths.

    Where that is far, the earth is round; few thin layers, since training tabulates at every step: errors are 6 ms.
    """
    east = np.abs(stations_km[:, :1] - np.array(region.east_km)).max()
    north = np.abs(stations_km[:, 1:2] - np.array(region.north_km)).max()
    receiver_km = (float(stations_km[:, 2].min()) - 0.5, float(stations_km[:, 2].max()) + 0.5)
    distance_km = float(np.ceil(np.hypot(east, north)))
    num_thin = THIN_LAYERS[0] if distance_km > ROUND_BEYOND_KM else 0
    return {"distance_km": distance_km, "receiver_km": receiver_km, "num_thin": num_thin}


def _for_any(region: Region, stations_km: Float[np.ndarray, "station 3"]) -> dict[str, Any]:
    """A table's reach with its top and number of nodes, which is compiled: in steps of 16, at most 2.5 km apart."""
    reach = _reach(stations_km, region)
    nodes = int(np.clip(16 * np.ceil(reach["distance_km"] / 2.5 / 16), 48, 128))
    return {**reach, "top_km": min(region.depth_km[0], reach["receiver_km"][0]), "num_distances": nodes}


def _numbers(spec: ModelSpec) -> dict[str, Any] | None:
    """Sides of the region and reach of the table, in km; None where the table is that of training."""
    table = spec.settings.get("table")
    if table is None or "top_km" not in table:
        return None
    numbers = {key: table[key] for key in REACH} | {"sides_km": tuple(spec.region[:3])}
    return jax.tree.map(lambda x: np.asarray(x, np.float32), numbers)


def _placed(spec: ModelSpec, numbers: Mapping[str, Any]) -> ModelSpec:
    """The specification with other numbers of `_numbers`; origin times stay, since the first round depends on them."""
    table = {**spec.settings["table"], **{key: numbers[key] for key in REACH}}
    settings = spec.settings | {"table": table}
    east_km, north_km, depth_km = numbers["sides_km"]
    region = Region(east_km, north_km, depth_km, spec.region.origin_s)
    return spec._replace(region=region, settings=settings)


def _settings_at(region: Region, stations_km: Float[np.ndarray, "station 3"]) -> dict[str, Any]:
    """What the network's settings become at other stations: free depth, a table that reaches them, and `ELSEWHERE`."""
    return {"depth_prior": FREE_DEPTH_KM, "table": _for_any(region, stations_km), "prior": dict(ELSEWHERE)}


def _table_grid(
    region: Region,
    distance_km: float,
    receiver_km: tuple[float, float],
    top_km: float | None = None,
    num_distances: int | None = None,
    num_thin: int = 0,
) -> TableGrid:
    top_km = min(region.depth_km[0], receiver_km[0]) if top_km is None else top_km
    nodes = num_distances or int(np.clip(distance_km / 2.5, 48, 128))
    return TableGrid(
        distance_km, (top_km, region.depth_km[1]), (receiver_km[0], receiver_km[1]), nodes, 32, 3, num_thin
    )
