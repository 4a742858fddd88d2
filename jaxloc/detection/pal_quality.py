"""Checks of a pair of onsets, and the amplitude, in PAL's picker (Zhou and others 2022, SRL 93)."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxloc.detection.pal_onsets import turning_point


class Quality(NamedTuple):
    """Measures of a pair of onsets that are compared with limits.

    Attributes:
        dominant_hz: frequency of the largest spectral amplitude after P, the highest of the components.
        peak: peak-to-peak amplitude of the largest swing after an onset over that after it, the smallest of the
            components, the larger of P and S; large for a spike.
        early_to_late: amplitude in the first half of S-P over that in the second, the smallest of the components.
        p_to_s: amplitude in the first half of S-P over that as long after S, the smallest of the components.
    """

    dominant_hz: float
    peak: float
    early_to_late: float
    p_to_s: float


def quality_of(record: Float[np.ndarray, "component sample"], p: int, s: int, rate_hz: float, window: int) -> Quality:
    """Measures of onsets at samples `p` and `s`; `window` is the shortest for the frequency, and that of a swing."""
    half = max((s - p) // 2, 1)
    early, late, after = (_swing(record[:, i : i + half]) for i in (p, p + half, s))
    return Quality(
        _dominant_hz(record[:, p : p + max(half, window)], rate_hz),
        max(_peak_ratio(record[:, onset : onset + 3 * window], window) for onset in (p, s)),
        float(_ratio(early, late).min()),
        float(_ratio(early, after).min()),
    )


def _swing(record: Float[np.ndarray, "component sample"]) -> Float[np.ndarray, " component"]:
    """Peak-to-peak amplitudes; 0 of no samples."""
    return np.ptp(record, axis=-1) if record.shape[-1] else np.zeros(len(record))


def _ratio(
    above: Float[np.ndarray, " component"], below: Float[np.ndarray, " component"]
) -> Float[np.ndarray, " component"]:
    return np.divide(above, below, out=np.full(len(above), np.inf), where=below > 0)


def _dominant_hz(record: Float[np.ndarray, "component sample"], rate_hz: float) -> float:
    centred = record - record.mean(-1, keepdims=True)
    spectrum = np.abs(np.fft.rfft(centred))[:, : max(record.shape[-1] // 2, 1)]
    return float(spectrum.argmax(-1).max() * rate_hz / record.shape[-1])


def _peak_ratio(record: Float[np.ndarray, "component sample"], window: int) -> float:
    """The largest swing of the first `window` samples over the one as long that follows."""
    component, peak = np.unravel_index(np.abs(record[:, :window]).argmax(), record[:, :window].shape)
    trace = record[component]
    end = peak + turning_point(trace[peak:], 1)
    end += turning_point(trace[end:], 2) + 1
    begin = peak - turning_point(trace[:peak][::-1], 2)
    return float(_ratio(_swing(record[:, begin:end]), _swing(record[:, end : 2 * end - begin])).min())


def s_amplitude(velocity: Float[np.ndarray, "component sample"], rate_hz: float) -> float:
    """Largest length of the displacement vector, in the unit of the record times s."""
    moved = np.cumsum(velocity - velocity.mean(-1, keepdims=True), axis=-1) / rate_hz
    return float(np.sqrt((moved**2).sum(0).max()))
