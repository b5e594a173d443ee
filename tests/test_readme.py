"""What the README promises is there: every setting in its table, every file and folder that it names."""

import re
from importlib import import_module
from pathlib import Path

import pytest

from chassis.running import Running

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROCESSES = ("gateway", "auth_service", "settings_service", "runs_service", "vault_service")


def variables(process: str) -> set[str]:
    fields = import_module(f"{process}.settings").Settings.model_fields | Running.model_fields
    return {field.alias or f"ANIMATIZE_{name.upper()}" for name, field in fields.items() if name != "provider_keys"}


@pytest.mark.parametrize("process", PROCESSES)
def test_every_setting_stands_in_the_configuration_table(process: str) -> None:
    named = set(re.findall(r"`([A-Z_]{5,})`", README))
    assert variables(process) - named == set()


def test_every_setting_of_the_table_is_read_by_some_process() -> None:
    table = README.partition("## Configuration")[2].partition("## How it is built")[0]
    named = set(re.findall(r"`(ANIMATIZE_[A-Z_]+)`", table.replace("_FILE=", "`")))
    known = set().union(*(variables(process) for process in PROCESSES))
    assert named - known <= {"ANIMATIZE_SECRET_KEY_FILE"}


def test_every_file_that_it_names_exists() -> None:
    names = set(re.findall(r"(?:\.venv/)?\b(?:tests|gateway|settings_service|chassis|docs)/[\w/.-]+\.\w+", README))
    assert names
    assert [name for name in names if not (ROOT / name).exists()] == []


def test_every_make_target_that_it_names_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = "run|test|compose-test|browser-test|lint|bench|lock|screenshots"
    for target in set(re.findall(rf"\bmake ({targets})(?![\w-])", README)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
