"""Studies: which runs there are, what they share, under which conditions they are judged, and their table."""

import csv

import jax
import numpy as np
import pytest

from jaxloc import cli
from jaxloc.models import SYSTEMS
from jaxloc.plots import benchmark
from jaxloc.plots import study as study_plots
from jaxloc.runs import config as configuration
from jaxloc.studies import benchmark_table, evaluate, table
from jaxloc.studies.grid import plan, stages_in_common
from jaxloc.studies.shifts import conditions, elsewhere, events_to_judge

TINY = [
    "processes=1",
    "seeds=[0]",
    "only.networks=[kriegerowski2019]",
    "only.methods=[point,mean_field]",
    "networks.kriegerowski2019.sizes=[12]",
    "networks.kriegerowski2019.overrides=['stages.learn.steps=10','stages.weights.steps=10','model.width=2',"
    "'data.num_dev=6','data.num_stations=5','posterior.draws=2']",
    "judged.events=8",
    "judged.calibration=10",
    "judged.shifted=8",
    "judged.drop_stations=[2]",
    "judged.noise=[3.0]",
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
    # The same run has the same folder, whatever else the study holds.
    assert {each.config["run_dir"] for each in planned(tmp_path)} < folders


def test_runs_share_the_stages_that_are_alike(tmp_path):
    point, mean_field = (each.config for each in planned(tmp_path))
    assert stages_in_common(point, mean_field) == ["learn"]
    assert stages_in_common(point, mean_field | {"seed": 1}) == []
    ensemble = {**point, "posterior": {**point["posterior"], "members": 2}}
    assert stages_in_common(point, ensemble) == []


def test_the_study_of_networks_has_them_all():
    planned = plan(configuration.load_study("networks", []))
    # Of picks alone the answer is known exactly, and `studies.amortised` holds the network against that.
    assert {each.config["model"]["name"] for each in planned} == set(SYSTEMS) - {"picks"}


def test_a_study_can_be_had_shorter(tmp_path):
    usual, short = planned(tmp_path)[0], planned(tmp_path, "shorter=4")[0]
    assert {name: stage["steps"] for name, stage in short.config["stages"].items()} == {"learn": 3, "weights": 3}
    assert usual.config["run_dir"] != short.config["run_dir"]
    with pytest.raises(ValueError, match=r"shorter must be .* at least 1, got 0"):
        planned(tmp_path, "shorter=0")


def test_what_a_study_does_not_have_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"only\.methods names 'magic'; the study has point, mean_field"):
        planned(tmp_path, "only.methods=[magic]")
    with pytest.raises(ValueError, match="no such study: 'everything'; the studies are networks, uncertainty"):
        configuration.load_study("everything", [])


def test_conditions_alter_what_they_say_and_nothing_else(tmp_path):
    config = planned(tmp_path)[0].config
    judged = {"events": 3, "shifted": 3, "drop_stations": [2], "noise": [3.0]}
    usual = events_to_judge(config["data"], 0, judged)
    found = dict([("as trained", usual), *conditions(usual, judged), elsewhere(config["data"], 0, judged)])
    assert list(found) == ["as trained", "2 silent stations", "noise 3", "other networks"]
    batches = {name: dataset.take(np.arange(3)) for name, dataset in found.items()}
    ordinary, silent, noisy, other = (batches[name] for name in found)
    assert (ordinary.observations.station_mask.sum(1) - silent.observations.station_mask.sum(1) == 2).all()
    alive = silent.observations.station_mask
    same = np.where(alive[:, :, None, None], ordinary.observations.waveforms, 0)
    np.testing.assert_allclose(silent.observations.waveforms, same)
    np.testing.assert_array_equal(ordinary.labels["hypocentre"].value, noisy.labels["hypocentre"].value)
    early = [np.asarray(b.observations.waveforms)[..., :30].std() for b in (ordinary, noisy)]
    # Three times the noise on top of it: sqrt(10) times as much, by the luck of 15 traces of 30 samples.
    assert early[1] / early[0] == pytest.approx(np.sqrt(10), rel=0.35)
    assert (other.observations.station_index == -1).all()
    # Each of the three events is at a network of its own.
    assert len({places.tobytes() for places in other.observations.station_km}) == 3
    assert not {s.code for s in found["other networks"].stations} & {s.code for s in found["as trained"].stations}


def rows(energy):
    own = {"network": "a", "method": "b", "size": 10, "condition": "as trained", "as": "stated"}
    scores = dict.fromkeys(table.SCORES, 0.5) | dict.fromkeys(table.COSTS, 1.0)
    return [own | scores | {"seed": seed, "energy_km": value} for seed, value in enumerate(energy)]


def test_many_networks_have_places_of_their_own(tmp_path):
    names = [f"network {i}" for i in range(study_plots.WIDEST + 2)]
    figure, columns = study_plots._columns("many", names, 2)
    assert list(columns) == names
    assert len({axes for column in columns.values() for axes in column}) == len(figure.axes) == 2 * len(names)
    first, second = columns[names[0]]
    below, _ = columns[names[study_plots.WIDEST]]
    assert below.get_subplotspec().rowspan.start == 2
    assert second.get_subplotspec().colspan == first.get_subplotspec().colspan == below.get_subplotspec().colspan


