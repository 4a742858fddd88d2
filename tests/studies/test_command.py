"""Studies that are modules end with one line and an exit code, never with a traceback."""

import subprocess
import sys
from pathlib import Path

import pytest

from jaxloc.studies.command import run_as_command

STUDIES = sorted(
    path.stem
    for path in Path(run_as_command.__code__.co_filename).parent.glob("*.py")
    if '__name__ == "__main__"' in path.read_text()
)


def failing(error: BaseException):
    def main() -> None:
        raise error

    return main


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (ValueError("numbers must be positive, got 0"), 1, "jaxloc: numbers must be positive, got 0\n"),
        (OSError(28, "No space left on device", "a.csv"), 1, "jaxloc: No space left on device (a.csv); check"),
        (KeyboardInterrupt(), 130, "interrupted; what was written before stays\n"),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(capsys, error, code, text):
    with pytest.raises(SystemExit) as ended:
        run_as_command(failing(error))
    assert ended.value.code == code
    assert capsys.readouterr().err.startswith(text)


def test_what_ends_well_returns(capsys):
    run_as_command(lambda: print("a table"))
    assert capsys.readouterr().out == "a table\n"


def test_every_study_with_a_command_line_uses_it():
    folder = Path(run_as_command.__code__.co_filename).parent
    for name in STUDIES:
        assert "    run_as_command(main)" in (folder / f"{name}.py").read_text(), name


@pytest.mark.slow
def test_a_run_that_is_missing_is_named_without_a_traceback(tmp_path):
    command = [sys.executable, "-m", "jaxloc.studies.few_stations", "no_such_run"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert "no_such_run" in ended.stderr
