"""Streams: whole, or visibly cut."""

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web
from pytest_aiohttp.plugin import AiohttpServer

from chassis.messages import chain, streamed


async def endless(chunks: list[int]) -> AsyncIterator[bytes]:
    while True:
        chunks.append(1)
        yield b"x" * (1 << 20)


async def test_a_reader_that_takes_nothing_is_cut_off_and_one_that_reads_is_not(aiohttp_server: AiohttpServer) -> None:
    sent: list[int] = []
    ended = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        response = await streamed(request, web.StreamResponse(), endless(sent), stall_seconds=0.3)
        ended.set()
        return response

    app = web.Application()
    app.router.add_get("/", answer)
    server = await aiohttp_server(app)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1 << 16)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    for _ in range(20):
        await asyncio.sleep(0.05)
        await reader.readexactly(1 << 19)  # slowly, but it reads
    assert not ended.is_set()
    async with asyncio.timeout(10):
        await ended.wait()
    writer.close()
    assert len(sent) < 100


async def test_the_first_piece_comes_before_the_rest() -> None:
    async def rest() -> AsyncIterator[bytes]:
        yield b"b"
        yield b"c"

    assert b"".join([piece async for piece in chain(b"a", rest())]) == b"abc"
