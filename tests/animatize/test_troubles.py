"""What goes wrong beyond what a command knows of: the same code for the same trouble, whichever command it befalls."""

import errno
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest

from animatize import status, troubles
from animatize.landing import landing
from animatize.telling import Exit, Stop
from tests.animatize.commanding import SECRET, Command
from tests.animatize.running import environment
from tests.conftest import LEGACY
from tests.processes import ROOT

ENVIRONMENT = (
    ("ANIMATIZE_MAX_BODY_BYTES", ("migrate-monolith", "old.db")),
    ("ANIMATIZE_PORT", ("export", "document.json", "--session", "jar")),
    ("ANIMATIZE_PORT", ("rekey",)),
)


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    return Command(tmp_path, monkeypatch)


def full(*_: Any, **__: Any) -> NoReturn:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def from_sqlite(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("from SQLite")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("trouble", "code"),
    [
        (from_sqlite(sqlite3.SQLITE_BUSY_SNAPSHOT), Exit.AWAY),
        (from_sqlite(sqlite3.SQLITE_LOCKED), Exit.AWAY),
        (from_sqlite(sqlite3.SQLITE_FULL), Exit.BROKEN_OFF),
        (from_sqlite(sqlite3.SQLITE_IOERR), Exit.BROKEN_OFF),
        (OSError(errno.ENOSPC, "full"), Exit.BROKEN_OFF),
        (PermissionError(errno.EACCES, "no", "a file"), Exit.REFUSED),
        (FileNotFoundError(errno.ENOENT, "none", "a file"), Exit.REFUSED),
    ],
)
def test_a_trouble_has_one_code(trouble: Exception, code: Exit) -> None:
    with pytest.raises(Stop) as stop, troubles.told(troubles.BIT_BY_BIT):
        raise trouble
    assert stop.value.code is code


def test_a_fault_of_the_command_is_never_taken_for_what_it_found(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status, "look_around", lambda _: int("nothing"))
    code, told = command.json("status")
    assert (code, told["exit_code"]) == (70, 70)
    assert "ValueError" in command("status")[1]


@pytest.mark.parametrize("url", ["http://localhost:99999", "http://[::1", "ftp://x", "localhost:8000"])
@pytest.mark.parametrize("name", ["export", "import"])
def test_an_address_that_is_none_is_a_wrong_command_line(command: Command, name: str, url: str) -> None:
    assert command.json(name, "document.json", "--session", "jar", "--url", url)[0] == Exit.USAGE
    assert not list(command.data.iterdir())


@pytest.mark.parametrize(("variable", "arguments"), ENVIRONMENT)
def test_a_wrong_environment_is_refused_by_every_command(
    command: Command, monkeypatch: pytest.MonkeyPatch, variable: str, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setenv(variable, "many")
    monkeypatch.chdir(command.data)
    (command.data / "old.db").write_bytes((LEGACY / "monolith.db").read_bytes())
    assert command.json(*arguments)[0] == Exit.REFUSED


def test_where_a_token_has_no_room_no_half_of_one_is_in_the_way(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = command.data / "token"
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdopen", full)
        assert command.json("worker-token", "vault", "--owner", "all", "--out", out)[0] == Exit.BROKEN_OFF
    assert not out.exists()
    assert command.json("worker-token", "vault", "--owner", "all", "--out", out)[0] == Exit.DONE


def test_where_a_document_has_no_room_it_is_broken_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Stop) as stop, landing(tmp_path / "document.json", force=False) as stream:
        stream.write(b"{}")
    assert stop.value.code is Exit.BROKEN_OFF
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_where_the_answer_has_no_room_it_is_not_said_that_nothing_was_done(
    tmp_path: Path, more: tuple[str, ...]
) -> None:
    out = tmp_path / "token"
    command = [sys.executable, "-m", "animatize", "worker-token", "vault", "--owner", "all", "--out", str(out), *more]
    given = environment(ANIMATIZE_WEB_DB_PATH=str(tmp_path), ANIMATIZE_SECRET_KEY=SECRET)
    for code, told in ((1, "Done, but"), (3, "is there already")):
        with Path("/dev/full").open("w") as nowhere:
            done = subprocess.run(
                command, check=False, cwd=ROOT, env=given, stdout=nowhere, stderr=subprocess.PIPE, text=True
            )
        assert (done.returncode, told in done.stderr, "Traceback" in done.stderr) == (code, True, False)
    assert out.read_text()
