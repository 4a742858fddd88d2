"""What there is to run, by name, each with the first line of its own file; nothing heavy is imported."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


def experiments_folder() -> Path:
    """Where the experiments are: next to the package in a checkout, inside it when installed.

    Raises:
        ValueError: where there is neither.
    """
    for folder in (PACKAGE / "experiments", PACKAGE.parent / "experiments"):
        if folder.is_dir():
            return folder
    raise ValueError(f"the experiments folder must lie next to {PACKAGE} and is missing; install jaxloc again")


def names(group: str = "") -> list[str]:
    """Names of the YAML files of a group of experiments; without a group, of the experiments themselves."""
    return sorted(path.stem for path in (experiments_folder() / group).glob("*.yaml"))


def described(kinds: list[str] | None = None) -> dict[str, dict[str, str]]:
    """By kind, each name with its description.

    Args:
        kinds: of `experiments`, `models`, `posteriors`, `locators`, `data`, `stages`, `studies`; None: all.
    """
    folder = experiments_folder()
    groups = {
        "experiments": folder,
        "models": folder / "model",
        "posteriors": folder / "posterior",
        "data": folder / "data",
        "stages": folder / "stages",
        "studies": folder / "studies",
    }
    found = {kind: _of_yaml(path) for kind, path in groups.items()}
    found["locators"] = _of_modules(PACKAGE / "locators")
    return {kind: rows for kind, rows in found.items() if rows and (kinds is None or kind in kinds)}


def _of_yaml(folder: Path) -> dict[str, str]:
    return {path.stem: _comment(path) for path in sorted(folder.glob("*.yaml"))}


def _comment(path: Path) -> str:
    """The first line of a file that is a comment of its own, a sentence on what the file is."""
    lines = (line for line in path.read_text().splitlines() if not line.startswith("# @package"))
    first = next(lines, "")
    return first.lstrip("# ").rstrip(" .:") if first.startswith("#") else ""


def _of_modules(folder: Path) -> dict[str, str]:
    """Registered modules of a folder with the first lines of their docstrings, read without importing them."""
    trees = {name: ast.parse((folder / f"{name}.py").read_text()) for name in _registered(folder / "__init__.py")}
    return {name: _first_line(ast.get_docstring(tree) or "") for name, tree in trees.items()}


def _registered(path: Path) -> list[str]:
    """The names in the literal `__all__` of a file."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return sorted(ast.literal_eval(node.value))
    return []


def _first_line(text: str) -> str:
    return text.partition("\n")[0].rstrip(".:")
