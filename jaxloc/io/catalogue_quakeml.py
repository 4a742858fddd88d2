"""Located events as QuakeML 1.2 with full uncertainties."""

import io
import json
import re
import warnings
from pathlib import Path

import numpy as np
from obspy import UTCDateTime
from obspy.core.event import (
    Arrival,
    Catalog,
    Comment,
    ConfidenceEllipsoid,
    CreationInfo,
    Event,
    EventDescription,
    Magnitude,
    Origin,
    OriginQuality,
    OriginUncertainty,
    QuantityError,
    ResourceIdentifier,
    StationMagnitude,
    StationMagnitudeContribution,
    WaveformStreamID,
)
from obspy.core.event import Pick as QuakeMLPick

from jaxloc import __version__
from jaxloc.atomic_write import write_whole
from jaxloc.distributions.ellipsoids import Ellipsoid, confidence_ellipsoid, horizontal_ellipse, quakeml_rotation_deg
from jaxloc.io.catalogue import Hypocentre, Pick, check_events, errors_km, km_per_degree
from jaxloc.types import COORDINATES

LONGEST_CODE = 8  # characters of a station's code in QuakeML's schema

EPOCH = "1970-01-01T00:00:00Z"
ONE_SIGMA_PERCENT = 68.27


def to_catalog(hypocentres: list[Hypocentre]) -> Catalog:
    """Located events as an ObsPy catalog.

    All lengths are in m, errors of latitude and longitude in degrees. Single errors are standard deviations
    (confidence level 68.27 %); ellipse and ellipsoid are at the level of the event
    (`jaxloc.distributions.ellipsoids`). Comments give the covariance, the epistemic share and, where known, the
    distance from the catalogue's location. Where the start is unknown, the origin time counts from
    1970-01-01T00:00:00 and a comment notes it.

    Raises:
        ValueError: where an id occurs twice, or a value is not finite or outside its range.
    """
    check_events(hypocentres)
    catalog = Catalog([_event(i, h) for i, h in enumerate(hypocentres)])
    catalog.resource_id = ResourceIdentifier("smi:local/jaxloc/catalogue")
    catalog.creation_info = _author()
    return catalog


def write_quakeml(path: str | Path, hypocentres: list[Hypocentre]) -> None:
    """Write `to_catalog` as `quakeml_bytes`.

    Raises:
        ValueError: as `to_catalog`, or where the folder is missing.
    """
    write_whole(path, quakeml_bytes(to_catalog(hypocentres)))


def quakeml_bytes(catalog: Catalog) -> bytes:
    """QuakeML 1.2, validated against its schema but for codes of stations that are longer than it allows.

    These are written as they are, with a warning.
    """
    codes = {str(pick.waveform_id.station_code) for event in catalog for pick in event.picks}
    if long := sorted(code for code in codes if len(code) > LONGEST_CODE):
        warnings.warn(
            f"QuakeML allows {LONGEST_CODE} characters in codes of stations, and {', '.join(long[:3])} have more "
            f"({len(long)} stations): some programs will not read it",
            stacklevel=3,
        )
    text = io.BytesIO()
    catalog.write(text, format="QUAKEML", validate=not long)
    return text.getvalue()


def _author() -> CreationInfo:
    return CreationInfo(author="jaxloc", version=__version__)


