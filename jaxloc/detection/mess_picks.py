"""MESS: picks of detected events by correlation, and their links to the templates (Zhou and others 2022, SRL 93)."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxloc.data.pick_list import NO_EVENT
from jaxloc.detection.mess import HORIZONTAL, Correlate, Settings, Template
from jaxloc.detection.pal_quality import s_amplitude


class CorrelationPicks(NamedTuple):
    """P and S of one detection at the stations of its template, in the order of these; NaN where none was possible.

    Attributes:
        arrival_s: from the first sample of the records.
        late_s: arrival after the time that the template predicts.
        correlation: with the template, averaged over components.
        amplitude: of displacement about S, in the unit of the records times s.
    """

    arrival_s: Float[np.ndarray, "own 2"]
    late_s: Float[np.ndarray, "own 2"]
    correlation: Float[np.ndarray, "own 2"]
    amplitude: Float[np.ndarray, " own"]


class LinkSettings(NamedTuple):
    """Settings of the links; the defaults are those published.

    Attributes:
        origin_s: detections whose origin times differ by less are of one event.
        least_detection, least_pick: correlation of a detection and of a pick.
        latest_s: difference of P and of S from the predicted time.
        fewest, most: templates of an event; the first for events that are no template themselves.
        fewest_stations: of a pair of events.
    """

    origin_s: float = 2.0
    least_detection: float = 0.3
    least_pick: float = 0.4
    latest_s: tuple[float, float] = (0.6, 1.0)
    fewest: int = 2
    most: int = 30
    fewest_stations: int = 4


class Detected(NamedTuple):
    """A detection: its template's number, origin time, value of the stack, stations and picks."""

    template: int
    origin_s: float
    correlation: float
    station: Int[np.ndarray, " own"]
    picks: CorrelationPicks


class Linked(NamedTuple):
    """Events of the detections in the order of their origin times, and their differential times with templates.

    Attributes:
        origin_s: of the event's best detection.
        template: that the event is itself, or `NO_EVENT`.
        best: number of the detection that origin time and magnitude are taken from.
        start: east, north and depth in km where a relocation starts: the template's, or the mean of the templates.
        link_event, link_template, link_station, link_phase: rows of each differential time.
        link_s: travel time of the event minus that of the template.
        link_weight: square root of the correlation coefficient.
    """

    origin_s: Float[np.ndarray, " event"]
    template: Int[np.ndarray, " event"]
    best: Int[np.ndarray, " event"]
    start: Float[np.ndarray, "event 3"]
    link_event: Int[np.ndarray, " link"]
    link_template: Int[np.ndarray, " link"]
    link_station: Int[np.ndarray, " link"]
    link_phase: Int[np.ndarray, " link"]
    link_s: Float[np.ndarray, " link"]
    link_weight: Float[np.ndarray, " link"]


def pick(
    correlate: Correlate,
    records: Float[np.ndarray, "station 3 sample"],
    usable: Bool[np.ndarray, "station 3 sample"],
    rate_hz: float,
    template: Template,
    origin_s: float,
    settings: Settings = Settings(),
) -> CorrelationPicks:
    """P and S of a detection where the correlation with the template is largest; arguments as of `detect`."""
    rows = [
        _pick_station(correlate, records[row], usable[row], rate_hz, template, own, origin_s, settings)
        for own, row in enumerate(template.station)
    ]
    table = np.array(rows, float).reshape(-1, 7)
    return CorrelationPicks(table[:, 0:2], table[:, 2:4], table[:, 4:6], table[:, 6])


def _pick_station(
    correlate: Correlate,
    record: Float[np.ndarray, "3 sample"],
    usable: Bool[np.ndarray, "3 sample"],
    rate_hz: float,
    template: Template,
    own: int,
    origin_s: float,
    settings: Settings,
) -> list[float]:
    """P, S, their delays and correlations, and the amplitude; NaN where a window is not inside the record."""
    found = []
    ways = (
        (slice(0, 1), template.p[own], settings.p_s[0], settings.p_search_s),
        (HORIZONTAL, template.s[own], settings.s_s[0], settings.s_search_s),
    )
    for phase, (part, window, before_s, search_s) in enumerate(ways):
        expected = round((origin_s + template.travel_s[own, phase]) * rate_hz)
        search = round(search_s * rate_hz)
        begin = expected - round(before_s * rate_hz) - search
        end = begin + window.shape[-1] + 2 * search
        if begin < 0 or end > record.shape[-1]:
            return [np.nan] * 7
        cut = slice(begin, end)
        value = np.asarray(correlate(record[part, cut], usable[part, cut], window[None]), float)[0].mean(0)
        late = int(value.argmax()) - search
        found.append((expected + late, late / rate_hz, float(value.max())))
    before, after = (round(x * rate_hz) for x in settings.amplitude_s)
    about = record[:, max(found[0][0] - before, 0) : found[1][0] + after]
    sample, late_s, correlation = zip(*found, strict=True)
    amplitude = s_amplitude(about, rate_hz) if about.shape[-1] > before else np.nan
    return [*(x / rate_hz for x in sample), *late_s, *correlation, amplitude]


