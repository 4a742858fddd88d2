"""Records written into an SDS archive (`jaxloc.io.sds`), a miniSEED file a channel and day."""

from pathlib import Path

import numpy as np
from jaxtyping import Float
from obspy import Stream, Trace, UTCDateTime

from jaxloc.types import COMPONENTS

DAY_S = 86400


def write_records(
    root: Path,
    code: str,
    records: Float[np.ndarray, "3 sample"],
    start_ns: int,
    rate_hz: float,
    instrument: str = "HH",
    location: str = "",
) -> None:
    """Add the records of one station to an archive; components that are zero throughout are not written.

    Args:
        root: of the archive; it is made where it is missing.
        code: NET.STA, or STA.
        records: Z, N and E; written in single precision.
        start_ns: time of the first sample, in ns since 1970.
        rate_hz: samples per second.
        instrument: first letters of the channel codes.
        location: location code.
    """
    network, _, station = code.rpartition(".")
    for letter, samples in zip(COMPONENTS, records, strict=True):
        if not samples.any():
            continue
        header = dict(network=network, station=station, location=location, channel=instrument + letter)
        header |= dict(sampling_rate=rate_hz, starttime=UTCDateTime(ns=start_ns))
        write_days(root, Trace(np.asarray(samples, np.float32), header))


def write_days(root: Path, trace: Trace) -> None:
    """Add a trace to an archive, cut at midnight."""
    stats = trace.stats
    day = UTCDateTime(stats.starttime.date)
    while day <= stats.endtime:
        part = trace.slice(day, day + DAY_S - stats.delta / 2, nearest_sample=False)
        folder = root / str(day.year) / stats.network / stats.station / f"{stats.channel}.D"
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{trace.id}.D.{day.year}.{day.julday:03d}").open("ab") as file:
            Stream([part]).write(file, format="MSEED")
        day += DAY_S
