"""Marks for single cases of a table."""

from collections.abc import Iterable

import pytest


def slow_if(slow: Iterable, values: Iterable) -> list:
    """Values for `parametrize`; those in `slow` run with `-m slow`: the others run through the same lines.

    What other tests check as well may be in `slow` too.
    """
    slow, row = list(slow), lambda value: value if isinstance(value, tuple) else (value,)
    return [pytest.param(*row(value), marks=pytest.mark.slow) if value in slow else value for value in values]
