"""Score cards side by side: every data set with its own climatology, and what is not comparable is named."""

import json

import pytest

import jaxloc
from jaxloc import cli
from jaxloc.runs.compare import side_by_side


def card(value: float, number: int = 40) -> dict:
    estimate = {"value": value, "low": 0.9 * value, "high": 1.1 * value}
    region = {"number": number, "unknown": 0, "failed": 0, "error": {"mean": estimate}, "coverage": {"90": estimate}}
    return {"number": number, "epicentre": region}


def scored(folder, name, value, dataset="a", events=40, climatology=20.0):
    folder.mkdir(parents=True)
    scores = {"about": {"name": name, "dataset": dataset, "events": events}, "locator": card(value)}
    if climatology is not None:
        scores["catalogue"] = card(climatology)
    (folder / "scores.json").write_text(json.dumps(scores))
    return folder


def test_one_climatology_of_one_data_set(tmp_path):
    runs = [scored(tmp_path / name, name, i + 1.0) for i, name in enumerate("xy")]
    cards, warnings = side_by_side(runs)
    assert {name: each["epicentre"]["error"]["mean"]["value"] for name, each in cards.items()} == {
        "x": 1.0, "y": 2.0, "climatology": 20.0,
    }  # fmt: skip
    assert warnings == []


@pytest.mark.parametrize(
    ("second", "names"),
    [
        ({"dataset": "b", "climatology": 90.0}, ["x", "y", "climatology of x", "climatology of y"]),
        ({"events": 12, "climatology": 21.0}, ["x", "y", "climatology of x", "climatology of y"]),
        ({"dataset": "b", "climatology": None}, ["x", "y", "climatology of x"]),
        ({"name": "x", "dataset": "b"}, ["{0}", "{1}", "climatology"]),
    ],
)
def test_each_data_set_has_its_own_climatology_and_is_named(tmp_path, second, names):
    runs = [scored(tmp_path / "1", "x", 1.0), scored(tmp_path / "2", **({"name": "y", "value": 2.0} | second))]
    cards, (warning,) = side_by_side(runs)
    assert list(cards) == [name.format(*runs) for name in names]
    assert "different data sets" in warning
    assert "40 events of a" in warning


def test_no_climatology_and_one_run_twice(tmp_path):
    """A folder of `evaluate --predictions` has no training catalogue."""
    run = scored(tmp_path / "1", "x", 1.0, climatology=None)
    assert list(side_by_side([run, run])[0]) == ["x"]


def test_the_warning_is_on_screen(tmp_path, capsys):
    runs = [scored(tmp_path / "1", "x", 1.0), scored(tmp_path / "2", "y", 2.0, dataset="b", climatology=90.0)]
    picture = tmp_path / "cards.png"
    assert cli.main(["compare", *map(str, runs), "--output", str(picture)]) == 0
    shown = capsys.readouterr().out
    assert "warning: scores are of different data sets" in shown
    assert "90.0" in shown
    assert picture.stat().st_size > 10_000


def test_the_python_interface_gives_the_same_cards_and_warns(tmp_path):
    runs = [scored(tmp_path / "1", "x", 1.0), scored(tmp_path / "2", "y", 2.0, dataset="b", climatology=90.0)]
    with pytest.warns(UserWarning, match="different data sets"):
        cards = jaxloc.compare(*runs)
    assert cards == side_by_side(runs)[0]
