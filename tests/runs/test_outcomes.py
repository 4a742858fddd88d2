"""What a command that locates writes, logs and says when it ends early."""

import csv
import signal
import time

import numpy as np
import pytest

from jaxloc import cli
from jaxloc.atomic_write import uninterrupted
from jaxloc.runs import locate_picks
from jaxloc.runs.outcomes import logged
from jaxloc.runs.predict import until_interrupted
from jaxloc.training.log import counted_in_time

EVENTS = 40  # more than are located at a time


@pytest.fixture(autouse=True)
def _interruptible():
    """Processes that a shell starts in the background ignore interruptions from the keyboard; these tests must not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def picks(tmp_path):
    """Picks of some events, and a catalogue for the climatology: the locator that needs no time."""
    stations = ["station,latitude,longitude,elevation_m", "XX.A,36,-117,0", "XX.B,36.2,-117,0", "XX.C,36,-117.3,0"]
    (tmp_path / "stations.csv").write_text("\n".join(stations))
    (tmp_path / "earlier.csv").write_text("id,latitude_deg,longitude_deg,depth_km\na,36.0,-117.5,8\nb,36.1,-117.4,12\n")
    rows = [f"e{i:02d},XX.{s},P,2020-05-01T{i % 24:02d}:{i:02d}:05Z,0.1" for i in range(EVENTS) for s in "ABC"]
    (tmp_path / "picks.csv").write_text("\n".join(["event_id,station,phase,time,sigma_s", *rows]))
    return tmp_path


def locate(folder, *options):
    arguments = ["locate", str(folder / "picks.csv"), "--locator", "climatology", *options]
    arguments += ["--stations", str(folder / "stations.csv"), "--catalogue", str(folder / "earlier.csv")]
    return cli.main([*arguments, "--output", str(folder / "out")])


def stopping(monkeypatch, after):
    """Ctrl-C after some parts of the events."""
    whole = locate_picks.located_parts

    def parts(*arguments):
        for number, part in enumerate(whole(*arguments)):
            if number == after:
                signal.raise_signal(signal.SIGINT)
            yield part

    monkeypatch.setattr(locate_picks, "located_parts", parts)


def test_locate_writes_a_log(picks):
    assert locate(picks) == 0
    lines = (picks / "out" / "log.txt").read_text().splitlines()
    assert f"locating {EVENTS} events at 3 stations" in lines[0]
    assert f"{EVENTS} of {EVENTS} events located" in lines[-1]
    assert all(time.strptime(line[:19], "%Y-%m-%d %H:%M:%S") for line in lines)


def test_events_located_before_an_interruption_are_kept(picks, monkeypatch, capsys):
    stopping(monkeypatch, after=1)
    assert locate(picks) == cli.INTERRUPTED
    with (picks / "out" / "events.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == [f"e{i:02d}" for i in range(EVENTS // 2)]
    said = f"{EVENTS // 2} of {EVENTS} events were searched, and their results are in {picks}/out/events.csv"
    assert f"interrupted; {said}" in capsys.readouterr().err
    assert said in (picks / "out" / "log.txt").read_text()
    assert {path.name for path in (picks / "out").iterdir()} == {"events.csv", "events.xml", "log.txt", "picks.csv"}


def test_an_interruption_before_the_first_location_leaves_no_results(picks, monkeypatch, capsys):
    stopping(monkeypatch, after=0)
    assert locate(picks) == cli.INTERRUPTED
    assert "interrupted; no results were written; give the same command again" in capsys.readouterr().err
    assert [path.name for path in (picks / "out").iterdir()] == ["log.txt"]
    assert "stopped: interrupted; no results were written" in (picks / "out" / "log.txt").read_text()


def test_an_error_is_logged(tmp_path):
    with pytest.raises(ValueError, match="nothing located"), logged(tmp_path / "out", print):
        raise ValueError("nothing located: no station has a record")
    assert "stopped: nothing located: no station" in (tmp_path / "out" / "log.txt").read_text()


def test_files_that_belong_together_are_all_written(tmp_path):
    def write():
        with uninterrupted():
            (tmp_path / "a").write_text("")
            signal.raise_signal(signal.SIGINT)
            (tmp_path / "b").write_text("")

    with pytest.raises(KeyboardInterrupt):
        write()
    assert len(list(tmp_path.iterdir())) == 2
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_parts_before_an_interruption_are_joined():
    def parts():
        yield {"x": np.arange(2)}
        yield {"x": np.arange(3)}
        raise KeyboardInterrupt

    found, interrupted = until_interrupted(parts())
    assert interrupted
    np.testing.assert_array_equal(found["x"], [0, 1, 0, 1, 2])
    found, interrupted = until_interrupted(iter([{"x": np.arange(2)}]))
    assert not interrupted


def test_a_line_comes_in_time_though_nothing_is_done():
    lines = []
    with counted_in_time(lines.append, "located", 9, interval_s=0.01) as count:
        count(3)
        deadline = time.monotonic() + 20
        while len(lines) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert lines[:3] == ["located 3 of 9"] * 3
    after = len(lines)
    time.sleep(0.05)
    assert len(lines) == after
