"""The Settings Console: every control saves itself, keys are shown to nobody, and no version is lost."""

import asyncio
import time
from typing import Any, Final

import pytest_asyncio
from playwright.async_api import Locator, Page, Route, expect

from tests.browser.conftest import Newcomer
from tests.browser.devices import SOON, ask, notices, option, saved, settings, slider, sync, version, view
from tests.browser.guard import Guard
from tests.browser.profiles import continue_as_guest, seed
from tests.processes import Stack

DELAY: Final = 250
KEY: Final = "rk_live_0123456789"
CHANGES: Final[dict[str, tuple[str, str, Any]]] = {  # another value than the default; a choice is shown by its words
    "Reduced motion": ("accessibility", "reducedMotion", True),
    "High-contrast focus": ("accessibility", "highContrastFocus", False),
    "Announce status changes": ("accessibility", "announceStatusChanges", False),
    "Favourite the winner": ("preferences", "autoFavoriteWinner", True),
    "Open takes side by side": ("preferences", "autoOpenCompare", False),
    "Default preset": ("preferences", "defaultPreset", "coherence-first"),
    "Default aspect ratio": ("preferences", "defaultAspectRatio", "9:16"),
    "Default duration": ("preferences", "defaultDuration", 12),
    "Takes per run": ("preferences", "defaultVariants", 5),
    "Render quality": ("behavior", "renderQuality", "high"),
    "Previews at a time": ("behavior", "parallelPreviews", 4),
    "Ask before clearing": ("behavior", "confirmBeforeClear", False),
    "Accent": ("theme", "accent", "crimson"),
    "Grain": ("theme", "grain", 0.8),
    "Contrast": ("theme", "contrast", 1.1),
    "Density": ("theme", "density", "compact"),
    "Show raw payload": ("developer", "showRawPayload", True),
    "Debug overlay": ("developer", "enableDebugOverlay", True),
    "Keyboard timeline": ("developer", "enableKeyboardTimeline", False),
    "Gesture navigation": ("developer", "gestureNavigation", False),
    "Pause before saving": ("behavior", "autoSaveDelayMs", 300),
    "Save changes by themselves": ("behavior", "autoSave", False),
}


@pytest_asyncio.fixture(loop_scope="package")
async def console(page: Page) -> Page:
    """A guest's Settings Console at version 2, where edits save themselves after a quarter of a second."""
    return await opened(page)


async def opened(page: Page, **seeds: Any) -> Page:
    await seed(page.context, **{"settings": {"behavior": {"autoSaveDelayMs": DELAY}}} | seeds)
    await continue_as_guest(page)
    await settings(page)
    return page


async def turn(page: Page, name: str, value: Any) -> None:
    match value:
        case bool():
            await page.get_by_role("switch", name=name, exact=True).set_checked(value)
        case str():
            await option(page, name, words(value)).check()
        case _:
            await slider(page, name).fill(str(value))


async def expect_shown(page: Page, name: str, value: Any) -> None:
    match value:
        case bool():
            await expect(page.get_by_role("switch", name=name, exact=True)).to_be_checked(checked=value)
        case str():
            await expect(option(page, name, words(value))).to_be_checked()
        case _:
            await expect(slider(page, name)).to_have_value(str(value))


def words(value: str) -> str:
    return value.replace("-", " ").capitalize()


def provider(page: Page, name: str) -> Locator:
    return page.get_by_role("group", name=name, exact=True)


async def styled(page: Page, name: str) -> str:
    return str(await page.evaluate(f"getComputedStyle(document.documentElement).getPropertyValue('{name}').trim()"))


async def test_every_control_saves_itself_and_shows_what_is_saved(console: Page) -> None:
    async with console.expect_response(lambda answer: '"autoSave":false' in (answer.request.post_data or "")):
        for name, (_, _, value) in CHANGES.items():
            await turn(console, name, value)
    await expect(sync(console)).to_have_text(f"Saved v{await version(console)}", timeout=SOON)
    now = await saved(console)
    for section, key, value in CHANGES.values():
        assert now[section][key] == value, key
    await console.reload()
    for name, (_, _, value) in CHANGES.items():
        await expect_shown(console, name, value)


async def test_every_control_that_the_console_knows_is_tried_here(console: Page) -> None:
    known = await console.evaluate(
        "import('/console/words.js').then(({SETTINGS}) => SETTINGS.map(({label, path}) => [label, ...path]))"
    )
    assert sorted(known) == sorted([name, section, key] for name, (section, key, _) in CHANGES.items())


