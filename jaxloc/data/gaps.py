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
SMALLEST_STEP = 0.05
"""Of the median step near a run: a gap begins and ends with larger ones."""
SMALLEST_SHARE = 0.05
"""Runs that leave less of a record than this are a noise-free signal, not padding."""
CLIPPED_SHARE, CLIPPED_EACH = 0.25, 0.05
"""Samples at the largest and the smallest value together, and at each of them, from which on a channel is clipped."""
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
    """True in the constant runs of one channel that are no measurements."""
    missing, nothing = np.zeros(len(x), bool), np.zeros(len(x), bool)
    inside = np.flatnonzero(recorded)
    if not len(inside) or np.ptp(x[inside]) == 0:
        return nothing
    steps = np.abs(np.diff(x[inside]))
    quiet = LARGEST_QUIET_STEPS * float(np.quantile(steps[steps > 0], 0.1))
    limits = int(inside[0]), int(inside[-1]) + 1
    for begin, end in _runs(x, recorded).tolist():
        at_end = begin == limits[0] or end == limits[1]
        if end - begin >= (END_RUN if at_end else INNER_RUN) and _is_gap(x, begin, end, limits, quiet):
            clipped = not at_end and _is_clipped(x, begin, end, x[inside])
            missing[begin:end] = not clipped
    enough = (recorded & ~missing).sum() >= SMALLEST_SHARE * len(inside)
    return missing if enough else nothing


def _is_gap(x: Float[np.ndarray, " sample"], begin: int, end: int, limits: tuple[int, int], quiet: float) -> bool:
    """Whether the samples next to a run are of a signal that does not pass into it quietly or smoothly.

    On either side they must differ from the run by more than `quiet`, and not leave or reach its value in steps much
    smaller than their later ones, as a signal without noise does.
    """
    sides = x[max(begin - NEIGHBOURS, limits[0]) : begin][::-1], x[end : min(end + NEIGHBOURS, limits[1])]
    away = [np.abs(side[np.isfinite(side)] - x[begin]) for side in sides]
    return all(side.max() > quiet and not _is_smooth(side) for side in away if len(side))


def _is_smooth(away: Float[np.ndarray, " sample"]) -> bool:
    return len(away) > 3 and bool(away[:3].max() < SMALLEST_STEP * np.median(np.abs(np.diff(away))))


def _runs(x: Float[np.ndarray, " sample"], recorded: Bool[np.ndarray, " sample"]) -> Int[np.ndarray, "run 2"]:
    """First and last + 1 sample of each run of `END_RUN` or more equal samples."""
    equal = (x[1:] == x[:-1]) & recorded[1:] & recorded[:-1]
    edges = np.diff(np.concatenate([[0], equal.astype(np.int8), [0]]))
    runs = np.stack([np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) + 1], -1)
    return runs[runs[:, 1] - runs[:, 0] >= END_RUN]


def _is_clipped(x: Float[np.ndarray, " sample"], begin: int, end: int, whole: Float[np.ndarray, " recorded"]) -> bool:
    """Whether a run is at the largest or smallest value, and the signal reaches and leaves it without a jump."""
    if x[begin] not in (whole.max(), whole.min()):
        return False
    adjacent = [x[max(begin - NEIGHBOURS, 0) : begin], x[end : end + NEIGHBOURS]]
    typical = np.nanmedian(np.concatenate([np.abs(np.diff(side)) for side in adjacent]))
    return bool(max(abs(x[begin - 1] - x[begin]), abs(x[end] - x[begin])) <= 5 * typical)


def silent_reasons(
    waveforms: Float[np.ndarray, "trace component sample"], recorded: Bool[np.ndarray, "trace component sample"]
) -> np.ndarray:
    """Why a channel has no signal, [trace, component]: a word, or "" where it has one.

    "empty": nothing recorded. "zero", "constant": one value throughout. "clipped": more than a quarter of the samples
    at the largest and smallest value, some at either. "too small", "too large": a peak amplitude that no seismometer
    gives.
    """
    number = recorded.sum(-1)
    largest = np.max(waveforms, axis=-1, initial=-np.inf, where=recorded)
    smallest = np.min(waveforms, axis=-1, initial=np.inf, where=recorded)
    at_top, at_bottom = ((recorded & (waveforms == rail[..., None])).sum(-1) for rail in (largest, smallest))
    clipped = (at_top + at_bottom > CLIPPED_SHARE * number) & (np.minimum(at_top, at_bottom) > CLIPPED_EACH * number)
    with np.errstate(over="ignore", invalid="ignore"):
        half_range = largest.astype(np.float64) / 2 - smallest.astype(np.float64) / 2
    return np.select(
        [
            number == 0,
            (largest == smallest) & (largest == 0),
            largest == smallest,
            half_range < AMPLITUDES[0],
            np.maximum(np.abs(largest), np.abs(smallest)) > AMPLITUDES[1],
            clipped & (number > 2 * END_RUN),
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
    """Missing samples on a straight line between the adjacent recorded ones; constant beyond the ends."""
    incomplete = np.argwhere(recorded.any(-1) & ~recorded.all(-1))
    if not len(incomplete):
        return waveforms
    waveforms, sample = waveforms.copy(), np.arange(waveforms.shape[-1])
    for at in map(tuple, incomplete):
        there = recorded[at]
        waveforms[at] = np.interp(sample, sample[there], waveforms[at][there])
    return waveforms
