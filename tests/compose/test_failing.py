"""A container that dies or cannot be reached takes down what needs it and nothing else, and comes back."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest

from tests.compose.console import Console
from tests.journeys.browser import Browser

ANSWERED_SECONDS: Final = 15.0
BACK_SECONDS: Final = 20.0
PATHS: Final = {
    "settings": "/api/settings",
    "runs": "/api/runs/kept",
    "vault": "/api/settings/api-keys",
}
RUN: Final = {"run_id": "kept", "created_at": "2026-03-01T10:00:00+00:00"}


@pytest.fixture
async def resident(browser: Browser) -> Browser:
    """Somebody who has something in every service."""
    await browser.put("/api/settings", {"settings": {"here": {"number": 1}}})
    await browser.put("/api/runs/kept", RUN)
    await browser.put("/api/settings/api-keys/veo", {"api_key": "a_key_of_this_profile"})
    return browser


async def check_without(browser: Browser, service: str) -> None:
    """What needs the service is a 503 that says when to come again, soon; all the rest works."""
    for needed, path in PATHS.items():
        asked = time.monotonic()
        status, headers, _ = await browser.ask("GET", path)
        assert (status, "Retry-After" in headers) == ((503, True) if needed == service else (200, False)), path
        assert time.monotonic() - asked < ANSWERED_SECONDS, path
    assert (await browser.ask("GET", "/health/live"))[0] == 200
    assert (await browser.get("/health"))["services"][service] != "ok"


async def check_back(browser: Browser) -> None:
    """Before long everything works again, with all that was there."""
    deadline = time.monotonic() + BACK_SECONDS
    for path in PATHS.values():
        while (status := (await browser.ask("GET", path))[0]) != 200:
            assert (status, time.monotonic() < deadline) == (503, True), path
            await asyncio.sleep(0.2)
    assert (await browser.get("/api/settings"))["settings"] == {"here": {"number": 1}}
    assert await browser.get("/api/runs/kept") == RUN
    assert (await browser.put("/api/runs/kept", RUN))["updated"]


@pytest.mark.parametrize("service", PATHS)
async def test_a_killed_service_takes_only_its_own_with_it_until_it_is_started_again(
    console: Console, resident: Browser, service: str
) -> None:
    container = console.container(service)
    await asyncio.to_thread(container.kill)
    try:
        await check_without(resident, service)
    finally:
        await asyncio.to_thread(container.start)
    await check_back(resident)


@pytest.mark.parametrize("service", ["auth", "settings", "runs", "vault", "gateway"])
async def test_a_process_that_dies_is_started_again_by_itself(
    console: Console, resident: Browser, service: str
) -> None:
    before = console.container(service).attrs
    await asyncio.to_thread(murder, console, before["State"]["Pid"])
    await asyncio.to_thread(console.wait_until_ready)
    after = console.container(service).attrs
    assert after["RestartCount"] == before["RestartCount"] + 1
    assert after["State"]["Pid"] != before["State"]["Pid"]
    await check_back(resident)


@pytest.mark.parametrize("service", ["settings", "vault"])
async def test_a_service_that_is_cut_off_takes_only_its_own_with_it_until_it_is_back(
    console: Console, resident: Browser, service: str
) -> None:
    with cut_off(console, service):
        await check_without(resident, service)
    await check_back(resident)


async def test_a_gateway_that_is_cut_off_from_its_services_says_so_and_recovers(
    console: Console, resident: Browser
) -> None:
    with cut_off(console, "gateway"):
        status, headers, _ = await resident.ask("PUT", "/api/runs/kept", json=RUN)
        assert (status, "Retry-After" in headers) == (503, True)
        assert (await resident.ask("GET", "/health/live"))[0] == 200
    await check_back(resident)


@contextmanager
def cut_off(console: Console, service: str) -> Iterator[None]:
    """The first container of a service is off the inner network meanwhile, and goes back under its name."""
    network, container = console.network("services"), console.container(service)
    network.disconnect(container)
    try:
        yield
    finally:
        network.connect(container, aliases=[service])


def murder(console: Console, process_id: int) -> None:
    """End a process of this engine's host with SIGKILL, behind the engine's back: the engine's own kill is taken for a
    wish that it shall stay dead."""
    command = ["python", "-c", f"import os; os.kill({process_id}, 9)"]
    image = console.environment["ANIMATIZE_IMAGE"]
    console.engine.containers.run(image, command, remove=True, user="0", pid_mode="host", network_mode="none")
