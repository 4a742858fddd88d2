"""A whole experiment, small: its files, its resumption, and what the command line answers to wrong input."""

import errno
import json
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
from obspy import read_events

import jaxloc
from jaxloc import cli
from jaxloc.calibration.storage import read_calibration
from jaxloc.io.catalogue_csv import read_csv
from jaxloc.io.seisbench import write_seisbench
from jaxloc.runs import config as configuration
from jaxloc.runs import predict, report, train
from jaxloc.runs.calibrate import refuse_training_events
from jaxloc.runs.datasets import open_sources
from jaxloc.runs.fitted import draw_of
from jaxloc.runs.load import load

TINY = [
    "data.num_stations=5",
    "data.num_train=12",
    "data.num_dev=6",
    "data.num_samples=320",
    "data.rate_hz=10.0",
    "data.bandpass_hz=[1.0,4.0]",
    "model.channels=[4,4,6]",
    "+model.search_sizes={first:[5,5,2,10],points:64,levels:3,last:128,times:5}",
    "posterior.draws=2",
    "evaluation.shift_windows=2",
    "stages.arrivals.steps=4",
    "stages.arrivals.per_call=2",
    "stages.arrivals.checks=2",
    "stages.arrivals.augmentation.few_stations=3",
    "stages.hypocentres.steps=4",
    "stages.hypocentres.checks=2",
]


@pytest.fixture(scope="module", autouse=True)
def compiled_in_haste():
    """Runs this small spend their time on compiling, which takes a fraction of it without optimisation."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


def tiny(folder: Path) -> dict:
    return configuration.load("quickstart", [*TINY, f"run_dir={folder}"])


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished small run."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    train.run(tiny(folder), folder, say=lambda line: None)
    return folder


def test_a_run_tells_whether_its_weight_posterior_has_converged(finished):
    """Of the few steps here it has not; the line for the user is in the log."""
    record = json.loads((finished / "scores.json").read_text())["about"]["weight_posterior"]
    assert record["converged"] is False
    assert record["stage"] == "hypocentres"
    assert "log sd" in record["criterion"]
    assert 0 < record["sigma_over_prior"]["p05"] <= record["sigma_over_prior"]["p95"]
    assert np.isfinite(record["elbo_minus_prior_elbo"]["value"])
    assert (finished / "log.txt").read_text().count("weight posterior: NOT CONVERGED") == 1


@pytest.fixture(scope="module")
def fitted(finished):
    """The run as it is read from its folder."""
    return load(finished)[1]


@pytest.fixture(scope="module")
def labelled(tmp_path_factory, finished):
    """The run's events as a SeisBench folder."""
    folder = tmp_path_factory.mktemp("data") / "events"
    write_seisbench(folder, open_sources(tiny(finished)["data"], 0).dev)
    return folder


@pytest.mark.parametrize("name", ["config.json", "log.jsonl", "scores.json", "events.csv", "events.xml", "model.json"])
def test_a_run_writes_its_files(finished, name):
    assert (finished / name).stat().st_size > 0, name


def test_a_run_writes_pictures_and_a_catalogue(finished):
    assert {p.name for p in (finished / "pictures").iterdir()} >= {"map.png", "training.png", "coverage.png", "pit.png"}
    catalogue = read_events(str(finished / "events.xml"))
    assert len(catalogue) == 6
    uncertainty = catalogue[0].origins[0].origin_uncertainty
    assert uncertainty.confidence_level == pytest.approx(90)
    assert uncertainty.confidence_ellipsoid.semi_major_axis_length > 0


def test_few_training_events_are_the_last_ones_before_those_held_out(labelled, finished):
    recorded = tiny(finished)["data"]
    shape = [f"data.{name}={recorded[name]}" for name in ("rate_hz", "num_samples", "bandpass_hz")]
    settings = [f"data.folder={labelled}", "data.train_split=dev", "data.held_out=2", *shape]
    of = lambda number: open_sources(configuration.load("iceland_arrivals", [*settings, number])["data"], 0)
    every, few = of("data.num_train=null"), of("data.num_train=3")
    assert [event.id for event in few.train.events] == [event.id for event in every.train.events][-3:]
    assert [event.id for event in few.dev.events] == [event.id for event in every.dev.events]
    with pytest.raises(ValueError, match=r"data\.num_train must be within 1-4, or null for all, got 5"):
        of("data.num_train=5")


