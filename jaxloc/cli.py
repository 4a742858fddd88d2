"""The `jaxloc` program: one function for each command. Errors are one line with the remedy."""

import argparse
import contextlib
import gc
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from jaxloc.calibration.calibration import Calibration
    from jaxloc.io.picks import Picks
    from jaxloc.io.velocity_model import VelocityFile
    from jaxloc.runs import locate_picks
    from jaxloc.runs.batches import Opened, Request
    from jaxloc.training.log import OnStep, Say

from jaxloc.arguments import parse
from jaxloc.runs.quiet import INTERRUPTED

PICTURES = (".png", ".pdf", ".svg")
SELDOM = 200_000  # new objects between two collections of garbage
NOTHING_KEPT = "no results were written; give the same command again to start anew"
_AFTER_INTERRUPT = {
    "run": "the same command continues from the last checkpoint",
    "adapt": "the same command continues from the last checkpoint",
    "catalogue": "the same command continues with the chunks that are not picked",
    "pick": "the same command continues with the chunks that are not picked",
    "match": "the same command continues with the chunks that are not scanned",
    "study": "the same command continues with the runs that are not finished",
    "crossvalidate": "the same command continues with the folds that are not finished",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0 done, 1 could not, or lint found faults, 2 wrong usage, 130 stopped."""
    compiled_on_disk(os.environ)
    parsed = parse(arguments)
    # Imports and tracing make millions of objects that stay: looking through them again and again takes a second.
    gc.set_threshold(SELDOM, 10, 10)
    # The heavy imports wait until a command is known, so that --help and typing errors answer at once.
    from rich.console import Console

    console, errors = Console(highlight=False, soft_wrap=True), Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        with _quiet(errors):
            return _COMMANDS[parsed.command](parsed, console) or 0
    except KeyboardInterrupt as interrupt:
        after = str(interrupt) or _AFTER_INTERRUPT.get(parsed.command, NOTHING_KEPT)
        errors.print(f"interrupted; {after}", markup=False)
        return INTERRUPTED
    except (ValueError, FloatingPointError, OSError) as error:
        from jaxloc.runs.quiet import error_line

        errors.print(error_line(error), markup=False)
        return 1


def compiled_on_disk(environment: MutableMapping[str, str]) -> None:
    """Keep compiled programs in the user's cache folder, by variables that JAX reads when it is imported.

    What the user has set stays: JAX_COMPILATION_CACHE_DIR names another folder, JAX_ENABLE_COMPILATION_CACHE=false
    keeps nothing. Nothing is set where the folder cannot be made.
    """
    base = environment.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folder = Path(environment.get("JAX_COMPILATION_CACHE_DIR") or Path(base) / "jaxloc" / "compiled")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    environment.setdefault("JAX_COMPILATION_CACHE_DIR", str(folder))
    environment.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.02")
    environment.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


@contextlib.contextmanager
def _quiet(errors: "Console") -> Iterator[None]:
    """Warnings of jaxloc as one line each; warnings and logs of other libraries stay off the screen."""
    from jaxloc.runs.quiet import libraries_quiet, warnings_in_lines

    libraries_quiet()
    with warnings.catch_warnings():
        warnings_in_lines(lambda line: errors.print(line, markup=False))
        yield


def _run(parsed: argparse.Namespace, console: "Console") -> None:
    from jaxloc.runs import config as configuration

    configuration.check_name(parsed.experiment)
    of_folds = lambda override: override.startswith("evaluation.") and "shift_windows=" not in override
    if idle := [o for o in parsed.overrides if of_folds(o.lstrip("+~"))]:
        raise ValueError(f"{idle[0]} has no effect on a run; leave it out, or use `jaxloc crossvalidate`")
    if parsed.multirun:
        return _run_many(parsed, console)
    config = configuration.load(parsed.experiment, parsed.overrides)
    folder = Path(config["run_dir"])
    _run_one(config, folder, console)
    if "task" in config:
        console.print((folder / "table.md").read_text(), markup=False)
    else:
        from jaxloc.runs import report

        _show(report.read_scores(folder), console)
    console.print(f"run folder: {folder}", markup=False)


def _run_one(config: dict, folder: Path, console: "Console") -> None:
    """Train and score one configuration, with progress bars of its stages."""
    from jaxloc.forecasting import run as forecasts
    from jaxloc.runs import pretrain, train, weight_free

    tasks = {forecasts.TASK: forecasts.run, pretrain.TASK: pretrain.run}
    run = tasks[config["task"]] if "task" in config else weight_free.run if "locator" in config else train.run
    with _bars(console) as on_step:
        run(config, folder, lambda line: console.print(line, markup=False), on_step)


@contextlib.contextmanager
def _bars(console: "Console") -> "Iterator[OnStep]":
    """A progress bar for each stage of training; lines that are printed meanwhile stand above it."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    text = TextColumn("{task.description}"), TextColumn("{task.fields[loss]}")
    columns = text[0], BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), text[1]
    with Progress(*columns, console=console, transient=True) as progress:
        bars: dict[str, Any] = {}

        def on_step(stage: str, step: int, steps: int, loss: float) -> None:
            if stage not in bars:
                bars[stage] = progress.add_task(f"stage {stage}", total=steps, loss="")
            progress.update(bars[stage], completed=step, loss=f"loss {loss:.3f}")

        yield on_step


