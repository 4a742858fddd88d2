"""Experiment configurations, by Hydra: found by name, overridden by key=value, wrong names answered by right ones."""

import re
import warnings
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from jaxloc.runs.listing import experiments_folder, names

KINDS = {"Integer": "a whole number", "Float": "a number", "bool": "true or false"}


def experiment_names() -> list[str]:
    """Names that `jaxloc run` takes."""
    return names()


def study_names() -> list[str]:
    """Names that `jaxloc study` takes."""
    return names("studies")


def load_study(study: str, overrides: list[str]) -> dict[str, Any]:
    """The resolved configuration of a study; raises as `load`."""
    if study not in study_names():
        raise ValueError(f"no such study: {study!r}; use one of {', '.join(study_names())}")
    from jaxloc.runs import checks, checks_studies, store  # as in `load`

    store.register()
    config = composed(f"studies/{study}", overrides)
    found = checks.without_unknown(config, resolved(config))
    checks_studies.check_study(found, overrides)
    return found


def load(experiment: str, overrides: list[str]) -> dict[str, Any]:
    """The resolved configuration of an experiment after overrides, as plain values.

    Raises:
        ValueError: for an experiment, key, group choice or value that does not exist or has no effect; lists what
            there is.
    """
    check_name(experiment)
    from jaxloc.runs import checks, store  # they read the signatures of all models: once there is something to load

    store.register()
    config = composed(experiment, overrides)
    if OmegaConf.is_missing(config, "name"):
        config.name = f"{experiment}_{config.posterior.name}" if "posterior" in config else experiment
    return checks.checked(checks.without_unknown(config, resolved(config)), overrides)


def check_name(experiment: str) -> None:
    """Refuse an experiment that does not exist.

    Raises:
        ValueError: lists those that do.
    """
    if experiment not in experiment_names():
        raise ValueError(f"no such experiment: {experiment!r}; use one of {', '.join(experiment_names())}")


def composed(name: str, overrides: list[str]) -> DictConfig:
    """A configuration before its references are resolved; raises as `load`."""
    for override in overrides:
        if "=" not in override and not override.startswith("~"):
            raise ValueError(f"an override must read key=value, got {override!r}")
    try:
        return _compose(name, overrides)
    except MissingConfigException as error:
        raise ValueError(_choices(str(error))) from error
    except (HydraException, OmegaConfBaseException) as error:
        raise ValueError(_explained(error, name, overrides)) from error


def _compose(name: str, overrides: list[str]) -> DictConfig:
    hydra = GlobalHydra.instance()
    before, hydra.hydra = hydra.hydra, None  # where a job of Hydra's asks, its own composition stays
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*version_base", category=Warning)
            # OmegaConf 2.4 calls this deprecated; 2.3 has no other that can be called again.
            warnings.filterwarnings("ignore", message=r"\s*register_new_resolver", category=Warning)
            OmegaConf.register_new_resolver("by_posterior", _by_posterior, replace=True)
            with initialize_config_dir(str(experiments_folder()), version_base="1.3"):
                return compose(name, overrides)
    finally:
        GlobalHydra.instance().hydra = before


def _by_posterior(values: Any, otherwise: Any, *, _root_: DictConfig) -> Any:
    """`${by_posterior:{nuts:100},600}`: the value for the chosen posterior, 600 for those that are not named.

    OmegaConf gives `values` as a `DictConfig` or a dict, by its version, and warns of an annotation of the other kind.
    """
    return values.get(_root_.posterior.name, otherwise)


def resolved(config: DictConfig) -> dict[str, Any]:
    """A configuration as plain values.

    Raises:
        ValueError: for a reference that leads nowhere, or a value that is missing; names it.
    """
    try:
        found = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise ValueError(
            f"{_first_line(error)}; it must have a value: {getattr(error, 'full_key', None)}=..."
        ) from error
    assert isinstance(found, dict)
    return {str(key): value for key, value in found.items()}


def _choices(message: str) -> str:
    """Hydra's list of the members of a group, without those that others are built on."""
    lines = [re.sub(r"^[-\s]*", "", line.strip()) for line in message.splitlines() if line.strip()]
    kept = [line for line in lines if "Config search path" not in line and "provider=" not in line]
    return " ".join(line for line in kept if not line.startswith("base_"))


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _explained(error: Exception, name: str, overrides: list[str]) -> str:
    """Which override is wrong and why: a value of another type, or a key among those that are there."""
    cause, key = error.__cause__, _key_at_fault(str(error), overrides)
    if isinstance(cause, OmegaConfBaseException) and not isinstance(cause, ConfigKeyError | ConfigAttributeError):
        found = re.search(r"(?:converted to|not a valid) (\w+)", str(cause))
        reason = f"it must be {KINDS.get(found.group(1), found.group(1))}" if found else _first_line(cause)
        return f"{next((o for o in overrides if _key(o) == key), key)} cannot be used: {reason}"
    first = _first_line(cause if isinstance(cause, OmegaConfBaseException) else error).rstrip(".")
    try:
        config = _compose(name, [])
    except (HydraException, OmegaConfBaseException):
        return first
    section, parent = _section(config, key)
    where = f"under {parent!r} " if parent else ""
    return f"{key}: {first}. Keys {where}must be one of: {', '.join(map(str, section))}"


def _key_at_fault(message: str, overrides: list[str]) -> str:
    bad = re.search(r"override[ :]+'?\"?([^'\"\s=]+)", message)
    return _key(bad.group(1).rstrip(".") if bad else next(iter(overrides), ""))


def _key(override: str) -> str:
    return override.lstrip("+~").partition("=")[0]


def _section(config: DictConfig, key: str) -> tuple[DictConfig, str]:
    """The deepest section on the way to a key that exists, and its name."""
    parent = key.rpartition(".")[0]
    while parent:
        section = OmegaConf.select(config, parent)
        if isinstance(section, DictConfig):
            return section, parent
        parent = parent.rpartition(".")[0]
    return config, ""
