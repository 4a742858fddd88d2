"""Templates: windows of the records of known events about their arrivals, one per station, phase and component.

P is cut from the vertical component, S from the horizontal ones (`jaxloc.data.characteristic_functions.BY_PHASE`).
Windows may have any lengths. The noise before P is kept with each window: relative magnitudes are biased without it.
"""

# pyright: reportCallIssue=false, reportArgumentType=false
# Columns are unpacked in the order of the type.

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxloc.data.characteristic_functions import BY_PHASE
from jaxloc.data.preprocessing import check_band

VP_VS = 1.73
"""Where a station has no P pick, noise ends before the P time that its S time gives by this ratio."""
NOISE_GAP_S = 0.5
"""Between the end of the noise and the first window of a station, so that an early onset does not count as noise."""


class TemplateSettings(NamedTuple):
    """How templates are cut.

    Attributes:
        band_hz: pass band of the filter, of zero phase.
        before_s: of each window before the arrival, of P and S.
        after_s: and after it.
        noise_s: length of the noise window.
        least_snr: root mean square of the window over that of its noise, below which it is not used.
        fewest_stations: with a window; events with fewer make no template.
    """

    band_hz: tuple[float, float] = (2.0, 12.0)
    before_s: tuple[float, float] = (0.3, 0.3)
    after_s: tuple[float, float] = (2.2, 3.2)
    noise_s: float = 4.0
    least_snr: float = 3.0
    fewest_stations: int = 3


class KnownEvents(NamedTuple):
    """Events with picks. NaN: no pick; times in s from a zero that the caller keeps, in double precision.

    Attributes:
        id: names.
        hypocentre: east, north, depth in km, and origin time.
        arrival_s: picked or predicted arrival times of P and S.
        sd_s: their standard deviations; NaN where unknown.
    """

    id: tuple[str, ...]
    hypocentre: Float[np.ndarray, "event 4"]
    arrival_s: Float[np.ndarray, "event station phase"]
    sd_s: Float[np.ndarray, "event station phase"]


class Templates(NamedTuple):
    """Templates in one list of windows, those of a template one after the other.

    Attributes:
        id: of the event of each template.
        hypocentre: of the event: east, north, depth in km, and origin time in s.
        lead_s: from the origin time to the first sample of the earliest window.
        template: of each window, in ascending order.
        station: row of the list of stations.
        component: place in `jaxloc.types.COMPONENTS`.
        phase: place in `jaxloc.types.PHASES`.
        moveout: samples from the first sample of the template's earliest window to that of this one.
        length: samples of the window.
        travel_s: arrival time after the origin time.
        sd_s: standard deviation of the arrival time; NaN where unknown.
        snr: root mean square of the window over that of the noise.
        noise_ahead: samples from the first of the noise to that of the window.
        value: the windows, filtered, zero beyond their lengths.
        noise: filtered noise before P.
        rate_hz: sampling rate.
        band_hz: pass band of the filter.
    """

    id: tuple[str, ...]
    hypocentre: Float[np.ndarray, "template 4"]
    lead_s: Float[np.ndarray, " template"]
    template: Int[np.ndarray, " window"]
    station: Int[np.ndarray, " window"]
    component: Int[np.ndarray, " window"]
    phase: Int[np.ndarray, " window"]
    moveout: Int[np.ndarray, " window"]
    length: Int[np.ndarray, " window"]
    travel_s: Float[np.ndarray, " window"]
    sd_s: Float[np.ndarray, " window"]
    snr: Float[np.ndarray, " window"]
    noise_ahead: Int[np.ndarray, " window"]
    value: Float[np.ndarray, "window sample"]
    noise: Float[np.ndarray, "window noise"]
    rate_hz: float
    band_hz: tuple[float, float]


