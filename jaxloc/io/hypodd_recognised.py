"""How HypoDD's files are recognised by their beginning."""

import re

from jaxloc.io.contents import Sample
from jaxloc.io.tables import as_number

EVENT = 14  # numbers behind # in phase.dat
WORDS_OF_PAIR = {"cross": 3, "catalogue": 2}  # numbers behind # in dt.cc and dt.ct


def _rows(sample: Sample) -> list[list[str]]:
    """Words of the first lines, # apart from the number behind it."""
    return [line.replace("#", "# ", 1).split() for line in sample.lines[:3]]


def _all_numbers(words: list[str]) -> bool:
    return bool(words) and None not in map(as_number, words)


def _is_time(words: list[str], numbers: int) -> bool:
    """Station, numbers, and P or S."""
    return len(words) == numbers + 2 and words[-1] in ("P", "S") and _all_numbers(words[1:-1])


def _is_headed(sample: Sample, head: int, numbers: int) -> bool:
    rows = _rows(sample)
    if len(rows) < 2 or rows[0][0] != "#" or len(rows[0]) != head + 1 or not _all_numbers(rows[0][1:]):
        return False
    return _is_time(rows[1], numbers)


def is_phases(sample: Sample) -> bool:
    """phase.dat."""
    rows = _rows(sample)
    if not rows or rows[0][0] != "#" or len(rows[0]) != EVENT + 1 or not _all_numbers(rows[0][1:]):
        return False
    return len(rows) == 1 or rows[1][0] == "#" or _is_time(rows[1], 2)  # an event may have no pick


def is_cross_times(sample: Sample) -> bool:
    """dt.cc."""
    return _is_headed(sample, WORDS_OF_PAIR["cross"], 2)


def is_catalogue_times(sample: Sample) -> bool:
    """dt.ct."""
    return _is_headed(sample, WORDS_OF_PAIR["catalogue"], 3)


def is_events(sample: Sample) -> bool:
    """event.dat: a date in one word, a time of day in one word, position, ..., id."""
    rows = _rows(sample)
    return bool(rows) and all(len(row) in (10, 11) and _all_numbers(row) and _is_dated(row) for row in rows)


def _is_dated(words: list[str]) -> bool:
    date, clock, latitude, longitude = words[:4]
    if not (re.fullmatch(r"\d{6}|\d{8}", date) and re.fullmatch(r"\d{1,8}", clock)):
        return False
    return _is_month_and_day(date[-4:-2], date[-2:]) and _is_place(latitude, longitude)


def _is_month_and_day(month: str, day: str) -> bool:
    return 1 <= float(month) <= 12 and 1 <= float(day) <= 31


def _is_place(latitude: str, longitude: str) -> bool:
    return abs(float(latitude)) <= 90 and abs(float(longitude)) <= 360


def is_locations(sample: Sample) -> bool:
    """hypoDD.reloc or hypoDD.loc."""
    rows = _rows(sample)
    whole = bool(rows) and all(len(row) in (18, 24) and _all_numbers(row) for row in rows)
    return whole and all(_is_month_and_day(row[11], row[12]) and _is_place(*row[1:3]) for row in rows)


ANGLE = re.compile(r"[-+]?\d{1,3}(\.\d*|:\d{1,2}(\.\d*)?(:\d{1,2}(\.\d*)?)?)")
"""Degrees with decimals, or degrees:minutes."""


def is_stations(sample: Sample) -> bool:
    """station.dat: a code that is no number, two angles, and possibly an elevation."""
    rows = [line.split() for line in sample.lines[:3]]
    return bool(rows) and all(
        len(row) in (3, 4)
        and as_number(row[0]) is None
        and all(ANGLE.fullmatch(word) for word in row[1:3])
        and abs(float(row[1].split(":")[0])) <= 90
        and abs(float(row[2].split(":")[0])) <= 360
        and _all_numbers(row[3:] or ["0"])
        for row in rows
    )


def is_input(sample: Sample) -> bool:
    """hypoDD.inp: of version 2 by its first line, of version 1 by the name of its comments."""
    head = sample.text[:3000].lower()
    named = "reloc.inp" in head or "hypodd.inp" in head
    return head.lstrip().startswith("hypodd_2") or (head.lstrip().startswith("*") and named)
