"""Writes NonLinLoc's hypocentre files (.hyp) and samples of the posterior (.scat)."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from obspy import UTCDateTime

from jaxloc.distributions.ellipsoids import confidence_ellipsoid, horizontal_ellipse, quakeml_rotation_deg
from jaxloc.io.nonlinloc_projection import Projection, statement_of, to_degrees

LEVEL = 0.683
CHI_SQUARE = 3.53  # that of three coordinates, as NonLinLoc rounds it


class TimedPick(NamedTuple):
    """A pick of a located event: station, phase, time in ns since 1970, its sd, its travel time and residual, in s."""

    station: str
    phase: str
    time_ns: int
    sigma_s: float
    travel_s: float
    residual_s: float


class LocatedEvent(NamedTuple):
    """A location in the axes of a projection: most probable place, mean and covariance of x, y and depth in km."""

    id: str
    origin_ns: int
    best_km: Float[np.ndarray, " 3"]
    mean_km: Float[np.ndarray, " 3"]
    covariance_km2: Float[np.ndarray, "3 3"]
    picks: tuple[TimedPick, ...] = ()
    gap_deg: float = -1.0
    nearest_km: float = -1.0


def write_hypocentres(path: str | Path, events: Sequence[LocatedEvent], projection: Projection) -> None:
    """Write located events into one file.

    Raises:
        ValueError: where there is no event, or a covariance is not positive definite; names it.
    """
    if not events:
        raise ValueError(f"no event to write to {path}; at least one must be located")
    Path(path).write_text("\n\n".join(_text(event, projection) for event in events) + "\n\n", encoding="utf-8")


def write_scatter(path: str | Path, samples_km: Float[np.ndarray, "sample 3"]) -> None:
    """Write samples of the posterior in x, y and depth, all of one density.

    Raises:
        ValueError: where there are less than two, or some are not finite.
    """
    samples = np.asarray(samples_km, float)
    if samples.ndim != 2 or samples.shape[1] != 3 or len(samples) < 2 or not np.isfinite(samples).all():
        raise ValueError(f"samples must be finite, [sample, 3] and two at least, got the shape {samples.shape}")
    rows = np.concatenate([samples, np.ones((len(samples), 1))], 1).astype("<f4")
    header = len(samples).to_bytes(4, "little", signed=True) + np.array([1.0, 0.0, 0.0], "<f4").tobytes()
    Path(path).write_bytes(header + rows.tobytes())


def _text(event: LocatedEvent, projection: Projection) -> str:
    covariance = np.asarray(event.covariance_km2, float)
    variance, axis = np.linalg.eigh(covariance)
    if not (np.isfinite(covariance).all() and variance.min() > 0):
        raise ValueError(f"event {event.id}: the covariance must be positive definite, got {covariance.tolist()}")
    time, second = _time(event.origin_ns)
    (best_lat, mean_lat), (best_lon, mean_lon) = to_degrees(
        projection, *np.stack([event.best_km[:2], event.mean_km[:2]], 1)
    )
    residual_s = np.array([pick.residual_s for pick in event.picks])
    rms_s = float(np.sqrt((residual_s**2).mean())) if len(residual_s) else -1.0
    length_km = np.sqrt(CHI_SQUARE * variance)
    angles = [_azimuth_dip(axis[:, i]) for i in (0, 1)]
    best, mean, cov = event.best_km, event.mean_km, covariance
    lines = [
        f'NLLOC "{event.id}" "LOCATED" "Location completed."',
        f"PUBLIC_ID {event.id.replace(' ', '_')}",
        f'SIGNATURE "jaxloc   obs:   NLLoc:jaxloc   run:{UTCDateTime().strftime("%d%b%Y %Hh%Mm%S")}"',
        'COMMENT ""',
        f"HYPOCENTER  x {best[0]:.6f} y {best[1]:.6f} z {best[2]:.6f}  OT {second:.6f}  ix -1 iy -1 iz -1",
        f"GEOGRAPHIC  OT {time.strftime('%Y %m %d  %H %M')} {second:.6f}  Lat {best_lat:.6f} Long {best_lon:.6f} "
        f"Depth {best[2]:.6f}",
        f"QUALITY  Pmax -1 MFmin -1 MFmax -1 RMS {rms_s:.6g} Nphs {len(event.picks)} Gap {event.gap_deg:.6g} Dist "
        f"{event.nearest_km:.6g} Mamp -9.90 0 Mdur -9.90 0",
        "VPVSRATIO  VpVsRatio -1  Npair 0  Diff -2e+30",
        f"STATISTICS  ExpectX {mean[0]:.6f} Y {mean[1]:.6f} Z {mean[2]:.6f}  CovXX {cov[0, 0]:.6g} XY {cov[0, 1]:.6g} "
        f"XZ {cov[0, 2]:.6g} YY {cov[1, 1]:.6g} YZ {cov[1, 2]:.6g} ZZ {cov[2, 2]:.6g} EllAz1  {angles[0][0]:.6g} Dip1  "
        f"{angles[0][1]:.6g} Len1  {length_km[0]:.6g} Az2  {angles[1][0]:.6g} Dip2  {angles[1][1]:.6g} Len2  "
        f"{length_km[1]:.6g} Len3  {length_km[2]:.6e}",
        f"STAT_GEOG  ExpectLat {mean_lat:.6f} Long {mean_lon:.6f} Depth {mean[2]:.6f}",
        f"TRANSFORM  {statement_of(projection)}",
        f"QML_OriginQuality  assocPhCt {len(event.picks)}  usedPhCt {len(event.picks)}  assocStaCt -1  usedStaCt "
        f"{len({pick.station for pick in event.picks})}  depthPhCt -1  stdErr {rms_s:.6g}  azGap {event.gap_deg:.6g}  "
        f"secAzGap -1  gtLevel -  minDist {event.nearest_km:.6g} maxDist -1 medDist -1",
        *_regions(covariance, projection.rotation_deg),
        "PHASE ID Ins Cmp On Pha  FM Date     HrMn   Sec     Err  ErrMag    Coda      Amp       Per       PriorWt  >   "
        "TTpred    Res       Weight    StaLoc(X  Y         Z)        SDist    SAzim  RAz  RDip RQual    Tcorr    TTerr",
        *(_phase(pick) for pick in event.picks),
        "END_PHASE",
        "END_NLLOC",
    ]
    return "\n".join(lines)


def _time(time_ns: int) -> tuple[UTCDateTime, float]:
    time = UTCDateTime(ns=time_ns)
    return time, time.second + (time_ns % 10**9) * 1e-9


def _azimuth_dip(axis: Float[np.ndarray, " 3"]) -> tuple[float, float]:
    """Degrees from y to x, and downwards."""
    return math.degrees(math.atan2(axis[0], axis[1])) % 360, math.degrees(math.asin(float(np.clip(axis[2], -1, 1))))


def _regions(covariance: Float[np.ndarray, "3 3"], rotation_deg: float) -> list[str]:
    """Ellipse and ellipsoid of 68.3 %, with azimuths from north."""
    angle = math.radians(rotation_deg)
    cos, sin = math.cos(angle), math.sin(angle)
    turn = np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]])
    covariance = turn @ covariance @ turn.T
    ellipse, ellipsoid = horizontal_ellipse(covariance, LEVEL), confidence_ellipsoid(covariance, LEVEL)
    return [
        f"QML_OriginUncertainty  horUnc -1  minHorUnc {ellipse.semi_minor_km:.6g}  maxHorUnc "
        f"{ellipse.semi_major_km:.6g}  azMaxHorUnc {ellipse.azimuth_deg:.6g}",
        f"QML_ConfidenceEllipsoid  semiMajorAxisLength {ellipsoid.semi_major_km:.6g}  semiMinorAxisLength "
        f"{ellipsoid.semi_minor_km:.6g}  semiIntermediateAxisLength {ellipsoid.semi_intermediate_km:.6g}  "
        f"majorAxisPlunge {ellipsoid.plunge_deg:.6g}  majorAxisAzimuth {ellipsoid.azimuth_deg:.6g}  "
        f"majorAxisRotation {quakeml_rotation_deg(ellipsoid):.6g}",
    ]


def _phase(pick: TimedPick) -> str:
    time, second = _time(pick.time_ns)
    return (
        f"{pick.station:<12} ?    ?    ? {pick.phase:<6} ? {time.strftime('%Y%m%d %H%M')} {second:9.4f} GAU "
        f"{pick.sigma_s:9.2e} -1.00e+00 -1.00e+00 -1.00e+00    1.0000 > {pick.travel_s:9.4f} {pick.residual_s:9.4f}    "
        "1.0000    0.0000    0.0000    0.0000    0.0000   0.00   0.0   0.0  0     0.0000    0.0000"
    )
