"""The page for operators tells of every command, of each of its options, and of what it exits with."""

import re
from pathlib import Path

import pytest
from typer.main import get_command

from animatize.app import app
from animatize.telling import Exit

PAGE = (Path(__file__).parents[2] / "docs" / "command.md").read_text(encoding="utf-8")
COMMANDS = get_command(app).commands  # type: ignore[attr-defined]
SECTIONS = dict(re.findall(r"^## ([\w-]+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_a_section_that_shows_it_and_names_its_options(name: str) -> None:
    assert f"animatize {name}" in SECTIONS[name]
    options = {option for each in COMMANDS[name].params for option in each.opts if option.startswith("--")}
    assert {each for each in options - {"--json", "--help"} if each not in SECTIONS[name]} == set()


def test_every_exit_code_is_explained() -> None:
    assert re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE) == [str(int(code)) for code in Exit]
