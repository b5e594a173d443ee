"""What each file says has changed: in one order, by one rule, and told by every service in one shape."""

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from chassis import changes
from chassis.changes import CURRENT_PATH, FEED_PATH, Change, Changes
from chassis.database import Database, opened
from chassis.peers import Scope
from tests.contract.conftest import Service

TOUCH = "INSERT INTO touched (owner, version) VALUES (?, ?)"
A, B, C = "guest:a", "user:b", "user:c"


async def touched(database: Database, owner: str, version: int | None = None) -> list[Change]:
    """All that is told of the file after one more write of an owner's."""
    await database.write(lambda tx: tx.execute(TOUCH, (owner, version)))
    return await Changes(database).after(0)


async def test_every_file_orders_the_owners_by_their_last_write_and_counts_the_writes_of_each(
    package: str, tmp_path: Path
) -> None:
    async with opened(tmp_path / "file.db", package) as database:
        assert await touched(database, A) == [(A, 1, 1)]
        assert await touched(database, A) == [(A, 2, 1)], "the last to write stays at its place"
        assert await touched(database, B, 7) == [(A, 2, 1), (B, 7, 2)]
        assert await touched(database, A) == [(B, 7, 2), (A, 3, 3)]
        assert await touched(database, B) == [(A, 3, 3), (B, 8, 4)]


async def test_in_every_file_no_place_is_given_again_when_its_owner_was_erased(package: str, tmp_path: Path) -> None:
    async with opened(tmp_path / "file.db", package) as database:
        await touched(database, A)
        await touched(database, B)
        await database.write(lambda tx: changes.forget(tx, B))
        assert [change[::2] for change in await touched(database, C)] == [(A, 1), (C, 3)]
        assert [change[::2] for change in await touched(database, B)] == [(A, 1), (C, 3), (B, 4)]


@pytest.mark.parametrize("owner", [A, B])
async def test_every_service_tells_of_a_change_what_it_tells_of_it_as_it_is_now(
    service: Service, tmp_path: Path, owner: str
) -> None:
    with closing(sqlite3.connect(tmp_path / f"animatize_web.{service.name}.db")) as file, file:
        file.execute(TOUCH, (owner, 7))
    answer = await service.ask.get(CURRENT_PATH, scope=Scope.SYSTEM, owner=owner)
    current = await answer.json()
    assert current["version"] == 7
    feed = await service.ask.get(f"{FEED_PATH}?after=0", scope=Scope.SYSTEM, owner="system")
    async with asyncio.timeout(10):
        lines: list[dict[str, Any]] = [json.loads(await feed.content.readline()) for _ in range(2)]
    assert lines == [{"seq": 0}, {"owner": owner, "seq": 1, **current}]
    feed.close()
