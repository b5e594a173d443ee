"""kill -9 at random times, over and over, while three people restore and one of them makes backups."""

import asyncio
import json
import random
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from typing import Any, Final

import aiohttp
import pytest

from chassis.documents import write
from tests.faults import files
from tests.faults.guest import backup_of
from tests.faults.plan import KILLS, SEED
from tests.faults.plant import FIRST, PROCESSES, SECOND, Plant
from tests.journeys.browser import Browser

pytestmark = pytest.mark.asyncio(loop_scope="package")

TURNS: Final = max(2, KILLS // 20)  # half of them with one gateway, half with two
PATIENCE: Final = aiohttp.ClientTimeout(total=60)
ALLOWED: Final = {200, 409, 503}  # 409: the one before is not at rest yet
TIME: Final = "2026-03-01T10:00:00.000000+00:00"


class Restorer:
    """Restores document 1, 2, 3 and so on; each sets the settings and one run to its number, and adds an entry and a
    run of its own. So every state that may ever be seen tells which documents are in it, in three ways."""

    def __init__(self, plant: Plant, browser: Browser, name: str, dice: random.Random) -> None:
        self.browser, self._plant, self._name, self._dice = browser, plant, name, dice
        self._last = 0
        self._acknowledged: set[int] = set()
        self.backups = 0
        self.at_work = True

    async def settle_in(self) -> None:
        await self._attempt(self._restore_next)
        assert self._acknowledged == {1}
        self._owner = files.owner_of_run(self._plant.data, f"{self._name}-1")

    async def restore(self) -> None:
        await self._while_at_work(self._restore_next)

    async def back_up(self) -> None:
        await self._while_at_work(self._back_up)

    async def check(self) -> None:
        """At rest: nothing lost that was acknowledged, nothing doubled, and all three agree."""
        seen = numbers_in(await backup_of(self.browser))
        assert self._acknowledged <= seen
        done = Counter(files.stages(self._plant.data, self._owner).values())
        assert done["done"] == len(seen)
        assert done.keys() <= {"done", "aborted"}

    async def _restore_next(self) -> None:
        self._last += 1
        body, number = write(document(self._name, self._last)), self._last
        status, head, _ = await self.browser.ask(
            "POST", "/api/settings/restore", data=body, headers={"Content-Type": "application/json"}, timeout=PATIENCE
        )
        assert status in ALLOWED
        assert status == 200 or "Retry-After" in head
        if status == 200:
            self._acknowledged.add(number)

    async def _back_up(self) -> None:
        status, _, backup = await self.browser.ask("GET", "/api/settings/backup", timeout=PATIENCE)
        assert status in ALLOWED
        if status == 200:
            numbers_in(json.loads(backup))
            self.backups += 1

    async def _while_at_work(self, step: Callable[[], Awaitable[None]]) -> None:
        while self.at_work:
            self.browser.url = self._plant.stack.url_of(self._dice.choice(self._gateways()))
            await self._attempt(step)
            await asyncio.sleep(0.05)

    async def _attempt(self, step: Callable[[], Awaitable[None]]) -> None:
        with suppress(aiohttp.ClientError, ConnectionError):
            await step()

    def _gateways(self) -> list[str]:
        return [FIRST, SECOND] if self._plant.stack.is_running(SECOND) else [FIRST]


def document(name: str, number: int) -> dict[str, Any]:
    settings = {"number": {"is": number}}
    entry = {"id": 1, "version": 1, "settings": settings, "change_note": f"document {number}", "created_at": TIME}
    return {
        "settings": {"settings": settings, "version": 1, "created_at": TIME, "updated_at": TIME},
        "history": [entry],
        "runs": [{"run_id": f"{name}-last", "number": number}, {"run_id": f"{name}-{number}", "number": number}],
    }


def numbers_in(backup: dict[str, Any]) -> set[int]:
    """The documents in a backup, about which its three parts must agree: each once, the last of them on top."""
    notes = Counter(entry["change_note"] for entry in backup["history"])
    entries = {int(note.split()[1]) for note in notes if note.startswith("document ")}
    assert all(notes[f"document {number}"] == 1 for number in entries)
    runs = {run["run_id"].split("-")[1]: run["number"] for run in backup["runs"]}
    last = runs.pop("last")
    assert set(runs.values()) == entries
    assert {str(number) for number in entries} == runs.keys()
    assert backup["settings"]["settings"]["number"] == {"is": last}
    assert last == max(entries)
    return entries


@pytest.mark.parametrize("turn", range(TURNS))
async def test_whatever_is_killed_at_any_time_every_restore_happens_entirely_or_not_at_all(
    plant: Plant, turn: int
) -> None:
    dice = random.Random(f"{SEED} {turn}")
    await plant.run_gateways(1 if turn < TURNS // 2 else 2)
    async with AsyncExitStack() as opened:
        browsers = [await opened.enter_async_context(Browser(plant.stack.url)) for _ in range(3)]
        people = [Restorer(plant, browser, secrets.token_hex(4), dice) for browser in browsers]
        for person in people:
            await person.settle_in()
        victims = [dice.choice(PROCESSES) for _ in range(KILLS // TURNS)]
        await _kill_while_at_work(plant, people, victims, dice)
        await files.at_rest(plant.data)
        files.check_files(plant.data)
        for person in people:
            await person.check()
        assert people[0].backups


async def _kill_while_at_work(plant: Plant, people: list[Restorer], victims: list[str], dice: random.Random) -> None:
    """Raises what any of the people found wrong; returns when each has heard the last answer."""
    work = [*(person.restore() for person in people), people[0].back_up()]
    tasks = [asyncio.create_task(each) for each in work]
    for victim in victims:
        await asyncio.sleep(dice.uniform(0, 0.2))
        await plant.kill(victim)
        await plant.start(victim)
        if any(task.done() for task in tasks):
            break
    for person in people:
        person.at_work = False
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(outcome, Exception):
            raise outcome
