"""Local magnitudes of located events, from the waveform files that they were located by."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxloc.data.dataset import Dataset
from jaxloc.detection.local_magnitude import LocalMagnitude, local_magnitude
from jaxloc.detection.magnitude_curves import CURVES, MagnitudeCurve, curve_from, curve_named
from jaxloc.io.catalogue import Hypocentre, StationMagnitude
from jaxloc.io.ground_motion import GroundMotion, has_responses, to_wood_anderson
from jaxloc.io.magnitude_curve_file import read_curve_table
from jaxloc.io.stations import StationSource, as_inventory
from jaxloc.io.tables import parse_time
from jaxloc.io.waveform_index import Index, WaveformSource, held, index_files
from jaxloc.physics.layered import velocity_of
from jaxloc.physics.layered_times import layered_times
from jaxloc.prng import stream
from jaxloc.runs.outcomes import Outcome
from jaxloc.types import PHASES

BY_DEFAULT, NONE = "iaspei", "none"
DRAWS = 200  # of each location's posterior
BEFORE_P_S, AFTER_S_S = 7.0, 5.0  # that are read around the windows of amplitude and noise
LONGEST_S = 900.0
HELD_S = 3600.0  # of records that are read at once
MARGIN_S = 60.0  # before the start of an event


class Wanted(NamedTuple):
    """How magnitudes are measured.

    Attributes:
        curve: distance correction.
        files: index of the waveform files.
        inventory: with responses.
        replaces: whether a magnitude that an event has from elsewhere is replaced.
    """

    curve: MagnitudeCurve
    files: Index
    inventory: StationSource
    replaces: bool

    @property
    def about(self) -> str:
        """A line for the user."""
        which = "" if self.replaces else " for events without a magnitude; --magnitude NAME for another, none for none"
        return f"local magnitudes by {self.curve.name}, {self.curve.reference}{which}"


def read_curve(name: str) -> MagnitudeCurve:
    """A published curve by its name, or a user's from a CSV (`jaxloc.io.magnitude_curve_file`).

    Raises:
        ValueError: where there is neither, or the file is wrong.
    """
    if name in CURVES or not (Path(name).exists() or name.endswith(".csv")):
        return curve_named(name)
    return curve_from(Path(name).name, *read_curve_table(name))


def wanted(
    records: Any, stations: StationSource | None, magnitude: str | None, *, nested: bool = False
) -> Wanted | None:
    """What is measured; None for no magnitudes.

    Args:
        records: waveform files as given by the user: one, a list, or a stream.
        stations: as given by the user.
        magnitude: name or file of a curve, or "none"; None: IASPEI's where the inventory has responses, and no
            magnitude elsewhere.
        nested: whether folders within the folder of files are searched too.

    Raises:
        ValueError: where magnitudes are asked for and cannot be measured, or the curve is wrong.
    """
    if magnitude == NONE or (magnitude is None and not has_responses(stations)):
        return None
    curve = read_curve(BY_DEFAULT if magnitude is None else magnitude)
    if stations is None:
        raise ValueError(f"--magnitude {magnitude} must come with waveform files and --stations of StationXML")
    if as_inventory(stations) is None:
        raise ValueError(f"--magnitude {magnitude} needs StationXML with responses; {stations} is a table")
    single = isinstance(records, list | tuple) and len(records) == 1
    source: WaveformSource = records[0] if single else records
    return Wanted(curve, index_files(source, nested=nested), stations, magnitude is not None)


def with_magnitudes(
    measured: Wanted | None,
    velocity: Mapping[str, Any],
    dataset: Dataset,
    outcome: Outcome,
    found: Sequence[Hypocentre],
) -> list[Hypocentre]:
    """Located events with local magnitudes.

    Windows are at the picks of an event, and at predicted times where a station has none.

    Args:
        measured: how (`wanted`); None: the events as they are.
        velocity: settings of the velocity model that located them.
        dataset: that was located.
        outcome: of it.
        found: its located events, with their picks.
    """
    if measured is None or not found:
        return list(found)
    rows = {event.id: i for i, event in enumerate(dataset.events)}
    key_places, key_draws = jax.random.split(stream("magnitudes"))
    draws = np.asarray(outcome.predictions.posterior.sample(key_places, (DRAWS,)), float)
    seen = outcome.located.batch.observations
    times, files_at = layered_times(velocity_of(velocity)), hourly(measured.files)

    def one(h: Hypocentre) -> Hypocentre:
        if h.start is None or (h.magnitude is not None and not measured.replaces):
            return h
        row = rows[h.id]
        recording = np.flatnonzero(np.asarray(seen.station_mask[row]))
        codes = tuple(dataset.stations[i].code for i in recording)
        station_km = np.asarray(seen.station_km[row], float)[recording]
        places = draws[:, row]
        centre = places.mean(0)
        travel_s = np.asarray(times(jnp.asarray(station_km))(jnp.asarray(centre[None, :3])))[0]
        arrival_s = arrivals(h, codes, centre[3] + travel_s)
        motion, begin_s = _records(measured._replace(files=files_at(h.start)), h.start, codes, arrival_s)
        result = local_magnitude(
            jax.random.fold_in(key_draws, row),
            motion.records,
            motion.usable,
            motion.rate_hz,
            places,
            station_km,
            arrival_s - begin_s,
            measured.curve,
            codes=codes,
            clipped=motion.clipped,
            reasons=motion.reasons,
        )
        return with_magnitude(h, result, codes, f"{measured.curve.reference}; {motion.about}")

    return [one(h) for h in found]


def hourly(files: Index) -> Callable[[str], Index]:
    """Records about the start of an event, of which those of an hour are read once: files of days are large."""

    @lru_cache(1)
    def of_hour(hour: int) -> Index:
        first = parse_time(f"{hour * HELD_S:.0f}")
        return held(files, first - MARGIN_S, first + HELD_S + LONGEST_S + MARGIN_S)

    return lambda start: of_hour(int(parse_time(start).timestamp // HELD_S))


def arrivals(
    h: Hypocentre, codes: Sequence[str], predicted_s: Float[np.ndarray, "station 2"]
) -> Float[np.ndarray, "station 2"]:
    """P and S of stations after the event's start: its picks, else predicted ones; P alone where S would precede it."""
    picked = {(pick.station, pick.phase): pick.time_s for pick in h.picks}
    times_s = [
        [picked.get((code, phase), predicted_s[i, k]) for k, phase in enumerate(PHASES)] for i, code in enumerate(codes)
    ]
    arrival_s = np.array(times_s, float).reshape(-1, 2)
    crossed = arrival_s[:, 1] < arrival_s[:, 0]
    return np.where(crossed[:, None], predicted_s, arrival_s)


