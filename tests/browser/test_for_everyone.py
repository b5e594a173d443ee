"""Every view for everybody: WCAG, keyboard, narrow and wide screens, less motion, text that runs the other way."""

from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, StorageState, expect

from tests.browser.accessibility import assert_accessible
from tests.browser.conftest import Newcomer
from tests.browser.devices import view
from tests.browser.profiles import HOSTILE, LONG, UNBROKEN, continue_as_guest, run, runs, seed
from tests.processes import Stack

RTL: Final = "لقطة بطيئة لسوق قديم عند الغروب 🌅 - שלום"
RUN: Final = "R000f4240"  # the latest of all: what is opened
SETTINGS: Final = {"developer": {"showRawPayload": True}}
VIEWS: Final = {
    "#/welcome": "Director Console",
    "#/library": "Library",
    f"#/run/{RUN}": "Library",
    "#/settings": "Settings Console",
    "#/history": "Settings history",
    "#/devices": "Devices",
    "#/old-console": "Bring your data from the old console",
}
WIDTHS: Final = (320, 390, 1440, 3840)


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def furnished(browser: Browser, stack: Stack) -> AsyncIterator[StorageState]:
    """A profile with something of everything, and nothing that changes it."""
    context = await browser.new_context(base_url=stack.url)
    odd = [run(900 + number, text) for number, text in enumerate((*HOSTILE, LONG, UNBROKEN))]
    latest = run(0, RTL, run_id=RUN, created_at="2027-01-01T00:00:00.000000+00:00")
    await seed(context, runs=[*runs(30), *odd, latest], settings=SETTINGS, keys={"runway": "rk_live_an_example_key"})
    await continue_as_guest(await context.new_page())
    yield await context.storage_state()
    await context.close()


async def opened(page: Page, address: str) -> None:
    """Return once the view has its heading, and all that it reads."""
    await page.goto(f"/{address}")
    await expect(page.locator("main h1")).to_be_visible()
    await page.wait_for_load_state("load")
    await expect(page.get_by_role("status").filter(has_text="Saved v")).to_be_visible()
    await page.wait_for_function("() => !document.querySelector('[aria-busy=true]')")


async def width_of_all(page: Page) -> int:
    return int(await page.evaluate("() => document.documentElement.scrollWidth"))


async def choose(page: Page, patch: dict[str, Any]) -> None:
    answer = await page.context.request.patch("/api/settings", data=patch)
    assert answer.ok, await answer.text()


@pytest.mark.parametrize("address", VIEWS)
async def test_a_view_meets_wcag_on_a_phone_and_on_a_desk(
    newcomer: Newcomer, furnished: StorageState, address: str
) -> None:
    page = await newcomer(storage_state=furnished)
    for width in (390, 1440):
        await page.set_viewport_size({"width": width, "height": 900})
        await opened(page, address)
        await assert_accessible(page)


@pytest.mark.parametrize("accent", ["amber", "teal", "crimson"])
async def test_every_accent_has_enough_contrast_at_both_ends_of_the_setting(page: Page, accent: str) -> None:
    await seed(page.context, runs=runs(8))
    await continue_as_guest(page)
    for contrast in (0.9, 1.2):
        await choose(page, {"theme": {"accent": accent, "contrast": contrast, "grain": 1}})
        for address in ("#/library", f"#/run/R{7:08x}", "#/settings"):
            await opened(page, address)
            await expect(page.locator("html")).to_have_attribute("data-accent", accent)
            await assert_accessible(page)


async def test_dialogs_and_notices_meet_wcag_and_hold_the_keyboard(page: Page) -> None:
    await seed(page.context, runs=runs(3))
    await continue_as_guest(page)
    await opened(page, "#/library")
    clear = page.get_by_role("button", name="Clear all runs")
    await clear.click()
    dialog = page.get_by_role("dialog", name="Clear all runs?")
    await expect(dialog).to_be_visible()
    await assert_accessible(page)
    for _ in range(5):
        await page.keyboard.press("Tab")
        assert not await page.evaluate("() => document.querySelector('main').contains(document.activeElement)")
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()
    await expect(clear).to_be_focused()
    await clear.click()
    await dialog.get_by_role("button", name="Clear all").click()
    await expect(page.get_by_text("3 runs deleted.")).to_be_visible()
    await assert_accessible(page)
    await expect(page.get_by_role("heading", name="No runs yet")).to_be_visible()


@pytest.mark.parametrize("width", WIDTHS)
async def test_no_view_is_wider_than_the_screen(newcomer: Newcomer, furnished: StorageState, width: int) -> None:
    page = await newcomer(storage_state=furnished, viewport={"width": width, "height": 900})
    for address in VIEWS:
        await opened(page, address)
        assert await width_of_all(page) <= width, address


