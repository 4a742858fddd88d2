"""Features of consecutive periods for a recurrent network: standardised, unknown ones masked."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxloc.forecasting.indicators import Indicators, features


class Standard(NamedTuple):
    """Mean and standard deviation of each feature over training periods where it is known."""

    mean: Float[np.ndarray, " feature"]
    sd: Float[np.ndarray, " feature"]


def standard_of(found: Indicators) -> Standard:
    """Of the indicators of training periods, [..., 8]; mean 0 and deviation 1 where never known."""
    values = np.where(found.known, features(found), np.nan).reshape(-1, found.value.shape[-1])
    number = np.isfinite(values).sum(0)
    mean = np.nansum(values, 0) / np.maximum(number, 1)
    sd = np.sqrt(np.nansum((values - mean) ** 2, 0) / np.maximum(number, 1))
    return Standard(mean, np.where(sd > 1e-6, sd, 1.0))


def inputs(
    found: Indicators, feedback: Float[np.ndarray, "*window feature"], standard: Standard, published: bool
) -> Float[np.ndarray, "*window feature"]:
    """As published the eight indicators alone; otherwise with their mask and the outcomes (`feedback`)."""
    values = np.where(found.known, (features(found) - standard.mean) / standard.sd, 0.0)
    values = np.clip(values, -5, 5)
    parts = [values] if published else [values, found.known, feedback]
    return np.concatenate(parts, -1).astype(np.float32)


def stacked(found: list[Indicators]) -> Indicators:
    """Indicators of several windows."""
    return Indicators(np.stack([x.value for x in found]), np.stack([x.known for x in found]))


def stretches(values: Float[np.ndarray, "period *more"], memory: int) -> Float[np.ndarray, "period memory *more"]:
    """The last `memory` periods of each period, itself included; zeros before the first."""
    padded = np.concatenate([np.zeros((memory - 1, *values.shape[1:]), values.dtype), values])
    return np.stack([padded[i : i + memory] for i in range(len(values))])
