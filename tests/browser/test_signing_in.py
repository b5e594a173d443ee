"""Guests, Google's accounts, sessions that end, and edits that never land in anybody else's profile."""

from typing import Any

import pytest
from playwright.async_api import BrowserContext, Page, Route, expect

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
    sign_in,
    signed_in,
    sync,
    version,
    view,
)
from tests.browser.google import CLIENT, LABEL, Google
from tests.browser.guard import Guard
from tests.browser.profiles import continue_as_guest, runs, seed
from tests.processes import Stack

PAUSE = {"behavior": {"autoSaveDelayMs": 250}}


async def guest_at_the_settings(page: Page, pause: int = 250) -> Page:
    await seed(page.context, settings={"behavior": {"autoSaveDelayMs": pause}})
    await continue_as_guest(page)
    await settings(page)
    return page


async def take_the_place_of(context: BrowserContext, cookies: Any) -> None:
    await context.clear_cookies()
    await context.add_cookies(cookies)


async def test_a_newcomer_is_told_what_a_guest_keeps_and_comes_to_where_the_address_leads(page: Page) -> None:
    await page.goto("/#/history")
    await expect(page.get_by_role("heading", name="Director Console")).to_be_visible()
    await expect(page.get_by_role("main")).to_contain_text("this browser’s cookie is the only way to it")
    await expect(page.get_by_role("button", name=LABEL)).to_have_count(0)
    await expect(page.get_by_role("navigation", name="Main")).to_be_hidden()
    await page.get_by_role("button", name="Continue as guest").click()
    await expect(page.get_by_role("heading", level=1, name="Settings history")).to_be_visible()
    await expect(page.get_by_role("navigation", name="Main")).to_be_visible()


async def test_a_reload_keeps_the_place_and_the_guest(page: Page) -> None:
    await seed(page.context, runs=runs(1))
    await continue_as_guest(page)
    places = {
        "library?status=success": "Library",
        "run/R00000000": "Slow push-in",
        "settings/theme": "Settings Console",
        "history": "Settings history",
        "devices": "Devices",
    }
    for place, heading in places.items():
        await view(page, place, heading)
        await page.reload()
        await expect(page.get_by_role("heading", level=1, name=heading)).to_be_visible()
        assert page.url.endswith(f"#/{place}")
    assert len((await ask(page.context, "GET", "/api/runs"))["runs"]) == 1


async def test_signing_in_brings_along_what_the_guest_had_and_says_so(
    newcomer: Newcomer, google_stack: Stack, google: Google
) -> None:
    page = await newcomer(google_stack.url)
    await google.serve(page.context, sub="brings")
    await seed(page.context, runs=runs(2), settings=PAUSE, keys={"runway": "rk_live_0123456789"})
    await continue_as_guest(page)
    await view(page, "devices", "Devices")
    await page.get_by_role("link", name="Sign in to keep it.").click()
    await sign_in(page)
    for part in ("2 runs", "1 profile of settings", "1 provider key"):
        await expect(notices(page)).to_contain_text(part)
    await expect(runs_of(page)).to_have_count(2)
    await view(page, "devices", "Devices")
    await expect(page.get_by_role("main")).to_contain_text("Signed in as Ana Lovelace · ana@example.org")
    await page.reload()
    await expect(page.get_by_role("main")).to_contain_text("Signed in as Ana Lovelace")
    await expect(notices(page)).to_be_empty()


async def test_a_credential_that_is_refused_is_told_and_the_guest_stays(
    newcomer: Newcomer, google_stack: Stack, google: Google, guard: Guard
) -> None:
    guard.allow("/api/auth/google", status=401)
    page = await newcomer(google_stack.url)
    await google.serve(page.context, aud="somebody-else.apps.example")
    await page.goto("/")
    await page.get_by_role("button", name=LABEL).click()
    await expect(page.get_by_role("alert")).to_contain_text("could not be verified")
    await page.get_by_role("button", name="Continue as guest").click()
    await expect(page.get_by_role("heading", name="No runs yet")).to_be_visible()


async def test_where_google_is_out_of_reach_one_can_go_on_as_guest(
    newcomer: Newcomer, google_stack: Stack, guard: Guard
) -> None:
    async def refuse(route: Route) -> None:
        await route.abort("connectionrefused")

    guard.allow("/gsi/client", foreign=CLIENT).allow("/gsi/client", failure="net::ERR_CONNECTION_REFUSED")
    page = await newcomer(google_stack.url)
    await page.context.route(CLIENT, refuse)
    await page.goto("/")
    await expect(page.get_by_role("alert")).to_contain_text("Google is out of reach")
    await page.get_by_role("button", name="Continue as guest").click()
    await expect(page.get_by_role("heading", name="Library")).to_be_visible()


