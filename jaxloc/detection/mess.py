"""MESS (Zhou, Yue, Fang, Zhou, Zhao & Ghosh 2022, SRL 93): match, expand, shift and stack, by known waveforms.

1. Match: the normalised correlation of a window of 10 s about P with the record, averaged over the three components of
   a station. Stations without a value above the threshold are left out.
2. Expand: each peak above the threshold is widened to a plateau of 1 s, so that travel times may differ from the
   template's within its neighbourhood.
3. Shift: each station by the P travel time of the template.
4. Stack: the mean of the stations. An event is where it exceeds the threshold, at the middle of the plateau.

`jaxloc.detection.mess_picks` picks the events found and links them to the templates.

Differs from the paper: the mean of each window is removed before it is normalised (`normalised_correlation`), which
changes little at 1 to 20 Hz; stations that do not record are left out of a chunk and not of a day.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxloc.detection.pal_onsets import Z, sta_lta

Correlate = Callable[
    [
        Float[np.ndarray, "channel sample"],
        Bool[np.ndarray, "channel sample"],
        Float[np.ndarray, "template channel length"],
    ],
    Float[np.ndarray, "template channel window"],
]
"""Normalised correlation of templates with the windows of a record whose samples are usable."""
HORIZONTAL = slice(1, 3)
AT_ONCE = 16


class Settings(NamedTuple):
    """Settings of MESS; windows are (before, after) the arrival. The defaults are those published.

    Attributes:
        band_hz: of records and templates, filtered before.
        detect_s, p_s, s_s: windows of templates for detection, and to pick P (vertical) and S (horizontal).
        p_search_s, s_search_s: how far from the predicted time P and S are picked.
        threshold: of correlation at stations and of the stack.
        plateau_s: to which a peak is widened.
        dead_s: after a plateau or an event.
        snr_s, least_snr: windows (short, long) and least ratio of energies of the vertical of a template.
        fewest, most: stations of a template, the nearest ones.
        amplitude_s: before P and after S.
    """

    band_hz: tuple[float, float] = (1.0, 20.0)
    detect_s: tuple[float, float] = (1.0, 9.0)
    p_s: tuple[float, float] = (0.5, 1.5)
    s_s: tuple[float, float] = (0.5, 2.5)
    p_search_s: float = 1.0
    s_search_s: float = 1.6
    threshold: float = 0.3
    plateau_s: float = 1.0
    dead_s: float = 5.0
    snr_s: tuple[float, float] = (1.0, 8.0)
    least_snr: float = 12.0
    fewest: int = 4
    most: int = 15
    amplitude_s: tuple[float, float] = (1.0, 5.0)


class Template(NamedTuple):
    """Waveforms of an event at its stations, Z, N, E, with the mean removed.

    Attributes:
        station: rows of the list of stations.
        travel_s: of P and S, from the origin time.
        detect: window for detection.
        p: of the vertical component.
        s: of the horizontal ones.
    """

    station: Int[np.ndarray, " own"]
    travel_s: Float[np.ndarray, "own 2"]
    detect: Float[np.ndarray, "own 3 length"]
    p: Float[np.ndarray, "own 1 length"]
    s: Float[np.ndarray, "own 2 length"]


class Detections(NamedTuple):
    """Events that a template finds: origin times from the first sample of the records, and values of the stack."""

    origin_s: Float[np.ndarray, " event"]
    correlation: Float[np.ndarray, " event"]


def cut_template(
    records: Float[np.ndarray, "station 3 sample"],
    rate_hz: float,
    origin_s: float,
    arrival_s: Float[np.ndarray, "station 2"],
    settings: Settings = Settings(),
) -> tuple[Template | None, str]:
    """The template of an event, and why there is none ("" where there is).

    Args:
        records: of all stations, in the pass band; components Z, N, E.
        rate_hz: sampling rate.
        origin_s: of the event, from the first sample.
        arrival_s: P and S at each station; NaN for none.
        settings: see `Settings`.
    """
    windows = [_window(records.shape[-1], settings, each, rate_hz) for each in arrival_s]
    good = [row for row, each in enumerate(windows) if each and _snr(records[row], each[0], settings, rate_hz)]
    nearest = np.array(good, int)[np.argsort(arrival_s[good, 0], kind="stable")][: settings.most]
    if len(nearest) < settings.fewest:
        return None, (
            f"{len(nearest)} stations have P and S inside the record and a ratio of energies of {settings.least_snr:g} "
            f"at P; at least {settings.fewest} are needed"
        )
    cuts = [_cut(records[row], windows[row] or [], settings, rate_hz) for row in nearest]
    return Template(nearest, arrival_s[nearest] - origin_s, *(np.stack(each) for each in zip(*cuts, strict=True))), ""


def _window(number: int, settings: Settings, arrival_s: Float[np.ndarray, " 2"], rate_hz: float) -> list[int] | None:
    """Samples of P and S; None where one is missing or a window of theirs is not inside the record."""
    if not np.isfinite(arrival_s).all():
        return None
    p, s = (round(float(x) * rate_hz) for x in arrival_s)
    begin = p - round(max(settings.detect_s[0], settings.p_s[0]) * rate_hz)
    end = max(p + settings.detect_s[1] * rate_hz, s + settings.s_s[1] * rate_hz)
    return [p, s] if begin >= 0 and end <= number else None


def _snr(record: Float[np.ndarray, "3 sample"], p: int, settings: Settings, rate_hz: float) -> bool:
    """Whether the ratio of energies about P is large enough."""
    short, long = (round(x * rate_hz) for x in settings.snr_s)
    near = record[Z, max(p - long - short, 0) : p + 2 * short]
    return bool(sta_lta(near**2, short, long).max() >= settings.least_snr)


def _cut(
    record: Float[np.ndarray, "3 sample"], at: list[int], settings: Settings, rate_hz: float
) -> tuple[Float[np.ndarray, "component length"], ...]:
    parts = (
        (slice(0, 3), at[0], settings.detect_s),
        (slice(0, 1), at[0], settings.p_s),
        (HORIZONTAL, at[1], settings.s_s),
    )
    return tuple(windowed(record[part], sample, around_s, rate_hz) for part, sample, around_s in parts)


def windowed(
    record: Float[np.ndarray, "channel sample"], sample: int, around_s: tuple[float, float], rate_hz: float
) -> Float[np.ndarray, "channel length"]:
    """The window about a sample, with means removed."""
    before, after = (round(x * rate_hz) for x in around_s)
    cut = record[:, sample - before : sample + after]
    return cut - cut.mean(-1, keepdims=True)


def detect(
    correlate: Correlate,
    records: Float[np.ndarray, "station 3 sample"],
    usable: Bool[np.ndarray, "station 3 sample"],
    rate_hz: float,
    templates: Sequence[Template],
    settings: Settings = Settings(),
) -> list[Detections]:
    """Events in records that are like each template.

    Args:
        correlate: `jaxloc.detection.matched_filter.normalised_correlation`, or the like.
        records: of all stations, in the pass band.
        usable: samples that were recorded.
        rate_hz: of records and templates.
        templates: of `cut_template`, with one rate and settings. `AT_ONCE` of them are in memory at once, with as many
            correlation coefficients as the record has samples at each of their stations.
        settings: see `Settings`.
    """
    found: list[Detections] = []
    for at in range(0, len(templates), AT_ONCE):
        part = templates[at : at + AT_ONCE]
        matched = _match(correlate, records, usable, part)
        found += [_stacked(*each, rate_hz, settings) for each in zip(matched, part, strict=True)]
    return found


def _match(
    correlate: Correlate,
    records: Float[np.ndarray, "station 3 sample"],
    usable: Bool[np.ndarray, "station 3 sample"],
    templates: Sequence[Template],
) -> list[Float[np.ndarray, "own window"]]:
    """Correlation of each template at its stations, averaged over components; transforms of a station are shared."""
    windows = records.shape[-1] - templates[0].detect.shape[-1] + 1
    matched = [np.zeros((len(each.station), windows)) for each in templates]
    for row in sorted({int(row) for each in templates for row in each.station}):
        places = [(of, int(own)) for of, each in enumerate(templates) for own in np.flatnonzero(each.station == row)]
        values = correlate(records[row], usable[row], np.stack([templates[of].detect[own] for of, own in places]))
        for (of, own), value in zip(places, np.asarray(values, float), strict=True):
            matched[of][own] = value.mean(0)
    return matched


def _stacked(
    matched: Float[np.ndarray, "own window"], template: Template, rate_hz: float, settings: Settings
) -> Detections:
    """Expand, shift, stack."""
    alike = matched.max(1) > settings.threshold
    if alike.sum() < settings.fewest:
        return Detections(np.zeros(0), np.zeros(0))
    plateau, dead = round(settings.plateau_s * rate_hz), round(settings.dead_s * rate_hz)
    widened = [expanded(each, settings.threshold, plateau, dead) for each in matched[alike]]
    shift = np.rint((settings.detect_s[0] - template.travel_s[alike, 0]) * rate_hz).astype(int)
    stack = shifted(np.stack(widened), shift).mean(0)
    return Detections(*peaks(stack, settings.threshold, plateau, dead, rate_hz))


def expanded(
    correlation: Float[np.ndarray, " window"], threshold: float, plateau: int, dead: int
) -> Float[np.ndarray, " window"]:
    """Each peak above the threshold widened to a plateau; the next is at least `plateau + dead` after it begins."""
    wide = correlation.copy()
    for begin in _begins(correlation, threshold, plateau + dead):
        peak = begin + int(wide[begin : begin + 2 * plateau].argmax())
        wide[max(peak - plateau // 2, 0) : peak + plateau // 2] = wide[peak]
    return wide


def _begins(values: Float[np.ndarray, " window"], threshold: float, gap: int) -> list[int]:
    """First samples above the threshold, each at least `gap` after the one before."""
    above = np.flatnonzero(values > threshold)
    found, place = [], 0
    while place < len(above):
        found.append(int(above[place]))
        place = int(np.searchsorted(above, found[-1] + gap))
    return found


def shifted(
    values: Float[np.ndarray, "station window"], shift: Int[np.ndarray, " station"]
) -> Float[np.ndarray, "station window"]:
    """Each row later by its shift in samples; zeros come in."""
    moved = np.zeros_like(values)
    number = values.shape[1]
    for row, by in enumerate(shift.tolist()):
        moved[row, max(by, 0) : max(min(number + by, number), 0)] = values[row, max(-by, 0) : max(number - by, 0)]
    return moved


def peaks(
    stack: Float[np.ndarray, " window"], threshold: float, plateau: int, dead: int, rate_hz: float
) -> tuple[Float[np.ndarray, " event"], Float[np.ndarray, " event"]]:
    """Times and values of the events of a stack; the time is the median of the samples with the largest value."""
    found = []
    for begin in _begins(stack, threshold, plateau + dead):
        near = stack[begin : begin + 2 * plateau]
        found.append(((begin + np.median(np.flatnonzero(near == near.max()))) / rate_hz, near.max()))
    table = np.array(found, float).reshape(-1, 2)
    return table[:, 0], table[:, 1]