@pytest.mark.parametrize("name", ["locator", "catalogue"])
def test_the_score_card_counts_every_event_and_has_the_baseline(finished, name):
    scores = json.loads((finished / "scores.json").read_text())
    assert scores["about"]["events"] == scores[name]["epicentre"]["number"] == 6
    assert np.isfinite(scores[name]["hypocentre"]["nll"]["mean"]["value"])


def interrupted_and_resumed(config: dict, folder: Path, last_stage: str) -> None:
    """A run that is interrupted at the end of its last stage, and goes on from the step before."""

    def stop(stage: str, step: int, steps: int, loss: float) -> None:
        if stage == last_stage and step >= 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train.run(config, folder, say=lambda line: None, on_step=stop)
    lines: list[str] = []
    train.run(config, folder, say=lines.append)
    assert any("resumed at step 2 of 4" in line for line in lines)


def assert_same_weights(one: Path, other: Path) -> None:
    first, second = (load(folder)[1].state for folder in (one, other))
    jax.tree.map(np.testing.assert_array_equal, first, second)


@pytest.fixture
def trained_alone(monkeypatch, tmp_path):
    """Runs train and do no more, all on the same events; other tests evaluate."""
    sources = open_sources(small(tmp_path)["data"], 0)
    monkeypatch.setattr(train, "evaluate", lambda *args, **kwargs: None)
    monkeypatch.setattr(train, "open_sources", lambda *args: sources)


def small(folder: Path) -> dict:
    """A network that is compiled soon."""
    sizes = [*TINY[:6], "model.width=2", "posterior.draws=2"]
    sizes += [f"stages.{stage}.{of}" for stage in ("learn", "weights") for of in ("steps=4", "per_call=2", "checks=2")]
    return configuration.load("small_kriegerowski2019", [*sizes, f"run_dir={folder}"])


def assert_usable_in_python(run: Path, tmp_path: Path) -> None:
    """Its locations as a catalog, as a table, as files and as score cards."""
    model = jaxloc.load(run)
    located = model.locate(jaxloc.simulate(model, 6))
    assert (len(located), located.lost) == (6, {})
    event, rows = located[0], located.to_dataframe()
    assert np.isfinite(event.posterior.log_prob(event.posterior.sample(jax.random.key(0), (10,)))).all()
    assert rows["depth_km"].tolist() == pytest.approx([each.hypocentre.depth_km for each in located])
    depth_m = [each.origins[0].depth for each in located.to_catalog()]
    np.testing.assert_allclose(depth_m, 1000 * rows["depth_km"], atol=1.0)
    located.write(tmp_path / "located")
    assert len(read_csv(tmp_path / "located" / "events.csv")) == 6
    event.plot(tmp_path / "event.png")
    assert (tmp_path / "event.png").stat().st_size > 10_000
    cards = jaxloc.evaluate(located)
    assert cards["locator"]["epicentre"]["number"] == cards["catalogue"]["epicentre"]["number"] == 6
    assert np.isfinite(cards["locator"]["epicentre"]["error"]["median"]["value"])


def test_an_interrupted_run_ends_like_an_uninterrupted_one(trained_alone, tmp_path):
    """And is used from Python."""
    whole, in_two = tmp_path / "whole", tmp_path / "in_two"
    train.run(small(whole), whole, say=lambda line: None)
    interrupted_and_resumed(small(in_two), in_two, "weights")
    assert_same_weights(whole, in_two)
    assert_usable_in_python(whole, tmp_path)


@pytest.mark.slow
def test_an_interrupted_run_with_arrivals_and_physics_ends_like_an_uninterrupted_one(finished, tmp_path):
    folder = tmp_path / "again"
    interrupted_and_resumed(tiny(folder), folder, "hypocentres")
    assert_same_weights(finished, folder)


def test_a_folder_of_another_configuration_is_refused(finished):
    config = tiny(finished) | {"seed": 1}
    with pytest.raises(ValueError, match=r"another configuration \(other: seed\)"):
        train.run(config, finished)


