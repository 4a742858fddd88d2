"""Lines of fixed columns as Fortran reads and writes them, by a table of their fields."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

Value: TypeAlias = str | int | float | None
Record: TypeAlias = dict[str, Value]
"""The fields of one line by name; None: blank."""


class Field(NamedTuple):
    """A field: its name, first and last column (counted from 1, as manuals do), and form.

    Forms: "A" text; "I" integer; "0" integer with leading zeros; "F" a number without its decimal point, the last
    `decimals` digits behind it; "F0" the same with leading zeros, "W" with two digits at least; "D" a number with its
    point and so many decimals; "P" one with as many of them as fit.
    """

    name: str
    first: int
    last: int
    form: str = "A"
    decimals: int = 0

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.last - self.first + 1


def read_fields(line: str, fields: Sequence[Field], place: str) -> Record:
    """A line's fields; `place` names the line in messages.

    Raises:
        ValueError: where a number is none; names columns and text.
    """
    return {field.name: _value(line[field.first - 1 : field.last], field, place) for field in fields}


def _value(text: str, field: Field, place: str) -> Value:
    if field.form == "A":
        return text.rstrip() or None
    if not text.strip():
        return None
    # Fortran reads a blank inside a number as nothing.
    number = text.replace(" ", "")
    try:
        if field.form in ("I", "0"):
            return int(number)
        return float(number) if "." in number or field.form in ("D", "P") else int(number) / 10**field.decimals
    except ValueError:
        raise ValueError(
            f"{place}: columns {field.first}-{field.last} ({field.name}) must hold a number, got {text!r}"
        ) from None


def written_fields(record: Mapping[str, Value], fields: Sequence[Field]) -> str:
    """The line of a record; fields that it lacks are blank.

    Raises:
        ValueError: where a value does not fit into its columns; names it.
    """
    line = [" "] * max(field.last for field in fields)
    for field in fields:
        line[field.first - 1 : field.last] = _text(record.get(field.name), field)
    return "".join(line).rstrip()


def _text(value: Value, field: Field) -> str:
    if value is None:
        return " " * field.width
    if field.form == "A":
        text = str(value).ljust(field.width)
    elif isinstance(value, str):
        raise ValueError(f"{field.name} must be a number, got {value!r}")
    elif field.form == "D":
        text = f"{value:{field.width}.{field.decimals}f}"
    elif field.form == "P":
        text = _with_point(value, field)
    else:
        number = round(value * 10**field.decimals)
        text = str(number).zfill(2 if field.form == "W" else 1)
        text = text.rjust(field.width, "0" if field.form.endswith("0") else " ")
    if len(text) != field.width:
        raise ValueError(f"{field.name} must fit into {field.width} columns, got {value!r}")
    return text


def _with_point(value: float, field: Field) -> str:
    if value == 0:
        return "0".rjust(field.width)
    texts = [f"{value:.{digits}f}" for digits in range(field.decimals, -1, -1)]
    return next((text for text in texts if len(text) <= field.width), texts[-1]).rjust(field.width)
