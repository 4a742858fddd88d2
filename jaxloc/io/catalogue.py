"""Located events with their uncertainties, as written in files (`catalogues_quakeml`, `catalogues_csv`)."""

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from pyproj import Geod

from jaxloc.geometry import check_degrees

WGS84 = Geod(ellps="WGS84")


class Truth(NamedTuple):
    """Values of a catalogue for the same event; an origin time that is unknown is None."""

    latitude_deg: float
    longitude_deg: float
    depth_km: float
    origin_s: float | None = None


class Pick(NamedTuple):
    """A pick of a located event: station as NET.STA, phase P or S, s after the event's `start`; None is unknown."""

    station: str
    phase: str
    time_s: float
    sigma_s: float | None = None
    probability: float | None = None


class StationMagnitude(NamedTuple):
    """What a station (NET.STA) contributes to a magnitude; `reason` is why it does not ("": it does).

    The amplitude is that of a Wood-Anderson seismograph, the distance hypocentral; None where unknown.
    """

    station: str
    magnitude: float | None
    amplitude_mm: float | None = None
    distance_km: float | None = None
    snr: float | None = None
    reason: str = ""


class Hypocentre(NamedTuple):
    """A located event with its uncertainty.

    `start` is the UTC time of sample zero (ISO 8601, None where unknown), `origin_s` counts from it. `covariance` is
    over (east_km, north_km, depth_km, origin_s), NaN on the diagonal where nothing is known; `level` is the confidence
    level of ellipse and ellipsoid, `epistemic_share` the part of the total variance of the position that is epistemic.
    `drawn_at` are the levels at which a normal distribution's ellipse and ellipsoid are taken so that they cover a
    share `level` of truths, where that was calibrated. `alarm` is why an event is out of distribution ("": it is not),
    `flag` names reasons not to trust the location itself ("": none): the edge of the search region, a record cut.
    `rejected` are locations that were kept though no earthquake was found.
    `magnitude_type` is ML or Mw where the magnitude was measured from records, `magnitude_about` how, with the
    `station_magnitudes` and the reasons of stations without one.
    `others` are figures of other labels with their uncertainties, by name and unit (`is_event_probability`, ...).
    `origin_about` is how this origin was located, and why it is preferred to the `earlier` ones of the same event,
    which QuakeML has too; `family` is the event whose waveforms it was found by or belongs to.
    """

    id: str
    start: str | None
    latitude_deg: float
    longitude_deg: float
    depth_km: float
    origin_s: float
    covariance: Float[np.ndarray, "4 4"]
    level: float = 0.9
    epistemic_share: float | None = None
    num_stations: int | None = None
    gap_deg: float | None = None
    magnitude: float | None = None
    magnitude_sd: float | None = None
    truth: Truth | None = None
    drawn_at: tuple[float, float] | None = None
    alarm: str | None = None
    others: Mapping[str, float] = {}  # never written to
    flag: str = ""
    picks: tuple[Pick, ...] = ()
    rejected: bool = False
    magnitude_type: str = ""
    magnitude_about: str = ""
    station_magnitudes: tuple[StationMagnitude, ...] = ()
    origin_about: str = ""
    earlier: tuple["Hypocentre", ...] = ()
    family: str = ""

    @property
    def status(self) -> str:
        """Evaluation status as in QuakeML: rejected, preliminary where there is a flag, or "" for neither."""
        return "rejected" if self.rejected else "preliminary" if self.flag or self.alarm else ""


def azimuthal_gap_deg(epicentre_km: Float[np.ndarray, "2"], station_km: Float[np.ndarray, "station 3"]) -> float:
    """The largest angle in degrees between neighbouring stations as seen from an epicentre; 360 for one."""
    azimuth = np.arctan2(station_km[:, 0] - epicentre_km[0], station_km[:, 1] - epicentre_km[1])
    azimuth = np.sort(np.rad2deg(azimuth) % 360)
    return float(np.diff(azimuth, append=azimuth[:1] + 360).max(initial=0)) if len(azimuth) else 360.0


def check_events(hypocentres: list[Hypocentre]) -> None:
    """Refuse what no file can represent.

    Raises:
        ValueError: where an id occurs twice, or a value is not finite or outside its range; names the event.
    """
    again = [name for name, count in Counter(h.id for h in hypocentres).items() if count > 1]
    if again:
        raise ValueError(f"event id {again[0]!r} occurs more than once; ids must be unique")
    for h in hypocentres:
        check_degrees(np.array(h.latitude_deg), np.array(h.longitude_deg), f"event {h.id}")
        if not np.isfinite([h.depth_km, h.origin_s]).all():
            raise ValueError(f"event {h.id}: depth_km and origin_s must be finite, got {h.depth_km}, {h.origin_s}")
        if np.shape(h.covariance) != (4, 4):
            raise ValueError(f"event {h.id}: covariance must be [4, 4], got shape {np.shape(h.covariance)}")


def km_per_degree(latitude_deg: float) -> tuple[float, float]:
    """Length in km of a degree of latitude and of longitude on WGS 84, from its radii of curvature."""
    squared = 1 - WGS84.es * np.sin(np.deg2rad(latitude_deg)) ** 2
    meridian_km = WGS84.a * (1 - WGS84.es) / squared**1.5 / 1000
    parallel_km = WGS84.a / np.sqrt(squared) * np.cos(np.deg2rad(latitude_deg)) / 1000
    # At a pole a degree of longitude has no length; a metre keeps the error finite.
    return float(np.deg2rad(meridian_km)), float(max(np.deg2rad(parallel_km), 1e-3))


def errors_km(h: Hypocentre) -> tuple[float, float, float]:
    """Epicentral distance (km) from the truth, depth (km) and origin time (s) less the true; else NaN."""
    if h.truth is None:
        return np.nan, np.nan, np.nan
    _, _, metres = WGS84.inv(h.longitude_deg, h.latitude_deg, h.truth.longitude_deg, h.truth.latitude_deg)
    origin_s = np.nan if h.truth.origin_s is None else h.origin_s - h.truth.origin_s
    return metres / 1000, h.depth_km - h.truth.depth_km, origin_s
