"""What is tried again, where, and for how long; what is not."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from chassis import logs
from gateway.sending import FAILED, Effort, Message, Sender, connections
from tests.processes import free_ports

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Replica:
    """A service that counts what reaches it and does as it is told."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.ids: list[str | None] = []
        self.answer: Answer = well
        app = web.Application(client_max_size=8 << 20)
        app.router.add_route("*", "/{any:.*}", self._take)
        self.server = TestServer(app)

    async def _take(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.method)
        self.ids.append(request.headers.get("X-Request-ID"))
        return await self.answer(request)

    @property
    def url(self) -> str:
        return str(self.server.make_url("")).rstrip("/")


async def well(_: web.Request) -> web.Response:
    return web.Response(text="well")


async def break_off(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def hang(_: web.Request) -> web.Response:
    await asyncio.sleep(30)
    return web.Response()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with connections() as http:
        yield http


@pytest.fixture
async def replicas() -> AsyncIterator[list[Replica]]:
    async with AsyncExitStack() as opened:
        both = [Replica(), Replica()]
        for each in both:
            await opened.enter_async_context(each.server)
        yield both


@pytest.fixture
def nobody() -> str:
    (port,) = free_ports(1)
    return f"http://127.0.0.1:{port}"


async def text_of(sender: Sender, message: Message, effort: Effort = Effort()) -> str:  # noqa: B008 - it is frozen
    answer = await sender.send(message, effort)
    return await answer.text()


@pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
async def test_what_was_never_sent_goes_to_another_replica_at_once(
    method: str, nobody: str, replicas: list[Replica], http: aiohttp.ClientSession
) -> None:
    sender = Sender("runs", [nobody, replicas[0].url], http)
    for _ in range(4):
        assert await text_of(sender, Message(method, "/")) == "well"
    assert replicas[0].asked == [method] * 4


async def test_what_was_never_sent_waits_for_a_service_that_is_just_starting(
    nobody: str, http: aiohttp.ClientSession
) -> None:
    late = Replica()
    late.server = TestServer(late.server.app, port=int(nobody.rpartition(":")[2]))
    asking = asyncio.create_task(text_of(Sender("runs", [nobody], http), Message("POST", "/", data=b"body")))
    await asyncio.sleep(0.3)
    async with late.server:
        assert await asking == "well"
    assert late.asked == ["POST"]


@pytest.mark.parametrize(("method", "effort"), [("GET", Effort()), ("POST", Effort(repeatable=True))])
async def test_what_does_no_harm_twice_is_asked_of_another_replica_when_it_was_cut_off(
    method: str, effort: Effort, replicas: list[Replica], http: aiohttp.ClientSession
) -> None:
    replicas[0].answer = break_off
    sender = Sender("runs", [each.url for each in replicas], http)
    for _ in range(2):
        assert await text_of(sender, Message(method, "/"), effort) == "well"
    assert replicas[0].asked == replicas[1].asked == [method] * 2


@pytest.mark.parametrize("heard_before", [True, False])
@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
async def test_a_write_that_a_service_has_begun_with_is_sent_once(
    method: str, heard_before: bool, replicas: list[Replica], http: aiohttp.ClientSession
) -> None:
    """Also over a connection that was used before, where aiohttp itself would repeat a PUT or DELETE."""
    sender = Sender("runs", [replicas[0].url], http)
    if heard_before:
        assert await text_of(sender, Message("GET", "/")) == "well"
    replicas[0].answer = break_off
    with pytest.raises(FAILED):
        await sender.send(Message(method, "/"), Effort())
    assert replicas[0].asked == ["GET"] * heard_before + [method]


@pytest.mark.parametrize(
    "body", [None, b"body", b"long" * (1 << 19), "stream"], ids=["none", "short", "long", "stream"]
)
async def test_a_write_that_met_a_closing_door_is_sent_again(
    body: bytes | str | None, replicas: list[Replica], http: aiohttp.ClientSession
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    taken: list[bytes] = []

    async def take(request: web.Request) -> web.Response:
        taken.append(await request.read())
        return web.Response(text="well")

    async def close_at_once(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    replicas[0].answer = take
    async with await asyncio.start_server(close_at_once, "127.0.0.1") as closing:
        address, port = closing.sockets[0].getsockname()
        sender = Sender("runs", [f"http://{address}:{port}", replicas[0].url], http)
        data = pieces() if isinstance(body, str) else body
        assert await text_of(sender, Message("PUT", "/", data=data)) == "well"
    assert taken == [b"onetwo" if isinstance(body, str) else body or b""]


async def test_a_stream_is_never_repeated(replicas: list[Replica], http: aiohttp.ClientSession) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"gone"

    async def take_and_break_off(request: web.Request) -> web.Response:
        await request.read()
        return await break_off(request)

    replicas[0].answer = replicas[1].answer = take_and_break_off
    with pytest.raises(FAILED):
        await Sender("runs", [each.url for each in replicas], http).send(
            Message("PUT", "/", data=body()), Effort(repeatable=True)
        )
    assert len(replicas[0].asked + replicas[1].asked) == 1


async def test_of_two_replicas_one_that_hangs_costs_a_read_only_time(
    replicas: list[Replica], http: aiohttp.ClientSession
) -> None:
    replicas[0].answer = hang
    sender = Sender("runs", [each.url for each in replicas], http)
    for _ in range(2):
        assert await text_of(sender, Message("GET", "/"), Effort(seconds=0.2)) == "well"


async def test_what_may_take_long_is_offered_so_that_one_that_hangs_is_told_from_one_at_work(
    replicas: list[Replica], http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(_: web.Request) -> web.Response:
        await asyncio.sleep(0.5)
        return web.Response(text="done")

    monkeypatch.setattr("gateway.sending.OFFER_SECONDS", 0.2)
    replicas[0].answer = work
    with socket.create_server(("127.0.0.1", 0)) as hanging:  # the system connects, and nobody takes it up
        address, port = hanging.getsockname()
        sender = Sender("runs", [f"http://{address}:{port}", replicas[0].url], http)
        for method in ("GET", "PUT"):
            assert await text_of(sender, Message(method, "/"), Effort(600, offered=True)) == "done"


async def test_a_service_that_has_begun_and_then_hangs_is_given_up(
    replicas: list[Replica], http: aiohttp.ClientSession
) -> None:
    replicas[0].answer = hang
    async with asyncio.timeout(5):
        with pytest.raises(TimeoutError):
            await Sender("runs", [replicas[0].url], http).send(Message("PUT", "/", data=b"body"), Effort(seconds=0.2))
    assert replicas[0].asked == ["PUT"]


async def test_it_gives_up_in_the_end(
    nobody: str, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.sending.RETRY_SECONDS", 0.2)
    with pytest.raises(aiohttp.ClientConnectorError):
        await Sender("runs", [nobody], http).send(Message("GET", "/"), Effort())


async def test_a_service_is_ready_as_long_as_one_of_its_replicas_is(
    nobody: str, replicas: list[Replica], http: aiohttp.ClientSession
) -> None:
    async def refuse(_: web.Request) -> web.Response:
        return web.Response(status=503)

    replicas[0].answer = refuse
    assert await Sender("runs", [nobody, *(each.url for each in replicas)], http).is_ready()
    assert not await Sender("runs", [nobody, replicas[0].url], http).is_ready()


async def test_a_service_is_asked_whether_it_is_ready_in_the_name_of_the_request_that_wants_to_know(
    replicas: list[Replica], http: aiohttp.ClientSession
) -> None:
    sender = Sender("runs", [replicas[0].url], http)
    assert await sender.is_ready()
    logs.bind_request_id("who-wants-to-know")
    assert await sender.is_ready()
    assert replicas[0].ids == [None, "who-wants-to-know"]
