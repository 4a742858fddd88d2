"""Structured configurations derived from signatures: a default stands once, where the code that uses it is."""

import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import field, is_dataclass, make_dataclass
from typing import Any

from jaxloc.settings import Setting


def dataclass_of(name: str, settings: Mapping[str, Setting], base: type | None = None) -> type:
    """A dataclass for OmegaConf with these fields, after those of `base`."""
    made = [(key, plain_type(each.annotation), _default(each.default)) for key, each in settings.items()]
    return make_dataclass(name, made, bases=() if base is None else (base,))


def plain_type(annotation: Any) -> Any:
    """The type that OmegaConf checks for an annotation: numbers, text, lists of them, dataclasses; else anything."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation in (int, float, bool, str) or is_dataclass(annotation):
        return annotation
    if origin in (typing.Union, types.UnionType) and type(None) in inner and len(inner) == 2:
        held = plain_type(next(each for each in inner if each is not type(None)))
        return held | None if held is not Any else Any
    if origin in (tuple, list, Sequence) and inner:
        held = {plain_type(each) for each in inner if each is not ...}
        return list[held.pop()] if len(held) == 1 and Any not in held else Any
    return Any


def wrong_length(annotation: Any, value: Any) -> int | None:
    """The number of values that a tuple of fixed length must have, where `value` has another."""
    inner = typing.get_args(annotation)
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        found = [wrong_length(each, value) for each in inner if typing.get_origin(each) is tuple]
        return found[0] if found and value is not None else None
    if typing.get_origin(annotation) is tuple and ... not in inner and isinstance(value, list | tuple):
        return len(inner) if len(inner) != len(value) else None
    return None


def _default(value: Any) -> Any:
    """Lists for tuples; containers are made anew for each configuration."""
    if isinstance(value, type):
        return field(default_factory=value)
    listed = _listed(value)
    return field(default_factory=lambda: _listed(value)) if isinstance(listed, list | dict) else field(default=listed)


def _listed(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_listed(each) for each in value]
    return {key: _listed(each) for key, each in value.items()} if isinstance(value, Mapping) else value
