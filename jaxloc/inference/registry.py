"""The weight posterior that a configuration names, with its optimiser: one row of `METHODS` each."""

from collections.abc import Callable, Mapping
from fnmatch import fnmatch
from typing import Any

import optax

from jaxloc import inference
from jaxloc.inference import optimizer as optimizer_
from jaxloc.types import Method, Target

Settings = Mapping[str, Any]
Build = Callable[[Target, optax.GradientTransformation, int, Settings], Method]
"""Target, optimiser, steps of the stage and settings of the posterior, to a method."""


def configured(posterior: Settings, target: Target, steps: int, stage: Settings, *, in_loop: bool = True) -> Method:
    """The weight posterior of a stage: the configured one, or the point estimate where the stage asks for it.

    Args:
        posterior: a configuration of `experiments/posterior`.
        target: likelihood and prior.
        steps: of the stage.
        stage: its settings: `method`, `learning_rate` and `physics_rate`.
        in_loop: whether members may be updated in a loop (`inference.ensemble`).

    Raises:
        ValueError: for a method, or an option of it, that does not exist; lists those that do.
    """
    rate, name = float(stage["learning_rate"]), _name(posterior, stage)
    if stage["method"] == "point":
        posterior = {**posterior, "options": {}, "subspace": []}
    else:
        rate *= float(posterior["rate"])
    physics_rate = float(stage["physics_rate"])
    optimizer = optimizer_.optimizer(rate, steps, physics_rate=physics_rate, decay=name not in CONSTANT_RATE)

    def build(part: Target) -> Method:
        try:
            return METHODS[name](part, optimizer, steps, posterior)
        except TypeError as error:
            raise ValueError(f"posterior {name!r}: {error}; its options are in experiments/posterior") from error

    return inference.ensemble(_over(posterior, target, build), int(posterior["members"]), in_loop=in_loop)


def keeps_best(posterior: Settings, stage: Settings) -> bool:
    """Whether the best state on validation events may be chosen; some posteriors exist at the end only."""
    return _name(posterior, stage) not in AT_THE_END


def draws_of(posterior: Settings) -> int:
    """Number of weight draws for prediction: one a member for point estimates, since more would be identical."""
    members, draws = int(posterior["members"]), int(posterior["draws"])
    return members if posterior["method"] == "point" else draws


def _name(posterior: Settings, stage: Settings) -> str:
    name = "point" if stage["method"] == "point" else str(posterior["method"])
    if name not in METHODS:
        raise ValueError(f"no such posterior method: {name!r}; use one of {', '.join(METHODS)}, with any members")
    return name


def _over(posterior: Settings, target: Target, build: Callable[[Target], Method]) -> Method:
    """Over all weights, or over those whose paths match `posterior.subspace`."""
    patterns = list(posterior.get("subspace") or ())
    if not patterns:
        return build(target)
    return inference.subspace(target, lambda path: any(fnmatch(path, each) for each in patterns), build)


def _options(posterior: Settings) -> dict[str, Any]:
    return dict(posterior.get("options") or {})


def _steps(options: dict[str, Any], name: str, otherwise: float, steps: int) -> int:
    """The number of steps that an option gives as a share of all of them."""
    share = float(options.pop(name, otherwise))
    if not 0 <= share < 1:
        raise ValueError(f"posterior.options.{name} must be a share of the steps within 0-1, got {share}")
    return int(share * steps)


def _plain(method: Callable[..., Method]) -> Build:
    def build(target: Target, optimizer: optax.GradientTransformation, steps: int, posterior: Settings) -> Method:
        return method(target, optimizer, **_options(posterior))

    return build


def _around_start(method: Callable[..., Method]) -> Build:
    def build(target: Target, optimizer: optax.GradientTransformation, steps: int, posterior: Settings) -> Method:
        scale, temperature = float(posterior["initial_scale"]), float(posterior["temperature"])
        return method(target, optimizer, initial_scale=scale, temperature=temperature, **_options(posterior))

    return build


def _variational(method: Callable[..., Method]) -> Build:
    def build(target: Target, optimizer: optax.GradientTransformation, steps: int, posterior: Settings) -> Method:
        options = _options(posterior)
        options["warm_up"] = _steps(options, "warm_up", 0.0, steps)
        return _around_start(method)(target, optimizer, steps, {**posterior, "options": options})

    return build


def _after_learning(method: Callable[..., Method]) -> Build:
    def build(target: Target, optimizer: optax.GradientTransformation, steps: int, posterior: Settings) -> Method:
        options = _options(posterior)
        return method(target, optimizer, start=_steps(options, "begin", 0.5, steps), **options)

    return build


def _cycles(method: Callable[..., Method]) -> Build:
    def build(target: Target, optimizer: optax.GradientTransformation, steps: int, posterior: Settings) -> Method:
        return method(target, steps=steps, temperature=float(posterior["temperature"]), **_options(posterior))

    return build


def _chain(method: Callable[..., Method]) -> Build:
    def build(target: Target, optimizer: optax.GradientTransformation, steps: int, posterior: Settings) -> Method:
        options = _options(posterior)
        begin, temperature = _steps(options, "begin", 0.5, steps), float(posterior["temperature"])
        return method(target, start=begin, temperature=temperature, **options)

    return build


METHODS: dict[str, Build] = {
    "point": _plain(inference.point),
    "dropout": _plain(inference.dropout),
    "mean_field": _variational(inference.mean_field),
    "low_rank": _variational(inference.low_rank),
    "full_covariance": _variational(inference.full_covariance),
    "laplace": _after_learning(inference.laplace),
    "swag": _after_learning(inference.swag),
    "stein": _around_start(inference.stein),
    "sgld": _cycles(inference.sgld),
    "sghmc": _cycles(inference.sghmc),
    "nuts": _chain(inference.nuts),
}
CONSTANT_RATE = ("swag",)
AT_THE_END = ("laplace", "swag", "sgld", "sghmc", "nuts")
