"""Other locators' results as QuakeML and NonLinLoc files, with truths of their own."""

import csv
import json
import shutil

import numpy as np
import pytest
from conftest import DATA
from obspy import UTCDateTime, read_events

from jaxloc import cli
from jaxloc.io.catalogue import Hypocentre, Truth
from jaxloc.io.catalogue_csv import write_csv
from jaxloc.io.catalogue_quakeml import EPOCH, write_quakeml
from jaxloc.io.locations import read_predictions
from jaxloc.io.locations_nonlinloc import read_nonlinloc
from jaxloc.io.locations_quakeml import COVARIANCE, read_quakeml
from jaxloc.io.reference_catalogue import by_time, read_truths
from jaxloc.runs.score_external import as_posterior, read

ALASKA = DATA / "nonlinloc_alaska2018" / "expected"
ONE = "alaska.20181130.172935.grid0.loc"
needs_alaska = pytest.mark.skipif(not ALASKA.is_dir(), reason=f"no NonLinLoc files at {ALASKA}; set JAXLOC_DATA")
START = UTCDateTime("2020-05-01T12:00:00")


def events(number=5):
    """Located events with correlated errors, and their truths."""
    rng = np.random.default_rng(2)
    found = []
    for i in range(number):
        root = rng.normal(size=(4, 4)) * [[2.0], [1.5], [3.0], [0.3]]
        truth = Truth(36.0 + 0.1 * i, -97.0, 6.0, 2.0)
        place = (truth.latitude_deg + 0.02 * rng.normal(), -97.0 + 0.02 * rng.normal(), 7.0, 2.0 + 0.3 * rng.normal())
        found.append(
            Hypocentre(f"event {i}", str(START + 60 * i), *place, root @ root.T + 0.01 * np.eye(4), truth=truth)
        )
    return found


def truths_csv(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "latitude_deg", "longitude_deg", "depth_km", "origin_time"])
        writer.writerows(rows)
    return path


def truths_of(found, folder, skip=0):
    return truths_csv(
        folder / "truths.csv",
        [[h.id, *h.truth[:3], str(UTCDateTime(h.start) + h.truth.origin_s)] for h in found[skip:]],
    )


def test_a_catalogue_of_ours_reads_alike_from_both_of_its_files(tmp_path):
    """Rounding: QuakeML has microseconds and metres to the last digit; the covariance is in a comment as it is."""
    found = events()
    write_quakeml(tmp_path / "events.xml", found)
    write_csv(tmp_path / "events.csv", found)
    one, other = (
        read_quakeml(tmp_path / "events.xml", truths_of(found, tmp_path)),
        read_predictions(tmp_path / "events.csv"),
    )
    assert one.id == other.id
    np.testing.assert_allclose(one.estimate[:, :3], other.estimate[:, :3], atol=1e-6)
    np.testing.assert_allclose(one.estimate[:, 3], other.estimate[:, 3] - other.truth[:, 3], atol=2e-6)
    np.testing.assert_allclose(one.covariance, other.covariance, rtol=1e-6)
    np.testing.assert_array_equal(one.known, other.known)
    assert one.known.all()


@pytest.mark.parametrize(("dropped", "size"), [((), 4), (("ellipsoid",), 2), (("ellipsoid", "ellipse"), 1)])
def test_regions_of_quakeml_are_those_of_a_normal_distribution(tmp_path, dropped, size):
    """Without the comment: the ellipsoid holds place, the ellipse the epicentre, single errors the diagonal.

    Errors of latitude and longitude are in degrees, by the length of a degree: exact to rounding.
    """
    found = events()
    write_quakeml(tmp_path / "events.xml", found)
    catalogue = read_events(str(tmp_path / "events.xml"))
    for event in catalogue:
        origin = event.origins[0]
        origin.comments = []
        if "ellipsoid" in dropped:
            origin.origin_uncertainty.confidence_ellipsoid = None
        if "ellipse" in dropped:
            origin.origin_uncertainty = None
    catalogue.write(str(tmp_path / "theirs.xml"), format="QUAKEML")
    read_back = read_quakeml(tmp_path / "theirs.xml", truths_of(found, tmp_path))
    for covariance, h in zip(read_back.covariance, found, strict=True):
        expected = np.diag(np.diag(h.covariance))
        block = slice(0, 3 if size == 4 else size)
        expected[block, block] = np.asarray(h.covariance)[block, block]
        np.testing.assert_allclose(covariance, expected, rtol=1e-4, atol=1e-4)
    assert read_back.known.all()


