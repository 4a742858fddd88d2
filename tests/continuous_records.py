"""Archives of continuous records for tests: noise with events, written as SDS archives or as folders of files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from obspy import Stream, Trace, UTCDateTime

DAY_S = 86400
START = UTCDateTime("2020-02-03T00:00:00")
TABLE = "network,station,latitude,longitude,elevation\nXX,AA,64.0,-21.0,100\nXX,BB,64.1,-21.2,250\n"


def trace(code: str, samples: np.ndarray, rate_hz: float, start: UTCDateTime = START) -> Trace:
    """One trace of a channel NET.STA.LOC.CHA."""
    network, station, location, channel = code.split(".")
    header = dict(network=network, station=station, location=location, channel=channel)
    return Trace(samples, header | dict(sampling_rate=rate_hz, starttime=start))


def write_files(folder: Path, traces: Sequence[Trace]) -> Path:
    """Write each trace as a miniSEED file of a folder, and a table of stations beside the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder.parent / "stations.csv").write_text(TABLE)
    for i, one in enumerate(traces):
        one.write(str(folder / f"{i:03d}.mseed"), format="MSEED")
    return folder


def write_sds(root: Path, traces: Sequence[Trace]) -> Path:
    """Write traces as an SDS archive, and a table of stations beside it."""
    root.mkdir(parents=True, exist_ok=True)
    (root.parent / "stations.csv").write_text(TABLE)
    for one in traces:
        write_days(root, one)
    return root


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


def arrivals(rng: np.random.Generator, times_s: Sequence[float], time_s: np.ndarray, size: float = 60.0) -> np.ndarray:
    """Three components of noise of size one, with P and 4 s later S at each of some times: decaying noise at 8 Hz."""
    out = rng.normal(size=(3, len(time_s)))
    out += 3 * np.cumsum(rng.normal(size=out.shape), 1) * 0.01
    for p_s in times_s:
        for at_s, of in ((p_s, (1.0, 0.3, 0.3)), (p_s + 4.0, (0.5, 1.5, 1.5))):
            since_s = time_s - at_s
            shape = np.where(since_s > 0, np.exp(-np.clip(since_s, 0, None) / 1.5), 0.0)
            for component, share in enumerate(of):
                carrier = np.sin(2 * np.pi * (8.0 + component) * since_s + component)
                out[component] += size * share * shape * carrier * rng.uniform(0.7, 1.0)
    return out