def _run_job(config: dict, folder: Path) -> None:
    """One run of a multirun, in whatever process it is."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    console.print(f"run {folder}", markup=False)
    _run_one(config, folder, console)


def _run_many(parsed: argparse.Namespace, console: "Console") -> None:
    from jaxloc.runs import compare, multirun, report
    from jaxloc.training.run_folder import finished

    folders = multirun.run_all(parsed.experiment, parsed.overrides, _run_job)
    done = [folder for folder in folders if finished(folder) is not None]
    if len(done) < len(folders):
        console.print(f"not finished: {', '.join(str(f) for f in folders if f not in done)}", markup=False)
    if not done:
        raise ValueError("no run finished; the reasons are above, or in the launcher's log files")
    cards, differ = compare.side_by_side(done)
    console.print(report.table(cards, "Score cards"))
    for line in differ:
        console.print(f"warning: {line}", markup=False)
    console.print(f"run folders: {folders[0].parent}", markup=False)


def _study(parsed: argparse.Namespace, console: "Console") -> None:
    from jaxloc.runs import config as configuration
    from jaxloc.runs.executors import executor_of
    from jaxloc.studies.run import run_study

    study = configuration.load_study(parsed.study, parsed.overrides)
    with executor_of(study["workers"]) as executor:
        folder = run_study(study, executor, lambda line: console.print(line, markup=False))
    console.print((folder / "table.md").read_text(), markup=False)
    console.print(f"table and pictures: {folder}", markup=False)


def _crossvalidate(parsed: argparse.Namespace, console: "Console") -> None:
    from jaxloc.runs import config as configuration
    from jaxloc.runs.executors import executor_of, workers_of
    from jaxloc.studies.crossvalidation import crossvalidate

    own = [override for override in parsed.overrides if not override.startswith("workers=")]
    workers = next((o.partition("=")[2] for o in parsed.overrides if o.startswith("workers=")), "1")
    config = configuration.load(parsed.experiment, own)
    with executor_of(workers_of(workers)) as executor:
        folder = crossvalidate(config, executor, lambda line: console.print(line, markup=False))
    console.print((folder / "table.md").read_text(), markup=False)
    console.print(f"table and picture: {folder}", markup=False)


def _show(scores: dict, console: "Console") -> None:
    from jaxloc.runs import report
    from jaxloc.scores.labels import label_lines
    from jaxloc.scores.polar import polar_lines

    about = scores["about"]
    others = ("unflagged", "first", "first_unflagged", "calibrated", "sp_rule", "sp_rule_fitted", "catalogue")
    cards = {about["name"]: scores["locator"]} | {k: scores[k] for k in others if k in scores}
    console.print(report.table(cards, f"{about['events']} events of {about['dataset']}"))
    if flags := about.get("flags"):
        console.print(f"{flags['flagged']} of {about['events']} events have a flag, {flags['no_event']} as no event")
    if judged_by := about.get("further_events", {}).get("judged_by"):
        console.print(
            f"{len(judged_by)} windows are judged by a further event, nearer in origin time to the catalogue's than "
            f"that located first: {', '.join(judged_by)}",
            markup=False,
        )
    _say_conformal(about, console)
    for line in (*polar_lines(about.get("polar", {})), *label_lines(about.get("labels", {}))):
        console.print(line, markup=False)


def _say_conformal(about: dict, console: "Console") -> None:
    from jaxloc.runs import report

    if line := report.conformal_line(about.get("conformal", {})):
        console.print(line, markup=False)


def _catalogue(parsed: argparse.Namespace, console: "Console") -> None:
    from jaxloc.runs import pick
    from jaxloc.runs.catalogue import make_catalogue
    from jaxloc.runs.catalogue_request import Request, associate_request, pick_request
    from jaxloc.runs.executors import executor_of, workers_of
    from jaxloc.runs.outcomes import logged

    given: dict[str, Any] = {name: getattr(parsed, name) for name in Request._fields if hasattr(parsed, name)}
    given["depth_km"] = None if parsed.depth_km is None else tuple(parsed.depth_km)
    request, workers = Request(**given), workers_of(parsed.workers)
    associate_request(request)  # what is wrong with it is told before hours of picking
    number = pick.number_of_chunks(pick_request(request))
    with (
        logged(parsed.output, lambda line: console.print(line, markup=False)) as say,
        contextlib.nullcontext() if workers == 1 else executor_of(workers) as executor,
    ):
        with _counting(console, say, "picked chunks", number) as on_chunk:
            picked = pick.pick_archive(pick_request(request), request.output / pick.FOLDER, executor, say, on_chunk)
        make_catalogue(request, picked, say, executor)


def _pick(parsed: argparse.Namespace, console: "Console") -> None:
    from jaxloc.runs import pick
    from jaxloc.runs.executors import executor_of, workers_of

    say, workers = lambda line: console.print(line, markup=False), workers_of(parsed.workers)
    request = pick.Request(
        parsed.archive, parsed.stations, parsed.method, parsed.start, parsed.end, length_s=parsed.chunk
    )
    folder = parsed.output.with_name(parsed.output.stem + pick.FOLDER)
    began = time.monotonic()
    with (
        _counting(console, say, "picked chunks", pick.number_of_chunks(request)) as on_chunk,
        contextlib.nullcontext() if workers == 1 else executor_of(workers) as executor,
    ):
        found = pick.pick_archive(request, folder, executor, say, on_chunk)
    pick.write_picks(parsed.output, found)
    for line in pick.lines(found):
        say(line)
    say(f"{parsed.output} written after {time.monotonic() - began:.0f} s")


def _locate(parsed: argparse.Namespace, console: "Console") -> None:
    if parsed.locator is not None:
        return _locate_picks(parsed, console)
    from jaxloc.runs.shipped import model_and_input

    parsed.run, parsed.input = model_and_input(parsed.run, parsed.input)
    if not parsed.input:
        raise ValueError(f"locate must have INPUT, of waveforms, got {parsed.run} alone; or PICKS and --locator NAME")
    for option in ("catalogue", "set", "travel_times", "grid_spacing", "vp_vs", "topography", "learn_velocities"):
        if getattr(parsed, option):
            raise ValueError(
                f"--{option.replace('_', '-')} must be used with --locator; leave it out for a trained run"
            )
    if parsed.slide is not None and parsed.windows is not None:
        raise ValueError(f"--slide {parsed.slide:g} must be used without --windows, which say where windows start")
    from jaxloc.runs.batches import Request, opened
    from jaxloc.runs.outcomes import logged

    plain = lambda line: console.print(line, markup=False)
    given = {name: getattr(parsed, name) for name in Request._fields if name not in ("input", "depth_km")}
    depths = None if parsed.depth_km is None else tuple(parsed.depth_km)
    request = Request(**given, input=tuple(parsed.input), depth_km=depths)
    ready = opened(request, plain)
    number = len(ready.dataset)
    with logged(parsed.output, plain) as say:
        if ready.by_default:
            say(ready.by_default)
        if ready.magnitudes is not None:
            say(ready.magnitudes.about)
        say(f"locating {number} events at {len(ready.dataset.stations)} stations")
        began = time.monotonic()
        with _counting(console, say, "located", number) as on_event:
            if number > parsed.batch or parsed.workers != "1":
                finish = _located_in_batches(parsed, request, ready, say, on_event)
            else:
                finish = _located_at_once(parsed, ready, say, on_event)
        seconds = time.monotonic() - began
        finish()
        say(f"{number} events in {seconds:.0f} s: {number / seconds:.3g} events a second")


def _located_in_batches(
    parsed: argparse.Namespace, request: "Request", ready: "Opened", say: "Say", on_event: Callable[[int], None]
) -> Callable[[], None]:
    """Locate events in batches that are kept; returns what writes the results."""
    from jaxloc.runs.batches import located_in_batches
    from jaxloc.runs.executors import executor_of, workers_of
    from jaxloc.runs.outcomes import write_outcome

    workers = workers_of(parsed.workers)
    with contextlib.nullcontext() if workers == 1 else executor_of(workers) as executor:
        part = located_in_batches(request, ready, parsed.output, executor, say, on_event, parsed.batch)
    return lambda: write_outcome(parsed.output, say, part)


def _located_at_once(
    parsed: argparse.Namespace, ready: "Opened", say: "Say", on_event: Callable[[int], None]
) -> Callable[[], None]:
    """Locate all events; returns what writes the results, those before an interruption too."""
    from jaxloc.runs import arrival_picks, new_events
    from jaxloc.runs.magnitudes import with_magnitudes
    from jaxloc.runs.outcomes import kept, write_outcome

    config, fitted, dataset, calibration, choices, _, measured = ready
    outcome = new_events.locate_new(fitted, dataset, config, calibration, **choices, say=say, on_event=on_event)
    dataset = outcome.dataset or dataset
    located = [event.id for event in outcome.found]

    def finish() -> None:
        found = arrival_picks.with_picks(dataset, outcome.located, outcome.found)
        found = with_magnitudes(measured, fitted.spec.velocity, dataset, outcome, found)
        with kept(parsed.output, len(ready.dataset), outcome):
            write_outcome(parsed.output, say, outcome._replace(found=found))
            if parsed.pictures and not outcome.interrupted:
                arrival_picks.sections_of_run(fitted, dataset, located, parsed.output)
                new_events.pictures(parsed.output, dataset, outcome, located)

    return finish


def _velocity_of(parsed: argparse.Namespace) -> "VelocityFile | None":
    from jaxloc.io.velocity_model import velocity_file

    return velocity_file(parsed.velocity, parsed.velocity_error, parsed.vp_vs_error, parsed.velocity_form)


def _locate_picks(parsed: argparse.Namespace, console: "Console") -> None:
    from jaxloc import prng
    from jaxloc.runs import locate_picks, new_events
    from jaxloc.runs.outcomes import kept, logged, write_outcome
    from jaxloc.runs.predict import until_interrupted

    if parsed.input or parsed.windows:
        raise ValueError("--locator takes one file or folder of picks: leave out RUN and --windows")
    if parsed.magnitude is not None:
        raise ValueError(f"--magnitude {parsed.magnitude} is measured from waveforms; leave it out with --locator")
    if parsed.workers != "1":
        raise ValueError(f"--workers {parsed.workers} must be used without --locator, which locates in one process")
    settings = locate_picks.as_settings(parsed.set)
    request, picks = _opened_picks(parsed, console, input=parsed.run, settings=settings)
    dataset = picks.dataset
    with logged(parsed.output, lambda line: console.print(line, markup=False)) as say:
        say(f"locating {len(dataset)} events at {len(dataset.stations)} stations")
        setup = locate_picks.setup_for(request, dataset, say)
        request, setup = locate_picks.with_learnt(request, picks, setup, say)
        with _counting(console, say, "located", len(dataset)) as on_event:
            parts = locate_picks.located_in_parts(prng.stream("location"), request, picks, on_event, setup)
            located, interrupted = until_interrupted(parts)
        outcome = locate_picks.outcome_of(picks, located, interrupted, setup)
        with kept(parsed.output, len(dataset), outcome):
            write_outcome(parsed.output, say, outcome)
            if parsed.pictures and not interrupted:
                new_events.pictures(parsed.output, dataset, outcome, [event.id for event in outcome.found])


def _opened_picks(parsed: argparse.Namespace, console: "Console", **given: Any) -> "tuple[locate_picks.Request, Picks]":
    """The request that options of the command line make, with what is given, and its picks; prints their notes."""
    from jaxloc.runs import locate_picks

    options: dict[str, Any] = {n: getattr(parsed, n) for n in locate_picks.Request._fields if hasattr(parsed, n)}
    request = locate_picks.Request(**options | given)
    picks = locate_picks.open_picks(request)
    for note in picks.notes:
        console.print(note, markup=False)
    return request, picks


def _relocate(parsed: argparse.Namespace, console: "Console") -> None:
    from jaxloc import prng
    from jaxloc.atomic_write import write_whole
    from jaxloc.runs import locate_picks, relocate
    from jaxloc.runs.outcomes import logged, write_outcome

    settings = locate_picks.as_settings(parsed.set)
    request = relocate.Request(parsed.method, parsed.start, parsed.differences, settings)
    of_picks, picks = _opened_picks(parsed, console, input=parsed.picks, locator=parsed.method, settings={})
    with logged(parsed.output, lambda line: console.print(line, markup=False)) as say:
        found = relocate.relocate(prng.stream("location"), request, of_picks, picks, say)
        between = relocate.separations(found.located.posterior)
        outcome = locate_picks.outcome_of(picks, found.located, False, found.setup)
        write_outcome(parsed.output, say, relocate.with_reasons(outcome, found.lost))
        for line in relocate.lines_of(found, between):
            say(line)
        write_whole(parsed.output / "separations.csv", relocate.separations_csv(picks.dataset.events, between))
        if parsed.pictures:
            from jaxloc.plots.relocations import relocation_map

            say(f"picture: {relocation_map(parsed.output / 'map.png', *relocate.drawn(found, picks.dataset))}")


def _associate(parsed: argparse.Namespace, console: "Console") -> None:
    from jaxloc.runs import associate
    from jaxloc.runs.outcomes import logged

    given: dict[str, Any] = {name: getattr(parsed, name) for name in associate.Request._fields}
    given |= {name: None if given[name] is None else tuple(given[name]) for name in ("region_deg", "depth_km")}
    with logged(parsed.output, lambda line: console.print(line, markup=False)) as say:
        found, _ = associate.associate_file(associate.Request(**given), parsed.output, say)
        for line in associate.lines_of(found, parsed.output):
            say(line)


@contextlib.contextmanager
def _counting(
    console: "Console", say: Callable[[str], None], text: str, total: int
) -> "Iterator[Callable[[int], None]]":
    """A progress bar of events, on a terminal, and a line every 30 s."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from jaxloc.training.log import counted_in_time

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with (
        Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress,
        counted_in_time(say, text, total) as count,
    ):
        bar = progress.add_task(text, total=total)

        def on_event(number: int) -> None:
            progress.update(bar, completed=number)
            count(number)

        yield on_event


