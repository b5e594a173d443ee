"""What goes on beside the requests ends with the block, and whoever waits for an event does so once for each."""

import asyncio
import time

import pytest

from chassis.background import at_work, next_of


async def test_work_goes_on_inside_the_block_and_is_over_after_it() -> None:
    steps: list[str] = []

    async def work(name: str) -> None:
        steps.append(f"{name} begins")
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.01)
            steps.append(f"{name} is cleared away")

    async with at_work(work("a"), work("b")):
        await asyncio.sleep(0)
        steps.append("inside")
    assert steps == ["a begins", "b begins", "inside", "a is cleared away", "b is cleared away"]


async def test_work_is_over_also_where_the_block_fails() -> None:
    going_on = asyncio.Event()

    async def work() -> None:
        try:
            going_on.set()
            await asyncio.sleep(60)
        finally:
            going_on.clear()

    async def fails() -> None:
        async with at_work(work()):
            await going_on.wait()
            raise LookupError

    with pytest.raises(LookupError):
        await fails()
    assert not going_on.is_set()


@pytest.mark.parametrize("error", [None, ValueError("of its own")])
async def test_work_that_ends_by_itself_ends_neither_the_block_nor_the_other_work(error: Exception | None) -> None:
    rounds = 0

    async def ends() -> None:
        if error is not None:
            raise error

    async def goes_on() -> None:
        nonlocal rounds
        while True:
            rounds += 1
            await asyncio.sleep(0)

    async with at_work(ends(), goes_on()):
        await asyncio.sleep(0.01)
        before = rounds
        await asyncio.sleep(0.01)
        assert rounds > before


async def test_an_event_is_waited_for_once_and_for_so_long_at_most() -> None:
    event = asyncio.Event()
    event.set()
    async with asyncio.timeout(1):
        await next_of(event, 60)
    started = time.monotonic()
    await next_of(event, 0.05)
    assert time.monotonic() - started > 0.04
    asyncio.get_running_loop().call_later(0.01, event.set)
    async with asyncio.timeout(1):
        await next_of(event, 60)
    assert not event.is_set()
