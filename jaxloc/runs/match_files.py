"""Files of what a search by templates found: events, families, differential times."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from jaxloc.atomic_write import write_whole
from jaxloc.data.chunk import SECOND_NS
from jaxloc.data.dataset import Station
from jaxloc.detection.false_alarms import CONTROLS
from jaxloc.detection.matched_detection import Detections
from jaxloc.detection.matched_times import differential_times
from jaxloc.detection.relative_magnitude import LARGE_DIFFERENCE
from jaxloc.detection.templates import Templates
from jaxloc.io.archive import as_time
from jaxloc.io.catalogue import Hypocentre, Pick
from jaxloc.io.contents import written_to_file
from jaxloc.io.hypodd_times import PairTimes, pair_times_of, write_pair_times
from jaxloc.physics.double_differences import KINDS, Links
from jaxloc.runs import report
from jaxloc.runs.match import Matched
from jaxloc.runs.match_events import Known
from jaxloc.runs.relocate import CROSS_SD_S
from jaxloc.types import PHASES

SPEED_KM_S = 6.0  # by which scatter of lags is a separation
LEAST, MOST_SKIPPED = 0.6, 0.1
"""Coefficient below which a lag is no pick and no differential time, and probability of a cycle skip above which."""


def numbers(found: Detections) -> Int[np.ndarray, " detection"]:
    """The number of each detection's event, from 1 in the order of the heads' origin times."""
    heads = np.unique(found.head)
    return np.searchsorted(heads, found.head) + 1


def events_of(known: Known, templates: Templates, found: Detections, stations: Sequence[Station]) -> list[Hypocentre]:
    """Each family as an event at the place of its best template, with the arrivals that lags give as picks.

    The covariance is the template's, and of an event that is not the template itself that of the separation on top:
    `SPEED_KM_S` times the scatter of the lags in each direction. Relocation by dt.cc gives places of their own. The
    magnitude is relative to the template's (`jaxloc.detection.matched_magnitudes`).
    """
    place = dict(zip(known.events.id, known.place, strict=True))
    picks, out = _picks(found, stations), []
    for number, row in enumerate(np.unique(found.head).tolist(), 1):
        own = place[templates.id[found.template[row]]]
        event = Hypocentre(
            id=str(number),
            start=_time(known, float(found.origin_s[row])),
            latitude_deg=own.latitude_deg,
            longitude_deg=own.longitude_deg,
            depth_km=own.depth_km,
            origin_s=0.0,
            covariance=_covariance(own, found, row),
            num_stations=int(found.num_stations[row]),
            others=_figures(found, row),
            picks=tuple(picks.get(row, ())),
            family=templates.id[found.template[row]],
        )
        event = _with_magnitude(event, own, found, row)
        out.append(event)
    return out


def _covariance(own: Hypocentre, found: Detections, row: int) -> Float[np.ndarray, "4 4"]:
    """Of the template's place, and of the separation from it."""
    covariance = np.asarray(own.covariance, float)
    if found.is_self[row]:
        return covariance
    lag_s = np.asarray(found.lags.lags.lag_s)[found.lags.detection == row]
    scatter_s = float(np.std(lag_s)) if len(lag_s) > 1 else np.nan
    return covariance + np.diag([*[(SPEED_KM_S * scatter_s) ** 2] * 3, scatter_s**2])


def _with_magnitude(event: Hypocentre, own: Hypocentre, found: Detections, row: int) -> Hypocentre:
    """The template's magnitude, or one relative to it, where that is known."""
    if own.magnitude is None:
        return event
    if found.is_self[row]:
        return event._replace(magnitude=own.magnitude, magnitude_sd=own.magnitude_sd, magnitude_type=own.magnitude_type)
    difference, sd = float(found.magnitude.value[row]), float(found.magnitude.sd[row])
    if not np.isfinite(difference):
        return event
    about = f"relative to event {own.id} by {found.magnitude.channels[row]} channels (Schaff & Richards 2014)"
    if abs(difference) > LARGE_DIFFERENCE:
        about += (
            f"; {difference:+.1f} from it, beyond the {LARGE_DIFFERENCE:g} up to which corner frequencies are alike"
        )
    return event._replace(
        magnitude=own.magnitude + difference,
        magnitude_sd=math.hypot(own.magnitude_sd or 0.0, sd),
        magnitude_type=own.magnitude_type,
        magnitude_about=about,
    )


def _figures(found: Detections, row: int) -> dict[str, float]:
    figures = {"statistic": float(found.statistic[row]), "coefficient": float(found.coefficient[row])}
    rate = float(found.per_day[row])
    return figures if math.isnan(rate) else figures | {"false_alarms_per_day": rate}


