"""Records as PAL's picker wants them: whole, without trend, tapered and filtered (Zhou and others 2022, SRL 93)."""

import numpy as np
from jaxtyping import Float, Int
from scipy import signal

from jaxloc.data.preprocessing import bandpass

TAPER_SHARE = 0.05
FEWEST_EQUAL = 3  # differences of zero in a row that make a gap
BELOW_NYQUIST = 0.95


def prepared(
    record: Float[np.ndarray, "component sample"],
    rate_hz: float,
    bandpass_hz: tuple[float, float],
    taper_s: float,
    longest_fill_s: float,
) -> Float[np.ndarray, "component sample"]:
    """A record with gaps and lacking components filled, without trend, tapered at its ends, and filtered (causal).

    Args:
        record: of one station. Samples that are not finite count as zero.
        rate_hz: sampling rate.
        bandpass_hz: corners of the Butterworth filter of order 4; the upper one is lowered to 0.95 of the Nyquist
            frequency where it is above that.
        taper_s: longest taper; it is 5 % of the record at each end at most.
        longest_fill_s: of data that are repeated in a gap.

    Raises:
        ValueError: where the lower corner is not below the upper one; or as `jaxloc.data.preprocessing.check_band`.
    """
    whole = with_all_components(np.nan_to_num(np.asarray(record, float), nan=0.0, posinf=0.0, neginf=0.0))
    filled = np.stack([gaps_filled(trace, round(longest_fill_s * rate_hz)) for trace in whole])
    tapered = signal.detrend(filled) * _taper(filled.shape[-1], taper_s * rate_hz)
    low_hz, high_hz = bandpass_hz
    return bandpass(tapered, rate_hz, (low_hz, min(high_hz, BELOW_NYQUIST * rate_hz / 2)))


def with_all_components(record: Float[np.ndarray, "component sample"]) -> Float[np.ndarray, "component sample"]:
    """A component that is all zero becomes a copy of the first that is not."""
    there = (record != 0).any(-1)
    return np.where(there[:, None], record, record[there.argmax()])


def gaps_filled(trace: Float[np.ndarray, " sample"], most: int) -> Float[np.ndarray, " sample"]:
    """Runs of equal samples (gaps) replaced by the data that follow, at most `most` samples of them, repeated."""
    filled = trace.copy()
    runs = constant_runs(trace)
    ends = [*runs[:, 0].tolist(), len(trace)][1:]
    for (begin, end), stop in zip(runs.tolist(), ends, strict=True):
        source = filled[end : min(end + min(end - begin, most), stop)]
        if len(source):
            filled[begin:end] = np.resize(source, end - begin)
    return filled


def constant_runs(trace: Float[np.ndarray, " sample"]) -> Int[np.ndarray, "run 2"]:
    """First sample and end of each run of more than `FEWEST_EQUAL` equal samples."""
    same = np.concatenate([[0], np.diff(trace) == 0, [0]]).astype(np.int8)
    begin, end = np.flatnonzero(np.diff(same) == 1), np.flatnonzero(np.diff(same) == -1)
    long = end - begin >= FEWEST_EQUAL
    return np.stack([begin[long], end[long] + 1], -1)


def _taper(number: int, longest: float) -> Float[np.ndarray, " sample"]:
    length = int(min(TAPER_SHARE * number, longest))
    rise = np.sin(np.pi / 2 * np.arange(length) / max(length, 1)) ** 2
    return np.concatenate([rise, np.ones(number - 2 * length), rise[::-1]])
