"""What weight-free locators are built from: search region, stations, velocity model, catalogue."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxloc.distributions.gaussian_mixture import HypocentreMixture
from jaxloc.physics.adaptive_grid import Region
from jaxloc.physics.layered import VelocityModel
from jaxloc.physics.topography import Ground
from jaxloc.physics.velocity_error import VelocityError


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
