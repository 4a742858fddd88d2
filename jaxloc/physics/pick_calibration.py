"""Recalibration of picks: probabilities and standard deviations that hold on simulated records of known arrivals.

The odds of a pick become a power of the picker's times a constant (Platt 1999, "Probabilistic outputs for support
vector machines"), as does its standard deviation; both keep their order.
"""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxloc.physics.rate_picks import RatePicks
from jaxloc.types import PHASES

LEAST_SIGMA_S = 0.01
"""No calibrated standard deviation is smaller: half of a sample of the network."""
LEAST, MOST = 1e-6, 1 - 1e-6  # probabilities whose logit is taken


class PhaseCalibration(NamedTuple):
    """Of one phase: logit p -> `offset + slope logit p`, and sigma -> exp(`log_scale`) sigma ** `exponent`, in s."""

    offset: float = 0.0
    slope: float = 1.0
    log_scale: float = 0.0
    exponent: float = 1.0


Calibration = tuple[PhaseCalibration, ...]
"""One for each of `PHASES`."""

NONE: Calibration = tuple(PhaseCalibration() for _ in PHASES)


def recalibrated(picks: RatePicks, calibration: Calibration) -> RatePicks:
    """Picks with the probability and standard deviation that hold."""
    offset, slope, log_scale, exponent = np.array(calibration)[picks.phase].T.reshape(4, -1)
    logit = offset + slope * logits(picks.probability)
    sigma_s = np.maximum(np.exp(log_scale + exponent * np.log(picks.sigma_s)), LEAST_SIGMA_S)
    return picks._replace(probability=1 / (1 + np.exp(-logit)), sigma_s=sigma_s)


def least_before(calibration: Calibration, least_probability: float) -> float:
    """The probability of the picker from which on a pick of any phase can have `least_probability`."""
    logit = logits(np.array([least_probability]))[0]
    return float(min(1 / (1 + np.exp(-(logit - each.offset) / each.slope)) for each in calibration))


def logits(probability: Float[np.ndarray, " pick"]) -> Float[np.ndarray, " pick"]:
    """Logarithms of the odds."""
    inside = np.clip(probability, LEAST, MOST)
    return np.log(inside) - np.log1p(-inside)


def calibration_text(calibration: Calibration, about: dict) -> bytes:
    """The text of a file with a calibration, and what it was fitted to."""
    values = {phase: each._asdict() for phase, each in zip(PHASES, calibration, strict=True)}
    return (json.dumps({"about": about, "phases": values}, indent=1) + "\n").encode()


def read_calibration(path: Path) -> Calibration:
    """What `calibration_text` gives; `NONE` where there is no such file.

    Raises:
        ValueError: where the file has no calibration of every phase; names it.
    """
    if not path.is_file():
        return NONE
    try:
        values = json.loads(path.read_text())["phases"]
        return tuple(PhaseCalibration(**values[phase]) for phase in PHASES)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} has no calibration of picks ({error}); write it again") from error