def test_events_without_a_truth_are_named(tmp_path, capsys):
    found = events()
    write_quakeml(tmp_path / "events.xml", found)
    truth = truths_of(found, tmp_path, skip=2)
    assert read_quakeml(tmp_path / "events.xml", truth).without_truth == ("event 0", "event 1")
    command = ["evaluate", "--predictions", str(tmp_path / "events.xml"), "--truth", str(truth)]
    assert cli.main([*command, "--output", str(tmp_path / "scored")]) == 0
    assert "2 located events have no truth and are not scored: event 0, event 1" in capsys.readouterr().out


def test_quakeml_can_be_the_truth_and_an_unknown_start_has_no_origin_time(tmp_path):
    found = events()
    write_quakeml(tmp_path / "truth.xml", found)
    write_quakeml(tmp_path / "events.xml", [h._replace(start=None) for h in found])
    read_back = read_quakeml(tmp_path / "events.xml", tmp_path / "truth.xml")
    np.testing.assert_allclose(read_back.estimate[:, :2], 0.0, atol=1e-9)
    np.testing.assert_array_equal(read_back.known, [[True, True, True, False]] * 5)
    assert str(UTCDateTime(EPOCH))[:4] == "1970"


@pytest.mark.parametrize("scale", ["1", "0.001"])
def test_quakeml_without_depth_is_scored_by_its_epicentres(tmp_path, capsys, scale):
    """No event has a depth; then depths in km of those that have one are refused."""
    found = events()
    write_quakeml(tmp_path / "events.xml", found)
    catalogue = read_events(str(tmp_path / "events.xml"))
    for event in catalogue:
        origin = event.origins[0]
        origin.comments = []
        origin.depth = None if scale == "1" else float(scale) * origin.depth
    catalogue.write(str(tmp_path / "theirs.xml"), format="QUAKEML")
    command = ["evaluate", "--predictions", str(tmp_path / "theirs.xml"), "--truth", str(truths_of(found, tmp_path))]
    code = cli.main([*command, "--output", str(tmp_path / "scored")])
    if scale == "1":
        assert code == 0
        card = json.loads((tmp_path / "scored" / "scores.json").read_text())["locator"]
        assert (card["depth"]["number"], card["depth"]["unknown"], card["epicentre"]["number"]) == (0, 5, 5)
    else:
        assert code == 1
        assert "QuakeML has m, multiply by 1000" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("text", "message"),
    [("[[1, 2], [3, 4]]", r"must have shape \(4, 4\), got \(2, 2\)"), ("[[1, 2], [3", "cannot be read")],
)
def test_a_broken_covariance_in_a_comment_is_named(tmp_path, text, message):
    found = events(1)
    write_quakeml(tmp_path / "events.xml", found)
    catalogue = read_events(str(tmp_path / "events.xml"))
    catalogue[0].origins[0].comments[0].text = COVARIANCE + text
    catalogue.write(str(tmp_path / "broken.xml"), format="QUAKEML")
    with pytest.raises(ValueError, match=f"covariance in a comment on event event 0 {message}"):
        read_quakeml(tmp_path / "broken.xml", truths_of(found, tmp_path))


def with_catalogue(folder, change):
    """The file of two events, changed."""
    catalogue = read_events(str(folder / "events.xml"))
    change(catalogue)
    catalogue.write(str(folder / "changed.xml"), format="QUAKEML")
    return folder / "changed.xml"


def leave_out_errors(catalogue):
    origin = catalogue[1].origins[0]
    origin.comments, origin.origin_uncertainty, origin.latitude_errors.uncertainty = [], None, None


def swap_coordinates(catalogue):
    origin = catalogue[0].origins[0]
    origin.latitude, origin.longitude = origin.longitude, origin.latitude


