"""Opens one SQLite file and brings it to the schema of this release: numbered scripts, forward only."""

import fcntl
import re
import sqlite3
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

BUSY_SECONDS = 4.0  # a write may wait for another that waits: twice this is less than a gateway waits for an answer
LOOK_MILLISECONDS = 10  # SQLite looks after 1, 2 and 5 of them; then it is asked again


SHARED = re.compile(r"^-- with chassis/(migrations/\w+\.sql)$", re.MULTILINE)


class Schema(NamedTuple):
    """The number of the last migration that a file has had, and that of the last which this release knows."""

    version: int
    known: int


class Unusable(Exception):
    """A database file that this release must not touch; the message says why and what to do."""


def connect(path: Path, patience: float = BUSY_SECONDS) -> sqlite3.Connection:
    """In autocommit; each statement waits for so many seconds where the file is locked."""
    tx = sqlite3.connect(path, timeout=patience, isolation_level=None, check_same_thread=False)
    tx.row_factory = sqlite3.Row
    tx.execute("PRAGMA synchronous = FULL")
    tx.execute("PRAGMA secure_delete = ON")  # what was deleted is overwritten, not only forgotten
    tx.execute("PRAGMA foreign_keys = ON")
    return tx


def take_turn(tx: sqlite3.Connection, begin: Callable[[], object]) -> None:
    """`begin` a write transaction as soon as no other process is at one. Raises OperationalError after BUSY_SECONDS.

    SQLite's own patience soon looks only ten times a second. Beside processes that write without a pause to a slow disk
    it can miss every moment between their turns.
    """
    deadline = time.monotonic() + BUSY_SECONDS
    tx.execute(f"PRAGMA busy_timeout = {LOOK_MILLISECONDS}")
    while True:
        try:
            begin()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        else:
            return


@contextmanager
def writing(tx: sqlite3.Connection) -> Iterator[None]:
    """A write transaction in its turn: committed at the end, taken back where the block raises."""
    take_turn(tx, lambda: tx.execute("BEGIN IMMEDIATE"))
    try:
        yield
        tx.execute("COMMIT")
    except BaseException:
        if tx.in_transaction:
            tx.execute("ROLLBACK")
        raise


def steps_of(package: str) -> list[tuple[int, str]]:
    """The migrations of a package in order, as (number, script). Raises Unusable unless numbered 1, 2, 3, …"""
    found = sorted(Path(str(files(package))).glob("migrations/*.sql"))
    steps = [(int(file.name.split("_")[0]), SHARED.sub(_shared, file.read_text(encoding="utf-8"))) for file in found]
    if [number for number, _ in steps] != list(range(1, len(steps) + 1)):
        raise Unusable(f"the migrations of {package} are not numbered 1, 2, 3, …")
    return steps


def _shared(line: re.Match[str]) -> str:
    """What several services have alike stands once, and is no more changed afterwards than what names it."""
    return (Path(__file__).parent / line[1]).read_text(encoding="utf-8")


def bring_up(path: Path, package: str) -> None:
    """Make the file, or apply the migrations that it lacks; other processes wait meanwhile. Raises Unusable."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _exclusive(lock_of(path)):
        refuse_half_replaced(path)
        with _connected(path) as tx:
            _refuse_foreign(tx, path, package)
            _migrate(tx, path, package)


def lock_of(path: Path) -> Path:
    """What whoever starts on the file locks first."""
    return path.with_name(path.name + ".lock")


def replacing_mark(path: Path) -> Path:
    """Lies beside the file while a copy is put in its place, and longer where that was broken off."""
    return path.with_name(path.name + ".replacing")


def refuse_half_replaced(path: Path) -> None:
    """Raises Unusable where the five files may be of two different days."""
    if replacing_mark(path).exists():
        reason = f"putting a copy in the place of {path} was broken off"
        raise Unusable(f"{reason}: run `animatize recover --settle`, which takes that back, and start again")


def schema_of(path: Path, package: str, patience: float = BUSY_SECONDS) -> Schema:
    """Of any release. Raises Unusable where the file is not there, or not the package's. Changes nothing."""
    if not path.exists():
        raise Unusable(f"there is no file of {package} at {path}: see where ANIMATIZE_WEB_DB_PATH points")
    with _connected(path, patience) as tx:
        _refuse_foreign(tx, path, package)
        return Schema(tx.execute("PRAGMA user_version").fetchone()[0], len(steps_of(package)))


