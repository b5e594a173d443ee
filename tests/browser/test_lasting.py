"""What a person made, and where they were, is there again after a reload and after a restart of everything."""

import asyncio
from urllib.parse import quote

from playwright.async_api import Locator, Page, expect

from chassis.documents import same
from tests.browser.backups import history, images, profile
from tests.browser.conftest import Newcomer
from tests.browser.guard import Guard
from tests.browser.profiles import continue_as_guest, run, runs, seed
from tests.processes import Stack

RUN = "a run with ż?"
PLACES = {
    "#/library?q=night+market&favorite=true": "Library",
    f"#/run/{quote(RUN, safe='')}": "A walk by the river",
    "#/settings/theme": "Settings Console",
    "#/settings/data": "Settings Console",
    "#/history": "Settings history",
    "#/devices": "Devices",
    "#/old-console": "old console",
}


async def furnish(page: Page) -> None:
    made = [*runs(12), run(12, "A walk by the river", run_id=RUN)]
    await seed(page.context, runs=made, settings={"theme": {"accent": "teal"}}, keys={"runway": "rk_live_0123456789"})
    await continue_as_guest(page)


def sync(page: Page) -> Locator:
    return page.locator("#sync")


async def test_a_reload_keeps_the_place_whatever_it_is(page: Page) -> None:
    await furnish(page)
    for place, name in PLACES.items():
        await page.goto(f"/{place}")
        await page.get_by_role("heading", level=1, name=name).wait_for()
        before = await page.title()
        await page.reload()
        await page.get_by_role("heading", level=1, name=name).wait_for()
        assert page.url.endswith(f"/{place}")
        await expect(page).to_have_title(before)
    await page.goto("/#/library?q=night+market&favorite=true")
    await page.reload()
    await expect(page.get_by_role("searchbox", name="Search runs")).to_have_value("night market")
    await expect(page.get_by_role("button", name="Favourites")).to_have_attribute("aria-pressed", "true")
    await page.goto("/#/settings/data")
    await page.reload()
    await expect(page.get_by_role("heading", name="Data Sync, Export & Restore")).to_be_in_viewport()


async def test_a_reload_keeps_what_was_made_even_a_moment_ago(page: Page) -> None:
    await furnish(page)
    await page.goto("/#/settings/theme")
    await page.get_by_role("radio", name="Crimson").check()
    await page.reload()  # before the pause that precedes saving is over
    await expect(page.get_by_role("radio", name="Crimson")).to_be_checked()
    await expect(sync(page)).to_have_text("Saved v3")
    await page.goto(f"/#/run/{quote(RUN, safe='')}")
    favourite = page.get_by_role("article", name="Take 1").get_by_role("button", name="Favourite")
    await favourite.click()
    await expect(favourite).to_have_attribute("aria-pressed", "true")
    await page.reload()
    await expect(favourite).to_have_attribute("aria-pressed", "true")
    kept = await profile(page)
    assert kept["settings"]["theme"]["accent"] == "crimson"
    assert kept["runs"][RUN]["variants"][0]["favorite"] is True


async def test_a_restart_of_all_services_keeps_everything_and_the_open_page_goes_on(
    newcomer: Newcomer, fresh_stack: Stack, guard: Guard
) -> None:
    guard.allow_outage()
    page = await newcomer(fresh_stack.url)
    await furnish(page)
    await page.goto("/#/settings/theme")
    await page.get_by_role("radio", name="Crimson").check()
    await expect(sync(page)).to_have_text("Saved v3")
    before, versions = await profile(page), await history(page)
    pictures = await images(page, before["runs"])

    await asyncio.to_thread(fresh_stack.stop)
    await page.get_by_role("radio", name="Amber").check()
    await expect(sync(page)).to_have_text("Offline · 1 edit kept")
    await asyncio.to_thread(fresh_stack.start)

    await expect(sync(page)).to_have_text("Saved v4", timeout=60_000)  # it asks every 30 s once that took long
    expected = before | {"settings": before["settings"] | {"theme": before["settings"]["theme"] | {"accent": "amber"}}}
    for _ in range(2):
        await expect(page.get_by_role("radio", name="Amber")).to_be_checked()
        await expect(page.get_by_role("heading", name="Visual Theme")).to_be_in_viewport()
        assert same(await profile(page), expected)
        await page.reload()
    assert (await history(page))[1:] == versions
    assert await images(page, before["runs"]) == pictures
    await page.get_by_role("link", name="Library", exact=True).click()
    await expect(page.get_by_role("list", name="Runs").get_by_role("article")).to_have_count(13)
