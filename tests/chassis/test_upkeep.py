"""Removing what is too old: bounded pieces between which others write, and pages that go back to the disk."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from chassis.schema import connect
from chassis.upkeep import (
    MOST_ROWS,
    PAGES_AT_ONCE,
    Amount,
    Chore,
    chosen,
    clean,
    counted,
    give_back,
    look,
    rebuild,
    repeated,
    space,
)

SELECT = "SELECT id FROM things WHERE old = 1"
DELETE = "DELETE FROM things WHERE old = 1 AND id IN (SELECT value FROM json_each(:chosen))"
COUNT = "SELECT count(*), coalesce(sum(length(content)), 0) FROM things WHERE old = 1"
OLD = Chore("old", counted(COUNT, {}), chosen(SELECT, DELETE, {}))


def made(path: Path, *, shrinks: bool = True) -> None:
    with closing(connect(path)) as tx:
        if shrinks:
            tx.execute("PRAGMA auto_vacuum = INCREMENTAL")
        tx.execute("PRAGMA journal_mode = WAL")
        tx.execute("CREATE TABLE things (id INTEGER PRIMARY KEY, old INTEGER, content BLOB) STRICT")
        tx.execute("""
            WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 1300)
            INSERT INTO things SELECT n, n % 13 > 0, zeroblob(3000) FROM numbers""")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made(tmp_path / "things.db")
    return tmp_path / "things.db"


@pytest.fixture
def tx(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(connect(path)) as tx:
        yield tx


def test_looking_tells_rows_and_bytes_and_changes_nothing(tx: sqlite3.Connection) -> None:
    assert look(tx, [OLD]) == {"old": Amount(1200, 3_600_000)} == look(tx, [OLD])


def test_cleaning_removes_what_looking_told_and_nothing_else(tx: sqlite3.Connection) -> None:
    told: list[int] = []
    assert clean(tx, [OLD], told.append) == {"old": 1200}
    assert told == [MOST_ROWS, MOST_ROWS, 200]
    assert tx.execute("SELECT count(*), sum(old) FROM things").fetchone()[:] == (100, 0)
    assert clean(tx, [OLD], told.append) == {"old": 0}


def test_between_two_pieces_others_write_and_what_they_changed_stays(tx: sqlite3.Connection, path: Path) -> None:
    with closing(connect(path)) as other:
        pieces = OLD.pieces(tx)
        next(pieces)
        other.execute("UPDATE things SET old = 0 WHERE id = 1299")  # at once: nobody holds the file
        assert sum(pieces) == 1200 - MOST_ROWS - 1
    assert tx.execute("SELECT count(*) FROM things WHERE id = 1299").fetchone()[0] == 1


def test_what_is_broken_off_is_done_by_whoever_begins_again(tx: sqlite3.Connection, path: Path) -> None:
    next(OLD.pieces(tx))
    with closing(connect(path)) as other:
        assert clean(other, [OLD], lambda _: None) == {"old": 1200 - MOST_ROWS}


def test_rows_that_a_trigger_removes_are_not_counted(tx: sqlite3.Connection) -> None:
    tx.execute("CREATE TABLE shadows (id INTEGER PRIMARY KEY) STRICT")
    tx.execute("INSERT INTO shadows SELECT id FROM things")
    tx.execute("CREATE TRIGGER gone AFTER DELETE ON things BEGIN DELETE FROM shadows WHERE id = OLD.id; END")
    assert sum(repeated(lambda tx: tx.execute("DELETE FROM things WHERE old = 1").rowcount < 0)(tx)) == 1200
    assert sum(repeated(lambda tx: False)(tx)) == 0


def test_freed_pages_go_back_to_the_disk(tx: sqlite3.Connection) -> None:
    before = space(tx)
    clean(tx, [OLD], lambda _: None)
    assert space(tx).size == before.size
    assert space(tx).free > before.size * 0.8
    asked: list[str] = []
    tx.set_trace_callback(asked.append)
    give_back(tx)
    assert sum("incremental_vacuum" in each for each in asked) <= before.size // 4096 // PAGES_AT_ONCE + 1
    assert (space(tx).free, space(tx).shrinks) == (0, True)
    assert space(tx).size < before.size * 0.2
    assert tx.execute("PRAGMA integrity_check").fetchone()[0] == "ok"


def test_a_file_from_before_keeps_its_free_pages_until_it_is_rebuilt(tmp_path: Path) -> None:
    made(tmp_path / "before.db", shrinks=False)
    with closing(connect(tmp_path / "before.db")) as tx:
        clean(tx, [OLD], lambda _: None)
        kept = space(tx)
        give_back(tx)
        assert space(tx) == kept
        assert (kept.shrinks, kept.free > 0) == (False, True)
        rebuild(tx)
        assert (space(tx).shrinks, space(tx).free) == (True, 0)
        assert space(tx).size < kept.size * 0.2
