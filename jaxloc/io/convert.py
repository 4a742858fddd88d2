"""Conversion between file formats, with what is lost in it found by reading back what was written."""

import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxloc.atomic_write import write_whole
from jaxloc.data.dataset import Station
from jaxloc.geometry import great_circle_km
from jaxloc.io.catalogue import Hypocentre
from jaxloc.io.contents import Contents, Format, all_picks, joined, origin_time, picked_events
from jaxloc.io.formats import FORMATS, format_named, read
from jaxloc.io.pick_files import Pick, PickFile
from jaxloc.io.station_codes import by_spelling
from jaxloc.io.stations import read_stations

TIME_S, PLACE_KM, SD = 2e-6, 1e-4, 0.01  # smaller changes (s, km, share of an error) are not worth a line


class Converted(NamedTuple):
    """What was read, in which formats, what was written, in which format, and a line for each thing that was lost."""

    contents: Contents
    formats: tuple[str, ...]
    to: str
    lost: tuple[str, ...]


def convert(
    inputs: Sequence[Path],
    output: Path,
    source: str | None = None,
    target: str | None = None,
    stations: Path | None = None,
) -> Converted:
    """Read files, write their joint contents in another format, whole or not at all.

    Args:
        inputs: one file, or several that belong together, as events and their picks.
        output: the file to write.
        source: the format of the inputs; None: recognised by content.
        target: the format to write; None: by the end of the output's name and what there is to write.
        stations: a list of stations that completes codes without network, and is written where the target holds
            stations and the inputs have none.

    Raises:
        ValueError: where a file cannot be read, its format is not recognised, the target cannot hold anything of it or
            is not clear, or the folder of the output is missing.
        OSError: where the output cannot be written.
    """
    if output.resolve() in [path.resolve() for path in inputs]:
        raise ValueError(f"{output} is an input as well; the output must be another file")
    parts = [read(path, source) for path in inputs]
    contents = joined([part for part, _ in parts])
    if stations is not None:
        contents = with_stations(contents, read_stations(stations))
    if not contents.kinds:
        raise ValueError(
            f"{', '.join(map(str, inputs))}: there is nothing to convert; notes: {'; '.join(contents.notes)}"
        )
    form = target_of(output, contents, target)
    data, lost = written(form, contents)
    write_whole(output, data)
    return Converted(contents, tuple(form.name for _, form in parts), form.name, lost)


def target_of(output: Path, contents: Contents, name: str | None = None) -> Format:
    """The format to write: the named one, else that of the output's suffix that holds most of what there is.

    Raises:
        ValueError: where the format does not exist, cannot be written, or holds nothing of the contents, or none or
            several are possible; names them.
    """
    holding = [each for each in FORMATS.values() if each.write and set(each.holds) & set(contents.kinds)]
    names = ", ".join(each.name for each in holding)
    if name is not None:
        form = format_named(name)
        if form not in holding:
            wrong = f"holds {' and '.join(form.holds)}" if form.write else "is only read"
            raise ValueError(
                f"{name} {wrong}, and there are {' and '.join(contents.kinds)}; --to must be one of {names}"
            )
        return form
    fitting = [each for each in holding if output.suffix.lower() in each.suffixes]
    most = max((len(set(each.holds) & set(contents.kinds)) for each in fitting), default=0)
    best = [each for each in fitting if len(set(each.holds) & set(contents.kinds)) == most]
    best = [each for each in best if each.name in PLAIN] or best
    if len(best) != 1:
        found = f"several formats have {output.suffix}" if best else f"no format for {output.suffix or 'this name'}"
        raise ValueError(
            f"{found} and hold {' and '.join(contents.kinds)}: say --to {' or '.join(e.name for e in best) or names}"
        )
    return best[0]


PLAIN = ("picks_csv", "events_csv", "station_table", "velocity_table")
"""Formats for a .csv that nothing more is said of."""


def written(form: Format, contents: Contents) -> tuple[bytes, tuple[str, ...]]:
    """The bytes of a file in a format, and what they lack, found by reading them.

    Raises:
        ValueError: where the format refuses the contents, or what it wrote cannot be read.
    """
    assert form.write is not None, "target_of gives formats that can be written"
    data = form.write(contents)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / f"written{form.suffixes[0] if form.suffixes else ''}"
        path.write_bytes(data)
        try:
            again = form.read(path)
        except ValueError as error:
            said = str(error).replace(str(path), "the output")
            raise ValueError(f"these contents cannot be written as {form.name}: {said}") from error
    return data, losses(contents, again)


