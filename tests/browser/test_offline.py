"""Edits without a connection: shown, told, kept in the browser, and sent once when that is possible again."""

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Page, Route, expect

from tests.browser.conftest import Newcomer
from tests.browser.devices import (
    GRAIN,
    SOON,
    ask,
    beside,
    notices,
    option,
    saved,
    settings,
    slider,
    sync,
    version,
    view,
)
from tests.browser.guard import Guard
from tests.browser.profiles import continue_as_guest, run, runs, seed
from tests.processes import Stack

RUN = run(0, "")["run_id"]
SETTINGS = re.compile(r"/api/settings(\?|$)")
PAUSE = {"behavior": {"autoSaveDelayMs": 250}}


@pytest_asyncio.fixture(loop_scope="package")
async def console(page: Page, guard: Guard) -> AsyncIterator[Page]:
    """A guest's Settings Console at version 2, in a browser that may be without a connection."""
    guard.allow_outage()
    await seed(page.context, runs=runs(1), settings=PAUSE)
    await continue_as_guest(page)
    await settings(page)
    yield page


async def conflict(newcomer: Newcomer, page: Page) -> tuple[Page, Page]:
    """This page, where grain is set to 60 % while it was offline, and another device, where it was set to 10 %."""
    there = await beside(newcomer, page)
    await page.context.set_offline(True)
    await slider(page, "Grain").fill("0.6")
    await expect(sync(page)).to_have_text("Offline · 1 edit kept", timeout=SOON)
    await ask(there.context, "PATCH", "/api/settings", {"theme": {"grain": 0.1}})
    await page.context.set_offline(False)
    await expect(page.get_by_role("dialog", name="Changed on another device")).to_be_visible(timeout=SOON)
    return page, there


async def test_edits_are_shown_and_told_survive_closing_the_page_and_are_sent_once(console: Page) -> None:
    context = console.context
    await context.set_offline(True)
    await option(console, "Accent", "Teal").check()
    await expect(sync(console)).to_have_text("Offline · 1 edit kept", timeout=SOON)
    await view(console, f"run/{RUN}", "Slow push-in")
    star = console.get_by_role("article", name="Take 1").get_by_role("button", name="Favourite")
    await star.click()
    await expect(star).to_have_attribute("aria-pressed", "true")
    await expect(sync(console)).to_have_text("Offline · 2 edits kept", timeout=SOON)
    assert await console.locator("html").get_attribute("data-accent") == "teal"
    await console.close()
    await context.set_offline(False)
    assert (await ask(context, "GET", "/api/settings"))["version"] == 2

    again = await context.new_page()
    await again.goto("/")
    await expect(sync(again)).to_have_text("Saved v3", timeout=SOON)
    assert await saved(again, "theme", "accent") == "teal"
    assert await version(again) == 3
    assert await favourites(again) == [True]


async def favourites(page: Page) -> list[bool]:
    (known,) = (await ask(page.context, "GET", "/api/runs"))["runs"]
    return [take["favorite"] for take in known["variants"]]


async def test_what_was_kept_is_shown_again_before_it_can_be_sent(console: Page) -> None:
    async def refuse(route: Route) -> None:
        await (route.abort("connectionrefused") if route.request.method == "PATCH" else route.fallback())

    await console.context.route(SETTINGS, refuse)
    await option(console, "Density", "Compact").check()
    await expect(sync(console)).to_have_text("Offline · 1 edit kept", timeout=SOON)
    await console.reload()
    await expect(option(console, "Density", "Compact")).to_be_checked()
    await expect(console.locator("html")).to_have_attribute("data-density", "compact")
    await expect(sync(console)).to_have_text("Offline · 1 edit kept", timeout=SOON)
    assert await version(console) == 2
    await console.context.unroute(SETTINGS)
    await expect(sync(console)).to_have_text("Saved v3", timeout=SOON)


async def test_an_edit_whose_answer_was_lost_is_not_made_twice(console: Page) -> None:
    keys = []

    async def lose_the_answer(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) > 1:
            return await route.fallback()
        await route.fetch()
        return await route.abort("connectionreset")

    await console.route(re.compile("/api/settings[?]base"), lose_the_answer)
    await option(console, "Accent", "Crimson").check()
    await expect(sync(console)).to_have_text("Saved v3", timeout=SOON)
    assert len(keys) == 2
    assert len(set(keys)) == 1
    assert await version(console) == 3


