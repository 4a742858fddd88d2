"""Faults in the uncertainties of QuakeML and NonLinLoc files: each is found where it is the only one, and put right."""

import numpy as np
import pytest
from obspy import read_events
from obspy.core.event import Catalog, Comment, Event, Origin
from quakeml_origins import COVARIANCE, LEVEL, origin_of

from jaxloc import cli
from jaxloc.distributions.ellipsoids import confidence_ellipsoid, horizontal_ellipse, quakeml_rotation_deg
from jaxloc.io.catalogue import Hypocentre, km_per_degree
from jaxloc.io.catalogue_quakeml import write_quakeml
from jaxloc.io.lint import lint
from jaxloc.io.uncertainty_checks import hypocentre_uncertainty

LATITUDE = 55.0


def good() -> Origin:
    """An origin whose ellipsoid is the description that it prefers."""
    origin = origin_of(latitude_deg=LATITUDE)
    origin.origin_uncertainty.preferred_description = "confidence ellipsoid"
    return origin


def written(path, *origins: Origin):
    Catalog([Event(origins=[origin]) for origin in origins]).write(str(path), format="QUAKEML")
    return path


def region(origin: Origin, **values: object) -> None:
    for name, value in values.items():
        origin.origin_uncertainty[name] = value


def axes(origin: Origin, **values: float) -> None:
    for name, value in values.items():
        origin.origin_uncertainty.confidence_ellipsoid[name] = value


def lengths(origin: Origin, factor: float) -> None:
    for name in ("semi_major", "semi_intermediate", "semi_minor"):
        origin.origin_uncertainty.confidence_ellipsoid[f"{name}_axis_length"] *= factor


def ellipse(origin: Origin, factor: float) -> None:
    for name in ("min", "max"):
        origin.origin_uncertainty[f"{name}_horizontal_uncertainty"] *= factor


def bare(origin: Origin) -> None:
    origin.origin_uncertainty, origin.latitude_errors, origin.longitude_errors = None, None, None


def longitude_as_latitude(origin: Origin) -> None:
    north_km, east_km = km_per_degree(LATITUDE)
    origin.longitude_errors.uncertainty *= east_km / north_km


def alone(origin: Origin) -> None:
    """An ellipse of 4.1 by 2.5 m and nothing else."""
    origin.latitude_errors, origin.longitude_errors, origin.depth_type = None, None, "operator assigned"
    region(origin, confidence_ellipsoid=None, preferred_description=None)
    ellipse(origin, 1e-3)


def no_depth_error(origin: Origin) -> None:
    origin.depth_errors = None
    region(origin, confidence_ellipsoid=None, preferred_description="uncertainty ellipse")


def comment(text: str):
    return lambda origin: origin.comments.append(
        Comment(text=f"covariance over east_km, north_km, depth_km, origin_s: {text}")
    )


FAULTS = {
    "ellipsoid in km": (lambda o: lengths(o, 1e-3), "the ellipsoid is in km, not m", True),
    "ellipse in km": (lambda o: ellipse(o, 1e-3), "the ellipse is in km, not m", True),
    "longitude in degrees of latitude": (longitude_as_latitude, "in degrees of latitude", True),
    "level as a fraction": (lambda o: region(o, confidence_level=LEVEL), "as a fraction", True),
    "level of 100 %": (lambda o: region(o, confidence_level=100.0), "impossible confidence level", False),
    "no level": (lambda o: region(o, confidence_level=None), "no confidence level", False),
    "no such description": (
        lambda o: region(o, preferred_description="horizontal uncertainty"), "preferred description missing", False,
    ),
    "minor above major": (
        lambda o: region(o, min_horizontal_uncertainty=99e3), "minor axis of 99000 m", False,
    ),
    "plunge of 120 degrees": (lambda o: axes(o, major_axis_plunge=120.0), "impossible axes", False),
    "circle of a metre": (lambda o: region(o, horizontal_uncertainty=1.0), "circle against ellipse", False),
    "nothing": (bare, "no horizontal uncertainty", False),
    "zero": (lambda o: setattr(o.latitude_errors, "uncertainty", 0.0), "uncertainty of zero", False),
    "no error of depth": (no_depth_error, "no uncertainty of depth", False),
    "depth in mm": (lambda o: setattr(o, "depth", 5e6), "impossible depth", False),
    "depth in km": (lambda o: setattr(o, "depth", 5.0), "depth in km where m are due", False),
    "negative error": (lambda o: setattr(o.depth_errors, "uncertainty", -1.0), "impossible error", False),
    "ellipse alone, in km": (alone, "implausible uncertainty", False),
    "covariance not positive": (
        comment("[[1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]"), "impossible covariance", False,
    ),
    "covariance cut off": (comment("[[1, 0"), "impossible covariance", False),
}  # fmt: skip
"""A fault, what is said, and whether it is clear what is right."""


