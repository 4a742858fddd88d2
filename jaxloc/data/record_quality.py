"""Samples of continuous records that are no measurements of the ground: spikes, clipped tops, gaps and what is near.

Gaps, padding and constant runs are those of `jaxloc.data.gaps`.
"""

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

SPIKE_SCALE, SPIKE_ISOLATION = 25.0, 8.0
"""A spike stands out by so many times the usual size of its second, and of what is next to it."""
NEAREST, FARTHEST = 4, 14
"""Samples on either side that a spike is compared with; those between feel it."""
MOST_SPIKES = 1e-3
"""Share of samples; a record with more has no isolated spikes, it is of another kind."""
FLAT, HIGH = 3, 0.5
"""A clipped top has so many equal samples at the extreme value, which lies so far from the median towards the peak."""
MANY_STEPS = 1000
"""Quantisation steps between the extremes of a record that can be clipped: quiet ones have equal samples anyway."""


def spikes(samples: Float[np.ndarray, " sample"], rate_hz: float) -> Bool[np.ndarray, " sample"]:
    """True at isolated values of one or two samples, which no filter has seen yet.

    They differ from the median of five samples by much more than samples usually differ, within their second and next
    to them, from the mean of those two samples away: an onset, which goes on, is none, nor is the crest of a wave.

    Args:
        samples: of one channel; missing ones are left out, and its parts put together.
        rate_hz: their rate.
    """
    found = np.zeros(len(samples), bool)
    if len(samples) < 2 * FARTHEST:
        return found
    away = np.abs(samples - ndimage.median_filter(samples, 5, mode="nearest"))
    rough = np.abs(ndimage.correlate1d(samples, np.array([-0.5, 0.0, 1.0, 0.0, -0.5]), mode="nearest"))
    block = max(round(rate_hz), 2 * FARTHEST)
    whole = np.pad(rough, (0, -len(rough) % block), mode="edge").reshape(-1, block)
    usual = np.repeat(np.quantile(whole, 0.75, axis=1), block)[: len(rough)]
    steps = np.abs(np.diff(samples))
    smallest = float(steps.min(initial=np.inf, where=steps > 0))
    candidates = np.flatnonzero(away > SPIKE_SCALE * np.maximum(usual, smallest))
    if not 0 < len(candidates) <= MOST_SPIKES * len(samples) + 1:
        return found
    offsets = np.arange(NEAREST, FARTHEST + 1)
    near = candidates[:, None] + np.concatenate([-offsets, offsets])
    around = rough[np.clip(near, 0, len(rough) - 1)].max(1)
    found[candidates[away[candidates] > SPIKE_ISOLATION * around]] = True
    return found


def clipped(
    samples: Float[np.ndarray, " sample"], recorded: Bool[np.ndarray, " sample"]
) -> Bool[np.ndarray, " sample"]:
    """True in runs of equal samples at the largest or smallest value of a record that reaches far: flat tops."""
    out = np.zeros(len(samples), bool)
    inside = samples[recorded]
    if len(inside) < FLAT or np.ptp(inside) == 0:
        return out
    steps = np.abs(np.diff(inside))
    smallest = float(steps[steps > 0].min())
    if np.ptp(inside) < MANY_STEPS * smallest:
        return out
    middle = float(np.median(inside))
    peak = float(np.abs(inside - middle).max())
    for extreme in (float(inside.max()), float(inside.min())):
        if abs(extreme - middle) >= HIGH * peak:
            out |= _runs_of((samples == extreme) & recorded, FLAT)
    return out


def _runs_of(true: Bool[np.ndarray, " sample"], length: int) -> Bool[np.ndarray, " sample"]:
    """Only those runs of True that have `length` samples or more."""
    return ndimage.binary_opening(true, np.ones(length, bool))


def without_short_gaps(recorded: Bool[np.ndarray, "*batch sample"], most: int) -> Bool[np.ndarray, "*batch sample"]:
    """Gaps of up to `most` samples between recorded ones count as recorded: they are bridged."""
    if most < 1 or recorded.all():
        return recorded
    out = recorded.copy()
    for at in np.ndindex(recorded.shape[:-1]):
        edges = np.diff(np.concatenate([[1], recorded[at].astype(np.int8), [1]]))
        begins, ends = np.flatnonzero(edges == -1), np.flatnonzero(edges == 1)
        for begin, end in zip(begins, ends, strict=True):
            if end - begin <= most and begin > 0 and end < recorded.shape[-1]:
                out[at][begin:end] = True
    return out


def seconds_from_missing(recorded: Bool[np.ndarray, " sample"], rate_hz: float) -> Float[np.ndarray, " sample"]:
    """How far each sample is from the nearest missing one, in s; zero at those, infinite where none is missing.

    The ends of the record are no gaps: what lies beyond them is not known.
    """
    if recorded.all():
        return np.full(len(recorded), np.inf)
    return np.asarray(ndimage.distance_transform_edt(recorded), float) / rate_hz


def without_drift(
    samples: Float[np.ndarray, "*batch sample"], there: Bool[np.ndarray, " sample"], length: int
) -> Float[np.ndarray, "*batch sample"]:
    """Samples less the mean of those that are there within `length` samples around each; zero where none is.

    The mean is one of means of means over a third of the length each. A plain one jumps half its length before a strong
    onset, which looks like a weak onset there.
    """
    once = lambda x: ndimage.uniform_filter1d(x, max(length // 3, 1), axis=-1, mode="constant")
    mean = lambda x: once(once(once(np.asarray(x, float))))
    around = mean(samples * there) / np.maximum(mean(there), 0.5 / length)
    return ((samples - around) * there).astype(samples.dtype)


def tapered(
    samples: Float[np.ndarray, " sample"], away_s: Float[np.ndarray, " sample"], length_s: float
) -> Float[np.ndarray, " sample"]:
    """Samples that go to zero towards missing ones as a cosine over `length_s`.

    Args:
        samples: of one component.
        away_s: `seconds_from_missing` of them.
        length_s: of the taper.
    """
    near = away_s < length_s
    if not near.any():
        return samples
    out = samples.copy()
    out[near] *= 0.5 - 0.5 * np.cos(np.pi * away_s[near] / length_s)
    return out
