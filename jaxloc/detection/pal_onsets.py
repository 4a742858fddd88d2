"""Onsets of P and S as PAL's picker finds them (Zhou and others 2022, SRL 93), in samples of one prepared record."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.lib.stride_tricks import sliding_window_view

Z = 0
HORIZONTAL = slice(1, 3)


class Lengths(NamedTuple):
    """Windows of the picker in samples; pairs are (short, long) or (before, after)."""

    trigger: tuple[int, int]
    p: tuple[int, int]
    p_search: tuple[int, int]
    s: tuple[int, int]
    s_range: int
    polarisation: int
    filtered: int
    kurtosis: tuple[int, int]


def sta_lta(energy: Float[np.ndarray, " sample"], short: int, long: int) -> Float[np.ndarray, " sample"]:
    """Mean energy of the `short` samples after each over that of the `long` ones up to it; 0 where one is missing."""
    total = np.concatenate([[0.0], np.cumsum(energy)])
    ratio = np.zeros(len(energy))
    if len(energy) < short + long:
        return ratio
    at = np.arange(long, len(energy) - short)
    after = (total[at + short + 1] - total[at + 1]) / short
    before = (total[at + 1] - total[at + 1 - long]) / long
    ratio[at] = np.divide(after, before, out=np.zeros(len(at)), where=before > 0)
    return ratio


def turning_point(values: Float[np.ndarray, " sample"], number: int) -> int:
    """Samples until the values have changed between rising and falling `number` times, or as often as they do."""
    step = np.diff(values)
    if not len(step) or step.max() <= 0:
        return 0
    changes = 1 + np.flatnonzero(np.diff(step < 0))
    return int(changes[min(number, len(changes)) - 1]) if len(changes) else 0


def p_onset(energy: Float[np.ndarray, " sample"], trigger: int, lengths: Lengths) -> int:
    """The largest ratio of short and long windows about a trigger, moved back by two turning points of the energy.

    Args:
        energy: of the vertical component.
        trigger: sample of the trigger.
        lengths: windows.
    """
    short, long = lengths.p
    begin = trigger - lengths.p_search[0] - long
    near = energy[begin : trigger + lengths.p_search[1] + short]
    found = int(sta_lta(near, short, long).argmax())
    return begin + found - turning_point(near[:found][::-1], 2)


def polarisation_weight(
    record: Float[np.ndarray, "component sample"], p: int, lengths: Lengths
) -> Float[np.ndarray, " filtered"]:
    """1 - r |cos|: small where the motion after a sample is linear and along that after P.

    The cosine is that of the angle between principal axes, r = 1 - (l2 + l3) / (2 l1) the rectilinearity.
    """
    length = lengths.polarisation
    windows = sliding_window_view(record[:, p : p + lengths.filtered + length - 1], length, axis=1)
    centred = windows - windows.mean(-1, keepdims=True)
    value, vector = np.linalg.eigh(np.einsum("cws,dws->wcd", centred, centred))
    largest = np.maximum(value[:, 2], np.finfo(float).tiny)
    rectilinearity = 1 - 0.5 * (value[:, 0] + value[:, 1]) / largest
    return 1 - rectilinearity * np.abs(vector[:, :, 2] @ vector[0, :, 2])


def s_onset(record: Float[np.ndarray, "component sample"], p: int, lengths: Lengths) -> int:
    """The onset of S on the horizontal components, between half of the time to their largest amplitude and that.

    The peak of the ratio of windows is the earliest onset, that of the kurtosis in long windows the latest, and the
    onset is the peak of the kurtosis in short windows between the two; the ratio's where they are in the wrong order.
    Then it is moved back by two turning points of the energy, but not before P.
    """
    energy = (record[HORIZONTAL] ** 2).sum(0)
    peak = _s_peak(record, energy, p, lengths)
    begin, end = p + peak // 2, p + peak
    short, long = lengths.s
    earliest = begin + int(sta_lta(energy[begin - long : end + short], short, long)[long:].argmax())
    latest = begin + _long_kurtosis_peak(energy, begin, end, lengths.kurtosis[0])
    if earliest >= latest:
        found = earliest
        before = energy[begin - long : found]
    else:
        length = lengths.kurtosis[1]
        rise = int(kurtosis(energy[earliest - length : latest], length).argmax())
        found = earliest + (rise if rise else latest - earliest)
        before = energy[earliest - length : found]
    moved = found - turning_point(before[::-1], 2)
    return moved if moved > p else found


def _s_peak(
    record: Float[np.ndarray, "component sample"], energy: Float[np.ndarray, " sample"], p: int, lengths: Lengths
) -> int:
    """Samples from P to the largest horizontal amplitude after the filter, more than one window of polarisation."""
    amplitude = np.sqrt(energy[p : p + lengths.s_range])
    weight = polarisation_weight(record, p, lengths)
    amplitude[: len(weight)] *= weight[: len(amplitude)]
    return max(int(amplitude.argmax()), lengths.polarisation) + 1


def _long_kurtosis_peak(energy: Float[np.ndarray, " sample"], begin: int, end: int, length: int) -> int:
    """The largest kurtosis of windows that end between `begin` and `end`, moved back by one turning point."""
    value = kurtosis(energy[begin - length : end], length)
    found = int(value.argmax())
    return found - turning_point(value[: found + 1][::-1], 1)


def kurtosis(values: Float[np.ndarray, " sample"], length: int) -> Float[np.ndarray, " window"]:
    """Excess kurtosis of all windows of `length` samples; 0 for one without variance."""
    windows = sliding_window_view(values, length)
    squares = (windows - windows.mean(-1, keepdims=True)) ** 2
    variance, fourth = squares.mean(-1), (squares**2).mean(-1)
    return np.divide(fourth, variance**2, out=np.full(len(windows), 3.0), where=variance > 0) - 3