def test_a_right_file_has_no_finding(tmp_path, capsys):
    path = written(tmp_path / "good.xml", good())
    assert lint(path).findings == ()
    assert cli.main(["lint", str(path)]) == 0
    assert "well-formed and agree" in capsys.readouterr().out


@pytest.mark.parametrize("level", [0.68, 0.9])
def test_what_jaxloc_writes_has_no_finding(level, tmp_path):
    roots = np.random.default_rng(5).standard_normal((20, 4, 4))
    events = [
        Hypocentre(f"e{i}", "2020-01-01T00:00:00Z", -33.0 + i, 15.0, 8.0, 1.5, root @ root.T + 0.1 * np.eye(4), level)
        for i, root in enumerate(roots)
    ]
    write_quakeml(tmp_path / "events.xml", events)
    report = lint(tmp_path / "events.xml")
    assert (report.findings, report.origins) == ((), 20)


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_found_and_put_right_where_that_is_clear(fault, tmp_path):
    change, said, is_clear = FAULTS[fault]
    origin = good()
    change(origin)
    report = lint(written(tmp_path / "wrong.xml", origin))
    assert len({finding.kind for finding in report.findings}) == 1
    assert said in f"{report.findings[0].kind}: {report.findings[0].message}"
    assert bool(report.left) != is_clear
    if is_clear:
        (tmp_path / "right.xml").write_bytes(report.corrected)
        assert lint(tmp_path / "right.xml").findings == ()
        (again,) = read_events(tmp_path / "right.xml")
        covariance, _ = hypocentre_uncertainty("x", again.origins[0])
        np.testing.assert_allclose(covariance[:3, :3], COVARIANCE, rtol=2e-3, atol=2e-3)
        right = horizontal_ellipse(COVARIANCE, LEVEL)
        size = f"{1000 * right.semi_major_km:.4g} by {1000 * right.semi_minor_km:.4g} m"
        assert f"right is an ellipse of {size}" in report.findings[0].message


def test_fixed_depths_need_no_error(tmp_path):
    origin = good()
    no_depth_error(origin)
    origin.depth_type = "operator assigned"
    assert lint(written(tmp_path / "fixed.xml", origin)).findings == ()


def test_shallow_depths_among_deep_ones_are_right(tmp_path):
    shallow = good()
    shallow.depth = 5.0
    assert lint(written(tmp_path / "both.xml", good(), shallow)).findings == ()


def test_the_command_fixes_and_exits(tmp_path, capsys):
    wrong, unclear = good(), good()
    lengths(wrong, 1e-3)
    region(unclear, confidence_level=None)
    path = written(tmp_path / "wrong.xml", wrong, unclear)
    assert cli.main(["lint", str(path), "--fix", str(tmp_path / "right.xml")]) == 1
    assert "left as they are" in capsys.readouterr().out
    assert [finding.kind for finding in lint(tmp_path / "right.xml").findings] == ["no confidence level"]
    assert cli.main(["lint", str(path), str(path), "--fix", str(tmp_path / "x.xml")]) == 1
    assert "--fix writes the correction of one file" in capsys.readouterr().err
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    assert cli.main(["lint", str(tmp_path / "table.csv")]) == 1
    assert "must be QuakeML or a NonLinLoc hypocentre file" in capsys.readouterr().err


HYP = """NLLOC "./loc/one.20200101.000000.grid0" "LOCATED" "Location completed."
GRID  201 201 31  -100 -100 -1  1 1 1 PROB_DENSITY
HYPOCENTER  x 2.7 y 37.4 z 14.9  OT 29.0  ix -1 iy -1 iz -1
GEOGRAPHIC  OT 2020 01 01  00 00 29.0  Lat 61.3 Long -149.9 Depth 14.9
STATISTICS  ExpectX 2.7 Y 37.3 Z 14.3  CovXX {xx} XY {xy} XZ {xz} YY {yy} YZ {yz} ZZ {zz} EllAz1 0 Dip1 0 \
Len1 {minor} Az2 0 Dip2 0 Len2 {middle} Len3 {major}
TRANSFORM  LAMBERT RefEllipsoid Clarke-1880  LatOrig 61.0  LongOrig -150.0  RotCW 0.0
QML_OriginUncertainty  horUnc -1  minHorUnc {low}  maxHorUnc {high}  azMaxHorUnc {azimuth}
QML_ConfidenceEllipsoid  semiMajorAxisLength {major}  semiMinorAxisLength {minor}  \
semiIntermediateAxisLength {middle}  majorAxisPlunge {plunge}  majorAxisAzimuth {strike}  majorAxisRotation {rotation}
END_PHASE
END_NLLOC
"""


def values() -> dict[str, float]:
    plane, space = horizontal_ellipse(COVARIANCE, 0.683), confidence_ellipsoid(COVARIANCE, 0.683)
    pairs = {f"{'xyz'[i]}{'xyz'[j]}": COVARIANCE[i, j] for i in range(3) for j in range(i, 3)}
    angles = {"plunge": space.plunge_deg, "strike": space.azimuth_deg, "rotation": quakeml_rotation_deg(space)}
    sizes = {"major": space.semi_major_km, "middle": space.semi_intermediate_km, "minor": space.semi_minor_km}
    return (
        pairs | angles | sizes | {"high": plane.semi_major_km, "low": plane.semi_minor_km, "azimuth": plane.azimuth_deg}
    )


