"""Which samples of a record are measurements: gaps, padding, channels without signal.

Data centres and programs fill what was not recorded with NaN, zeros or the last value. All of these are missing
samples here: means and trends are taken from recorded samples alone, missing ones are bridged before a filter sees
them, and come out as zero with their mask False.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

END_RUN, INNER_RUN = 10, 20
"""Equal samples in a row that count as missing: at either end of a record, and within it."""
NEIGHBOURS = 20
LARGEST_QUIET_STEPS = 5
"""A run is quantised noise, not a gap, where its neighbours differ from it by at most so many quantisation steps."""
SMALLEST_SHARE = 0.05
"""Runs that leave less of a record than this are a noise-free signal, not padding."""
CLIPPED_SHARE = 0.25
AMPLITUDES = (1e-25, 1e15)
"""Peak amplitudes of a seismometer's record, in m/s or counts, lie well within these."""


def recorded_samples(
    waveforms: Float[np.ndarray, "trace component sample"], num_valid: Int[np.ndarray, " trace"] | None = None
) -> Bool[np.ndarray, "trace component sample"]:
    """True where a sample is a measurement: finite, within the trace's `num_valid` samples, in no constant run.

    A constant run is missing where it reaches either end of the record (`END_RUN` samples) or lies within it
    (`INNER_RUN`), unless its neighbours show that the signal is no larger than the quantisation step, or that it was
    clipped there. A channel that is constant throughout is kept: `silent_reasons` names it.
    """
    recorded = np.isfinite(waveforms)
    length = waveforms.shape[-1]
    if num_valid is not None:
        recorded &= (np.arange(length) < num_valid[:, None])[:, None, :]
    if length <= END_RUN:
        return recorded
    equal = (waveforms[..., 1:] == waveforms[..., :-1]) & recorded[..., 1:]
    for shift in (1, 2, 4, 1):  # True in the end where END_RUN - 1 pairs in a row are equal
        equal = equal[..., shift:] & equal[..., :-shift]
    suspect = equal.any(-1)
    for trace, component in np.argwhere(suspect):
        at = (trace, component)
        recorded[at] &= ~_missing_runs(waveforms[at], recorded[at])
    return recorded


def _missing_runs(
    x: Float[np.ndarray, " sample"], recorded: Bool[np.ndarray, " sample"]
) -> Bool[np.ndarray, " sample"]:
    missing = np.zeros(len(x), bool)
    inside = np.flatnonzero(recorded)
    if not len(inside) or np.ptp(x[inside]) == 0:
        return missing
    steps = np.abs(np.diff(x[inside]))
    quiet = LARGEST_QUIET_STEPS * np.quantile(steps[steps > 0], 0.1)
    for begin, end in _runs(x, recorded):
        at_end = begin == inside[0] or end == inside[-1] + 1
        if end - begin < (END_RUN if at_end else INNER_RUN):
            continue
        sides = [x[max(begin - NEIGHBOURS, inside[0]) : begin], x[end : min(end + NEIGHBOURS, inside[-1] + 1)]]
        sides = [side[np.isfinite(side)] for side in sides]
        loud = all(np.abs(side - x[begin]).max() > quiet for side in sides if len(side))
        if loud and (at_end or not _clipped_run(x, begin, end, sides, x[inside])):
            missing[begin:end] = True
    enough = (recorded & ~missing).sum() >= SMALLEST_SHARE * len(inside)
    return missing if enough else np.zeros(len(x), bool)


def _runs(x: Float[np.ndarray, " sample"], recorded: Bool[np.ndarray, " sample"]) -> Int[np.ndarray, "run 2"]:
    """First and last + 1 sample of each run of `END_RUN` or more equal samples."""
    equal = (x[1:] == x[:-1]) & recorded[1:] & recorded[:-1]
    edges = np.diff(np.concatenate([[0], equal.astype(np.int8), [0]]))
    runs = np.stack([np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) + 1], -1)
    return runs[runs[:, 1] - runs[:, 0] >= END_RUN]


def _clipped_run(x: np.ndarray, begin: int, end: int, sides: list[np.ndarray], whole: np.ndarray) -> bool:
    """A run at the largest or smallest value, which the signal reaches and leaves without a jump."""
    if x[begin] not in (whole.max(), whole.min()):
        return False
    typical = np.median(np.concatenate([np.abs(np.diff(side)) for side in sides] or [np.zeros(1)]))
    jump = max(abs(x[begin - 1] - x[begin]), abs(x[end] - x[begin]))
    return bool(jump <= 5 * typical)


def silent_reasons(
    waveforms: Float[np.ndarray, "trace component sample"], recorded: Bool[np.ndarray, "trace component sample"]
) -> np.ndarray:
    """Why a channel holds no signal, [trace, component]: a word, or "" where it holds one.

    "empty": nothing recorded. "zero", "constant": one value throughout. "clipped": more than a quarter of the samples
    at the largest and smallest value. "too small", "too large": a peak amplitude that no seismometer gives.
    """
    number = recorded.sum(-1)
    largest = np.max(waveforms, axis=-1, initial=-np.inf, where=recorded)
    smallest = np.min(waveforms, axis=-1, initial=np.inf, where=recorded)
    at_extremes = (recorded & ((waveforms == largest[..., None]) | (waveforms == smallest[..., None]))).sum(-1)
    with np.errstate(over="ignore", invalid="ignore"):
        half_range = largest.astype(np.float64) / 2 - smallest.astype(np.float64) / 2
    return np.select(
        [
            number == 0,
            (largest == smallest) & (largest == 0),
            largest == smallest,
            half_range < AMPLITUDES[0],
            np.maximum(np.abs(largest), np.abs(smallest)) > AMPLITUDES[1],
            (at_extremes > CLIPPED_SHARE * number) & (number > 2 * END_RUN),
        ],
        ["empty", "zero", "constant", "too small", "too large", "clipped"],
        "",
    )


def is_silent(waveforms: Float[np.ndarray, "*batch component sample"]) -> Bool[np.ndarray, "*batch"]:
    """True where all components of a processed trace are zero throughout."""
    return ~np.any(waveforms != 0, axis=(-2, -1))


def demean(
    waveforms: Float[np.ndarray, "trace component sample"], recorded: Bool[np.ndarray, "trace component sample"]
) -> Float[np.ndarray, "trace component sample"]:
    """Subtract the mean of the recorded samples from each channel; the others become zero."""
    if recorded.all():
        return waveforms - waveforms.mean(-1, keepdims=True, dtype=np.float64).astype(waveforms.dtype)
    count = np.maximum(recorded.sum(-1, keepdims=True), 1)
    mean = np.sum(waveforms, axis=-1, keepdims=True, where=recorded, dtype=np.float64) / count
    return np.where(recorded, waveforms - mean.astype(waveforms.dtype), 0).astype(waveforms.dtype)


def bridged(
    waveforms: Float[np.ndarray, "*batch sample"], recorded: Bool[np.ndarray, "*batch sample"]
) -> Float[np.ndarray, "*batch sample"]:
    """Missing samples on a straight line between the recorded ones beside them; held constant beyond the ends."""
    incomplete = np.argwhere(recorded.any(-1) & ~recorded.all(-1))
    if not len(incomplete):
        return waveforms
    waveforms, sample = waveforms.copy(), np.arange(waveforms.shape[-1])
    for at in map(tuple, incomplete):
        there = recorded[at]
        waveforms[at] = np.interp(sample, sample[there], waveforms[at][there])
    return waveforms
