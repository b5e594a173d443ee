"""The guard goes red for each thing that it is there to find; what is allowed by name passes, and nothing beside it."""

from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Route

from tests.browser.guard import Guard, Kind
from tests.processes import Stack

MISSING = "/api/settings/history/999999"
BY_SCRIPT: dict[str, tuple[str, Kind]] = {
    "an error in the console": ("console.error('no!')", Kind.CONSOLE),
    "a warning in the console": ("console.warn('beware')", Kind.CONSOLE),
    "an error that nobody catches": ("setTimeout(() => { throw new Error('thrown') })", Kind.ERROR),
    "a promise that nobody handles": ("void Promise.reject(new Error('rejected'))", Kind.ERROR),
    "an alert": ("setTimeout(() => alert('hello'))", Kind.DIALOG),
    "a request that is refused": (f"fetch('{MISSING}')", Kind.STATUS),
    "an inline script": (
        "const s = document.createElement('script'); s.append('1'); document.head.append(s)",
        Kind.POLICY,
    ),
    "an inline handler": ("document.body.setAttribute('onclick', '1')", Kind.POLICY),
    "text that becomes markup": ("document.body.innerHTML = '<b>bold</b>'", Kind.POLICY),
    "an inline style": ("document.body.setAttribute('style', 'color: red')", Kind.POLICY),
    "a third party's image": ("new Image().src = 'https://third.party.example/a.png'", Kind.POLICY),
}


class Watched(NamedTuple):
    page: Page
    guard: Guard

    async def seen(self) -> set[Kind]:
        """What kinds of things it found that were not allowed, once all that is under way has arrived."""
        await self.page.wait_for_timeout(300)
        return {finding.kind for finding in self.guard.unexpected()}


@pytest_asyncio.fixture(loop_scope="package")
async def watched(browser: Browser, stack: Stack) -> AsyncIterator[Watched]:
    """The console's page under a guard that fails no test."""
    context = await browser.new_context(base_url=stack.url)
    guard = Guard()
    await guard.watch(context, stack.url)
    page = await context.new_page()
    await page.goto("/")
    yield Watched(page, guard)
    await context.close()


async def test_it_is_silent_where_there_is_nothing_to_tell(watched: Watched) -> None:
    await watched.page.evaluate("console.log('all is well'); fetch('/health')")
    assert await watched.seen() == set()
    watched.guard.assert_silent()


@pytest.mark.parametrize("what", BY_SCRIPT)
async def test_it_tells_of(watched: Watched, what: str) -> None:
    script, kind = BY_SCRIPT[what]
    await watched.page.evaluate(f"() => {{ try {{ {script} }} catch {{}} }}")
    assert await watched.seen() >= {kind}
    with pytest.raises(AssertionError, match=kind):
        watched.guard.assert_silent()


async def test_it_tells_of_a_request_to_another_origin_even_where_no_policy_stands_in_its_way(
    watched: Watched, stack: Stack
) -> None:
    await watched.page.goto("about:blank")
    await watched.page.evaluate(
        f"fetch('{stack.url_of('auth_service')}/health/live', {{mode: 'no-cors'}}).catch(() => 0)"
    )
    assert Kind.FOREIGN in await watched.seen()


async def test_it_tells_of_an_answer_that_never_came(watched: Watched) -> None:
    async def refuse(route: Route) -> None:
        await route.abort("connectionrefused")

    await watched.page.route("**/health", refuse)
    await watched.page.evaluate("fetch('/health').catch(() => 0)")
    assert await watched.seen() == {Kind.FAILURE}
    assert await Watched(watched.page, watched.guard.allow_outage("/api/*")).seen() == {Kind.FAILURE}
    assert await Watched(watched.page, watched.guard.allow_outage("/health")).seen() == set()


async def test_it_takes_no_offence_at_what_the_page_gave_up_itself(watched: Watched) -> None:
    await watched.page.evaluate(
        "() => { const c = new AbortController(); fetch('/health', {signal: c.signal}).catch(() => 0); c.abort() }"
    )
    assert await watched.seen() == set()


async def test_a_status_that_is_allowed_passes_with_what_the_console_says_of_it(watched: Watched) -> None:
    watched.guard.allow(MISSING, status=404)
    await watched.page.evaluate(f"fetch('{MISSING}')")
    assert await watched.seen() == set()


@pytest.mark.parametrize(("path", "status"), [("/api/settings/history/*", 409), ("/api/runs/*", 404)])
async def test_what_is_allowed_covers_neither_another_status_nor_another_address(
    watched: Watched, path: str, status: int
) -> None:
    watched.guard.allow(path, status=status)
    await watched.page.evaluate(f"fetch('{MISSING}')")
    assert await watched.seen() == {Kind.STATUS}


async def test_a_violation_that_is_allowed_passes_with_what_the_console_says_of_it(watched: Watched) -> None:
    watched.guard.allow(policy="*style-src*")
    await watched.page.evaluate("document.body.setAttribute('style', 'color: red')")
    assert await watched.seen() == set()
