"""Many events in batches: results are those of one process, whatever stopped it, and are read back as they were."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from jaxloc.data.dataset import Dataset, Event
from jaxloc.geometry import Frame
from jaxloc.io.catalogue import Hypocentre, Pick, Truth
from jaxloc.runs import batches
from jaxloc.runs.batches import Opened, Request, located_in_batches

EVENTS, SIZE = 23, 5
REQUEST = Request(Path("anywhere"), (Path("events"),))


def located(number):
    """An event with all that a file may have of one."""
    return Hypocentre(
        f"e{number}",
        f"2020-01-01T00:{number:02}:00",
        35.0 + 0.1 * number,
        -97.0,
        5.0 + number,
        float(np.float32(1.25)),
        np.diag([0.1, 0.2, np.nan, 0.01]) + number,
        truth=Truth(35.0, -97.0, 5.0, None),
        drawn_at=(0.91, 0.93),
        others={"is_event_probability": 0.9},
        flag="an edge",
        picks=(Pick("XX.A", "P", 2.0, None, 0.5),),
    )


def ready(overlapping=False):
    events = tuple(Event(f"e{i}", "") for i in range(EVENTS))
    dataset = Dataset("many", Frame(35.0, -97.0), (), events, 50.0, 100, lambda index: None)
    return Opened({}, None, dataset, None, {"overlapping": overlapping, "widen": True, "every": False})


@pytest.fixture
def asked(monkeypatch):
    """Every seventh event is lost; the list has the ids of the events of each call."""
    calls = []

    def locate_new(fitted, dataset, config, calibration, **choices):
        numbers = [int(event.id[1:]) for event in dataset.events]
        calls.append(numbers)
        found = [located(i) for i in numbers if i % 7]
        lost = {f"e{i}": "no arrival" for i in numbers if not i % 7}
        return SimpleNamespace(found=found, lost=lost, again={}, located=None, interrupted=False, dataset=None)

    monkeypatch.setattr(batches.new_events, "locate_new", locate_new)
    monkeypatch.setattr(batches.arrival_picks, "picks_of_run", lambda dataset, found, ids: {ids[0]: found_picks()})
    return calls


def found_picks():
    return (Pick("XX.A", "P", 2.0, None, 0.5), Pick("XX.B", "S", 3.5, 0.1, 0.9))


def as_text(part):
    return json.dumps(part, default=np.ndarray.tolist)


def test_events_come_back_in_order_with_all_that_files_have(tmp_path, asked):
    done = []
    part = located_in_batches(REQUEST, ready(), tmp_path, None, print, done.append, SIZE)
    assert [len(numbers) for numbers in asked] == [5, 5, 5, 5, 3]
    assert done == [5, 10, 15, 20, 23]
    assert part.lost == {f"e{i}": "no arrival" for i in (0, 7, 14, 21)}
    expected = [located(i) for i in range(EVENTS) if i % 7]
    assert [event.id for event in part.found] == [event.id for event in expected]
    first, own = part.found[0], expected[0]._replace(picks=found_picks())
    np.testing.assert_array_equal(first.covariance, own.covariance)
    assert first._replace(covariance=None) == own._replace(covariance=None)
    assert part.found[1].picks == ()


def test_a_run_that_was_stopped_continues_to_the_same_result(tmp_path, asked, monkeypatch):
    whole = located_in_batches(REQUEST, ready(), tmp_path / "whole", None, print, size=SIZE)
    locate_new, lines = batches.new_events.locate_new, []

    def stopped(*arguments, **choices):
        outcome = locate_new(*arguments, **choices)
        outcome.interrupted = "e12" in [event.id for event in arguments[1].events]
        return outcome

    with monkeypatch.context() as patched:
        patched.setattr(batches.new_events, "locate_new", stopped)
        with pytest.raises(KeyboardInterrupt, match="continues with the batches"):
            located_in_batches(REQUEST, ready(), tmp_path / "cut", None, print, size=SIZE)
    asked.clear()
    again = located_in_batches(REQUEST, ready(), tmp_path / "cut", None, lines.append, size=SIZE)
    assert lines == ["2 of 5 batches were located before and are kept"]
    assert [numbers[0] for numbers in asked] == [10, 15, 20]
    assert as_text(again) == as_text(whole)


@pytest.mark.parametrize("other", [REQUEST._replace(depth_km=(0.0, 10.0)), REQUEST._replace(velocity=Path("v.csv"))])
def test_batches_of_another_request_do_not_count(tmp_path, asked, other):
    located_in_batches(REQUEST, ready(), tmp_path, None, print, size=SIZE)
    asked.clear()
    located_in_batches(other, ready(), tmp_path, None, print, size=SIZE)
    assert sum(map(len, asked)) == EVENTS


def test_an_event_in_windows_of_two_batches_is_kept_once(tmp_path, asked, monkeypatch):
    """Windows 4 and 5 are in different batches and have the same event."""
    alike = lambda i: located(i)._replace(**located(4)._replace(id=f"e{i}", covariance=np.eye(4))._asdict())
    monkeypatch.setattr(
        batches.new_events,
        "locate_new",
        lambda fitted, dataset, *rest, **choices: SimpleNamespace(
            found=[alike(i) for i in (int(e.id[1:]) for e in dataset.events) if i in (4, 5)],
            lost={}, again={}, located=None, interrupted=False, dataset=None,
        ),
    )  # fmt: skip
    monkeypatch.setattr(batches.arrival_picks, "picks_of_run", lambda dataset, found, ids: {})
    part = located_in_batches(REQUEST, ready(overlapping=True), tmp_path, None, print, size=SIZE)
    assert [event.id for event in part.found] == ["e4"]
    assert part.again == {"e5": "e4"}


def test_a_batch_that_fails_is_named(tmp_path, asked):
    failing = SimpleNamespace(submit=None)

    def run_jobs(executor, function, jobs, *arguments):
        assert executor is failing
        yield jobs[1], ValueError("no such file")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(batches, "run_jobs", run_jobs)
        with pytest.raises(ValueError, match=r"batch 1 \(events 5 to 9\): no such file"):
            located_in_batches(REQUEST, ready(), tmp_path, failing, print, size=SIZE)


def test_a_batch_without_events_is_refused(tmp_path, asked):
    with pytest.raises(ValueError, match="at least 1 event, got 0"):
        located_in_batches(REQUEST, ready(), tmp_path, None, print, size=0)
