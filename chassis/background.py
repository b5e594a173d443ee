"""Work that goes on beside the requests for as long as something is open, and how it waits."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any


@asynccontextmanager
async def at_work(*works: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run them inside the block. At its end each is cancelled where it stands, if it has not ended by itself."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def next_of(event: asyncio.Event, seconds: float) -> None:
    """Return once the event is set, and after so many seconds at the latest; whoever calls again waits for the next.

    For one who waits alone: the event is cleared.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    event.clear()