async def test_signing_out_gives_a_fresh_guest_and_tells_every_tab(
    newcomer: Newcomer, google_stack: Stack, google: Google, guard: Guard
) -> None:
    guard.allow("/api/*", status=401).allow("/api/runs", status=410)  # a first run after others' are erased
    page = await signed_in(newcomer, google, google_stack.url, "leaves")
    await seed(page.context, runs=runs(1))
    tab = await page.context.new_page()
    await tab.goto("/")
    for each in (page, tab):
        await expect(runs_of(each)).to_have_count(1)
    await view(page, "devices", "Devices")
    await page.get_by_role("button", name="Sign out", exact=True).click()
    for each in (page, tab):
        await expect(each.get_by_role("button", name="Continue as guest")).to_be_visible(timeout=SOON)
    await tab.get_by_role("button", name="Continue as guest").click()
    await view(tab, "library", "Library")
    await expect(tab.get_by_role("heading", name="No runs yet")).to_be_visible()


async def test_a_guest_who_signs_out_is_asked_first(page: Page, guard: Guard) -> None:
    guard.allow("/api/*", status=401)
    await seed(page.context, runs=runs(1))
    await continue_as_guest(page)
    await view(page, "devices", "Devices")
    await page.get_by_role("button", name="Sign out", exact=True).click()
    question = page.get_by_role("dialog", name="Sign out?")
    await expect(question).to_contain_text("Nobody can reach this guest’s profile afterwards.")
    await question.get_by_role("button", name="Stay").click()
    await expect(page.get_by_role("heading", name="Devices")).to_be_visible()
    await page.get_by_role("button", name="Sign out", exact=True).click()
    await question.get_by_role("button", name="Sign out").click()
    await page.get_by_role("button", name="Continue as guest").click()
    await expect(page.get_by_role("heading", name="Devices")).to_be_visible()
    assert (await ask(page.context, "GET", "/api/runs"))["runs"] == []


async def test_what_was_changed_just_before_signing_out_does_not_follow_to_the_next_guest(
    page: Page, guard: Guard
) -> None:
    guard.allow("/api/*", status=401)
    await guest_at_the_settings(page, pause=5000)
    await option(page, "Accent", "Teal").check()
    await view(page, "devices", "Devices")
    await page.get_by_role("button", name="Sign out", exact=True).click()
    question = page.get_by_role("dialog", name="Sign out?")
    await expect(question).to_contain_text("1 edit not sent yet will wait in this browser.")
    await question.get_by_role("button", name="Sign out").click()
    await page.get_by_role("button", name="Continue as guest").click()
    await expect(notices(page)).to_contain_text("Kept in this browser: 1 edit of a guest session that has ended.")
    await expect(sync(page)).to_have_text("Saved v1")
    assert await version(page) == 1


@pytest.mark.parametrize("when", ["before the session ends", "after it has ended"])
async def test_an_edit_under_a_session_that_was_revoked_waits_until_its_maker_signs_in_again(
    newcomer: Newcomer, google_stack: Stack, google: Google, guard: Guard, when: str
) -> None:
    guard.allow("/api/*", status=401).allow_outage()
    here = await signed_in(newcomer, google, google_stack.url, when)
    await seed(here.context, settings=PAUSE)
    there = await signed_in(newcomer, google, google_stack.url, when)
    await settings(there)
    before = await version(here)
    if when.startswith("before"):
        await there.context.set_offline(True)
        await option(there, "Accent", "Teal").check()
        await expect(sync(there)).to_have_text("Offline · 1 edit kept", timeout=SOON)
    await ask(here.context, "DELETE", "/api/auth/sessions")
    await there.context.set_offline(False)
    await expect(notices(there)).to_contain_text("This session has ended. Nothing was changed.", timeout=2 * SOON)
    if when.startswith("after"):
        await option(there, "Accent", "Teal").check()
    await expect(sync(there)).to_have_text("Session ended · 1 edit kept", timeout=SOON)
    await expect(option(there, "Accent", "Teal")).to_be_checked()

    await there.reload()
    await there.get_by_role("button", name="Continue as guest").click()
    await settings(there)
    await expect(option(there, "Accent", "Amber")).to_be_checked()
    assert await version(there) == 1
    assert await version(here) == before

    await view(there, "welcome", "Director Console")
    await sign_in(there)
    await expect(there.locator("html")).to_have_attribute("data-accent", "teal")
    await expect(sync(there)).to_have_text(f"Saved v{before + 1}", timeout=SOON)
    assert await saved(here, "theme", "accent") == "teal"