def _match(parsed: argparse.Namespace, console: "Console") -> None:
    from jaxloc import prng
    from jaxloc.detection.matched_detection import MatchSettings
    from jaxloc.detection.templates import TemplateSettings
    from jaxloc.runs import match, match_files, match_mess
    from jaxloc.runs.executors import executor_of, workers_of
    from jaxloc.runs.outcomes import logged

    fewest, pair = parsed.fewest_stations, tuple
    templates = TemplateSettings(
        pair(parsed.band), pair(parsed.before), pair(parsed.after), least_snr=parsed.snr, fewest_stations=fewest
    )
    settings = MatchSettings(parsed.false_alarms, parsed.mad, fewest)
    request = match.Request(
        parsed.archive, parsed.events, parsed.stations, parsed.start, parsed.end, parsed.chunk, rate_hz=parsed.rate,
        templates=templates, settings=settings,
    )  # fmt: skip
    workers = workers_of(parsed.workers)
    with (
        logged(parsed.output, lambda line: console.print(line, markup=False)) as say,
        contextlib.nullcontext() if workers == 1 else executor_of(workers) as executor,
    ):
        began = time.monotonic()
        chunks = match.number_of_chunks(request)
        with _counting(console, say, "scanned chunks", chunks) as on_chunk:
            folder = parsed.output / match.FOLDER
            if parsed.method == "mess":
                by_mess = match_mess.match_archive(request, folder, executor, say, on_chunk)
                lines, names = match_mess.lines(by_mess), match_mess.write_matched(parsed.output, by_mess)
            else:
                found = match.match_archive(prng.stream("false alarms"), request, folder, executor, say, on_chunk)
                lines, names = match_files.lines(found), match_files.write_matched(parsed.output, found)
        for line in lines:
            say(line)
        say(f"{parsed.output}: {', '.join(names)}, after {time.monotonic() - began:.0f} s")


