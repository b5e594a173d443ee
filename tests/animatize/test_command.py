"""How the command is called: `.venv/bin/animatize`, from anywhere."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from chassis.release import RELEASE
from chassis.settings import PROCESSES
from tests.processes import ROOT

LINK = "ln -sf ../../animatize/command $(VENV)/bin/animatize"


def test_it_is_found_by_its_link_from_any_folder_and_takes_its_own_checkout(tmp_path: Path) -> None:
    checkout, elsewhere = tmp_path / "a checkout", tmp_path / "elsewhere"
    (elsewhere / "animatize").mkdir(parents=True)
    (elsewhere / "animatize" / "__main__.py").write_text("raise SystemExit('this is another one')")
    shutil.copytree(ROOT / "animatize", checkout / "animatize")
    for name in ("chassis", *PROCESSES):
        (checkout / name).symlink_to(ROOT / name)
    (checkout / ".venv").symlink_to(sys.prefix)
    assert LINK in (ROOT / "Makefile").read_text(encoding="utf-8")
    (tmp_path / "on-the-path").symlink_to("a checkout/animatize/command")
    for each in (checkout / "animatize" / "command", tmp_path / "on-the-path"):
        told = subprocess.run(
            [each, "--help"],
            cwd=elsewhere,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (told.returncode, "snapshot" in told.stdout) == (0, True), told


def test_what_it_calls_its_release_is_that_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == RELEASE
