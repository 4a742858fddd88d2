"""The registry of file formats: what each holds, how it is recognised by its content, read and written.

A module of `MODULES` has `FORMATS` (`jaxloc.io.contents.Format`). Of formats that recognise a file the first counts, so
special ones stand before general ones, which take any table with certain columns.
"""

import gzip
import zlib
from collections.abc import Collection
from pathlib import Path

from jaxloc.io import (
    event_tables,
    growclust,
    hypodd_formats,
    hypoinverse_formats,
    nonlinloc_formats,
    pal_formats,
    pick_tables,
    quakeml,
    station_formats,
)  # fmt: skip
from jaxloc.io.contents import Contents, Format, Sample
from jaxloc.io.tables import decode, parse_table

MODULES = (
    quakeml, hypodd_formats, hypoinverse_formats, nonlinloc_formats, growclust, pal_formats, pick_tables, event_tables,
    station_formats,
)  # fmt: skip
FORMATS: dict[str, Format] = {each.name: each for module in MODULES for each in module.FORMATS}
SAMPLE_BYTES = 65536


def format_named(name: str) -> Format:
    """A format by its name.

    Raises:
        ValueError: where there is none.
    """
    if name not in FORMATS:
        raise ValueError(f"no such format: {name!r}; use one of {', '.join(FORMATS)}")
    return FORMATS[name]


def sample_of(path: Path) -> Sample:
    """The beginning of a file, unpacked where it is gzipped.

    Raises:
        ValueError: where there is no such file, or it is damaged or no text.
    """
    if not path.is_file():
        raise ValueError(f"no such file: {path}; the path must be that of a file")
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    try:
        with gzip.open(path) if packed else path.open("rb") as file:
            data = file.read(SAMPLE_BYTES)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} is a damaged gzip file ({error}); it must be copied again") from error
    text = decode(data, path)
    if len(data) == SAMPLE_BYTES:  # the last line may be cut
        text = text.rpartition("\n")[0] or text
    lines = tuple(line for line in text.splitlines() if line.strip())
    return Sample(path, text, lines, _columns(path, text))


def _columns(path: Path, text: str) -> tuple[str, ...]:
    try:
        return parse_table("\n".join(text.splitlines()[:20]), path, "table").columns
    except ValueError:  # no table
        return ()


def recognise(path: str | Path) -> Format | None:
    """The first format that recognises the beginning of a file; None where none does.

    Raises:
        ValueError: as `sample_of`.
    """
    sample = sample_of(Path(path))
    return next((each for each in FORMATS.values() if each.recognise(sample)), None)


def read(path: str | Path, name: str | None = None) -> tuple[Contents, Format]:
    """The contents of a file, and its format.

    Args:
        path: the file.
        name: of the format; None: recognise it.

    Raises:
        ValueError: where there is no such file or format, the format is not recognised, or the file is not of it.
    """
    path = Path(path)
    found = recognise(path) if name is None else format_named(name)
    if found is None:
        raise ValueError(f"the format of {path} is not recognised; name it by --from (`jaxloc convert --list` has all)")
    return found.read(path), found


def recognised_with(path: str | Path, kind: str, but: Collection[str]) -> tuple[Contents, Format] | None:
    """The contents of a file and its format, where one is recognised that holds a kind of contents.

    Args:
        path: the file.
        kind: of contents, such as `jaxloc.io.contents.STATIONS`.
        but: names of formats that the caller reads itself, for which there is None.

    Raises:
        ValueError: where the file is missing, damaged or not of the format, or has nothing of that kind.
    """
    form = recognise(path)
    if form is None or form.name in but or kind not in form.holds:
        return None
    contents = form.read(Path(path))
    if kind not in contents.kinds:
        raise ValueError(f"{path} ({form.text}) has no {kind}; give a file that has")
    return contents, form


def other_kind(path: str | Path, kind: str) -> str:
    """What to add to a message where a file has no such kind of contents: the format that it is of, if any is known."""
    form = recognise(path)
    if form is None or kind in form.holds:
        return ""
    return f" (the file looks like {form.text}, which holds {' and '.join(form.holds)}, no {kind})"