def test_locate_evaluate_compare(finished, labelled, tmp_path, capsys):
    located = ["locate", str(finished), str(labelled), "--output", str(tmp_path / "out")]
    assert cli.main([*located, "--all"]) == 0
    assert "6 of 6 events located" in capsys.readouterr().out
    assert len(read_events(str(tmp_path / "out" / "events.xml"))) == 6
    assert cli.main(["evaluate", str(finished), str(labelled), "--output", str(tmp_path / "card")]) == 0
    told, scores = capsys.readouterr().out, report.read_scores(tmp_path / "card")
    assert "coverage of 90 % region, epicentre" in told
    flagged = sum(bool(event.flag) for event in read_csv(tmp_path / "card" / "events.csv"))
    assert f"{flagged} of 6 events have a flag" in told
    assert scores["locator"]["epicentre"]["number"] == 6  # flagged ones too
    assert scores.get("unflagged", {"epicentre": {"number": 0}})["epicentre"]["number"] == 6 - flagged
    picture = tmp_path / "compare.png"
    both = ["compare", str(finished), str(tmp_path / "card"), "--output", str(picture)]
    assert cli.main([*both, "--reliability", str(tmp_path / "reliability.png")]) == 0
    assert min(picture.stat().st_size, (tmp_path / "reliability.png").stat().st_size) > 10_000
    assert cli.main([*both, "--reliability", "reliability.txt"]) == 1
    assert "--reliability reliability.txt must end in one of" in capsys.readouterr().err


@pytest.mark.slow
def test_a_calibrated_run_predicts_calibrated_errors(finished, labelled, tmp_path, capsys):
    folder = tmp_path / "calibrated"
    shutil.copytree(finished, folder)
    assert cli.main(["calibrate", str(folder), "--events", "12", "--map", "temperature"]) == 0
    told = capsys.readouterr().out
    assert "cross-fitted on 12 events" in told
    assert "12 events are too few for out-of-distribution detection: 39 are needed" in told
    calibration = read_calibration(folder)
    assert (calibration.number, calibration.map.kind) == (12, "temperature")
    card = tmp_path / "card"
    assert cli.main(["evaluate", str(folder), str(labelled), "--output", str(card)]) == 0
    assert "calibrated by 12 events" in capsys.readouterr().out
    scores = json.loads((card / "scores.json").read_text())
    ratio = [scores[name]["depth"]["stated"]["mean"]["value"] for name in ("calibrated", "locator")]
    assert ratio[0] / ratio[1] == pytest.approx(np.sqrt(calibration.map.values[0]), rel=1e-3)
    widths = []
    for extra in ([], ["--raw"]):
        out = tmp_path / f"out{len(extra)}"
        assert cli.main(["locate", str(folder), str(labelled), "--output", str(out), "--all", *extra]) == 0
        widths.append(read_csv(out / "events.csv")[0].covariance[2, 2])
    assert widths[0] / widths[1] == pytest.approx(calibration.map.values[0], rel=1e-3)


def test_events_of_training_calibrate_nothing(finished, fitted):
    sources = open_sources(tiny(finished)["data"], 0)
    refuse_training_events(fitted, sources.dev.take(np.arange(3)))
    with pytest.raises(ValueError, match="3 of 3 events are training events of this run"):
        refuse_training_events(fitted, sources.train.take(np.arange(3)))


def test_the_same_events_are_located_alike_from_memory_and_from_files(finished, fitted, labelled):
    from jaxloc.runs.inputs import open_input

    config = json.loads((finished / "config.json").read_text())
    # The written waveforms have gone through the band already.
    fitted = fitted._replace(spec=fitted.spec._replace(bandpass_hz=None))
    stored = open_input(fitted, config, [labelled], None, None, None)
    made = open_sources(config["data"], 0).dev
    first, second = (predict.locate(fitted, d).posterior.hypocentre for d in (made, stored))
    order = np.array([[e.id for e in stored.events].index(e.id) for e in made.events])
    # Waveforms are stored in float32 and lose their mean once more when read, far below the noise; but the samples of
    # a search are others then, of which at least some 250 count: a quarter of an sd is four errors of their mean.
    off = np.abs(np.asarray(first.mean - second.mean[order]))[:, :3]
    assert (off < 0.25 * np.sqrt(np.asarray(first.variance))[:, :3] + 0.01).all(), off


