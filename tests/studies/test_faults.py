"""The study of faults: its wrong velocity models, what it counts, and its table; locating is tested elsewhere."""

from types import SimpleNamespace

import numpy as np
import pytest

from jaxloc.physics.layered import mean_vp_vs, velocity_of
from jaxloc.physics.readings import ArrivalCheck, CommonShift, StationFaults
from jaxloc.studies import faults

RIGHT = {"top_km": [0.0, 5.0, 20.0], "vp_km_s": [5.0, 6.0, 7.0], "vp_vs": 1.73, "speed_sd": 0.04, "vp_vs_sd": 0.02}


def check(clock, log_evidence=30.0):
    clock = np.asarray(clock, float)
    low, zero = np.full(len(clock), -2.0), np.zeros((len(clock), 2))
    found = StationFaults(clock, np.ones(len(clock)), low, low, low, np.zeros(len(clock), int))  # pyright: ignore
    common = CommonShift(np.zeros(2), np.array(3.5))  # pyright: ignore
    return ArrivalCheck(np.array(log_evidence), zero, zero, np.ones(len(clock)), None, found, common)  # pyright: ignore


def test_wrong_velocity_models_keep_the_uncertainty_of_the_right_one(tmp_path):
    fitted = SimpleNamespace(spec=SimpleNamespace(velocity=RIGHT))
    found = faults.wrong_models(fitted, tmp_path)
    assert list(found)[:2] == ["speeds 20 % too low", "speeds 10 % too low"]
    assert len(found) == len(faults.SPEEDS) + 1
    for (name, file), factor in zip(found.items(), [*faults.SPEEDS, 1.0], strict=True):
        settings = file.settings()
        model = velocity_of(settings)
        np.testing.assert_allclose(model.vp_km_s, np.array(RIGHT["vp_km_s"]) * factor)
        assert mean_vp_vs(model) == pytest.approx(1.83 if "Vp/Vs" in name else 1.73)
        assert (settings["speed_sd"], settings["vp_vs_sd"]) == (0.04, 0.02)


def test_named_stations_are_counted_right_and_wrong():
    """The first event names its faulty station and another one, the second none, the third is refused."""
    checks = [check([3.0, 3.0, -1.0]), check([-1.0, -1.0, -1.0]), check([3.0, -1.0, -1.0])]
    faulty = np.array([[True, False, False]] * 3)
    found = faults._names(checks, faulty, np.array([False, False, True]))
    assert found == {"named": pytest.approx(1 / 3), "wrong_names": pytest.approx(1 / 3)}


def test_scores_behind_the_flags_are_larger_where_something_is_wrong():
    assert faults.flag_scores(check([2.0, -1.0, 0.5])) == {"evidence": -10.0, "station": 2.0, "velocity": 3.5}
    intact, wrong = {"evidence": [-3.0, -2.0, -2.5]}, {"evidence": [-1.0, 0.0, np.nan]}
    assert faults.auroc_of(intact, wrong, "evidence") == 1.0
    assert faults.auroc_of(intact, intact, "evidence") == 0.5


def test_the_table_has_a_dash_where_there_is_no_event():
    rows = [
        {"fault": "none", "epicentre_median_km": 1.25, "flagged": 0.05, "named": None, "named_in_all": "XX.AAA"},
        {"fault": "noise alone", "flagged": 0.0, "refused": 1.0},
    ]
    lines = faults.markdown(rows).splitlines()
    assert lines[0].startswith("| fault | epicentre, median (km) |")
    assert lines[2].startswith("| none | 1.25 |")
    assert lines[2].endswith("| XX.AAA |")
    assert lines[3].startswith("| noise alone | - |")
    assert len({line.count("|") for line in lines}) == 1
