"""Tables in text files: CSV and its relatives, read alike everywhere.

Cells are separated by `|` (FDSN text), semicolons, tabs, commas or blanks, whichever the header has first in this
order. The file may be gzipped, begin with a byte-order mark, and be UTF-8, UTF-16 or Latin-1. Names of columns are
compared in lower case without blanks and punctuation: `Height(m)` is `height_m`. Lines that begin with `#` are
comments, but for a header such as `#Network | Station | Latitude`. With semicolons a decimal comma is understood.
"""

import csv
import gzip
import math
import re
import zlib
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from obspy import UTCDateTime

from jaxloc.io.missing_values import is_empty_cell

SEPARATORS = "|;\t,"
EARLIEST_EPOCH_S = 1e8  # smaller numbers are no times in s since 1970 but years, days or serial dates of spreadsheets
_DATE = r"(?P<year>\d{4})(?:[-/](?P<month>\d{1,2})[-/](?P<day>\d{1,2})|-(?P<julday>\d{3})|(?P<compact>\d{4}))"
_CLOCK = r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{1,2})(?:\.(?P<fraction>\d*))?)?"
_COMPACT_CLOCK = r"(?P<hour2>\d{2})(?P<minute2>\d{2})(?P<second2>\d{2})(?:\.(?P<fraction2>\d*))?"
_ZONE = r"\s*(?:Z|UTC|GMT|(?P<zone>[-+]\d{2}:?\d{2}))?"
_TIME = re.compile(rf"{_DATE}(?:[T\s]\s*(?:{_CLOCK}|{_COMPACT_CLOCK}){_ZONE})?Z?", re.IGNORECASE)


class Row(NamedTuple):
    """One line of a table: `cells` by the normalised name of their column, `line` counted from 1 in the file."""

    path: Path
    line: int
    cells: dict[str, str]
    decimal_comma: bool = False

    @property
    def place(self) -> str:
        """File and line, for messages."""
        return f"{self.path}, line {self.line}"

    def text(self, *names: str) -> str:
        """The first cell under one of the names that has a value; empty where none does."""
        return next((self.cells[n] for n in names if not is_empty_cell(self.cells.get(n, ""))), "")

    def code(self, *names: str) -> str:
        """The first cell under one of the names that is not blank: "NA" and "--" are codes, not missing values."""
        return next((self.cells[n] for n in names if self.cells.get(n, "")), "")

    def number(self, *names: str) -> float:
        """The first cell under one of the names that has a value, as a finite number; NaN where none does.

        Raises:
            ValueError: where the cell is no finite number; names file, line and column.
        """
        name = next((n for n in names if not is_empty_cell(self.cells.get(n, ""))), None)
        if name is None:
            return math.nan
        value = as_number(self.cells[name], self.decimal_comma)
        if value is None or not math.isfinite(value):
            raise ValueError(
                f"{self.place}, column {name}: {self.cells[name]!r} is not a finite number; it must be one, or the "
                "cell empty where the value is unknown"
            )
        return value

    def time(self, *names: str) -> UTCDateTime | None:
        """The first cell under one of the names that has a value, as a time; None where none does.

        Raises:
            ValueError: where the cell is no time; names file, line and column.
        """
        name = next((n for n in names if not is_empty_cell(self.cells.get(n, ""))), None)
        if name is None:
            return None
        try:
            return parse_time(self.cells[name])
        except ValueError as error:
            raise ValueError(f"{self.place}, column {name}: {error}") from error


class Table(NamedTuple):
    """A table: the normalised names of its columns, as written in the file, and its rows."""

    path: Path
    columns: tuple[str, ...]
    header: tuple[str, ...]
    rows: tuple[Row, ...]

    def find(self, *names: str) -> str | None:
        """The first of the names that is a column.

        Raises:
            ValueError: where the table has that column twice.
        """
        name = next((name for name in names if name in self.columns), None)
        if name is not None and self.columns.count(name) > 1:
            raise ValueError(f"{self.path} has the column {name} twice; it must be there once")
        return name

    def require(self, *names: str) -> None:
        """Check that all columns are there.

        Raises:
            ValueError: names those that are missing, and those that the file has.
        """
        if missing := [name for name in names if self.find(name) is None]:
            raise ValueError(
                f"{self.path} lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}; it has "
                f"{', '.join(self.header) or 'none'}, and must have them"
            )


def column_key(name: str) -> str:
    """The name by which a column is found: lower case, words joined by underscores; `Height(m)` is `height_m`."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def as_number(text: str, decimal_comma: bool = False) -> float | None:
    """A number, None where the text is none."""
    text = text.strip()
    try:
        return float(text.replace(",", ".") if decimal_comma and text.count(",") == 1 else text)
    except ValueError:
        return None


def parse_time(text: str | UTCDateTime) -> UTCDateTime:
    """A time in UTC, exact to the nanosecond: ISO 8601 (T or a blank between date and clock) or seconds since 1970.

    Raises:
        ValueError: for anything else, such as 01/02/2018 or 12; names it.
    """
    if isinstance(text, UTCDateTime):
        return text
    text = str(text).strip()
    number = as_number(text)
    if number is not None and math.isfinite(number) and abs(number) >= EARLIEST_EPOCH_S and not _TIME.fullmatch(text):
        return UTCDateTime(ns=int(Decimal(text) * 10**9))
    found = _TIME.fullmatch(text)
    try:
        if found is None:
            raise ValueError("no such form")
        return _time_of(found.groupdict())
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text!r} is no time; write it as 2018-12-30T03:00:00 (it must be UTC)") from error


def _time_of(parts: dict[str, str | None]) -> UTCDateTime:
    year = int(parts["year"] or 0)
    if parts["julday"]:
        day = UTCDateTime(year=year, julday=int(parts["julday"]))
    else:
        compact = parts["compact"]
        month, number = (compact[:2], compact[2:]) if compact else (parts["month"], parts["day"])
        day = UTCDateTime(year, int(month or 1), int(number or 1))
    clock = [int(parts[name] or parts[f"{name}2"] or 0) for name in ("hour", "minute", "second")]
    if clock[0] > 24 or clock[1] > 59 or clock[2] > 60:
        raise ValueError("no such time of day")
    fraction = (parts["fraction"] or parts["fraction2"] or "")[:9].ljust(9, "0")
    zone = (parts["zone"] or "+0000").replace(":", "")
    offset_s = (int(zone[1:3]) * 3600 + int(zone[3:]) * 60) * (-1 if zone[0] == "-" else 1)
    seconds = clock[0] * 3600 + clock[1] * 60 + clock[2] - offset_s
    return UTCDateTime(ns=day.ns + seconds * 10**9 + int(fraction))


def read_bytes(path: str | Path, what: str) -> bytes:
    """The content of a file, unpacked where it is gzipped.

    Raises:
        ValueError: where there is no such file, or it is damaged; `what` names what it should be.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"no such {what}: {path}; the path must be that of a file")
    data = path.read_bytes()
    if data[:2] != b"\x1f\x8b":
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} is a damaged gzip file ({error}); it must be copied again") from error


