"""What a SeisBench folder is, without the readers of its tables, which take a quarter of a second to import."""

from pathlib import Path


def is_seisbench(path: Path) -> bool:
    """Whether a folder is in SeisBench format: with a metadata table, or the chunks of one."""
    return (path / "metadata.csv").exists() or (path / "chunks").exists()
