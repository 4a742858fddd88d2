"""Local magnitude with an error: amplitudes of Wood-Anderson records, integrated over the location's posterior."""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from jaxloc.detection.amplitudes import Amplitudes, horizontal_amplitudes
from jaxloc.detection.magnitude_curves import MagnitudeCurve, correction, station_corrections
from jaxloc.detection.station_median import BETWEEN_STATIONS_SD, median_of_stations


class LocalMagnitude(NamedTuple):
    """A local magnitude; NaN where no station has one, with the reasons of all.

    Attributes:
        magnitude: of the event.
        sd: its standard deviation, of scatter between stations and location.
        draws: of the magnitude, one for each hypocentre.
        station: magnitudes of stations at the mean of the hypocentres; NaN where there is a reason.
        amplitude_mm: Wood-Anderson amplitudes; NaN where none was measured.
        distance_km: mean hypocentral distances.
        snr: signal-to-noise ratios.
        reasons: why a station does not contribute; "" where it does.
        curve: the name of the distance correction.
    """

    magnitude: float
    sd: float
    draws: Float[np.ndarray, " draw"]
    station: Float[np.ndarray, " station"]
    amplitude_mm: Float[np.ndarray, " station"]
    distance_km: Float[np.ndarray, " station"]
    snr: Float[np.ndarray, " station"]
    reasons: tuple[str, ...]
    curve: str


def local_magnitude(
    key: Key[Array, ""],
    records_mm: Float[np.ndarray, "station component sample"],
    usable: Bool[np.ndarray, "station component sample"],
    rate_hz: float,
    hypocentres: Float[np.ndarray, "draw 4"],
    station_km: Float[np.ndarray, "station 3"],
    arrival_s: Float[np.ndarray, "station 2"],
    curve: MagnitudeCurve,
    *,
    codes: tuple[str, ...] | None = None,
    clipped: Bool[np.ndarray, "station component sample"] | None = None,
    reasons: tuple[str, ...] | None = None,
    between_stations_sd: float = BETWEEN_STATIONS_SD,
) -> LocalMagnitude:
    """Local magnitude of an event.

    Args:
        key: of the draws.
        records_mm: Wood-Anderson records (`jaxloc.io.ground_motion.to_wood_anderson`), Z, N, E.
        usable: which of their samples were recorded and are free of edge effects.
        rate_hz: sampling rate.
        hypocentres: draws of the location's posterior: east, north, depth in km, origin time (not used) in s.
        station_km: east, north and depth of the stations.
        arrival_s: P and S from the first sample, picked or predicted; NaN where unknown.
        curve: distance correction (`jaxloc.detection.magnitude_curves`).
        codes: station codes, for the station corrections of the curve.
        clipped: samples at which the recorder was at its limit.
        reasons: known before, why a station has no record ("": it has one).
        between_stations_sd: what magnitudes of stations are expected to scatter by.

    Raises:
        ValueError: where shapes do not belong together, or there is no hypocentre.
    """
    measured = horizontal_amplitudes(records_mm, usable, rate_hz, arrival_s, clipped)
    if reasons is not None:
        told = tuple(given or found for given, found in zip(reasons, measured.reasons, strict=True))
        measured = measured._replace(
            amplitude=np.where([bool(t) for t in told], np.nan, measured.amplitude), reasons=told
        )
    return magnitude_of_amplitudes(
        key, measured, hypocentres, station_km, curve, codes=codes, between_stations_sd=between_stations_sd
    )


def magnitude_of_amplitudes(
    key: Key[Array, ""],
    measured: Amplitudes,
    hypocentres: Float[np.ndarray, "draw 4"],
    station_km: Float[np.ndarray, "station 3"],
    curve: MagnitudeCurve,
    *,
    codes: tuple[str, ...] | None = None,
    between_stations_sd: float = BETWEEN_STATIONS_SD,
) -> LocalMagnitude:
    """As `local_magnitude`, of amplitudes in mm that were measured before."""
    if hypocentres.ndim != 2 or not len(hypocentres) or not np.isfinite(hypocentres[:, :3]).all():
        raise ValueError(f"hypocentres must be finite draws [draw, 4], one or more, got shape {hypocentres.shape}")
    distance_km = np.linalg.norm(hypocentres[:, None, :3] - station_km[None], axis=-1)
    mean_km = distance_km.mean(0)
    too_far = mean_km > curve.farthest_km
    reasons = [
        why or (f"{far:.0f} km away, beyond the {curve.farthest_km:g} km of {curve.name}" if beyond else "")
        for why, far, beyond in zip(measured.reasons, mean_km, too_far, strict=True)
    ]
    added = 0.0 if codes is None else station_corrections(curve, codes)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_amplitude = np.where([not why for why in reasons], np.log10(measured.amplitude), np.nan)
    magnitudes = log_amplitude + correction(curve, distance_km) + added
    normal = np.asarray(jax.random.normal(key, (len(hypocentres),)))
    found = median_of_stations(magnitudes, normal, between_stations_sd)
    station = log_amplitude + correction(curve, mean_km) + added
    for i in np.flatnonzero(np.isfinite(station) & ~found.used):
        reasons[i] = f"outlier: {station[i]:.2f}, {station[i] - found.magnitude:+.2f} from the median"
    return LocalMagnitude(
        found.magnitude,
        found.sd,
        found.draws,
        station,
        measured.amplitude,
        mean_km,
        measured.snr,
        tuple(reasons),
        curve.name,
    )
