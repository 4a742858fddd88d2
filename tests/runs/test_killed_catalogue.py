"""A catalogue whose process is killed, and started again: the same events and picks as without a break."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from continuous_records import START, arrivals, trace, write_files

pytestmark = pytest.mark.slow

RATE_HZ, LENGTH_S, CHUNK_S = 50.0, 900.0, 60.0
ORIGINS_S = (95.0, 230.0, 421.0, 640.0, 777.0)
DISTANCE_KM, TRAVEL_S = 32.0, 5.45  # of P; S comes 4 s later (`arrivals`)
METHOD = "palm"  # needs no network to be compiled; chunks are kept by the same lines for both
AZIMUTHS_DEG = (10.0, 75.0, 120.0, 190.0, 250.0, 310.0)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six stations about events at one place, a folder of records, and the table of the stations."""
    folder, rng = tmp_path_factory.mktemp("archive"), np.random.default_rng(0)
    time_s = np.arange(round(LENGTH_S * RATE_HZ)) / RATE_HZ
    rows, traces = ["code,latitude,longitude,elevation_m"], []
    for station, azimuth in enumerate(np.deg2rad(AZIMUTHS_DEG)):
        north_deg, east_deg = DISTANCE_KM * np.cos(azimuth) / 111.2, DISTANCE_KM * np.sin(azimuth) / 85.2
        rows.append(f"XX.S{station},{40 + north_deg},{15 + east_deg},0")
        records = arrivals(rng, [origin_s + TRAVEL_S for origin_s in ORIGINS_S], time_s)
        traces += [
            trace(f"XX.S{station}..HH{c}", record.astype(np.float32), RATE_HZ)
            for c, record in zip("ZNE", records, strict=True)
        ]
    write_files(folder / "records", traces)
    (folder / "stations.csv").write_text("\n".join(rows))
    (folder / "velocity.csv").write_text("depth_km,vp_km_s,vs_km_s\n0,5.9,3.4\n")
    return folder


def command(archive: Path, output: Path) -> list[str]:
    files = ["--stations", str(archive / "stations.csv"), "--velocity", str(archive / "velocity.csv")]
    options = ["--method", METHOD, "--chunk", f"{CHUNK_S:g}", "--output", str(output)]
    return [sys.executable, "-m", "jaxloc.cli", "catalogue", str(archive / "records"), *files, *options]


def killed_after_a_chunk(arguments: list[str], output: Path) -> int:
    """Start a program, kill it when a chunk is written, and return how many chunks it left."""
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    kept = lambda: list((output / "_chunks").glob("*.json"))
    while not kept() and process.poll() is None:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    return len(kept())


def test_a_killed_catalogue_continues_and_is_the_same(archive: Path, tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    subprocess.run(command(archive, whole), check=True, capture_output=True)
    number = killed_after_a_chunk(command(archive, broken), broken)
    assert 1 <= number < LENGTH_S / CHUNK_S
    assert not (broken / "events.csv").exists()
    again = subprocess.run(command(archive, broken), check=True, capture_output=True, text=True)
    assert f"{number} of {LENGTH_S / CHUNK_S:.0f} chunks were picked before and are kept" in again.stdout
    for name in ("events.csv", "picks.csv"):
        assert (broken / name).read_bytes() == (whole / name).read_bytes(), name
    times = [line.split(",")[1] for line in (whole / "events.csv").read_text().splitlines()[1:]]
    found_s = np.array([np.datetime64(text[:-1]) - np.datetime64(str(START)[:-1]) for text in times], "m8[us]")
    np.testing.assert_allclose(found_s.astype(float) / 1e6, ORIGINS_S, atol=1.0)