def _evaluate(parsed: argparse.Namespace, console: "Console") -> None:
    if parsed.catalogue is not None:
        return _evaluate_catalogue(parsed, console)
    if parsed.exact_truth:
        raise ValueError("--exact-truth has effect with --catalogue only; leave it out")
    if parsed.predictions is not None:
        return _evaluate_predictions(parsed, console)
    if parsed.run is None or parsed.dataset is None:
        raise ValueError("evaluate must have RUN and DATASET, or --predictions FILE, or --catalogue FILE")
    if parsed.truth is not None:
        raise ValueError("use --truth with --predictions only; a DATASET has its own labels")
    from jaxloc.runs import report
    from jaxloc.runs.evaluate import evaluate
    from jaxloc.runs.inputs import open_input
    from jaxloc.runs.load import load
    from jaxloc.runs.new_events import searched
    from jaxloc.runs.transfer import prepared, told_by_default, trained_for

    config, fitted = load(parsed.run)
    dataset = open_input(fitted, config, [parsed.dataset], None, None, parsed.split, events=parsed.only_events)
    velocity = _velocity_of(parsed)
    if by_default := told_by_default(fitted, dataset, velocity):
        console.print(by_default, markup=False)
    fitted = prepared(trained_for(fitted, dataset, velocity), dataset)
    name = f"evaluate_{dataset.name}_{parsed.split or 'all'}"
    folder = parsed.output or (parsed.run / name if parsed.run.is_dir() else Path(f"{parsed.run.stem}_{name}"))
    say = lambda line: console.print(line, markup=False)
    calibration, where = _calibration_of(parsed, console), searched(fitted, dataset, config)
    evaluate(fitted, dataset, folder, str(config["name"]), say, calibration, searched=where)
    _show(report.read_scores(folder), console)
    console.print(f"score card and pictures: {folder}", markup=False)


