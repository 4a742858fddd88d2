"""Detection by templates: from peaks of stacks to families of detections with rates of false alarms and lags.

    templates, lost = make_templates(records, usable, rate_hz, events, begin_s)
    found = detect(key, records, usable, templates, begin_s)
    times = differential_times(templates, found)

For records in chunks `scanned` is called for each chunk, `candidates` once, `measured` for each chunk that owns a
candidate, and `detections` once: what is found does not depend on the chunks.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from jaxloc import prng
from jaxloc.data.cross_correlation import Lags
from jaxloc.detection import false_alarms
from jaxloc.detection.false_alarms import Tail, controls
from jaxloc.detection.families import Sameness, each_alone, families
from jaxloc.detection.matched_magnitudes import Differences, magnitude_differences, no_differences
from jaxloc.detection.matched_windows import Matches, PhaseLags, matches, phase_lags
from jaxloc.detection.stack_peaks import Peaks, Scan, merged, noise_scale, scan
from jaxloc.detection.template_weights import noise_variance, weights
from jaxloc.detection.templates import Templates
from jaxloc.types import PHASES


class MatchSettings(NamedTuple):
    """What counts as a detection.

    Attributes:
        per_day: false alarms a day, of all templates together, at the threshold.
        mad: threshold as a multiple of the median absolute value of each stack, in place of `per_day`; None: not.
        fewest_stations: that must support a detection, or all of a template that has fewer.
        support: standard deviations of noise that the coefficient of a station must exceed to support a detection.
        sameness: when detections are of the same event; None: within 1 s, side lobes within the longest window.
        lag_s: largest lag of a window.
        kept_above: level of stacks above which peaks are kept, in nominal standard deviations.
    """

    per_day: float = 1.0
    mad: float | None = None
    fewest_stations: int = 3
    support: float = 2.0
    sameness: Sameness | None = None
    lag_s: float = 0.3
    kept_above: float = 3.0


class Candidates(NamedTuple):
    """Peaks above the threshold, once for each template and event, before stations are counted.

    `peaks.statistic` is in standard deviations of noise; `per_day` is NaN for a threshold in MAD.
    """

    peaks: Peaks
    per_day: Float[np.ndarray, " candidate"]
    threshold: float
    tails: tuple[Tail, ...]


class Measured(NamedTuple):
    """Of each candidate: the weighted mean coefficient of its windows, how many stations support it, its lags, and its
    magnitude less that of the template."""

    coefficient: Float[np.ndarray, " candidate"]
    num_stations: Int[np.ndarray, " candidate"]
    lags: PhaseLags
    magnitude: Differences


class Detections(NamedTuple):
    """Detections in the order of their origin times, members of families included.

    Attributes:
        template: that was found.
        origin_s: origin time of the template's event, moved by the time between the two.
        statistic: of the stack, in standard deviations of its noise.
        coefficient: weighted mean of the windows' correlation coefficients.
        per_day: false alarms a day, of all templates together, with at least this statistic; NaN where not known.
            Stations are counted after this rate was found, so that it is an upper bound.
        num_stations: that support the detection.
        head: row of the detection with the highest statistic of the same event; its own for that one.
        is_self: whether the detection is the template's own event.
        lags: arrivals by station and phase.
        magnitude: less that of the template's event.
        threshold: of the statistic.
        tails: of the controls; none for a threshold in MAD.
        unsupported: how many candidates too few stations supported.
    """

    template: Int[np.ndarray, " detection"]
    origin_s: Float[np.ndarray, " detection"]
    statistic: Float[np.ndarray, " detection"]
    coefficient: Float[np.ndarray, " detection"]
    per_day: Float[np.ndarray, " detection"]
    num_stations: Int[np.ndarray, " detection"]
    head: Int[np.ndarray, " detection"]
    is_self: Bool[np.ndarray, " detection"]
    lags: PhaseLags
    magnitude: Differences
    threshold: float
    tails: tuple[Tail, ...]
    unsupported: int


def detect(
    key: Key[Array, ""],
    records: Float[np.ndarray, "station component sample"],
    usable: Bool[np.ndarray, "station component sample"],
    templates: Templates,
    begin_s: float = 0.0,
    settings: MatchSettings = MatchSettings(),
) -> Detections:
    """Find events like the templates in records that fit into memory.

    Args:
        key: of the controls' shifts.
        records: within the band of the templates (`jaxloc.detection.filtered_records.in_band`).
        usable: samples that were recorded.
        templates: to be found.
        begin_s: time of the first sample, from the zero of the templates' origin times.
        settings: what counts.

    Raises:
        ValueError: where there is no template, shapes do not fit, or the records are too short for a rate of false
            alarms.
    """
    all_of = (templates, *(controls(key, templates) if settings.mad is None else ()))
    scans = scanned(records, usable, all_of, begin_s, settings=settings)
    some = candidates(templates, [scans], settings)
    return detections(templates, some, measured(records, usable, templates, some.peaks, begin_s, settings), settings)


def scanned(
    records: Float[np.ndarray, "station component sample"],
    usable: Bool[np.ndarray, "station component sample"],
    templates: Sequence[Templates],
    begin_s: float = 0.0,
    own_s: tuple[float, float] = (-np.inf, np.inf),
    settings: MatchSettings = MatchSettings(),
) -> tuple[Scan, ...]:
    """Scans of a chunk of records, of templates and of their controls; arguments as `jaxloc.detection.stack_peaks`."""
    return tuple(scan(records, usable, each, begin_s, own_s, settings.kept_above) for each in templates)


def sameness_of(templates: Templates, settings: MatchSettings) -> Sameness:
    """The rule of the settings, or that of the templates' windows."""
    if settings.sameness is not None:
        return settings.sameness
    return Sameness(window_s=max(Sameness().apart_s, float(templates.length.max(initial=0)) / templates.rate_hz))


