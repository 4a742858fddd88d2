"""What was recorded where a template matched: coefficients of single windows, sub-sample lags, aligned windows.

Lags are measured by `jaxloc.data.cross_correlation`, by correlation interpolated to an eighth of a sample and a
parabola, with errors from the coefficient and the band that include the probability of a cycle skip.
"""

# pyright: reportCallIssue=false, reportArgumentType=false
# Columns are unpacked in the order of the type.

from collections.abc import Iterator
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from jaxloc.data.cross_correlation import Lags, correlate_rows
from jaxloc.detection.row_ranges import rows_within
from jaxloc.detection.stack_peaks import Peaks
from jaxloc.detection.templates import Templates

AT_ONCE = 4096
"""Windows that are cut at a time."""


class Matches(NamedTuple):
    """Windows of detections, those of a detection one after the other.

    Attributes:
        detection: row of the detections.
        window: row of the templates' windows.
        begin: place of the first sample in the records.
        recorded: whether all of its samples were.
        coefficient: correlation without a lag, in double precision; 0 where it was not recorded.
    """

    detection: Int[np.ndarray, " match"]
    window: Int[np.ndarray, " match"]
    begin: Int[np.ndarray, " match"]
    recorded: Bool[np.ndarray, " match"]
    coefficient: Float[np.ndarray, " match"]


class PhaseLags(NamedTuple):
    """Arrivals of detections by station and phase, from the lags of all components of the phase together.

    Attributes:
        detection: row of the detections.
        template: row of the templates.
        station: row of the stations.
        phase: place in `jaxloc.types.PHASES`.
        travel_s: of the template's event.
        template_sd_s: standard deviation of the template's arrival; NaN where unknown.
        lags: later by how much than the template's arrival after the detection's origin time, with errors.
    """

    detection: Int[np.ndarray, " arrival"]
    template: Int[np.ndarray, " arrival"]
    station: Int[np.ndarray, " arrival"]
    phase: Int[np.ndarray, " arrival"]
    travel_s: Float[np.ndarray, " arrival"]
    template_sd_s: Float[np.ndarray, " arrival"]
    lags: Lags


class AlignedWindows(NamedTuple):
    """Windows of template and detection, aligned to a sample, with the noise before each: for relative magnitudes.

    Only those whose samples, and noise, were all recorded. Values beyond the length of a window are zero.
    """

    detection: Int[np.ndarray, " match"]
    window: Int[np.ndarray, " match"]
    template: Float[np.ndarray, "match sample"]
    detected: Float[np.ndarray, "match sample"]
    template_noise: Float[np.ndarray, "match noise"]
    detected_noise: Float[np.ndarray, "match noise"]


def matches(
    records: Float[np.ndarray, "station component sample"],
    usable: Bool[np.ndarray, "station component sample"],
    templates: Templates,
    peaks: Peaks,
    begin_s: float = 0.0,
) -> Matches:
    """Coefficients of the windows of detections in the filtered records, which must hold them.

    Args:
        records: within the band of the templates.
        usable: samples that were recorded.
        templates: those that were found.
        peaks: the detections.
        begin_s: time of the first sample.
    """
    detection, window = _rows(templates, peaks.template)
    own = peaks.template[detection]
    first = np.round((peaks.origin_s[detection] + templates.lead_s[own] - begin_s) * templates.rate_hz).astype(int)
    begin = first + templates.moveout[window]
    recorded, coefficient = np.zeros(len(window), bool), np.zeros(len(window))
    for part in _parts(len(window)):
        cut, whole = _cut(records, usable, templates, window[part], begin[part], 0, templates.value.shape[1])
        inside = np.arange(cut.shape[-1]) < templates.length[window[part], None]
        recorded[part] = whole
        value = templates.value[window[part]].astype(float)
        mean = cut.sum(-1, where=inside) / templates.length[window[part]]
        centred = np.where(inside, cut - mean[:, None], 0.0)
        norm = np.sqrt((centred**2).sum(-1) * (value**2).sum(-1))
        coefficient[part] = np.where(whole & (norm > 0), (centred * value).sum(-1) / np.maximum(norm, 1e-300), 0)
    return Matches(detection, window, begin, recorded, coefficient)


def _rows(templates: Templates, template: Int[np.ndarray, " detection"]) -> tuple[np.ndarray, np.ndarray]:
    """Rows of detections and of their templates' windows."""
    first = np.searchsorted(templates.template, np.arange(len(templates.id) + 1))
    return rows_within(first[:-1][template], first[1:][template])


def _parts(number: int) -> Iterator[slice]:
    return (slice(at, at + AT_ONCE) for at in range(0, number, AT_ONCE))


def _cut(
    records: np.ndarray,
    usable: np.ndarray,
    templates: Templates,
    window: np.ndarray,
    begin: np.ndarray,
    before: int,
    size: int,
) -> tuple[Float[np.ndarray, "window size"], Bool[np.ndarray, " window"]]:
    """Samples from `before` a window's begin on, zero beyond its length and `before` after it, and which are whole."""
    index = begin[:, None] - before + np.arange(size)
    needed = np.arange(size) < templates.length[window, None] + 2 * before
    inside = (index >= 0) & (index < records.shape[-1])
    at = (templates.station[window, None], templates.component[window, None], np.clip(index, 0, records.shape[-1] - 1))
    whole = np.asarray(np.where(needed, inside & usable[at], True).all(-1))
    return np.where(needed & inside, records[at], 0.0), whole