def _event(number: int, h: Hypocentre) -> Event:
    # The number keeps ids apart that differ only in characters which resource ids cannot contain.
    name = f"{number}-{re.sub(r'[^A-Za-z0-9.-]', '_', h.id)}"
    origin = _origin(name, h)
    event = Event(
        resource_id=ResourceIdentifier(f"smi:local/jaxloc/event/{name}"),
        event_type="earthquake",
        event_type_certainty="suspected",
        event_descriptions=[EventDescription(text=h.id, type="earthquake name")],
        origins=[origin, *(_origin(f"{name}/{i}", each) for i, each in enumerate(h.earlier, 1))],
        creation_info=_author(),
    )
    event.preferred_origin_id = origin.resource_id
    event.picks = [_pick(f"{name}/{i}", h, pick) for i, pick in enumerate(h.picks)]
    origin.arrivals = [_arrival(f"{name}/{i}", pick) for i, pick in enumerate(event.picks)]
    if h.magnitude is not None:
        magnitude, event.station_magnitudes = magnitudes_of(name, h, h.magnitude, origin.resource_id)
        event.magnitudes, event.preferred_magnitude_id = [magnitude], magnitude.resource_id
    return event


def magnitudes_of(
    name: str, h: Hypocentre, value: float, origin_id: ResourceIdentifier
) -> tuple[Magnitude, list[StationMagnitude]]:
    """The magnitude of an event, and those of the stations that it is made of."""
    stations = [
        StationMagnitude(
            resource_id=ResourceIdentifier(f"smi:local/jaxloc/station_magnitude/{name}/{i}"),
            origin_id=origin_id,
            mag=each.magnitude,
            station_magnitude_type=h.magnitude_type or None,
            waveform_id=_stream_of(each.station),
        )
        for i, each in enumerate(h.station_magnitudes)
        if each.magnitude is not None and not each.reason
    ]
    resource_id = ResourceIdentifier(f"smi:local/jaxloc/magnitude/{name}")
    about = ResourceIdentifier(f"smi:local/jaxloc/comment/magnitude/{name}")
    magnitude = Magnitude(
        resource_id=resource_id,
        mag=value,
        mag_errors=_error(h.magnitude_sd),
        magnitude_type=h.magnitude_type or None,
        station_count=len(stations) or None,
        origin_id=origin_id,
        comments=[Comment(text=h.magnitude_about, resource_id=about)] if h.magnitude_about else [],
        station_magnitude_contributions=[StationMagnitudeContribution(each.resource_id) for each in stations],
    )
    return magnitude, stations


def _stream_of(code: str) -> WaveformStreamID:
    network, _, station = code.rpartition(".")
    return WaveformStreamID(network_code=network, station_code=station)


def _error(standard_deviation: float | None) -> QuantityError:
    if standard_deviation is None or np.isnan(standard_deviation):
        return QuantityError()
    return QuantityError(uncertainty=float(standard_deviation), confidence_level=ONE_SIGMA_PERCENT)


def _origin(name: str, h: Hypocentre) -> Origin:
    east_km, north_km, depth_km, origin_s = np.sqrt(np.diag(h.covariance))
    north_degree_km, east_degree_km = km_per_degree(h.latitude_deg)
    return Origin(
        resource_id=ResourceIdentifier(f"smi:local/jaxloc/origin/{name}"),
        time=UTCDateTime(h.start or EPOCH) + h.origin_s,
        time_errors=_error(origin_s),
        latitude=h.latitude_deg,
        latitude_errors=_error(north_km / north_degree_km),
        longitude=(h.longitude_deg + 180) % 360 - 180,
        longitude_errors=_error(east_km / east_degree_km),
        depth=h.depth_km * 1000,
        depth_errors=_error(depth_km * 1000),
        depth_type="from location",
        origin_uncertainty=_uncertainty(h),
        quality=OriginQuality(used_station_count=h.num_stations, azimuthal_gap=h.gap_deg),
        evaluation_mode="automatic",
        evaluation_status=h.status or None,
        method_id=ResourceIdentifier("smi:local/jaxloc/posterior"),
        comments=[
            Comment(text=text, resource_id=ResourceIdentifier(f"smi:local/jaxloc/comment/{name}/{i}"))
            for i, text in enumerate(_comments(h))
        ],
        creation_info=_author(),
    )


