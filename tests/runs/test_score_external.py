"""Other locators' results: read from a CSV, scored as one's own."""

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
from obspy.geodetics import gps2dist_azimuth

from jaxloc import cli
from jaxloc.io.locations import read_predictions
from jaxloc.runs.score_external import as_posterior, score_predictions

DATA = Path(os.environ.get("JAXLOC_DATA", Path(__file__).parents[3] / "shared" / "data"))
PUBLISHED = DATA / "deepbaysloc_predictions" / "event_based_predictions.csv"
ROW = {
    "id": "a",
    "latitude_deg": "36.1",
    "longitude_deg": "-97.2",
    "depth_km": "7.5",
    "origin_s": "1.5",
    "east_sd_km": "2.0",
    "north_sd_km": "1.0",
    "depth_sd_km": "3.0",
    "origin_sd_s": "0.4",
    "truth_latitude_deg": "36.0",
    "truth_longitude_deg": "-97.0",
    "truth_depth_km": "6.0",
    "truth_origin_s": "1.0",
}


def written(folder, *rows):
    path = folder / "others.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_places_are_kilometres_from_the_true_epicentre(tmp_path):
    """By ObsPy's geodesics; errors and covariances as stated."""
    found = read_predictions(written(tmp_path, ROW))
    distance_m, azimuth, _ = gps2dist_azimuth(36.0, -97.0, 36.1, -97.2)
    along = np.array([np.sin(np.radians(azimuth)), np.cos(np.radians(azimuth))])
    np.testing.assert_allclose(found.estimate[0], [*(distance_m / 1000 * along), 7.5, 1.5], rtol=1e-6)
    np.testing.assert_allclose(found.covariance[0], np.diag([4.0, 1.0, 9.0, 0.16]))
    np.testing.assert_array_equal(found.truth[0], [0, 0, 6.0, 1.0])
    assert found.known.all()
    assert found.id == ["a"]
    assert found.sharpened == 0


def test_what_is_unknown_is_not_scored_and_the_rest_is(tmp_path):
    bare = {**ROW, "depth_sd_km": "", "truth_origin_s": "", "east_sd_km": "", "north_sd_km": "", "epicentre_sd_km": "2"}
    found = read_predictions(written(tmp_path, bare))
    np.testing.assert_array_equal(found.known[0], [True, True, False, False])
    np.testing.assert_allclose(np.sqrt(np.diag(found.covariance[0])), [np.sqrt(2), np.sqrt(2), 1, 1])
    posterior, truth = as_posterior(found)
    assert np.isfinite(posterior.hypocentre.log_prob(truth.value)).all()


def test_a_given_covariance_counts_before_standard_errors(tmp_path):
    axes = ("east", "north", "depth", "origin")
    whole = np.diag([4.0, 3.0, 2.0, 1.0]) + 0.5
    names = {f"covariance_{axes[i]}_{axes[j]}": str(whole[i, j]) for i in range(4) for j in range(i, 4)}
    np.testing.assert_allclose(read_predictions(written(tmp_path, ROW | names)).covariance[0], whole)


def test_an_error_of_zero_becomes_ten_metres_and_is_counted(tmp_path):
    found = read_predictions(written(tmp_path, ROW | {"east_sd_km": "0", "north_sd_km": "0"}))
    np.testing.assert_allclose(np.sqrt(np.diag(found.covariance[0]))[:2], 0.01)
    assert found.sharpened == 1


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"latitude_deg": "north"}, "latitude_deg of event a must be a number, got 'north'"),
        ({"latitude_deg": "-97.2", "longitude_deg": "36.1"}, "place of event a: latitude -97.2.*swapped"),
        ({"truth_latitude_deg": ""}, "event a must have latitude_deg"),
        ({"east_sd_km": ""}, "event a has no standard error of its epicentre"),
        ({"depth_sd_km": "-1"}, "event a has a negative standard error, -1.0"),
        ({"epicentre_sd_km": "-0.5"}, "event a has a negative standard error, -0.5"),
        ({"depth_sd_km": "inf"}, "depth_sd_km of event a must be a number, got 'inf'"),
        ({"depth_km": "7500"}, "depth of the place of event a must be within -10 to 750 km, got 7500; is it in m"),
        ({"truth_depth_km": "6000"}, "depth of the true place of event a must be within -10 to 750 km, got 6000"),
        ({"origin_s": "1546138800"}, "origin time of event a is 1.54614e[+]09 s after the true one.*same moment"),
        ({"id": ""}, "event 1 has no id"),
        ({"latitude_deg": "0", "longitude_deg": "0.0"}, "the place of event a is 0 N 0 E, which stands for an unknown"),
        ({"truth_latitude_deg": "0", "truth_longitude_deg": "0"}, "the true place of event a is 0 N 0 E"),
        (
            {"latitude_deg": "15.1", "longitude_deg": "40.0", "truth_latitude_deg": "40", "truth_longitude_deg": "15"},
            r"places are 3\d{3} km from the true ones: are latitude and longitude exchanged.* then be 9 km away",
        ),
        ({"depth_km": "-7.5"}, "depths about -7.5 km, the true ones are about 6 km; depths count downwards"),
    ],
)
def test_wrong_values_are_named(tmp_path, changed, message):
    with pytest.raises(ValueError, match=message):
        read_predictions(written(tmp_path, ROW | changed))


