"""Studies: their cells, what runs share, the conditions of the evaluation, and the table."""

import csv
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxloc import cli, models
from jaxloc.calibration.calibration import DENSITY_REGIONS
from jaxloc.plots import benchmark
from jaxloc.plots import study as study_plots
from jaxloc.runs import config as configuration
from jaxloc.studies import benchmark_table, evaluate, job, table
from jaxloc.studies.grid import plan, stages_in_common
from jaxloc.studies.run import run_study
from jaxloc.studies.shifts import conditions, fresh_test_events, other_networks

TINY = [
    "workers=1",
    "seeds=[0]",
    "only.networks=[kriegerowski2019]",
    "only.methods=[point,mean_field]",
    "networks.kriegerowski2019.sizes=[12]",
    "networks.kriegerowski2019.overrides=['stages.learn.steps=10','stages.weights.steps=10','model.width=2',"
    "'data.num_dev=6','data.num_stations=5','posterior.draws=2']",
    "evaluation.events=8",
    "evaluation.calibration=10",
    "evaluation.shifted=8",
    "evaluation.drop_stations=[2]",
    "evaluation.noise=[3.0]",
]


def planned(tmp_path, *overrides):
    return plan(configuration.load_study("uncertainty", [*TINY, f"folder={tmp_path}/study", *overrides]))


def test_a_study_is_every_combination(tmp_path):
    cells = [each.cell for each in planned(tmp_path, "networks.kriegerowski2019.seeds=[0,1]")]
    assert len(cells) == len(set(cells)) == 4
    assert {job.method for job in cells} == {"point", "mean_field"}
    assert {job.size for job in cells} == {12}
    folders = {each.config["run_dir"] for each in planned(tmp_path, "networks.kriegerowski2019.seeds=[0,1]")}
    assert len(folders) == 4
    # The same run has the same folder, whatever else the study runs.
    assert {each.config["run_dir"] for each in planned(tmp_path)} < folders


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda point, mean_field: mean_field, ["learn"]),
        (lambda point, mean_field: mean_field | {"seed": 1}, []),
        (lambda point, mean_field: {**point, "posterior": {**point["posterior"], "members": 2}}, []),
    ],
    ids=["other posterior", "other seed", "ensemble"],
)
def test_runs_share_identical_stages(tmp_path, change, expected):
    point, mean_field = (each.config for each in planned(tmp_path))
    assert stages_in_common(point, change(point, mean_field)) == expected


def test_the_study_of_networks_has_every_network():
    planned = plan(configuration.load_study("networks", []))
    # The posterior of picks is known exactly: `studies.exact_posterior` compares the network with it.
    assert {each.config["model"]["name"] for each in planned} == set(models.__all__) - {"picks", "arrival_rates"}


def test_shorter_divides_the_training_steps(tmp_path):
    usual, short = planned(tmp_path)[0], planned(tmp_path, "shorter=4")[0]
    assert {name: stage["steps"] for name, stage in short.config["stages"].items()} == {"learn": 3, "weights": 3}
    assert usual.config["run_dir"] != short.config["run_dir"]
    with pytest.raises(ValueError, match=r"shorter must be .* at least 1, got 0"):
        planned(tmp_path, "shorter=0")


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (
            lambda tmp_path: planned(tmp_path, "only.methods=[magic]"),
            r"only\.methods names 'magic'; the study has point, mean_field",
        ),
        (
            lambda tmp_path: configuration.load_study("everything", []),
            "no such study: 'everything'; use one of networks, shifts, uncertainty",
        ),
    ],
)
def test_unknown_parts_of_a_study_are_named(tmp_path, action, message):
    with pytest.raises(ValueError, match=message):
        action(tmp_path)


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("evaluation.calibration=1.5", r"evaluation\.calibration=1\.5 cannot be used: it must be a whole number"),
        ("evaluation.draws=many", r"evaluation\.draws=many cannot be used: it must be a whole number"),
        ("evaluation.magic=2", "Key 'magic' not in 'Evaluation'"),
        ("magic=1", "Key 'magic' not in 'Study'"),
        ("+networks.arrivals.magic=1", "no such key: networks.arrivals.magic"),
        ("networks.arrivals.methods=[nope]", r"networks\.arrivals\.methods names 'nope'; the study has point"),
    ],
)
def test_settings_that_a_study_does_not_have_are_refused_by_name(override, says):
    with pytest.raises(ValueError, match=says):
        configuration.load_study("uncertainty", [override])


