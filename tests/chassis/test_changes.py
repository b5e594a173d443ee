"""What one process commits, another tells of: in time, in order, and without anything missed."""

import asyncio
import json
import random
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse, web
from pytest_aiohttp import AiohttpClient

from chassis import changes
from chassis.changes import (
    CHANGES,
    CURRENT_PATH,
    FEED_PATH,
    HEARTBEAT_SECONDS,
    POLL_SECONDS,
    Change,
    Listener,
    watching,
)
from chassis.database import Database, opened
from chassis.peers import Scope, Signer
from chassis.serving import DATABASE, LEAVING, service
from tests.chassis import bare_service
from tests.support import Asker

TOUCH = "INSERT INTO touched (owner, version) VALUES (?, ?)"
IN_TIME = POLL_SECONDS + 0.3  # of a machine that is busy with something else


async def touch(database: Database, owner: str, version: int | None = None) -> None:
    await database.write(lambda tx: tx.execute(TOUCH, (owner, version)))


async def forget(database: Database, owner: str) -> None:
    await database.write(lambda tx: changes.forget(tx, owner))


async def heard(listener: Listener, owner: str, version: int, seconds: float = 5.0) -> float:
    """After how many seconds."""
    started = time.monotonic()
    async with asyncio.timeout(seconds):
        while True:
            for change in await listener.take(seconds):
                if (change.owner, change.version) == (owner, version):
                    return time.monotonic() - started


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "file.db"


@pytest.fixture
async def both(file: Path) -> AsyncIterator[tuple[Database, Database]]:
    """The file as two processes have it open."""
    async with opened(file, bare_service.__name__) as one, opened(file, bare_service.__name__) as other:
        yield one, other


@pytest.fixture
async def app(both: tuple[Database, Database]) -> AsyncIterator[web.Application]:
    """That of the first process, which watches."""
    app = web.Application()
    app[LEAVING] = asyncio.Event()
    async with watching(app, both[0]):
        yield app


async def test_its_own_commits_are_told_at_once_and_those_of_another_process_soon(
    both: tuple[Database, Database], app: web.Application
) -> None:
    with app[CHANGES].listening() as listener:
        await touch(both[0], "guest:a")
        assert await heard(listener, "guest:a", 1) < POLL_SECONDS / 2
        await touch(both[1], "guest:a")
        assert await heard(listener, "guest:a", 2) < IN_TIME
        await touch(both[1], "guest:b", 17)
        assert await heard(listener, "guest:b", 17) < IN_TIME


