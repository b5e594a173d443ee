"""People at work while things are restarted: every request is noted, and what was acknowledged must be there."""

import asyncio
import json
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any, Final, Self

import aiohttp

from chassis.documents import write

PATIENCE: Final = aiohttp.ClientTimeout(total=60)
READS: Final = (
    "/api/settings",
    "/api/runs?limit=20",
    "/api/session/bootstrap",
    "/api/providers",
    "/api/settings/history",
)
RUNS_RESTORED: Final = 120
RUN_BYTES: Final = 200_000
PEOPLE: Final = 3
PAUSE_SECONDS: Final = 0.015  # after each request of each of a person's four hands
SLACK_SECONDS: Final = 0.1  # a connection whose other end was just killed may still look open


@dataclass(frozen=True)
class Request:
    """What was asked, when (seconds of the monotonic clock), and what came of it: a status, or an error's name."""

    method: str
    path: str
    began: float
    ended: float
    outcome: int | str

    @property
    def failed(self) -> bool:
        return not (isinstance(self.outcome, int) and self.outcome < 300)

    def in_flight_at(self, moment: float) -> bool:
        return self.began <= moment + SLACK_SECONDS and self.ended >= moment


class Person:
    """A profile of its own. Numbers what it writes, in one order, and knows which writes were acknowledged."""

    def __init__(self, url: str, requests: list[Request]) -> None:
        self._url, self._requests = url, requests
        self._numbers = count(1)
        self._acknowledged: dict[str, list[int]] = {"settings": [], "put": [], "post": []}
        self.restored = 0

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))
        self._http._retry_connection = False  # a failure shall be seen
        assert await self._ask("GET", "/api/settings")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()

    async def save_settings(self) -> None:
        number = next(self._numbers)
        if await self._ask("PUT", "/api/settings", json={"settings": {"load": {"number": number}}}):
            self._acknowledged["settings"].append(number)

    async def put_run(self) -> None:
        number = next(self._numbers)
        if await self._ask("PUT", f"/api/runs/put-{number}", json={"run_id": f"put-{number}", "number": number}):
            self._acknowledged["put"].append(number)

    async def post_run(self) -> None:
        """The service gives the id: done twice it would be two runs."""
        number = next(self._numbers)
        if await self._ask("POST", "/api/runs", json={"number": number}):
            self._acknowledged["post"].append(number)

    async def look(self) -> None:
        for path in READS:
            await self._ask("GET", path)

    async def restore(self) -> None:
        """A document of some RUNS_RESTORED × RUN_BYTES, sent piece by piece."""
        headers = {"Content-Type": "application/json"}
        told = await self._ask("POST", "/api/settings/restore", data=_document(), headers=headers)
        self.restored += told is not None and json.loads(told)["restored_runs"] == RUNS_RESTORED

    async def check(self) -> None:
        """What was acknowledged is there, in its order, and nothing is there twice."""
        history = [entry["settings"].get("load", {}).get("number") for entry in await self._history()]
        saved = [number for number in reversed(history) if number is not None]
        assert saved == sorted(set(saved))
        assert {*saved} >= {*self._acknowledged["settings"]}
        runs = Counter(run["number"] for run in await self._runs() if "number" in run)
        assert all(times == 1 for times in runs.values())
        assert runs.keys() >= {*self._acknowledged["put"], *self._acknowledged["post"]}

    async def _history(self) -> list[Any]:
        return await self._pages("/api/settings/history?limit=100", "history", "next_before", "before")

    async def _runs(self) -> list[Any]:
        return await self._pages("/api/runs?limit=300&view=summary", "runs", "next_cursor", "cursor")

    async def _pages(self, path: str, name: str, marker: str, parameter: str) -> list[Any]:
        found: list[Any] = []
        after = ""
        while True:
            page = json.loads(await self._ask("GET", path + after) or b"")
            found += page[name]
            if page[marker] is None:
                return found
            after = f"&{parameter}={page[marker]}"

    async def _ask(self, method: str, path: str, **rest: Any) -> bytes | None:
        """The body of a success; None otherwise."""
        began = time.monotonic()
        body: bytes | None = None
        outcome: int | str = 0
        try:
            async with self._http.request(method, self._url + path, timeout=PATIENCE, **rest) as answer:
                body, outcome = await answer.read(), answer.status
        except (aiohttp.ClientError, TimeoutError) as error:
            outcome = type(error).__name__
        request = Request(method, path, began, time.monotonic(), outcome)
        self._requests.append(request)
        return None if request.failed else body


class Load:
    """Everybody's requests. Made by `load`."""

    def __init__(self, url: str) -> None:
        self.requests: list[Request] = []
        self.people = [Person(url, self.requests) for _ in range(PEOPLE)]
        self.restorer = Person(url, self.requests)
        self.at_work = True

    def failures(self) -> list[Request]:
        return [request for request in self.requests if request.failed]

    async def go_on(self, act: Callable[[], Awaitable[None]]) -> None:
        while self.at_work:
            await act()
            await asyncio.sleep(PAUSE_SECONDS)


@asynccontextmanager
async def load(url: str) -> AsyncIterator[Load]:
    """A mixed load until the end of the context, and then the check of what everybody wrote."""
    async with AsyncExitStack() as opened:
        running = Load(url)
        for person in (*running.people, running.restorer):
            await opened.enter_async_context(person)
        acts = [act for each in running.people for act in (each.save_settings, each.put_run, each.post_run, each.look)]
        tasks = [asyncio.create_task(running.go_on(act)) for act in (*acts, running.restorer.restore)]
        try:
            yield running
        finally:
            running.at_work = False
            await asyncio.gather(*tasks)
        for person in (*running.people, running.restorer):
            await person.check()


async def _document() -> AsyncIterator[bytes]:
    filler = "x" * RUN_BYTES
    yield b'{"runs":['
    for number in range(RUNS_RESTORED):
        run = {"run_id": f"restored-{number}", "filler": f"{secrets.token_hex(8)} {filler}"}
        yield (b"," if number else b"") + write(run)
        await asyncio.sleep(PAUSE_SECONDS)  # so that it is on its way for longer than most restarts take
    yield b'],"settings":{"restored":{"times":1}}}'