def _picks(found: Detections, stations: Sequence[Station]) -> dict[int, list[Pick]]:
    """Arrivals of the best detection of each family, by its row, with the errors of the template's pick and the lag."""
    lags, picks = found.lags, {}
    lag_s, sd_s, coefficient, skipped, at_end = (np.asarray(x) for x in lags.lags)
    good = (found.head == np.arange(len(found.head)))[lags.detection]
    good &= (coefficient >= LEAST) & (skipped <= MOST_SKIPPED) & ~at_end.astype(bool)
    whole_sd_s = np.hypot(np.nan_to_num(lags.template_sd_s), sd_s)
    for row in np.flatnonzero(good):
        code, phase = stations[int(lags.station[row])].code, PHASES[int(lags.phase[row])]
        pick = Pick(code, phase, float(lags.travel_s[row] + lag_s[row]), float(whole_sd_s[row]))
        picks.setdefault(int(lags.detection[row]), []).append(pick)
    return picks


def _time(known: Known, time_s: float) -> str:
    return str(as_time(known.zero_ns + round(time_s * SECOND_NS)))


def families_csv(known: Known, templates: Templates, found: Detections) -> bytes:
    """Every detection with its event: which template, how well, and whether it is the best one."""
    header = (
        "event,template,origin_time,statistic,coefficient,false_alarms_per_day,num_stations,is_best,is_template_itself"
    )
    rows = [header]
    for row, number in enumerate(numbers(found)):
        rate = found.per_day[row]
        cells = (
            number,
            templates.id[found.template[row]],
            _time(known, float(found.origin_s[row])),
            f"{found.statistic[row]:.3f}",
            f"{found.coefficient[row]:.4f}",
            f"{rate:.3g}" if np.isfinite(rate) else "",
            found.num_stations[row],
            found.head[row] == row,
            found.is_self[row],
        )
        rows.append(",".join(map(str, cells)))
    return ("\n".join(rows) + "\n").encode()


def pair_times(templates: Templates, found: Detections, stations: Sequence[Station]) -> PairTimes:
    """Lines of dt.cc between events of `events_of`, by their numbers; station codes without the network.

    Weights are `jaxloc.runs.relocate.CROSS_SD_S` over the standard deviation, at most one, as `jaxloc relocate` reads
    them.
    """
    times, _ = differential_times(templates, found, LEAST, MOST_SKIPPED)
    heads = np.unique(found.head)
    place = lambda rows: np.searchsorted(heads, rows)
    weight = np.clip(CROSS_SD_S / np.asarray(times.sd_s), 1e-4, 1)
    order = np.lexsort((times.phase, times.station, times.second, times.first))
    own = times._replace(first=place(times.first), second=place(times.second))
    sorted_ = type(own)(*(np.asarray(column)[order] for column in own))  # pyright: ignore[reportArgumentType]
    sites = [each.code.split(".")[-1] for each in stations]
    codes = sites if len(set(sites)) == len(sites) else [each.code for each in stations]
    return pair_times_of(Links(KINDS[1], sorted_, weight[order]), np.arange(1, len(heads) + 1), codes, None)


def write_matched(folder: Path, matched: Matched) -> list[str]:
    """families.csv, and as far as there is something events.csv, events.xml, picks.csv, dt.cc, lost.csv; names."""
    known, templates, found, stations = matched.known, matched.templates, matched.found, matched.archive.stations
    events, times = events_of(known, templates, found, stations), pair_times(templates, found, stations)
    return write_families(folder, families_csv(known, templates, found), events, times, matched.lost)


def write_families(
    folder: Path, families: bytes, events: Sequence[Hypocentre], times: PairTimes, lost: Mapping[str, str]
) -> list[str]:
    """The files of a search by templates, as far as there is something; their names."""
    names = ["families.csv"]
    write_whole(folder / names[0], families)
    if events:
        report.write_events(folder, events)
        names += ["events.csv", "events.xml"]
    if len(times.first):
        write_whole(folder / "dt.cc", written_to_file(lambda path: write_pair_times(path, times)))
        names.append("dt.cc")
    if lost:
        write_whole(folder / "lost.csv", lost_csv(lost))
        names.append("lost.csv")
    return names


def lost_csv(lost: Mapping[str, str]) -> bytes:
    """Events without a template, and why."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("event", "reason"), *lost.items()])
    return text.getvalue().encode()


def lines(matched: Matched) -> list[str]:
    """What was found, in sentences."""
    found, out = matched.found, []
    for name, tail in zip(CONTROLS, found.tails, strict=False):
        shape = f"of shape {tail.shape:.2f}" if tail.shape else "exponential"
        when = f"in the {100 * tail.quiet:.0f} % of the time without events" if tail.quiet else "events included"
        out.append(
            f"templates {name}: {tail.per_day:.0f} peaks a day above {tail.level:.2f} standard deviations ({when}), "
            f"the tail beyond is {shape} with a scale of {tail.scale:.2f}"
        )
    events = len(np.unique(found.head))
    own = len(np.unique(found.head[found.is_self]))
    out.append(
        f"{len(found.template)} detections above {found.threshold:.2f} standard deviations, of {events} events; "
        f"{own} of them are events of the templates; {found.unsupported} candidates with too few stations"
    )
    return out