@pytest.mark.parametrize("override", ["evaluation.shifted=3", "size_key=data.num_dev"])
def test_settings_of_a_study_without_effect_are_refused_by_name(override):
    with pytest.raises(ValueError, match=f"{override.partition('=')[0]} has no effect"):
        configuration.load_study("networks", [override])


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("evaluation.events=0", r"evaluation\.events must be a whole number, at least 1, got 0"),
        ("evaluation.draws=-3", r"evaluation\.draws must be .*got -3"),
        ("evaluation.shifted=-1", r"evaluation\.shifted must be a whole number, at least 0, got -1"),
        ("evaluation.drop_stations=[1,0]", r"evaluation\.drop_stations must be .*got 0"),
        ("evaluation.noise=[3.0,-1.0]", r"evaluation\.noise must be positive standard deviations, got -1\.0"),
        ("seeds=[0,1,0]", "seeds and sizes of a study must differ, got .*seed=0.* twice"),
        ("seeds=[]", "a study must have networks, methods and seeds"),
        ("shorter=0", "shorter must be"),
    ],
)
def test_wrong_values_of_a_study_are_refused_before_anything_is_run(tmp_path, override, says):
    study = configuration.load_study("uncertainty", [*TINY, f"folder={tmp_path}/study", override])
    with ThreadPoolExecutor(1) as executor, pytest.raises(ValueError, match=says):
        run_study(study, executor, lambda line: None)
    assert not (tmp_path / "study").exists()


def test_conditions_change_only_what_they_name(tmp_path):
    config = planned(tmp_path)[0].config
    evaluation = {"events": 3, "shifted": 3, "drop_stations": [2], "noise": [3.0], "records": []}
    usual = fresh_test_events(config["data"], 0, evaluation)
    others = other_networks(config["data"], 0, evaluation)
    found = dict([("as trained", usual), *conditions(usual, evaluation), others])
    assert list(found) == ["as trained", "2 silent stations", "noise 3", "other networks"]
    batches = {name: dataset.take(np.arange(3)) for name, dataset in found.items()}
    ordinary, silent, noisy, other = (batches[name] for name in found)
    assert (ordinary.observations.station_mask.sum(1) - silent.observations.station_mask.sum(1) == 2).all()
    active = silent.observations.station_mask
    same = np.where(active[:, :, None, None], ordinary.observations.waveforms, 0)
    np.testing.assert_allclose(silent.observations.waveforms, same)
    np.testing.assert_array_equal(ordinary.labels["hypocentre"].value, noisy.labels["hypocentre"].value)
    early = [np.asarray(b.observations.waveforms)[..., :30].std() for b in (ordinary, noisy)]
    # Noise of three standard deviations is added to one: sqrt(10) times, within the error of 15 traces of 30 samples.
    assert early[1] / early[0] == pytest.approx(np.sqrt(10), rel=0.35)
    assert (other.observations.station_index == -1).all()
    # Each of the three events is at a network of its own.
    assert len({places.tobytes() for places in other.observations.station_km}) == 3
    assert not {s.code for s in found["other networks"].stations} & {s.code for s in found["as trained"].stations}


def rows(energy):
    own = {"network": "a", "method": "b", "size": 10, "condition": "as trained", "posterior": "raw"}
    scores = dict.fromkeys(table.SCORES, 0.5) | dict.fromkeys(table.COSTS, 1.0)
    return [own | scores | {"seed": seed, "energy_km": value} for seed, value in enumerate(energy)]


def test_each_of_many_networks_has_its_own_column(tmp_path):
    names = [f"network {i}" for i in range(study_plots.WIDEST + 2)]
    figure, columns = study_plots._columns("many", names, 2)
    assert list(columns) == names
    assert len({axes for column in columns.values() for axes in column}) == len(figure.axes) == 2 * len(names)
    first, second = columns[names[0]]
    below, _ = columns[names[study_plots.WIDEST]]
    assert below.get_subplotspec().rowspan.start == 2
    assert second.get_subplotspec().colspan == first.get_subplotspec().colspan == below.get_subplotspec().colspan


def test_figures_without_data_are_not_plotted(tmp_path):
    own = [row | {"size": None} for row in rows([1.0, 2.0])]
    pictures = study_plots.write_pictures(tmp_path, table.over_seeds(own), {})
    assert (
        {path.name for path in pictures} == {path.name for path in tmp_path.iterdir()} == {"sharpness.png", "cost.png"}
    )


