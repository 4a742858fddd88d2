"""Local magnitudes of located events, from the waveform files that they were located by."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxloc.data.dataset import Dataset
from jaxloc.detection.brune import Speeds
from jaxloc.detection.local_magnitude import LocalMagnitude, local_magnitude
from jaxloc.detection.magnitude_curves import CURVES, MagnitudeCurve, curve_from, curve_named
from jaxloc.detection.moment_magnitude import MomentMagnitude, moment_magnitude
from jaxloc.io.archive import held_records
from jaxloc.io.catalogue import Hypocentre, StationMagnitude
from jaxloc.io.ground_motion import Held, has_responses, hold, to_displacement, to_wood_anderson
from jaxloc.io.magnitude_curve_file import read_curve_table
from jaxloc.io.stations import StationSource, as_inventory
from jaxloc.io.tables import parse_time
from jaxloc.io.waveform_index import Index, WaveformSource, held, index_files
from jaxloc.physics.layered import velocity_of
from jaxloc.physics.layered_times import layered_times
from jaxloc.prng import stream
from jaxloc.runs.outcomes import Outcome
from jaxloc.types import PHASES

BY_DEFAULT, NONE, MOMENT = "iaspei", "none", "moment"
SPECTRA = "displacement spectra of P and S (Brune 1970)"
DRAWS = 200  # of each location's posterior
BEFORE_P_S, AFTER_S_S = 7.0, 5.0  # that are read around the windows of amplitude and noise
LONGEST_S = 900.0
HELD_S = 3600.0  # of records that are read at once
JOINED_FROM = 8  # events of an hour: to join an hour takes as long as to join the windows of some events
MARGIN_S = 60.0  # before the start of an event

Records = Callable[[Any, Any], Index]
"""The records between two times in memory; times are ObsPy's."""


class Wanted(NamedTuple):
    """How magnitudes are measured.

    Attributes:
        curve: distance correction of local magnitudes; None: moment magnitudes.
        records: what was recorded between two times.
        inventory: with responses.
        replaces: whether a magnitude that an event has from elsewhere is replaced.
    """

    curve: MagnitudeCurve | None
    records: Records
    inventory: StationSource
    replaces: bool

    @property
    def about(self) -> str:
        """A line for the user."""
        if self.curve is None:
            return f"moment magnitudes by {SPECTRA}"
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


def wanted(records: Any, stations: StationSource | None, magnitude: str | None) -> Wanted | None:
    """What is measured; None for no magnitudes.

    Args:
        records: waveform files as given by the user: one, a list, or a stream; or what opens an archive.
        stations: as given by the user.
        magnitude: name or file of a curve, "moment" for moment magnitudes, or "none"; None: IASPEI's where the
            inventory has responses, and no magnitude elsewhere.

    Raises:
        ValueError: where magnitudes are asked for and cannot be measured, or the curve is wrong.
    """
    if magnitude == NONE or (magnitude is None and not has_responses(stations)):
        return None
    curve = None if magnitude == MOMENT else read_curve(BY_DEFAULT if magnitude is None else magnitude)
    if stations is None:
        raise ValueError(f"--magnitude {magnitude} must come with waveform files and --stations of StationXML")
    if as_inventory(stations) is None:
        raise ValueError(f"--magnitude {magnitude} needs StationXML with responses; {stations} is a table")
    return Wanted(curve, _records_of(records), stations, magnitude is not None)


