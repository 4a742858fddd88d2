"""Onsets of P and S without a network: a trigger on the ratio of energies, refined by Akaike's information criterion.

The trigger is `jaxloc.data.onsets` on band-passed records, P on the vertical and S on both horizontals; the onset in
its neighbourhood is where two stationary halves describe the record best (Maeda 1985, Zisin 38: AIC from variances).
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from jaxloc.data.onsets import LEAST_LOG_RATIO, Onsets, no_event, onsets_of
from jaxloc.data.preprocessing import bandpass

BAND_HZ = (2.0, 15.0)  # of local earthquakes, above the microseism
BEFORE_S, AFTER_S = 2.0, 1.0  # of the trigger, searched by the criterion
LEAST_GAP_S = 0.5  # of S after P
FEWEST_P = 4  # picks of P of an event that is located: as many as a hypocentre has unknowns
EDGE = 5  # samples on either side of an onset, at least


class OnsetPicks(NamedTuple):
    """Picks of one event or several, and why there is none in an event ("": there is one)."""

    time_s: Float[np.ndarray, "*event station phase"]
    mask: Bool[np.ndarray, "*event station phase"]
    refused: list[str]


def onset_picks(
    waveforms: Float[np.ndarray, "event station component sample"],
    rate_hz: float,
    sample_mask: Bool[np.ndarray, "event station sample"] | None = None,
) -> OnsetPicks:
    """Picks of P and S of each event; an event is refused as `no_event` does, or with fewer than four picks of P.

    Raises:
        ValueError: where half of the sampling rate is not above 15 Hz.
    """
    filtered = bandpass(waveforms, rate_hz, BAND_HZ)
    found = [onsets_of(filtered[..., part, :], rate_hz, sample_mask) for part in (slice(0, 1), slice(1, 3))]
    mask = np.stack([each.active & (each.log_ratio > LEAST_LOG_RATIO) for each in found], -1)
    time_s = np.zeros(mask.shape)
    for phase, part in enumerate((slice(0, 1), slice(1, 3))):
        for event, station in zip(*np.nonzero(mask[..., phase]), strict=True):
            at_s = float(found[phase].onset_s[event, station])
            time_s[event, station, phase] = refined(filtered[event, station, part], at_s, rate_hz)
    mask[..., 1] &= ~mask[..., 0] | (time_s[..., 1] > time_s[..., 0] + LEAST_GAP_S)
    whole = onsets_of(filtered, rate_hz, sample_mask)
    refused = [_refused(Onsets(*(x[i] for x in whole)), mask[i, :, 0]) for i in range(len(mask))]
    return OnsetPicks(np.where(mask, time_s, 0.0), mask, refused)


def _refused(onsets: Onsets, has_p: Bool[np.ndarray, " station"]) -> str:
    if reason := no_event(onsets):
        return reason
    return "" if has_p.sum() >= FEWEST_P else f"{has_p.sum()} picks of P; at least {FEWEST_P} are needed"


def refined(record: Float[np.ndarray, "component sample"], trigger_s: float, rate_hz: float) -> float:
    """The onset near a trigger in s: the sample that parts the record into two stationary halves best."""
    first = max(round((trigger_s - BEFORE_S) * rate_hz), 0)
    near = np.asarray(record[:, first : round((trigger_s + AFTER_S) * rate_hz)], float)
    number = near.shape[-1]
    if number <= 2 * EDGE:
        return trigger_s
    at = np.arange(EDGE, number - EDGE)
    before, after = _variances(near)[:, at], _variances(near[:, ::-1])[:, number - at]
    criterion = (at * np.log(before) + (number - at - 1) * np.log(after)).sum(0)
    return (first + int(at[criterion.argmin()])) / rate_hz


def _variances(record: Float[np.ndarray, "component sample"]) -> Float[np.ndarray, "component end"]:
    """Variances of the samples before each, and of all."""
    number = np.maximum(np.arange(record.shape[-1] + 1), 1)
    first, second = (np.pad(np.cumsum(record**n, -1), ((0, 0), (1, 0))) / number for n in (1, 2))
    return np.maximum(second - first**2, 1e-12 * (record**2).mean() + 1e-300)