def _calibration_of(parsed: argparse.Namespace, console: "Console") -> "Calibration | None":
    from jaxloc.calibration.storage import read_calibration
    from jaxloc.runs import report

    calibration = None if parsed.raw else read_calibration(parsed.run)
    if calibration is not None:
        console.print(report.calibrated_line(calibration), markup=False)
    return calibration


def _calibrate(parsed: argparse.Namespace, console: "Console") -> None:
    from jaxloc.calibration.storage import write_calibration
    from jaxloc.runs import report
    from jaxloc.runs.calibrate import calibrate_run
    from jaxloc.runs.datasets import fresh_events
    from jaxloc.runs.inputs import open_input
    from jaxloc.runs.load import load
    from jaxloc.runs.transfer import trained_for

    config, fitted = load(parsed.run)
    if parsed.dataset is None:
        dataset = fresh_events(config["data"], int(config["seed"]), parsed.events)
    else:
        dataset = open_input(fitted, config, [parsed.dataset], None, None, parsed.split)
    fitted = trained_for(fitted, dataset, _velocity_of(parsed))
    console.print(f"locating {len(dataset)} events at {len(dataset.stations)} stations", markup=False)
    cards, calibration = calibrate_run(fitted, dataset, parsed.map, parsed.by)
    console.print(report.table(cards, f"Maps of posteriors, cross-fitted on {len(dataset)} events of {dataset.name}"))
    path = write_calibration(parsed.run, calibration)
    console.print(f"map taken: {calibration.map.kind}", markup=False)
    for text in report.calibration_lines(calibration):
        console.print(text, markup=False)
    console.print(f"calibration: {path}; locate and evaluate use it from now on", markup=False)


