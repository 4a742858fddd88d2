"""Scores of locations with normal posteriors in closed form: the values that `jaxloc.scores.events` samples.

In double precision and without compiling, for the thousands of locations of other programs.
"""

import math

import numpy as np
import scipy.stats
from jaxtyping import Bool, Float
from scipy.special import ndtr

from jaxloc.scores.events import COORDINATE_REGIONS, REGIONS, SPACE_REGIONS
from jaxloc.types import LEVELS

NODES = np.arange(-40.0, 40.25, 0.5)  # of log t; the sum is that of the integral to about 1e-8
UNIT_BALL = (1.0, 2.0, math.pi, 4 / 3 * math.pi, math.pi**2 / 2)  # volume by dimension


def score_gaussian_events(
    mean: Float[np.ndarray, "event 4"],
    covariance: Float[np.ndarray, "event 4 4"],
    truth: Float[np.ndarray, "event 4"],
    known: Bool[np.ndarray, "event 4"],
) -> dict[str, Float[np.ndarray, " event"]]:
    """Scores as `jaxloc.scores.events.score_events` names them, of normal posteriors over east, north, depth, origin.

    Args:
        mean: of the posteriors, in km and s.
        covariance: positive definite; all of it is aleatoric.
        truth: true hypocentres and origin times.
        known: which coordinates the scores may use; others are NaN in them.
    """
    scores: dict[str, np.ndarray] = {}
    error = np.asarray(mean, float) - truth
    for region, dims in REGIONS.items():
        index = list(dims)
        part = covariance[:, index][:, :, index]
        found = _density_scores(error[:, index], part) | _error_scores(region, error[:, index], part)
        seen = known[:, index].all(1)
        scores |= {f"{region}/{name}": np.where(seen, value, np.nan) for name, value in found.items()}
        if len(dims) < 4:
            scores[f"{region}/stated"] = np.sqrt(np.trace(part, axis1=1, axis2=2))
            scores[f"{region}/epistemic_share"] = np.zeros(len(part))
        scores[f"{region}/known"] = seen.astype(float)
    return scores


def _density_scores(error: Float[np.ndarray, "event d"], covariance: Float[np.ndarray, "event d d"]) -> dict:
    """Negative log-likelihood, level of the truth, and sizes of regions of highest density."""
    size = error.shape[1]
    squared = np.einsum("ei,ei->e", error, np.linalg.solve(covariance, error[..., None])[..., 0])
    _, log_determinant = np.linalg.slogdet(covariance)
    found = {
        "nll": 0.5 * (squared + log_determinant + size * math.log(2 * math.pi)),
        "level": scipy.stats.chi2.cdf(squared, size),
    }
    for level in LEVELS:
        radius = math.sqrt(scipy.stats.chi2.ppf(level, size))
        found[f"width{round(100 * level)}"] = UNIT_BALL[size] * radius**size * np.exp(0.5 * log_determinant)
    return found


def _error_scores(region: str, error: Float[np.ndarray, "event d"], covariance: Float[np.ndarray, "event d d"]) -> dict:
    if region in COORDINATE_REGIONS:
        sd, apart = np.sqrt(covariance[:, 0, 0]), error[:, 0]
        found = {"error": apart, "crps": normal_crps(apart, sd, 0.0), "pit": ndtr(-apart / sd)}
        return found | ({"mode_error": apart} if region == "depth" else {})
    if region in SPACE_REGIONS:
        distance = np.linalg.norm(error, axis=1)
        return {"error": distance, "mode_error": distance, "energy": energy_score(error, covariance)}
    return {}


def normal_crps(
    mean: Float[np.ndarray, " event"] | float,
    sd: Float[np.ndarray, " event"] | float,
    truth: Float[np.ndarray, " event"] | float,
) -> Float[np.ndarray, " event"]:
    """The continuous ranked probability score of normals (Gneiting and others 2005, eq. 5), in the unit of truth."""
    z = (truth - mean) / sd
    return sd * (z * (2 * ndtr(z) - 1) + 2 * scipy.stats.norm.pdf(z) - 1 / math.sqrt(math.pi))


def energy_score(
    error: Float[np.ndarray, "event d"], covariance: Float[np.ndarray, "event d d"]
) -> Float[np.ndarray, " event"]:
    """The energy score of normal distributions, `error` from the truth (Gneiting and Raftery 2007, section 4.3)."""
    variance, directions = np.linalg.eigh(covariance)
    shift = np.einsum("ei,eij->ej", error, directions)
    # The difference of two independent samples has twice the variance and no mean.
    return expected_norm(shift, variance) - 0.5 * expected_norm(np.zeros_like(shift), 2 * variance)


def expected_norm(
    mean: Float[np.ndarray, "event d"], variance: Float[np.ndarray, "event d"]
) -> Float[np.ndarray, " event"]:
    """Expected length of normal vectors of independent components.

    With Q the squared length, E sqrt(Q) = 1 / (2 sqrt(pi)) times the integral of (1 - E exp(-t Q)) t^(-3/2) over
    positive t, whose expectation is known (Mathai and Provost 1992, section 3.2b); by the trapezoidal rule in log t.
    """
    scale = (mean**2 + variance).sum(1)
    total = np.zeros(len(mean))
    for node in NODES:
        t = math.exp(node)
        widened = 1 + 2 * t * variance / scale[:, None]
        exponent = -(t * mean**2 / scale[:, None] / widened + 0.5 * np.log(widened)).sum(1)
        total -= np.expm1(exponent) / math.sqrt(t)
    return np.sqrt(scale) * total * (NODES[1] - NODES[0]) / (2 * math.sqrt(math.pi))
