"""A closed loop of HTTP/1.1 requests over a number of kept connections, as light as it can be."""

import asyncio
import time
from collections.abc import Callable
from urllib.parse import urlsplit


async def requests_a_second(url: str, make: Callable[[], bytes], *, connections: int, seconds: float) -> float:
    """Send what `make` makes as often as answers come, for `seconds`; raises for an answer of 400 or more."""
    deadline = time.perf_counter() + seconds
    counts = await asyncio.gather(*(_one(url, make, deadline) for _ in range(connections)))
    return sum(counts) / seconds


async def _one(url: str, make: Callable[[], bytes], deadline: float) -> int:
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    done = 0
    while time.perf_counter() < deadline:
        writer.write(make())
        await _answer(reader)
        done += 1
    writer.close()
    return done


async def _answer(reader: asyncio.StreamReader) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    if int(head[9:12]) >= 400:
        raise RuntimeError(head.decode())
    lower = head.lower()
    if b"transfer-encoding: chunked" in lower:
        while size := int(await reader.readline(), 16):
            await reader.readexactly(size + 2)
        await reader.readline()
    else:
        length = lower.partition(b"content-length:")[2].split(b"\r\n")[0]
        await reader.readexactly(int(length))
