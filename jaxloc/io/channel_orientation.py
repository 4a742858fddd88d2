"""How the components of a station's record are turned to Z, N, E: by an inventory, or else by their letters."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from obspy import UTCDateTime
from obspy.core.inventory import Channel

from jaxloc.data.components import VERTICAL_OF_TRIAXIAL, component_places, order_components, rotation_to_zne
from jaxloc.io.station_inventory import epochs_at

ALIGNED_DEG = 0.05
STEEPEST_DEG = 45.0
REMEDY = "give StationXML with azimuths and dips"

Channels = Mapping[str, list[Channel]]
"""The epochs of each channel, by NET.STA.LOC.CHA."""


def orientation(
    epochs: Channels, channels: Sequence[str], letters: Sequence[str], time: UTCDateTime
) -> tuple[Float[np.ndarray, "3 channel"], str]:
    """The matrix that turns channels into Z, N, E: by the inventory or else by their letters, and what is assumed."""
    matrix = rotation(epochs, channels, letters, time)
    if matrix is not None:
        return matrix, ""
    places = component_places(letters)
    matrix = order_components(np.eye(len(letters)), "".join(letters)) if places or _is_triaxial(letters) else None
    if matrix is None:
        return np.zeros((3, len(letters))), f"{', '.join(letters)} without orientation are left out; {REMEDY}"
    if not places:
        return matrix, f"U, V, W without orientation give the vertical alone; {REMEDY}"
    assumed = [f"{letter} taken for {'ZNE'[place]}" for letter, place in places.items() if letter not in "ZNE"]
    left = [f"{letter} left out" for letter in letters if letter not in places]
    return matrix, f"{', '.join(assumed + left)}, without orientation; {REMEDY}" if assumed or left else ""


def _is_triaxial(letters: Sequence[str]) -> bool:
    return set(VERTICAL_OF_TRIAXIAL) <= set(letters)


def rotation(
    epochs: Channels, channels: Sequence[str], letters: Sequence[str], time: UTCDateTime
) -> Float[np.ndarray, "3 channel"] | None:
    """The matrix that turns channels into Z, N, E by the inventory's azimuths and dips.

    Three channels are turned whatever their letters are. Of fewer, a vertical whose dip is positive (it points down)
    changes its sign, and horizontals keep their letters. None where the orientation is unknown, or that of the letters.
    """
    axes = [_axis(epochs_at(epochs.get(channel, []), time)) for channel in channels]
    if len(channels) == 3:
        matrix = rotation_to_zne(*zip(*axes, strict=True))
        if matrix is not None and not _is_aligned(matrix, letters):
            return matrix
    reversed_ = [letter in "Z3" and dip > STEEPEST_DEG for letter, (_, dip) in zip(letters, axes, strict=True)]
    if len(channels) == 3 or not any(reversed_):
        return None
    return order_components(np.diag(np.where(reversed_, -1.0, 1.0)), "".join(letters))


def _axis(epochs: Sequence[Channel]) -> tuple[float, float]:
    """Azimuth and dip in degrees, NaN where unknown or epochs disagree.

    The azimuth of a vertical axis has no meaning, and inventories often lack it.
    """
    found = {(channel.azimuth, channel.dip) for channel in epochs}
    if len(found) != 1:
        return np.nan, np.nan
    azimuth, dip = (np.nan if value is None else float(value) for value in found.pop())
    return (0.0 if abs(dip) == 90 and np.isnan(azimuth) else azimuth), dip


def _is_aligned(matrix: Float[np.ndarray, "3 3"], letters: Sequence[str]) -> bool:
    """Whether channels Z, N and E point up, north and east."""
    if set(letters) != {"Z", "N", "E"}:
        return False
    aligned = order_components(np.eye(3), "".join(letters))
    return bool(np.allclose(matrix, aligned, atol=np.deg2rad(ALIGNED_DEG)))