def decode(data: bytes, path: str | Path) -> str:
    """Text of bytes in UTF-8 or UTF-16, with or without a byte-order mark, else Latin-1.

    Raises:
        ValueError: where they are no text.
    """
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", errors="replace")
    if data[:2] == b"PK":
        raise ValueError(f"{path} is a workbook or an archive, not a text table; use a CSV")
    if b"\x00" in data:
        raise ValueError(f"{path} is a binary file, not a text table; use a CSV")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def read_table(path: str | Path, what: str, *, unnamed: Sequence[str] = (), trailing_comments: bool = False) -> Table:
    """Read a text table.

    Args:
        path: the file.
        what: what it should be ("station table"), for messages.
        unnamed: names of the columns of a file without header, recognised by two numbers in its first line; further
            columns of such a file are ignored.
        trailing_comments: whether ` #` ends a row.

    Raises:
        ValueError: where the file is missing, no text or empty, or a row has more or fewer cells than the header;
            names file and line.
    """
    return parse_table(decode(read_bytes(path, what), path), path, what, unnamed, trailing_comments)


def parse_table(
    text: str, path: str | Path, what: str, unnamed: Sequence[str] = (), trailing_comments: bool = False
) -> Table:
    """The table in a text; `path` is for messages, the rest as for `read_table`."""
    path = Path(path)
    lines = _content(text, trailing_comments)
    if not lines:
        raise ValueError(f"{path} is empty; a {what} needs a header and must have one row a line")
    separator = separator_of(lines[0][1])
    comma = separator not in (",", " ")
    split = [(number, _cells(line, separator)) for number, line in lines]
    header = split[0][1]
    if unnamed and sum(as_number(cell, comma) is not None for cell in header) >= 2:
        rows = [Row(path, n, dict(zip(unnamed, cells, strict=False)), comma) for n, cells in split]
        return Table(path, tuple(unnamed), tuple(unnamed), tuple(rows))
    columns = tuple(column_key(cell) for cell in header)
    rows = [_row(path, number, columns, cells, comma) for number, cells in split[1:]]
    return Table(path, columns, tuple(header), tuple(rows))


def separator_of(header: str) -> str:
    """The separator of cells: none of one word, so that a column of times may have blanks in them."""
    found = next((s for s in SEPARATORS if s in header), None)
    return found or (" " if len(header.split()) > 1 else "")


def _content(text: str, trailing_comments: bool) -> list[tuple[int, str]]:
    """Numbered lines of the table: without blank ones and comments, quoted line breaks joined."""
    found: list[tuple[int, str]] = []
    comment = ""
    open_quote = False
    for number, line in enumerate(text.splitlines(), 1):
        if open_quote:
            found[-1] = (found[-1][0], f"{found[-1][1]} {line}")
        elif line.lstrip().startswith("#"):
            comment = comment if found else line.lstrip().lstrip("#")
            continue
        elif line.strip():
            line = re.split(r"\s#", line)[0] if trailing_comments else line
            if not found and _is_header_of(comment, line):
                found.append((number - 1, comment))
            found.append((number, line))
        open_quote = bool(found) and found[-1][1].count('"') % 2 == 1
    return found


def _is_header_of(comment: str, line: str) -> bool:
    """Whether a comment names the columns of the line below it: as many cells, all of them words, and values below."""
    separator = separator_of(line)
    names, values = _cells(comment, separator), _cells(line, separator)
    words = all(re.match(r"[A-Za-z]", name) for name in names)
    return len(names) == len(values) > 1 and words and any(re.match(r"[-+.]?\d", value) for value in values)


def _cells(line: str, separator: str) -> list[str]:
    if separator in ("", " "):
        return line.split() if separator else [line.strip()]
    quoted = csv.reader([line], delimiter=separator, skipinitialspace=True)
    return [cell.strip() for cell in next(quoted, [])]


def _row(path: Path, line: int, columns: tuple[str, ...], cells: list[str], comma: bool) -> Row:
    while len(cells) > len(columns) and not cells[-1]:
        cells = cells[:-1]
    if len(cells) != len(columns):
        raise ValueError(
            f"{path}, line {line} has {len(cells)} cell{'s' * (len(cells) != 1)} where the header has {len(columns)} "
            f"({', '.join(filter(None, columns))}); every row must have one cell a column"
        )
    return Row(path, line, dict(zip(columns, cells, strict=True)), comma)
