"""CPU seconds of the matched filter: 20 templates of 30 channels in one hour at 50 Hz, beside EQcorrscan.

pytest benchmarks/test_matched_filter.py

EQCORRSCAN names the Python of an environment that has EQcorrscan (LGPL-3, needs FFTW); without it the figure is one
that was measured before, 4.5 CPU seconds. Both correlate and stack the same arrays; ours also takes the maxima
above a level and the histogram of each stack. Compilation is left out.
"""

import os
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from jaxloc.detection.matched_filter import stacks
from jaxloc.detection.stack_peaks import scan
from jaxloc.detection.templates import Templates

NAME = "20 templates x 30 channels x 1 h at 50 Hz"
EQCORRSCAN_S = 4.5
RATE_HZ, LENGTH, STATIONS = 50.0, 150, 10
DAY_S = 86400.0
PROGRAM = """
import sys, time
import numpy as np
from eqcorrscan.utils.correlate import fftw_multi_normxcorr

data = np.load(sys.argv[1])
ids = [str(channel) for channel in range(len(data["x"]))]
times = []
for _ in range(3):
    templates = {name: np.ascontiguousarray(data["value"][:, i]) for i, name in enumerate(ids)}
    records = {name: data["x"][i].copy() for i, name in enumerate(ids)}
    pads = {name: [int(pad) for pad in data["pad"][:, i]] for i, name in enumerate(ids)}
    begin = time.process_time()
    sums, _ = fftw_multi_normxcorr(templates, records, pads, ids, cores_inner=2, cores_outer=1)
    times.append(time.process_time() - begin)
np.savez(sys.argv[2], sums=sums, seconds=min(times))
"""


def records(hours: float) -> np.ndarray:
    """Noise of unit variance."""
    number = round(hours * 3600 * RATE_HZ)
    return np.random.default_rng(0).normal(size=(STATIONS, 3, number)).astype(np.float32)


def cut(number: int, x: np.ndarray) -> Templates:
    """Templates of all channels, cut out of the records, with moveouts of up to 12 s."""
    rng = np.random.default_rng(1)
    windows = number * STATIONS * 3
    template = np.repeat(np.arange(number), STATIONS * 3)
    station, component = np.tile(np.repeat(np.arange(STATIONS), 3), number), np.tile(np.arange(3), number * STATIONS)
    moveout = np.repeat(rng.integers(0, 600, number * STATIONS), 3)
    first = np.full(number, 10_000)
    np.minimum.at(first, template, moveout)
    moveout = moveout - first[template]
    begin = (1000 + 7000 * np.arange(number) % (x.shape[-1] - 2000))[template] + moveout
    value = np.stack([x[s, c, b : b + LENGTH] for s, c, b in zip(station, component, begin, strict=True)])
    return Templates(
        id=tuple(map(str, range(number))),
        hypocentre=np.zeros((number, 4)),
        lead_s=np.zeros(number),
        template=template,
        station=station,
        component=component,
        phase=np.minimum(component, 1),
        moveout=moveout,
        length=np.full(windows, LENGTH),
        travel_s=moveout / RATE_HZ,
        sd_s=np.full(windows, np.nan),
        snr=np.full(windows, 10.0),
        noise_ahead=np.full(windows, 250),
        value=value - value.mean(-1, keepdims=True),
        noise=rng.normal(size=(windows, 200)).astype(np.float32),
        rate_hz=RATE_HZ,
        band_hz=(2.0, 12.0),
    )


def cpu_s(number: int, hours: float) -> float:
    """CPU seconds of a scan of all records, all threads of this process, the least of three."""
    x = records(hours)
    templates, usable, times = cut(number, x), np.ones(x.shape, bool), []
    scan(x, usable, templates)
    for _ in range(3):
        begin = time.process_time()
        scan(x, usable, templates, kept_above=5.0)
        times.append(time.process_time() - begin)
    return min(times)


def test_an_hour(benchmark: BenchmarkFixture, figures: dict, tmp_path: Path) -> None:
    """Both programs; each template is found at the same sample, and their stacks are alike."""
    x = records(1.0)
    templates, usable, times = cut(20, x), np.ones(x.shape, bool), []

    def run() -> None:
        begin = time.process_time()
        scan(x, usable, templates, kept_above=5.0)
        times.append(time.process_time() - begin)

    run()
    times.clear()
    benchmark.pedantic(run, rounds=3)
    figures[NAME] |= {
        "matched filter CPU s": min(times),
        "template-channel-days": 20 * 30 * 3600 / DAY_S,
        "EQcorrscan CPU s": EQCORRSCAN_S,
    }
    if python := os.environ.get("EQCORRSCAN"):
        theirs_s, theirs = eqcorrscan(Path(python), x, templates, tmp_path)
        ours = np.concatenate([part.z for part in stacks(x, usable, templates)], 1)[:, : theirs.shape[1]]
        figures[NAME] |= {"EQcorrscan CPU s": theirs_s}
        assert (ours.argmax(1) == theirs.argmax(1)).all()
        # A sum of coefficients, and one weighted by the noise that each window was cut with.
        assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.95


@pytest.mark.parametrize(("number", "hours"), [(10, 1.0), (40, 1.0), (20, 0.5), (20, 2.0)])
def test_growth(figures: dict, number: int, hours: float) -> None:
    """CPU seconds of other numbers of templates and hours, beside those of 20 templates and an hour in proportion."""
    figures[f"{number} templates, {hours:g} h"] |= {
        "CPU s": cpu_s(number, hours),
        "proportional CPU s": cpu_s(20, 1.0) * number / 20 * hours,
    }


def eqcorrscan(python: Path, x: np.ndarray, templates: Templates, folder: Path) -> tuple[float, np.ndarray]:
    """CPU seconds and stacks of EQcorrscan's `fftw_multi_normxcorr`, which its detection calls, on the same arrays."""
    number = len(templates.id)
    value, pad = templates.value.reshape(number, -1, LENGTH), templates.moveout.reshape(number, -1)
    np.savez(folder / "in.npz", x=x.reshape(-1, x.shape[-1]), value=value, pad=pad)
    (folder / "run.py").write_text(PROGRAM)
    subprocess.run([str(python), *(str(folder / name) for name in ("run.py", "in.npz", "out.npz"))], check=True)
    with np.load(folder / "out.npz") as out:
        return float(out["seconds"]), out["sums"]
