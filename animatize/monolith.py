"""The file of the single-process console: every statement about it, all of them reads. Nothing is ever written to it,
nor to what SQLite keeps beside it.

What is not in the file yet, but in the log beside it, counts: then both are copied to a place of our own, and the copy
is read. Its names are taken away as soon as it is open, so that nothing of it is left however the command ends.
"""

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from animatize.telling import Exit, Stop

TABLES: Final = {
    "users": ("id", "email", "name", "picture", "created_at", "updated_at"),
    "sessions": ("session_id", "user_id", "guest_id", "created_at", "expires_at", "last_seen_at"),
    "settings_profiles": ("owner_key", "payload", "version", "created_at", "updated_at"),
    "settings_history": ("id", "owner_key", "version", "payload", "change_note", "created_at"),
    "generation_runs": ("id", "owner_key", "run_id", "created_at", "payload"),
    "api_credentials": ("owner_key", "provider", "encrypted_key", "created_at", "updated_at"),
}
HOLDING: Final = ("settings_profiles", "settings_history", "generation_runs", "api_credentials")
LOGS: Final = ("-wal", "-journal")
TRIES: Final = 3
NAMED: Final = " UNION ".join(f"SELECT owner_key FROM {table}" for table in HOLDING)  # noqa: S608
GUESTS: Final = "SELECT 'guest:' || guest_id FROM sessions WHERE user_id IS NULL AND guest_id IS NOT NULL"
OWNERS: Final = f"""
    SELECT owner_key FROM ({NAMED} UNION {GUESTS} UNION SELECT 'user:' || id FROM users)
    WHERE owner_key GLOB 'guest:?*' OR owner_key IN (SELECT 'user:' || id FROM users) ORDER BY owner_key"""  # noqa: S608
NOBODYS: Final = f"""
    SELECT owner_key FROM ({NAMED} UNION SELECT coalesce('user:' || user_id, 'guest:') FROM sessions
        WHERE user_id IS NOT NULL OR guest_id IS NULL)
    WHERE owner_key NOT GLOB 'guest:?*'
        AND owner_key NOT IN (SELECT 'user:' || id FROM users) ORDER BY owner_key"""  # noqa: S608
# The file has no index by guest; this one is of this connection alone, and nothing of it is in the file.
BY_OWNER: Final = (
    "CREATE TEMP TABLE session_of (owner TEXT, id INTEGER)",
    "INSERT INTO session_of SELECT coalesce('user:' || user_id, 'guest:' || guest_id), rowid FROM sessions",
    "CREATE INDEX temp.session_by_owner ON session_of (owner)",
)
SESSIONS: Final = "SELECT sessions.* FROM session_of JOIN sessions ON sessions.rowid = id WHERE owner = ? ORDER BY id"
HISTORY: Final = "SELECT * FROM settings_history WHERE owner_key = ? ORDER BY version, id"


State = list[tuple[int, int, int] | None]


