"""Two browsers side by side: what changes in one appears in the other by itself."""

from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest_asyncio
from playwright.async_api import Page, expect

from tests.browser.conftest import Newcomer
from tests.browser.devices import (
    SOON,
    ask,
    beside,
    notices,
    option,
    runs_of,
    saved,
    settings,
    signed_in,
    sync,
    version,
    view,
)
from tests.browser.google import Google
from tests.browser.guard import Guard
from tests.browser.profiles import continue_as_guest, run, runs, seed
from tests.processes import Stack


class Pair(NamedTuple):
    here: Page
    there: Page


@pytest_asyncio.fixture(loop_scope="package")
async def pair(newcomer: Newcomer, page: Page) -> AsyncIterator[Pair]:
    """Both show the library with two runs, and notice when they are loaded anew."""
    await seed(page.context, runs=runs(2), settings={"behavior": {"autoSaveDelayMs": 250}})
    await continue_as_guest(page)
    pair = Pair(page, await beside(newcomer, page))
    await pair.there.goto("/")
    for each in pair:
        await expect(runs_of(each)).to_have_count(2)
        await each.evaluate("window.isTheSamePage = true")
    yield pair
    for each in pair:
        assert await each.evaluate("window.isTheSamePage"), "it was loaded anew"


async def test_a_setting(pair: Pair) -> None:
    for each in pair:
        await settings(each)
    await option(pair.here, "Accent", "Teal").check()
    await expect(option(pair.there, "Accent", "Teal")).to_be_checked(timeout=SOON)
    await expect(pair.there.locator("html")).to_have_attribute("data-accent", "teal")
    for each in pair:
        await expect(sync(each)).to_have_text(f"Saved v{await version(each)}", timeout=SOON)


async def test_a_favourite(pair: Pair) -> None:
    for each in pair:
        await view(each, f"run/{run(1, '')['run_id']}", "Zażółć")
    star = pair.here.get_by_role("article", name="Take 2").get_by_role("button", name="Favourite")
    starred = pair.there.get_by_role("article", name="Take 2").get_by_role("button", name="Favourite")
    await star.click()
    await expect(star).to_have_attribute("aria-pressed", "true")
    await expect(starred).to_have_attribute("aria-pressed", "true", timeout=SOON)
    await starred.click()
    await expect(star).to_have_attribute("aria-pressed", "false", timeout=SOON)


async def test_a_run_that_was_made_elsewhere(pair: Pair) -> None:
    made = run(7, "A paper boat in the rain")
    await ask(pair.here.context, "PUT", f"/api/runs/{made['run_id']}", made)
    for each in pair:
        await expect(runs_of(each)).to_have_count(3, timeout=SOON)
        await expect(runs_of(each).first.get_by_role("link")).to_have_accessible_name("A paper boat in the rain")


async def test_a_run_that_was_deleted_and_its_detail_says_so(newcomer: Newcomer, pair: Pair, guard: Guard) -> None:
    last = run(1, "")["run_id"]
    guard.allow(f"/api/runs/{last}", status=404)
    third = await beside(newcomer, pair.here)
    for each in (third, pair.here):
        await view(each, f"run/{last}", "Zażółć")
    await pair.here.get_by_role("button", name="Delete run").click()
    await pair.here.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(runs_of(pair.there)).to_have_count(1, timeout=SOON)
    await expect(third.get_by_role("heading", name="This run is gone")).to_be_visible(timeout=SOON)
    await expect(runs_of(pair.here)).to_have_count(1)


async def test_all_runs_cleared(pair: Pair) -> None:
    await pair.here.get_by_role("button", name="Clear all runs").click()
    await pair.here.get_by_role("dialog", name="Clear all runs?").get_by_role("button", name="Clear all").click()
    for each in pair:
        await expect(each.get_by_role("heading", name="No runs yet")).to_be_visible(timeout=SOON)
    await expect(notices(pair.here)).to_contain_text("2 runs deleted.")


async def test_a_version_that_is_in_place_again(pair: Pair) -> None:
    await ask(pair.here.context, "PATCH", "/api/settings", {"theme": {"accent": "crimson"}})
    await view(pair.here, "history", "Settings history")
    await settings(pair.there)
    await expect(option(pair.there, "Accent", "Crimson")).to_be_checked(timeout=SOON)
    await pair.here.get_by_role("button", name="Restore version 1").click()
    await expect(option(pair.there, "Accent", "Amber")).to_be_checked(timeout=SOON)
    assert await saved(pair.here, "behavior", "autoSaveDelayMs") == 700
    await view(pair.there, "history", "Settings history")
    current = pair.there.get_by_role("list", name="Versions").get_by_role("listitem").first
    await expect(current).to_contain_text("Version 1 again")


async def test_a_key(pair: Pair) -> None:
    for each in pair:
        await view(each, "settings", "Settings Console")
    key = pair.here.get_by_label("Runway key")
    await key.fill("rk_live_0123456789")
    await key.press("Enter")
    there = pair.there.get_by_role("group", name="Runway")
    await expect(there).to_contain_text("rk_l", timeout=SOON)
    await expect(there).to_contain_text("Your key")
    await there.get_by_role("button", name="Clear key").click()
    await pair.there.get_by_role("dialog").get_by_role("button", name="Clear").click()
    await expect(pair.here.get_by_role("group", name="Runway")).to_contain_text("Not set", timeout=SOON)


async def test_a_device_that_came_and_was_signed_out(
    newcomer: Newcomer, google_stack: Stack, google: Google, guard: Guard
) -> None:
    guard.allow("/api/events", status=401)
    here = await signed_in(newcomer, google, google_stack.url, "pair")
    await view(here, "devices", "Devices")
    devices = here.get_by_role("list", name="Signed-in devices").get_by_role("listitem")
    await expect(devices).to_have_count(1)
    there = await signed_in(newcomer, google, google_stack.url, "pair", user_agent="Mozilla/5.0 (iPad) Safari/600")
    await expect(devices).to_have_count(2, timeout=SOON)
    await here.get_by_role("button", name="Sign out Safari on iPad").click()
    await expect(notices(there)).to_contain_text("This session has ended.", timeout=SOON)
    await expect(sync(there)).to_have_text("Session ended")
    await expect(devices).to_have_count(1)
