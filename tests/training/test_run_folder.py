"""A run's folder: one process at a time, a finished run stays, files of other versions and full disks are named."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from jaxloc import __version__
from jaxloc.atomic_write import write_whole
from jaxloc.training import checkpoints, log, run_folder
from jaxloc.training.progress import Progress

CONFIG = {"name": "x", "seed": 0, "data": {}, "model": {"name": "m"}, "posterior": {}, "stages": {"a": 1, "b": 2}}
quietly = lambda line: None


def test_another_process_is_refused_by_name_and_one_that_was_killed_locks_nothing(tmp_path):
    code = (
        "import sys, pathlib, time\n"
        "from jaxloc.training.run_folder import locked\n"
        "with locked(pathlib.Path(sys.argv[1]), 'run_dir'):\n"
        "    print('locked', flush=True)\n"
        "    time.sleep(60)\n"
    )
    other = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert other.stdout.readline() == "locked\n"
    refused = pytest.raises(ValueError, match=rf"in use by process {other.pid} on .*; wait .* run_dir=")
    with refused, run_folder.claimed(tmp_path, CONFIG):
        pass
    assert not (tmp_path / "config.json").exists()
    other.kill()
    other.wait()
    with run_folder.claimed(tmp_path, CONFIG):
        assert str(os.getpid()) in (tmp_path / run_folder.LOCK).read_text()


def test_a_folder_is_free_again_after_a_run_that_failed(tmp_path):
    with pytest.raises(KeyboardInterrupt), run_folder.claimed(tmp_path, CONFIG):
        raise KeyboardInterrupt
    with run_folder.claimed(tmp_path, CONFIG):
        pass


@pytest.mark.parametrize(
    ("change", "named"),
    [({"seed": 1}, r"\(other: seed\)"), ({"stages": {"b": 2, "a": 1}}, "order of keys"), ({"more": 1}, "other: more")],
)
def test_a_folder_of_another_configuration_names_what_differs(change, named, tmp_path):
    with run_folder.claimed(tmp_path, CONFIG):
        pass
    with pytest.raises(ValueError, match=named), run_folder.claimed(tmp_path, CONFIG | change):
        pass


def test_a_finished_run_is_not_done_again(tmp_path):
    done, lines = [], []

    def work(say, on_step):
        say("working")
        on_step("a", 1, 2, 0.5)
        (tmp_path / "scores.json").write_text("{}")
        done.append(1)

    for _ in range(2):
        run_folder.worked_in(tmp_path, CONFIG, lines.append, None, work)
    assert len(done) == 1
    assert lines[0] == "working"
    assert "is finished since 20" in lines[1]
    assert "run_dir=" in lines[1]
    assert (tmp_path / "log.txt").read_text().rstrip().endswith(" working")
    (tmp_path / "scores.json").unlink()
    run_folder.worked_in(tmp_path, CONFIG, lines.append, None, work)
    assert len(done) == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"name": "x"', "config.json is damaged"),
        ("[]", "config.json is damaged"),
        ('{"name": "x", "network": {}}', "written by an earlier version of jaxloc, and this is jaxloc"),
        ('{"jaxloc_version": "0.0.7", "name": "x", "seed": 0}', r"by jaxloc 0\.0\.7.* it has no data, model"),
        (None, "is no trained run: it must have config.json"),
    ],
)
def test_a_configuration_that_cannot_be_read_is_named(text, says, tmp_path):
    if text is not None:
        (tmp_path / "config.json").write_text(text)
    with pytest.raises(ValueError, match=says) as raised:
        run_folder.read_config(tmp_path)
    assert str(tmp_path) in str(raised.value)


def test_a_configuration_contains_its_version(tmp_path):
    with run_folder.claimed(tmp_path, CONFIG):
        pass
    assert json.loads((tmp_path / "config.json").read_text()) == {"jaxloc_version": __version__, **CONFIG}
    assert run_folder.read_config(tmp_path)["stages"] == CONFIG["stages"]


def state(size):
    return {"w": np.arange(size, dtype=np.float32)}


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(tmp_path, monkeypatch):
    kept = checkpoints.manager(tmp_path)
    checkpoints.save(kept, Progress(1, state(4), state(4), 0.0))

    def full():
        raise ValueError("Failed to write 371243 bytes: No space left on device [os_error_code='28']")

    monkeypatch.setattr(kept, "wait_until_finished", full)
    (tmp_path / "2.orbax-checkpoint-tmp-7").mkdir()
    with pytest.raises(OSError, match="No space left on device") as raised:
        checkpoints.save(kept, Progress(2, state(4), state(4), 0.0))
    assert (raised.value.errno, raised.value.filename) == (errno.ENOSPC, str(tmp_path))
    assert not list(tmp_path.glob("*orbax-checkpoint-tmp*"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_names_the_file(tmp_path):
    with pytest.raises(OSError, match="/dev/full") as raised:
        log.append_line(Path("/dev/full"), "line")
    assert raised.value.errno == errno.ENOSPC


def test_a_file_that_cannot_be_written_is_named_and_leaves_nothing(tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "scores.json").write_text("before")
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match=r"scores\.json"):
        write_whole(tmp_path / "scores.json", b"after")
    assert [path.name for path in tmp_path.iterdir()] == ["scores.json"]
    assert (tmp_path / "scores.json").read_text() == "before"


def test_a_line_follows_one_that_was_cut_short(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text('{"step": 1}\n{"ste')
    log.append_line(path, '{"step": 2}')
    assert [record["step"] for record in log.read_records(path)] == [1, 2]


def test_long_work_is_logged_now_and_then(tmp_path, monkeypatch):
    now, lines = [0.0], []
    monkeypatch.setattr(log.time, "monotonic", lambda: now[0])
    on_step, on_number = log.steps_written(tmp_path / "log.txt", None), log.counted(lines.append, "located", 900)
    for second in range(0, 100, 10):
        now[0] = second
        on_step("learn", second, 90, 1.5)
        on_number(second)
    assert lines == ["located 30 of 900", "located 60 of 900", "located 90 of 900"]
    logged = (tmp_path / "log.txt").read_text().splitlines()
    assert [line.split(" ", 2)[2] for line in logged] == [
        f"stage learn: step {n} of 90, loss 1.500" for n in (30, 60, 90)
    ]