def with_stations(contents: Contents, stations: Sequence[Station]) -> Contents:
    """Contents with a list of stations, and codes NET.STA for picks at STA or NETSTA, where the list has one such."""
    short = by_spelling({station.code for station in stations})
    if contents.picks is not None:

        def named(pick: Pick) -> Pick:
            return pick._replace(station=short.get(pick.station, pick.station))

        events = (event._replace(picks=tuple(map(named, event.picks))) for event in contents.picks.events)
        picks = PickFile(tuple(events), contents.picks.unassociated, tuple(map(named, contents.picks.loose)))
        contents = contents._replace(picks=picks)
    return contents if contents.stations else contents._replace(stations=tuple(stations))


def counts(contents: Contents) -> dict[str, int]:
    """How many there are of each thing that a format may lack, in words."""
    picks, events = all_picks(contents), contents.events
    known = [np.isfinite(event.covariance.diagonal()) for event in events]
    whole = [(event, ok) for event, ok in zip(events, known, strict=True) if ok[:2].all()]
    return {
        "picks": len(picks),
        "picks that belong to no event": sum(event is None for event, _ in picks),
        "networks of picks": sum("." in pick.station.strip(".") for _, pick in picks),
        "uncertainties of picks": sum(pick.sigma_s > 0 for _, pick in picks),
        "probabilities of picks": sum(pick.probability is not None for _, pick in picks),
        "amplitudes of picks": sum(pick.amplitude is not None for _, pick in picks),
        "events with picks": sum(bool(event.picks) for event in picked_events(contents)),
        "locations": len(events),
        "magnitudes": sum(event.magnitude is not None for event in events),
        "uncertainties of magnitudes": sum(event.magnitude_sd is not None for event in events),
        "uncertainties of epicentres": sum(bool(ok[:2].all()) for ok in known),
        "uncertainties of depths": sum(bool(ok[2]) for ok in known),
        "uncertainties of origin times": sum(bool(ok[3]) for ok in known),
        "correlations of errors": sum(_correlated(event) for event, _ in whole),
        "flags and other figures of events": sum(bool(event.flag or event.alarm or event.others) for event in events),
        "numbers of stations and gaps": sum(
            event.num_stations is not None or event.gap_deg is not None for event in events
        ),
        "stations": len(contents.stations),
        "networks of stations": sum("." in station.code.strip(".") for station in contents.stations),
        "uncertainties of positions of stations": sum(station.position_sd_km > 0 for station in contents.stations),
        "velocity models": int(contents.velocity is not None),
        "differential times": len(contents.differences),
    }


def _correlated(event: Hypocentre) -> bool:
    """Whether errors are correlated, or differ between east and north."""
    covariance = event.covariance
    known = np.isfinite(covariance.diagonal())
    part = covariance[np.ix_(known, known)]
    return bool(
        np.abs(part - np.diag(part.diagonal())).max(initial=0) > 1e-9 * part.max()
        or not np.isclose(*part.diagonal()[:2])
    )


def losses(before: Contents, after: Contents) -> tuple[str, ...]:
    """What was there and is not any more, and by how much values were rounded; a line each."""
    then, now = counts(before), counts(after)
    lost = [f"{then[what] - now[what]} of {then[what]} {what}" for what in then if now[what] < then[what]]
    names_before, names_after = {e.id for e in before.events}, {e.id for e in after.events}
    if after.events and (gone := names_before - names_after) and len(after.events) == len(before.events):
        lost.append(f"ids of {len(gone)} of {len(names_before)} events: they are named by their order")
    return (*lost, *_rounded_picks(before, after), *_rounded_events(before, after), *_rounded_model(before, after))


