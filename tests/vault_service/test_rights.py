"""Who may not work on the vault's file is told so, by name of the file, before anything is begun."""

import errno
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.processes import ROOT as CHECKOUT
from tests.vault_service.conftest import ROOT
from tests.vault_service.rotation import everything, made
from vault_service import rekey
from vault_service.rekeying import Refused
from vault_service.rights import refuse_without_rights

NOBODY: Final = 65534  # root may do everything, whatever the mode
AS_NOBODY: Final = f"; import os; os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})" * (os.geteuid() == 0)


@pytest.mark.parametrize(
    "which", ["", "animatize_web.vault.db", "animatize_web.vault.db-wal", "animatize_web.vault.db-shm"]
)
def test_each_file_that_sqlite_would_write_to_is_named(file: Path, monkeypatch: pytest.MonkeyPatch, which: str) -> None:
    made(file, 1)
    file.with_name("animatize_web.vault.db-wal").touch()
    file.with_name("animatize_web.vault.db-shm").touch()
    refuse_without_rights(file)
    denied, access = file.parent / which, os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != denied and access(path, mode))
    with pytest.raises(Refused, match=rf"may not read and write {denied}: run this as the user of the vault service"):
        refuse_without_rights(file)


def test_a_file_that_is_not_there_is_no_matter_of_rights(file: Path) -> None:
    refuse_without_rights(file)


def run_as_another(file: Path, *arguments: str) -> tuple[int, str, str]:
    """The command as a user without rights; it becomes that one late, since Python may be root's alone."""
    code = f"import sys; from vault_service.rekey import main{AS_NOBODY}; sys.exit(main(sys.argv[1:]))"
    given = {name: value for name, value in os.environ.items() if not name.startswith("ANIMATIZE_")}
    given |= {"ANIMATIZE_WEB_DB_PATH": str(file.parent), "ANIMATIZE_SECRET_KEY": ROOT}
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=CHECKOUT, env=given, capture_output=True, text=True, check=False, timeout=30)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(name="vault")
def vault_that_others_may_reach() -> Iterator[Path]:
    """Not below `tmp_path`, where only the one who runs the tests may enter."""
    with tempfile.TemporaryDirectory() as top:
        os.chmod(top, 0o755)
        file = Path(top) / "data" / "animatize_web.vault.db"
        made(file, 3)
        yield file
        file.parent.chmod(0o755)


@pytest.mark.parametrize(
    ("folder", "mode", "named"),
    [(0o000, 0o666, "."), (0o555, 0o666, "."), (0o777, 0o444, "animatize_web.vault.db")],
)
@pytest.mark.parametrize("argument", ["--status", "--json"])
def test_the_command_without_rights_says_which_file_and_whose_it_is_to_run(
    vault: Path, folder: int, mode: int, named: str, argument: str
) -> None:
    before, names = everything(vault), {*vault.parent.iterdir()}
    vault.chmod(mode)
    vault.parent.chmod(folder)
    code, told, said = run_as_another(vault, argument)
    vault.parent.chmod(0o755)
    assert (code, told) == (rekey.WRONG_SET_UP, ""), said
    assert f"may not read and write {vault.parent / named}: run this as the user of the vault service" in said
    assert len(said.splitlines()) == 1
    assert {*vault.parent.iterdir()} == names
    vault.chmod(0o644)
    assert everything(vault) == before


def test_a_folder_above_that_may_not_be_entered_is_told_as_well(vault: Path) -> None:
    vault.parent.parent.chmod(0o600)
    code, _, said = run_as_another(vault)
    vault.parent.parent.chmod(0o755)
    assert (code, "Traceback" in said) == (rekey.WRONG_SET_UP, False), said
    assert f"may not read and write {vault.parent}: run this as" in said


def test_the_secret_of_development_may_be_another_users(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made(file, 1)
    secret = str(file.with_name("animatize_development_secret"))

    def denied(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", secret)

    monkeypatch.setenv("ANIMATIZE_WEB_DB_PATH", str(file.parent))
    monkeypatch.setattr(rekey, "root_secret", denied)
    assert rekey.main([]) == rekey.WRONG_SET_UP
    assert f"may not read and write {secret}: run this as the user of the vault service" in capsys.readouterr().err
