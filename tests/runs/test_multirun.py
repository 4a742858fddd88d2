"""Hydra's multirun from the command line: a run for each combination, in a folder of its own."""

import json
import re
import subprocess
import sys

import pytest

from jaxloc import cli
from jaxloc.runs import multirun


def noted(folder, config):
    folder.mkdir(parents=True)
    (folder / "noted.json").write_text(json.dumps({key: config[key] for key in ("seed", "run_dir", "name")}))


def test_each_combination_is_a_run_of_its_own(tmp_path):
    def run(config, folder):
        if config["seed"] == 1:
            raise ValueError("this seed fails")
        noted(folder, config)

    swept = ["seed=0,1,2", "posterior=point,swag", "stages.arrivals.steps=3", f"run_dir={tmp_path}/many"]
    folders = multirun.run_all("quickstart", swept, run)
    names = [f"seed-{seed}_posterior-{posterior}" for seed in (0, 1, 2) for posterior in ("point", "swag")]
    assert [folder.name for folder in folders] == names
    there = {path.parent.name: json.loads(path.read_text()) for path in (tmp_path / "many").glob("*/noted.json")}
    assert set(there) == {name for name in names if "seed-1" not in name}
    assert there["seed-2_posterior-swag"]["seed"] == 2
    assert there["seed-2_posterior-swag"]["run_dir"] == str(tmp_path / "many" / "seed-2_posterior-swag")


def test_runs_are_beside_each_other_by_default(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (folder,) = multirun.run_all("quickstart", ["seed=choice(5)"], lambda config, at: noted(at, config))
    assert str(folder) == "runs/quickstart_multirun/seed-5"
    assert (tmp_path / folder / "noted.json").is_file()


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("seed=0,-1", "seed=-1 is refused"),
        ("posterior=point,magic", "Could not find 'posterior/magic'"),
        ("stages.arrivals.stepz=1,2", "stepz"),
        ("seed=[0,", "key=value,value"),
    ],
)
def test_wrong_values_are_refused_before_any_run(override, says, tmp_path):
    with pytest.raises(ValueError, match=re.escape(says)):
        multirun.run_all(
            "quickstart", [override, f"run_dir={tmp_path}/many"], lambda config, folder: noted(folder, config)
        )
    assert not (tmp_path / "many").exists()


def test_an_experiment_that_does_not_exist_is_named(capsys):
    assert cli.main(["run", "-m", "quickstrat", "seed=0,1"]) == 1
    assert "no such experiment: 'quickstrat'" in capsys.readouterr().err


@pytest.mark.slow
def test_runs_in_processes_by_submitit(tmp_path):
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="pip install 'jaxloc[cluster]'")
    small = ["data.num_train=12", "data.num_dev=6", "model.width=2", "posterior.draws=2"]
    small += [f"stages.{stage}.{of}" for stage in ("learn", "weights") for of in ("steps=4", "per_call=2", "checks=1")]
    launcher = ["hydra/launcher=submitit_local", "hydra.launcher.timeout_min=10"]
    command = ["run", "-m", "small_kriegerowski2019", "seed=0,1", *small, *launcher, f"run_dir={tmp_path}/many"]
    # In a process of its own: submitit takes over what pytest captures.
    ended = subprocess.run([sys.executable, "-m", "jaxloc.cli", *command], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    for seed in (0, 1):
        assert json.loads((tmp_path / "many" / f"seed-{seed}" / "config.json").read_text())["seed"] == seed
        assert (tmp_path / "many" / f"seed-{seed}" / "scores.json").is_file()
    assert "Score cards" in ended.stdout
    assert "seed-0" in ended.stdout
