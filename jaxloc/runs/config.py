"""Experiment configurations, by Hydra: found by name, overridden by key=value, wrong names answered by right ones."""

import re
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from jaxloc.runs.listing import experiments_folder, names


def experiment_names() -> list[str]:
    """Names that `jaxloc run` takes."""
    return names()


def study_names() -> list[str]:
    """Names that `jaxloc study` takes."""
    return names("studies")


def load_study(study: str, overrides: list[str]) -> dict[str, Any]:
    """The resolved configuration of a study; raises as `load`."""
    if study not in study_names():
        raise ValueError(f"no such study: {study!r}; the studies are {', '.join(study_names())}")
    return _composed(f"studies/{study}", overrides)


def load(experiment: str, overrides: list[str]) -> dict[str, Any]:
    """The resolved configuration of an experiment after overrides, as plain values.

    Raises:
        ValueError: for an experiment, key, group choice or value that does not exist; lists what does.
    """
    if experiment not in experiment_names():
        raise ValueError(f"no such experiment: {experiment!r}; the experiments are {', '.join(experiment_names())}")
    return _composed(experiment, overrides)


def _composed(experiment: str, overrides: list[str]) -> dict[str, Any]:
    for override in overrides:
        if "=" not in override:
            raise ValueError(f"an override must read key=value, got {override!r}")
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(experiments_folder()), version_base="1.3"):
            config = compose(experiment, overrides)
            resolved = OmegaConf.to_container(config, resolve=True)
    except MissingConfigException as error:
        raise ValueError(_choices(str(error))) from error
    except (ConfigCompositionException, HydraException, OmegaConfBaseException) as error:
        raise ValueError(_explain(error, experiment, overrides)) from error
    assert isinstance(resolved, dict)
    return {str(k): v for k, v in resolved.items()}


def _choices(message: str) -> str:
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    available = [re.sub(r"^[-\s]*", "", line) for line in lines]
    return " ".join(line for line in available if "Config search path" not in line and "provider=" not in line)


def _explain(error: Exception, experiment: str, overrides: list[str]) -> str:
    """Which override is wrong, and the keys that are there."""
    first = str(error).splitlines()[0] if str(error) else type(error).__name__
    bad = re.search(r"override[ :]+'?\"?([^'\"\s=]+)", str(error))
    key = bad.group(1).lstrip("+~") if bad else next((o.split("=")[0] for o in overrides), "")
    try:
        with initialize_config_dir(str(experiments_folder()), version_base="1.3"):
            config: DictConfig = compose(experiment)
        parent = key.rsplit(".", 1)[0] if "." in key else ""
        section = OmegaConf.select(config, parent) if parent else config
        keys = ", ".join(str(k) for k in section) if isinstance(section, DictConfig) else ", ".join(map(str, config))
        where = f"under {parent!r} " if parent and isinstance(section, DictConfig) else ""
        return f"{first}. Keys {where}are: {keys}"
    except HydraException:
        return first