def test_seeds_are_averaged_with_their_spread():
    (row,) = table.over_seeds(rows([1.0, 2.0, 4.0]))
    assert (row["seeds"], row["energy_km"], row["energy_km_spread"]) == (3, pytest.approx(7 / 3), 1.5)
    text = table.markdown(rows([1.0, 3.0]))
    assert len({line.count("|") for line in text.splitlines()}) == 1
    assert "| a | b | 10 |" in text


@pytest.mark.slow
def test_a_study_runs_is_found_again_and_leaves_a_table(tmp_path, capsys, monkeypatch):
    # In a thread of this process: a new process would compile everything again.
    monkeypatch.setattr("jaxloc.runs.executors.executor_of", lambda workers: ThreadPoolExecutor(workers))
    jax.config.update("jax_disable_most_optimizations", True)
    few = ["only.methods=[mean_field]", "evaluation.noise=[]"]
    arguments = ["study", "uncertainty", f"folder={tmp_path}/study", *TINY, *few]
    try:
        assert cli.main(arguments) == 0
    finally:
        jax.config.update("jax_disable_most_optimizations", False)
    assert "1 runs, 0 of them finished before" in capsys.readouterr().out
    with (tmp_path / "study" / "table.csv").open() as file:
        found = list(csv.DictReader(file))
    assert {row["condition"] for row in found} == {"as trained", "2 silent stations"}
    assert {row["posterior"] for row in found} == {"raw", "calibrated", "climatology"}
    assert all(float(row["energy_km"]) > 0 for row in found)
    assert all(0 <= float(row["auroc_features"]) <= 1 for row in found)
    pictures = {path.name for path in (tmp_path / "study").glob("*.png")}
    names = "coverage_kriegerowski2019 reliability_kriegerowski2019_mean_field sharpness cost learning shifts"
    assert pictures == {f"{name}.png" for name in names.split()}
    assert cli.main(arguments) == 0
    assert "1 runs, 1 of them finished before" in capsys.readouterr().out


def finished_record(cell, evaluation, energy_km):
    """The record of a cell as `evaluate_run` leaves it, with a few scores."""
    number = {"value": energy_km, "low": energy_km - 0.1, "high": energy_km + 0.1}
    card = {"number": 8, "hypocentre": {"number": 8, "energy": {"mean": number}}}
    posterior = {"card": card, "levels": {f"{region}/level": [0.2, 0.6, 0.9] for region in DENSITY_REGIONS}}
    found = {"locating_s": 0.01, "auroc": {}, "raw": posterior, "calibrated": posterior}
    conditions = {"as trained": found}
    return {
        "cell": cell._asdict(),
        "evaluation": evaluation,
        "training_s": 5.0,
        "parameters": 10,
        "conditions": conditions,
    }


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (FloatingPointError("loss is not finite\nat step 3"), "FloatingPointError: loss is not finite at step 3"),
        pytest.param(TypeError("no such argument"), "TypeError: no such argument", marks=pytest.mark.slow),
        pytest.param(MemoryError(), "MemoryError", marks=pytest.mark.slow),
    ],
)
def test_a_failed_cell_is_named_with_its_reason_and_run_again_by_the_next(tmp_path, monkeypatch, error, reason):
    study = configuration.load_study("uncertainty", [*TINY, f"folder={tmp_path}/study", "only.methods=[point]"])
    study = study | {"seeds": [0, 1]}
    fails = {1}

    def run_cell(planned, others, evaluation):
        if planned.cell.seed in fails:
            raise error
        record = finished_record(planned.cell, evaluation, 1.0 + planned.cell.seed)
        folder = Path(planned.config["run_dir"])
        folder.mkdir(parents=True)
        (folder / job.FILE).write_text(json.dumps(record))
        return record

    monkeypatch.setattr(job, "run_cell", run_cell)
    monkeypatch.setattr("jaxloc.studies.run.write_pictures", lambda *args: [])
    lines = []
    with ThreadPoolExecutor(1) as executor:
        folder = run_study(study, executor, lines.append)
        text = (folder / "table.md").read_text()
        assert f"- kriegerowski2019 point, seed 1, 12 events: {reason}" in text
        assert "| kriegerowski2019 | point | 12 |" in text
        assert f"2 of 2: kriegerowski2019 point, seed 1, 12 events: failed: {reason}" in lines
        fails.clear()
        run_study(study, executor, lines.append)
        assert "2 runs, 1 of them finished before" in lines
        assert "Failed" not in (folder / "table.md").read_text()
    energies = [float(row["energy_km"]) for row in csv.DictReader((folder / "table.csv").open())]
    assert energies == [1.0, 1.0, 2.0, 2.0]