@pytest.mark.parametrize("error", [sqlite3.OperationalError("disk I/O error"), RuntimeError("no new thread")])
async def test_a_watch_that_breaks_begins_again_where_it_was(
    both: tuple[Database, Database], app: web.Application, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    look, failing = changes._data_version, iter([error])

    def fail_once(tx: sqlite3.Connection) -> int:
        for each in failing:
            raise each
        return look(tx)

    monkeypatch.setattr(changes, "AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(changes, "_data_version", fail_once)
    with app[CHANGES].listening() as listener:
        await touch(both[0], "guest:a")
        await heard(listener, "guest:a", 1)
    assert list(failing) == []


async def test_a_slow_listener_hears_of_the_latest_alone(both: tuple[Database, Database], app: web.Application) -> None:
    with app[CHANGES].listening() as slow, app[CHANGES].listening() as quick:
        for number in range(1, 6):
            await touch(both[0], "guest:a")
            await heard(quick, "guest:a", number)
        assert [change.version for change in await slow.take(1.0)] == [5]


async def test_a_change_after_the_last_owner_was_erased_is_told(
    both: tuple[Database, Database], app: web.Application
) -> None:
    with app[CHANGES].listening() as listener:
        for owner in ("guest:a", "guest:b"):
            await touch(both[0], owner)
        await heard(listener, "guest:b", 1)
        await forget(both[0], "guest:b")
        for owner in ("guest:c", "guest:a"):
            await touch(both[0], owner)
            await heard(listener, owner, 2 if owner == "guest:a" else 1)


async def test_what_was_read_before_something_newer_was_heard_does_not_replace_it() -> None:
    listener = Listener()
    for change in (Change("guest:a", 6, 3), Change("guest:a", 5, 2), Change("guest:b", 1, 4)):
        listener.hear(change)
    assert [change.version for change in await listener.take(0)] == [6, 1]


async def test_what_was_undone_with_its_write_is_not_told(
    both: tuple[Database, Database], app: web.Application
) -> None:
    def fails(tx: sqlite3.Connection) -> None:
        tx.execute(TOUCH, ("guest:a", None))
        raise RuntimeError("after all not")

    with app[CHANGES].listening() as listener:
        with pytest.raises(RuntimeError):
            await both[0].write(fails)
        assert await listener.take(POLL_SECONDS * 2) == []


async def test_whoever_begins_again_where_it_stopped_misses_nothing(both: tuple[Database, Database]) -> None:
    watched = changes.Changes(both[1])
    seen: dict[str, int] = {}
    place, dice = await watched.last(), random.Random(7)
    for _ in range(60):
        for _ in range(dice.randrange(6)):
            await touch(both[0], f"guest:{dice.randrange(5)}")
        for change in await watched.after(place):
            assert change.version >= seen.get(change.owner, 0)
            seen[change.owner], place = change.version, change.seq
    rows = await both[0].read(lambda tx: tx.execute("SELECT owner, version FROM changes").fetchall())
    assert seen == {row["owner"]: row["version"] for row in rows}


async def test_where_the_file_was_never_so_far_everything_is_told_again(both: tuple[Database, Database]) -> None:
    await touch(both[0], "guest:a")
    assert await changes.Changes(both[0]).after(1_000) == [Change("guest:a", 1, 1)]


@pytest.fixture
async def ask(file: Path, aiohttp_client: AiohttpClient, gateway_url: str, signer: Signer) -> Asker:
    async def storage(app: web.Application) -> AsyncIterator[None]:
        async with opened(file, bare_service.__name__) as database, watching(app, database):
            app[DATABASE] = database
            yield

    app = service(changes.routes(), audience="toy", gateways=[gateway_url], max_body=1000, lifespans=[storage])
    return Asker(await aiohttp_client(app), signer, "toy")


def app_of(ask: Asker) -> web.Application:
    app: web.Application = ask.client.app
    return app


async def line_of(feed: ClientResponse) -> dict[str, Any]:
    """The next that is no heartbeat."""
    async with asyncio.timeout(10):
        while not (line := (await feed.content.readline()).strip()):
            continue
    found: dict[str, Any] = json.loads(line)
    return found


async def test_a_feed_says_where_it_begins_and_goes_on_from_where_one_stopped(ask: Asker) -> None:
    database: Database = app_of(ask)[DATABASE]
    await touch(database, "guest:a")
    feed = await ask.get(FEED_PATH, scope=Scope.SYSTEM, owner="system")
    assert await line_of(feed) == {"seq": 1}
    await touch(database, "guest:b", 3)
    while (line := await line_of(feed))["seq"] == 1:
        continue  # of the one before, which may be told again
    assert line == {"owner": "guest:b", "version": 3, "seq": 2, "value": {"version": 3}}
    feed.close()
    await touch(database, "guest:c")
    again = await ask.get(f"{FEED_PATH}?after=2", scope=Scope.SYSTEM, owner="system")
    assert [(await line_of(again))["seq"] for _ in range(3)] == [2, 2, 3]
    current = await ask.get(CURRENT_PATH, scope=Scope.SYSTEM, owner="guest:b")
    assert await current.json() == {"version": 3, "value": {"version": 3}}


async def test_a_feed_ends_when_its_process_is_leaving(ask: Asker) -> None:
    feed = await ask.get(FEED_PATH, scope=Scope.SYSTEM, owner="system")
    await line_of(feed)
    app_of(ask)[LEAVING].set()
    async with asyncio.timeout(HEARTBEAT_SECONDS / 2):
        assert (await feed.read()).strip() == b""


async def test_only_the_gateway_itself_may_listen(ask: Asker) -> None:
    for path in (FEED_PATH, CURRENT_PATH):
        assert (await ask.get(path, owner="guest:a")).status == 401
