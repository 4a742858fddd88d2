"""Continuous records as miniSEED, a file a channel and chunk or an SDS archive, and StationXML with responses.

SDS is the layout of SeisComP: YEAR/NET/STA/CHAN.D/NET.STA.LOC.CHAN.D.YEAR.DAY.
"""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int
from obspy import Stream, Trace, UTCDateTime
from obspy.core.inventory import Channel, Inventory, Network, Response
from obspy.core.inventory import Station as StationElement

from jaxloc.atomic_write import write_whole
from jaxloc.data.dataset import Station
from jaxloc.types import COMPONENTS

RECORD_BYTES = 4096
DAY_S = 86400
DIPS_DEG = {"Z": (0.0, -90.0), "N": (0.0, 0.0), "E": (90.0, 0.0)}
REFERENCE_HZ = 10.0  # at which the sensitivity is stated


def channel_codes(rate_hz: float) -> tuple[str, ...]:
    """Codes of Z, N and E of a short-period seismometer: S or E by the sampling rate (SEED manual, appendix A)."""
    return tuple(f"{'E' if rate_hz >= 80 else 'S'}H{component}" for component in COMPONENTS)


def write_chunk(
    folder: str | Path,
    codes: Sequence[str],
    counts: Int[np.ndarray, "station component sample"],
    mask: Bool[np.ndarray, "station sample"],
    start: str,
    rate_hz: float,
) -> int:
    """Write the records of some stations, a file a channel; samples outside the mask are left out.

    Args:
        folder: gets a folder for each station.
        codes: NET.STA of each station.
        counts: 32-bit integers, components Z, N, E.
        mask: which samples were recorded.
        start: UTC time of the first sample.
        rate_hz: sampling rate.

    Returns:
        The number of files written: a station without any sample has none.
    """
    begin, number = UTCDateTime(start), 0
    for code, traces, recorded in zip(codes, counts, mask, strict=True):
        for channel, trace in zip(channel_codes(rate_hz), traces, strict=True):
            parts = [
                _trace(code, channel, trace[low:high], begin + low / rate_hz, rate_hz) for low, high in runs(recorded)
            ]
            if parts:
                text = io.BytesIO()
                Stream(parts).write(text, format="MSEED", encoding="STEIM2", reclen=RECORD_BYTES)
                path = Path(folder) / code / f"{code}..{channel}.{begin.strftime('%Y%m%dT%H%M%SZ')}.mseed"
                path.parent.mkdir(parents=True, exist_ok=True)
                write_whole(path, text.getvalue())
                number += 1
    return number


def runs(mask: Bool[np.ndarray, " sample"]) -> list[tuple[int, int]]:
    """Beginnings and ends of the runs of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(low), int(high)) for low, high in edges.reshape(-1, 2)]


def _trace(code: str, channel: str, data: Int[np.ndarray, " sample"], start: UTCDateTime, rate_hz: float) -> Trace:
    network, _, station = code.rpartition(".")
    header = {"network": network, "station": station, "location": "", "channel": channel}
    return Trace(np.ascontiguousarray(data, np.int32), {**header, "starttime": start, "sampling_rate": rate_hz})


def join_sds(folder: str | Path, archive: str | Path) -> int:
    """Join the files of `write_chunk` to those of an SDS archive and remove them; gives the number of files.

    Records of miniSEED follow one another in any file, so that joining needs no decoding. A day's file is written whole
    before its parts are removed.
    """
    by_day: dict[Path, list[Path]] = {}
    for path in sorted(Path(folder).glob("*/*.mseed")):
        *name, time, _ = path.name.split(".")
        day = UTCDateTime(time)
        network, station, location, channel = name
        place = Path(f"{day.year}") / network / station / f"{channel}.D"
        by_day.setdefault(place / f"{network}.{station}.{location}.{channel}.D.{day.year}.{day.julday:03d}", []).append(
            path
        )
    for place, parts in by_day.items():
        path = Path(archive) / place
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, b"".join(part.read_bytes() for part in parts))
        for part in parts:
            part.unlink()
    for each in Path(folder).glob("*"):
        each.rmdir()
    Path(folder).rmdir()
    return len(by_day)


def write_responses(
    path: str | Path,
    stations: Sequence[Station],
    rate_hz: float,
    poles: Sequence[complex],
    num_zeros: int,
    counts_per_m_s: float,
    start: str,
) -> None:
    """StationXML of seismometers of one response from ground velocity to counts: poles in rad/s and zeros at 0."""
    zeros = [0j] * num_zeros
    gain = counts_per_m_s * abs(_transfer(poles, zeros, REFERENCE_HZ))
    by_network: dict[str, list[StationElement]] = {}
    for station in stations:
        network, _, code = station.code.rpartition(".")
        place = (station.latitude_deg, station.longitude_deg, station.elevation_m)
        common = {"depth": 0.0, "sample_rate": rate_hz, "start_date": UTCDateTime(start)}
        channels = [
            Channel(
                name, "", *place, azimuth=azimuth, dip=dip, **common,
                response=Response.from_paz(zeros, list(poles), gain, REFERENCE_HZ, "M/S", "COUNTS"),
            )
            for name, (azimuth, dip) in zip(channel_codes(rate_hz), DIPS_DEG.values(), strict=True)
        ]  # fmt: skip
        element = StationElement(code, *place, channels=channels, start_date=UTCDateTime(start))
        by_network.setdefault(network, []).append(element)
    text = io.BytesIO()
    networks = [Network(code, own) for code, own in by_network.items()]
    Inventory(networks, source="jaxloc").write(text, format="STATIONXML", validate=True)
    write_whole(path, text.getvalue())


def _transfer(poles: Sequence[complex], zeros: Sequence[complex], hz: float) -> complex:
    s = 2j * np.pi * hz
    return complex(np.prod([s - zero for zero in zeros]) / np.prod([s - pole for pole in poles]))


def add_seconds(start: str, seconds: float) -> str:
    """A UTC time later by some seconds, as ISO 8601."""
    return str(UTCDateTime(start) + seconds)


def seconds_between(first: str, second: str) -> float:
    """Seconds from one UTC time to another."""
    return (UTCDateTime(second).ns - UTCDateTime(first).ns) / 1e9