async def test_an_edit_waits_for_its_pause_and_those_within_it_go_together(page: Page) -> None:
    await opened(page, settings={"behavior": {"autoSaveDelayMs": 1000}})
    await option(page, "Accent", "Teal").check()
    await expect(sync(page)).to_have_text("Unsaved")
    began = time.monotonic()
    await slider(page, "Grain").press("ArrowRight")
    await slider(page, "Grain").press("ArrowRight")
    assert await version(page) == 2
    await expect(sync(page)).to_have_text("Saved v3", timeout=SOON)
    assert time.monotonic() - began >= 0.9
    assert (await saved(page, "theme")) | {"accent": "teal", "grain": 0.45} == await saved(page, "theme")


async def test_edits_that_shall_not_save_themselves_wait_for_save_now_even_over_a_reload(page: Page) -> None:
    await opened(page, settings={"behavior": {"autoSave": False, "autoSaveDelayMs": DELAY}})
    save = page.get_by_role("button", name="Save now")
    await expect(save).to_be_hidden()
    await option(page, "Accent", "Teal").check()
    await expect(save).to_be_visible()
    await page.wait_for_timeout(2 * DELAY)
    await expect(sync(page)).to_have_text("Unsaved")
    await page.reload()
    await expect(option(page, "Accent", "Teal")).to_be_checked()
    await expect(sync(page)).to_have_text("Unsaved")
    assert await version(page) == 2
    await save.click()
    await expect(sync(page)).to_have_text("Saved v3", timeout=SOON)
    await expect(save).to_be_hidden()
    assert await saved(page, "theme", "accent") == "teal"


async def test_sliders_keep_to_their_ranges_and_say_what_they_stand_at(console: Page) -> None:
    for name, least, most, said in (
        ("Default duration", "2", "20", "20 s"),
        ("Takes per run", "2", "5", "5"),
        ("Previews at a time", "1", "4", "4"),
        ("Grain", "0", "1", "100 %"),
        ("Contrast", "0.9", "1.2", "120 %"),
    ):
        control = slider(console, name)
        await control.press("Home")
        await expect(control).to_have_value(least)
        await control.press("End")
        await expect(control).to_have_value(most)
        await expect(control).to_have_attribute("aria-valuetext", said)
    await expect(sync(console)).to_contain_text("Saved", timeout=SOON)
    assert (await saved(console, "theme"))["contrast"] == 1.2


async def test_the_theme_is_live_and_there_before_anything_else_of_the_next_visit(console: Page) -> None:
    root = console.locator("html")
    amber = await styled(console, "--accent")
    await option(console, "Accent", "Crimson").check()
    assert await styled(console, "--accent") not in ("", amber)
    await slider(console, "Grain").fill("0.8")
    assert await styled(console, "--grain") == "0.8"
    await slider(console, "Contrast").fill("1.1")
    assert await styled(console, "--contrast") == "1.1"
    await option(console, "Density", "Compact").check()
    await console.get_by_role("switch", name="Reduced motion").check()
    await expect(root).to_have_attribute("data-density", "compact")
    await expect(root).to_have_attribute("data-motion", "reduced")
    await expect(sync(console)).to_contain_text("Saved", timeout=SOON)

    await console.route("**/console/main.js", lambda route: route.fulfill(content_type="text/javascript", body=""))
    await console.reload()
    await expect(root).to_have_attribute("data-accent", "crimson")
    assert [await styled(console, name) for name in ("--grain", "--contrast")] == ["0.8", "1.1"]


async def test_a_key_is_saved_masked_kept_nowhere_and_cleared(console: Page) -> None:
    runway = provider(console, "Runway")
    await expect(runway).to_contain_text("Not set")
    await expect(runway.get_by_role("button", name="Clear key")).to_be_disabled()
    await console.get_by_label("Runway key").fill(KEY)
    await runway.get_by_role("button", name="Save key").click()
    await expect(runway).to_contain_text("Your key")
    await expect(runway.locator("code")).to_have_text("rk_l********6789")
    await expect(console.get_by_label("Runway key")).to_have_value("")
    await expect(console.get_by_label("Runway key")).to_have_attribute("type", "password")
    assert KEY not in await console.evaluate("JSON.stringify([localStorage, sessionStorage, document.body.innerHTML])")
    await runway.get_by_role("button", name="Clear key").click()
    question = console.get_by_role("dialog", name="Clear the Runway key?")
    await question.get_by_role("button", name="Keep").click()
    await expect(runway).to_contain_text("Your key")
    await runway.get_by_role("button", name="Clear key").click()
    await question.get_by_role("button", name="Clear").click()
    await expect(runway).to_contain_text("Not set")
    assert "runway" not in (await ask(console.context, "GET", "/api/providers"))["available_providers"]


