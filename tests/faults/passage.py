"""A reverse proxy between the gateways and one service, where a chosen request can meet with an accident."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import aiohttp
from aiohttp import web
from yarl import URL

OF_ONE_CONNECTION = {"host", "connection", "keep-alive", "transfer-encoding", "expect"}
NO_TIMEOUT = aiohttp.ClientTimeout(total=None)


class Moment(StrEnum):
    """When, in the life of a request, the accident happens."""

    BEFORE = "before"  # nothing of it was passed on
    MIDDLE = "middle"  # half of its first line was passed on
    AFTER = "after"  # the service has answered, and the answer was not passed back
    ANSWERING = "answering"  # the head of the answer was passed back, and nothing of its body


class Cut(Exception):
    """Raised by an accident: both connections end here, without a word."""


@dataclass
class Accident:
    """What happens to the first request that matches, once. `whole`: not until all of its body is here, so that it can
    go on although who sent it is gone."""

    method: str
    path: str  # a regular expression
    moment: Moment
    happen: Callable[[], Awaitable[None]]
    whole: bool = False
    happened: asyncio.Event = field(default_factory=asyncio.Event)
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    status: int | None = None  # of the service's answer to that request

    def concerns(self, request: web.Request) -> bool:
        return request.method == self.method and re.search(self.path, request.path) is not None

    async def at(self, moment: Moment) -> None:
        if moment is self.moment and not self.happened.is_set():
            self.happened.set()
            await self.happen()


class Passage:
    """Passes everything on to `target`, both ways as it comes. Made by `passage`."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self.target = self.url = ""
        self._http, self._waiting = http, list[Accident]()

    def expect(self, accident: Accident) -> Accident:
        self._waiting.append(accident)
        return accident

    def expect_nothing(self) -> None:
        self._waiting.clear()

    async def pass_on(self, request: web.Request) -> web.StreamResponse:
        accident = next((each for each in self._waiting if each.concerns(request)), None)
        if accident is not None:
            self._waiting.remove(accident)
        try:
            return await self._pass_on(request, accident)
        except (Cut, aiohttp.ClientError, ConnectionError):
            if request.transport is not None:
                request.transport.abort()
            return web.Response()

    async def _pass_on(self, request: web.Request, accident: Accident | None) -> web.StreamResponse:
        body = _pieces_of(await request.read()) if accident and accident.whole else request.content.iter_any()
        if accident is not None:
            await accident.at(Moment.BEFORE)
            body = _meeting(accident, body)
        data = body if request.body_exists else None
        url, headers = URL(self.target + request.raw_path, encoded=True), _of_message(request.headers)
        async with self._http.request(request.method, url, headers=headers, data=data) as answer:
            if accident is not None:
                accident.status = answer.status
                accident.answered.set()
                await accident.at(Moment.AFTER)
            return await _pass_back(request, answer, accident)


@asynccontextmanager
async def passage() -> AsyncIterator[Passage]:
    """A passage that listens at its `url`; where it leads to is said afterwards."""
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with aiohttp.ClientSession(connector=connector, timeout=NO_TIMEOUT, auto_decompress=False) as http:
        made = Passage(http)
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", made.pass_on)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=False, shutdown_timeout=1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield made
        finally:
            await runner.cleanup()


async def _meeting(accident: Accident, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same body, in whose middle the accident happens: inside the first piece that holds more than a line end."""
    async for piece in body:
        half = len(piece) // 2
        if half:
            yield piece[:half]
            await asyncio.sleep(0.02)  # so that the service has it
            await accident.at(Moment.MIDDLE)
        yield piece[half:]


async def _pieces_of(body: bytes) -> AsyncIterator[bytes]:
    yield body


async def _pass_back(
    request: web.Request, answer: aiohttp.ClientResponse, accident: Accident | None
) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, headers=_of_message(answer.headers))
    await response.prepare(request)
    if accident is not None:
        await asyncio.sleep(0.02)  # so that the gateway has it
        await accident.at(Moment.ANSWERING)
    async for piece in answer.content.iter_any():
        await response.write(piece)
    with suppress(ConnectionError, aiohttp.ClientError):
        await response.write_eof()
    return response


def _of_message(headers: Any) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers.items() if name.lower() not in OF_ONE_CONNECTION]
