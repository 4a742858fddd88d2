"""SeisComP data structure: ROOT/YEAR/NET/STA/CHAN.D/NET.STA.LOC.CHAN.D.YEAR.DAY, a file a channel and day.

Files are found by their names alone, so that opening an archive of years takes no longer than listing its folders.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from obspy import UTCDateTime

NAME = re.compile(
    r"(?P<channel>[^.]*\.[^.]+\.[^.]*\.[^.]+)\.D\.(?P<year>\d{4})\.(?P<day>\d{3})(\.(gz|mseed|msd))?", re.IGNORECASE
)
YEAR = re.compile(r"\d{4}")
BORDER_S = 60.0
"""A day's file may begin or end so long before or after midnight."""


class Days(NamedTuple):
    """Files of an archive by channel (NET.STA.LOC.CHAN) and day."""

    files: Mapping[str, Mapping[date, str]]

    @property
    def first(self) -> UTCDateTime:
        """Begin of the first day."""
        return _midnight(min(day for days in self.files.values() for day in days))

    @property
    def last(self) -> UTCDateTime:
        """End of the last day."""
        return _midnight(max(day for days in self.files.values() for day in days) + timedelta(days=1))


def is_sds(root: Path) -> bool:
    """Whether a folder has the structure: YEAR/NET/STA/CHAN.D."""
    return any(YEAR.fullmatch(path.parts[-4]) for path in _channel_folders(root))


def list_days(root: Path) -> Days:
    """The files of an archive.

    Raises:
        ValueError: where no file has a name of the structure; names the folder.
    """
    found: dict[str, dict[date, str]] = defaultdict(dict)
    for folder in _channel_folders(root):
        for path in sorted(folder.iterdir()):
            if match := NAME.fullmatch(path.name):
                day = date(int(match["year"]), 1, 1) + timedelta(days=int(match["day"]) - 1)
                found[match["channel"]][day] = str(path)
    if not found:
        raise ValueError(f"{root} has folders YEAR/NET/STA/CHAN.D, but no file named as NET.STA.LOC.CHAN.D.YEAR.DAY")
    return Days(dict(found))


def files_between(days: Days, channels: Iterable[str], first: UTCDateTime, last: UTCDateTime) -> dict[str, set[str]]:
    """The files of some channels that may have samples of a span, each with its channels."""
    found: dict[str, set[str]] = defaultdict(set)
    day, end = _day(first - BORDER_S), _day(last + BORDER_S)
    while day <= end:
        for channel in channels:
            path = days.files.get(channel, {}).get(day)
            if path is not None:
                found[path].add(channel)
        day += timedelta(days=1)
    return dict(found)


def _channel_folders(root: Path) -> Iterable[Path]:
    return sorted(path for path in root.glob("[0-9][0-9][0-9][0-9]/*/*/*.D") if path.is_dir())


def _day(time: UTCDateTime) -> date:
    return datetime.fromtimestamp(time.timestamp, UTC).date()


def _midnight(day: date) -> UTCDateTime:
    return UTCDateTime(day.year, day.month, day.day)