def _evaluate_catalogue(parsed: argparse.Namespace, console: "Console") -> None:
    from jaxloc.runs.evaluate_catalogue import evaluate_catalogue, tables

    names = ("run", "predictions", "split", "velocity")
    if given := [name for name in names if getattr(parsed, name) is not None]:
        raise ValueError(f"--catalogue is judged as it is: leave out {given[0]}")
    if parsed.truth is None:
        raise ValueError("--catalogue needs --truth, the catalogue by which it is judged")
    folder = parsed.output or Path(f"evaluate_{parsed.catalogue.stem}")
    found = evaluate_catalogue(parsed.catalogue, parsed.truth, folder, True if parsed.exact_truth else None)
    console.print(tables(found.scores), markup=False)
    for note in found.notes:
        console.print(note, markup=False)
    console.print(f"scores and pictures: {folder}", markup=False)


def _evaluate_predictions(parsed: argparse.Namespace, console: "Console") -> None:
    from jaxloc.runs import report, score_external

    if parsed.run is not None or parsed.split is not None or parsed.velocity is not None:
        raise ValueError("--predictions are scored as they are: leave out RUN, DATASET, --split and --velocity")
    folder = parsed.output or Path(f"evaluate_{parsed.predictions.stem.replace('*', '_')}")
    scores = score_external.score_predictions(parsed.predictions, folder, parsed.truth)
    about = scores["about"]
    console.print(report.table({about["name"]: scores["locator"]}, f"{about['events']} events of {about['dataset']}"))
    one, two = (100 * about[f"inside_{number}_stated"] for number in ("one", "two"))
    console.print(f"epicentres inside one predicted sd: {one:.1f} %, inside two: {two:.1f} %")
    _say_conformal(about, console)
    for line in about["warnings"]:
        console.print(f"warning: {line}", markup=False)
    if without := about["without_truth"]:
        console.print(
            f"{len(without)} located events have no truth and are not scored: {', '.join(without)}", markup=False
        )
    if about["sharpened"]:
        console.print(f"{about['sharpened']} events have a reported uncertainty of nearly zero: 10 m (1 ms) is used")
    console.print(f"score card and pictures: {folder}", markup=False)


