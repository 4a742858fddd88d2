"""Windows that slide over continuous records, and the same event in several of them."""

from collections.abc import Sequence

import numpy as np
from obspy import UTCDateTime

from jaxloc.geometry import Frame, to_km
from jaxloc.io.catalogue import Hypocentre

LONGEST = 1.25  # windows: records up to this are one window
SAME_SD = 4.0  # standard deviations of the difference of two locations of one event, along each axis
SAME_S, SAME_KM = 1.0, 2.0  # added to these in origin time and position


def window_starts(begin: UTCDateTime, span_s: float, length_s: float, overlap: float) -> list[UTCDateTime]:
    """Starts of windows that cover a span; the last one ends with it. One start where a window is nearly as long.

    Args:
        begin: of the span.
        span_s: its length.
        length_s: of a window.
        overlap: of neighbouring windows, as a share of their length.

    Raises:
        ValueError: where the overlap is not within 0-0.9.
    """
    if not 0 <= overlap <= 0.9:
        raise ValueError(f"the overlap of sliding windows must be within 0-0.9 of their length, got {overlap:g}")
    if span_s <= LONGEST * length_s:
        return [begin]
    step_s = length_s * (1 - overlap)
    inner = np.arange(0, span_s - length_s, step_s)
    return [begin + float(at) for at in inner] + [begin + (span_s - length_s)]


def one_each(found: Sequence[Hypocentre]) -> tuple[list[Hypocentre], dict[str, str]]:
    """Events of overlapping windows, each kept once, by time; and of which event each of the others is a duplicate.

    Two locations are of one event where origin times and positions differ by less than four standard deviations of the
    difference, plus 1 s and 2 km. Of these the one with the fewest flags is kept, then that of the smallest volume.
    """
    frame = Frame(found[0].latitude_deg, found[0].longitude_deg) if found else Frame(0.0, 0.0)
    kept: list[Hypocentre] = []
    again: dict[str, str] = {}
    for event in sorted(found, key=_worth):
        same = next((other for other in kept if same_event(event, other, frame)), None)
        if same is None:
            kept.append(event)
        else:
            again[event.id] = same.id
    return sorted(kept, key=_origin), again


def _worth(event: Hypocentre) -> tuple[int, float]:
    flags = event.flag.count(";") + 1 if event.flag else 0
    return flags, float(np.linalg.slogdet(np.asarray(event.covariance, float))[1])


def _origin(event: Hypocentre) -> UTCDateTime:
    return UTCDateTime(event.start or 0) + event.origin_s


def same_event(first: Hypocentre, second: Hypocentre, frame: Frame) -> bool:
    """Whether two locations agree within their uncertainties."""
    east_km, north_km = to_km(
        frame,
        np.array([first.latitude_deg, second.latitude_deg]),
        np.array([first.longitude_deg, second.longitude_deg]),
    )
    apart_s = float(_origin(first) - _origin(second))
    apart = np.abs([*np.diff(east_km), *np.diff(north_km), first.depth_km - second.depth_km, apart_s])
    sd = np.sqrt(np.diag(np.asarray(first.covariance)) + np.diag(np.asarray(second.covariance)))
    return bool(np.all(apart < SAME_SD * sd + [SAME_KM, SAME_KM, SAME_KM, SAME_S]))
