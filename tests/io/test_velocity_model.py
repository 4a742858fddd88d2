"""Velocity models as tables: columns and units of other programs, S speeds by layer, impossible values."""

import warnings
from pathlib import Path

import numpy as np
import pytest

from jaxloc.io.velocity_model import read_velocity, read_velocity_error, velocity_file

TOPS, VP, VS = [0.0, 2.0, 8.0], [5.0, 6.0, 6.8], [2.8, 3.5, 3.9]
ROWS = list(zip(TOPS, VP, VS, strict=True))
lines = lambda rows, separator=",": "\n".join(separator.join(f"{x:g}" for x in row) for row in rows)
FORMS = {
    "house": "depth_km,vp_km_s,vs_km_s\n" + lines(ROWS),
    "upper case, blanks": "Depth , VP , VS\n" + lines(ROWS, " , "),
    "units in brackets": "Top (km),Vp [km/s],Vs [km/s]\n" + lines(ROWS),
    "metres": "depth_m;vp_m_s;vs (m/s)\n" + lines([[1000 * x for x in row] for row in ROWS], ";"),
    "GrowClust, no header": lines(ROWS, " "),
    "thickness": "thickness_km,vp,vs\n" + lines(zip([2, 6, 0], VP, VS, strict=True)),
    "ratio": "z,vp,vp_vs\n" + "\n".join(f"{z},{p},{p / s:.9f}" for z, p, s in ROWS),
    "comments": "# a region\ndepth,vp,vs\n0,5,2.8 # sediments\n\n2,6,3.5\n8,6.8,3.9 #\n",
    "other order": "vs,vp,quality,depth\n" + lines([(s, p, 100, z) for z, p, s in ROWS]),
}


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "model.csv"
    path.write_text(text)
    return path


@pytest.mark.parametrize("form", FORMS)
def test_forms_are_read_alike(form: str, tmp_path: Path) -> None:
    model = read_velocity(written(tmp_path, FORMS[form]))
    np.testing.assert_allclose(np.stack(model), [TOPS, VP, VS], rtol=1e-6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("depth,vp,vs\n0,5000,2800\n", r"line 2: vp must be within 0.05 to 14 km/s, got 5000; .*vp_m_s"),
        ("depth,vp,vs\n0,5,2800\n", r"line 2: vs must be within .* got 2800"),
        ("depth,vp,vs\n0,5,2.8\n2000,6,3.4\n", r"line 3: depth must be within -10 to 700 km, got 2000; .*depth_m"),
        ("depth,vp,vs\n0,6,1\n", r"vp / vs must be within 1.4 to 2.6, got 6"),
        ("depth,vp,vs\n0,3.4,6\n", r"vp / vs must be within 1.4 to 2.6, got 0.56"),
        ("depth,vp,vp_vs\n0,6,0.5\n", r"vp / vs must be within 1.4 to 2.6, got 0.5"),
        (
            "depth,vp,vs\n0,5,2.8\n0,6,3.4\n",
            r"line 3: the top at 0 km is not below the one before it, at 0 km; tops must",
        ),
        ("depth,vp,vs\n0,5,2.8\n8,6,3.4\n2,6.2,3.5\n", "line 4: the top at 2 km is not below"),
        ("depth,vp,vs\n0,-5,2.8\n", "got -5"),
        ("depth,vp,vs\n0,5,\n", "line 2 has no vs; a layer must have every value"),
        ("depth,vp,vs\n0,five,2.8\n", "line 2, column vp: 'five' is not a finite number"),
        ("depth,vp,vs\n0,5\n", "line 2 has 2 cells where the header has 3"),
        ("depth,vp,vs\n", "needs rows with depth_km, vp_km_s and vs_km_s .*; it has 0 rows"),
        ("depth,vp\n0,5\n", "needs rows with depth_km, vp_km_s and vs_km_s .* with depth, vp"),
        ("depth,vp_km_s,vp_m_s,vs\n0,5,5000,2.8\n", "vp_km_s and vp_m_s for vp; use one column"),
        ("", "is empty; a velocity model needs a header"),
    ],
)
def test_impossible_models_are_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        read_velocity(written(tmp_path, text))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no such velocity model: .*none\.csv"):
        read_velocity(tmp_path / "none.csv")


BY_ROW = "depth,vp,vs,form\n0,5,2.8,layers\n2,6,3.5,gradient\n8,6.8,3.9,\n"