@pytest.mark.parametrize(("choice", "accent"), [("Apply here", "teal"), ("Discard", "amber")])
async def test_an_edit_of_a_guest_whose_session_has_ended_is_applied_or_discarded_by_choice(
    newcomer: Newcomer, page: Page, guard: Guard, choice: str, accent: str
) -> None:
    guard.allow("/api/*", status=401)
    await guest_at_the_settings(page, pause=5000)  # so that it is still to be sent when the next guest comes
    there = await beside(newcomer, page)
    await ask(there.context, "POST", "/api/auth/logout", {})
    await expect(notices(page)).to_contain_text("This guest session has ended", timeout=SOON)
    await option(page, "Accent", "Teal").check()
    await expect(sync(page)).to_have_text("Session ended · 1 edit kept", timeout=SOON)
    await page.get_by_role("button", name="Sign in or start anew").click()
    await page.get_by_role("button", name="Continue as guest").click()
    await expect(notices(page)).to_contain_text("Kept in this browser: 1 edit of a guest session that has ended.")
    assert await version(page) == 1
    await notices(page).get_by_role("button", name=choice).click()
    await expect(page.locator("html")).to_have_attribute("data-accent", accent)
    await expect(sync(page)).to_have_text("Saved v2" if accent == "teal" else "Saved v1", timeout=SOON)
    assert await saved(page, "theme", "accent") == accent
    await page.reload()
    await expect(sync(page)).to_have_text("Saved v2" if accent == "teal" else "Saved v1")
    await expect(notices(page)).to_be_empty()


async def test_an_edit_never_lands_in_the_profile_of_a_stranger_whose_cookie_took_its_place(
    page: Page, other_page: Page, guard: Guard
) -> None:
    guard.allow("/api/*", status=401)
    await guest_at_the_settings(page)
    own = await page.context.cookies()
    await seed(other_page.context, runs=runs(1))
    await take_the_place_of(page.context, await other_page.context.cookies())
    await option(page, "Accent", "Teal").check()
    await expect(sync(page)).to_have_text("Session ended · 1 edit kept", timeout=SOON)
    await expect(option(page, "Accent", "Teal")).to_be_checked()
    assert await version(other_page) == 1

    await page.reload()
    await page.get_by_role("button", name="Continue as guest").click()
    await expect(sync(page)).to_have_text("Saved v1")
    await expect(notices(page)).to_contain_text("Kept in this browser: 1 edit of a guest session that has ended.")
    assert await version(other_page) == 1

    await take_the_place_of(page.context, own)
    await page.reload()
    await expect(sync(page)).to_have_text("Saved v3", timeout=SOON)
    assert await saved(page, "theme", "accent") == "teal"
    assert await version(other_page) == 1


async def test_an_edit_does_not_follow_to_the_next_guest_where_its_session_is_not_told_after_signing_out(
    page: Page, guard: Guard
) -> None:
    guard.allow("/api/*", status=401).allow("/api/runs", status=410).allow_outage()
    await guest_at_the_settings(page)
    await view(page, "devices", "Devices")
    await page.route("**/api/session/bootstrap", lambda route: route.abort("connectionrefused"))
    await page.get_by_role("button", name="Sign out", exact=True).click()
    await page.get_by_role("dialog").get_by_role("button", name="Sign out").click()
    await expect(notices(page)).to_contain_text("The server cannot be reached.")
    await settings(page)
    await option(page, "Accent", "Teal").check()
    await expect(sync(page)).to_have_text("Session ended · 1 edit kept", timeout=SOON)
    assert await version(page) == 1


async def test_what_another_hand_left_in_the_browser_neither_stops_the_start_nor_is_sent(page: Page) -> None:
    await guest_at_the_settings(page)
    owner = f"guest:{(await ask(page.context, 'GET', '/api/session/bootstrap'))['session_id']}"
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "PATCH" else None)
    nameless = {"id": "another", "owner": owner, "method": "PATCH", "path": "/api/settings", "body": "{}"}
    kept = {"edit.1": True, "edit.2": [1], "edit.3": {}, "edit.4": nameless, f"draft.{owner}": "x"}
    await page.evaluate(
        "kept => Object.entries(kept).forEach(([name, value]) =>"
        " localStorage.setItem(`animatize.console.${name}`, JSON.stringify(value)))",
        kept,
    )
    before = await version(page)
    await page.reload()
    await expect(sync(page)).to_have_text(f"Saved v{before}")
    assert sent == []
    await option(page, "Accent", "Teal").check()
    await expect(sync(page)).to_have_text(f"Saved v{before + 1}", timeout=SOON)
    assert len(sent) == 1
