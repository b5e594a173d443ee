"""Each service's file: made from nothing, brought up from every schema it ever had, refused when it is from ahead."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from chassis.database import opened
from chassis.schema import Unusable, steps_of
from tests.contract.conftest import PROCESSES

Schema = list[tuple[str, str, str]]


def scripts(package: str) -> list[str]:
    return [script for _, script in steps_of(package)]


def schema(path: Path) -> tuple[int, Schema]:
    with closing(sqlite3.connect(path)) as file:
        rows = file.execute("SELECT type, name, coalesce(sql, '') FROM sqlite_schema ORDER BY type, name").fetchall()
        assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert file.execute("PRAGMA foreign_key_check").fetchall() == []
        return file.execute("PRAGMA user_version").fetchone()[0], rows


async def fresh(path: Path, package: str) -> tuple[int, Schema]:
    async with opened(path, package):
        pass
    return schema(path)


async def test_a_file_is_made_from_nothing_and_opening_it_again_changes_nothing(package: str, tmp_path: Path) -> None:
    made = await fresh(tmp_path / "new.db", package)
    assert made[0] == len(scripts(package)) > 0
    assert await fresh(tmp_path / "new.db", package) == made


async def test_every_past_schema_becomes_the_present_one(package: str, tmp_path: Path) -> None:
    present = await fresh(tmp_path / "new.db", package)
    steps = scripts(package)
    for past in range(len(steps) + 1):
        path = tmp_path / f"from-{past}.db"
        with closing(sqlite3.connect(path)) as file:
            file.executescript("\n".join(steps[:past]) + f"\nPRAGMA user_version = {past};")
        assert await fresh(path, package) == present, f"from schema {past}"


async def test_processes_that_start_together_make_one_file(package: str, tmp_path: Path) -> None:
    made = await asyncio.gather(*(fresh(tmp_path / "new.db", package) for _ in range(4)))
    assert made == [await fresh(tmp_path / "other.db", package)] * 4


async def test_a_file_of_a_newer_release_is_refused_and_left_alone(package: str, tmp_path: Path) -> None:
    version, _ = await fresh(tmp_path / "new.db", package)
    with closing(sqlite3.connect(tmp_path / "new.db")) as file:
        file.execute(f"PRAGMA user_version = {version + 1}")
    with pytest.raises(Unusable, match="newer release"):
        await fresh(tmp_path / "new.db", package)
    assert schema(tmp_path / "new.db")[0] == version + 1


async def test_a_file_that_is_no_database_is_refused_and_left_alone(package: str, tmp_path: Path) -> None:
    rubbish = b"this was never a database\n" * 500
    (tmp_path / "new.db").write_bytes(rubbish)
    with pytest.raises(Unusable, match="not a readable database"):
        await fresh(tmp_path / "new.db", package)
    assert (tmp_path / "new.db").read_bytes() == rubbish


async def test_every_table_is_strict(package: str, tmp_path: Path) -> None:
    await fresh(tmp_path / "new.db", package)
    with closing(sqlite3.connect(tmp_path / "new.db")) as file:
        tables = file.execute("SELECT name, strict FROM pragma_table_list WHERE type = 'table' AND schema = 'main'")
        loose = [name for name, strict in tables if not strict and not name.startswith("sqlite_")]
    assert loose == []


async def test_a_file_of_another_process_or_program_is_refused_and_left_alone(package: str, tmp_path: Path) -> None:
    other = next(name for name in PROCESSES if name != package)
    made = await fresh(tmp_path / "other.db", other)
    with closing(sqlite3.connect(tmp_path / "foreign.db")) as file:
        file.execute("CREATE TABLE users (id TEXT)")
    foreign = schema(tmp_path / "foreign.db")
    for name in ("other.db", "foreign.db"):
        with pytest.raises(Unusable, match=f"is not a file of {package}"):
            await fresh(tmp_path / name, package)
    assert (schema(tmp_path / "other.db"), schema(tmp_path / "foreign.db")) == (made, foreign)
