"""What weight-free locators are built from: search region, stations, velocity model, catalogue."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxloc.distributions.gaussian_mixture import HypocentreMixture
from jaxloc.physics.adaptive_grid import Region
from jaxloc.physics.layered import VelocityModel
from jaxloc.physics.topography import Ground
from jaxloc.physics.velocity_error import VelocityError

PATH_PART = 0.4


class Setup(NamedTuple):
    """Search region and stations; velocity model and density of a catalogue's hypocentres where they are known.

    `velocity_error` is the uncertainty of the velocity model; None: it counts as exact. No hypocentre is above the
    `ground`, where there is one.
    """

    region: Region
    station_km: Float[np.ndarray, "station 3"]
    velocity: VelocityModel | None = None
    climatology: HypocentreMixture | None = None
    rate_hz: float = 1.0
    velocity_error: VelocityError | None = None
    ground: Ground | None = None


def velocity_of(setup: Setup, name: str) -> VelocityModel:
    """The velocity model that the locator `name` needs.

    Raises:
        ValueError: where there is none.
    """
    if setup.velocity is None:
        raise ValueError(
            f"the locator {name} must have a velocity model; use --velocity, a CSV of depth_km, vp_km_s, vs_km_s"
        )
    return setup.velocity


def model_share_of(setup: Setup, given: float | None) -> float:
    """The standard deviation of travel times as a share of them: the given one, else by the velocity model's error.

    Speeds that are wrong by some per cent make travel times wrong by as many, mostly alike along all paths, which
    locations absorb or origin times take up; `PATH_PART` of it is counted as independent between paths.
    """
    if given is not None:
        return given
    return 0.0 if setup.velocity_error is None else PATH_PART * setup.velocity_error.speed
