"""What is asked of a locator of picks, and the region, travel times and catalogue that follow from it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from jaxloc import locators
from jaxloc.data.dataset import Dataset, positions_km
from jaxloc.distributions.gaussian_mixture import HypocentreMixture
from jaxloc.geometry import Frame
from jaxloc.io.reference_catalogue import in_frame, read_truths
from jaxloc.io.time_grids import read_time_grids
from jaxloc.io.topography_grids import ground_of, read_topography
from jaxloc.io.velocity_grids import is_velocity_grid, read_velocity_grid
from jaxloc.io.velocity_model import velocity_file
from jaxloc.locators.climatology import kernel_density
from jaxloc.locators.setup import Setup
from jaxloc.physics.adaptive_grid import Region
from jaxloc.physics.gridded_times import StationTables, region_within, station_times
from jaxloc.physics.topography import Ground
from jaxloc.physics.velocity_error import velocity_error
from jaxloc.runs.predict import CHUNK
from jaxloc.runs.search_region import around_stations, parse_depths, parse_region, with_options
from jaxloc.runs.station_tables import region_in_model, tables_of_model
from jaxloc.training.log import Say
from jaxloc.types import Observations

SLOWEST_KM_S = 2.0  # S speed that bounds travel times without a velocity model
SP_DISTANCE_KM_S = 10.0  # hypocentral distance per second of S minus P, at most (about 8.4 in the upper mantle)
JOINT = ("double_difference",)  # a method of `jaxloc relocate` that is no registered locator
LIMITED_KM = 0.1  # by which a side of the region moves before it is said


class Request(NamedTuple):
    """What is asked of a locator without a network: files and options as the command line has them."""

    locator: str
    input: Path
    stations: Path | None = None
    velocity: Path | None = None
    catalogue: Path | None = None
    region: str | None = None
    depth_km: Sequence[float] | None = None
    split: str | None = None
    settings: Mapping[str, Any] = {}  # never written to
    velocity_error: float | None = None
    vp_vs_error: float | None = None
    velocity_form: str | None = None
    travel_times: Path | None = None
    grid_spacing: float | None = None
    vp_vs: float | None = None
    topography: Path | None = None
    learn_velocities: bool = False


def bare(dataset: Dataset) -> list[Observations]:
    """All observations without waveforms."""
    parts = np.array_split(np.arange(len(dataset)), -(-len(dataset) // CHUNK))
    return [dataset.take(index).observations._replace(waveforms=None) for index in parts]


def pick_mask(seen: Observations) -> np.ndarray:
    """Which picks there are, [event, station, phase]."""
    mask = np.asarray(seen.station_mask)[..., None]
    return np.zeros((*mask.shape[:2], 2), bool) if seen.pick_mask is None else np.asarray(seen.pick_mask) & mask


def setup_for(request: Request, dataset: Dataset, say: Say = lambda line: None) -> Setup:
    """Region, travel times and catalogue for the events of a data set.

    The region is a box around the stations (`around_stations`) that reaches as far as S minus P of the nearest station
    allows for any event, unless `--region` or `--depth-km` replaces it. With travel times of grids it is the part of it
    that all grids have (`region_within`), which `say` receives in a line. With topography it reaches up to the highest
    ground, and no hypocentre is above the ground.

    Raises:
        ValueError: where a file or an option is wrong, or a station with picks has no grid.
    """
    _refuse_idle(request)
    station_km = positions_km(dataset.frame, dataset.stations)
    seen = bare(dataset)
    region = around_stations(station_km, (0.0, 0.0), reach_km=_reach_km(seen))
    region = with_options(
        region,
        dataset.frame,
        None if request.region is None else parse_region(request.region),
        None if request.depth_km is None else parse_depths(request.depth_km),
    )
    density = None if request.catalogue is None else read_density(request.catalogue, dataset.frame, region)
    ground = None
    if request.topography is not None:
        ground = ground_of(read_topography(request.topography), dataset.frame, region)
        region = region if request.depth_km is not None else _up_to(region, ground)
    if _gridded(request):
        tables, region = _tables(request, dataset, seen, region, say)
        slowest_km_s = 1 / float(tables.mean_s_km.max())
        region = region._replace(origin_s=_origin_range_s(seen, region, station_km, slowest_km_s))
        error = velocity_error(request.velocity_error, request.vp_vs_error)
        times = station_times(tables)
        return Setup(region, station_km, None, density, dataset.rate_hz, error, ground, times)
    velocity = velocity_file(request.velocity, request.velocity_error, request.vp_vs_error, request.velocity_form)
    model, error = (None, None) if velocity is None else (velocity.model(), velocity.error())
    slowest_km_s = SLOWEST_KM_S if model is None else float(np.min(model.vs_km_s))
    region = region._replace(origin_s=_origin_range_s(seen, region, station_km, slowest_km_s))
    return Setup(region, station_km, model, density, dataset.rate_hz, error, ground)


def _up_to(region: Region, ground: Ground) -> Region:
    """The region up to the highest ground."""
    top_km = min(region.depth_km[0], -float(ground.elevation_km.max()))
    return region._replace(depth_km=(top_km, region.depth_km[1]))


def _gridded(request: Request) -> bool:
    """Whether travel times are those of grids.

    Raises:
        ValueError: where options contradict one another, or have no effect.
    """
    of_model = request.velocity is not None and is_velocity_grid(request.velocity)
    if request.travel_times is not None and request.velocity is not None:
        raise ValueError("--travel-times replace --velocity; give one of them")
    gridded = of_model or request.travel_times is not None
    if gridded and request.velocity_form is not None:
        raise ValueError("--velocity-form is for models of layers; leave it out")
    if request.vp_vs is not None and not gridded:
        raise ValueError("--vp-vs is the ratio of speeds of grids of P alone; leave it out, or give such grids")
    if request.grid_spacing is not None and not of_model:
        raise ValueError("--grid-spacing is that of a velocity model of three dimensions; leave it out")
    return gridded


def _tables(
    request: Request, dataset: Dataset, seen: Sequence[Observations], region: Region, say: Say
) -> tuple[StationTables, Region]:
    """Tables of the stations with picks, and the part of the region that they have."""
    picked: Bool[np.ndarray, "station phase"] = np.any([pick_mask(part).any(0) for part in seen], 0)
    frame, stations = dataset.frame, dataset.stations
    if request.travel_times is not None:
        tables = read_time_grids(request.travel_times, frame, stations, picked, region, request.vp_vs)
    else:
        assert request.velocity is not None, "there are grids of one kind or the other"
        model = read_velocity_grid(request.velocity, request.vp_vs)
        station_km = positions_km(frame, stations)[picked.any(1)]
        within = region_in_model(model, frame, region, station_km)
        if (highest_km := min(float(station_km[:, 2].min()), within.depth_km[0])) < model.axes[2][0]:
            say(f"speeds of the model's first depth, {model.axes[2][0]:g} km, hold up to {highest_km:.2f} km")
        tables = tables_of_model(model, frame, stations, picked, within, request.grid_spacing, say)
        region = _said_if_limited(region, within, "the velocity model", say)
    return tables, _said_if_limited(region, region_within(tables, region), "the travel-time grids", say)


def _said_if_limited(asked: Region, found: Region, what: str, say: Say) -> Region:
    if np.abs(np.array(asked[:3]) - np.array(found[:3])).max() > LIMITED_KM:
        sides = ("east", "north", "depth")
        text = ", ".join(f"{name} {low:.1f} to {high:.1f}" for name, (low, high) in zip(sides, found[:3], strict=True))
        say(f"{what} limit the search region to {text} km: no hypocentre is beyond")
    return found


def _refuse_idle(request: Request) -> None:
    """Refuse what the locator does not use."""
    idle = {"velocity-error": locators.WITHOUT_VELOCITIES, "vp-vs-error": set(locators.__all__) - {"source_scan"}}
    takes = (*locators.OF_ANY_TIMES, *JOINT)
    if request.locator in locators.__all__ and request.locator not in takes:
        for name in ("topography", "travel_times"):
            if getattr(request, name) is not None:
                raise ValueError(
                    f"--{name.replace('_', '-')} has no effect on the locator {request.locator}; use one of "
                    f"{', '.join(takes)}"
                )
    for name, without in idle.items():
        if getattr(request, name.replace("-", "_")) is not None and request.locator in without:
            raise ValueError(f"--{name} has no effect on the locator {request.locator}; leave it out")


def _reach_km(seen: Sequence[Observations]) -> float:
    """The largest hypocentral distance that S minus P allows at the nearest station of any event; 0 without pairs."""
    reach_km = 0.0
    for part in seen:
        mask, time_s = pick_mask(part), np.asarray(part.picks_s)
        wait_s = np.where(mask.all(-1), time_s[..., 1] - time_s[..., 0], np.inf).min(1)
        reach_km = max(reach_km, SP_DISTANCE_KM_S * float(wait_s[np.isfinite(wait_s)].max(initial=0.0)))
    return reach_km


def _origin_range_s(
    seen: Sequence[Observations],
    region: Region,
    station_km: Float[np.ndarray, "station 3"],
    slowest_km_s: float,
) -> tuple[float, float]:
    """From the longest travel time before the earliest first pick to the latest first pick."""
    first_s = np.concatenate([np.where(pick_mask(part), np.asarray(part.picks_s), np.inf).min((1, 2)) for part in seen])
    corners = np.stack(np.meshgrid(*region[:3]), -1).reshape(-1, 1, 3)
    farthest_km = float(np.linalg.norm(corners - station_km, axis=-1).max())
    return float(first_s.min()) - farthest_km / slowest_km_s, float(first_s.max()) + 1.0


def read_density(path: Path, frame: Frame, region: Region) -> HypocentreMixture:
    """The kernel density of a catalogue's hypocentres; origin times are those of the region.

    Raises:
        ValueError: where the file is wrong (`jaxloc.io.reference_catalogue.read_truths`).
    """
    truths = [known.truth for known in read_truths(path)]
    value, known = in_frame(frame, truths, [np.nan] * len(truths))
    centre, width = np.mean(np.asarray(region), axis=1), np.ptp(np.asarray(region), axis=1)
    return kernel_density(value, known, (centre, width / 12**0.5))
