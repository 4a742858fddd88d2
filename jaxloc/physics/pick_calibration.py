"""Recalibration of picks: probabilities and standard deviations that hold on simulated records of known arrivals.

The odds of a pick become a constant times powers of the picker's p and 1 - p (Kull, Silva Filho & Flach 2017, AISTATS,
"Beta calibration"), its standard deviation a constant times a power of the picker's; both keep their order.
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
LEAST, MOST = 1e-6, 1 - 1e-6  # probabilities whose logarithms are taken


class PhaseCalibration(NamedTuple):
    """Of one phase.

    Attributes:
        offset, of_p, of_rest: logit p becomes offset + of_p log p - of_rest log (1 - p).
        log_scale, exponent: sigma becomes exp(log_scale) sigma ** exponent, in s.
    """

    offset: float = 0.0
    of_p: float = 1.0
    of_rest: float = 1.0
    log_scale: float = 0.0
    exponent: float = 1.0


Calibration = tuple[PhaseCalibration, ...]
"""One for each of `PHASES`."""

NONE: Calibration = tuple(PhaseCalibration() for _ in PHASES)


def recalibrated(picks: RatePicks, calibration: Calibration) -> RatePicks:
    """Picks with the probability and standard deviation that hold."""
    offset, of_p, of_rest, log_scale, exponent = np.array(calibration)[picks.phase].T
    logit = offset + of_p * np.log(_inside(picks.probability)) - of_rest * np.log1p(-_inside(picks.probability))
    sigma_s = np.maximum(np.exp(log_scale + exponent * np.log(picks.sigma_s)), LEAST_SIGMA_S)
    return picks._replace(probability=1 / (1 + np.exp(-logit)), sigma_s=sigma_s)


def least_before(calibration: Calibration, least_probability: float) -> float:
    """The probability of the picker from which on a pick of some phase can have `least_probability`."""
    tried = np.linspace(0.0, 1.0, 1001)[1:-1]
    zero = np.zeros(len(tried))
    after = [
        recalibrated(RatePicks(zero.astype(int) + phase, zero, zero + 1, tried), calibration).probability
        for phase in range(len(PHASES))
    ]
    return float(tried[np.searchsorted(np.max(after, axis=0), least_probability).clip(1, len(tried)) - 1])


def _inside(probability: Float[np.ndarray, " pick"]) -> Float[np.ndarray, " pick"]:
    return np.clip(probability, LEAST, MOST)


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