async def test_a_key_that_is_refused_is_told_at_its_place_and_what_was_typed_stays(console: Page, guard: Guard) -> None:
    guard.allow("/api/settings/api-keys/runway", status=400)
    key, save = console.get_by_label("Runway key"), provider(console, "Runway").get_by_role("button", name="Save key")
    await key.fill("short")
    await save.click()
    assert await key.evaluate("input => input.validity.tooShort")
    await key.fill("x" * 5000)
    await save.click()
    await expect(provider(console, "Runway").get_by_role("alert")).to_contain_text("4096")
    await expect(key).to_have_value("x" * 5000)


async def test_a_provider_that_is_going_away_says_so(console: Page) -> None:
    catalogue = (await ask(console.context, "GET", "/api/providers"))["providers"]
    ending = [each for each in catalogue if each["lifecycle"]["status"] != "active"]
    assert ending
    for each in ending:
        group = provider(console, each["label"])
        await expect(group).to_contain_text(each["lifecycle"]["status"].replace("_", " "), ignore_case=True)
        await expect(group).to_contain_text(each["lifecycle"]["note"])


async def test_without_the_vault_all_but_the_keys_can_be_used(
    newcomer: Newcomer, fresh_stack: Stack, guard: Guard
) -> None:
    guard.allow("/api/settings/api-keys*", status=503).allow("/api/providers", status=503)
    page = await newcomer(fresh_stack.url)
    fresh_stack.kill("vault_service")
    await opened(page)
    keys = page.get_by_role("region", name="API Configuration")
    await expect(keys.get_by_role("button", name="Try again")).to_be_visible()
    await option(page, "Accent", "Teal").check()
    await expect(sync(page)).to_have_text("Saved v3", timeout=SOON)
    await view(page, "library", "Library")
    await expect(page.get_by_role("heading", name="No runs yet")).to_be_visible()
    await settings(page)
    await keys.get_by_role("button", name="Try again").click()
    fresh_stack.start("vault_service")
    await expect(provider(page, "Runway")).to_contain_text("Not set")
    await expect(keys.get_by_role("button", name="Try again")).to_have_count(0)


async def test_the_history_shows_what_is_different_now_and_puts_a_version_in_place_again(console: Page) -> None:
    for change in ({"theme": {"grain": 0.1}}, {"theme": {"grain": 0.9}, "developer": {"showRawPayload": True}}):
        await ask(console.context, "PATCH", "/api/settings", change)
    await view(console, "history", "Settings history")
    versions = console.get_by_role("list", name="Versions").get_by_role("listitem")
    await expect(versions).to_have_count(4)
    await expect(versions.first).to_contain_text("Current")
    third = versions.filter(has=console.get_by_role("heading", name="Version 3", exact=True))
    await third.get_by_role("button", name="Show changes").click()
    await expect(third.get_by_role("term")).to_contain_text(
        ["Then → now", "Developer Options › Show raw payload", "Visual Theme › Grain"]
    )
    await expect(third.get_by_role("definition")).to_contain_text(["", "off → on", "10 % → 90 %"])
    await third.get_by_role("button", name="Restore version 3").click()
    await expect(versions).to_have_count(5)
    await expect(versions.first).to_contain_text("Version 3 again")
    await expect(third).to_contain_text("Nothing is different now.")
    await expect(sync(console)).to_have_text("Saved v5")
    assert await saved(console, "theme", "grain") == 0.1


async def test_older_versions_come_when_asked_for(console: Page) -> None:
    for number in range(28):
        await ask(console.context, "PATCH", "/api/settings", {"theme": {"grain": number / 28}})
    await view(console, "history", "Settings history")
    versions = console.get_by_role("list", name="Versions").get_by_role("listitem")
    await expect(versions).to_have_count(25)
    await console.get_by_role("button", name="Older versions").dblclick()
    await expect(versions).to_have_count(30)
    await expect(notices(console)).to_be_empty()
    await expect(versions.last).to_contain_text("Version 1")
    await expect(console.get_by_role("button", name="Older versions")).to_be_hidden()


async def test_a_section_has_an_address_and_comes_into_view(console: Page) -> None:
    await console.goto("/#/settings/theme")
    heading = console.get_by_role("heading", name="Visual Theme")
    await expect(heading).to_be_focused()
    await expect(heading).to_be_in_viewport()
    await console.get_by_role("link", name="Developer Options").click()
    await expect(console.get_by_role("heading", name="Developer Options")).to_be_focused()


async def test_settings_that_are_slow_to_come_are_read_once_however_early_the_view_is_there(page: Page) -> None:
    await opened(page)
    asked: list[str] = []

    async def delay(route: Route) -> None:
        asked.append(route.request.url)
        await asyncio.sleep(0.7)
        await route.continue_()

    await page.route("**/api/settings", delay)
    await page.reload()
    await expect(sync(page)).to_have_text("Saved v2", timeout=SOON)
    assert len(asked) == 1
