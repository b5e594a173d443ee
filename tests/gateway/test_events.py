"""One stream of events: what it says while nothing happens, and when it ends."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from chassis.peers import Caller
from chassis.problems import unavailable
from gateway import events
from gateway.forwarding import SERVICES
from gateway.hub import HUB, Hub, Topic, Value
from gateway.identity import COOKIE, IDENTITY, SESSION, Session

OWNER, TOKEN = "guest:a", "t" * 43
SOON = 1.0


class FakeAuth:
    """Knows one session; can be away."""

    def __init__(self) -> None:
        self.expires_at: datetime | None = datetime.now(UTC) + timedelta(days=1)
        self.away = self.hanging = False
        self.asked: list[Caller] = []

    async def end_of(self, who: Caller) -> datetime | None:
        self.asked.append(who)
        if self.hanging:
            await asyncio.sleep(60)
        if self.away:
            raise unavailable("service_unavailable", "It does not answer.")
        return self.expires_at


class FakeIdentity:
    def __init__(self) -> None:
        self.forgotten: list[str] = []

    def forget_one(self, token: str) -> None:
        self.forgotten.append(token)


class Gateway:
    """A server with the one route, to which everybody is the same session."""

    def __init__(self) -> None:
        self.auth, self.identity, self.hub = FakeAuth(), FakeIdentity(), Hub()
        self.session = Session("s", OWNER, datetime.now(UTC) + timedelta(days=1))

    def app(self) -> web.Application:
        services: Any = type("Services", (), {"auth": self.auth})
        identity: Any = self.identity
        app = web.Application(middlewares=[self._identified])
        app[HUB], app[SERVICES], app[IDENTITY] = self.hub, services, identity
        app[events.LOOKS] = asyncio.Semaphore(events.LOOKS_AT_ONCE)
        app.router.add_get("/api/events", events.tell_events)
        return app

    @web.middleware
    async def _identified(self, request: web.Request, handler: Any) -> Any:
        request[SESSION] = self.session
        return await handler(request)

    def tell(self, version: int) -> None:
        self.hub.tell(OWNER, Topic.RUNS, Value(version, {"version": version}))

    def expire_in(self, seconds: float) -> None:
        self.session = Session("s", OWNER, datetime.now(UTC) + timedelta(seconds=seconds))


class Reader:
    """Reads as much as the test wants, over a socket of its own."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self._writer = reader, writer

    def say(self, text: str) -> None:
        self._writer.write(text.encode())

    async def until(self, text: bytes) -> bytes:
        async with asyncio.timeout(3):
            return await self.reader.readuntil(text)

    async def rest(self) -> bytes:
        """All that comes until the end of the connection."""
        async with asyncio.timeout(3):
            return await self.reader.read()

    async def leave(self) -> None:
        self._writer.close()
        await asyncio.gather(self._writer.wait_closed(), return_exceptions=True)


Open = Callable[..., Awaitable[Reader]]


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
async def server(gateway: Gateway) -> AsyncIterator[TestServer]:
    server = TestServer(gateway.app())
    async with server:
        yield server


@pytest.fixture
async def opened(server: TestServer) -> AsyncIterator[Open]:
    """Open one more stream. `receive` is how much the reader's system keeps of what it has not read."""
    readers: list[Reader] = []

    async def open_stream(version: str = "1.1", receive: int | None = None) -> Reader:
        connection = socket.socket()
        if receive is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", server.port))
        readers.append(Reader(*await asyncio.open_connection(sock=connection, limit=1024)))
        readers[-1].say(f"GET /api/events HTTP/{version}\r\nHost: a\r\nCookie: {COOKIE}={TOKEN}\r\n\r\n")
        return readers[-1]

    yield open_stream
    for reader in readers:
        await reader.leave()


