"""One of two processes of a service hangs: what it was asked costs time, and all else goes on."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.journeys.browser import Browser
from tests.journeys.listening import Listening
from tests.processes import Stack, running

HANGING: Final = "runs_service-2"
SOON: Final = 7.0  # 1.5 to find out that the gateway listens to one that hangs, and again if it asks the same once more
LONGEST_SECONDS: Final = 14.0  # 10 for the answer that does not come, and the rest for two busy cores


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with running(tmp_path, 1, 2) as stack:
        yield stack
        stack.resume(HANGING)


async def timed(browser: Browser, method: str, path: str, **rest: object) -> tuple[int, float]:
    began = time.monotonic()
    status, _, _ = await browser.ask(method, path, **rest)
    return status, time.monotonic() - began


async def test_whoever_listens_hears_soon_of_what_another_replica_wrote(stack: Stack) -> None:
    """Also where the gateway was listening to the one that hangs now."""
    async with Browser(stack.url) as browser, Listening() as devices:
        device = await devices.add(browser)
        stack.suspend(HANGING)
        for n in range(3):
            before = len(device.all)
            await browser.put(f"/api/runs/{n}", {"run_id": str(n)})
            await device.next("runs", before, seconds=SOON)


async def test_a_hanging_replica_stops_no_read_no_backup_and_no_restore(stack: Stack) -> None:
    async with Browser(stack.url) as browser:
        await browser.put("/api/runs/before", {"run_id": "before"})
        stack.suspend(HANGING)
        reads = [timed(browser, "GET", "/api/runs") for _ in range(12)]
        answers = await asyncio.gather(*reads, timed(browser, "GET", "/api/settings/backup"))
        assert [status for status, _ in answers] == [200] * len(answers)
        assert max(took for _, took in answers) < LONGEST_SECONDS
        told = await timed(browser, "POST", "/api/settings/restore", json={"runs": [{"run_id": "restored"}]})
        assert (told[0], told[1] < LONGEST_SECONDS) == (200, True)
        later = [await timed(browser, "GET", "/api/runs") for _ in range(10)]
        assert sorted(took for _, took in later)[5] < 1, "by now it is left out"
        assert (await browser.get("/health"))["services"]["runs"] == "ok"