def check(settings: TemplateSettings, rate_hz: float) -> None:
    """Refuse settings that cannot be met.

    Raises:
        ValueError: for an impossible band, windows without length, or thresholds that are not positive.
    """
    check_band(settings.band_hz, rate_hz)
    lengths = [before + after for before, after in zip(settings.before_s, settings.after_s, strict=True)]
    if min(lengths) * rate_hz < 2 or settings.noise_s * rate_hz < 2:
        raise ValueError(
            f"windows of templates and noise must have two samples at {rate_hz:g} Hz, got {min(lengths):g} s and "
            f"{settings.noise_s:g} s; use longer ones"
        )
    if not (settings.least_snr >= 0 and settings.fewest_stations >= 1):
        raise ValueError(
            f"least_snr must not be negative and fewest_stations at least 1, got {settings.least_snr:g} and "
            f"{settings.fewest_stations}"
        )


def make_templates(
    records: Float[np.ndarray, "station component sample"],
    usable: Bool[np.ndarray, "station component sample"],
    rate_hz: float,
    events: KnownEvents,
    begin_s: float = 0.0,
    settings: TemplateSettings = TemplateSettings(),
) -> tuple[Templates, dict[str, str]]:
    """Cut templates out of filtered records.

    Args:
        records: within the band (`jaxloc.detection.filtered_records.in_band`).
        usable: samples that were recorded.
        rate_hz: sampling rate.
        events: whose arrivals lie within the records.
        begin_s: time of the first sample, from the zero of the events.
        settings: how to cut.

    Returns:
        Templates, and by event id the reason why there is none.

    Raises:
        ValueError: as `check`, or where records, mask and arrivals differ in shape.
    """
    check(settings, rate_hz)
    if records.shape != usable.shape or events.arrival_s.shape[1:] != (len(records), len(BY_PHASE)):
        raise ValueError(
            f"records, usable and arrivals must have the same stations, got shapes {records.shape}, {usable.shape} "
            f"and {events.arrival_s.shape}"
        )
    found, lost = [], {}
    for row, name in enumerate(events.id):
        windows = _windows(records, usable, rate_hz, events, row, begin_s, settings)
        stations = len({window.station for window in windows})
        if stations < settings.fewest_stations:
            lost[name] = (
                f"windows with a signal-to-noise ratio of {settings.least_snr:g} at {stations} stations; "
                f"{settings.fewest_stations} are needed"
            )
        else:
            found.append((row, windows))
    return _joined(found, events, rate_hz, begin_s, settings), lost


class _Window(NamedTuple):
    station: int
    component: int
    phase: int
    begin: int
    snr: float
    noise_ahead: int
    value: Float[np.ndarray, " sample"]
    noise: Float[np.ndarray, " noise"]


def _windows(
    records: np.ndarray,
    usable: np.ndarray,
    rate_hz: float,
    events: KnownEvents,
    row: int,
    begin_s: float,
    settings: TemplateSettings,
) -> list[_Window]:
    """Windows of one event that are whole and whose signal stands out."""
    number = round(settings.noise_s * rate_hz)
    found = []
    for station, (p_s, s_s) in enumerate(events.arrival_s[row] - begin_s):
        origin_s = events.hypocentre[row, 3] - begin_s
        first_s = p_s if np.isfinite(p_s) else origin_s + (s_s - origin_s) / VP_VS
        if not np.isfinite(first_s):
            continue
        noise_end = round((first_s - settings.before_s[0] - NOISE_GAP_S) * rate_hz)
        for phase, time_s in enumerate((p_s, s_s)):
            if not np.isfinite(time_s):
                continue
            begin = round((time_s - settings.before_s[phase]) * rate_hz)
            end = begin + round((settings.before_s[phase] + settings.after_s[phase]) * rate_hz)
            for component in range(*BY_PHASE[phase].indices(records.shape[1])):
                inside, before = slice(begin, end), slice(noise_end - number, noise_end)
                if begin < 0 or before.start < 0 or end > records.shape[-1]:
                    continue
                if not (usable[station, component, inside].all() and usable[station, component, before].all()):
                    continue
                value, noise = (records[station, component, part] for part in (inside, before))
                snr = float(value.std() / max(noise.std(), 1e-30))
                if value.std() > 0 and snr >= settings.least_snr:
                    ahead = begin - before.start
                    found.append(_Window(station, component, phase, begin, snr, ahead, value - value.mean(), noise))
    return found


