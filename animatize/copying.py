"""How one SQLite file is copied while others write to it: from a read transaction, which keeps no writer waiting."""

import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

PAGES_AT_ONCE: Final = 256
# A long flush at the end would keep the flushes of those who write waiting for as long.
FLUSHED_BYTES: Final = 4 << 20
CHUNK_BYTES: Final = 1 << 20

Tell = Callable[[int, int], None]  # how many bytes are done, and of how many
NOBODY: Tell = lambda _done, _of: None  # noqa: E731


def copy_view(view: sqlite3.Connection, target: Path, tell: Tell) -> None:
    """Copy what `view` sees, which is in a read transaction, into a new file that stands for itself.

    Since the transaction stays open, nothing that is written meanwhile is seen, and the copying never begins anew.
    """
    size = int(view.execute("PRAGMA page_size").fetchone()[0])
    with closing(sqlite3.connect(target, isolation_level=None)) as made, _flushing(target) as flush:
        made.execute("PRAGMA journal_mode = OFF")  # whatever becomes of the command, nobody needs half a copy
        made.execute("PRAGMA synchronous = OFF")

        def step(_status: int, remaining: int, total: int) -> None:
            flush((total - remaining) * size)
            tell((total - remaining) * size, total * size)

        view.backup(made, pages=PAGES_AT_ONCE, progress=step)
    stand_alone(target)


def stand_alone(path: Path) -> None:
    """Have all of the file in it, with nothing beside it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as tx:
        tx.execute("PRAGMA journal_mode = DELETE")
    with path.open("rb") as file:
        os.fsync(file.fileno())


def count_rows(tx: sqlite3.Connection) -> dict[str, int]:
    """Of each table."""
    listed = (
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name"
    )
    names = [name for (name,) in tx.execute(listed)]
    return {name: int(tx.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]) for name in names}  # noqa: S608


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def copy_file(source: Path, target: Path, tell: Tell = NOBODY) -> str:
    """Copy a file that nobody writes to; the SHA-256 of what was copied."""
    seen, size, done = hashlib.sha256(), source.stat().st_size, 0
    with source.open("rb") as whence, target.open("wb") as where:
        while chunk := whence.read(CHUNK_BYTES):
            seen.update(chunk)
            where.write(chunk)
            tell(done := done + len(chunk), size)
        where.flush()
        os.fsync(where.fileno())
    return seen.hexdigest()


@contextmanager
def _flushing(path: Path) -> Iterator[Callable[[int], None]]:
    """A function that is told how much was written, and has it on the disk every FLUSHED_BYTES."""
    descriptor, flushed = os.open(path, os.O_RDWR), 0

    def flush(written: int) -> None:
        nonlocal flushed
        if written - flushed >= FLUSHED_BYTES:
            os.fdatasync(descriptor)
            flushed = written

    try:
        yield flush
    finally:
        os.close(descriptor)
