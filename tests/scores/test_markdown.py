"""Tables in Markdown."""

import pytest

from jaxloc.scores.markdown import markdown_table


def test_a_table_has_a_header_a_rule_and_a_line_for_each_row():
    assert markdown_table(("a", "b"), [("1", "2"), ("3|4", "")]) == "| a | b |\n| --- | --- |\n| 1 | 2 |\n| 3\\|4 |  |"


@pytest.mark.parametrize("row", [("1",), ("1", "2", "3"), ()])
def test_rows_of_another_length_are_refused(row):
    with pytest.raises(ValueError, match=r"each row must have 2 cells, .*got"):
        markdown_table(("a", "b"), [row])