def _records_of(records: Any) -> Records:
    if callable(records):
        archive: Any = records()
        return partial(held_records, archive)
    single = isinstance(records, list | tuple) and len(records) == 1
    source: WaveformSource = records[0] if single else records
    return partial(held, index_files(source))


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
    station_km, centre = np.asarray(seen.station_km, float), draws.mean(0)
    travel_s = travel_times(velocity, station_km, centre)
    inventory = as_inventory(measured.inventory) or measured.inventory
    records_at = hourly(measured.records, [h.start for h in found if h.start])

    def one(h: Hypocentre) -> Hypocentre:
        if h.start is None or (h.magnitude is not None and not measured.replaces):
            return h
        row = rows[h.id]
        # The spectral fit is compiled for a number of stations: those that did not record an event have no record.
        there = np.asarray(seen.station_mask[row])
        recording = np.flatnonzero(there) if measured.curve is not None else np.arange(len(there))
        codes = tuple(dataset.stations[i].code for i in recording)
        arrival_s = arrivals(h, codes, centre[row, 3] + travel_s[row, recording])
        begin_s, length_s = span_of(arrival_s)
        start = parse_time(h.start) + begin_s
        if measured.curve is None:
            motion = to_displacement(records_at(h.start), inventory, codes, start, length_s)
            sources = draws[:, row] - np.array([0.0, 0.0, 0.0, begin_s])
            fitted = moment_magnitude(
                jax.random.fold_in(key_draws, row),
                motion.records,
                motion.usable,
                motion.rate_hz,
                sources,
                station_km[row, recording],
                arrival_s - begin_s,
                speeds_at(velocity, float(centre[row, 2])),
                clipped=motion.clipped,
                reasons=motion.reasons,
            )
            return with_moment_magnitude(h, fitted, codes, f"{SPECTRA}; {motion.about}")
        motion = to_wood_anderson(records_at(h.start), inventory, codes, start, length_s)
        result = local_magnitude(
            jax.random.fold_in(key_draws, row),
            motion.records,
            motion.usable,
            motion.rate_hz,
            draws[:, row],
            station_km[row, recording],
            arrival_s - begin_s,
            measured.curve,
            codes=codes,
            clipped=motion.clipped,
            reasons=motion.reasons,
        )
        return with_magnitude(h, result, codes, f"{measured.curve.reference}; {motion.about}")

    return [one(h) for h in found]


def travel_times(
    velocity: Mapping[str, Any], station_km: Float[np.ndarray, "event station 3"], centre: Float[np.ndarray, "event 4"]
) -> Float[np.ndarray, "event station 2"]:
    """First arrivals of P and S of all events after their origin times, in s."""
    times = layered_times(velocity_of(velocity))
    of_one = lambda station_km, point_km: times(station_km)(point_km[None])[0]
    return np.asarray(jax.jit(jax.vmap(of_one))(jnp.asarray(station_km), jnp.asarray(centre[:, :3])), float)


def speeds_at(velocity: Mapping[str, Any], depth_km: float) -> Speeds:
    """Speeds of P and S of a velocity model at a depth, those of its first layer above it."""
    model = velocity_of(velocity)
    row = max(int(np.searchsorted(np.asarray(model.top_km), depth_km, side="right")) - 1, 0)
    return Speeds(float(np.asarray(model.vp_km_s)[row]), float(np.asarray(model.vs_km_s)[row]))


def hourly(records: Records, starts: Sequence[str]) -> Callable[[str], Index | Held]:
    """Records about the start of an event, of which those of an hour are read once: files of days are large.

    Where an hour has `JOINED_FROM` events and more, its records are joined once for all of them.
    """
    hour_of = lambda start: int(parse_time(start).timestamp // HELD_S)
    number = Counter(map(hour_of, starts))

    @lru_cache(1)
    def of_hour(hour: int) -> Index | Held:
        first = parse_time(f"{hour * HELD_S:.0f}")
        span = first - MARGIN_S, first + HELD_S + LONGEST_S + MARGIN_S
        index = records(*span)
        return hold(index, *span) if number[hour] >= JOINED_FROM else index

    return lambda start: of_hour(hour_of(start))


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


def span_of(arrival_s: Float[np.ndarray, "station 2"]) -> tuple[float, float]:
    """When records around all windows begin, after the event's start, and their length."""
    begin_s = float(arrival_s[:, 0].min()) - BEFORE_P_S
    return begin_s, min(float(arrival_s[:, 1].max()) + AFTER_S_S - begin_s, LONGEST_S)


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


def with_moment_magnitude(h: Hypocentre, result: MomentMagnitude, codes: Sequence[str], about: str) -> Hypocentre:
    """An event with a moment magnitude and those of its stations (of P and S); without one it keeps what it has."""
    rows = result.station.reshape(len(PHASES), -1).T
    reasons = np.array(result.reasons).reshape(len(PHASES), -1).T
    stations = tuple(
        StationMagnitude(
            code,
            float(np.nanmean(own)) if np.isfinite(own).any() else None,
            reason="" if np.isfinite(own).any() else "; ".join(dict.fromkeys(why)),
        )
        for code, own, why in zip(codes, rows, reasons.tolist(), strict=True)
    )
    h = h._replace(station_magnitudes=stations)
    if not np.isfinite(result.magnitude):
        return h
    corner, stress = (f"{x[0]:.2g} ({x[1]:.2g} to {x[2]:.2g})" for x in (result.corner_hz, result.stress_drop_mpa))
    about = "; ".join([about, f"corner frequency of S {corner} Hz", f"stress drop {stress} MPa", *result.flags])
    return h._replace(magnitude=result.magnitude, magnitude_sd=result.sd, magnitude_type="Mw", magnitude_about=about)
