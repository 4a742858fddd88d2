"""Velocity models that are wrong on purpose, written and read as a user's file."""

import numpy as np
import pytest

from jaxloc.io.velocity_model import velocity_file
from jaxloc.physics.layered import mean_vp_vs, velocity_of
from jaxloc.studies import wrong_velocity
from jaxloc.studies.wrong_velocity import ERRORS, MODELS, changed

RIGHT = {"top_km": [0.0, 5.0, 20.0], "vp_km_s": [5.0, 6.0, 7.0], "vp_vs": 1.73}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_wrong_as_it_says_and_survives_its_file(tmp_path, name):
    factor, ratio = MODELS[name]
    model = changed(velocity_of(RIGHT), factor, ratio)
    np.testing.assert_allclose(model.vp_km_s, np.array(RIGHT["vp_km_s"]) * factor)
    assert mean_vp_vs(model) == pytest.approx(ratio or 1.73)
    path = wrong_velocity.written(tmp_path, name, model)
    for taken_as, (speed_sd, vp_vs_sd) in ERRORS.items():
        settings = velocity_file(path, speed_sd, vp_vs_sd).settings()
        np.testing.assert_allclose(velocity_of(settings).vs_km_s, model.vs_km_s)
        wanted = (0.0, 0.0) if taken_as == "exact" else (0.05, 0.05)
        assert (settings["speed_sd"], settings["vp_vs_sd"]) == wanted