AXES = ("east", "north", "depth", "origin")


def covariance_cells(whole):
    return {f"covariance_{AXES[i]}_{AXES[j]}": str(whole[i, j]) for i in range(4) for j in range(i, 4)}


@pytest.mark.parametrize(
    "whole",
    [np.diag([4.0, -1.0, 1.0, 1.0]), np.eye(4) + 2 * np.eye(4)[[1, 0, 3, 2]], -np.eye(4)],
    ids=["negative variance", "correlation above one", "negative definite"],
)
def test_covariances_that_are_not_positive_definite_are_named(tmp_path, whole):
    path = written(
        tmp_path, *(ROW | {"id": name} | covariance_cells(x) for name, x in (("a", np.eye(4)), ("b", whole)))
    )
    with pytest.raises(ValueError, match=r"impossible covariance: event b: covariance .* must be .*positive definite"):
        read_predictions(path)


@pytest.mark.parametrize(("sd", "what"), [({"east_sd_km": "4200"}, "epicentre"), ({"depth_sd_km": "1500"}, "depth")])
def test_uncertainties_in_metres_are_warned_of(tmp_path, sd, what):
    (finding,) = read_predictions(written(tmp_path, ROW, ROW | {"id": "b"} | sd)).findings
    assert (finding.event, finding.refused) == ("b", False)
    assert f"standard deviation of the {what} " in finding.message
    assert "is it in m" in finding.message


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16"])
@pytest.mark.parametrize("separator", [",", ";"])
def test_any_encoding_and_separator_is_read(tmp_path, encoding, separator):
    path = written(tmp_path, ROW | {"id": "Córdoba"})
    path.write_bytes(path.read_text().replace(",", separator).encode(encoding))
    found = read_predictions(path)
    assert found.id == ["Córdoba"]
    np.testing.assert_allclose(found.estimate[0, 2:], [7.5, 1.5])


@pytest.mark.parametrize("code", ["-9999", "9999", "nan", "", "NA"])
def test_codes_of_unknown_values_are_unknown(tmp_path, code):
    found = read_predictions(written(tmp_path, ROW | {"depth_km": code, "origin_sd_s": code}))
    np.testing.assert_array_equal(found.known[0], [True, True, False, False])


@pytest.mark.parametrize("start_s", [0.0, 1546138800.0, 4e9])
def test_origin_errors_do_not_depend_on_where_seconds_count_from(tmp_path, start_s):
    """0.30 and 0.05 s early, in seconds from a record's start and since 1970: by hand, to the digits of the file."""
    rows = [
        ROW | {"id": name, "origin_s": f"{start_s + 100 * i:.2f}", "truth_origin_s": f"{start_s + 100 * i + late:.2f}"}
        for i, (name, late) in enumerate((("a", 0.30), ("b", 0.05)))
    ]
    card = score_predictions(written(tmp_path, *rows), tmp_path / "scores")["locator"]["origin"]["error"]
    assert card["mae"]["value"] == pytest.approx(0.175, abs=1e-5)
    assert card["bias"]["value"] == pytest.approx(-0.175, abs=1e-5)


