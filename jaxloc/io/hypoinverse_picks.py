"""From an event of a HYPOINVERSE archive to the observations that locators take."""

import datetime
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jaxloc.geometry import Frame, to_km
from jaxloc.io.fixed_columns import Record
from jaxloc.io.hypoinverse import ArchivedEvent, minute_of
from jaxloc.io.hypoinverse_stations import Code, Site
from jaxloc.types import PHASES, Observations

CODE_WEIGHTS = (1.0, 0.75, 0.5, 0.25)
"""HYPOINVERSE's weights of pick codes 0-3 (command WET); codes from 4 on have none."""


class ArchivedPicks(NamedTuple):
    """Observations of one event, its stations, the UTC time that picks count from, and stations without a place."""

    observations: Observations
    codes: tuple[Code, ...]
    zero: datetime.datetime
    unknown: tuple[Code, ...]


class _Pick(NamedTuple):
    time_s: float
    code: int


def picks_of_event(
    event: ArchivedEvent,
    sites: Mapping[Code, Site],
    frame: Frame,
    *,
    delays_s: Mapping[Code, float] | None = None,
    vp_vs: float = 1.73,
    code_weights: Sequence[float] = CODE_WEIGHTS,
    reading_sd_s: float = 0.15,
    elevations: bool = False,
) -> ArchivedPicks:
    """P and S of each site, less its delays; times count from the minute of the event's summary.

    Of several picks of one phase at a site the one of the lowest code is taken.

    Args:
        event: of `jaxloc.io.hypoinverse.read_archive`.
        sites: of `jaxloc.io.hypoinverse_stations.sites_of`.
        frame: local coordinates.
        delays_s: of P by site; those of S are `vp_vs` times these.
        vp_vs: ratio of speeds (command POS).
        code_weights: of pick codes (command WET); a pick's standard deviation is `reading_sd_s` over its weight.
        reading_sd_s: standard deviation of a pick of weight 1 (command ERR).
        elevations: whether stations are at their elevations; HYPOINVERSE's layered models have them all at depth 0.
    """
    zero = minute_of(event.summary)
    found: dict[Code, dict[str, _Pick]] = {}
    for phase in event.phases:
        picks = found.setdefault((str(phase["network"] or ""), str(phase["site"] or "")), {})
        for name in PHASES:
            new = _pick(phase, name.lower(), zero)
            if new is not None and new.code < len(code_weights) and (name not in picks or new.code < picks[name].code):
                picks[name] = new
    unknown = tuple(code for code in found if code not in sites)
    codes = tuple(code for code, picks in found.items() if code in sites and picks)
    where = [sites[code] for code in codes]
    east, north = to_km(frame, np.array([s.latitude_deg for s in where]), np.array([s.longitude_deg for s in where]))
    depth = np.array([-s.elevation_m / 1000 if elevations else 0.0 for s in where])
    time_s, sd_s = np.zeros((len(codes), 2)), np.ones((len(codes), 2))
    mask = np.zeros((len(codes), 2), bool)
    for i, code in enumerate(codes):
        for j, name in enumerate(PHASES):
            if (pick := found[code].get(name)) is not None:
                delay_s = (delays_s or {}).get(code, 0.0) * (vp_vs if name == "S" else 1.0)
                time_s[i, j], sd_s[i, j] = pick.time_s - delay_s, reading_sd_s / code_weights[pick.code]
                mask[i, j] = True
    number = len(codes)
    observations = Observations(
        None,
        np.stack([east, north, depth], -1).reshape(number, 3).astype(np.float32),  # pyright: ignore[reportArgumentType]
        np.ones(number, bool),  # pyright: ignore[reportArgumentType]
        np.full(number, -1),  # pyright: ignore[reportArgumentType]
        np.ones(()),  # pyright: ignore[reportArgumentType]
        time_s.astype(np.float32),  # pyright: ignore[reportArgumentType]
        sd_s.astype(np.float32),  # pyright: ignore[reportArgumentType]
        mask,  # pyright: ignore[reportArgumentType]
    )
    return ArchivedPicks(observations, codes, zero, unknown)


def _pick(phase: Record, name: str, zero: datetime.datetime) -> _Pick | None:
    """A phase of a line, where it has a remark, as HYPOINVERSE requires."""
    if phase[f"{name}_remark"] is None or phase[f"{name}_s"] is None:
        return None
    second = (minute_of(phase) - zero).total_seconds() + float(phase[f"{name}_s"] or 0)
    return _Pick(second, int(phase[f"{name}_code"] or 0))
