"""A promise to be at work, renewed while it is kept: who dies stops renewing, and another may take over."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog

log = structlog.get_logger()


@asynccontextmanager
async def held(until: Callable[[float], Awaitable[None]], seconds: float) -> AsyncIterator[None]:
    """Move the end of a lease, in seconds since the epoch, ahead of now while the block runs; end it after.

    A database that cannot be written is no reason to stop: the lease may lapse then, and what was done under it stays
    right, since every step is a compare-and-set.
    """

    async def renew() -> None:
        while True:
            await asyncio.sleep(seconds / 3)
            await _attempt(until, time.time() + seconds)

    renewing = asyncio.create_task(renew())
    try:
        yield
    finally:
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)
        await _attempt(until, time.time())


async def _attempt(until: Callable[[float], Awaitable[None]], moment: float) -> None:
    try:
        await until(moment)
    except sqlite3.Error as error:
        log.warning("lease_not_written", reason=str(error))
