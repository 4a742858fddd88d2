"""Location of picked events by a locator without a network: grid search, S-P rule, climatology."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Float, Key

from jaxloc import locators
from jaxloc.calibration.calibration import Predictions
from jaxloc.data.dataset import Dataset, positions_km
from jaxloc.distributions.gaussian_mixture import HypocentreMixture
from jaxloc.geometry import Frame
from jaxloc.io.picks import FEWEST_PICKS, Picks, read_picks
from jaxloc.io.reference_catalogue import in_frame, read_truths
from jaxloc.io.seisbench import read_seisbench
from jaxloc.io.seisbench_folder import is_seisbench
from jaxloc.io.tables import as_number
from jaxloc.io.velocity_model import velocity_file
from jaxloc.locators.climatology import kernel_density
from jaxloc.locators.padding import over_padded
from jaxloc.locators.setup import Setup
from jaxloc.physics.adaptive_grid import Region
from jaxloc.physics.layered import VelocityModel
from jaxloc.runs import report
from jaxloc.runs.arrival_picks import observed_picks
from jaxloc.runs.datasets import select
from jaxloc.runs.located import Located
from jaxloc.runs.outcomes import Outcome
from jaxloc.runs.predict import CHUNK, joined, located_parts
from jaxloc.runs.search_region import around_stations, parse_depths, parse_region, with_options
from jaxloc.types import Observations

SLOWEST_KM_S = 2.0  # S speed that bounds travel times without a velocity model
SP_DISTANCE_KM_S = 10.0  # hypocentral distance per second of S minus P, at most (about 8.4 in the upper mantle)


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


def open_picks(request: Request) -> Picks:
    """The picks of a CSV or QuakeML file, or of a SeisBench folder.

    Raises:
        ValueError: where a file is missing or wrong, a needed option is not given, or one that has no use is.
    """
    path = request.input
    if is_seisbench(path):
        if request.stations is not None:
            raise ValueError(f"{path} is a SeisBench folder and has its own stations; leave out --stations")
        return _with_picks(read_seisbench(path, split=request.split))
    if request.split is not None:
        raise ValueError(f"use --split with SeisBench folders only; {path} is a file of picks")
    if not path.exists():
        raise ValueError(f"no such file or folder: {path}; the path must name picks or a SeisBench folder")
    if request.stations is None:
        raise ValueError(
            "picks must come with --stations: StationXML, or a CSV of code, latitude, longitude, elevation_m"
        )
    return read_picks(path, request.stations)


def _with_picks(dataset: Dataset) -> Picks:
    """The events of a SeisBench folder that have enough picks; times stay relative to the first sample."""
    number = np.concatenate([_pick_mask(seen).sum((1, 2)) for seen in _bare(dataset)]).tolist()
    few = np.array(number) < FEWEST_PICKS
    lost = {
        event.id: f"{n} usable pick{'s' * (n != 1)}; at least {FEWEST_PICKS} are needed"
        for event, n in zip(dataset.events, number, strict=True)
        if n < FEWEST_PICKS
    }
    if few.all():
        raise ValueError(
            f"{dataset.name}: none of {len(dataset)} events has {FEWEST_PICKS} picks at recording stations; the "
            "metadata must have trace_p_arrival_sample and trace_s_arrival_sample"
        )
    return Picks(select(dataset, np.flatnonzero(~few)), lost, (), {})


def _bare(dataset: Dataset) -> list[Observations]:
    """All observations without waveforms."""
    parts = np.array_split(np.arange(len(dataset)), -(-len(dataset) // CHUNK))
    return [dataset.take(index).observations._replace(waveforms=None) for index in parts]


def _pick_mask(seen: Observations) -> np.ndarray:
    mask = np.asarray(seen.station_mask)[..., None]
    return np.zeros((*mask.shape[:2], 2), bool) if seen.pick_mask is None else np.asarray(seen.pick_mask) & mask


def as_settings(texts: Sequence[str]) -> dict[str, Any]:
    """Settings of a locator from texts KEY=VALUE; numbers are read as such.

    Raises:
        ValueError: where a text is no KEY=VALUE.
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise ValueError(f"--set takes KEY=VALUE, as model_share=0.02, got {text!r}")
        number = as_number(value)
        found[name] = value if number is None else number
    return found


