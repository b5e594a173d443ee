"""The runs and the settings of an owner as one device has them, and how it hears that there is something new."""

import asyncio
import random
import time
from contextlib import aclosing, suppress
from typing import Any, Final, NamedTuple

import aiohttp

from tests.faults.ledger import RUNS, SETTINGS
from tests.faults.line import PAUSE_SECONDS, Line

TOPICS: Final = {"settings": {"version"}, "runs": {"token"}}  # and all that an event of each may tell
RESYNC: Final = "resync_required"
PAGES: Final = (1, 2, 5, 300)


class Look(NamedTuple):
    """At the runs by their ids, or at the settings: what was there at some time between two."""

    of: str
    began: float
    ended: float
    shown: dict[str, Any]


class Mirror:
    """Kept by what comes after its token alone, never by a list of everything. `seen` is what was there after each
    look."""

    def __init__(self, line: Line, dice: random.Random) -> None:
        self._line, self._dice = line, dice
        self.runs: dict[str, Any] = {}
        self.token = ""
        self.settings: dict[str, Any] = {}
        self.version = 0
        self.began_anew = 0
        self.seen: list[Look] = []
        self._told: dict[str, Any] = {}
        self._news = asyncio.Event()
        self._turn = asyncio.Lock()

    async def sync(self) -> None:
        await self.follow()
        await self.look()

    async def follow(self) -> None:
        """Take everything after the token, page by page."""
        async with self._turn:
            began = time.monotonic()
            while await self._take_page():
                continue
            self.seen.append(Look(RUNS, began, time.monotonic(), self.runs))

    async def _take_page(self) -> bool:
        """Whether there is more."""
        limit = self._dice.choice(PAGES)
        answer = await self._line.insist("GET", "/api/runs", params={"since": self.token, "limit": str(limit)})
        if answer.status == 410:
            self._begin_anew(answer.value)
            return True
        assert answer.succeeded, answer
        self._apply(answer.value, limit)
        return bool(answer.value["has_more"])

    def _begin_anew(self, problem: dict[str, Any]) -> None:
        assert problem["code"] == RESYNC
        assert self.token, "an empty token is never too old"
        self.runs, self.token = {}, ""
        self.began_anew += 1

    def _apply(self, page: dict[str, Any], limit: int) -> None:
        written = {run["run_id"]: run for run in page["runs"]}
        deleted = set(page["deleted"])
        assert len(written) + len(deleted) == len(page["runs"]) + len(page["deleted"]) <= limit
        assert not written.keys() & deleted
        assert len(written) + len(deleted) > 0 or not page["has_more"]
        self.runs = {run_id: run for run_id, run in (self.runs | written).items() if run_id not in deleted}
        self.token = page["token"]

    async def look(self) -> None:
        """Fetch the settings, if they are others than those that are here."""
        async with self._turn:
            began = time.monotonic()
            known = {"If-None-Match": f'"{self.version}"'} if self.version else {}
            answer = await self._line.insist("GET", "/api/settings", headers=known)
            if answer.status != 304:
                self.settle_on(answer.value)
            self.seen.append(Look(SETTINGS, began, time.monotonic(), self.settings))

    def settle_on(self, profile: dict[str, Any]) -> None:
        """Take settings for the current ones, unless those here are newer."""
        if profile["version"] >= self.version:
            assert profile["version"] > self.version or profile["settings"] == self.settings
            self.version, self.settings = profile["version"], profile["settings"]

    async def stay_in_step(self) -> None:
        """For ever: ask for what events tell of, and for nothing otherwise."""
        await asyncio.gather(self._listen(), self._heed())

    async def _listen(self) -> None:
        while True:
            with suppress(aiohttp.ClientError, ConnectionError, TimeoutError):  # of a gateway that was killed
                async with aclosing(self._line.events()) as events:
                    async for topic, told in events:
                        self._hear(topic, told)
            await asyncio.sleep(PAUSE_SECONDS)

    def _hear(self, topic: str, told: Any) -> None:
        if topic in TOPICS:
            assert told.keys() == TOPICS[topic]
            self._told[topic] = told
            self._news.set()

    async def _heed(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            if self._told.get("settings", {}).get("version", 0) > self.version:
                await self.look()
                assert self.version >= self._told["settings"]["version"] or self._news.is_set()
            if self._told.get("runs", {}).get("token", self.token) != self.token:
                await self.follow()
