"""A service is killed again and again while people write: the gateway asks again, and every write is done once."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from itertools import count
from typing import Any, Final

import pytest

from tests.faults.files import check_files
from tests.faults.plan import IN_CI
from tests.journeys.browser import Browser
from tests.processes import Stack, running

KILLS: Final = 6 if IN_CI else 3
HANDS: Final = 4
AT_WORK: Final = 0.4  # seconds between a service that is back and its next end
KEPT: Final = "/api/settings/api-keys/runway"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running(tmp_path_factory.mktemp("lost")) as stack:
        yield stack


@pytest.fixture
async def browser(stack: Stack) -> AsyncIterator[Browser]:
    async with Browser(stack.url) as browser:
        await browser.get("/api/settings")
        yield browser


async def keep_killing(stack: Stack, name: str, over: asyncio.Event) -> None:
    for _ in range(KILLS):
        await asyncio.sleep(AT_WORK)
        await asyncio.to_thread(stack.kill, name)
        await asyncio.to_thread(stack.start, name)
    over.set()


async def post_runs(browser: Browser, over: asyncio.Event, made: list[str]) -> None:
    """Without an id: whatever is done twice is there twice."""
    while not over.is_set():
        made.append((await browser.json("POST", "/api/runs", {"prompt": f"number {len(made)}"}))["run_id"])


async def save_settings(browser: Browser, over: asyncio.Event, numbers: Iterator[int], saved: list[int]) -> None:
    while not over.is_set():
        answer = await browser.json("PUT", "/api/settings", {"settings": {"number": next(numbers)}})
        saved.append(answer["version"])


async def test_each_run_that_was_posted_is_there_once_and_no_post_failed(stack: Stack, browser: Browser) -> None:
    over, made = asyncio.Event(), list[str]()
    async with asyncio.TaskGroup() as group:
        group.create_task(keep_killing(stack, "runs_service", over))
        for _ in range(HANDS):
            group.create_task(post_runs(browser, over, made))
    print(f"{len(made)} runs over {KILLS} kills")
    assert len(made) > KILLS
    assert sorted(run["run_id"] for run in await browser.all_runs()) == sorted(made)
    check_files(stack.data)


async def test_each_save_made_one_version_and_none_failed(stack: Stack, browser: Browser) -> None:
    over, numbers, saved = asyncio.Event(), count(1), list[int]()
    async with asyncio.TaskGroup() as group:
        group.create_task(keep_killing(stack, "settings_service", over))
        for _ in range(HANDS):
            group.create_task(save_settings(browser, over, numbers, saved))
    assert sorted(saved) == list(range(2, len(saved) + 2)), "a version a save, and each answered with its own"
    assert (await browser.get("/api/settings"))["version"] == len(saved) + 1


async def test_a_key_that_is_taken_away_was_there_to_everyone_who_took_it_away(stack: Stack, browser: Browser) -> None:
    """A repeat of a deletion that was done would find nothing, and say so."""
    over, deleted = asyncio.Event(), list[Any]()

    async def keep_and_delete() -> None:
        while not over.is_set():
            await browser.put(KEPT, {"api_key": f"the key number {len(deleted)}"})
            status, _, body = await browser.ask("DELETE", KEPT)
            deleted.append((status, json.loads(body).get("deleted")))

    async with asyncio.TaskGroup() as group:
        group.create_task(keep_killing(stack, "vault_service", over))
        group.create_task(keep_and_delete())
    assert deleted == [(200, True)] * len(deleted)