def phase_lags(
    records: Float[np.ndarray, "station component sample"],
    usable: Bool[np.ndarray, "station component sample"],
    templates: Templates,
    found: Matches,
    template: Int[np.ndarray, " detection"],
    lag_s: float = 0.3,
) -> PhaseLags:
    """Lags of detections against their templates, at every station and phase where a window was recorded.

    Args:
        records: within the band of the templates.
        usable: samples that were recorded.
        templates: those that were found.
        found: windows of the detections.
        template: of each detection.
        lag_s: largest lag.

    Raises:
        ValueError: for a lag below one sample.
    """
    reach = round(lag_s * templates.rate_hz)
    if reach < 1:
        raise ValueError(f"lag_s must be a sample at least at {templates.rate_hz:g} Hz, got {lag_s:g}")
    size = templates.value.shape[1] + 2 * reach
    lengths = templates.length[found.window]
    keys = np.stack([found.detection, templates.station[found.window], templates.phase[found.window], lengths], 1)
    arrival, of = np.unique(keys, axis=0, return_inverse=True)
    of = of.reshape(-1)
    order = np.argsort(of, kind="stable")
    begins = np.searchsorted(of[order], np.arange(len(arrival)))
    part = np.empty(len(of), int)
    part[order] = np.arange(len(of)) - begins[of[order]]
    parts = int(part.max(initial=0)) + 1
    first, second = (np.zeros((len(arrival), parts, size), np.float32) for _ in range(2))
    whole = np.zeros(len(arrival), bool)
    for rows in _parts(len(of)):
        window = found.window[rows]
        cut, there = _cut(records, usable, templates, window, found.begin[rows], reach, size)
        place = (of[rows][there], part[rows][there])
        first[place] = np.pad(templates.value[window[there]], ((0, 0), (reach, reach)))
        second[place] = cut[there]
        whole[place[0]] = True
    lags = _by_length(first, second, arrival[:, 3], whole, reach, templates)
    own = found.window[order[begins]]
    kept = np.flatnonzero(whole)
    columns = (arrival[:, 0], template[arrival[:, 0]], arrival[:, 1], arrival[:, 2], templates.travel_s[own])
    return PhaseLags(*(x[kept] for x in (*columns, templates.sd_s[own])), jax.tree.map(lambda x: x[kept], lags))


def _by_length(
    first: np.ndarray, second: np.ndarray, length: np.ndarray, whole: np.ndarray, reach: int, templates: Templates
) -> Lags:
    """Lags of all arrivals, for each length of windows and a padded number of them at a time."""
    out = Lags(*(np.zeros(len(length)) for _ in range(4)), np.zeros(len(length), bool))  # pyright: ignore[reportArgumentType]
    for size in np.unique(length):
        rows = np.flatnonzero((length == size) & whole)
        for at in range(0, len(rows), AT_ONCE):
            some = rows[at : at + AT_ONCE]
            padded = np.pad(some, (0, _room(len(some)) - len(some)), mode="edge")
            segments = (x[padded][..., : size + 2 * reach] for x in (first, second))
            lags = correlate_rows(*segments, int(size), templates.rate_hz, templates.band_hz)
            for column, values in zip(out, lags, strict=True):
                np.asarray(column)[some] = np.asarray(values)[: len(some)]
    return out


def _room(number: int) -> int:
    """The next power of two: few shapes are compiled."""
    return min(1 << max(number - 1, 0).bit_length(), AT_ONCE)


def aligned_windows(
    records: Float[np.ndarray, "station component sample"],
    usable: Bool[np.ndarray, "station component sample"],
    templates: Templates,
    found: Matches,
    lag_s: Float[np.ndarray, " match"] | None = None,
) -> AlignedWindows:
    """Windows of templates and of detections side by side.

    The noise of a detection lies where that of its template does, before the first window of the template.

    Args:
        records: within the band of the templates.
        usable: samples that were recorded.
        templates: those that were found.
        found: windows of the detections.
        lag_s: of each window; None: none.
    """
    shift = np.zeros(len(found.window), int) if lag_s is None else np.round(lag_s * templates.rate_hz).astype(int)
    begin, number = found.begin + shift, templates.noise.shape[1]
    value, whole = _cut(records, usable, templates, found.window, begin, 0, templates.value.shape[1])
    index = (begin - templates.noise_ahead[found.window])[:, None] + np.arange(number)
    at = (templates.station[found.window, None], templates.component[found.window, None])
    inside = (index >= 0) & (index < records.shape[-1])
    index = np.clip(index, 0, records.shape[-1] - 1)
    kept = np.flatnonzero(whole & (inside & usable[(*at, index)]).all(-1))
    noise = records[(*at, index)]
    windows = found.window[kept]
    return AlignedWindows(
        found.detection[kept], windows, templates.value[windows], value[kept], templates.noise[windows], noise[kept]
    )
