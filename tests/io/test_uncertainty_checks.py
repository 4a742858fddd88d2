"""Uncertainties as other programs write them: the right covariance, or a finding that names what is wrong."""

from collections.abc import Callable

import numpy as np
import pytest
from obspy import UTCDateTime, read_events
from obspy.core.event import Catalog, ConfidenceEllipsoid, Event, Origin, OriginUncertainty, QuantityError
from quakeml_origins import COVARIANCE, origin_of

from jaxloc import cli
from jaxloc.io.catalogue import km_per_degree
from jaxloc.io.locations_quakeml import read_quakeml
from jaxloc.io.uncertainty_checks import check_catalogue, hypocentre_uncertainty, refuse, summary


def ellipsoid_of(origin: Origin) -> ConfidenceEllipsoid:
    return origin.origin_uncertainty.confidence_ellipsoid


def errors_of(origin: Origin) -> list[QuantityError]:
    return [origin.longitude_errors, origin.latitude_errors, origin.depth_errors]


def scale_ellipsoid(origin: Origin, factor: float) -> None:
    for name in ("semi_major", "semi_intermediate", "semi_minor"):
        ellipsoid_of(origin)[f"{name}_axis_length"] *= factor


def scale_ellipse(origin: Origin, factor: float) -> None:
    for name in ("min", "max"):
        origin.origin_uncertainty[f"{name}_horizontal_uncertainty"] *= factor


def in_km(origin: Origin, unit_km: float = 1.0) -> None:
    north_km, east_km = km_per_degree(40.0)
    origin.longitude_errors.uncertainty *= east_km / unit_km
    origin.latitude_errors.uncertainty *= north_km / unit_km


def scale_depth(origin: Origin, factor: float) -> None:
    origin.depth_errors.uncertainty *= factor


def as_fractions(origin: Origin) -> None:
    for error in (*errors_of(origin), origin.origin_uncertainty):
        error.confidence_level /= 100


def rotate(origin: Origin, degrees: float) -> None:
    ellipsoid_of(origin).major_axis_rotation += degrees


def as_nonlinloc(origin: Origin) -> None:
    """tan(rotation) / cos(2 plunge), in km: what NonLinLoc writes and ObsPy reads."""
    given = ellipsoid_of(origin)
    rotation, plunge = np.deg2rad([given.major_axis_rotation, given.major_axis_plunge])
    given.major_axis_rotation = np.rad2deg(np.arctan2(np.sin(rotation) / np.cos(2 * plunge), np.cos(rotation)))
    scale_ellipsoid(origin, 1e-3)


def only_ellipse(origin: Origin, factor: float = 1.0) -> None:
    origin.origin_uncertainty.confidence_ellipsoid = None
    origin.longitude_errors = origin.latitude_errors = QuantityError()
    scale_ellipse(origin, factor)


def without_regions(origin: Origin) -> None:
    origin.origin_uncertainty = None


READ_RIGHT: dict[str, tuple[Callable[[Origin], None], tuple[str, ...]]] = {
    "as in QuakeML": (lambda o: None, ()),
    "fractions for per cent": (as_fractions, ("confidence level as a fraction",)),
    "ellipsoid in km": (lambda o: scale_ellipsoid(o, 1e-3), ("not as in QuakeML, the ellipsoid is in km, not m",)),
    "ellipsoid in mm": (
        lambda o: scale_ellipsoid(o, 1e3),
        ("not as in QuakeML, the ellipsoid is a thousand times too large",),
    ),
    "ellipse in km": (lambda o: scale_ellipse(o, 1e-3), ("not as in QuakeML, the ellipse is in km, not m",)),
    "errors in km": (
        in_km,
        ("not as in QuakeML, the errors of latitude and longitude are in km, not degrees",),
    ),
    "errors in m": (
        lambda o: in_km(o, 1e-3),
        ("not as in QuakeML, the errors of latitude and longitude are in m, not degrees",),
    ),
    "depth error in km": (lambda o: scale_depth(o, 1e-3), ("not as in QuakeML, the error of depth is in km, not m",)),
    "rotation from another axis": (
        lambda o: rotate(o, -90),
        (
            "not as in QuakeML, the ellipsoid has the rotation of another convention (minor axis below the major one "
            "at rotation 0)",
        ),
    ),
    "rotation and unit of NonLinLoc": (
        as_nonlinloc,
        ("not as in QuakeML, the ellipsoid is in km, not m and it has the rotation of another convention (NonLinLoc)",),
    ),
}


@pytest.mark.parametrize("name", READ_RIGHT)
def test_the_covariance_comes_back(name: str) -> None:
    """The covariance that all descriptions were made of, whatever unit or convention one of them is in."""
    change, kinds = READ_RIGHT[name]
    origin = origin_of()
    change(origin)
    covariance, findings = hypocentre_uncertainty("a", origin)
    np.testing.assert_allclose(covariance[:3, :3], COVARIANCE, rtol=1e-5, atol=1e-5)
    assert tuple(dict.fromkeys(each.kind for each in findings)) == kinds
    assert not any(each.refused for each in findings)
    assert all(each.event == "a" for each in findings)


