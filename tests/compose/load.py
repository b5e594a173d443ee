"""People who read and write without pause while something happens, and who know what they were told was done."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import aiohttp

from chassis.documents import parse
from tests.journeys.browser import Browser

PEOPLE: Final = 6
PAUSE: Final = 0.01
PATIENCE: Final = aiohttp.ClientTimeout(total=40)
DELAY: Final = 5.0  # seconds that an address which has just gone may cost a request
SETTLED: Final = 1.0  # seconds of load before and after what happens


class Person:
    """Writes runs and settings in turn and reads both. `failures` has a line for each request that did not succeed."""

    def __init__(self, browser: Browser, name: str) -> None:
        self.browser, self._name = browser, name
        self.failures: list[str] = []
        self.answered = 0
        self.runs: dict[str, Any] = {}
        self.versions: list[int] = []

    async def work(self, done: asyncio.Event) -> None:
        number = 0
        while not done.is_set():
            number += 1
            run = {"run_id": f"{self._name}-{number}", "created_at": "2026-03-01T10:00:00+00:00", "number": number}
            if await self._ask("PUT", f"/api/runs/{run['run_id']}", json=run):
                self.runs[str(run["run_id"])] = run
            if saved := await self._ask("PUT", "/api/settings", json={"settings": {"here": {"number": number}}}):
                self.versions.append(saved["version"])
            await self._ask("GET", "/api/settings")
            await self._ask("GET", "/api/runs?limit=3")
            await asyncio.sleep(PAUSE)

    async def _ask(self, method: str, path: str, **rest: Any) -> Any:
        try:
            status, headers, body = await self.browser.ask(method, path, timeout=PATIENCE, **rest)
        except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
            return self._fail(f"{method} {path}: {error!r}")
        if status >= 300:
            assert status != 503 or "Retry-After" in headers
            return self._fail(f"{method} {path}: {status} {body.decode()[:300]}")
        self.answered += 1
        return parse(body)

    def _fail(self, what: str) -> None:
        self.failures.append(f"{time.strftime('%X')} {what}")

    async def check(self) -> None:
        """Nothing that was acknowledged is lost, and the versions of the settings have no gap and no double."""
        found = {run["run_id"]: run for run in await self.browser.all_runs()}
        assert {run_id: found.get(run_id) for run_id in self.runs} == self.runs
        assert sorted(set(self.versions)) == self.versions
        versions = await _all_versions(self.browser)
        assert versions == list(range(len(versions), 0, -1))
        assert set(self.versions) <= set(versions)


class Load:
    """All people together."""

    def __init__(self, people: list[Person]) -> None:
        self.people = people

    @property
    def failures(self) -> list[str]:
        return [failure for person in self.people for failure in person.failures]

    async def check(self) -> None:
        """After the load, with everything ready again."""
        assert all(person.runs and person.versions for person in self.people)
        for person in self.people:
            await person.check()

    async def goes_on(self, seconds: float = SETTLED) -> None:
        """Let the load be for a while. Everybody must get answers, if some later than others."""
        before = [person.answered for person in self.people]
        await asyncio.sleep(seconds)
        deadline = time.monotonic() + DELAY
        while any(person.answered == then for person, then in zip(self.people, before, strict=True)):
            assert time.monotonic() < deadline, self.failures
            await asyncio.sleep(PAUSE)


@asynccontextmanager
async def load(*urls: str) -> AsyncIterator[Load]:
    """People at work, in turn at one of the gateways each, from before the body until after it."""
    async with AsyncExitStack() as stack:
        browsers = [await stack.enter_async_context(Browser(urls[n % len(urls)])) for n in range(PEOPLE)]
        people = [Person(browser, f"of-{number}") for number, browser in enumerate(browsers)]
        for browser in browsers:
            await browser.get("/api/settings")
        done = asyncio.Event()
        working = [asyncio.create_task(person.work(done)) for person in people]
        try:
            together = Load(people)
            await together.goes_on()
            yield together
            await together.goes_on()
        finally:
            done.set()
            await asyncio.gather(*working)
        await together.check()


async def _all_versions(browser: Browser) -> list[int]:
    """Those of the history, newest first, page by page."""
    versions: list[int] = []
    before = ""
    while True:
        page = await browser.get(f"/api/settings/history?limit=100{before}")
        versions += [entry["version"] for entry in page["history"]]
        if page["next_before"] is None:
            return versions
        before = f"&before={page['next_before']}"