@pytest.mark.slow
def test_a_study_whose_cells_all_fail_reports_the_reason(tmp_path, monkeypatch):
    study = configuration.load_study("uncertainty", [*TINY, f"folder={tmp_path}/study", "only.methods=[point]"])

    def run_cell(planned, others, evaluation):
        raise OSError("disk full")

    monkeypatch.setattr(job, "run_cell", run_cell)
    with ThreadPoolExecutor(1) as executor, pytest.raises(ValueError, match=r"every run .* failed: OSError: disk full"):
        run_study(study, executor, lambda line: None)


def test_stages_are_copied_whole_even_after_an_interrupted_copy(tmp_path):
    source, target = tmp_path / "source", tmp_path / "run" / "checkpoints"
    (source / "learn").mkdir(parents=True)
    (source / "learn" / "weights").write_text("trained")
    (target.parent / "checkpoints.partial" / "learn").mkdir(parents=True)
    (target.parent / "checkpoints.partial" / "learn" / "half").write_text("")
    job._copy_checkpoints(source, target, ["learn"])
    assert [path.relative_to(target) for path in target.rglob("*")] == [Path("learn"), Path("learn/weights")]
    assert not (target.parent / "checkpoints.partial").exists()


def test_networks_are_compared_with_papers_and_baselines(tmp_path):
    def estimate(value):
        return {"value": value, "low": value - 0.1, "high": value + 0.1}

    def card(energy):
        of = estimate(energy)
        return {"card": {"hypocentre": {"number": 40, "energy": {"mean": of}, "coverage": {"90": of}}}}

    def record(name, energy):
        improvement = {"climatology": estimate(3.0 - energy), "rule": None}
        calibrated = card(energy) | {"conformal_coverage": {"90": 0.91}}
        found = {"raw": card(energy), "calibrated": calibrated, "locating_s": 0.01, "improvement": improvement}
        conditions = {"as trained": found | {"climatology": card(3.0), "rule": {"card": {"number": 0}}}}
        own = {"network": name, "method": "point", "seed": 0, "size": None}
        return {"cell": own, "conditions": conditions, "parameters": 1234, "training_s": 5.0}

    networks = {"a": {"published": "4.9 km"}, "b": {}}
    assert benchmark_table.published(networks)
    records = [record("a", 2.0), record("b", 3.15)]
    lines = benchmark_table.markdown(records, networks).splitlines()
    assert len({line.count("|") for line in lines}) == 1
    assert "| climatology 3 (2.9 to 3.1); rule - | 1 (0.9 to 1.1); - |" in lines[2]
    assert "| 0.91 |" in lines[2]
    assert "| 4.9 km |" in lines[2]
    assert "| -0.15 (-0.25 to -0.05); - |" in lines[3]
    first, second = benchmark_table.standings(records)
    assert (first.network, first.energy_km, first.conformal_coverage) == ("a", pytest.approx((2.0, 1.9, 2.1)), 0.91)
    assert second.baseline_km["climatology"] == 3.0
    assert np.isnan(second.baseline_km["rule"])
    benchmark.standings(tmp_path / "networks.png", [first, second])
    assert (tmp_path / "networks.png").stat().st_size > 10_000


THEIRS = np.random.default_rng(0).gamma(2.0, 5.0, 200)


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        (THEIRS - 0.5, THEIRS, {"value": 0.5, "low": 0.5, "high": 0.5}),
        (np.where(np.arange(200) < 100, np.nan, THEIRS), THEIRS, {"value": 0.0, "low": 0.0, "high": 0.0}),
        (np.full(3, np.nan), np.ones(3), None),
    ],
    ids=["better", "half unknown", "unknown"],
)
def test_improvement_is_paired_event_by_event(ours, theirs, expected):
    found = evaluate.improvement(ours, theirs)
    assert found == (None if expected is None else pytest.approx(expected))


@pytest.mark.slow
def test_two_processes_do_not_run_one_study(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    from jaxloc.studies.run import run_study
    from jaxloc.training.run_folder import locked

    study = configuration.load_study("uncertainty", [*TINY, f"folder={tmp_path}/study"])
    (tmp_path / "study").mkdir()
    refused = pytest.raises(ValueError, match=r"in use by process .*folder=")
    with locked(tmp_path / "study", "folder"), ThreadPoolExecutor(1) as executor, refused:
        run_study(study, executor)