def link(
    detected: Sequence[Detected],
    template_origin_s: Float[np.ndarray, " template"],
    template_km: Float[np.ndarray, "template 3"],
    settings: LinkSettings = LinkSettings(),
) -> Linked:
    """Group detections to events, and take the differential times of each with its templates.

    Args:
        detected: of all templates; times from one zero.
        template_origin_s: of the templates, from that zero.
        template_km: east, north and depth of the templates.
        settings: see `LinkSettings`.

    A pair of events that is linked in both directions keeps the links of the direction that has more.

    Differs from the paper: detections are grouped in the order of their origin times, and not of the file, so that the
    result does not depend on the order of the templates.
    """
    kept = [x for x in range(len(detected)) if detected[x].correlation >= settings.least_detection]
    kept.sort(key=lambda x: detected[x].origin_s)
    events: list[_Event] = []
    links: dict[tuple[int, int], list[_Link]] = {}
    while kept:
        first_s = detected[kept[0]].origin_s
        group = [x for x in kept if detected[x].origin_s - first_s < settings.origin_s]
        kept = kept[len(group) :]
        best, itself, others = _of_one_event(detected, group, template_origin_s, settings)
        if len(others) < settings.fewest and itself == NO_EVENT:
            continue
        for x in others:
            new = _links(detected[x], len(events), detected[best].origin_s, settings)
            # An event that is no template is in one direction only; its number is made unlike that of any template.
            own = itself if itself != NO_EVENT else len(template_origin_s) + len(events)
            pair = (min(own, detected[x].template), max(own, detected[x].template))
            if len({each.station for each in new}) >= settings.fewest_stations and len(new) >= len(links.get(pair, ())):
                links[pair] = new
        near = [itself] if itself != NO_EVENT else [detected[x].template for x in others]
        events.append(_Event(detected[best].origin_s, itself, best, template_km[near].mean(0)))
    return _as_linked(events, [each for own in links.values() for each in own])


class _Event(NamedTuple):
    """As in `Linked`."""

    origin_s: float
    template: int
    best: int
    start: Float[np.ndarray, " 3"]


class _Link(NamedTuple):
    """As in `Linked`."""

    event: int
    template: int
    station: int
    phase: int
    time_s: float
    weight: float


def _of_one_event(
    detected: Sequence[Detected],
    group: Sequence[int],
    template_origin_s: Float[np.ndarray, " template"],
    settings: LinkSettings,
) -> tuple[int, int, list[int]]:
    """The best detection of an event, the template that the event is (or `NO_EVENT`), and the others that it links."""
    own = [x for x in group if abs(template_origin_s[detected[x].template] - detected[x].origin_s) <= settings.origin_s]
    if own:
        best = max(own, key=lambda x: int(np.isfinite(detected[x].picks.arrival_s[:, 0]).sum()))
        others = [x for x in group if x not in own]
    else:
        best = max(group, key=lambda x: detected[x].correlation)
        others = list(group)
    others = sorted(others, key=lambda x: -detected[x].correlation)[: settings.most]
    return best, detected[best].template if own else NO_EVENT, others


def _links(found: Detected, event: int, origin_s: float, settings: LinkSettings) -> list[_Link]:
    """Differential times of an event, whose origin time may be that of another detection, with one template."""
    time_s = found.picks.late_s + found.origin_s - origin_s
    good = (np.abs(time_s) <= settings.latest_s) & (found.picks.correlation >= settings.least_pick)
    return [
        _Link(
            event,
            found.template,
            int(found.station[row]),
            int(phase),
            float(time_s[row, phase]),
            float(np.sqrt(found.picks.correlation[row, phase])),
        )
        for row, phase in np.argwhere(good)
    ]


def _as_linked(events: Sequence[_Event], links: Sequence[_Link]) -> Linked:
    origin_s, template, best, start = zip(*events, strict=True) if events else ((), (), (), ())
    event, of, station, phase, time_s, weight = zip(*links, strict=True) if links else ((),) * 6
    whole = lambda x: np.array(x, int)
    return Linked(
        np.array(origin_s, float),
        whole(template),
        whole(best),
        np.array(start, float).reshape(-1, 3),
        whole(event),
        whole(of),
        whole(station),
        whole(phase),
        np.array(time_s, float),
        np.array(weight, float),
    )
