"""Calibration of the log odds of events, which are computed as if picks were independent and learnt rates known.

Stations whose travel times are wrong together, and rates learnt from the events that they score, make computed odds too
large. The calibrated log odds are a + b times the square root of them, plus the log odds that a pick has an event at
all: where few picks have one, what looks like a weak event is more often chance. Both numbers were fitted by maximum
likelihood to simulated days of records (`python -m jaxloc.studies.association_odds`), of which an event is real where
it matches a source within 3 s and 20 km.
"""

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import minimize
from scipy.special import logit

INTERCEPT, SLOPE = 1.209, 0.5194
LEAST_SHARE, MOST_SHARE = 0.001, 0.99
Share = float | Float[np.ndarray, " event"]


def calibrated(log_odds: Float[np.ndarray, " event"], share: Share) -> Float[np.ndarray, " event"]:
    """Calibrated log odds of computed ones, where this share of all picks has an event."""
    return INTERCEPT + SLOPE * _root(log_odds) + _before(share)


def computed(log_odds: Float[np.ndarray, " event"], share: Share) -> Float[np.ndarray, " event"]:
    """The log odds that were calibrated."""
    root = (log_odds - INTERCEPT - _before(share)) / SLOPE
    return np.sign(root) * root**2


def _before(share: Share) -> Share:
    """Log odds that a pick has an event."""
    return logit(np.clip(share, LEAST_SHARE, MOST_SHARE))


def _root(log_odds: Float[np.ndarray, " event"]) -> Float[np.ndarray, " event"]:
    """Square root with the sign of its argument."""
    return np.sign(log_odds) * np.sqrt(np.abs(log_odds))


def fit_calibration(
    log_odds: Float[np.ndarray, " event"], share: Share, real: Bool[np.ndarray, " event"]
) -> tuple[float, float]:
    """Intercept and slope of a logistic regression of what is real on the square root of computed log odds.

    Args:
        log_odds: computed.
        share: of the picks of each event's day that have an event.
        real: the outcome.

    Raises:
        ValueError: where all events are real or none is, or computed odds do not rank them.
    """
    if real.all() or not real.any():
        raise ValueError(f"events must be real and false ones, got {int(real.sum())} real ones of {len(real)}")
    sign, root, before = np.where(real, -1.0, 1.0), _root(log_odds), _before(share)
    loss = lambda both: np.logaddexp(0.0, sign * (both[0] + both[1] * root + before)).sum()
    intercept, slope = minimize(loss, np.array([0.0, 0.1]), method="Nelder-Mead").x
    if not slope > 0:
        raise ValueError(f"log odds must be larger for real events, got a slope of {slope:.3g}")
    return float(intercept), float(slope)