def _pick(name: str, h: Hypocentre, pick: Pick) -> QuakeMLPick:
    comment = f"probability of the {pick.phase} pick: {pick.probability:.3f}" if pick.probability else ""
    return QuakeMLPick(
        resource_id=ResourceIdentifier(f"smi:local/jaxloc/pick/{name}"),
        time=UTCDateTime(h.start or EPOCH) + pick.time_s,
        time_errors=_error(pick.sigma_s),
        waveform_id=_stream_of(pick.station),
        phase_hint=pick.phase,
        evaluation_mode="automatic",
        comments=[Comment(text=comment, resource_id=ResourceIdentifier(f"smi:local/jaxloc/comment/pick/{name}"))]
        if comment
        else [],
        creation_info=_author(),
    )


def _arrival(name: str, pick: QuakeMLPick) -> Arrival:
    resource_id = ResourceIdentifier(f"smi:local/jaxloc/arrival/{name}")
    return Arrival(resource_id=resource_id, pick_id=pick.resource_id, phase=pick.phase_hint)


def _uncertainty(h: Hypocentre) -> OriginUncertainty | None:
    """Ellipse and ellipsoid, as far as errors are known."""
    of_ellipse, of_ellipsoid = h.drawn_at or (h.level, h.level)
    if not np.isfinite(h.covariance[:2, :2]).all():
        return None
    ellipse = horizontal_ellipse(h.covariance, of_ellipse)
    whole = bool(np.isfinite(h.covariance[:3, :3]).all())
    return OriginUncertainty(
        max_horizontal_uncertainty=ellipse.semi_major_km * 1000,
        min_horizontal_uncertainty=ellipse.semi_minor_km * 1000,
        azimuth_max_horizontal_uncertainty=ellipse.azimuth_deg,
        confidence_ellipsoid=_ellipsoid(confidence_ellipsoid(h.covariance, of_ellipsoid)) if whole else None,
        preferred_description="confidence ellipsoid" if whole else "uncertainty ellipse",
        confidence_level=h.level * 100,
    )


def _ellipsoid(ellipsoid: Ellipsoid) -> ConfidenceEllipsoid:
    return ConfidenceEllipsoid(
        semi_major_axis_length=ellipsoid.semi_major_km * 1000,
        semi_intermediate_axis_length=ellipsoid.semi_intermediate_km * 1000,
        semi_minor_axis_length=ellipsoid.semi_minor_km * 1000,
        major_axis_plunge=ellipsoid.plunge_deg,
        major_axis_azimuth=ellipsoid.azimuth_deg,
        major_axis_rotation=quakeml_rotation_deg(ellipsoid),
    )


def _comments(h: Hypocentre) -> list[str]:
    comments = [f"origin: {h.origin_about}"] if h.origin_about else []
    if h.family:
        comments.append(f"family of event {h.family}")
    if np.isfinite(h.covariance).all():
        comments.append(f"covariance over {', '.join(COORDINATES)}: {json.dumps(np.asarray(h.covariance).tolist())}")
    if h.start is None:
        comments.append("start of the record unknown: the origin time counts from 1970-01-01T00:00:00")
    if h.epistemic_share is not None:
        epistemic = 100 * h.epistemic_share
        comments.append(f"variance of the position: epistemic {epistemic:.1f} %, aleatoric {100 - epistemic:.1f} %")
    if h.drawn_at is not None:
        normal = " and ".join(f"{100 * level:.1f} %" for level in h.drawn_at)
        comments.append(f"ellipse and ellipsoid calibrated: those of a normal distribution at {normal}")
    comments += [f"{name}: {value:.6g}" for name, value in h.others.items()]
    if h.flag:
        comments.append(f"flag: {h.flag}")
    if h.alarm:
        comments.append(f"uncertainties may not be calibrated: {h.alarm}")
    if h.truth is not None:
        epicentre_km, depth_km, _ = errors_km(h)
        comments.append(f"distance from the catalogue: epicentre {epicentre_km:.3f} km, depth {depth_km:+.3f} km")
    return comments
