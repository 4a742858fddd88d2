"""Checks of configurations, refused by key, value and remedy before anything is simulated, read or trained.

Types are checked by the structured configurations; here are ranges, values that belong together, and values without
effect. Those given on the command line are refused; those that come with an experiment for other posteriors are set to
what is in effect, so that `config.json` records it.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from fnmatch import fnmatchcase
from itertools import pairwise
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf

from jaxloc import locators
from jaxloc.inference import registry
from jaxloc.models.registry import builders
from jaxloc.physics.gradient import FORMS
from jaxloc.physics.layered import VP_VS
from jaxloc.physics.pick_errors import KINDS
from jaxloc.runs.derived import wrong_length
from jaxloc.settings import settings_of

Config = dict[str, Any]


class Rule(NamedTuple):
    """What the values of some keys must be; `*` in a key stands for any text."""

    keys: tuple[str, ...]
    accepts: Callable[[Any], bool]
    must_be: str


def _pair(values: Sequence[float]) -> bool:
    return len(values) == 2 and all(map(math.isfinite, values)) and values[0] < values[1]


def _velocities(values: Sequence[float]) -> bool:
    return len(values) > 0 and all(0.1 <= value <= 15 for value in values)


def _increasing(values: Sequence[float]) -> bool:
    return all(low < high for low, high in pairwise(values))


def _sizes(value: int | Sequence[int]) -> bool:
    sizes = [value] if isinstance(value, int | float) else list(value)
    return len(sizes) > 0 and all(size >= 1 for size in sizes)


LARGEST_BATCH = 10_000  # events at once: more of them fit no memory
SIZES = ("channels", "clusters", "components", "heads", "hidden", "kernel_size", "kernels", "layers", "neighbours") + (
    "recurrent",
    "rounds",
    "seeds",
    "width",
)
RULES = (
    Rule(("seed",), lambda x: 0 <= x < 2**32, "a whole number within 0-4294967295"),
    Rule(("run_dir", "name", "data.folder", "data.path"), lambda x: bool(x.strip()), "a name that is not empty"),
    Rule(
        ("posterior.members", "posterior.draws", "data.num_train", "data.num_dev", "data.num_samples"),
        lambda x: x >= 1,
        "at least 1",
    ),
    Rule(("*.batch_size",), lambda x: 1 <= x <= LARGEST_BATCH, f"within 1-{LARGEST_BATCH}"),
    Rule(("*.per_call", "*.checks", "*.at_once", "data.memory_mb"), lambda x: x >= 1, "at least 1"),
    Rule(("simulation.num_*", "data.events_each"), lambda x: x >= 1, "at least 1"),
    Rule(("stages.*.steps",), lambda x: x >= 0, "0 or more (0 leaves the stage out)"),
    Rule(("data.held_out", "data.least_picks"), lambda x: x >= 0, "0 or more"),
    Rule(
        ("stages.*.rates.*", "*.arrival_weight", "*.hypocentre_weight", "data.region.margin_km"),
        lambda x: 0 <= x < math.inf,
        "0 or more, and finite",
    ),
    Rule(("stages.*.data",), lambda x: x in ("train", "simulated"), "train or simulated"),
    Rule(("stages.*.method",), lambda x: x in ("point", "posterior"), "point or posterior"),
    Rule(("*.augmentation.drop_*", "data.lost_picks"), lambda x: 0 <= x <= 1, "a share within 0-1"),
    Rule(("*.augmentation.*",), lambda x: 0 <= x < math.inf, "0 or more, and finite"),
    Rule(
        (
            "*.learning_rate",
            "posterior.rate",
            "posterior.prior_scale",
            "temperature",
            "*.temperature",
            "*.initial_scale",
        ),
        lambda x: 0 < x < math.inf,
        "greater than 0",
    ),
    Rule(
        ("data.rate_hz", "data.gain_m_s", "data.half_width_km", "data.speed_factor"),
        lambda x: 0 < x < math.inf,
        "greater than 0",
    ),
    Rule(
        ("*.bandpass_hz", "data.native_band_hz", "data.region.depth_km", "data.region.origin_s", "data.pick_sd_s"),
        _pair,
        "two numbers, the lower one first",
    ),
    Rule(("locator.width", "locator.shake_s", "locator.spacing_km"), lambda x: 0 < x < math.inf, "greater than 0"),
    Rule(("locator.model_sd_s", "locator.model_share"), lambda x: 0 <= x < math.inf, "0 or more, and finite"),
    Rule(("locator.outlier",), lambda x: 0 <= x < 1, "a share within 0-1"),
    Rule(("locator.kind",), lambda x: x in KINDS, f"one of {', '.join(KINDS)}"),
    Rule(("data.velocity.vp_vs",), lambda x: VP_VS[0] <= x <= VP_VS[1], f"within {VP_VS[0]}-{VP_VS[1]}"),
    Rule(("data.velocity.speed_sd", "data.velocity.vp_vs_sd"), lambda x: 0 <= x <= 0.5, "within 0-0.5"),
    Rule(("data.velocity.form",), lambda x: x in FORMS, f"one of {', '.join(FORMS)}"),
    Rule(("data.velocity.vp_km_s",), _velocities, "velocities within 0.1-15 km/s"),
    Rule(("evaluation.*_folds",), lambda x: x == 0 or x >= 2, "0 (none) or at least 2"),
    Rule(("evaluation.space_km",), lambda x: 0 < x < math.inf, "greater than 0"),
    Rule(("evaluation.space_blocks",), lambda x: x in ("cells", "clusters"), "cells or clusters"),
    Rule(("evaluation.dev_share",), lambda x: 0 < x < 1, "a share between 0 and 1"),
    Rule(("evaluation.draws",), lambda x: x >= 2, "at least 2"),
    Rule(("evaluation.shift_windows",), lambda x: x == 0 or x >= 2, "0 (no flags) or at least 2"),
    Rule(("data.velocity.top_km",), _increasing, "depths that increase"),
    Rule(("model.dropout",), lambda x: 0 <= x < 1, "a share within 0-1, below 1"),
    Rule(tuple(f"model.{name}" for name in SIZES), _sizes, "at least 1, and where it is a list, not empty"),
)


def checked(config: Config, overrides: Sequence[str]) -> Config:
    """A configuration whose values all have effect.

    Args:
        config: resolved.
        overrides: of the command line, `key=value`.

    Raises:
        ValueError: for a value out of range or without effect, or values that do not belong together; names key,
            value and what to do.
    """
    for key, value in _values(config):
        for rule in RULES:
            if any(fnmatchcase(key, pattern) for pattern in rule.keys) and not _holds(rule, value):
                raise ValueError(f"{key}={value} is refused: it must be {rule.must_be}")
    given = {override.lstrip("+~").partition("=")[0] for override in overrides}
    if "task" not in config:
        _check_velocity(config["data"]["velocity"])
    if "locator" in config:
        _check_locator(config["locator"])
        return config
    if "task" not in config:
        _check_model(config["model"])
        _check_stages(config)
    return _in_effect(_with_options(config, given), given)


def without_unknown(config: DictConfig, found: Config) -> Config:
    """The resolved configuration `found` of `config`, refused where it has keys that no structured configuration has.

    Raises:
        ValueError: names the key and those that there are.
    """
    for at, section in _sections(config, ""):
        kind = OmegaConf.get_type(section)
        if kind is not None and is_dataclass(kind):
            known = [field.name for field in fields(kind)]
            if unknown := [str(key) for key in section if key not in known]:
                place = f" under {at.rstrip('.')!r}" if at else ""
                raise ValueError(f"no such key: {at}{unknown[0]}. Keys{place} must be one of: {', '.join(known)}")
    return found


def _sections(section: DictConfig, at: str) -> Iterator[tuple[str, DictConfig]]:
    yield at, section
    for key in section:
        inner = section._get_node(key)
        if isinstance(inner, DictConfig) and not inner._is_none() and not inner._is_interpolation():
            yield from _sections(inner, f"{at}{key}.")


def _values(config: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    """Each value that is no section, with its key."""
    for key, value in config.items():
        if isinstance(value, dict):
            yield from _values(value, f"{at}{key}.")
        elif value is not None:
            yield f"{at}{key}", value


def _holds(rule: Rule, value: Any) -> bool:
    try:
        return rule.accepts(value)
    except (TypeError, AttributeError):
        return False


def _check_model(model: Config) -> None:
    known = builders()
    if model["name"] not in known:
        raise ValueError(f"no such model: {model['name']!r}; use one of {', '.join(known)}")
    for name, setting in (settings_of(known[model["name"]]) or {}).items():
        if (number := wrong_length(setting.annotation, model.get(name))) is not None:
            raise ValueError(f"model.{name}={model[name]} is refused: it must be {number} values")


def _check_locator(locator: Config) -> None:
    if locator["name"] not in locators.__all__:
        raise ValueError(f"no such locator: {locator['name']!r}; use one of {', '.join(locators.__all__)}")


def _check_velocity(velocity: Config) -> None:
    tops, vp = velocity["top_km"], velocity["vp_km_s"]
    if len(tops) != len(vp):
        raise ValueError(
            f"data.velocity has {len(tops)} tops and {len(vp)} velocities; each layer must have one velocity"
        )


def _check_stages(config: Config) -> None:
    stages, prior_from = config["stages"], config["posterior"]["prior_from"]
    if not any(stage["steps"] for stage in stages.values()):
        raise ValueError("no stage has any steps; stages.NAME.steps must be positive in one stage at least")
    if prior_from is not None and prior_from not in stages:
        raise ValueError(
            f"posterior.prior_from={prior_from} is no stage; use one of {', '.join(stages)}, or null for a prior "
            "centred on zero"
        )
    for name, stage in stages.items():
        if stage["data"] == "simulated" and stage["relabel"]:
            raise ValueError(
                f"stages.{name}.relabel must be false in stages without data=train; simulated events are labelled"
            )
        if stage["data"] == "simulated" and stage["steps"] and config["simulation"] is None:
            raise ValueError(f"stages.{name}.data=simulated needs events; use +simulation=general, for example")


def _with_options(config: Config, given: set[str]) -> Config:
    """Options of the posterior's method alone; those of the group's own method that another one lacks are left out."""
    posterior = config["posterior"]
    known, options = registry.options_of(posterior["method"]), dict(posterior["options"])
    for name in sorted(set(options) - set(known)):
        if f"posterior.options.{name}" in given:
            raise ValueError(
                f"posterior.options.{name} has no effect with posterior.method={posterior['method']}; "
                f"use only its options: {', '.join(known) or 'none'}"
            )
        del options[name]
    return config | {"posterior": posterior | {"options": options}}


class Idle(NamedTuple):
    """A key that has no effect in some configurations, the value that means so, and why."""

    key: str
    where: Callable[[Config], bool]
    neutral: Callable[[Config], Any]
    why: str


IDLE = (
    Idle(
        "temperature",
        lambda c: "temperature" not in c["posterior"]["options"],
        lambda c: 1.0,
        "this posterior has no temperature",
    ),
    Idle(
        "posterior.prior_scale",
        lambda c: c["posterior"]["prior_from"] is None,
        lambda c: 1.0,
        "it is the width of a prior around the weights of posterior.prior_from, which is null",
    ),
    Idle(
        "posterior.rate",
        lambda c: not registry.has_optimizer(c["posterior"]["method"]),
        lambda c: 1.0,
        "this posterior has steps of its own (posterior.options.step_size)",
    ),
    Idle(
        "data.held_out",
        lambda c: c["data"].get("dev_split") is not None,
        lambda c: 0,
        "validation events are those of data.dev_split; set that to null",
    ),
)


def _in_effect(config: Config, given: set[str]) -> Config:
    for idle in IDLE:
        section, _, name = idle.key.rpartition(".")
        held = config[section] if section else config
        if name not in held or not idle.where(config) or held[name] == (neutral := idle.neutral(config)):
            continue
        if idle.key in given:
            raise ValueError(f"{idle.key}={held[name]} has no effect: {idle.why}; leave it out")
        config = config | ({section: held | {name: neutral}} if section else {name: neutral})
    return _with_own_draws(config)


def _with_own_draws(config: Config) -> Config:
    """The number of draws that is in effect: a point estimate has one a member."""
    posterior = config["posterior"]
    return config | {"posterior": posterior | {"draws": registry.draws_of(posterior)}}
