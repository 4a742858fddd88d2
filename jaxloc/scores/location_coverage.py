"""Whether regions of reported covariances cover true hypocentres, and how large they are."""

import numpy as np
from jaxtyping import Float
from scipy.special import gamma
from scipy.stats import chi2

from jaxloc.scores.detections import share
from jaxloc.types import LEVELS

PARTS = {"epicentre": (0, 1), "depth": (2,), "hypocentre": (0, 1, 2), "origin time": (3,)}


def location_coverage(
    located: Float[np.ndarray, "event 4"],
    covariance: Float[np.ndarray, "event 4 4"],
    truth: Float[np.ndarray, "event 4"],
) -> dict[str, dict[str, object]]:
    """Errors, coverage of normal regions at `jaxloc.types.LEVELS`, and the size of the 90 % region, by part.

    The size is a median: half a length in km or s, an area in km2, a volume in km3. Events whose covariance of a part
    is unknown are left out of its coverage; `events` has the number of the others.
    """
    return {name: _part(located - truth, covariance, list(axes)) for name, axes in PARTS.items()}


def _part(
    error: Float[np.ndarray, "event 4"], covariance: Float[np.ndarray, "event 4 4"], axes: list[int]
) -> dict[str, object]:
    error, covariance = error[:, axes], covariance[np.ix_(range(len(error)), axes, axes)]
    length = np.linalg.norm(error, axis=-1)
    length = length[np.isfinite(length)]
    quantiles = np.quantile(length, [0.5, 0.9]).tolist() if len(length) else [np.nan, np.nan]
    known = np.flatnonzero(np.isfinite(error).all(-1) & np.isfinite(covariance).all((-1, -2)))
    known = known[np.linalg.eigvalsh(covariance[known])[:, 0] > 0]
    error, covariance = error[known], covariance[known]
    squared = (
        np.einsum("ei,ei->e", error, np.linalg.solve(covariance, error[..., None])[..., 0])
        if len(error)
        else error[:, 0]
    )
    d = len(axes)
    inside = {
        f"{level:g}": share(int((squared <= chi2.ppf(level, d)).sum()), len(squared))._asdict() for level in LEVELS
    }
    unit_ball = np.pi ** (d / 2) / gamma(d / 2 + 1) if d > 1 else 1.0
    size = unit_ball * np.sqrt(chi2.ppf(0.9, d) ** d * np.linalg.det(covariance)) if len(error) else np.array([np.nan])
    return {
        "events": len(squared),
        "median error": quantiles[0],
        "90 % of errors below": quantiles[1],
        "coverage": inside,
        "median size of 90 % region": float(np.median(size)),
    }