def test_pictures_are_of_what_there_is(tmp_path):
    own = [row | {"size": None} for row in rows([1.0, 2.0])]
    pictures = study_plots.write_pictures(tmp_path, table.over_seeds(own), {})
    assert (
        {path.name for path in pictures} == {path.name for path in tmp_path.iterdir()} == {"sharpness.png", "cost.png"}
    )


def test_seeds_are_averaged_and_their_spread_is_told():
    (row,) = table.over_seeds(rows([1.0, 2.0, 4.0]))
    assert (row["seeds"], row["energy_km"], row["energy_km_spread"]) == (3, pytest.approx(7 / 3), 1.5)
    text = table.markdown(rows([1.0, 3.0]))
    assert len({line.count("|") for line in text.splitlines()}) == 1
    assert "| a | b | 10 |" in text


@pytest.mark.slow
def test_a_study_runs_is_found_again_and_leaves_a_table(tmp_path, capsys, monkeypatch):
    # In this process: a new one would only compile it all again.
    from jaxloc.studies import job, run

    def here(waiting, planned, judged, processes):
        for each in waiting:
            yield each, job.run_cell(each, planned, judged)

    monkeypatch.setattr(run, "_side_by_side", here)
    jax.config.update("jax_disable_most_optimizations", True)
    few = ["only.methods=[mean_field]", "judged.noise=[]"]
    arguments = ["study", "uncertainty", f"folder={tmp_path}/study", *TINY, *few]
    try:
        assert cli.main(arguments) == 0
    finally:
        jax.config.update("jax_disable_most_optimizations", False)
    assert "1 runs, 0 of them there already" in capsys.readouterr().out
    with (tmp_path / "study" / "table.csv").open() as file:
        found = list(csv.DictReader(file))
    assert {row["condition"] for row in found} == {"as trained", "2 silent stations"}
    assert {row["as"] for row in found} == {"stated", "calibrated", "catalogue"}
    assert all(float(row["energy_km"]) > 0 for row in found)
    assert all(0 <= float(row["auroc_features"]) <= 1 for row in found)
    pictures = {path.name for path in (tmp_path / "study").glob("*.png")}
    assert pictures == {"coverage_kriegerowski2019.png", "sharpness.png", "cost.png", "learning.png", "shifts.png"}
    assert cli.main(arguments) == 0
    assert "1 runs, 1 of them there already" in capsys.readouterr().out


def test_networks_stand_beside_their_papers_and_the_catalogue(tmp_path):
    def estimate(value):
        return {"value": value, "low": value - 0.1, "high": value + 0.1}

    def card(energy):
        of = estimate(energy)
        return {"card": {"hypocentre": {"number": 40, "energy": {"mean": of}, "coverage": {"90": of}}}}

    def record(name, energy):
        lower = {"catalogue": estimate(3.0 - energy), "rule": None}
        calibrated = card(energy) | {"held": {"90": 0.91}}
        found = {"stated": card(energy), "calibrated": calibrated, "locating_s": 0.01, "lower": lower}
        conditions = {"as trained": found | {"catalogue": card(3.0), "rule": {"card": {"number": 0}}}}
        own = {"network": name, "method": "point", "seed": 0, "size": None}
        return {"cell": own, "conditions": conditions, "parameters": 1234, "training_s": 5.0}

    networks = {"a": {"published": "4.9 km"}, "b": {}}
    assert benchmark_table.published(networks)
    records = [record("a", 2.0), record("b", 3.15)]
    lines = benchmark_table.markdown(records, networks).splitlines()
    assert len({line.count("|") for line in lines}) == 1
    assert "| catalogue 3 (2.9 to 3.1); rule - | 1 (0.9 to 1.1); - |" in lines[2]
    assert "| 0.91 |" in lines[2]
    assert "| 4.9 km |" in lines[2]
    assert "| -0.15 (-0.25 to -0.05); - |" in lines[3]
    first, second = benchmark_table.standings(records)
    assert (first.network, first.energy_km, first.drawn) == ("a", pytest.approx((2.0, 1.9, 2.1)), 0.91)
    assert second.beside_km["catalogue"] == 3.0
    assert np.isnan(second.beside_km["rule"])
    benchmark.standings(tmp_path / "networks.png", [first, second])
    assert (tmp_path / "networks.png").stat().st_size > 10_000


def test_what_a_run_is_better_by_is_told_event_by_event():
    theirs = np.random.default_rng(0).gamma(2.0, 5.0, 200)
    lower = evaluate._lower(theirs - 0.5, theirs)
    assert lower == pytest.approx({"value": 0.5, "low": 0.5, "high": 0.5})
    unknown = np.where(np.arange(200) < 100, np.nan, theirs)
    assert evaluate._lower(unknown, theirs) == pytest.approx({"value": 0.0, "low": 0.0, "high": 0.0})
    assert evaluate._lower(np.full(3, np.nan), np.ones(3)) is None
