"""What a catalogue is made of and how, as the requests of its stages, and what comes out."""

from pathlib import Path
from typing import Any, NamedTuple

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
    """The same as a request of an associator; PAL's rules have straight rays."""
    picks = request.output / PICKS
    if request.method == "palm":
        return associate.Request(picks, request.stations, method="palm", depth_km=request.depth_km)
    velocity = (request.velocity, request.velocity_form)
    return associate.Request(picks, request.stations, *velocity, request.method, depth_km=request.depth_km)


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