def test_a_gradient_is_what_the_option_or_the_file_says(tmp_path: Path) -> None:
    plain, mixed = written(tmp_path, FORMS["house"]), tmp_path / "mixed.csv"
    mixed.write_text(BY_ROW)
    speeds = {
        name: np.asarray(read_velocity(path, form).vp_km_s)
        for name, (path, form) in {
            "plain": (plain, None),
            "gradient": (plain, "gradient"),
            "mixed": (mixed, None),
            "layers": (mixed, "layers"),
        }.items()
    }
    assert speeds["plain"].tolist() == speeds["layers"].tolist() == pytest.approx(VP)
    assert 5 < speeds["gradient"][0] < 5.1
    assert speeds["mixed"][0] == 5
    assert 6 < speeds["mixed"][1] < 6.1
    assert all(len(speeds[name]) > 4 for name in ("gradient", "mixed"))
    assert len(velocity_file(plain, form="gradient").settings()["top_km"]) == len(speeds["gradient"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BY_ROW.replace("gradient", "linear"), "line 3, column form: 'linear' must be one of layers, gradient"),
        ("depth,vp,vs\n0,5,2.8\n8,6,3.4\n8,7,4\n", "line 4: the top at 8 km is not below"),
    ],
)
def test_forms_and_steps_are_checked(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        read_velocity(written(tmp_path, text))


def test_a_step_in_a_gradient_has_two_rows(tmp_path: Path) -> None:
    path = written(tmp_path, "depth,vp,vs\n0,5,2.8\n30,6.8,3.9\n30,8,4.6\n")
    model = read_velocity(path, "gradient")
    np.testing.assert_allclose([x[-1] for x in model], [30, 8, 4.6])
    assert (np.diff(model.top_km) > 0).all()


@pytest.mark.parametrize(("form", "warns"), [(None, True), ("layers", False), ("gradient", False)])
def test_rows_that_look_like_a_gradient_are_warned_of(form: str | None, warns: bool, tmp_path: Path) -> None:
    rows = [(z, 4 + 0.2 * z, 2.3 + 0.115 * z) for z in range(10)]
    path = written(tmp_path, "depth,vp,vs\n" + lines(rows))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        read_velocity(path, form)
    assert [str(w.message).endswith("--velocity-form layers") for w in caught] == [True] * warns


def test_an_unknown_form_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must be one of layers, gradient, got 'linear'"):
        velocity_file(tmp_path / "model.csv", form="linear")


ERRORS = {
    "none": ("depth,vp,vs\n0,5,2.8\n2,6,3.5\n", (0.05, 0.05)),
    "of P, km/s": ("depth,vp,vs,vp_sd_km_s\n0,5,2.8,0.2\n2,6,3.5,0.24\n", (0.04, 0.05)),
    "of P, m/s": ("depth_m,vp_m_s,vs_m_s,vp_sd_m_s\n0,5000,2800,100\n", (0.02, 0.05)),
    "per cent": ("depth,vp,vp_vs,vp_sd_percent,vp_vs_sd\n0,5,1.7,3,0.02\n2,6,1.7,4,0.04\n", (0.035355, 0.03)),
    "of P and S": ("depth,vp,vs,vp_sd,vs_sd\n0,6,3,0.18,0.12\n", (0.03, 2 * np.hypot(0.03, 0.04))),
}


@pytest.mark.parametrize("form", ERRORS)
def test_uncertainties_are_read_and_have_a_default(form: str, tmp_path: Path) -> None:
    path, want = written(tmp_path, ERRORS[form][0]), ERRORS[form][1]
    np.testing.assert_allclose(read_velocity_error(path), want, rtol=1e-5)
    assert tuple(read_velocity_error(path, 0.01, 0.2)) == (0.01, 0.2)


@pytest.mark.parametrize("given", [(5.0, None), (-0.1, None), (None, 1.73)])
def test_impossible_uncertainties_are_refused(given: tuple, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"model\.csv: the standard deviation of .* must be within 0 to 0.5, got"):
        read_velocity_error(written(tmp_path, ERRORS["none"][0]), *given)


def test_an_uncertainty_must_be_that_of_a_file() -> None:
    assert velocity_file(None) is None
    with pytest.raises(ValueError, match="must come with --velocity"):
        velocity_file(None, 0.1)
    with pytest.raises(ValueError, match="must come with --velocity"):
        velocity_file(None, form="gradient")


def test_reference_models_have_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = read_velocity("iasp91")
    assert np.asarray(model.top_km)[:3].tolist() == [0.0, 20.0, 35.0]
    assert tuple(read_velocity_error("ak135", 0.02, 0.03)) == (0.02, 0.03)
    (tmp_path / "iasp91").write_text("depth,vp,vs\n0,5,3\n")
    assert np.asarray(read_velocity("iasp91").top_km).tolist() == [0.0]