def refuse_unready(path: Path, package: str) -> None:
    """Raises Unusable unless the file is there, is the package's, and is of this release. Changes nothing."""
    if not path.exists():
        raise Unusable(f"there is no file of {package} at {path}: see where ANIMATIZE_WEB_DB_PATH points")
    refuse_half_replaced(path)
    with _connected(path) as tx:
        _refuse_foreign(tx, path, package)
        if _version_known(tx, path, len(steps_of(package))) < len(steps_of(package)):
            raise Unusable(f"{path} is of an older release, or empty: start its {package} once, which brings it up")


def is_unmade(path: Path) -> bool:
    """Whether `bring_up` would make the file from nothing: it is not there, or was never finished. Changes nothing."""
    if not path.exists():
        return True
    with _connected(path) as tx:
        version = tx.execute("PRAGMA user_version").fetchone()[0]
        return not version and not tx.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]


@contextmanager
def _connected(path: Path, patience: float = BUSY_SECONDS) -> Iterator[sqlite3.Connection]:
    try:
        with closing(connect(path, patience)) as tx:
            yield tx
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        raise Unusable(f"{path} is not a readable database ({error}): put back a copy that is") from error


def _refuse_foreign(tx: sqlite3.Connection, path: Path, package: str) -> None:
    """A file with tables that another program, or another of our services, has made is left alone."""
    tables = tx.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    version = tx.execute("PRAGMA user_version").fetchone()[0]
    made_for = tx.execute("PRAGMA application_id").fetchone()[0]
    if made_for not in (0, _application_id(package)) or (tables and not version):
        raise Unusable(f"{path} is not a file of {package}: see where ANIMATIZE_WEB_DB_PATH points")


def _application_id(package: str) -> int:
    """The number by which SQLite's header tells whose file it is."""
    return zlib.crc32(package.encode()) & 0x7FFFFFFF


def _migrate(tx: sqlite3.Connection, path: Path, package: str) -> None:
    steps = steps_of(package)
    version = _version_known(tx, path, len(steps))
    if not version:
        tx.execute("PRAGMA auto_vacuum = INCREMENTAL")  # can be chosen for an empty file alone
    tx.execute("PRAGMA journal_mode = WAL")
    if 0 < version < len(steps):
        _check_and_copy(tx, path, version)
    if version < len(steps):
        _apply(tx, steps[version:], _application_id(package))


def _version_known(tx: sqlite3.Connection, path: Path, known: int) -> int:
    version: int = tx.execute("PRAGMA user_version").fetchone()[0]
    if version > known:
        raise Unusable(f"{path} has schema {version}, this release knows {known}: start the newer release again")
    return version


def _check_and_copy(tx: sqlite3.Connection, path: Path, version: int) -> None:
    verdict = tx.execute("PRAGMA integrity_check").fetchone()[0]
    if verdict != "ok":
        raise Unusable(f"{path} is damaged ({verdict}): put back a copy before upgrading")
    with closing(sqlite3.connect(path.with_name(f"{path.name}.before-{version + 1:03}"))) as copy:
        tx.backup(copy)


def _apply(tx: sqlite3.Connection, steps: list[tuple[int, str]], application_id: int) -> None:
    marks = (f"PRAGMA application_id = {application_id};", f"PRAGMA user_version = {steps[-1][0]};")
    script = "\n".join(["BEGIN IMMEDIATE;", *(text for _, text in steps), *marks, "COMMIT;"])
    try:
        take_turn(tx, lambda: tx.executescript(script))
    except sqlite3.Error:
        if tx.in_transaction:
            tx.execute("ROLLBACK")
        raise


@contextmanager
def _exclusive(lock: Path) -> Iterator[None]:
    """Only one process at a time; the others wait. The kernel lets go when the holder dies."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