def add_all_again(catalogue):
    catalogue.extend(catalogue.copy().events)


def with_text(path, text):
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (lambda folder, truth: (folder / "events.xml",), "use --truth"),
        (lambda folder, truth: (folder / "events.xml", folder / "none.csv"), "no such file of truths"),
        (
            lambda folder, truth: (folder / "events.xml", truths_csv(folder / "others.csv", [["x", 1, 2, 3, ""]])),
            r"no event of .* has a truth",
        ),
        (lambda folder, truth: (folder / "events.csv", truth), "leave out --truth"),
        (
            lambda folder, truth: (with_catalogue(folder, leave_out_errors), truth),
            "event 1 has no standard error of its epicentre",
        ),
        (lambda folder, truth: (with_catalogue(folder, swap_coordinates), truth), r"event 0: latitude -9.*swapped"),
        (
            lambda folder, truth: (with_catalogue(folder, add_all_again), truth),
            "event 0' was located twice",
        ),
        (lambda folder, truth: (with_text(folder / "empty.xml", ""), truth), "must be QuakeML"),
    ],
)
def test_wrong_quakeml_is_named(tmp_path, arguments, message):
    found = events(2)
    write_quakeml(tmp_path / "events.xml", found)
    write_csv(tmp_path / "events.csv", found)
    with pytest.raises(ValueError, match=message):
        read(*arguments(tmp_path, truths_of(found, tmp_path)))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (["a", "97", "36", "", ""], "event a: latitude 97.0.*swapped"),
        (["a", "north", "36", "", ""], "latitude_deg of event a must be a number, got 'north'"),
        (["a", "36", "-97", "", "noon"], "origin_time of event a must be an ISO 8601 time, got 'noon'"),
        (["event 1", "36", "-97", "", ""], "has event 'event 1' twice"),
    ],
)
def test_wrong_truths_are_named(tmp_path, row, message):
    with pytest.raises(ValueError, match=message):
        read_truths(truths_csv(tmp_path / "truths.csv", [["event 1", 36, -97, "", ""], row]))
    with pytest.raises(ValueError, match="has no event"):
        read_truths(truths_csv(tmp_path / "none.csv", []))


def test_each_truth_is_that_of_one_event(tmp_path):
    """The nearest pair first; a second event within reach of a taken truth has none."""
    rows = [["a", 1, 2, 3, str(START)], ["b", 4, 5, 6, str(START + 100)]]
    truths = read_truths(truths_csv(tmp_path / "truths.csv", rows))
    start = START.timestamp
    found = by_time([start + 2, start + 0.5, start + 103.5], truths)
    assert [None if t is None else t.latitude_deg for t in found] == [None, 1.0, None]


def alaska_truths(folder):
    """NonLinLoc's likeliest places, as ObsPy reads them, for truths."""
    rows = []
    for file in sorted(ALASKA.glob("alaska.2018*.hyp")):
        origin = read_events(str(file), format="NLLOC_HYP")[0].origins[0]
        rows.append([file.name, origin.latitude, origin.longitude, origin.depth / 1000, str(origin.time + 0.5)])
    return truths_csv(folder / "truths.csv", rows)


@needs_alaska
def test_nonlinloc_files_give_scatter(tmp_path):
    """The seven events of NonLinLoc's sample; the samples' covariance is that of STATISTICS within the noise of keeping
    1000 of 5000: 3.5 standard errors of a variance, sqrt(2 / 1000), and as much for the posteriors' heavy tails.
    """
    found = read_nonlinloc(ALASKA, alaska_truths(tmp_path))
    assert len(found.id) == 7
    assert found.without_truth == ()
    assert found.scatter_km.shape == (7, 1000, 3)
    np.testing.assert_array_equal(found.known, [[True, True, True, False]] * 7)
    posterior, _ = as_posterior(found)
    whole = np.asarray(posterior.aleatoric)[:, :3, :3]
    ratio = np.diagonal(whole, axis1=1, axis2=2) / np.diagonal(found.covariance, axis1=1, axis2=2)[:, :3]
    np.testing.assert_allclose(ratio, 1.0, atol=0.3)
    # Of the first event, by its own lines: what is likeliest lies 0.1 km north and 0.6 km below what is expected.
    np.testing.assert_allclose(found.estimate[0, :2], [0.013, -0.094], atol=0.01)
    assert found.estimate[0, 2] - found.truth[0, 2] == pytest.approx(-0.59, abs=0.01)
    np.testing.assert_allclose(np.asarray(posterior.hypocentre.mean)[:, :3], found.scatter_km.mean(1), atol=0.02)