async def test_what_is_pressed_is_large_enough_for_a_finger(newcomer: Newcomer, furnished: StorageState) -> None:
    """24 by 24 CSS pixels (WCAG 2.5.8); links within a sentence are exempt."""
    page = await newcomer(storage_state=furnished, viewport={"width": 390, "height": 844})
    small = """() => [...document.querySelectorAll("button, select, summary, nav a, .button, input:not([type=file])")]
        .filter((each) => each.checkVisibility())
        .map((each) => [each.outerHTML.slice(0, 200), (each.closest("label") ?? each).getBoundingClientRect()])
        .filter(([, { width, height }]) => width < 23.9 || height < 23.9)
        .map(([name, { width, height }]) => `${name}: ${width} x ${height}`)"""
    for address in VIEWS:
        await opened(page, address)
        assert await page.evaluate(small) == [], address


async def test_everything_can_be_reached_and_done_by_keyboard(page: Page) -> None:
    await seed(page.context, runs=runs(4))
    await continue_as_guest(page)
    await page.reload()
    await opened(page, "#/library")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    seen = []
    for _ in range(20):
        await page.keyboard.press("Tab")
        seen.append(
            await page.evaluate("() => document.activeElement.textContent.trim() || document.activeElement.ariaLabel")
        )
    assert {"Library", "Settings", "History", "Devices", "Search runs", "Favourites", "Clear all runs"} <= set(seen)
    await page.get_by_role("list", name="Runs").get_by_role("link").first.focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("button", name="Compare takes")).to_be_visible()
    first = page.url
    await page.keyboard.press("ArrowRight")
    await page.wait_for_function("before => location.href !== before", arg=first)
    star = page.get_by_role("button", name="Favourite").first
    await star.focus()
    pressed = await star.get_attribute("aria-pressed")
    await page.keyboard.press("Space")
    await expect(star).to_have_attribute("aria-pressed", "false" if pressed == "true" else "true")
    await expect(star).to_be_focused()


async def test_skipping_to_the_content_stays_in_the_view(page: Page) -> None:
    await continue_as_guest(page)
    await view(page, "history", "Settings history")
    await page.get_by_role("link", name="Skip to the content").press("Enter")
    await expect(page.get_by_role("main")).to_be_focused()
    await expect(page.get_by_role("heading", name="Settings history")).to_be_visible()
    assert page.url.endswith("#/history")


async def test_the_keyboard_goes_on_from_the_heading_of_a_new_view(page: Page) -> None:
    await continue_as_guest(page)
    for name, heading in {"Settings": "Settings Console", "History": "Settings history", "Devices": "Devices"}.items():
        await page.get_by_role("navigation", name="Main").get_by_role("link", name=name).click()
        await expect(page.get_by_role("heading", name=heading, level=1)).to_be_visible()
        assert await page.title() == f"{heading} · ANIMAtiZE Director Console"


@pytest.mark.parametrize("by", ["system", "setting"])
async def test_nothing_moves_for_whom_it_should_not(newcomer: Newcomer, by: str) -> None:
    page = await newcomer(reduced_motion="reduce" if by == "system" else "no-preference")
    await continue_as_guest(page)
    moving = """() => [...document.querySelectorAll("*")].flatMap((each) => ["", "::before", "::after"].map((part) =>
        getComputedStyle(each, part))).filter((style) => style.animationName !== "none" || style.transitionDuration
        .split(", ").some((each) => parseFloat(each) > 0)).length"""
    if by == "setting":
        await opened(page, "#/settings")
        assert await page.evaluate(moving) > 0
        await page.get_by_role("switch", name="Reduced motion").check()
        await expect(page.locator("html")).to_have_attribute("data-motion", "reduced")
    for address in ("#/library", "#/settings"):
        await opened(page, address)
        assert await page.evaluate(moving) == 0


async def test_text_of_people_runs_in_its_own_direction(newcomer: Newcomer, furnished: StorageState) -> None:
    page = await newcomer(storage_state=furnished)
    await opened(page, f"#/run/{RUN}")
    heading = page.locator("main h1")
    await expect(heading).to_contain_text("لقطة")
    assert await heading.evaluate("each => getComputedStyle(each).direction") == "rtl"
    assert await page.locator("html").evaluate("each => getComputedStyle(each).direction") == "ltr"
    await expect(page.get_by_role("link", name="Back to library")).to_be_visible()


async def test_status_changes_are_announced_unless_the_settings_say_no(page: Page) -> None:
    await seed(page.context, runs=runs(3))
    await continue_as_guest(page)
    await opened(page, "#/library")
    announcer = page.locator("#announcer")
    await expect(announcer).to_have_attribute("aria-live", "polite")
    await expect(announcer).to_contain_text("3 runs shown")
    await choose(page, {"accessibility": {"announceStatusChanges": False}})
    await expect(page.locator("html")).to_have_attribute("data-announce", "off")
    await page.get_by_role("searchbox", name="Search runs").fill("nothing has this")
    await expect(page.get_by_role("heading", name="Nothing found")).to_be_visible()
    assert "0 runs" not in (await announcer.text_content() or "")
