"""Association of simulated picks, ours and PyOcto's in one run: F1 of events, pick precision and recall, CPU seconds.

Run: python benchmarks/association.py [rates] [noise] [minutes], for instance 5,20,60 0.3,1,3 10: events a minute, false
picks over true ones, length. PyOcto runs by the Python that PYOCTO_PYTHON names, of an environment with pyocto (it
needs numpy below 2); without it ours runs alone.

An event counts as found where its picks and those of one found event agree: shared picks over the larger of both sets
at least 0.6, one to one.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

from jaxloc.data.pick_list import PickList
from jaxloc.detection.association import associate
from jaxloc.physics.adaptive_grid import Region
from jaxloc.physics.layered import uniform
from jaxloc.simulation.pick_days import PickDay, pick_day

SPEEDS = (6.0, 6.0 / 1.73)
STATIONS, WIDTH_KM, DEPTH_KM = 50, 300.0, 30.0
SHARED = 0.6
CUTOFFS_KM = (100.0, 250.0)  # of PyOcto, as in the two cases of its own benchmark


def scores(event: np.ndarray, truth: np.ndarray) -> tuple[float, float, float, float, float]:
    """Precision, recall and F1 of events, precision and recall of picks."""
    number, true = int(event.max(initial=-1)) + 1, int(truth.max(initial=-1)) + 1
    shared = np.zeros((number, true))
    both = (event >= 0) & (truth >= 0)
    np.add.at(shared, (event[both], truth[both]), 1)
    sizes = np.bincount(event[event >= 0], minlength=number), np.bincount(truth[truth >= 0], minlength=true)
    share = shared / np.maximum(np.maximum.outer(*sizes), 1)
    rows, columns = linear_sum_assignment(-share)
    good = share[rows, columns] >= SHARED
    rows, columns = rows[good], columns[good]
    found = good.sum()
    right = shared[rows, columns].sum()
    there = max(int((sizes[0] > 0).sum()), 1)
    return (
        found / there,
        found / max(true, 1),
        2 * found / (there + true),
        right / max(int(sizes[0].sum()), 1),
        right / max(int(sizes[1].sum()), 1),
    )


def ours(day: PickDay, station_km: np.ndarray, region: Region) -> tuple[np.ndarray, float]:
    """The event of each pick, and CPU seconds, compiling included."""
    ones = np.ones(len(day.time_s))
    picks = PickList(day.station, day.phase, day.time_s, 0.4 * ones, ones, np.nan * ones)
    begin = time.process_time()
    found = associate(picks, station_km, uniform(SPEEDS[0], SPEEDS[0] / SPEEDS[1]), region)
    return found.event, time.process_time() - begin


def pyoctos(
    day: PickDay, station_km: np.ndarray, region: Region, python: str, cutoff_km: float
) -> tuple[np.ndarray, float]:
    """The same by PyOcto in another environment, with no picks beyond a distance."""
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder) / "picks.npz", Path(folder) / "events.npz"
        longest_s = np.hypot(np.hypot(WIDTH_KM, WIDTH_KM), DEPTH_KM) / SPEEDS[1] + 5
        np.savez(
            given,
            station_km=station_km,
            station=day.station,
            phase=day.phase,
            time_s=day.time_s,
            region=np.array(region[:3]),
            speeds=np.array(SPEEDS),
            longest_s=longest_s,
            cutoff_km=cutoff_km,
        )
        side = Path(__file__).with_name("association_pyocto.py")
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        subprocess.run([python, str(side), str(given), str(found)], check=True, env=environment, capture_output=True)
        result = np.load(found)
        return result["event"], float(result["cpu_s"])


def case(rate: float, noise: float, minutes: float) -> tuple[PickDay, np.ndarray, Region]:
    """Picks, stations and region of a rate of events a minute and a number of false picks over true ones."""
    rng = np.random.default_rng(1)
    station_km = np.column_stack([rng.uniform(0, WIDTH_KM, (STATIONS, 2)), np.zeros(STATIONS)])
    region = Region((0.0, WIDTH_KM), (0.0, WIDTH_KM), (0.0, DEPTH_KM), (0.0, minutes * 60))
    velocity = uniform(SPEEDS[0], SPEEDS[0] / SPEEDS[1])
    day = pick_day(rng, station_km, velocity, region, int(rate * minutes), noise, apart_km=20.0)
    return day, station_km, region


def main() -> None:
    """Print one line a case and associator."""
    given = sys.argv[1:] + ["5,20,60", "0.3,1,3", "10"][len(sys.argv) - 1 :]
    rates, noises, (minutes,) = [[float(x) for x in text.split(",")] for text in given]
    python = os.environ.get("PYOCTO_PYTHON")
    print("rate/min noise   picks associator  precision recall   F1   pick precision recall   CPU s")
    for rate in rates:
        for noise in noises:
            given = case(rate, noise, minutes)
            day = given[0]
            for cutoff_km in (*CUTOFFS_KM, None) if python else (None,):
                event, cpu_s = ours(*given) if cutoff_km is None else pyoctos(*given, str(python), cutoff_km)
                name = "jaxloc" if cutoff_km is None else f"PyOcto {cutoff_km:g}"
                precision, recall, f1, pick_precision, pick_recall = scores(event, day.event)
                print(
                    f"{rate:8g} {noise:5g} {len(day.time_s):7d} {name:10s} {precision:10.3f} {recall:6.3f} {f1:6.3f}"
                    f" {pick_precision:10.3f} {pick_recall:9.3f} {cpu_s:9.1f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