def without_errors(origin: Origin) -> None:
    origin.longitude_errors = origin.latitude_errors = origin.depth_errors = QuantityError()


@pytest.mark.parametrize(("scale", "kind"), [(scale_ellipse, "the ellipse"), (scale_ellipsoid, "the ellipsoid")])
@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_of_two_regions_that_of_possible_size_is_right(scale, kind, factor) -> None:
    """Without errors of latitude, longitude and depth: km or mm in one of two regions."""
    origin = origin_of()
    without_errors(origin)
    scale(origin, factor)
    covariance, findings = hypocentre_uncertainty("a", origin)
    np.testing.assert_allclose(covariance[:3, :3], COVARIANCE, rtol=1e-5, atol=1e-5)
    assert f"not as in QuakeML, {kind} " in findings[0].kind


@pytest.mark.parametrize("factor", [9.0, 110.0 / 1000])
def test_two_changed_units_are_no_explanation_of_two_descriptions(factor) -> None:
    """Nine times apart: errors in km and an ellipse in mm would agree, and nothing confirms it."""
    origin = origin_of()
    scale_ellipse(origin, factor)
    origin.origin_uncertainty.confidence_ellipsoid = None
    _, findings = hypocentre_uncertainty("a", origin)
    assert [each.kind for each in findings if each.refused] == ["uncertainties contradict each other"]