def _adapt(parsed: argparse.Namespace, console: "Console") -> None:
    from jaxloc.models.pretrained import read_pretrained
    from jaxloc.runs.adapt import adapt, write_adapted
    from jaxloc.runs.adapt_weights import Tuning
    from jaxloc.runs.inputs import open_input
    from jaxloc.runs.load import load
    from jaxloc.runs.shipped import weights_of

    plain = lambda line: console.print(line, markup=False)
    weights = weights_of(parsed.model)
    if weights is None:
        raise ValueError(f"{parsed.model} must be a file of weights, or the name of a model that comes with jaxloc")
    config, fitted = load(parsed.model)
    dataset = open_input(fitted, config, [parsed.events], None, None, parsed.split)
    velocity = _velocity_of(parsed)
    tuning = Tuning() if parsed.steps is None else Tuning(steps=parsed.steps)
    tuning = tuning if parsed.weights or parsed.steps is not None else None
    layers = None if velocity is None else velocity.settings()
    with _bars(console) as on_step:
        found = adapt(read_pretrained(weights), dataset, layers, plain, tuning, parsed.output, on_step)
    about = {"model": str(parsed.model), "dataset": dataset.name, "events": len(dataset), "split": parsed.split}
    about |= {"tuning": None if tuning is None else tuning._asdict()}
    write_adapted(parsed.output, found, about)
    plain(f"adapted model: {parsed.output}; `jaxloc locate {parsed.output} INPUT` and `jaxloc evaluate` use it")


