"""People who do everything at once, at whichever gateway; each knows what was acknowledged, which must be there."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count, cycle
from typing import Any, Final

from pydantic import SecretStr

from tests.faults.guest import keys_of, runs_of
from tests.journeys.browser import Browser
from vault_service.disclosure import mask

HISTORY: Final = "/api/settings/history"
HANDS: Final = 3  # tasks of one person that save settings at once, and as many that write runs


class Person:
    """`versions` are the settings by version number, `runs` the runs, `keys` the provider keys: all acknowledged."""

    def __init__(self, browser: Browser, urls: Sequence[str], turns: int) -> None:
        self.browser, self._turns, self._numbers = browser, turns, count()
        self.go_to(*urls)
        self.versions: dict[int, Any] = {}
        self.runs: dict[str, Any] = {}
        self.keys: dict[str, str] = {}

    def go_to(self, *urls: str) -> None:
        """From now on ask these gateways, in turn."""
        self._urls = cycle(urls)

    async def arrive(self) -> None:
        shown = await self._ask("GET", "/api/settings")
        self.versions[shown["version"]] = shown["settings"]

    async def keep_busy(self, ended: asyncio.Event) -> None:
        """Until then, and once at least."""
        while True:
            await self.do_everything()
            if ended.is_set():
                return

    async def do_everything(self) -> None:
        """All at once, and each many times."""
        hands = [act(hand) for hand in range(HANDS) for act in (self._save, self._write_runs)]
        await asyncio.gather(*hands, self._repeat_a_version(), self._change_keys(), self._look(), self._come_and_go())

    async def check(self) -> None:
        """Versions without a gap, each with what was saved as it; runs and keys as they were last, and nothing else."""
        shown = await self._ask("GET", "/api/settings")
        assert sorted(self.versions) == list(range(1, shown["version"] + 1))
        assert shown["settings"] == self.versions[shown["version"]]
        assert {entry["version"]: entry["settings"] for entry in await self._history()} == self.versions
        assert await runs_of(self.browser) == self.runs
        assert await keys_of(self.browser) == {each: mask(SecretStr(key)) for each, key in self.keys.items()}

    async def _save(self, hand: int) -> None:
        for turn in range(self._turns):
            settings = {"by": {"hand": hand, "turn": turn}, "number": {"now": next(self._numbers)}}
            saved = await self._ask("PUT", "/api/settings", {"settings": settings})
            self._acknowledge(saved["version"], settings)

    async def _repeat_a_version(self) -> None:
        for _ in range(self._turns):
            repeated = await self._ask("POST", f"{HISTORY}/1/restore")
            self._acknowledge(repeated["version"], self.versions[1])

    def _acknowledge(self, version: int, settings: Any) -> None:
        assert version not in self.versions, f"version {version} was given twice"
        self.versions[version] = settings

    async def _write_runs(self, hand: int) -> None:
        for turn in range(self._turns):
            path = f"/api/runs/{hand}-{turn}"
            run: dict[str, Any] = {"run_id": f"{hand}-{turn}", "variants": [{"id": "v", "favorite": False}], "mark": 1}
            await self._ask("PUT", path, run)
            await self._ask("PUT", path, run | {"mark": 2})
            if turn % 2:
                await self._ask("DELETE", path)
                continue
            await self._ask("PUT", f"{path}/variants/v/favorite", {"favorite": True})
            self.runs[run["run_id"]] = run | {"mark": 2, "variants": [{"id": "v", "favorite": True}]}

    async def _change_keys(self) -> None:
        path = "/api/settings/api-keys"
        for turn in range(self._turns):
            self.keys["runway"] = f"{secrets.token_hex(2)}-of-turn-{turn}-{secrets.token_hex(2)}"
            await self._ask("PUT", f"{path}/runway", {"api_key": self.keys["runway"]})
            await self._ask("PUT", f"{path}/pika", {"api_key": "a key that is deleted at once"})
            await self._ask("DELETE", f"{path}/pika")

    async def _look(self) -> None:
        """Whatever is under way, a history is whole."""
        for _ in range(self._turns):
            seen = [entry["version"] for entry in (await self._ask("GET", f"{HISTORY}?limit=100"))["history"]]
            assert seen == list(range(seen[0], max(0, seen[0] - 100), -1))
            await self._ask("GET", "/api/runs?limit=50")
            await self._ask("GET", "/api/providers")

    async def _come_and_go(self) -> None:
        """Strangers on their way through: each is somebody new, and once more after having logged out."""
        for _ in range(self._turns // 2):
            async with Browser(next(self._urls)) as stranger:
                first = await stranger.get("/api/session/bootstrap")
                await stranger.json("POST", "/api/auth/logout")
                second = await stranger.get("/api/session/bootstrap")
                assert first["session_id"] != second["session_id"]

    async def _history(self) -> list[Any]:
        entries: list[Any] = []
        before: int | None = None
        while not entries or before is not None:
            page = await self._ask("GET", f"{HISTORY}?limit=100" + (f"&before={before}" if before else ""))
            entries += page["history"]
            before = page["next_before"]
        return entries

    async def _ask(self, method: str, path: str, value: Any = None) -> Any:
        self.browser.url = next(self._urls)  # read before the first await, so that no two tasks mix
        return await self.browser.json(method, path, value)


@asynccontextmanager
async def crowd(urls: Sequence[str], number: int, turns: int) -> AsyncIterator[list[Person]]:
    """Somebody new each, who has arrived."""
    async with AsyncExitStack() as opened:
        browsers = [await opened.enter_async_context(Browser(urls[0])) for _ in range(number)]
        people = [Person(browser, urls, turns) for browser in browsers]
        await asyncio.gather(*(person.arrive() for person in people))
        yield people
