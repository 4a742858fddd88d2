"""The command line: help that answers at once, what is listed, what it says when it is interrupted."""

import subprocess
import sys
import time

import pytest

from jaxloc import cli
from jaxloc.arguments import KINDS
from jaxloc.runs import listing

COMMANDS = ("run", "pick", "locate", "evaluate", "calibrate", "study", "compare", "list")


def run_program(*arguments):
    return subprocess.run([sys.executable, "-m", "jaxloc.cli", *arguments], capture_output=True, text=True)


def test_help_answers_within_a_third_of_a_second():
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        assert run_program("--help").returncode == 0
        seconds.append(time.perf_counter() - began)
    assert min(seconds) < 0.3


def test_help_imports_nothing_heavy():
    code = "import sys; from jaxloc import arguments; arguments.parser().format_help(); print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"jax", "numpy", "rich", "hydra", "obspy"} & set(found)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_examples(command, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    if command != "list":
        assert f"jaxloc {command}" in text.split("examples:")[1]
    if command == "locate":
        assert all(column in text for column in ("start", "origin_time", "latitude_deg", "depth_km", "vs_km_s"))


@pytest.mark.parametrize("kind", KINDS)
def test_all_that_is_listed_has_a_description_of_one_line(kind, capsys):
    found = listing.described([kind]).get(kind, {})
    assert all(len(text) >= 10 and "\n" not in text for text in found.values())
    assert cli.main(["list", kind]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in found)


def test_the_list_has_what_there_is():
    found = listing.described()
    assert {"quickstart", "small_kriegerowski2019"} <= set(found["experiments"])
    assert {"mean_field", "point", "nuts"} <= set(found["posteriors"])
    assert {"grid_search", "sp_rule"} <= set(found["locators"])
    assert {"networks", "shifts", "uncertainty"} == set(found["studies"])


@pytest.mark.parametrize(
    ("command", "says"),
    [(["run", "quickstart"], "continues from the last checkpoint"), (["locate", "a", "b"], "no results were written")],
)
def test_an_interrupted_command_promises_only_what_it_keeps(command, says, monkeypatch, capsys):
    def stop(parsed, console):
        raise KeyboardInterrupt

    monkeypatch.setitem(cli._COMMANDS, command[0], stop)
    assert cli.main(command) == cli.INTERRUPTED
    assert says in capsys.readouterr().err


def test_convert_says_what_is_lost_and_lists_formats(tmp_path, capsys):
    rows = [f"e,XX.{s},P,2020-05-01T12:00:0{i}Z,0.1" for i, s in enumerate("ABC")]
    rows.append("e,XX.A,pP,2020-05-01T12:00:09Z,0.1")
    (tmp_path / "picks.csv").write_text("\n".join(["event_id,station,phase,time,sigma_s", *rows]))
    command = ["convert", str(tmp_path / "picks.csv"), str(tmp_path / "gamma.csv")]
    assert cli.main([*command, "--to", "gamma_picks"]) == 0
    printed = capsys.readouterr().out
    assert "3 picks, 1 events with picks" in printed
    assert "lost: 3 of 3 uncertainties of picks" in printed
    assert "note: 1 pick not read: phase pP is neither P nor S" in printed
    assert (tmp_path / "gamma.csv").read_text().startswith("event_index,id,timestamp,type,prob,amp\ne,XX.A,")
    assert cli.main(["convert", "--list"]) == 0
    assert "pal_phases" in capsys.readouterr().out
    assert cli.main(["convert", str(tmp_path / "picks.csv")]) == 1
    assert "INPUT and OUTPUT" in capsys.readouterr().err


def test_lint_exits_with_one_where_something_is_wrong(tmp_path, capsys):
    (tmp_path / "cut.hyp").write_text('NLLOC "loc/one" "LOCATED" "Location completed."\nGRID')
    assert cli.main(["lint", str(tmp_path / "cut.hyp")]) == 1
    assert "cut off: event one: the event has no END_NLLOC" in capsys.readouterr().out


def test_sliding_over_given_windows_is_refused(capsys):
    command = ["locate", "run", "data", "--stations", "s.csv", "--windows", "w.csv", "--slide", "0.8"]
    assert cli.main(command) == 1
    assert "--slide 0.8 must be used without --windows" in capsys.readouterr().err