def _compare(parsed: argparse.Namespace, console: "Console") -> None:
    from jaxloc.plots.score_cards import compare_cards, reliability_diagram
    from jaxloc.runs import report
    from jaxloc.runs.compare import cards_of, side_by_side

    for option, path in (("output", parsed.output), ("reliability", parsed.reliability)):
        if path is not None and path.suffix.lower() not in PICTURES:
            raise ValueError(f"--{option} {path} must end in one of {', '.join(PICTURES)}")
    cards, warnings = side_by_side(parsed.runs)
    console.print(report.table(cards, "Score cards"))
    for line in warnings:
        console.print(f"warning: {line}", markup=False)
    compare_cards(parsed.output, cards)
    console.print(f"picture: {parsed.output}", markup=False)
    if parsed.reliability is not None:
        reliability_diagram(parsed.reliability, cards_of(parsed.runs))
        console.print(f"picture: {parsed.reliability}", markup=False)


def _convert(parsed: argparse.Namespace, console: "Console") -> None:
    from jaxloc.io import convert

    if parsed.list:
        from jaxloc.io.formats import FORMATS

        for form in FORMATS.values():
            console.print(f"  {form.name:<20} {form.text}{'' if form.write else ' (read only)'}", markup=False)
        return
    if len(parsed.files) < 2:
        raise ValueError("convert must have INPUT and OUTPUT, or --list")
    *inputs, output = parsed.files
    done = convert.convert(inputs, output, parsed.source, parsed.target, parsed.stations)
    for line in convert.summary(done, inputs, output):
        console.print(line, markup=False)


def _lint(parsed: argparse.Namespace, console: "Console") -> int:
    from jaxloc.atomic_write import write_whole
    from jaxloc.io.lint import lint
    from jaxloc.io.uncertainty_checks import summary

    if parsed.fix is not None and len(parsed.files) > 1:
        raise ValueError("--fix writes the correction of one file; give one FILE")
    wrong = False
    for path in parsed.files:
        report = lint(path)
        wrong = wrong or bool(report.findings)
        lines = summary(report.findings) or ["uncertainties are well-formed and agree"]
        console.print(f"{path}: {report.origins} origin{'s' * (report.origins != 1)}", markup=False)
        for line in lines:
            console.print(f"  {line}", markup=False)
        if parsed.fix is not None and report.findings:
            write_whole(parsed.fix, report.corrected)
            left = f"; left as they are: {', '.join(report.left)}" if report.left else ""
            console.print(f"corrected: {parsed.fix}{left}", markup=False)
    return int(wrong)


def _list(parsed: argparse.Namespace, console: "Console") -> None:
    from jaxloc.runs import listing

    for kind, rows in listing.described([parsed.kind] if parsed.kind else None).items():
        console.print(f"\n{kind}", markup=False)
        for name, text in rows.items():
            console.print(f"  {name:<26} {text}", markup=False)


_COMMANDS: dict[str, Callable[[argparse.Namespace, "Console"], int | None]] = {
    "run": _run,
    "catalogue": _catalogue,
    "pick": _pick,
    "locate": _locate,
    "relocate": _relocate,
    "match": _match,
    "associate": _associate,
    "evaluate": _evaluate,
    "adapt": _adapt,
    "calibrate": _calibrate,
    "study": _study,
    "crossvalidate": _crossvalidate,
    "compare": _compare,
    "convert": _convert,
    "lint": _lint,
    "list": _list,
}

if __name__ == "__main__":
    sys.exit(main())
