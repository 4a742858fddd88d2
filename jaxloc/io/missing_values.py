"""Codes that stand for an unknown value in tables and catalogues: -9999, 999, -12345, NaN, empty cells.

Seismic formats have no common code: SAC writes -12345, GaMMA a magnitude of 999, many catalogues -9.9 or 99.9,
elevation models -9999 or -32768. A number is taken for such a code only where the quantity cannot have that value.
"""

import math
import re
from collections.abc import Sequence
from types import MappingProxyType
from typing import Literal

Quantity = Literal["latitude_deg", "longitude_deg", "elevation_m", "depth_km", "depth_m", "magnitude", "time_s", "sd"]

EMPTY_CELLS = frozenset({"", "-", "--", "?", "*", "nan", "na", "n/a", "nat", "null", "none", "nil", "unknown", "<na>"})
POSSIBLE = MappingProxyType(
    {
        "latitude_deg": (-90.0, 90.0),
        "longitude_deg": (-180.0, 360.0),
        "elevation_m": (-998.0, 9000.0),
        "depth_km": (-10.0, 750.0),
        "depth_m": (-998.0, 9998.0),
        "magnitude": (-9.0, 12.0),
        "time_s": (-math.inf, math.inf),
        "sd": (0.0, 998.0),
    }
)
_NINES = re.compile(r"9{3,}(\.9*)?|9{1,2}\.9+|12345|3276[78]")


def is_empty_cell(text: str) -> bool:
    """Whether the text of a cell gives no value: empty, NaN, null, a dash."""
    return text.strip().lower() in EMPTY_CELLS


def is_missing_code(value: float | None, quantity: Quantity) -> bool:
    """Whether a number stands for an unknown value of a quantity.

    True for None and NaN, and for -9999, 999, 99999, 9999.9, -12345, -32768, ... where the number lies outside of
    what the quantity can be: 999 is an elevation in m, and no depth in km.
    """
    if value is None or math.isnan(value):
        return True
    low, high = POSSIBLE[quantity]
    return not low <= value <= high and _NINES.fullmatch(f"{abs(value):.10g}") is not None


def is_null_island(latitude_deg: float, longitude_deg: float) -> bool:
    """Whether a position is exactly 0 N 0 E, which is what programs write for an unknown one."""
    return latitude_deg == 0 and longitude_deg == 0


LOW_M = 10.0
"""Elevations that are all below this, in absolute value, may be in km."""


def look_like_km(elevations: Sequence[float]) -> bool:
    """Whether heights may be in km: all below 10, and at least half of them with decimals."""
    known = [x for x in elevations if not math.isnan(x)]
    return bool(known) and max(map(abs, known)) < LOW_M and 2 * sum(x % 1 != 0 for x in known) >= len(known)