def candidates(
    templates: Templates, scans: Sequence[tuple[Scan, ...]], settings: MatchSettings = MatchSettings()
) -> Candidates:
    """What exceeds the threshold in the chunks' scans (of templates and, without `mad`, of controls).

    Raises:
        ValueError: where there is no chunk, the controls have too few peaks, or the threshold is not positive.
    """
    if not scans:
        raise ValueError("no scans; at least one chunk of records is needed")
    own, *others = (merged(each) for each in zip(*scans, strict=True))
    sameness = sameness_of(templates, settings)
    span_s = float((templates.moveout + templates.length).max()) / templates.rate_hz
    tails = false_alarms.tails_of(own, others, span_s, sameness) if settings.mad is None else ()
    limit = (
        false_alarms.threshold(tails, settings.per_day)
        if settings.mad is None
        else false_alarms.threshold_of_mad(settings.mad)
    )
    if limit * np.nanmin(noise_scale(own.counts)) < settings.kept_above:
        raise ValueError(
            f"the threshold of {limit:.2f} standard deviations is below the level {settings.kept_above:g} above which "
            "peaks are kept; lower kept_above, or raise the threshold"
        )
    value = false_alarms.normalised(own)
    peaks = Peaks(own.peaks.template, own.peaks.origin_s, value)
    peaks = Peaks(*(x[value > limit] for x in peaks))
    peaks = Peaks(*(x[each_alone(*peaks, sameness)] for x in peaks))
    peaks = Peaks(*(x[np.lexsort((peaks.template, peaks.origin_s))] for x in peaks))
    rate = false_alarms.per_day(tails, peaks.statistic) if tails else np.full(len(peaks.template), np.nan)
    return Candidates(peaks, rate, limit, tails)