REFUSED: dict[str, tuple[Callable[[Origin], None], str]] = {
    "level of 100 %": (
        lambda o: o.depth_errors.update({"confidence_level": 100.0}),
        "confidence level 100 % of the depth",
    ),
    "level above 100 %": (lambda o: o.depth_errors.update({"confidence_level": 9000.0}), "confidence level 9000 %"),
    "level of two sigma": (
        lambda o: o.depth_errors.update({"confidence_level": 2.0}),
        "confidence level 2 % of the depth",
    ),
    "level of less than nothing": (
        lambda o: o.depth_errors.update({"confidence_level": -68.0}),
        "confidence level -68 %",
    ),
    "negative error": (lambda o: o.latitude_errors.update({"uncertainty": -0.01}), "uncertainty -0.01 of the latitude"),
    "infinite error": (lambda o: o.depth_errors.update({"uncertainty": np.inf}), "uncertainty inf of the depth"),
    "negative ellipse": (lambda o: scale_ellipse(o, -1.0), "must be finite and not negative"),
    "contradiction": (
        lambda o: (scale_ellipse(o, 40.0), o.origin_uncertainty.update({"confidence_ellipsoid": None})),
        "errors .* and ellipse .* differ 40 times",
    ),
    "errors in km alone": (lambda o: (in_km(o), without_regions(o)), "hardly possible in degrees.*are they in km"),
    "errors in m alone": (lambda o: (in_km(o, 1e-3), without_regions(o)), "hardly possible in degrees"),
    "ellipse in km alone": (lambda o: only_ellipse(o, 1e-3), "hardly possible in m.*are they in km"),
    "ellipse in mm alone": (lambda o: only_ellipse(o, 1e3), "hardly possible in m"),
    "depth error in km alone": (
        lambda o: (without_regions(o), scale_depth(o, 1e-3)),
        "error of depth is hardly possible in m",
    ),
    "axes exchanged": (
        lambda o: o.origin_uncertainty.update(
            {
                "max_horizontal_uncertainty": o.origin_uncertainty.min_horizontal_uncertainty,
                "min_horizontal_uncertainty": o.origin_uncertainty.max_horizontal_uncertainty,
            }
        ),
        "minor axis of .* and a major axis of .*exchange them",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_settled_is_refused_by_name(name: str) -> None:
    change, message = REFUSED[name]
    origin = origin_of()
    change(origin)
    _, findings = hypocentre_uncertainty("a", origin)
    with pytest.raises(ValueError, match=f"located.xml.*event a: .*{message}"):
        refuse("located.xml", findings)


def test_the_description_that_contradicts_two_others_is_left_out() -> None:
    """An ellipsoid forty times too large, as of a broken conversion: the ellipse and the errors count."""
    origin = origin_of()
    scale_ellipsoid(origin, 40.0)
    covariance, findings = hypocentre_uncertainty("a", origin)
    expected = np.diag(np.diag(COVARIANCE))
    expected[:2, :2] = COVARIANCE[:2, :2]
    np.testing.assert_allclose(covariance[:3, :3], expected, atol=1e-5)
    assert [each.kind for each in findings] == ["not as in QuakeML, the ellipsoid is left out"]


@pytest.mark.parametrize(("length", "kept"), [(0.0, False), (-1.0, False), (900.0, True)])
def test_an_ellipsoid_without_size_is_left_out(length: float, kept: bool) -> None:
    """A semi-axis of zero or less, or -1 for unknown."""
    origin = origin_of(np.diag([16.0, 9.0, 0.36**2]))
    ellipsoid_of(origin).semi_minor_axis_length = length
    covariance, findings = hypocentre_uncertainty("a", origin)
    np.testing.assert_allclose(np.diag(covariance)[:3], [16.0, 9.0, 0.36**2], rtol=1e-3)
    assert ("ellipsoid without size" in [each.kind for each in findings]) is not kept


def test_a_fixed_depth_does_not_contradict() -> None:
    origin = origin_of()
    origin.depth_errors.uncertainty = 0.0
    covariance, findings = hypocentre_uncertainty("a", origin)
    np.testing.assert_allclose(covariance[:3, :3], COVARIANCE, atol=1e-5)
    assert not findings


# A location of the USGS (2023), angles in whole degrees: errors in degrees and m, ellipse and ellipsoid.
USGS = {
    "errors": (0.0692, 0.0715, 986.0),
    "ellipse": (10382.0, 9657.0, 184.0),
    "ellipsoid": (12174.0, 223.0, 11268.0, 6.0, 184.0, 87.0),
}


def test_a_location_of_the_usgs() -> None:
    """Standard deviations of its 90 % errors by the length of a degree: east 4.51, north 4.81, depth 0.60 km."""
    names = ("semi_major_axis_length", "semi_minor_axis_length", "semi_intermediate_axis_length")
    angles = ("major_axis_plunge", "major_axis_azimuth", "major_axis_rotation")
    longitude, latitude, depth = (QuantityError(uncertainty=x, confidence_level=90.0) for x in USGS["errors"])
    major, minor, azimuth = USGS["ellipse"]
    origin = Origin(
        time=UTCDateTime(2023, 5, 10), latitude=-15.6002, longitude=-174.6077, depth=210097.0,
        longitude_errors=longitude, latitude_errors=latitude, depth_errors=depth,
        origin_uncertainty=OriginUncertainty(
            max_horizontal_uncertainty=major, min_horizontal_uncertainty=minor,
            azimuth_max_horizontal_uncertainty=azimuth, confidence_level=90.0,
            confidence_ellipsoid=ConfidenceEllipsoid(**dict(zip((*names, *angles), USGS["ellipsoid"], strict=True))),
        ),
    )  # fmt: skip
    covariance, findings = hypocentre_uncertainty("us7000k1lm", origin)
    np.testing.assert_allclose(np.sqrt(np.diag(covariance)[:3]), [4.51, 4.81, 0.60], rtol=0.06)
    assert not findings
    rotate(origin, 90)  # the reading of another convention makes depth as uncertain as the epicentre
    turned, findings = hypocentre_uncertainty("us7000k1lm", origin)
    np.testing.assert_allclose(turned, covariance, rtol=0.1, atol=0.01)
    assert "rotation of another convention" in findings[0].kind


def written(folder, origins: dict[str, Origin]) -> tuple[str, str]:
    """Files of predictions and of true hypocentres."""
    events = [Event(resource_id=f"smi:local/{name}", origins=[origin]) for name, origin in origins.items()]
    Catalog(events).write(str(folder / "located.xml"), format="QUAKEML")
    lines = ["id,latitude_deg,longitude_deg,depth_km,origin_time", *(f"{n},40.0,15.0,5.0,2020-01-01" for n in origins)]
    (folder / "truth.csv").write_text("\n".join(lines))
    return str(folder / "located.xml"), str(folder / "truth.csv")


def test_a_catalogue_is_checked_and_summed_up(tmp_path) -> None:
    origins = {f"e{i}": origin_of() for i in range(9)}
    for name in ("e1", "e2", "e3", "e4", "e5", "e6", "e7", "e8"):
        scale_ellipsoid(origins[name], 1e-3)
    path, truth = written(tmp_path, origins)
    findings = check_catalogue(read_events(path))
    assert [each.event for each in findings] == [f"smi:local/e{i}" for i in range(1, 9)]
    (line,) = summary(findings)
    assert line.startswith("not as in QuakeML, the ellipsoid is in km, not m: event smi:local/e1: ")
    assert line.endswith("likewise " + ", ".join(f"smi:local/e{i}" for i in range(2, 7)) + " and 2 others")
    read = read_quakeml(path, truth)
    np.testing.assert_allclose(read.covariance[:, :3, :3], np.broadcast_to(COVARIANCE, (9, 3, 3)), rtol=1e-4)
    assert read.findings == tuple(findings)


def test_doubts_are_on_screen_and_refusals_end_the_program(tmp_path, capsys) -> None:
    origins = {"a": origin_of(), "b": origin_of()}
    as_fractions(origins["a"])
    path, truth = written(tmp_path, origins)
    command = ["evaluate", "--predictions", path, "--truth", truth, "--output", str(tmp_path / "scored")]
    assert cli.main(command) == 0
    assert "confidence level as a fraction: event smi:local/a: " in capsys.readouterr().out
    origins["b"].depth_errors.confidence_level = 100.0
    assert cli.main(command[:2] + list(written(tmp_path, origins))[:1] + command[3:]) == 1
    error = capsys.readouterr().err
    assert "impossible confidence level: event smi:local/b: " in error
    assert "confidence level as a fraction: event smi:local/a: " in error