class Monolith:
    """The open file. Rows are read as they are asked for, so that the memory held does not depend on their number."""

    def __init__(self, tx: sqlite3.Connection) -> None:
        self._tx = tx
        for statement in BY_OWNER:
            tx.execute(statement)

    def count(self, table: str) -> int:
        return int(self._tx.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608 - a name in TABLES

    def owners(self) -> Iterator[str]:
        """Every guest, and every user that there is."""
        return (owner for (owner,) in self._tx.execute(OWNERS))

    def nobodys(self) -> Iterator[str]:
        """Owners of something who are neither: users that are not there, and what is nobody."""
        return (str(owner) for (owner,) in self._tx.execute(NOBODYS))

    def users(self, owner: str) -> Iterator[sqlite3.Row]:
        """The user that an owner is, if it is one."""
        return self._tx.execute(
            "SELECT * FROM users WHERE 'user:' || id = ? AND id = ?", (owner, owner[len("user:") :])
        )

    def sessions(self, owner: str) -> Iterator[sqlite3.Row]:
        return self._tx.execute(SESSIONS, (owner,))

    def profile(self, owner: str) -> sqlite3.Row | None:
        query = "SELECT * FROM settings_profiles WHERE owner_key = ?"
        row: sqlite3.Row | None = self._tx.execute(query, (owner,)).fetchone()
        return row

    def history(self, owner: str) -> Iterator[sqlite3.Row]:
        return self._tx.execute(HISTORY, (owner,))

    def runs(self, owner: str) -> Iterator[sqlite3.Row]:
        return self._tx.execute("SELECT * FROM generation_runs WHERE owner_key = ? ORDER BY id", (owner,))

    def keys(self, owner: str) -> Iterator[sqlite3.Row]:
        return self._tx.execute("SELECT * FROM api_credentials WHERE owner_key = ? ORDER BY provider", (owner,))


@contextmanager
def opened(path: Path) -> Iterator[Monolith]:
    """Raises Stop where it is not such a file, or is being written to meanwhile."""
    if not path.is_file():
        raise Stop(Exit.REFUSED, f"There is no file at {path}.")
    before = state_of(path)
    with closing(_connected(path)) as tx:
        _refuse_another(tx, path)
        yield Monolith(tx)
    if state_of(path) != before:
        raise Stop(Exit.FOUND, f"{path} was written to meanwhile: stop the console that uses it, then begin again.")


def state_of(path: Path) -> State:
    """By which it shows that somebody wrote to the file: of it and each log, what the file system says."""
    return [_seen(each) for each in (path, *_logs(path))]


def _connected(path: Path) -> sqlite3.Connection:
    if not any(_seen(log) and log.stat().st_size for log in _logs(path)):
        return _open(path, "immutable=1")  # neither locked nor are files made beside it
    for _ in range(TRIES):
        before = state_of(path)
        with tempfile.TemporaryDirectory(prefix="animatize_monolith_") as folder:  # mode 0700: cookies are in there
            copy = _copied(path, Path(folder))
            if state_of(path) == before:
                return copy
            copy.close()
    raise Stop(Exit.AWAY, f"{path} is being written to: stop the console that uses it, then begin again.")


def _copied(path: Path, folder: Path) -> sqlite3.Connection:
    """A copy with its logs, open. The caller may remove the folder: what is open stays readable."""
    for each in (path, *_logs(path)):
        if each.exists():
            shutil.copyfile(each, folder / each.name)
    tx = _open(folder / path.name, "mode=rw")
    tx.execute("PRAGMA locking_mode = EXCLUSIVE")  # then SQLite needs no further file
    tx.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    return tx


def _open(path: Path, how: str) -> sqlite3.Connection:
    tx = sqlite3.connect(f"file:{quote(str(path.absolute()))}?{how}", uri=True, isolation_level=None)
    tx.row_factory = sqlite3.Row
    tx.text_factory = lambda text: text.decode("utf-8", "surrogateescape")  # what is no UTF-8 is told where it stands
    return tx


def _refuse_another(tx: sqlite3.Connection, path: Path) -> None:
    try:
        lacking = [table for table, columns in TABLES.items() if not set(columns) <= _columns(tx, table)]
        verdict = tx.execute("PRAGMA quick_check(1)").fetchone()[0] if not lacking else "ok"
    except sqlite3.DatabaseError as error:
        raise Stop(Exit.REFUSED, f"{path} is not a readable database ({error}).") from None
    if lacking:
        raise Stop(Exit.REFUSED, f"{path} is not the single-process console's file: it lacks {', '.join(lacking)}.")
    if verdict != "ok":
        raise Stop(Exit.REFUSED, f"{path} is damaged ({verdict}): take a copy that is not.")


def _columns(tx: sqlite3.Connection, table: str) -> set[str]:
    return {row["name"] for row in tx.execute("SELECT name FROM pragma_table_info(?)", (table,))}


def _logs(path: Path) -> list[Path]:
    return [path.with_name(path.name + ending) for ending in LOGS]


def _seen(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
