"""What the five files say once the journal is at rest, read from outside, as an operator would with sqlite3."""

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

FILES: Final = ("gateway", "auth", "settings", "runs", "vault")
REST_SECONDS: Final = 30.0
UNFINISHED: Final = ("staging", "committing", "aborting")
SHARED: Final = (("contents", "content_id"), ("images", "image_sha256"))  # kept once, by whoever names them


def path_of(data: Path, name: str) -> Path:
    return data / f"animatize_web.{name}.db"


@contextmanager
def reading(data: Path, name: str) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(f"file:{path_of(data, name)}?mode=ro", uri=True, timeout=10)) as file:
        yield file


@contextmanager
def locked(data: Path, name: str) -> Iterator[None]:
    """Nobody else writes to the file inside the block."""
    with closing(sqlite3.connect(path_of(data, name), timeout=10, isolation_level=None)) as file:
        file.execute("BEGIN EXCLUSIVE")
        yield
        file.execute("ROLLBACK")


def rows(data: Path, name: str, sql: str, *values: Any) -> list[Any]:
    with reading(data, name) as file:
        return file.execute(sql, values).fetchall()


async def at_rest(data: Path) -> None:
    """Return when no operation is under way in the journal; one that is put off to be done once more is none."""
    deadline = time.monotonic() + REST_SECONDS
    while left := _unfinished(data):
        assert time.monotonic() < deadline, f"not at rest after {REST_SECONDS:.0f} s: {left}"
        await asyncio.sleep(0.05)


def stages(data: Path, owner: str) -> dict[str, str]:
    """`{operation id: stage}` of an owner, in the order of their beginning."""
    return dict(rows(data, "gateway", "SELECT id, stage FROM operations WHERE owner = ? ORDER BY started_at", owner))


def owner_of_run(data: Path, run_id: str) -> str:
    [(owner,)] = rows(data, "runs", "SELECT owner FROM runs WHERE run_id = ?", run_id)
    return str(owner)


def rows_of_owner(data: Path, owner: str) -> dict[str, int]:
    """`{file.table: rows}` of each table that has any of the owner."""
    found: dict[str, int] = {}
    for name in FILES:
        with reading(data, name) as file:
            for table in tables_of(file):
                if "owner" in columns(file, table):
                    [number] = file.execute(f"SELECT count(*) FROM {table} WHERE owner = ?", (owner,)).fetchone()
                    found |= {f"{name}.{table}": number} if number else {}
    return found


def check_files(data: Path) -> None:
    """Nothing that is staged, nothing that nobody refers to, and no damage, in any file. Only at rest."""
    for name in FILES:
        with reading(data, name) as file:
            assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)], name
            tables = tables_of(file)
            _check_nothing_staged(file, tables)
            for table, key in SHARED:
                if table in tables:
                    _check_all_referred_to(file, tables, table, key)


def _unfinished(data: Path) -> list[Any]:
    return rows(
        data,
        "gateway",
        "SELECT id, stage FROM operations WHERE stage IN (?, ?, ?) AND holder <> 'postponed'",
        *UNFINISHED,
    )


def _check_nothing_staged(file: sqlite3.Connection, tables: list[str]) -> None:
    for table in tables:
        if table.startswith("staged_"):
            assert file.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table
    if "restores" in tables:
        open_ones = "SELECT restore_id, state FROM restores WHERE state NOT IN ('committed', 'aborted')"
        assert file.execute(open_ones).fetchall() == []


def _check_all_referred_to(file: sqlite3.Connection, tables: list[str], table: str, key: str) -> None:
    own = {"contents": "content_id", "images": "sha256"}[table]
    holders = [each for each in tables if each != table and key in columns(file, each)]
    assert holders
    held = " UNION ".join(f"SELECT {key} FROM {each} WHERE {key} IS NOT NULL" for each in holders)
    assert file.execute(f"SELECT count(*) FROM {table} WHERE {own} NOT IN ({held})").fetchone() == (0,), table


def tables_of(file: sqlite3.Connection) -> list[str]:
    return [table for (table,) in file.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]


def columns(file: sqlite3.Connection, table: str) -> set[str]:
    return {column for _, column, *_ in file.execute(f"PRAGMA table_info({table})")}
