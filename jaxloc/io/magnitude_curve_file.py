"""A user's distance correction of local magnitude in a CSV, and its writing."""

import math
from pathlib import Path

from jaxloc.atomic_write import write_whole
from jaxloc.io.tables import read_table


def read_curve_table(path: str | Path) -> tuple[dict[str, float], dict[str, float]]:
    """Parameters by name, and station corrections by code (NET.STA), of a table with columns parameter and value.

    Raises:
        ValueError: where the file is missing, a row has no name, a value is no number, or a name occurs twice.
    """
    values: dict[str, float] = {}
    stations: dict[str, float] = {}
    for row in read_table(path, "magnitude curve").rows:
        name, value = row.code("parameter"), row.number("value")
        if not name or math.isnan(value):
            raise ValueError(f"{row.place}: a row must have a parameter and a value, got {name!r} and {value}")
        kept = stations if "." in name else values
        if name in kept:
            raise ValueError(f"{row.place}: {name} occurs twice; keep one of them")
        kept[name] = value
    return values, stations


def write_curve_table(path: str | Path, values: dict[str, float], stations: dict[str, float]) -> None:
    """Write what `read_curve_table` reads."""
    rows = [f"{name},{value!r}" for name, value in {**values, **stations}.items()]
    write_whole(path, "\n".join(["parameter,value", *rows, ""]).encode())
