"""PAL's rules as a method of `jaxloc associate` (`jaxloc.detection.pal_associator`)."""

from typing import TYPE_CHECKING

import numpy as np

from jaxloc.data.pick_list import Associated
from jaxloc.detection.pal_associator import from_picks
from jaxloc.detection.pal_grid import EXAMPLE, Settings

if TYPE_CHECKING:
    from jaxloc.runs.associate import Opened, Request, Say

DEPTH_STEP_KM = 3.0
OF_OTHERS = ("velocity", "velocity_form", "region_deg", "least_picks", "least_log_odds")
"""Fields of a request that PAL's rules know nothing of."""


def palm(opened: "Opened", request: "Request", say: "Say") -> Associated:
    """Events by the published configuration of PAL, or with other depths or another least number of stations.

    Raises:
        ValueError: where something is asked for that PAL's rules have no place for; or as `from_picks`.
    """
    settings = settings_of(request)
    say(f"{settings.fewest} pairs of P and S with origin times within {settings.origin_s:g} s make an event")
    associated, found = from_picks(opened.picks, opened.station_km, opened.frame, settings)
    if len(found.residual_s):
        say(f"median residual of P {np.median(found.residual_s):.2f} s, of straight rays at {settings.vp_km_s:g} km/s")
    return associated


def settings_of(request: "Request") -> Settings:
    """Settings of PAL for a request; raises as `palm`."""
    defaults = type(request)._field_defaults
    for name in OF_OTHERS:
        if getattr(request, name) != defaults[name]:
            option = {"region_deg": "region"}.get(name, name).replace("_", "-")
            raise ValueError(
                f"--{option} has no effect with --method palm, which searches about the stations with straight rays; "
                "leave it out"
            )
    settings = EXAMPLE
    if request.least_stations is not None:
        settings = settings._replace(fewest=request.least_stations)
    if request.depth_km is not None:
        top_km, bottom_km = request.depth_km
        depths = np.arange(top_km, bottom_km + 1e-6, DEPTH_STEP_KM)
        settings = settings._replace(depths_km=tuple(depths.tolist()))
    return settings