def _joined(
    found: list[tuple[int, list[_Window]]],
    events: KnownEvents,
    rate_hz: float,
    begin_s: float,
    settings: TemplateSettings,
) -> Templates:
    rows = np.array([row for row, _ in found], int)
    first = np.array([min(window.begin for window in windows) for _, windows in found], int)
    flat = [window for _, windows in found for window in windows]
    template = np.repeat(np.arange(len(found)), [len(windows) for _, windows in found])
    column = lambda name: np.array([getattr(window, name) for window in flat], int)
    station, phase = column("station"), column("phase")
    length = np.array([len(window.value) for window in flat], int)
    longest = length.max(initial=2)
    value = [np.pad(window.value, (0, longest - len(window.value))) for window in flat]
    number = round(settings.noise_s * rate_hz)
    at = (rows[template], station, phase)
    return Templates(
        id=tuple(events.id[row] for row in rows),
        hypocentre=events.hypocentre[rows],
        lead_s=begin_s + first / rate_hz - events.hypocentre[rows, 3],
        template=template,
        station=station,
        component=column("component"),
        phase=phase,
        moveout=column("begin") - first[template],
        length=length,
        travel_s=events.arrival_s[at] - events.hypocentre[rows[template], 3],
        sd_s=events.sd_s[at],
        snr=np.array([window.snr for window in flat], float),
        noise_ahead=column("noise_ahead"),
        value=np.array(value, np.float32).reshape(len(flat), longest),
        noise=np.array([window.noise for window in flat], np.float32).reshape(len(flat), number),
        rate_hz=rate_hz,
        band_hz=settings.band_hz,
    )


def join(parts: Sequence[Templates]) -> Templates:
    """Templates of several chunks of records in one list.

    Raises:
        ValueError: where there are none, or rates or bands differ.
    """
    if not parts:
        raise ValueError("no templates to join; give at least one chunk of records with events")
    kinds = {(part.rate_hz, part.band_hz) for part in parts}
    if len(kinds) > 1:
        raise ValueError(f"templates must have one rate and band, got {sorted(kinds)}; filter all records alike")
    offset = np.cumsum([0, *(len(part.id) for part in parts)])
    longest = max(part.value.shape[1] for part in parts)
    pad = lambda x: np.pad(x, ((0, 0), (0, longest - x.shape[1])))
    parts = [
        part._replace(template=part.template + at, value=pad(part.value))
        for part, at in zip(parts, offset[:-1], strict=True)
    ]
    ids = tuple(name for part in parts for name in part.id)
    columns = zip(*(part[1:-2] for part in parts), strict=True)
    return Templates(ids, *(np.concatenate(column) for column in columns), *parts[0][-2:])


def take_events(events: KnownEvents, rows: Int[np.ndarray, " chosen"]) -> KnownEvents:
    """Some of the events, by their places."""
    return KnownEvents(tuple(events.id[row] for row in rows), *(column[rows] for column in events[1:]))


def take(templates: Templates, which: Int[np.ndarray, " chosen"]) -> Templates:
    """Some of the templates, by their places, in ascending order."""
    which = np.sort(which)
    windows = np.isin(templates.template, which)
    place = np.searchsorted(which, templates.template[windows])
    own = Templates(
        tuple(templates.id[row] for row in which),
        templates.hypocentre[which],
        templates.lead_s[which],
        *(column[windows] for column in templates[3:-2]),
        *templates[-2:],
    )
    return own._replace(template=place)