@needs_alaska
def test_nonlinloc_files_are_scored(tmp_path, capsys):
    command = ["evaluate", "--predictions", str(ALASKA / "alaska.2018*.hyp"), "--truth", str(alaska_truths(tmp_path))]
    assert cli.main([*command, "--output", str(tmp_path / "scored")]) == 0
    assert "7 events" in capsys.readouterr().out


@needs_alaska
def test_a_summary_without_scatter_is_scored_by_its_covariances(tmp_path):
    found = read(ALASKA / "alaska.sum.grid0.loc.hyp", alaska_truths(tmp_path))
    assert found.scatter_km is None
    assert len(found.id) == 7
    np.testing.assert_allclose(found.covariance[0, 0, :3], [0.996027, -0.25823, 0.205178])


@needs_alaska
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: "", "must end in END_NLLOC"),
        (
            lambda text: text.replace("STATISTICS", "STATS"),
            "must be a whole NonLinLoc hypocentre file: 'STATISTICS'",
        ),
        (lambda text: text.replace('"LOCATED"', '"REJECTED"'), "NonLinLoc says REJECTED"),
    ],
)
def test_broken_nonlinloc_hypocentres_are_named(tmp_path, change, message):
    broken = with_text(tmp_path / "broken.hyp", change((ALASKA / f"{ONE}.hyp").read_text()))
    with pytest.raises(ValueError, match=message):
        read_nonlinloc(broken, alaska_truths(tmp_path))


@needs_alaska
@pytest.mark.parametrize(
    ("keep_bytes", "message"),
    [(-8, "a header of 4983 samples and 79736 bytes"), (0, "a header of 0 samples")],
)
def test_broken_nonlinloc_scatter_is_named(tmp_path, keep_bytes, message):
    shutil.copyfile(ALASKA / f"{ONE}.hyp", tmp_path / f"{ONE}.hyp")
    (tmp_path / f"{ONE}.scat").write_bytes((ALASKA / f"{ONE}.scat").read_bytes()[:keep_bytes])
    with pytest.raises(ValueError, match=message):
        read_nonlinloc(tmp_path / f"{ONE}.hyp", alaska_truths(tmp_path))


@needs_alaska
def test_missing_nonlinloc_files_and_times_are_named(tmp_path):
    truth = alaska_truths(tmp_path)
    for name in (f"{ONE}.hyp", f"{ONE}.scat", "alaska.20181130.173543.grid0.loc.hyp"):
        shutil.copyfile(ALASKA / name, tmp_path / name)
    with pytest.raises(ValueError, match=r"173543.* lack the scatter that others have"):
        read_nonlinloc(tmp_path, truth)
    with pytest.raises(ValueError, match="no NonLinLoc hypocentre file"):
        read_nonlinloc(tmp_path / "none", truth)
    with pytest.raises(ValueError, match="truths must have origin_time"):
        read_nonlinloc(ALASKA, truths_csv(tmp_path / "timeless.csv", [["a", 61, -150, "", ""]]))


@needs_alaska
def test_a_turned_grid_is_turned_back(tmp_path):
    """y pointing east, 90 degrees clockwise: variances of x and y change places, their covariance its sign."""
    (tmp_path / "turned.hyp").write_text((ALASKA / f"{ONE}.hyp").read_text().replace("RotCW 0.0", "RotCW 90.0"))
    found = read_nonlinloc(tmp_path / "turned.hyp", alaska_truths(tmp_path))
    np.testing.assert_allclose(found.covariance[0, :2, :2], [[1.30366, 0.25823], [0.25823, 0.996027]], rtol=1e-6)