async def test_the_head_of_the_answer_comes_at_once_and_an_event_is_its_topic_and_its_value(
    gateway: Gateway, opened: Open
) -> None:
    stream = await opened()
    head = await stream.until(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    for line in (b"Content-Type: text/event-stream", b"Cache-Control: no-store", b"Connection: close"):
        assert line in head
    await stream.until(b"retry: 2000\n\n")
    gateway.tell(3)
    await stream.until(b'event: runs\ndata: {"version":3}\n\n')


async def test_a_client_of_http_1_0_hears_the_same_until_the_connection_ends(gateway: Gateway, opened: Open) -> None:
    stream = await opened("1.0")
    assert b"chunked" not in await stream.until(b"\r\n\r\n")
    await stream.until(b"retry: 2000\n\n")
    gateway.tell(3)
    await stream.until(b'event: runs\ndata: {"version":3}\n\n')
    gateway.hub.close()
    assert (await stream.rest()).strip(b":\n") == b""


async def test_where_nothing_happens_a_comment_shows_that_it_lives(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.02)
    stream = await opened()
    for _ in range(5):
        await stream.until(b"\n:\n\n")


async def test_a_session_that_had_ended_before_anybody_listened_is_found_out(gateway: Gateway, opened: Open) -> None:
    gateway.auth.expires_at = None
    stream, started = await opened(), time.monotonic()
    await stream.rest()
    assert time.monotonic() - started < SOON
    assert gateway.identity.forgotten == [TOKEN], "who comes again with it is not believed"
    assert gateway.auth.asked == [gateway.session.caller]


async def test_a_stream_ends_when_its_session_is_told_to_have_changed_and_has_ended(
    gateway: Gateway, opened: Open
) -> None:
    stream = await opened()
    await stream.until(b"retry: 2000\n\n")
    gateway.hub.tell(OWNER, Topic.SESSIONS, Value(1, {"version": 1}))
    await stream.until(b'event: sessions\ndata: {"version":1}\n\n')
    gateway.auth.expires_at = None
    started = time.monotonic()
    gateway.hub.tell(OWNER, Topic.SESSIONS, Value(2, {"version": 2}))
    await stream.rest()
    assert time.monotonic() - started < SOON


@pytest.mark.parametrize("state", ["ended", "away", "hanging"])
async def test_a_stream_ends_when_its_session_expires_also_where_nobody_can_be_asked(
    gateway: Gateway, opened: Open, state: str
) -> None:
    gateway.expire_in(0.3)
    stream, started = await opened(), time.monotonic()
    gateway.auth.expires_at = gateway.session.expires_at
    await stream.until(b"retry: 2000\n\n")
    await asyncio.sleep(0.1)
    gateway.auth.expires_at = None
    gateway.auth.away, gateway.auth.hanging = state == "away", state == "hanging"
    await stream.rest()
    assert 0.25 < time.monotonic() - started < 0.3 + SOON


async def test_a_session_whose_life_was_prolonged_meanwhile_keeps_its_stream(gateway: Gateway, opened: Open) -> None:
    gateway.expire_in(0.3)
    gateway.auth.expires_at = gateway.session.expires_at
    stream = await opened()
    await stream.until(b"retry: 2000\n\n")
    await asyncio.sleep(0.1)
    gateway.auth.expires_at = datetime.now(UTC) + timedelta(days=1)
    await asyncio.sleep(0.5)
    gateway.tell(3)
    await stream.until(b'event: runs\ndata: {"version":3}\n\n')
    assert len(gateway.auth.asked) == 2


async def test_while_nobody_can_be_asked_a_stream_goes_on_and_is_looked_at_again(
    gateway: Gateway, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "LOOK_SECONDS", 0.2)
    gateway.auth.away = True
    stream = await opened()
    await stream.until(b"retry: 2000\n\n")
    await asyncio.sleep(0.5)
    gateway.tell(3)
    await stream.until(b'event: runs\ndata: {"version":3}\n\n')
    gateway.auth.away, gateway.auth.expires_at = False, None
    await stream.rest()
    assert len(gateway.auth.asked) >= 3


async def test_who_does_not_read_is_dropped_and_keeps_nobody_waiting(
    gateway: Gateway, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "STALL_SECONDS", 0.3)
    slow, quick = await opened(receive=4096), await opened()
    for stream in (slow, quick):
        await stream.until(b"retry: 2000\n\n")
    version = 0
    async with asyncio.timeout(20):
        while len(gateway.hub._of_sessions["s"]) == 2:
            version += 1
            gateway.tell(version)
            await quick.until(b'data: {"version":%d}\n\n' % version)
    assert version < 30_000, "what a slow reader has waiting is bounded"
    gateway.tell(version + 1)
    await quick.until(b'data: {"version":%d}\n\n' % (version + 1))


async def test_who_has_left_makes_room_at_the_next_word(
    gateway: Gateway, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.05)
    stream = await opened()
    await stream.until(b"retry: 2000\n\n")
    await stream.leave()
    async with asyncio.timeout(SOON):
        while gateway.hub._of_sessions:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)
