"""What one feed does while its service comes and goes."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
import structlog

from chassis.background import at_work
from chassis.changes import Changes
from chassis.database import Database
from chassis.problems import unavailable
from gateway.feeds import AT_ONCE, Feed, OwnFile
from gateway.hub import Hub, Seat, Topic

OWNER = "guest:a"


def here() -> bool:
    return False


class FakeService:
    """Tells what the test says; can be away, break off, or end in order."""

    def __init__(self) -> None:
        self.after: list[int | None] = []
        self.away = False
        self.asked: list[str] = []
        self.refusing: set[str] = set()
        self.at_once = self.most_at_once = 0
        self.lines: asyncio.Queue[dict[str, Any] | Exception | None] = asyncio.Queue()

    @asynccontextmanager
    async def changes(self, after: int | None) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        self.after.append(after)
        if self.away:
            raise unavailable("service_unavailable", "It does not answer.")
        yield self._told(after or 0)

    async def _told(self, begin: int) -> AsyncIterator[dict[str, Any]]:
        yield {"seq": begin}
        while (line := await self.lines.get()) is not None:
            if isinstance(line, Exception):
                raise line
            yield line

    async def current(self, owner: str) -> dict[str, Any]:
        self.asked.append(owner)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0.001)
        self.at_once -= 1
        if owner in self.refusing:
            self.refusing.discard(owner)
            raise unavailable("service_unavailable", "It does not answer.")
        return {"version": 3, "value": {"version": 3}}

    def tell(self, seq: int, version: int, owner: str = OWNER) -> None:
        self.lines.put_nowait({"owner": owner, "seq": seq, "version": version, "value": {"version": version}})


@pytest.fixture(autouse=True)
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.feeds.AGAIN_SECONDS", 0.02)
    monkeypatch.setattr("gateway.feeds.SOON_SECONDS", 0.01)


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
def hub() -> Hub:
    return Hub()


@pytest.fixture
async def feed(service: FakeService, hub: Hub) -> AsyncIterator[Feed]:
    feed = Feed(Topic.SESSIONS, service, hub)
    async with at_work(feed.follow(), feed.ask()):
        yield feed


async def versions(seat: Seat, last: int) -> list[int]:
    """What is told up to the version `last`."""
    told: list[int] = []
    async with asyncio.timeout(2):
        while last not in told:
            told += [data["version"] for _, data in await seat.news(0.05)]
    return told


async def until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(2):
        while not reached():  # noqa: ASYNC110 - the fake is no place for an event for each thing
            await asyncio.sleep(0.002)


async def test_who_comes_is_told_the_current_value_and_then_each_change(
    feed: Feed, service: FakeService, hub: Hub
) -> None:
    with hub.seat(OWNER, "s", here) as seat:
        assert await versions(seat, 3) == [3]
        service.tell(seq=9, version=4)
        service.tell(seq=10, version=1, owner="guest:b")
        assert await versions(seat, 4) == [4]
    assert service.asked == [OWNER]


async def test_nobody_is_asked_before_the_feed_has_begun(service: FakeService, hub: Hub) -> None:
    """Else a write between the answer and the beginning would be told to nobody."""
    service.away = True
    feed = Feed(Topic.RUNS, service, hub)
    with hub.seat(OWNER, "s", here) as seat:
        async with at_work(feed.follow(), feed.ask()):
            await until(lambda: len(service.after) > 2)
            assert service.asked == []
            service.away = False
            assert await versions(seat, 3) == [3]


@pytest.mark.parametrize("end", [ConnectionResetError("cut"), ValueError("no JSON"), KeyError("seq"), None])
async def test_a_feed_that_ends_goes_on_where_it_was(
    feed: Feed, service: FakeService, hub: Hub, end: Exception | None
) -> None:
    with hub.seat(OWNER, "s", here) as seat:
        await versions(seat, 3)
        service.tell(seq=9, version=4)
        await versions(seat, 4)
        service.lines.put_nowait(end)
        await until(lambda: len(service.after) == 2)
        service.tell(seq=12, version=6)
        assert await versions(seat, 6) == [6]
    assert service.after == [None, 9]
    assert service.asked == [OWNER], "what came meanwhile is told by the feed"


async def test_a_feed_that_begins_over_another_file_takes_up_the_place_there(
    feed: Feed, service: FakeService, hub: Hub
) -> None:
    with hub.seat(OWNER, "s", here) as seat:
        for seq in (900, 2):
            service.tell(seq=seq, version=1000 - seq)
            await versions(seat, 1000 - seq)
        service.lines.put_nowait(None)
        await until(lambda: len(service.after) == 2)
    assert service.after == [None, 2]


async def test_a_loss_and_a_return_are_told_once_each_and_an_end_in_order_is_no_loss(
    feed: Feed, service: FakeService, hub: Hub
) -> None:
    with structlog.testing.capture_logs() as lines, hub.seat(OWNER, "s", here) as seat:
        await versions(seat, 3)
        service.lines.put_nowait(None)
        await until(lambda: len(service.after) == 2)
        assert lines == []
        service.away = True
        service.lines.put_nowait(ConnectionResetError("cut"))
        await until(lambda: len(service.after) > 3)
        service.away = False
        service.tell(seq=12, version=6)
        await versions(seat, 6)
    assert [(line["event"], line["topic"]) for line in lines] == [("feed_lost", "sessions"), ("feed_back", "sessions")]


async def test_what_cannot_be_found_out_is_asked_again_and_keeps_nobody_else_waiting(
    feed: Feed, service: FakeService, hub: Hub
) -> None:
    service.refusing = {OWNER}
    with hub.seat(OWNER, "s", here) as seat, hub.seat("guest:b", "t", here) as other:
        assert await versions(other, 3) == [3]
        assert await versions(seat, 3) == [3]
    assert service.asked == [OWNER, "guest:b", OWNER]


async def test_only_so_many_are_asked_about_at_once(feed: Feed, service: FakeService, hub: Hub) -> None:
    async with asyncio.TaskGroup() as group:
        for number in range(100):
            group.create_task(_hear(hub, f"guest:{number}"))
    assert (len(service.asked), service.most_at_once) == (100, AT_ONCE)


async def _hear(hub: Hub, owner: str) -> None:
    with hub.seat(owner, owner, here) as seat:
        assert await versions(seat, 3) == [3]


async def test_sessions_are_looked_at_once_their_feed_is_back(feed: Feed, service: FakeService, hub: Hub) -> None:
    with hub.seat(OWNER, "s", here) as seat:
        await versions(seat, 3)
        await seat.sessions_touched(0.01)
        looking = asyncio.create_task(seat.sessions_touched(60))
        service.lines.put_nowait(ConnectionResetError("cut"))
        await asyncio.wait_for(looking, 1)


def _touch(owner: str, tx: sqlite3.Connection) -> None:
    tx.execute("INSERT INTO touched (owner) VALUES (?)", (owner,))


async def test_the_gateways_own_file_is_a_source_like_any_other(database: Database, hub: Hub) -> None:
    changes = Changes(database)
    await changes.begin()
    feed = Feed(Topic.RESTORE, OwnFile(changes), hub)
    with hub.seat(OWNER, "s", here) as seat:
        async with at_work(changes.watch(), feed.follow(), feed.ask()):
            assert await versions(seat, 0) == [0]
            for owner in (OWNER, "guest:b", OWNER):
                await database.write(partial(_touch, owner))
            assert (await versions(seat, 2))[-1] == 2


async def test_the_gateways_own_file_tells_what_came_after_the_place_where_one_stopped(database: Database) -> None:
    for owner in (OWNER, "guest:b"):
        await database.write(partial(_touch, owner))
    async with OwnFile(Changes(database)).changes(1) as lines, asyncio.timeout(2):
        assert [(await anext(lines)).get("owner") for _ in range(3)] == [None, OWNER, "guest:b"]
