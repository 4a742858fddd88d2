"""The examples of docs/python.md, executed in order, and their figures."""

import re
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import numpy as np

import jaxloc

PAGE = Path(__file__).parents[2] / "docs" / "python.md"


def blocks(text):
    """Fenced blocks of Python, with blank lines before each so that errors have the page's line numbers."""
    return [
        "\n" * text.count("\n", 0, found.start(1)) + found.group(1)
        for found in re.finditer(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    ]


def test_every_example_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    found = blocks(PAGE.read_text())
    assert len(found) >= 9
    for block in found:
        exec(compile(block, str(PAGE), "exec"), names)
    assert (tmp_path / "located" / "events.xml").stat().st_size > 1000
    assert (tmp_path / "located" / "map.png").stat().st_size > 10_000
    assert (tmp_path / "compare.png").is_file()
    assert names["draws"].shape == (1000, 4)
    # The grid search has the truth within four standard deviations of exact picks, in every coordinate.
    sd = np.sqrt(np.diag(names["posterior"].covariance[0]))
    np.testing.assert_array_less(np.abs(np.asarray(names["posterior"].mean[0]) - [4.0, -3.0, 8.0, 2.0]), 4 * sd)


def test_all_public_names_exist():
    assert len(jaxloc.__all__) == len(set(jaxloc.__all__))
    assert all(hasattr(jaxloc, name) for name in jaxloc.__all__)
    assert set(jaxloc.__all__) <= set(dir(jaxloc))