HYP_FAULTS = {
    "ellipse in m": (lambda v: v | {"high": v["high"] * 1e3, "low": v["low"] * 1e3}, None, "ellipse in m where km"),
    "ellipse too small": (lambda v: v | {"high": v["high"] / 2, "low": v["low"] / 2}, None, "not those of the cov"),
    "ellipse turned": (lambda v: v | {"azimuth": v["azimuth"] + 40}, None, "ellipse is turned"),
    "ellipse of zero": (lambda v: v | {"low": 0}, None, "uncertainty of zero"),
    "no ellipse": (lambda v: v | {"low": -1, "high": -1}, None, "no horizontal uncertainty"),
    "minor above major": (lambda v: v | {"low": v["high"], "high": v["low"]}, None, "impossible axes"),
    "ellipsoid turned": (lambda v: v | {"rotation": v["rotation"] + 60}, None, "ellipsoid is turned"),
    "ellipsoid in m": (
        lambda v: v | {name: v[name] * 1e3 for name in ("minor", "middle", "major")}, None, "ellipsoid in m where km",
    ),
    "axes exchanged": (lambda v: v | {"minor": v["middle"], "middle": v["minor"]}, None, "impossible axes"),
    "rejected": (dict, ("LOCATED", "REJECTED"), "not located"),
    "at the floor": (dict, ("Depth 14.9", "Depth 28.9"), "at or below the floor"),
    "below the floor": (dict, ("Depth 14.9", "Depth 44.9"), "at or below the floor"),
    "depth in m": (dict, ("Depth 14.9", "Depth 14900"), "impossible depth"),
    "covariance not positive": (lambda v: v | {"yy": -v["yy"]}, None, "impossible covariance"),
    "cut off": (dict, ("\nEND_NLLOC", ""), "cut off"),
    "no statistics": (dict, ("STATISTICS", "STATS"), "not as NonLinLoc writes"),
}  # fmt: skip


def test_a_right_nonlinloc_file_has_no_finding(tmp_path):
    (tmp_path / "good.hyp").write_text(HYP.format(**values()))
    assert lint(tmp_path / "good.hyp").findings == ()


@pytest.mark.parametrize("fault", HYP_FAULTS)
def test_each_fault_of_nonlinloc_is_found_and_put_right(fault, tmp_path):
    change, replaced, said = HYP_FAULTS[fault]
    text = HYP.format(**change(values()))
    (tmp_path / "wrong.hyp").write_text(text.replace(*replaced) if replaced else text)
    report = lint(tmp_path / "wrong.hyp")
    assert len({finding.kind for finding in report.findings}) == 1
    assert said in report.findings[0].kind
    assert report.origins == 1
    if not report.left:
        (tmp_path / "right.hyp").write_bytes(report.corrected)
        assert lint(tmp_path / "right.hyp").findings == ()
    assert bool(report.left) == any(finding.refused for finding in report.findings)


def test_nonlinlocs_own_files(data_folder):
    """Its rotations are wrong where the major axis plunges, as 4 of 7 events show; all lengths are right."""
    report = lint(data_folder("nonlinloc_alaska2018") / "expected" / "alaska.sum.grid0.loc.hyp")
    assert report.origins == 7
    assert {finding.kind for finding in report.findings} == {
        "ellipsoid is turned (an error of NonLinLoc's for plunging axes)"
    }
    assert len(report.findings) == 4


def test_what_obspy_makes_of_nonlinlocs_files(data_folder, tmp_path):
    """The ellipsoid in km, and errors of longitude too small by the cosine of latitude: found, and put right."""
    file = data_folder("nonlinloc_alaska2018") / "expected" / "alaska.20181130.172935.grid0.loc.hyp"
    catalogue = read_events(file)
    catalogue.write(str(tmp_path / "obspy.xml"), format="QUAKEML")
    report = lint(tmp_path / "obspy.xml")
    assert {finding.kind for finding in report.findings} == {
        "not as in QuakeML, the error of longitude is in degrees of latitude",
        "not as in QuakeML, the ellipsoid is in km, not m and it has the rotation of another convention (NonLinLoc)",
    }
    (tmp_path / "right.xml").write_bytes(report.corrected)
    covariance, findings = hypocentre_uncertainty("x", read_events(tmp_path / "right.xml")[0].origins[0])
    assert findings == []
    right = np.array([[0.996027, -0.25823, 0.205178], [-0.25823, 1.30366, 0.159148], [0.205178, 0.159148, 10.5053]])
    np.testing.assert_allclose(covariance[:3, :3], right, rtol=0.02, atol=0.01)
