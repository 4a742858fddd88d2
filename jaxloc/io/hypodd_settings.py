"""hypoDD.inp: data, clusters, solver, iteration sets and one-dimensional velocity models of versions 1 and 2."""

# pyright: reportCallIssue=false
# Columns are unpacked in the order of the type.

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxloc.io.tables import decode, read_bytes
from jaxloc.physics.double_differences import IterationSet
from jaxloc.physics.layered import VelocityModel, layered

UNUSED = -9.0  # and below: a cutoff that is not used
END = -9.0  # of a list of layers
LAYERED, STRAIGHT = (0, 1), 5  # forward models


class Inputs(NamedTuple):
    """What hypoDD.inp asks for; names of files are as in the file, empty where there is none.

    `data` is 1 for cross-correlation, 2 for the catalogue, 3 for both; `phases` 1 for P, 2 for S, 3 for both.
    `links_cross` and `links_catalogue` are the fewest links of a pair that connects a cluster.
    """

    cross_file: str
    catalogue_file: str
    event_file: str
    station_file: str
    data: int
    phases: int
    station_distance_km: float
    links_cross: int
    links_catalogue: int
    from_single_source: bool
    solver: str
    air_quakes: str
    sets: tuple[IterationSet, ...]
    velocity: VelocityModel
    cluster: int


def read_inputs(path: str | Path) -> Inputs:
    """hypoDD.inp of version 1, or of version 2 (first line hypoDD_2) with a one-dimensional model (IMOD 0, 1 or 5).

    Raises:
        ValueError: where a line is missing or no number, or the forward model is another; says which.
    """
    text = decode(read_bytes(path, "hypoDD.inp"), path).splitlines()
    second = bool(text) and text[0].strip().lower().startswith("hypodd_2")
    lines = [line.strip() for line in text[int(second) :] if not line.lstrip().startswith("*")]
    # Names of input files may be blank lines; two more such lines end the output files of neither version.
    files, at = lines[:4], 4
    while at < len(lines) and not _is_numbers(lines[at], 3):
        at += 1
    numbers = [line for line in lines[at:] if line]
    try:
        return _parsed(files, numbers, second)
    except (IndexError, ValueError) as error:
        raise ValueError(f"{path}: no hypoDD.inp of version {1 + second}: {error}") from error


def _is_numbers(line: str, least: int) -> bool:
    try:
        return len([float(word) for word in line.split()]) >= least
    except ValueError:
        return False


def _parsed(files: Sequence[str], lines: Sequence[str], second: bool) -> Inputs:
    data, phases, distance_km = _numbers(lines[0])[:3]
    linked = _numbers(lines[1])
    control = _numbers(lines[2])
    solver = {1: "svd", 2: "lsqr"}.get(int(control[1]))
    if solver is None:
        raise ValueError(f"ISOLV must be 1 (SVD) or 2 (LSQR), got {control[1]:g}")
    air = "remove" if not second or int(control[2]) == 1 else "reset"
    count = int(control[3] if second else control[2])
    sets = tuple(_set(_numbers(line)) for line in lines[3 : 3 + count])
    velocity, rest = (_model if second else _model_fixed_ratio)(lines[3 + count :])
    return Inputs(
        *files, int(data), int(phases), distance_km, int(linked[0]), int(linked[1]), int(control[0]) == 1, solver, air,
        sets, velocity, int(_numbers(rest[0])[0]) if rest else 0,
    )  # fmt: skip


def _numbers(line: str) -> list[float]:
    """The numbers at the beginning of a line; words after them are comments."""
    found = []
    for word in line.split():
        try:
            found.append(float(word))
        except ValueError:
            break
    return found


def _set(values: Sequence[float]) -> IterationSet:
    if len(values) < 10:
        raise ValueError(f"an iteration set must have 10 numbers, got {len(values)}")
    cut = lambda value: None if value <= UNUSED else value
    weight = lambda value: max(value, 0.0)
    number, ccp, ccs, rcc, dcc, ctp, cts, rct, dct, damping = values[:10]
    catalogue = ((weight(ctp), weight(cts)), cut(rct), cut(dct))
    return IterationSet(int(number), *catalogue, (weight(ccp), weight(ccs)), cut(rcc), cut(dcc), damping)


def _model(lines: Sequence[str]) -> tuple[VelocityModel, Sequence[str]]:
    kind = int(_numbers(lines[0])[0])
    if kind == 0:
        return _model_fixed_ratio(lines[1:])
    if kind not in (*LAYERED, STRAIGHT):
        raise ValueError(f"IMOD must be 0, 1 or 5 (one-dimensional models), got {kind}")
    top, speed, ratio = (np.array(_until_end(_numbers(line))) for line in lines[1:4])
    size = 1 if kind == STRAIGHT else len(top)
    return layered(list(top[:size]), list(speed[:size]), list(speed[:size] / ratio[:size])), lines[4:]


def _until_end(values: list[float]) -> list[float]:
    return values[: values.index(END)] if END in values else values


def _model_fixed_ratio(lines: Sequence[str]) -> tuple[VelocityModel, Sequence[str]]:
    number, ratio = _numbers(lines[0])[:2]
    top, speed = (np.array(_numbers(line)[: int(number)]) for line in lines[1:3])
    return layered(list(top), list(speed), list(speed / ratio)), lines[3:]