def setup_for(request: Request, dataset: Dataset) -> Setup:
    """Region, velocity model and catalogue for the events of a data set.

    The region is a box around the stations (`around_stations`) that reaches as far as S minus P of the nearest station
    allows for any event, unless `--region` or `--depth-km` replaces it.

    Raises:
        ValueError: where a file or an option is wrong.
    """
    _refuse_idle(request)
    velocity = velocity_file(request.velocity, request.velocity_error, request.vp_vs_error, request.velocity_form)
    model, error = (None, None) if velocity is None else (velocity.model(), velocity.error())
    station_km = positions_km(dataset.frame, dataset.stations)
    seen = _bare(dataset)
    region = around_stations(station_km, (0.0, 0.0), reach_km=_reach_km(seen))
    region = with_options(
        region,
        dataset.frame,
        None if request.region is None else parse_region(request.region),
        None if request.depth_km is None else parse_depths(request.depth_km),
    )
    region = region._replace(origin_s=_origin_range_s(seen, region, station_km, model))
    density = None if request.catalogue is None else read_density(request.catalogue, dataset.frame, region)
    return Setup(region, station_km, model, density, dataset.rate_hz, error)


def _refuse_idle(request: Request) -> None:
    """Refuse uncertainties of a velocity model that the locator does not use."""
    idle = {"velocity-error": locators.WITHOUT_VELOCITIES, "vp-vs-error": set(locators.__all__) - {"source_scan"}}
    for name, without in idle.items():
        if getattr(request, name.replace("-", "_")) is not None and request.locator in without:
            raise ValueError(f"--{name} has no effect on the locator {request.locator}; leave it out")


def _reach_km(seen: Sequence[Observations]) -> float:
    """The largest hypocentral distance that S minus P allows at the nearest station of any event; 0 without pairs."""
    reach_km = 0.0
    for part in seen:
        mask, time_s = _pick_mask(part), np.asarray(part.picks_s)
        wait_s = np.where(mask.all(-1), time_s[..., 1] - time_s[..., 0], np.inf).min(1)
        reach_km = max(reach_km, SP_DISTANCE_KM_S * float(wait_s[np.isfinite(wait_s)].max(initial=0.0)))
    return reach_km


def _origin_range_s(
    seen: Sequence[Observations],
    region: Region,
    station_km: Float[np.ndarray, "station 3"],
    model: VelocityModel | None,
) -> tuple[float, float]:
    """From the longest travel time before the earliest first pick to the latest first pick."""
    first_s = np.concatenate(
        [np.where(_pick_mask(part), np.asarray(part.picks_s), np.inf).min((1, 2)) for part in seen]
    )
    corners = np.stack(np.meshgrid(*region[:3]), -1).reshape(-1, 1, 3)
    farthest_km = float(np.linalg.norm(corners - station_km, axis=-1).max())
    slowest = SLOWEST_KM_S if model is None else float(np.min(model.vs_km_s))
    return float(first_s.min()) - farthest_km / slowest, float(first_s.max()) + 1.0


def read_density(path: Path, frame: Frame, region: Region) -> HypocentreMixture:
    """The kernel density of a catalogue's hypocentres; origin times are those of the region.

    Raises:
        ValueError: where the file is wrong (`jaxloc.io.reference_catalogue.read_truths`).
    """
    truths = [known.truth for known in read_truths(path)]
    value, known = in_frame(frame, truths, [np.nan] * len(truths))
    centre, width = np.mean(np.asarray(region), axis=1), np.ptp(np.asarray(region), axis=1)
    return kernel_density(value, known, (centre, width / 12**0.5))


def locate(
    key: Key[Array, ""],
    request: Request,
    picks: Picks,
    on_chunk: Callable[[int], None] = lambda done: None,
) -> Located:
    """Locate the events of `open_picks`; `on_chunk` receives the number of events located so far.

    Raises:
        ValueError: as `setup_for` and `jaxloc.locators.build`.
    """
    return joined(list(located_in_parts(key, request, picks, on_chunk)))


def located_in_parts(
    key: Key[Array, ""],
    request: Request,
    picks: Picks,
    on_chunk: Callable[[int], None] = lambda done: None,
) -> Iterator[Located]:
    """As `locate`, in parts; stations are padded (`jaxloc.locators.padding`)."""
    locator = locators.build(request.locator, setup_for(request, picks.dataset), request.settings)
    return located_parts(key, over_padded(locator), picks.dataset, on_chunk, request.locator in locators.JOINT)


def outcome_of(picks: Picks, located: Located, interrupted: bool) -> Outcome:
    """Hypocentres of located events on the clock of their picks, with these, and the reasons of those not located.

    Args:
        picks: of `open_picks`.
        located: all of its events, or the first of them.
        interrupted: whether the others were not reached.
    """
    dataset = select(picks.dataset, np.arange(len(located.batch.observations.rate_hz)))
    predictions = Predictions(located.posterior)
    found, lost = report.hypocentres_of(dataset, located.batch, predictions)
    used = {event.id: observed_picks(dataset, located.batch.observations, i) for i, event in enumerate(dataset.events)}
    found = [report.moved(each._replace(picks=used[each.id]), picks.zero_s.get(each.id, 0.0)) for each in found]
    return Outcome(found, {**picks.lost, **lost}, {}, located, predictions, interrupted)
