"""Old rows are forgotten now and then, in bounded transactions, so that nobody waits long for the file."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import structlog

from chassis.background import at_work
from chassis.database import Database

log = structlog.get_logger()

EVERY_SECONDS: Final = 3600.0
PAUSE_SECONDS: Final = 0.01  # between two pieces, for the writes of other processes

# Told the time, in seconds since 1970 UTC; whether there may be more.
ForgetOld = Callable[[int, sqlite3.Connection], bool]


@asynccontextmanager
async def forgetting(database: Database, *forget: ForgetOld) -> AsyncIterator[None]:
    """Forget now and then inside the block. Of several processes that do so, each takes what the others have left."""
    async with at_work(*(_forget_for_ever(database, each) for each in forget)):
        yield


async def _forget_for_ever(database: Database, forget: ForgetOld) -> None:
    while True:
        try:
            more = await database.write(partial(forget, int(time.time())))
        except sqlite3.Error as error:
            log.warning("old_rows_not_forgotten", reason=str(error))
            more = False
        await asyncio.sleep(PAUSE_SECONDS if more else EVERY_SECONDS)
