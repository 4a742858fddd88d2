"""The weight posterior that a configuration names, built with its optimiser.

Weight posteriors are the functions of `jaxloc.inference.__all__` whose first argument is a target. What else they are
given follows from their signatures, so that a new one needs no entry here:

* `optimizer`: Adam with warm-up and cosine decay, at a constant rate where the annotation is `ConstantRate`;
* `steps`: the number of steps of the stage, the largest one of a posterior that ends once it has converged;
* `start`, `warm_up`: a number of steps, in configurations a share of those of the stage (`begin`, `warm_up`);
* everything else is an option of the same name in configurations (`posterior.options`).

A posterior with `start` or `steps` is complete at the end of its stage alone, and one with a temperature, which is
more than a point, is not to be stopped early either: its spread would be that of its first steps.
"""

import inspect
from collections.abc import Callable, Mapping
from fnmatch import fnmatch
from typing import Any, NamedTuple

import jax

from jaxloc import inference
from jaxloc.inference import optimizer as optimizer_
from jaxloc.types import NETWORK, Method, Target

Settings = Mapping[str, Any]
Build = Callable[..., Method]
GIVEN = ("target", "optimizer", "steps")


class Share(NamedTuple):
    """An argument that is a number of steps: its name as an option, and the share of all steps by default."""

    option: str
    default: float


SHARES = {"start": Share("begin", 0.5), "warm_up": Share("warm_up", 0.0)}


def names() -> list[str]:
    """The weight posteriors that configurations may name, in alphabetical order."""
    every = ((name, getattr(inference, name)) for name in inference.__all__)
    return sorted(name for name, build in every if next(iter(_arguments(build))) == "target" and _is_plain(build))


def options_of(name: str) -> dict[str, Any]:
    """The options of a weight posterior with their defaults, from its signature.

    Raises:
        ValueError: for a weight posterior that does not exist; lists those that do.
    """
    arguments = {key: value for key, value in _arguments(_builder(name)).items() if key not in GIVEN}
    return {
        SHARES[key].option if key in SHARES else key: SHARES[key].default if key in SHARES else value.default
        for key, value in arguments.items()
    }


def configured(posterior: Settings, target: Target, steps: int, stage: Settings, *, in_loop: bool = True) -> Method:
    """The weight posterior of a stage: the configured one, or the point estimate where the stage asks for it.

    Args:
        posterior: a configuration of `experiments/posterior`.
        target: likelihood and prior.
        steps: of the stage.
        stage: its settings: `method`, `learning_rate`, and `rates`, factors of the learning rate by part of the model.
        in_loop: whether members may be updated in a loop (`inference.ensemble`).

    Raises:
        ValueError: for a method, an option or a part of the model that does not exist; lists those that do.
    """
    rate, name, options = float(stage["learning_rate"]), _name(posterior, stage), dict(posterior.get("options") or {})
    if stage["method"] == "point":
        posterior, options = {**posterior, "subspace": []}, {}
    else:
        rate *= float(posterior["rate"])
    rates = _rates(stage, target)
    if unknown := sorted(set(options) - set(options_of(name))):
        known = ", ".join(options_of(name)) or "none"
        raise ValueError(
            f"posterior {name!r} has no option {unknown[0]!r}; use one of: {known} (see experiments/posterior)"
        )

    def build(part: Target) -> Method:
        return _built(name, part, options, steps, rate, rates)

    return inference.ensemble(_over(posterior, target, build), int(posterior["members"]), in_loop=in_loop)


def keeps_best(posterior: Settings, stage: Settings) -> bool:
    """Whether the best state on validation events may be chosen: of point estimates alone."""
    return not {"start", "steps", "temperature"} & set(_arguments(_builder(_name(posterior, stage))))


def has_optimizer(name: str) -> bool:
    """Whether a weight posterior is fitted by the optimiser, at the stage's learning rate."""
    return "optimizer" in _arguments(_builder(name))


def draws_of(posterior: Settings) -> int:
    """Number of weight draws for prediction: one a member for point estimates, since more would be identical."""
    members, draws = int(posterior["members"]), int(posterior["draws"])
    return members if posterior["method"] == "point" else draws


def _built(
    name: str, target: Target, options: Mapping[str, Any], steps: int, rate: float, rates: Mapping[str, float]
) -> Method:
    arguments, values = _arguments(_builder(name)), dict(options)
    for key in SHARES.keys() & arguments.keys():
        values[key] = _steps(values.pop(SHARES[key].option, SHARES[key].default), SHARES[key].option, steps)
    if "steps" in arguments:
        values["steps"] = steps
    if "optimizer" in arguments:
        decay = arguments["optimizer"].annotation != optimizer_.ConstantRate
        values["optimizer"] = optimizer_.optimizer(rate, steps, rates=rates, parts=target.parts, decay=decay)
    return _builder(name)(target, **values)


def _steps(share: float, option: str, steps: int) -> int:
    if not 0 <= float(share) < 1:
        raise ValueError(f"posterior.options.{option} must be a share of the steps within 0-1, got {share}")
    return int(float(share) * steps)


def _rates(stage: Settings, target: Target) -> dict[str, float]:
    rates = {part: float(rate) for part, rate in (stage.get("rates") or {}).items()}
    parts = {NETWORK} if target.parts is None else set(jax.tree.leaves(target.parts))
    if unknown := sorted(set(rates) - parts):
        raise ValueError(
            f"rates of the stage must name parts of this model, got {unknown[0]!r}; "
            f"its parts are: {', '.join(sorted(parts))}"
        )
    return rates


def _builder(name: str) -> Build:
    if name not in names():
        raise ValueError(f"no such posterior method: {name!r}; use one of {', '.join(names())}, with any members")
    return getattr(inference, name)


def _arguments(build: Build) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(build).parameters


def _is_plain(build: Build) -> bool:
    """Whether all that a function asks for and has no default of is what configurations can give."""
    asked = {key for key, value in _arguments(build).items() if value.default is value.empty}
    return asked <= {*GIVEN, *SHARES}


def _name(posterior: Settings, stage: Settings) -> str:
    return "point" if stage["method"] == "point" else str(posterior["method"])


def _over(posterior: Settings, target: Target, build: Callable[[Target], Method]) -> Method:
    """Over all weights, or over those whose paths match `posterior.subspace`."""
    patterns = list(posterior.get("subspace") or ())
    if not patterns:
        return build(target)
    return inference.subspace(target, lambda path: any(fnmatch(path, each) for each in patterns), build)