def with_text(folder, change):
    path = written(folder, ROW)
    path.write_text(change(path.read_text()))
    return path


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda folder: folder / "none.csv", "no such file of predictions"),
        (lambda folder: written(folder, ROW, ROW), "has event 'a' twice"),
        (lambda folder: with_text(folder, lambda text: text.split("\n")[0] + "\n"), "has only a header"),
        (
            lambda folder: with_text(folder, lambda text: "id,latitude_deg\n"),
            r"lacks the columns longitude_deg, .*epicentre_sd_km",
        ),
    ],
)
def test_wrong_files_are_named(tmp_path, build, message):
    with pytest.raises(ValueError, match=message):
        read_predictions(build(tmp_path))


def test_calibrated_predictions_are_found_calibrated(tmp_path, capsys):
    """400 events drawn as stated: 90 % regions hold 90 %, within 3.5 standard errors of 1.5; one stated error 63 %.

    With equal errors east and north of 2 km, the stated error of the epicentre is 2.83 km: P(r < 2.83) = 1 - 1 / e.
    """
    rng = np.random.default_rng(3)
    rows = []
    for i in range(400):
        east, north = 2.0 * rng.normal(size=2)
        rows.append(
            ROW
            | {
                "id": str(i),
                "latitude_deg": str(36.0 + north / 110.95),
                "longitude_deg": str(-97.0 + east / 90.164),
                "north_sd_km": "2.0",
                "depth_km": str(6.0 + 3.0 * rng.normal()),
                "origin_s": str(1.0 + 0.4 * rng.normal()),
            }
        )
    path, folder = written(tmp_path, *rows), tmp_path / "scores"
    assert cli.main(["evaluate", "--predictions", str(path), "--output", str(folder)]) == 0
    assert "epicentres inside one predicted sd" in capsys.readouterr().out
    scores = json.loads((folder / "scores.json").read_text())
    for region in ("epicentre", "depth", "hypocentre"):
        assert scores["locator"][region]["coverage"]["90"]["value"] == pytest.approx(0.9, abs=0.053)
    assert scores["about"]["inside_one_stated"] == pytest.approx(1 - np.exp(-1), abs=0.085)
    for region in ("epicentre", "depth", "hypocentre"):
        conformal = scores["about"]["conformal"][region]
        # Cross-fitted over 400 events; 3.5 standard errors, and what the calibration of 320 adds.
        assert conformal["coverage"]["90"] == pytest.approx(0.9, abs=0.058)
        assert conformal["needed"]["90"] == pytest.approx(0.9, abs=0.053)
    assert {p.name for p in (folder / "pictures").iterdir()} == {"stated.png", "pit.png", "coverage.png"}


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["evaluate"], "must have RUN and DATASET, or --predictions"),
        (["evaluate", "run", "--predictions", "PATH"], "leave out RUN"),
        (["evaluate", "--predictions", "none.csv"], "no such file of predictions"),
    ],
)
def test_wrong_commands_are_answered(tmp_path, capsys, command, message):
    path = str(written(tmp_path, ROW))
    assert cli.main([path if part == "PATH" else part for part in command]) == 1
    assert message in " ".join(capsys.readouterr().err.split())


@pytest.mark.skipif(not PUBLISHED.is_file(), reason=f"no published predictions at {PUBLISHED}; set JAXLOC_DATA")
def test_published_single_station_locations(tmp_path):
    """Mousavi and Beroza (2020), every tenth event: by their own errors 83 and 96 % are inside one and two stated ones.

    Theirs are exact, ours from coordinates rounded to 0.01 degrees: a few per cent fewer.
    """
    with PUBLISHED.open() as file:
        published = list(csv.DictReader(file))[::10]
    rows = [
        {
            "id": row["Event id"],
            "latitude_deg": row["av_pr_lat"],
            "longitude_deg": row["av_pr_lon"],
            "epicentre_sd_km": row["pr_unc"],
            "truth_latitude_deg": row["gt_lat"],
            "truth_longitude_deg": row["gt_lon"],
        }
        for row in published
    ]
    about = score_predictions(written(tmp_path, *rows), tmp_path / "scores")["about"]
    assert about["events"] == len(published) == 1501
    assert 0.78 < about["inside_one_stated"] < 0.85
    assert 0.94 < about["inside_two_stated"] < 0.97