def measured(
    records: Float[np.ndarray, "station component sample"],
    usable: Bool[np.ndarray, "station component sample"],
    templates: Templates,
    peaks: Peaks,
    begin_s: float = 0.0,
    settings: MatchSettings = MatchSettings(),
) -> Measured:
    """Coefficients, supporting stations and lags of candidates whose windows lie in these records."""
    found = matches(records, usable, templates, peaks, begin_s)
    number = len(peaks.template)
    weight = np.where(found.recorded, weights(templates)[found.window], 0.0)
    total = np.bincount(found.detection, weight, number)
    coefficient = np.bincount(found.detection, weight * found.coefficient, number) / np.maximum(total, 1e-30)
    lags = phase_lags(records, usable, templates, found, peaks.template, settings.lag_s)
    key = prng.stream("magnitudes")
    magnitude = magnitude_differences(key, records, usable, templates, found, lags, number)
    return Measured(coefficient, _supporting(templates, found, weight, number, settings.support), lags, magnitude)


def _supporting(
    templates: Templates, found: Matches, weight: Float[np.ndarray, " match"], number: int, support: float
) -> Int[np.ndarray, " detection"]:
    """Stations whose own stack exceeds noise by so many standard deviations."""
    pairs, of = np.unique(np.stack([found.detection, templates.station[found.window]], 1), axis=0, return_inverse=True)
    add = lambda x: np.bincount(of.reshape(-1), x, len(pairs))
    signal, variance = add(weight * found.coefficient), add(weight**2 * noise_variance(templates)[found.window])
    supports = (variance > 0) & (signal > support * np.sqrt(variance))
    return np.bincount(pairs[supports, 0], minlength=number)


def joined(parts: Sequence[tuple[Int[np.ndarray, " row"], Measured]], number: int) -> Measured:
    """Measurements of several chunks, each with the rows of its candidates, in the order of all of them."""
    coefficient, stations, magnitude = np.zeros(number), np.zeros(number, int), no_differences(number)
    none = np.zeros(0)
    empty = none.astype(int)
    lags = [PhaseLags(empty, empty, empty, empty, none, none, Lags(none, none, none, none, none.astype(bool)))]  # pyright: ignore[reportArgumentType]
    for rows, one in parts:
        coefficient[rows], stations[rows] = one.coefficient, one.num_stations
        for column, values in zip(magnitude, one.magnitude, strict=True):
            column[rows] = values
        lags.append(one.lags._replace(detection=rows[one.lags.detection]))
    return Measured(coefficient, stations, jax.tree.map(lambda *x: np.concatenate(x), *lags), magnitude)


def detections(
    templates: Templates, some: Candidates, measures: Measured, settings: MatchSettings = MatchSettings()
) -> Detections:
    """Candidates that enough stations support, in families."""
    own = np.zeros(len(templates.id), int)
    pairs = np.unique(np.stack([templates.template, templates.station], 1), axis=0)
    np.add.at(own, pairs[:, 0], 1)
    peaks, sameness = some.peaks, sameness_of(templates, settings)
    kept = measures.num_stations >= np.minimum(settings.fewest_stations, own[peaks.template])
    rows = np.flatnonzero(kept)
    place = np.full(len(kept), -1)
    place[rows] = np.arange(len(rows))
    template, origin_s, statistic = (x[rows] for x in peaks)
    with_lags = kept[measures.lags.detection]
    lags = jax.tree.map(lambda x: x[with_lags], measures.lags)
    return Detections(
        template=template,
        origin_s=origin_s,
        statistic=statistic,
        coefficient=measures.coefficient[rows],
        per_day=some.per_day[rows],
        num_stations=measures.num_stations[rows],
        head=families(template, origin_s, statistic, travel_times(templates), templates.hypocentre[:, :3], sameness),
        is_self=np.abs(origin_s - templates.hypocentre[template, 3]) < 0.5 / templates.rate_hz + 1e-6,
        lags=lags._replace(detection=place[lags.detection]),
        magnitude=Differences(*(column[rows] for column in measures.magnitude)),
        threshold=some.threshold,
        tails=some.tails,
        unsupported=int((~kept).sum()),
    )


def travel_times(templates: Templates) -> Float[np.ndarray, "template arrival"]:
    """Arrival times of templates after their origin times, by station and phase; NaN where there is no window."""
    out = np.full((len(templates.id), int(templates.station.max(initial=0)) + 1, len(PHASES)), np.nan)
    out[templates.template, templates.station, templates.phase] = templates.travel_s
    return out.reshape(len(out), -1)
