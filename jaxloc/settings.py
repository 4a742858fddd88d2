"""The settings of each model and locator with their types and defaults, from the signature of its builder.

A builder that hands further settings on is marked with where they go, as the network's module (`hands_on`); what it
gives the network itself (`GIVEN`) is no setting.
"""

import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, NamedTuple, TypeVar

GIVEN = frozenset(
    ("parent", "name", "size", "num_stations", "grid", "others", "by_slices", "centre", "scale", "links")
    + ("low_km", "high_km", "azimuth_size", "learns_precision")
)
Build = TypeVar("Build", bound=Callable[..., Any])


class Setting(NamedTuple):
    """A setting's annotation, as the code has it, and its default."""

    annotation: Any
    default: Any


def hands_on(*sources: Callable[..., Any]) -> Callable[[Build], Build]:
    """Marks a builder whose further settings are those of Flax modules, or of other functions."""

    def mark(build: Build) -> Build:
        build.settings_from = sources  # pyright: ignore[reportFunctionMemberAccess]
        return build

    return mark


def settings_of(build: Callable[..., Any]) -> dict[str, Setting] | None:
    """The settings of a builder by name; None where it takes any."""
    sources = getattr(build, "settings_from", ())
    takes_any = any(each.kind is each.VAR_KEYWORD for each in inspect.signature(build).parameters.values())
    if takes_any and not sources:
        return None
    found: dict[str, Setting] = {}
    for source in (*sources, build):
        found |= fields_of(source) if isinstance(source, type) else keywords_of(source)
    return {name: each for name, each in found.items() if name not in GIVEN}


def fields_of(source: type) -> dict[str, Setting]:
    """The fields of a dataclass or a `NamedTuple` that have defaults."""
    hints = typing.get_type_hints(source)
    defaults = {f.name: f.default for f in fields(source)} if is_dataclass(source) else source._field_defaults  # pyright: ignore[reportAttributeAccessIssue]
    return {name: Setting(hints[name], default) for name, default in defaults.items() if default is not MISSING}


def keywords_of(function: Callable[..., Any]) -> dict[str, Setting]:
    """The keyword-only arguments of a function that have defaults."""
    hints = typing.get_type_hints(function)
    return {
        name: Setting(hints.get(name, Any), each.default)
        for name, each in inspect.signature(function).parameters.items()
        if each.kind is each.KEYWORD_ONLY and each.default is not each.empty
    }


def check(name: str, known: Mapping[str, Setting] | None, given: Mapping[str, Any]) -> None:
    """Refuse settings that a model does not have.

    Raises:
        ValueError: names the setting and those that there are.
    """
    if known is not None and (unknown := sorted(set(given) - set(known))):
        raise ValueError(f"model {name!r} has no setting {unknown[0]!r}; use one of {', '.join(sorted(known))}")
