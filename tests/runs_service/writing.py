"""A process that writes and deletes runs of one owner as fast as it can: `python -m tests.runs_service.writing`."""

import asyncio
import random
import sys
from functools import partial
from pathlib import Path

from chassis.database import opened
from runs_service import store
from runs_service.limits import Limits
from runs_service.records import record
from tests.runs_service.samples import run

LIMITS = Limits(1 << 20, 1 << 30)
SHARED = 20  # runs that every writer writes


async def write(file: Path, owner: str, writer: int, count: int) -> None:
    """Runs of its own, runs that others write too, and deletions of those."""
    chance = random.Random(writer)
    async with opened(file, "runs_service") as database:

        async def one(number: int) -> None:
            chosen = chance.choice([1000 * writer + number, chance.randrange(SHARED)])
            made = record(run(chosen, by=writer, time=number), LIMITS.run)
            await database.write(partial(store.put, owner, made, lambda _: False, LIMITS))
            if number % 3 == 0:
                await database.write(partial(store.delete, owner, f"R{chosen:08x}", lambda etag: etag is None))

        for start in range(0, count, 5):
            await asyncio.gather(*(one(number) for number in range(start, start + 5)), return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(write(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
