"""What is old is forgotten piece by piece, again and again, whatever fails meanwhile."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from chassis.changes import Changes
from chassis.database import Database, opened
from chassis.forgetting import forgetting
from tests.chassis import bare_service

NOW = 1_000_000


class Pieces:
    """Something of which so many pieces are old. Broken, it fails half way."""

    def __init__(self, name: str, left: int, *, broken: bool = False) -> None:
        self.name, self.left, self.broken, self.asked_at = name, left, broken, list[int]()

    def forget(self, now: int, tx: sqlite3.Connection) -> bool:
        self.asked_at.append(now)
        tx.execute("INSERT INTO touched (owner) VALUES (?)", (self.name,))
        if self.broken:
            raise sqlite3.OperationalError("disk I/O error")
        self.left = max(0, self.left - 1)
        return self.left > 0

    async def committed(self, database: Database) -> int:
        """In how many transactions something of it was forgotten."""
        return await Changes(database).version(self.name)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with opened(tmp_path / "file.db", bare_service.__name__) as database:
        yield database


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chassis.forgetting.time.time", lambda: NOW + 0.5)


async def until(it_is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not it_is_so():  # noqa: ASYNC110 - it is a task of its own that does it
            await asyncio.sleep(0.01)


async def test_all_that_is_old_goes_at_the_start_each_piece_in_a_transaction_of_its_own(database: Database) -> None:
    some, others = Pieces("some", 3), Pieces("others", 1)
    async with forgetting(database, some.forget, others.forget):
        await until(lambda: (some.left, others.left) == (0, 0))
        await database.write(lambda _: None)  # comes after them
    assert (some.asked_at, others.asked_at) == ([NOW] * 3, [NOW])
    assert (await some.committed(database), await others.committed(database)) == (3, 1)


async def test_what_grows_old_later_goes_later(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chassis.forgetting.EVERY_SECONDS", 0.02)
    pieces = Pieces("some", 1)
    async with forgetting(database, pieces.forget):
        await until(lambda: pieces.left == 0)
        pieces.left = 2
        await until(lambda: pieces.left == 0)


async def test_what_fails_is_undone_and_tried_again_and_keeps_nothing_else_from_going(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chassis.forgetting.EVERY_SECONDS", 0.02)
    broken, others = Pieces("broken", 1, broken=True), Pieces("others", 1)
    async with forgetting(database, broken.forget, others.forget):
        await until(lambda: len(broken.asked_at) >= 3 and others.left == 0)
        assert await broken.committed(database) == 0
        broken.broken = False
        await until(lambda: broken.left == 0)


async def test_after_its_block_nothing_is_forgotten_any_more(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chassis.forgetting.EVERY_SECONDS", 0.0)
    pieces = Pieces("some", 1)
    async with forgetting(database, pieces.forget):
        await until(lambda: pieces.left == 0)
    await database.write(lambda _: None)  # comes after what was under way
    asked = len(pieces.asked_at)
    await asyncio.sleep(0.05)
    assert len(pieces.asked_at) == asked
