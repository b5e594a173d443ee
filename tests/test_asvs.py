"""The table of ASVS requirements names every one of level 1 of its chapters once, and only tests that there are."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "asvs.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if re.match(r"\| \d+\.\d+\.\d+", line)
]
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))
LEVEL_1 = (
    *("3.2.1", "3.2.2", "3.3.1", "3.4.1", "3.4.2", "3.5.1", "3.5.2", "3.5.3"),
    *("6.1.1", "6.2.1 to 6.2.8", "6.3.1", "6.3.2", "6.4.1", "6.4.2"),
    *("7.2.1", "7.2.2", "7.2.3", "7.2.4", "7.4.1", "7.4.2"),
    *("8.1.1", "8.2.1", "8.2.2", "8.3.1"),
    *("11.3.1", "11.3.2", "11.4.1"),
    "13.4.1",
)


def test_every_requirement_stands_there_once_and_in_order() -> None:
    assert [row[0] for row in ROWS] == list(LEVEL_1)


def test_every_row_says_whether_it_is_met_and_why_and_what_is_met_is_shown() -> None:
    for number, asks, state, why, shown in ROWS:
        assert asks, number
        assert why, number
        assert state in ("met", "not met", "not applicable"), number
        assert state != "met" or re.match("`(tests/|make )", shown), number


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_every_test_that_it_names_exists(file: str, name: str) -> None:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    assert name in {each.name for each in tree.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_chapter_of_the_standard_is_in_the_table_or_named_as_left_out() -> None:
    head, _, table = PAGE.partition("| number |")
    assessed, left_out = set(re.findall(r"\*\*(V\d+)\*\*", table)), set(re.findall(r"\bV\d+\b", head))
    assert assessed | left_out == {f"V{number}" for number in range(1, 18)}
    assert not assessed & left_out


def test_it_names_tests() -> None:
    assert len(NAMED) > 20