async def test_edits_that_wait_together_are_not_in_conflict_with_each_other(console: Page) -> None:
    await console.context.set_offline(True)
    await slider(console, "Grain").fill("0.6")
    await expect(sync(console)).to_have_text("Offline · 1 edit kept", timeout=SOON)
    await slider(console, "Grain").fill("0.8")
    await option(console, "Accent", "Teal").check()
    await expect(sync(console)).to_have_text("Offline · 2 edits kept", timeout=SOON)
    await console.context.set_offline(False)
    await expect(sync(console)).to_have_text("Saved v4", timeout=SOON)
    assert (await saved(console, "theme")) | {"grain": 0.8, "accent": "teal"} == await saved(console, "theme")


async def test_an_edit_whose_page_is_closed_before_its_pause_is_over_is_not_lost(console: Page) -> None:
    await option(console, "Render quality", "High").check()
    await console.close()
    again = await console.context.new_page()
    await again.goto("/")
    await expect(sync(again)).to_have_text("Saved v3", timeout=SOON)
    assert await saved(again, "behavior", "renderQuality") == "high"


async def test_what_others_changed_elsewhere_meanwhile_is_merged_without_asking(
    newcomer: Newcomer, console: Page
) -> None:
    there = await beside(newcomer, console)
    await console.context.set_offline(True)
    await slider(console, "Grain").fill("0.6")
    await expect(sync(console)).to_have_text("Offline · 1 edit kept", timeout=SOON)
    await ask(there.context, "PATCH", "/api/settings", {"theme": {"accent": "teal"}})
    await console.context.set_offline(False)
    await expect(option(console, "Accent", "Teal")).to_be_checked(timeout=SOON)
    await expect(sync(console)).to_have_text("Saved v4", timeout=SOON)
    await expect(console.get_by_role("dialog")).to_have_count(0)
    assert await saved(there, "theme", "grain") == 0.6


@pytest.mark.parametrize(("choice", "grain"), [("Yours", 0.6), ("Theirs", 0.1)])
async def test_where_others_changed_the_same_both_are_shown_and_the_choice_counts(
    newcomer: Newcomer, console: Page, guard: Guard, choice: str, grain: float
) -> None:
    guard.allow("/api/settings", status=409)
    here, there = await conflict(newcomer, console)
    both = here.get_by_role("group", name=GRAIN)
    await expect(both.get_by_role("radio", name="Yours")).to_have_accessible_name("Yours 60 %")
    await expect(both.get_by_role("radio", name="Theirs")).to_have_accessible_name("Theirs 10 %")
    await both.get_by_role("radio", name=choice).check()
    await here.get_by_role("button", name="Keep chosen").click()
    await expect(here.get_by_role("dialog")).to_have_count(0)
    await expect(sync(here)).to_have_text("Saved v4" if choice == "Yours" else "Saved v3", timeout=SOON)
    await expect(slider(here, "Grain")).to_have_value(str(grain))
    assert await saved(there, "theme", "grain") == grain


async def test_a_conflict_can_be_decided_later_even_after_a_reload(
    newcomer: Newcomer, console: Page, guard: Guard
) -> None:
    guard.allow("/api/settings", status=409)
    here, there = await conflict(newcomer, console)
    await here.get_by_role("button", name="Decide later").click()
    await expect(here.get_by_role("dialog")).to_have_count(0)
    await expect(sync(here)).to_have_text("Conflict")
    await expect(slider(here, "Grain")).to_have_value("0.6")
    assert await saved(there, "theme", "grain") == 0.1
    await sync(here).get_by_role("button", name="Conflict").click()
    await expect(here.get_by_role("dialog", name="Changed on another device")).to_be_visible()
    await here.keyboard.press("Escape")
    await here.reload()
    await here.get_by_role("dialog").get_by_role("radio", name="Yours").check()
    await here.get_by_role("button", name="Keep chosen").click()
    await expect(sync(here)).to_have_text("Saved v4", timeout=SOON)
    assert await saved(there, "theme", "grain") == 0.6