WRONG = [
    (["run", "no_such"], "no such experiment: 'no_such'; use one of"),
    (["run", "quickstart", "stages.arrivals.stepz=1"], "stepz"),
    (
        ["run", "quickstart", "posterior=magic"],
        "dropout ensemble laplace low_rank mean_field nuts point sghmc sgld stein swag",
    ),
    (["run", "quickstart", "seed"], "key=value"),
    (["run", "quickstart", "model.name=unet"], "no such model: 'unet'"),
    (["run", "oklahoma_arrivals", "data.folder={tmp}/nothing"], "nothing"),
    (["run", "quickstart", "stages.arrivals.augmentation.nois=1"], "nois"),
    (["locate", "{tmp}/nowhere", "{labelled}"], "no trained run"),
    (["locate", "{run}", "{tmp}/missing"], "no such file or folder"),
    (["evaluate", "{run}", "{labelled}", "--split", "test"], "test"),
    (["compare", "{tmp}"], "has no scores.json"),
    (["calibrate", "{run}", "{labelled}", "--split", "test"], "test"),
    (["study", "everything"], "no such study: 'everything'; use one of networks, shifts, uncertainty"),
    (["study", "uncertainty", "seedz=[1]"], "seedz"),
    (["compare", "{run}", "--output", "{tmp}/cards"], "must end in one of .png, .pdf, .svg"),
]


@pytest.mark.parametrize(("arguments", "says"), WRONG, ids=lambda x: str(x)[:40])
def test_wrong_input_gets_one_clear_line(arguments, says, finished, labelled, tmp_path, capsys):
    words = {"run": finished, "labelled": labelled, "tmp": tmp_path}
    filled = [a.replace("{run}", str(words["run"])).replace("{labelled}", str(labelled)).replace("{tmp}", str(tmp_path))
              for a in arguments]  # fmt: skip
    if filled[0] == "run" and len(filled) > 2 and "run_dir" not in filled[-1]:
        filled.append(f"run_dir={tmp_path / 'run'}")
    assert cli.main(filled) == 1
    message = capsys.readouterr().err
    assert says in message
    assert "Traceback" not in message


@pytest.mark.parametrize("damage", ["cut short", "other network"])
def test_a_bad_checkpoint_is_named(damage, finished, labelled, tmp_path, capsys):
    copy = tmp_path / "run"
    shutil.copytree(finished, copy)
    if damage == "cut short":
        for path in (copy / "checkpoints" / "hypocentres").rglob("*"):
            if path.is_file() and path.stat().st_size > 200:
                path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    else:
        spec = json.loads((copy / "model.json").read_text())
        spec["settings"]["channels"] = [4, 6, 6]
        (copy / "model.json").write_text(json.dumps(spec))
    assert cli.main(["locate", str(copy), str(labelled), "--output", str(tmp_path / "out")]) == 1
    assert "checkpoint" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_full_disk_is_reported_in_one_line(tmp_path, monkeypatch, capsys):
    def full(*arguments: object, **settings: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path))

    monkeypatch.setattr(Path, "mkdir", full)
    assert cli.main(["run", "quickstart", f"run_dir={tmp_path / 'run'}"]) == 1
    assert "No space left on device" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (
            lambda start, fitted, blank, finished: start(fitted.spec._replace(settings={"name": "picks"})),
            r"has arrivals at 10 Hz, this experiment has picks at 10 Hz",
        ),
        (
            lambda start, fitted, blank, finished: start(fitted.spec._replace(rate_hz=20.0)),
            r"this experiment has arrivals at 20 Hz",
        ),
        (
            lambda start, fitted, blank, finished: start(
                fitted.spec, jax.tree.map(lambda x: np.zeros((*x.shape, 2)) if x.ndim > 2 else x, blank)
            ),
            r"weights of other shapes .* first\); give both runs",
        ),
        (
            lambda start, fitted, blank, finished: train.started_from(finished / "nothing", blank, fitted.spec, 1),
            "is no trained run",
        ),
    ],
)
def test_only_weights_of_the_same_network_can_be_started_from(finished, fitted, action, message):
    own = draw_of(jax.random.key(0), fitted)
    blank = jax.tree.map(lambda x: np.zeros((1, *x.shape)), own)
    start = lambda spec, like=blank: train.started_from(finished, like, spec, 1)
    assert jax.tree.structure(start(fitted.spec)) == jax.tree.structure(own)
    with pytest.raises(ValueError, match=message):
        action(start, fitted, blank, finished)


