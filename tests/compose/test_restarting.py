"""One container after the other is restarted while people are at work, and ends well each time."""

import asyncio
import time
from typing import Final

import pytest
from docker.models.containers import Container

from tests.compose.console import SERVICES, Console
from tests.compose.load import load
from tests.journeys.browser import Browser

GRACE_SECONDS: Final = 30


@pytest.mark.parametrize("service", SERVICES)
async def test_restarting_a_service_under_load_costs_no_request_and_nothing_acknowledged(
    console: Console, service: str
) -> None:
    async with load(console.url) as people:
        await asyncio.to_thread(console.container(service).restart, timeout=GRACE_SECONDS)
        await asyncio.to_thread(console.wait_until_ready)
    assert people.failures == []


async def test_restarting_the_gateway_under_load_loses_nothing_acknowledged(console: Console) -> None:
    async with load(console.url) as people:
        await asyncio.to_thread(console.container("gateway").restart, timeout=GRACE_SECONDS)
        await asyncio.to_thread(console.wait_until_ready)
    assert not [failure for failure in people.failures if " 5" in failure], "the door is closed or the answer is good"


async def test_every_container_that_is_told_to_end_does_so_in_its_grace_period_with_exit_code_0(
    console: Console, browser: Browser
) -> None:
    await browser.get("/api/settings")
    for container in console.containers():
        try:
            took = await asyncio.to_thread(_end, container)
            assert (container.attrs["State"]["ExitCode"], took < GRACE_SECONDS) == (0, True), container.name
        finally:
            await asyncio.to_thread(container.start)
    await asyncio.to_thread(console.wait_until_ready)


def test_no_container_is_killed_before_it_may_take_its_time(console: Console) -> None:
    allowed = {each.attrs["Config"]["StopTimeout"] for each in console.containers()}
    assert allowed == {GRACE_SECONDS}


def _end(container: Container) -> float:
    """How many seconds the container needs to end on SIGTERM."""
    began = time.monotonic()
    container.kill("SIGTERM")
    container.wait(timeout=GRACE_SECONDS + 10)
    container.reload()
    return time.monotonic() - began
