"""Tables in Markdown."""

from collections.abc import Iterable, Sequence


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown, without a newline at its end; a vertical bar in a cell is escaped.

    Raises:
        ValueError: where a row has another number of cells than the header.
    """
    lines = [list(header), ["---"] * len(header), *map(list, rows)]
    for line in lines:
        if len(line) != len(header):
            raise ValueError(f"each row must have {len(header)} cells, one for each column, got {line}")
    escaped = [[cell.replace("|", r"\|") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in escaped)