@pytest.mark.slow
def test_a_network_of_any_stations_is_used_and_learns_on_at_a_network_it_never_saw(tmp_path, labelled, capsys):
    """Trained for a moment on simulated networks, scored at stations of another data set, then started from."""
    small = ["model.width=8", "model.channels=[4,6]", "data.num_samples=320", "data.rate_hz=10.0"]
    small += ["posterior=point", "stages.learn.steps=4", "stages.weights.steps=0", "stages.learn.checks=1"]
    first, second = tmp_path / "first", tmp_path / "second"
    simulated = ["data.num_train=6", "data.num_dev=4", "data.bandpass_hz=[1.0,4.0]", f"run_dir={first}"]
    assert cli.main(["run", "networks_set_transformer", *small, *simulated]) == 0
    assert cli.main(["evaluate", str(first), str(labelled), "--output", str(tmp_path / "there")]) == 0
    about = json.loads((tmp_path / "there" / "scores.json").read_text())["about"]
    assert about["events"] == 6
    assert about["lost"] == {}
    model = tmp_path / "model.csv"
    model.write_text("depth_km,vp_km_s,vs_km_s\n0,5,3\n")
    assert cli.main(["evaluate", str(first), str(labelled), "--velocity", str(model)]) == 1
    assert "can use no velocity model" in capsys.readouterr().err
    real = [f"data.folder={labelled}", "data.train_split=dev", "data.dev_split=null", "data.held_out=2"]
    real += ["~data.pick_columns.P", f"run_dir={second}", f"start_from={first}", "stages.learn.learning_rate=1e-30"]
    assert cli.main(["run", "oklahoma_set_transformer", *small, *real]) == 0
    start, end = (draw_of(jax.random.key(0), load(folder)[1]) for folder in (first, second))
    for before, after in zip(jax.tree.leaves(start), jax.tree.leaves(end), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.slow
def test_a_magnitude_is_learnt_and_written_with_both_parts_of_its_sd(tmp_path):
    """A label beside the hypocentre goes from the data set through training into both files."""
    sizes = ["data.num_train=20", "data.num_dev=5", "posterior.draws=3", "model.labels=[magnitude]"]
    sizes += [f"stages.{stage}.{of}" for stage in ("learn", "weights") for of in ("steps=4", "per_call=2", "checks=1")]
    config = configuration.load("small_kriegerowski2019", [*sizes, f"run_dir={tmp_path / 'run'}"])
    folder = train.run(config, tmp_path / "run", say=lambda line: None)
    events = read_csv(folder / "events.csv")
    assert len(events) == 5
    for event in events:
        parts = [event.others[f"magnitude_{part}_sd"] for part in ("epistemic", "aleatoric")]
        assert event.magnitude_sd == pytest.approx(np.hypot(*parts), rel=1e-5)
        assert min(parts) > 0
    comments = [comment.text for comment in read_events(str(folder / "events.xml"))[0].origins[0].comments]
    assert f"magnitude_epistemic_sd: {events[0].others['magnitude_epistemic_sd']:.6g}" in comments
    with pytest.raises(ValueError, match=r"model.labels has \['polarity'\]"):
        train.run(config | {"model": config["model"] | {"labels": ["polarity"]}}, tmp_path / "other")


def test_an_event_without_active_stations_is_reported_and_kept(finished, fitted):
    from jaxloc.data.dataset import Dataset

    made = open_sources(tiny(finished)["data"], 0).dev

    def take(index):
        batch = made.take(index)
        waveforms, mask = batch.observations.waveforms.copy(), batch.observations.station_mask.copy()
        waveforms[:1], mask[:1] = 0.0, False
        return batch._replace(observations=batch.observations._replace(waveforms=waveforms, station_mask=mask))

    silent = Dataset(*tuple(made)[:6], take)
    located = predict.locate(fitted, silent)
    found, lost = report.hypocentres_of(silent, located.batch, predict.as_calibrated(None, located))
    assert len(found) == 5
    assert lost == {made.events[0].id: "no event found: no station has a record"}
