"""The command as a shell would run it, but in this process: what it answers, and with which code."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from animatize.app import app
from chassis.documents import parse

SECRET = "the root secret of these tests, long enough"


class Command:
    """`command("status")` gives exit code and text; `command.json(…)` exit code and what its line says."""

    def __init__(self, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.data = data
        monkeypatch.setenv("ANIMATIZE_WEB_DB_PATH", str(data))
        monkeypatch.setenv("ANIMATIZE_SECRET_KEY", SECRET)
        for name in ("ANIMATIZE_SECRET_KEY_PREVIOUS", "ANIMATIZE_ENV"):
            monkeypatch.delenv(name, raising=False)

    def __call__(self, *arguments: object) -> tuple[int, str]:
        done = CliRunner().invoke(app, [str(each) for each in arguments])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.output

    def json(self, *arguments: object) -> tuple[int, Any]:
        done = CliRunner().invoke(app, [*(str(each) for each in arguments), "--json"])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        [line] = done.stdout.splitlines()
        return done.exit_code, parse(line)

    def file(self, name: str) -> Path:
        return self.data / f"animatize_web.{name}.db"
