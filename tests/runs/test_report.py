"""Lines of conformal levels, also for too few events, and the file of scores."""

import errno

import numpy as np
import pytest

from jaxloc.calibration.calibration import Calibration, Groups
from jaxloc.calibration.conformal import conformal_level, smallest_number
from jaxloc.calibration.recalibration import Recalibration
from jaxloc.runs import report
from jaxloc.runs.report import calibration_lines, conformal, conformal_line

REGIONS = ("epicentre", "depth", "hypocentre")


def scores(number: int) -> dict[str, np.ndarray]:
    level = np.linspace(0.05, 0.95, number)
    return {f"{r}/level": level for r in REGIONS} | {f"{r}/known": np.ones(number) for r in REGIONS}


@pytest.mark.parametrize("wanted", [0.68, 0.9, 0.95])
def test_the_smallest_number_is_that_of_a_finite_level(wanted: float) -> None:
    number, level = smallest_number(wanted), np.array([wanted])
    assert conformal_level(np.full(number, 0.5), level) == 0.5
    assert conformal_level(np.full(number - 1, 0.5), level) == 1.0


@pytest.mark.parametrize(("number", "few"), [(5, True), (8, True), (9, False), (40, False)])
def test_conformal_levels_of_few_events_are_none(number: int, few: bool) -> None:
    line = conformal_line(conformal(scores(number)))
    assert line.startswith("conformal levels for 90 % coverage: epicentre ")
    assert ("too few events (9 are needed)" in line) is few
    assert ("coverage of the rest" in line) is not few
    assert "100.0 %" not in line


@pytest.mark.parametrize(("level", "shown"), [(0.931, "epicentre 93.1 %"), (1.0, "epicentre too few events")])
def test_a_calibration_of_few_events_is_reported(level: float, shown: str) -> None:
    levels = {"epicentre": np.full((1, 4), level)}
    none = Recalibration("none", np.ones(4))
    (line,) = calibration_lines(Calibration("a", 6, none, Groups("", ()), levels, None))
    assert shown in line
    assert "100.0 %" not in line


def test_scores_are_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    report.write_scores(tmp_path, {"locator": {"number": 1}}, {"name": "first"})
    before = (tmp_path / "scores.json").read_text()

    def full(*paths):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space left"):
        report.write_scores(tmp_path, {"locator": {"number": 2}}, {"name": "second"})
    assert (tmp_path / "scores.json").read_text() == before
    assert [path.name for path in tmp_path.iterdir()] == ["scores.json"]
