"""What a catalogue is made of and how, as the requests of its stages, and what comes out."""

from pathlib import Path
from typing import Any, NamedTuple

from scipy.special import logit

from jaxloc.data.pick_list import Associated
from jaxloc.io.catalogue import Hypocentre
from jaxloc.runs import associate, pick
from jaxloc.runs.pick_setup import Request as LocateRequest

LOCATORS: dict[str, tuple[str, dict[str, Any]]] = {
    "bayes": ("octree", {"kind": "student_t"}),  # of the locators of picks the one whose regions cover best
    "palm": ("geiger", {"posterior": "hypoinverse"}),
}
LEARNS = (
    "bayes"  # the method that learns velocities and station terms from all events (`jaxloc.runs.learnt_velocities`)
)
PICKERS = {"bayes": "network", "palm": "palm"}
LEAST_PROBABILITY = 0.9  # of events that are kept: each of three simulated days then has a precision of 0.97
PICKS = "picks.csv"
NEW, MOVED = "m", "relocated by double differences"  # begin of the ids of new events, and of `origin_about`
PROBABILITY = "event_probability"  # among `Hypocentre.others`


class Request(NamedTuple):
    """What a catalogue is made of, and how: the options of `jaxloc catalogue`."""

    archive: Path
    stations: Path
    velocity: Path | None
    output: Path
    start: str | None = None
    end: str | None = None
    method: str = "bayes"
    chunk_s: float = 3600.0
    velocity_form: str | None = None
    depth_km: tuple[float, float] | None = None
    magnitude: str | None = None
    match: bool = False
    relocate: bool = False
    pages: bool = False
    least_probability: float | None = None


class Made(NamedTuple):
    """A catalogue: located events with their picks, and all picks with what became of them."""

    events: tuple[Hypocentre, ...]
    picked: pick.Picked
    associated: Associated
    lost: dict[str, str]


def pick_request(request: Request) -> pick.Request:
    """The same as a request of a picker."""
    method = PICKERS[request.method]
    return pick.Request(request.archive, request.stations, method, request.start, request.end, length_s=request.chunk_s)


def associate_request(request: Request) -> associate.Request:
    """The same as a request of an associator; PAL's rules have straight rays.

    Raises:
        ValueError: for a least probability that is none, or by PAL's rules, which give none.
    """
    picks, least = request.output / PICKS, request.least_probability
    if request.method == "palm":
        if least is not None:
            raise ValueError("--least-probability has no effect with --method palm, which gives events no probability")
        return associate.Request(picks, request.stations, method="palm", depth_km=request.depth_km)
    if least is not None and not 0 <= least < 1:
        raise ValueError(f"--least-probability must be 0 or more and below 1, got {least:g}")
    return associate.Request(
        picks,
        request.stations,
        request.velocity,
        request.velocity_form,
        request.method,
        depth_km=request.depth_km,
        least_log_odds=float(logit(LEAST_PROBABILITY if least is None else least)),
    )


def locate_request(request: Request) -> LocateRequest:
    """The same as a request of a locator of picks."""
    name, settings = LOCATORS[request.method]
    return LocateRequest(
        name,
        request.archive,
        request.stations,
        request.velocity,
        depth_km=request.depth_km,
        velocity_form=request.velocity_form,
        settings=settings,
    )
