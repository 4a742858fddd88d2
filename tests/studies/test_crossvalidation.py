"""Cross-validation by blocks: its folds, what they train on, the table, and going on where it was left."""

import csv
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from jaxloc.runs import config as configuration
from jaxloc.runs.datasets import events_left_out, labelled_events, open_sources
from jaxloc.studies import crossvalidation, crossvalidation_table
from jaxloc.studies.crossvalidation import crossvalidate
from jaxloc.studies.folds import facts_of, plan

TINY = [
    *("stages.learn.steps=10", "stages.weights.steps=10", "model.width=2", "data.num_stations=5", "posterior.draws=2"),
    *("data.num_train=24", "data.num_dev=8", "evaluation.random_folds=2", "evaluation.space_folds=2"),
    *("evaluation.time_folds=2", "evaluation.space_km=10", "evaluation.draws=50"),
]


def configured(folder, *overrides):
    return configuration.load("small_kriegerowski2019", [*TINY, f"run_dir={folder}", *overrides])


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    config = configured(tmp_path_factory.mktemp("planned"))
    return plan(config, facts_of(labelled_events(config["data"], 0)))


def test_the_folds_of_every_scheme_that_can_be(planned):
    folds, without = planned
    assert [(each.scheme, each.number) for each in folds] == [
        (scheme, i) for scheme in ("random", "space", "time") for i in range(2)
    ]
    assert "1 block" in without["network"]  # one network of stations recorded all events
    assert len({each.config["run_dir"] for each in folds}) == 6


def test_a_fold_trains_on_its_own_events_alone(planned):
    for each in (planned[0][2], planned[0][5]):  # in space and in time
        data = each.config["data"]
        sources, test = open_sources(data, 0), events_left_out(data, 0)
        parts = [[event.id for event in part.events] for part in (*sources, test)]
        assert parts == [data["fold"][name] for name in ("train", "dev", "test")]
        assert len(set().union(*parts)) == sum(map(len, parts))
        whole = labelled_events(data, 0)
        at = [event.id for event in whole.events].index(parts[2][0])
        np.testing.assert_array_equal(
            test.take(np.arange(1)).labels["hypocentre"].value, whole.take(np.array([at])).labels["hypocentre"].value
        )


@pytest.mark.slow
def test_a_cross_validation_from_one_command_and_again(tmp_path, monkeypatch):
    config, lines = configured(tmp_path, "evaluation.random_folds=0", "evaluation.time_folds=0"), []
    monkeypatch.setattr(crossvalidation.train, "evaluate", lambda *args, **kwargs: None)  # pictures of each fold
    with ThreadPoolExecutor(1) as executor:
        folder = crossvalidate(config, executor, lines.append)
    rows = list(csv.DictReader((folder / "table.csv").open()))
    everything = [row for row in rows if row["distance"] == "all"]
    assert [(row["scheme"], row["locator"]) for row in everything] == [
        ("space", "locator"),
        ("space", "climatology"),
    ]
    assert everything[0]["events"] == "32"
    for row in rows:
        assert 0 < float(row["epicentre_median_km"]) <= float(row["epicentre_p90_km"])
        assert 0 <= float(row["hypocentre_90"]) <= 1
    by_distance = [row for row in rows if row["locator"] == "locator"][1:]
    assert sum(int(row["events"]) for row in by_distance) == 32
    assert (folder / "reliability.png").is_file()
    assert "nearest training event" in (folder / "table.md").read_text()
    # Finished folds are not run again; those of which the record is missing are.
    record = next(folder.glob("space_0_*")) / "fold.json"
    before = json.loads(record.read_text())
    record.unlink()
    monkeypatch.setattr(crossvalidation.train, "run", lambda config, folder, say: Path(folder))
    with ThreadPoolExecutor(1) as executor:
        crossvalidate(config, executor, lines.append)
    assert "2 folds, 1 of them finished before" in lines
    assert json.loads(record.read_text()) == before


def record(scheme, number, levels):
    scores = {"hypocentre/level": levels, "epicentre/error": [1.0] * len(levels)}
    return {"scheme": scheme, "number": number, "nearest_km": [0.5] * len(levels), "scores": {"locator": scores}}


@pytest.mark.parametrize(("scheme", "first"), [("space", 1.0), ("time", np.nan)])
def test_conformal_levels_are_those_of_other_folds(scheme, first):
    folds = [record(scheme, 0, [0.05] * 40), record(scheme, 1, [0.99] * 40)]
    inside = crossvalidation_table.conformal_inside(folds, "locator", scheme)
    # Regions that cover the second fold cover the first; earlier folds alone count in time.
    np.testing.assert_array_equal(inside[:40], np.full((40, 4), first))
    np.testing.assert_array_equal(inside[40:], np.zeros((40, 4)))


def test_experiments_without_training_are_refused(tmp_path):
    config = configuration.load("simulated_picks_grid_search", [f"run_dir={tmp_path}"])
    with ThreadPoolExecutor(1) as executor, pytest.raises(ValueError, match="trains no locator"):
        crossvalidate(config, executor)
