"""One at a time, off the event loop."""

import asyncio
import threading
import time

import pytest

from vault_service.turns import in_turn


async def test_however_many_ask_one_works_at_a_time() -> None:
    working, most = 0, 0

    def work(number: int) -> int:
        nonlocal working, most
        working += 1
        most = max(most, working)
        time.sleep(0.005)
        working -= 1
        return number

    assert await asyncio.gather(*(in_turn(work, number) for number in range(20))) == list(range(20))
    assert most == 1


async def test_the_event_loop_goes_on_meanwhile() -> None:
    released = threading.Event()
    waiting = asyncio.create_task(in_turn(released.wait, 10.0))
    await asyncio.sleep(0.01)
    released.set()
    assert await waiting is True


async def test_a_failure_reaches_who_asked_and_no_one_else() -> None:
    def fail() -> None:
        raise ValueError("mine")

    failed, fine = await asyncio.gather(in_turn(fail), in_turn(lambda: 7), return_exceptions=True)
    assert isinstance(failed, ValueError)
    assert fine == 7


async def test_one_who_leaves_does_not_hold_the_others_up() -> None:
    released = threading.Event()
    first = asyncio.create_task(in_turn(released.wait, 10.0))
    second = asyncio.create_task(in_turn(lambda: 7))
    await asyncio.sleep(0.01)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    released.set()
    assert await first is True
    assert await in_turn(lambda: 8) == 8