def _records(
    measured: Wanted, start: str, codes: Sequence[str], arrival_s: Float[np.ndarray, "station 2"]
) -> tuple[GroundMotion, float]:
    """Wood-Anderson records around all windows, and when they begin after the event's start."""
    begin_s = float(arrival_s[:, 0].min()) - BEFORE_P_S
    length_s = min(float(arrival_s[:, 1].max()) + AFTER_S_S - begin_s, LONGEST_S)
    return to_wood_anderson(measured.files, measured.inventory, codes, parse_time(start) + begin_s, length_s), begin_s


def with_magnitude(h: Hypocentre, result: LocalMagnitude, codes: Sequence[str], about: str) -> Hypocentre:
    """An event with a local magnitude and those of its stations; without one it keeps the one it has."""
    known = lambda value: None if not np.isfinite(value) else float(value)
    stations = tuple(
        StationMagnitude(code, known(value), known(amplitude), known(far), known(snr), reason)
        for code, value, amplitude, far, snr, reason in zip(
            codes, result.station, result.amplitude_mm, result.distance_km, result.snr, result.reasons, strict=True
        )
    )
    h = h._replace(station_magnitudes=stations)
    if not np.isfinite(result.magnitude):
        return h
    return h._replace(magnitude=result.magnitude, magnitude_sd=result.sd, magnitude_type="ML", magnitude_about=about)
