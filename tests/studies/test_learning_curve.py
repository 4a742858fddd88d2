"""Learning curves of adapted models: their jobs, what each trains on, and the table of finished ones."""

import json

import numpy as np
import pytest

from jaxloc.data.dataset import Dataset, Event, Station
from jaxloc.geometry import Frame
from jaxloc.studies import learning_curve as curve
from jaxloc.types import Batch, Label, Observations

TRAIN, TEST = 30, 12


def dataset(number, first):
    """Events a day apart, in ten groups 20 km from each other."""
    group = np.arange(first, first + number) % 10
    place = np.stack([20.0 * group, np.zeros(number), np.full(number, 5.0), np.zeros(number)], -1).astype(np.float32)

    def take(index):
        size = len(index)
        seen = Observations(
            None,
            np.zeros((size, 1, 3), np.float32),
            np.ones((size, 1), bool),
            np.zeros((size, 1), np.int32),
            np.full(size, 50.0, np.float32),
        )
        return Batch(seen, {"hypocentre": Label(place[index], np.ones((size, 4), bool))})

    day = np.datetime64("2020-01-01T00:00:00") + np.arange(first, first + number) * np.timedelta64(1, "D")
    events = tuple(Event(f"e{first + i:02}", "train", None, str(day[i])) for i in range(number))
    return Dataset("days", Frame(35.0, -97.0), (Station("XX.A", 35.0, -97.0, 0.0),), events, 50.0, 100, take)


@pytest.fixture(scope="module")
def jobs():
    return curve.jobs_of(dataset(TRAIN, 0), dataset(TEST, TRAIN), [10, 30], 2)


def test_every_part_is_a_job_of_its_own(jobs):
    names = [f"curve_{size}" for size in (10, 30)] + [f"{scheme}_{i}" for scheme in curve.BLOCKS for i in range(2)]
    assert [job.name for job in jobs] == [f"{name}_{variant}" for name in names for variant in curve.VARIANTS]


def test_no_job_trains_on_events_that_it_is_scored_on(jobs):
    place = {f"e{i:02}": i % 10 for i in range(TRAIN + TEST)}
    for job in jobs:
        assert set(job.train).isdisjoint(job.test)
        if job.scheme == "curve":  # the latest of the training split
            assert list(job.train) == [f"e{i:02}" for i in range(TRAIN - job.number, TRAIN)]
            assert list(job.test) == [f"e{i:02}" for i in range(TRAIN, TRAIN + TEST)]
        if job.scheme == "time":
            assert max(job.train) < min(job.test)
        if job.scheme == "space":
            assert {place[name] for name in job.train}.isdisjoint(place[name] for name in job.test)
    in_space = [job for job in jobs if job.scheme == "space" and job.variant == "physics"]
    assert sorted(name for job in in_space for name in job.test) == sorted(place)


def test_sizes_beyond_the_events_that_there_are_are_refused():
    with pytest.raises(ValueError, match=r"sizes must be within 1-30, .* got 31"):
        curve.jobs_of(dataset(TRAIN, 0), dataset(TEST, TRAIN), [31], 0)


def write_record(job, folder, error_km):
    """A record whose epicentres all err by `error_km`, each on the edge of its 90 % region or far within it."""
    number = len(job.test)
    one = {"known": [1.0] * number, "level": [0.5] * number, "stated": [1.0] * number}
    scores = {f"epicentre/{name}": x for name, x in (one | {"error": [error_km] * number}).items()}
    (folder / job.name).mkdir()
    record = {**job._asdict(), "nearest_km": [None] * number, "scores": {curve.OWN: scores}}
    (folder / job.name / curve.RECORD).write_text(json.dumps(record))


def test_the_table_has_the_finished_jobs_and_joins_folds(jobs, tmp_path):
    for job in jobs:
        if job.name != "curve_10_weights":
            write_record(job, tmp_path, 1.0 if job.variant == "physics" else 0.5)
    rows = curve.gather(tmp_path, jobs)
    told = {(row["scheme"], row["size"], row["method"]): row for row in rows}
    assert len(told) == 3 + 2 * len(curve.BLOCKS)
    assert told["curve", 30, "physics"]["epicentre_median_km"] == 1.0
    assert told["space", None, "weights"]["epicentre_mean_km"] == 0.5
    assert told["space", None, "weights"]["events"] == TRAIN + TEST
    assert told["time", None, "physics"]["folds"] == 2
    assert told["curve", 10, "physics"]["epicentre_90"] == 1.0
    assert (tmp_path / "learning.png").stat().st_size > 1000
    assert (tmp_path / "table.md").read_text().count("\n") == 2 + len(rows)


def test_a_record_of_other_events_does_not_count(jobs, tmp_path):
    write_record(jobs[0], tmp_path, 1.0)
    assert curve.finished(jobs[0], tmp_path) is not None
    assert curve.finished(jobs[0]._replace(test=jobs[0].test[:-1]), tmp_path) is None
