"""A catalogue judged from files, by the command line."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from jaxloc import cli
from jaxloc.io.catalogue import Hypocentre, Pick
from jaxloc.io.catalogue_csv import write_csv, write_picks
from jaxloc.io.catalogue_quakeml import write_quakeml

DATA = Path(os.environ.get("JAXLOC_DATA", Path(__file__).parents[3] / "shared" / "data"))
PAL = DATA / "ridgecrest_PAL"


def events(number=12, north_deg=0.0, later_s=0.0, prefix="a", **more):
    covariance = np.diag([1.0, 1.0, 4.0, 0.04])
    return [
        Hypocentre(
            f"{prefix}{i}", "2024-01-01T00:00:00Z", 40 + north_deg + 0.01 * (i % 3), 15.0, 8.0, 100.0 * i + later_s,
            covariance, magnitude=0.1 * i, picks=(Pick("XX.A", "P", 100.0 * i + 2), Pick("XX.A", "S", 100.0 * i + 4)),
            **more,
        )
        for i in range(number)
    ]  # fmt: skip


def judged(tmp_path, *arguments):
    folder = tmp_path / "scores"
    assert cli.main(["evaluate", *map(str, arguments), "--output", str(folder)]) == 0
    return json.loads((folder / "scores.json").read_text()), folder


def test_a_catalogue_is_judged_by_time_and_place(tmp_path, capsys):
    """Ids take no part: 12 events 0.5 s later and 1 km to the north of those of other names."""
    made = tmp_path / "made"
    made.mkdir()
    own = events(12, 0.009, 0.5, "b", others={"log_odds": 2.0})
    write_csv(made / "events.csv", own)
    write_picks(made / "picks.csv", own)
    write_quakeml(tmp_path / "truth.xml", events())
    scores, folder = judged(tmp_path, "--catalogue", made, "--truth", tmp_path / "truth.xml", "--exact-truth")
    assert scores["events"] == {"catalogue": 12, "truth": 12, "matched": 12}
    assert scores["picks"]["recall"] == 1.0
    assert scores["locations"]["epicentre"]["median error"] == pytest.approx(1.0, rel=0.003)
    assert scores["locations"]["epicentre"]["coverage"]["0.5"]["value"] == 1.0  # 1 km is within 1.18 sd
    assert scores["odds"]["bins"][0]["predicted"] == pytest.approx(1 / (1 + np.exp(-2)))
    assert "| 3 s, 20 km | 1.000" in capsys.readouterr().out
    assert (folder / "scores.md").read_text().count("| --- |") >= 4
    for name in ("recall.png", "magnitudes.png", "odds.png"):
        assert (folder / name).stat().st_size > 5_000


def test_odds_of_quakeml_are_read_from_its_comments(tmp_path):
    write_quakeml(tmp_path / "made.xml", events(others={"log_odds": -1.5, "stations_with_p": 4.0}))
    write_csv(tmp_path / "truth.csv", events(6))
    given = ("--catalogue", tmp_path / "made.xml", "--truth", tmp_path / "truth.csv", "--exact-truth")
    (row,) = judged(tmp_path, *given)[0]["odds"]["bins"]
    assert row["predicted"] == pytest.approx(1 / (1 + np.exp(1.5)))
    assert (row["value"], row["events"]) == (0.5, 12)


def test_no_coverage_by_a_truth_that_is_not_exact(tmp_path):
    write_csv(tmp_path / "a.csv", events())
    write_csv(tmp_path / "b.csv", events(prefix="b"))
    scores, folder = judged(tmp_path, "--catalogue", tmp_path / "a.csv", "--truth", tmp_path / "b.csv")
    assert "locations" not in scores
    assert not (folder / "odds.png").exists()


def test_locatable_events_make_a_truth_exact(tmp_path):
    """A truth that says which of its events can be located has them counted apart."""
    write_csv(tmp_path / "a.csv", events(6))
    truth = [event._replace(others={"locatable": float(i < 6)}) for i, event in enumerate(events())]
    write_csv(tmp_path / "truth.csv", truth)
    scores, _ = judged(tmp_path, "--catalogue", tmp_path / "a.csv", "--truth", tmp_path)
    assert scores["recall of expected events"]["value"] == 1.0
    assert scores["gates"]["1 s, 5 km"]["recall"]["value"] == 0.5
    assert "locations" in scores


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--catalogue", "a.csv"), "--catalogue needs --truth"),
        (("--catalogue", "a.csv", "--truth", "a.csv", "--split", "dev"), "leave out split"),
        (("--exact-truth", "run", "data"), "--exact-truth has effect with --catalogue only"),
        (("--catalogue", "none.csv", "--truth", "a.csv"), "none.csv"),
        (("--catalogue", "empty", "--truth", "a.csv"), "has none of events.csv, events.xml, truth.csv"),
    ],
)
def test_wrong_arguments(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    write_csv("a.csv", events(3))
    assert cli.main(["evaluate", *arguments]) == 1
    assert message in " ".join(capsys.readouterr().err.split())


@pytest.mark.skipif(not PAL.is_dir(), reason=f"needs {PAL}")
def test_catalogues_of_palm_against_one_another(tmp_path):
    """The same events before and after relocation: all that both have, with the magnitudes that they share."""
    scores, _ = judged(tmp_path, "--catalogue", PAL / "eg_pal_ct.ctlg", "--truth", PAL / "eg_pal_hyp.ctlg")
    assert scores["gates"]["3 s, 20 km"]["precision"]["value"] > 0.99
    assert scores["magnitude, catalogue minus truth"]["bias"] == 0.0
    assert scores["gates"]["1 s, 5 km"]["recall by chance"] < 0.05
