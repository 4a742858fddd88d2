"""Many runs of one experiment, by Hydra's multirun: `jaxloc run -m quickstart seed=0,1,2`.

Values separated by commas are combined; each combination is one job of Hydra's launcher: one after the other by
default, in processes or on a cluster with `hydra/launcher=submitit_local` or `submitit_slurm` (extra `[cluster]`).
"""

import itertools
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig

from jaxloc.runs import config as configuration
from jaxloc.runs import store
from jaxloc.runs.listing import experiments_folder

Run = Callable[[dict[str, Any], Path], None]
"""Trains and scores one resolved configuration in a run folder."""
SETTINGS = (
    "hydra.sweep.subdir=${hydra:job.num}",
    "hydra.output_subdir=null",
    "hydra/job_logging=none",
    "hydra/hydra_logging=none",
)
"""Hydra keeps its own files in a hidden folder; those of a run are in its run folder."""


def run_all(experiment: str, overrides: Sequence[str], run: Run) -> list[Path]:
    """Run an experiment for each combination of the values that overrides separate by commas.

    Each run's folder is `KEY-VALUE_...` in `runs/EXPERIMENT_multirun`, or in `run_dir` where that is given.

    Args:
        experiment: its name.
        overrides: `key=value` or `key=value,value,...`; those that begin with `hydra` are of the launcher.
        run: what a job does; some launchers send it to other processes.

    Returns:
        The folders of all runs, whether they came to their end or not.

    Raises:
        ValueError: for an override that is wrong in any combination, before any run.
    """
    configuration.check_name(experiment)
    of_hydra = [override for override in overrides if override.startswith(("hydra.", "hydra/"))]
    own = [override for override in overrides if override not in of_hydra]
    parent = Path(
        next((o.partition("=")[2].strip("'\"") for o in own if _key(o) == "run_dir"), f"runs/{experiment}_multirun")
    )
    own = [override for override in own if _key(override) != "run_dir"]
    swept = _swept(own)
    each_run = combinations(own)
    for each in each_run:
        configuration.load(experiment, each)
    _launch(experiment, [*own, f"hydra.sweep.dir={parent / '.hydra'}", *SETTINGS, *of_hydra], _Job(parent, swept, run))
    return [_folder(parent, each, swept) for each in each_run]


def combinations(overrides: Sequence[str]) -> list[list[str]]:
    """The overrides of each run.

    Raises:
        ValueError: where an override cannot be read.
    """
    each = [
        [f"{text.partition('=')[0]}={value}" for value in parsed.sweep_string_iterator()]
        if parsed.is_sweep_override()
        else [text]
        for parsed, text in zip(_parsed(overrides), overrides, strict=True)
    ]
    return [list(one) for one in itertools.product(*each)]


def _swept(overrides: Sequence[str]) -> frozenset[str]:
    """The keys of which there are several values."""
    pairs = zip(_parsed(overrides), overrides, strict=True)
    return frozenset(_key(text) for parsed, text in pairs if parsed.is_sweep_override())


def _parsed(overrides: Sequence[str]) -> list[Override]:
    try:
        return OverridesParser.create().parse_overrides(list(overrides))
    except HydraException as error:
        raise ValueError(f"{str(error).splitlines()[0]}; an override must read key=value or key=value,value") from error


def _key(override: str) -> str:
    return override.lstrip("+~").partition("=")[0]


def _folder(parent: Path, overrides: Sequence[str], swept: frozenset[str]) -> Path:
    """A run's folder, named by what differs among the runs; without "=", which overrides could not name."""
    parts = [f"{_key(each)}-{each.partition('=')[2]}" for each in overrides if _key(each) in swept]
    name = "".join(c if c.isalnum() or c in "-_.," else "-" for c in "_".join(parts))
    return parent / (name or "single")


class _Job(NamedTuple):
    """What Hydra's launcher calls for each combination."""

    parent: Path
    swept: frozenset[str]
    run: Run

    def __call__(self, composed: DictConfig) -> None:
        """Run the combination of this job; what goes wrong is one line, and the other jobs go on."""
        of_job = HydraConfig.get()
        overrides = list(of_job.overrides.task)
        folder = _folder(self.parent, overrides, self.swept)
        try:
            self.run(configuration.load(str(of_job.job.config_name), [*overrides, f"run_dir='{folder}'"]), folder)
        except (ValueError, FloatingPointError, OSError) as error:
            print(f"jaxloc: {folder}: {error}", file=sys.stderr)


def _launch(experiment: str, arguments: Sequence[str], job: _Job) -> None:
    store.register()
    before = sys.argv
    sys.argv = ["jaxloc", "--multirun", *arguments]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            main = hydra.main(config_path=str(experiments_folder()), config_name=experiment, version_base="1.3")
            main(lambda composed: job(composed))()
    finally:
        sys.argv = before
