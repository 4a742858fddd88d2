"""Components of a station's record: which letter is which, and rotation of any three axes to Z, N, E."""

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float

LETTERS_OF = ("Z3", "N1Y", "E2X")
"""Letters of the vertical, north and east components, the most certain first.

Horizontals called 1 and 2, and X and Y with a vertical, have no known orientation: 1 and Y are taken for north, 2 and
X for east, and 3 is the vertical.
"""
VERTICAL_OF_TRIAXIAL = "UVW"
"""A symmetric triaxial sensor (Galperin, 1955): each axis is inclined to the vertical by the same 54.7 degrees."""
SMALLEST_DETERMINANT = 0.3
"""Of the three axes' unit vectors: 1 for perpendicular axes, 0 for axes in one plane."""


def component_places(letters: Iterable[str]) -> dict[str, int]:
    """Which of Z, N, E (0, 1, 2) each letter stands for; letters that stand for none, or are second choice, are absent.

    X and Y count together with a vertical component alone, since programs also use them for coordinates.
    """
    letters = {letter.upper() for letter in letters}
    if not letters & set(LETTERS_OF[0]):
        letters -= {"X", "Y"}
    found = [(next((one for one in some if one in letters), None), place) for place, some in enumerate(LETTERS_OF)]
    return {letter: place for letter, place in found if letter is not None}


def order_components(
    waveforms: Float[np.ndarray, "*batch component sample"], order: str
) -> Float[np.ndarray, "*batch 3 sample"]:
    """Bring components to Z, N, E as float32; a component that is missing is zero.

    Letters of `component_places` are moved; others (the H of a hydrophone) are left out. Of a triaxial sensor's
    U, V, W the vertical, (U + V + W) / sqrt(3), is known; its horizontals depend on the make and are zero.

    Raises:
        ValueError: where no letter of `order` is known, or there are fewer components than letters.
    """
    order = order.upper()
    places = component_places(order)
    triaxial = not places and set(VERTICAL_OF_TRIAXIAL) <= set(order)
    if not places and not triaxial:
        raise ValueError(f"component order must name some of Z, N, E, 1, 2, 3, as 'ZNE' does, got {order!r}")
    if waveforms.shape[-2] < len(order):
        raise ValueError(
            f"component order {order!r} needs {len(order)} components, got {waveforms.shape[-2]}; correct it"
        )
    if order == "ZNE" and waveforms.shape[-2] == 3:
        return waveforms.astype(np.float32, copy=False)
    ordered = np.zeros((*waveforms.shape[:-2], 3, waveforms.shape[-1]), np.float32)
    if triaxial:
        axes = [order.index(letter) for letter in VERTICAL_OF_TRIAXIAL]
        ordered[..., 0, :] = waveforms[..., axes, :].sum(-2) / 3**0.5
    for letter, place in places.items():
        ordered[..., place, :] = waveforms[..., order.index(letter), :]
    return ordered


def rotation_to_zne(
    azimuths_deg: Sequence[float], dips_deg: Sequence[float]
) -> Float[np.ndarray, "zne component"] | None:
    """The matrix that turns three components into Z, N, E; None where the axes are unknown or lie in one plane.

    Args:
        azimuths_deg: of each axis, from north to east.
        dips_deg: of each axis below the horizontal, -90 for one that points up (SEED convention).
    """
    azimuth, dip = np.deg2rad(np.asarray(azimuths_deg, float)), np.deg2rad(np.asarray(dips_deg, float))
    axes = np.stack([-np.sin(dip), np.cos(dip) * np.cos(azimuth), np.cos(dip) * np.sin(azimuth)], -1)
    if not np.isfinite(axes).all() or abs(np.linalg.det(axes)) < SMALLEST_DETERMINANT:
        return None
    return np.linalg.inv(axes)
