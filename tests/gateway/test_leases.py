"""A lease is renewed while the work lasts, ended with it, and no reason to stop where it cannot be written."""

import asyncio
import sqlite3
import time

from gateway.leases import held


async def test_a_lease_lies_ahead_while_the_work_lasts_and_ends_with_it() -> None:
    moments: list[float] = []

    async def until(moment: float) -> None:
        moments.append(moment)

    async with held(until, 0.06):
        await asyncio.sleep(0.15)
        renewed = len(moments)
    assert renewed >= 3
    assert moments == sorted(moments[:-1]) + moments[-1:]
    assert moments[-1] <= time.time()


async def test_a_lease_that_cannot_be_written_stops_nothing_and_is_tried_again() -> None:
    tries: list[float] = []

    async def until(moment: float) -> None:
        tries.append(moment)
        raise sqlite3.OperationalError("database is locked")

    async with held(until, 0.03):
        await asyncio.sleep(0.1)
    assert len(tries) >= 3
