"""Something dies, or the person leaves, in the middle of an import or an export: it is whole or it is not, and said."""

import asyncio
import json
import random
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.browser.backups import PLACE, arrived, choose, exported, profile, saved
from tests.browser.conftest import Newcomer
from tests.browser.guard import Guard
from tests.browser.profiles import continue_as_guest, run, runs, seed
from tests.faults.passage import Accident
from tests.faults.places import PLACES
from tests.faults.plant import Plant, plant

KEPT = runs(3)
BROUGHT = [run(2, "another take on it"), run(3, "new")]
DOCUMENT: dict[str, Any] = {"runs": BROUGHT, "settings": {"plugin": {"kept": True}}}


@pytest_asyncio.fixture(name="plant", scope="module", loop_scope="package")
async def shared_plant(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Plant]:
    async with plant(tmp_path_factory.mktemp("plant")) as shared:
        yield shared


@pytest_asyncio.fixture(name="page", loop_scope="package")
async def page_of_the_plant(newcomer: Newcomer, plant: Plant, guard: Guard) -> Page:
    """Of somebody who has a few runs."""
    guard.allow_outage()
    page = await newcomer(plant.stack.url)
    await seed(page.context, runs=KEPT)
    await continue_as_guest(page)
    return page


async def before_and_after(page: Page) -> tuple[dict[str, Any], dict[str, Any]]:
    """The profile as it is, and as the document makes it."""
    before = await profile(page)
    settings = before["settings"] | DOCUMENT["settings"]
    return before, before | {"settings": settings, "runs": {each["run_id"]: each for each in [*KEPT, *BROUGHT]}}


async def start_import(page: Page, plant: Plant, accident: Accident, tmp_path: Path) -> None:
    """Up to where it happens."""
    await choose(page, saved(tmp_path, DOCUMENT))
    plant.passages["runs"].expect(accident)
    await page.get_by_role("button", name="Import", exact=True).click()
    await accident.happened.wait()


def current_step(page: Page) -> Any:
    return page.get_by_role("list", name="Import stages").locator("[aria-current=step]")


@pytest.mark.parametrize("victim", ["runs_service", "gateway"])
async def test_an_import_is_not_at_all_where_something_dies_before_it_is_decided(
    page: Page, plant: Plant, tmp_path: Path, victim: str
) -> None:
    before, after = await before_and_after(page)
    accident = PLACES["amid staging"].meet(partial(plant.kill, victim))
    await start_import(page, plant, accident, tmp_path)
    await plant.start(victim)

    refusal = page.get_by_role("region", name="Not imported")
    await refusal.wait_for(timeout=30_000)
    assert await profile(page) == before
    await refusal.get_by_role("button", name="Try again").click()
    await expect(await arrived(page)).to_contain_text("Runs: 1 new, 1 replaced.")
    assert await profile(page) == after


@pytest.mark.parametrize("victim", ["runs_service", "gateway"])
async def test_an_import_is_whole_where_something_dies_after_it_is_decided(
    page: Page, plant: Plant, tmp_path: Path, victim: str
) -> None:
    _, after = await before_and_after(page)
    accident = PLACES["before the commit"].meet(partial(plant.kill, victim))
    await start_import(page, plant, accident, tmp_path)
    if victim != "gateway":
        await expect(current_step(page)).to_have_text("Putting it in place")
    await plant.start(victim)

    await expect(await arrived(page)).to_contain_text("Runs: 1 new, 1 replaced.")
    assert await profile(page) == after
    await page.get_by_role("link", name="See the library").click()
    await expect(page.get_by_role("list", name="Runs").get_by_role("article")).to_have_count(4)


async def test_a_reload_finds_the_import_that_is_under_way(page: Page, plant: Plant, tmp_path: Path) -> None:
    _, after = await before_and_after(page)
    going_on = asyncio.Event()
    await start_import(page, plant, PLACES["before the commit"].meet(partial(until, going_on)), tmp_path)
    await page.reload()
    await expect(current_step(page)).to_have_text("Putting it in place")
    going_on.set()
    await expect(await arrived(page)).to_contain_text("Runs: 1 new, 1 replaced.")
    assert await profile(page) == after


async def test_a_reload_amid_the_upload_ends_the_import_and_says_so(page: Page, tmp_path: Path) -> None:
    before = await profile(page)
    await choose(page, saved(tmp_path, {"runs": [heavy(9)]}))
    async with slowly(page):
        await page.get_by_role("button", name="Import", exact=True).click()
        await expect(current_step(page)).to_have_text(re.compile("Sending [1-9]"))
        await page.reload()
        await page.get_by_role("region", name="Not imported").wait_for()
    assert await profile(page) == before


async def test_an_export_that_breaks_off_offers_nothing(page: Page, plant: Plant) -> None:
    await seed(page.context, runs=map(heavy, range(10, 14)))
    await page.goto(PLACE)
    downloads: list[Any] = []
    page.on("download", lambda download: downloads.append(download))  # noqa: PLW0108 (no built-in may be given)
    told = page.get_by_role("main")
    async with slowly(page):
        await page.get_by_role("button", name="Export backup").click()
        await told.get_by_text("B written").wait_for()
        await plant.kill("gateway")
    await told.get_by_text("It broke off").wait_for()
    await expect(page.get_by_role("link", name="Save")).to_have_count(0)
    assert downloads == []
    await plant.start("gateway")
    async with exported(page) as file:
        assert len(json.loads(file.read_bytes())["runs"]) == 7


def heavy(which: int) -> dict[str, Any]:
    """A run of four megabytes."""
    return run(which, "with a large image", image=random.Random(which).randbytes(3_000_000))


@asynccontextmanager
async def slowly(page: Page) -> AsyncIterator[None]:
    """Over a connection of a megabyte a second."""
    session = await page.context.new_cdp_session(page)
    limits = {"offline": False, "latency": 0, "downloadThroughput": 1_000_000, "uploadThroughput": 1_000_000}
    await session.send("Network.enable")
    await session.send("Network.emulateNetworkConditions", limits)
    try:
        yield
    finally:
        await session.send("Network.emulateNetworkConditions", dict.fromkeys(limits, -1) | {"offline": False})
        await session.detach()


async def until(event: asyncio.Event) -> None:
    await event.wait()