def _rounded_picks(before: Contents, after: Contents) -> list[str]:
    """Changes of times and uncertainties, of picks in the order of station, phase and time."""
    ordered = lambda contents: sorted(
        (pick.station.split(".")[-1], pick.phase, pick.time_ns, pick.sigma_s) for _, pick in all_picks(contents)
    )
    first, second = ordered(before), ordered(after)
    if len(first) != len(second) or [each[:2] for each in first] != [each[:2] for each in second]:
        return []
    moved_s = max((abs(a[2] - b[2]) for a, b in zip(first, second, strict=True)), default=0) * 1e-9
    lines = [f"times of picks are rounded by up to {moved_s:.2g} s"] if moved_s > TIME_S else []
    known = [(a[3], b[3]) for a, b in zip(first, second, strict=True) if a[3] > 0 and b[3] > 0]
    changed = max((abs(after / before - 1) for before, after in known), default=0.0)
    return [*lines, f"uncertainties of picks change by up to {100 * changed:.3g} %"] if changed > SD else lines


def _rounded_events(before: Contents, after: Contents) -> list[str]:
    if len(before.events) != len(after.events) or not after.events:
        return []
    pairs = list(zip(before.events, after.events, strict=True))
    column: Callable[[str], np.ndarray] = lambda name: np.array(
        [[getattr(e, name) for e in pair] for pair in pairs], float
    )
    (lat, lat2), (lon, lon2), (dep, dep2) = (column(n).T for n in ("latitude_deg", "longitude_deg", "depth_km"))
    lines = []
    moved_km = float(great_circle_km(lat, lon, lat2, lon2).max())
    if moved_km > PLACE_KM:
        lines.append(f"epicentres are rounded by up to {1000 * moved_km:.2g} m")
    if (deeper_km := float(np.abs(dep - dep2).max())) > PLACE_KM:
        lines.append(f"depths are rounded by up to {1000 * deeper_km:.2g} m")
    times = [(origin_time(a), origin_time(b)) for a, b in pairs]
    later_s = max((abs(a - b) for a, b in times if a is not None and b is not None), default=0.0)
    if later_s > TIME_S:
        lines.append(f"origin times are rounded by up to {later_s:.2g} s")
    with np.errstate(invalid="ignore", divide="ignore"):
        sd, sd2 = (np.sqrt([e.covariance.diagonal() for e in each.events]) for each in (before, after))
        ratio = np.abs(sd2 / sd - 1)
    changed = ratio[np.isfinite(ratio)]
    if changed.size and changed.max() > SD:
        lines.append(f"standard deviations of locations change by up to {100 * changed.max():.2g} %")
    return lines


def _rounded_model(before: Contents, after: Contents) -> list[str]:
    if before.velocity is None or after.velocity is None:
        return []
    lines = []
    for name, text in (("top_km", "depths (km)"), ("vp_km_s", "P speeds (km/s)"), ("vs_km_s", "S speeds (km/s)")):
        first, second = (np.asarray(getattr(each.velocity, name)) for each in (before, after))
        if first.shape != second.shape:
            return [f"{len(first)} layers become {len(second)}"]
        if (most := float(np.abs(first - second).max())) > 1e-4:
            lines.append(f"{text} of the velocity model change by up to {most:.2g}")
    return lines


def summary(done: Converted, inputs: Sequence[Path], output: Path) -> list[str]:
    """Lines for the user: what was read, what was written, what was lost."""
    things = ", ".join(f"{number} {what}" for what, number in counts(done.contents).items() if number and what in SHOWN)
    from_ = ", ".join(f"{path} ({name})" for path, name in zip(inputs, done.formats, strict=True))
    lines = [f"read {from_}: {things}", f"wrote {output} ({done.to})"]
    notes = [f"note: {line}" for line in (*done.contents.notes, *_left_out(done.contents))]
    return [*lines, *notes, *(f"lost: {line}" for line in done.lost)]


def _left_out(contents: Contents) -> list[str]:
    """Picks of the inputs that were not read, by reason."""
    if contents.picks is None:
        return []
    reasons = Counter(reason for event in contents.picks.events for reason in event.left_out)
    if others := contents.picks.unassociated - len(contents.picks.loose):
        reasons["they belong to no event and are neither P nor S"] = others
    return [f"{number} pick{'s' * (number > 1)} not read: {reason}" for reason, number in reasons.most_common()]


SHOWN = (
    "picks",
    "picks that belong to no event",
    "events with picks",
    "locations",
    "stations",
    "velocity models",
    "differential times",
)
