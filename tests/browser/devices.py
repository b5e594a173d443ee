"""People with devices: the same profile in two browsers, what its server holds, and where the console shows it."""

from typing import Any, Final

from playwright.async_api import BrowserContext, Locator, Page, expect

from chassis.documents import write
from tests.browser.conftest import Newcomer
from tests.browser.google import LABEL, Google

SOON: Final = 5_000  # milliseconds, on a busy machine: what other devices change is told within a second or two
GRAIN: Final = "Visual Theme › Grain"


async def beside(newcomer: Newcomer, page: Page, url: str | None = None) -> Page:
    """An empty page of another browser that has the same profile open."""
    state = await page.context.storage_state()
    return await (newcomer(url, storage_state=state) if url else newcomer(storage_state=state))


async def signed_in(newcomer: Newcomer, google: Google, url: str, sub: str, **options: Any) -> Page:
    """A page of a browser of its own that shows this account's library."""
    page = await newcomer(url, **options)
    await google.serve(page.context, sub=sub)
    await page.goto("/")
    await sign_in(page)
    return page


async def sign_in(page: Page) -> None:
    await page.get_by_role("button", name=LABEL).click()
    await expect(notices(page)).to_contain_text("Signed in.")
    await expect(page.get_by_role("heading", name="Library")).to_be_visible()


async def ask(context: BrowserContext, method: str, path: str, value: Any = None) -> Any:
    """What the server answers this browser beside its pages."""
    headers = {"Content-Type": "application/json"}
    data = None if value is None else write(value)
    answer = await context.request.fetch(path, method=method, data=data, headers=headers)
    assert answer.ok, await answer.text()
    return await answer.json()


async def saved(page: Page, *path: str) -> Any:
    """A setting as the server has it."""
    value = (await ask(page.context, "GET", "/api/settings"))["settings"]
    for key in path:
        value = value.get(key)
    return value


async def version(page: Page) -> int:
    return int((await ask(page.context, "GET", "/api/settings"))["version"])


async def view(page: Page, place: str, heading: str) -> None:
    """Go to a view by its address, and wait until it is there."""
    await page.goto(f"/#/{place}")
    await expect(page.get_by_role("heading", level=1, name=heading)).to_be_visible()


async def settings(page: Page) -> None:
    """The Settings Console with what is saved in its controls."""
    await view(page, "settings", "Settings Console")
    await expect(page.get_by_role("switch", name="Reduced motion")).to_be_enabled()


def sync(page: Page) -> Locator:
    return page.locator("#sync")


def notices(page: Page) -> Locator:
    return page.get_by_role("region", name="Notices")


def option(page: Page, setting: str, name: str) -> Locator:
    return page.get_by_role("radiogroup", name=setting).get_by_role("radio", name=name, exact=True)


def slider(page: Page, setting: str) -> Locator:
    return page.get_by_role("slider", name=setting)


def runs_of(page: Page) -> Locator:
    return page.get_by_role("list", name="Runs").get_by_role("article")
