"""What waveform files hold: stretches of channels, and which channels of a station to use."""

import glob
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from obspy import UTCDateTime
from obspy import read as read_stream

from jaxloc.data.preprocessing import POSITION_OF

WAVEFORM_SUFFIXES = (".mseed", ".msd", ".sac", ".gse", ".gse2")


class Piece(NamedTuple):
    """A stretch of one channel in one file."""

    path: str
    channel: str
    start: UTCDateTime
    end: UTCDateTime
    rate_hz: float


def _paths(files: str | Path | Sequence[str | Path]) -> list[str]:
    if isinstance(files, str | Path):
        found = sorted(map(str, Path(files).iterdir())) if Path(files).is_dir() else sorted(glob.glob(str(files)))
        if not found:
            raise ValueError(f"no waveform files at {files}")
        return found
    if not files:
        raise ValueError("the list of waveform files is empty")
    absent = [str(path) for path in files if not Path(path).is_file()]
    if absent:
        raise ValueError(f"no such waveform file: {absent[0]}")
    return [str(path) for path in files]


def index_files(files: str | Path | Sequence[str | Path]) -> list[Piece]:
    """What waveform files hold, from their headers.

    In a folder or pattern, files that are no waveforms are passed over; in a list they are an error.

    Raises:
        ValueError: where there is no file, or a waveform file cannot be read; names it.
    """
    paths = _paths(files)
    pieces: list[Piece] = []
    for path in paths:
        try:
            stream = read_stream(path, headonly=True)
        except Exception as error:  # ObsPy's readers raise many kinds
            if not isinstance(files, str | Path) or Path(path).suffix.lower() in WAVEFORM_SUFFIXES:
                raise ValueError(f"{path} cannot be read ({error}); remove or replace it") from error
            continue
        for stats in (trace.stats for trace in stream if trace.stats.npts and trace.stats.sampling_rate > 0):
            channel = f"{stats.network}.{stats.station}.{stats.location}.{stats.channel}"
            pieces.append(Piece(path, channel, stats.starttime, stats.endtime, float(stats.sampling_rate)))
    if not pieces:
        raise ValueError(f"none of {len(paths)} files holds waveforms that can be read; the first is {paths[0]}")
    return pieces


def choose_channels(pieces: list[Piece]) -> dict[str, list[list[Piece]]]:
    """For each station, by its code NET.STA, the pieces of its Z, N and E channel, of one instrument.

    Raises:
        ValueError: where no channel ends in Z, N, E, 1 or 2.
    """
    instruments: dict[str, dict[str, list[Piece]]] = defaultdict(lambda: defaultdict(list))
    for piece in pieces:
        network, station, location, channel = piece.channel.split(".")
        if channel[-1:] in POSITION_OF:
            instruments[f"{network}.{station}" if network else station][f"{location}.{channel[:-1]}"].append(piece)
    if not instruments:
        raise ValueError(f"no channel ends in Z, N, E, 1 or 2; the first is {pieces[0].channel}")

    def rank(item: tuple[str, list[Piece]]) -> tuple[int, float, str]:
        name, members = item
        places = {POSITION_OF[piece.channel[-1]] for piece in members}
        return -len(places), -max(piece.rate_hz for piece in members), name

    chosen = {}
    for station, candidates in instruments.items():
        _, members = min(candidates.items(), key=rank)
        chosen[station] = [[p for p in members if POSITION_OF[p.channel[-1]] == place] for place in range(3)]
    return chosen
