"""One stack and one Chromium for all tests here; every test is a person with a browser of its own, under a guard.

Where no browser is found the tests are skipped, or, where ANIMATIZE_TEST_BROWSER is set, fail.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, StorageState, expect

from tests.browser import chromium
from tests.browser.google import Google
from tests.browser.guard import Guard
from tests.browser.profiles import continue_as_guest, runs, seed
from tests.issuer import Issuer
from tests.processes import Stack, running

Newcomer = Callable[..., Awaitable[Page]]

HERE: Final = Path(__file__).parent
MANY: Final = 10_000
PATIENCE: Final = 10_000  # milliseconds, for whatever is to appear
EVERYWHERE: Final[dict[str, Any]] = {"locale": "en-GB", "timezone_id": "UTC"}
expect.set_options(timeout=PATIENCE)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run all tests here in the browser's own loop; skip them, with the reason, where there is no browser."""
    reason = None if chromium.WISH else chromium.missing()
    for item in items:
        if item.path.parent == HERE:
            item.add_marker(pytest.mark.asyncio(loop_scope="package"), append=False)
            if reason:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running(tmp_path_factory.mktemp("stack")) as stack:
        yield stack


@pytest.fixture
def fresh_stack(tmp_path: Path) -> Iterator[Stack]:
    """A stack that a test may kill, starve or restart."""
    with running(tmp_path) as stack:
        yield stack


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def browser() -> AsyncIterator[Browser]:
    if reason := chromium.missing():
        pytest.fail(reason)
    async with chromium.launched() as browser:
        yield browser


@pytest.fixture
def guard() -> Guard:
    return Guard()


@pytest_asyncio.fixture(loop_scope="package")
async def newcomer(
    browser: Browser, stack: Stack, guard: Guard, request: pytest.FixtureRequest
) -> AsyncIterator[Newcomer]:
    """`await newcomer()` is an empty page of a browser that was never here; `url` leads to another gateway, and the
    options are those of `Browser.new_context`. Where a test fails, it tells what each page showed at the end."""
    contexts: list[BrowserContext] = []
    failures = request.session.testsfailed

    async def come(url: str = stack.url, **options: Any) -> Page:
        context = await browser.new_context(base_url=url, **EVERYWHERE | options)
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        await guard.watch(context, url)
        return await context.new_page()

    yield come
    for context in contexts:
        for page in context.pages if request.session.testsfailed > failures else ():
            print(page.url, await page.locator("body").aria_snapshot(), sep="\n")
        await context.close()
    guard.assert_silent()


@pytest_asyncio.fixture(loop_scope="package")
async def page(newcomer: Newcomer) -> Page:
    return await newcomer()


@pytest_asyncio.fixture(loop_scope="package")
async def other_page(newcomer: Newcomer) -> Page:
    """In a browser of somebody else, or on another device of the same person."""
    return await newcomer()


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def many_runs(browser: Browser, stack: Stack) -> StorageState:
    """Opens a profile of 10,000 runs, to look at and not to change: `newcomer(storage_state=many_runs)`."""
    context = await browser.new_context(base_url=stack.url)
    await seed(context, runs=runs(MANY))
    await continue_as_guest(await context.new_page())
    state = await context.storage_state()
    await context.close()
    return state


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def issuer() -> AsyncIterator[Issuer]:
    async with Issuer() as issuer:
        yield issuer


@pytest.fixture(scope="package")
def google_stack(issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack on which one can sign in with Google."""
    with running(tmp_path_factory.mktemp("google"), **issuer.environment) as stack:
        yield stack


@pytest.fixture
def google(issuer: Issuer, guard: Guard) -> Google:
    return Google(issuer, guard)
