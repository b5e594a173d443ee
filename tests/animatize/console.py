"""The five files of a console with something in each, and the operator's command on them."""

import json
import os
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final, NamedTuple

from typer.testing import CliRunner

from animatize.app import app
from animatize.places import Place
from chassis.schema import bring_up, connect
from settings_service.versions import Draft, append, document, open_profile
from tests.vault_service import rotation
from tests.vault_service.conftest import ROOT

WHEN: Final = "2026-03-01T10:00:00.000000+00:00"
LATER: Final = "2999-01-01T00:00:00.000000+00:00"
STEPS: Final = ("link", "replace", "rename", "unlink", "fsync", "fdatasync", "open")  # of os: where a kill may fall


class Told(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Console:
    """`console("verify", folder)` is the command; `files` are the five, by package."""

    def __init__(self, folder: Path, secret: str = ROOT) -> None:
        self.folder, self.data = folder, folder / "data"
        self.environment = {"ANIMATIZE_WEB_DB_PATH": str(self.data), "ANIMATIZE_SECRET_KEY": secret}
        self.files = Place(web_db_path=self.data, secret_key=secret).files

    def __call__(self, *arguments: object) -> Told:
        cleared: dict[str, str | None] = {name: None for name in os.environ if name.startswith("ANIMATIZE_")}
        told = CliRunner().invoke(app, list(map(str, arguments)), env=cleared | self.environment)
        if told.exception is not None and not isinstance(told.exception, SystemExit):
            raise told.exception
        return Told(told.exit_code, told.stdout, told.stderr)

    def connect(self, owner: str) -> sqlite3.Connection:
        return connect(self.data / f"animatize_web.{owner}.db")

    def write(self, owner: str, sql: str, *values: object) -> None:
        with closing(self.connect(owner)) as tx:
            tx.execute(sql, values)

    def rows(self, owner: str, sql: str, *values: object) -> list[tuple[Any, ...]]:
        with closing(self.connect(owner)) as tx:
            return [tuple(row) for row in tx.execute(sql, values)]

    def save(self, owner: str, **settings: Any) -> int:
        """One more version of the owner's settings; its number."""
        with closing(self.connect("settings")) as tx:
            tx.execute("BEGIN IMMEDIATE")
            made = append(tx, owner, open_profile(tx, owner), Draft(document(settings), "saved"))
            tx.execute("COMMIT")
            return made.version

    def operation(self, id_: str, stage: str, kind: str = "restore", holder: str = "a gateway", **more: str) -> None:
        row = {"id": id_, "owner": f"user:{id_}", "kind": kind, "mode": "merge", "stage": stage, "holder": holder}
        row |= {"lease_until": "0", "participants": '["settings"]', "started_at": WHEN, "changed_at": WHEN} | more
        marks = ", ".join(f":{name}" for name in row)
        with closing(self.connect("gateway")) as tx:
            tx.execute(f"INSERT INTO operations ({', '.join(row)}) VALUES ({marks})", row)

    def remembers(self, service: str, id_: str, state: str, changed_at: str = WHEN) -> None:
        sql = "INSERT INTO restores (restore_id, owner, mode, state, changed_at) VALUES (?, 'user:a', 'merge', ?, ?)"
        self.write(service, sql, id_, state, changed_at)

    def session(self, id_: str, owner: str) -> None:
        values = (id_, id_.encode(), owner, WHEN, WHEN, LATER)
        sql = "INSERT INTO sessions (session_id, token_hash, owner, created_at, last_seen_at, expires_at)"
        self.write("auth", f"{sql} VALUES (?, ?, ?, ?, ?, ?)", *values)

    @property
    def everything(self) -> dict[str, bytes]:
        """Every file in the data's folder, but for locks, which are empty, and what SQLite makes anew."""
        left_out = (".lock", "-shm")
        return {each.name: each.read_bytes() for each in self.data.iterdir() if not each.name.endswith(left_out)}


def made(folder: Path, keys: int = 3) -> Console:
    console = Console(folder)
    for package, file in console.files.items():
        bring_up(file, package)
    rotation.made(console.files["vault_service"], keys)
    console.save("user:a", theme={"grain": 0.5})
    console.session("s-a", "user:a")
    return console


def unmade(folder: Path) -> Console:
    """One that has no files yet."""
    return Console(folder)


def killed_at(step: int, work: Callable[[], object], *, fails: bool = False) -> bool:
    """Do the work in a process that is killed right before its `step`-th change to a file; whether it came so far.

    Where it `fails`, that change is refused instead (a full disk), and so the work ends by itself.
    """
    child = os.fork()
    if child == 0:
        left = step

        def counted(real: Callable[..., Any]) -> Callable[..., Any]:
            def call(*arguments: Any, **rest: Any) -> Any:
                nonlocal left
                left -= 1
                if left == 0 and not fails:
                    os.kill(os.getpid(), signal.SIGKILL)
                if left == 0:
                    raise OSError(28, "No space left on device")
                return real(*arguments, **rest)

            return call

        for name in STEPS:
            setattr(os, name, counted(getattr(os, name)))
        try:
            work()
        except OSError:
            os._exit(1)
        except BaseException:
            os._exit(2)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) in (0, 1)
    return status != 0
