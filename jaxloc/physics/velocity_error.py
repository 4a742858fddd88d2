"""The uncertainty of a velocity model as a whole, which locations are integrated over."""

from collections.abc import Mapping
from typing import Any, NamedTuple

MOST = {"speed": 0.5, "vp_vs": 0.5}


class VelocityError(NamedTuple):
    """Standard deviations of a velocity model; the defaults are for a model without a reported uncertainty.

    Attributes:
        speed: relative, of all speeds together.
        vp_vs: of Vp/Vs, absolute, of all layers together.
    """

    speed: float = 0.05
    vp_vs: float = 0.05


def velocity_error(speed: float | None = None, vp_vs: float | None = None) -> VelocityError:
    """A checked uncertainty; None stands for the default.

    Raises:
        ValueError: where a standard deviation is negative, or above 0.5: a per cent given for a share.
    """
    given = {name: value for name, value in (("speed", speed), ("vp_vs", vp_vs)) if value is not None}
    for name, value in given.items():
        if not 0 <= value <= MOST[name]:
            what = "of speeds, as a share of them," if name == "speed" else "of Vp/Vs"
            raise ValueError(f"the standard deviation {what} must be within 0 to {MOST[name]:g}, got {value:g}")
    return VelocityError()._replace(**given)


def velocity_error_of(velocity: Mapping[str, Any]) -> VelocityError | None:
    """The uncertainty in settings: `speed_sd` and `vp_vs_sd`; None where neither is set: the model counts as exact.

    Raises:
        ValueError: as `velocity_error`.
    """
    speed, vp_vs = velocity.get("speed_sd"), velocity.get("vp_vs_sd")
    return None if speed is None and vp_vs is None else velocity_error(speed, vp_vs)


def error_settings(error: VelocityError) -> dict[str, float]:
    """An uncertainty as configurations have it (`velocity_error_of`)."""
    return {"speed_sd": float(error.speed), "vp_vs_sd": float(error.vp_vs)}