async def test_a_favourite_of_a_run_that_is_gone_meanwhile_is_told(
    newcomer: Newcomer, console: Page, guard: Guard
) -> None:
    guard.allow(f"/api/runs/{RUN}*", status=404)
    await view(console, f"run/{RUN}", "Slow push-in")
    there = await beside(newcomer, console)
    await console.context.set_offline(True)
    await console.get_by_role("button", name="Favourite").click()
    await expect(sync(console)).to_have_text("Offline · 1 edit kept", timeout=SOON)
    await ask(there.context, "DELETE", f"/api/runs/{RUN}")
    await console.context.set_offline(False)
    await expect(notices(console).get_by_role("alert")).to_contain_text("A change of a run was not taken", timeout=SOON)
    await expect(sync(console)).to_have_text("Saved v2", timeout=SOON)


async def test_edits_outlive_a_server_that_is_killed(newcomer: Newcomer, fresh_stack: Stack, guard: Guard) -> None:
    guard.allow_outage()
    page = await newcomer(fresh_stack.url)
    await seed(page.context, runs=runs(1), settings=PAUSE)
    await continue_as_guest(page)
    await settings(page)
    fresh_stack.kill("gateway")
    await option(page, "Accent", "Teal").check()
    await expect(sync(page)).to_have_text("Offline · 1 edit kept", timeout=SOON)
    await view(page, "library", "Library")
    await page.get_by_role("link", name="Slow push-in").click()
    await page.get_by_role("button", name="Favourite").click()
    await expect(sync(page)).to_have_text("Offline · 2 edits kept", timeout=SOON)
    fresh_stack.start("gateway")
    await expect(sync(page)).to_have_text("Saved v3", timeout=3 * SOON)
    assert await saved(page, "theme", "accent") == "teal"
    assert await favourites(page) == [True]
    await page.reload()
    await expect(sync(page)).to_have_text("Saved v3")
    assert await version(page) == 3


async def test_two_tabs_share_what_is_not_saved_yet_so_that_neither_loses_the_others(console: Page) -> None:
    await ask(console.context, "PATCH", "/api/settings", {"behavior": {"autoSave": False}})
    other = await console.context.new_page()
    for tab in (console, other):
        await tab.goto("/")
        await settings(tab)
        await expect(sync(tab)).to_have_text("Saved v3", timeout=SOON)
    await option(console, "Accent", "Teal").check()
    await expect(option(other, "Accent", "Teal")).to_be_checked()
    await slider(other, "Grain").fill("0.6")
    await console.reload()
    await expect(option(console, "Accent", "Teal")).to_be_checked()
    await expect(slider(console, "Grain")).to_have_value("0.6")
    await console.get_by_role("button", name="Save now").click()
    for tab in (console, other):
        await expect(sync(tab)).to_have_text("Saved v4", timeout=SOON)
    theme = (await ask(console.context, "GET", "/api/settings"))["settings"]["theme"]
    assert (theme["accent"], theme["grain"]) == ("teal", 0.6)


async def test_a_server_in_trouble_is_not_called_offline_and_is_asked_again_no_sooner_than_it_says(
    console: Page, guard: Guard
) -> None:
    guard.allow("/api/settings", status=429)
    asked: list[str] = []

    async def refuse(route: Route) -> None:
        if route.request.method != "PATCH":
            return await route.continue_()
        asked.append(route.request.url)
        return await route.fulfill(
            status=429, headers={"Retry-After": "3"}, json={"detail": "Too much.", "code": "many"}
        )

    await console.route(SETTINGS, refuse)
    await option(console, "Accent", "Teal").check()
    await expect(sync(console)).to_have_text("Server trouble · 1 edit kept", timeout=SOON)
    await console.evaluate("() => dispatchEvent(new Event('online'))")
    await console.wait_for_timeout(500)
    assert len(asked) == 1
    await console.unroute(SETTINGS)
    await expect(sync(console)).to_have_text("Saved v3", timeout=2 * SOON)
