"""Magnitudes of detections relative to the events of their templates, from the windows that matched."""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from jaxloc.detection.matched_windows import Matches, PhaseLags, aligned_windows
from jaxloc.detection.relative_magnitude import relative_magnitude
from jaxloc.detection.templates import Templates
from jaxloc.types import PHASES


class Differences(NamedTuple):
    """Magnitudes of detections less those of their templates, with standard deviations; NaN where no channel has one.

    `channels` is how many channels have one.
    """

    value: Float[np.ndarray, " detection"]
    sd: Float[np.ndarray, " detection"]
    channels: Int[np.ndarray, " detection"]


def no_differences(number: int) -> Differences:
    """Of detections whose windows were not measured."""
    return Differences(np.full(number, np.nan), np.full(number, np.nan), np.zeros(number, int))


def magnitude_differences(
    key: Key[Array, ""],
    records: Float[np.ndarray, "station component sample"],
    usable: Bool[np.ndarray, "station component sample"],
    templates: Templates,
    found: Matches,
    lags: PhaseLags,
    number: int,
) -> Differences:
    """Differences of magnitude of `number` detections (`jaxloc.detection.relative_magnitude`).

    Windows are aligned by the lags of their phases, and cut to the length of the shortest of a detection.

    Args:
        key: of the errors' draws.
        records: within the band of the templates, which hold the detections.
        usable: samples that were recorded.
        templates: those that were found.
        found: windows of the detections.
        lags: of their phases.
        number: of detections.
    """
    out = no_differences(number)
    whole = aligned_windows(records, usable, templates, found, _lag_of(templates, found, lags))
    for detection in np.unique(whole.detection).tolist():
        rows = np.flatnonzero(whole.detection == detection)
        length = int(templates.length[whole.window[rows]].min())
        parts = (whole.template, whole.detected, whole.template_noise, whole.detected_noise)
        windows, detected, *noise = (np.asarray(part[rows], float) for part in parts)
        own = jax.random.fold_in(key, detection)
        one = relative_magnitude(own, windows[:, :length], detected[:, :length], *noise, reference_magnitude=0.0)
        out.value[detection], out.sd[detection] = one.difference, one.difference_sd
        out.channels[detection] = sum(not reason for reason in one.reasons)
    return out


def _lag_of(templates: Templates, found: Matches, lags: PhaseLags) -> Float[np.ndarray, " match"]:
    """The lag of the phase of each window; 0 where it has none."""
    stations = int(templates.station.max(initial=0)) + 1
    place = lambda detection, station, phase: (detection * stations + station) * len(PHASES) + phase
    known = place(lags.detection, lags.station, lags.phase)
    order = np.argsort(known)
    asked = place(found.detection, templates.station[found.window], templates.phase[found.window])
    if not len(known):
        return np.zeros(len(asked))
    at = np.minimum(np.searchsorted(known[order], asked), len(known) - 1)
    rows = order[at]
    return np.where(known[rows] == asked, np.asarray(lags.lags.lag_s)[rows], 0.0)
