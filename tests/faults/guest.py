"""A person with some previous state who restores a document, and what must be true whatever happened meanwhile."""

import asyncio
import base64
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import quote

import aiohttp
from pydantic import SecretStr

from chassis.documents import write
from tests.faults import files
from tests.faults.plant import Plant
from tests.journeys.browser import Browser
from vault_service.disclosure import mask

Shown = dict[str, Any]
RESTORE: Final = "/api/settings/restore"
PASSPHRASE: Final = "a passphrase with a ż"
PATIENCE: Final = aiohttp.ClientTimeout(total=60)
ALLOWED: Final = {200, 503, 507}  # of a restore that met with an accident: above all never 401


async def settings_of(browser: Browser) -> Any:
    return (await browser.get("/api/settings"))["settings"]


async def history_of(browser: Browser) -> list[Any]:
    history = (await browser.get("/api/settings/history?limit=100"))["history"]
    return sorted((entry["change_note"], write(entry["settings"])) for entry in history)


async def runs_of(browser: Browser) -> dict[str, Any]:
    return {run["run_id"]: run for run in await browser.all_runs()}


async def keys_of(browser: Browser) -> dict[str, Any]:
    rows = (await browser.get("/api/settings/api-keys"))["api_keys"]
    return {row["provider"]: row["masked"] for row in rows if row["configured"]}


PARTS: Final[dict[str, Callable[[Browser], Awaitable[Any]]]] = {
    "settings": settings_of,
    "history": history_of,
    "runs": runs_of,
    "api_keys": keys_of,
}


async def backup_of(browser: Browser) -> dict[str, Any]:
    """A whole backup; one that an accident left under way is waited for."""
    async with asyncio.timeout(20):
        while True:
            status, head, backup = await browser.ask("GET", "/api/settings/backup")
            if status == 200:
                document: dict[str, Any] = json.loads(backup)
                return document
            assert (status, "Retry-After" in head) == (409, True)
            await asyncio.sleep(0.1)


class Guest:
    """`old` is what the profile showed before, `document` what is restored, `new` what it shows afterwards."""

    def __init__(self, browser: Browser, plant: Plant, size: int) -> None:
        self.browser, self._plant = browser, plant
        self.mark = secrets.token_hex(4)
        self.document = document(self.mark, size)
        self.keys = {"veo": f"new1-key-of-{self.mark}", "runway": f"new2-key-of-{self.mark}"}
        self.old: Shown = {}
        self.new: Shown = {}
        self.owner = self.told = self.restored = ""

    async def settle_in(self) -> None:
        settings = {"here": {"mark": "old"}, "both": {"mark": "old"}}
        await self.browser.put("/api/settings", {"settings": settings, "change_note": "old"})
        for name in ("changed", "kept"):
            await self.browser.put(f"/api/runs/{name}-{self.mark}", run(f"{name}-{self.mark}", "old"))
        await self.browser.put("/api/settings/api-keys/veo", {"api_key": f"old1-key-of-{self.mark}"})
        self.document["sealed_api_keys"] = await self._sealed()
        self.owner = files.owner_of_run(self._plant.data, f"kept-{self.mark}")
        self.old = await self.shown()
        self.new = _restored(self.old, self.document, self.keys)

    async def _sealed(self) -> Any:
        """The new keys as somebody else's backup has them."""
        async with Browser(self.browser.url) as other:
            await other.get("/api/settings")
            for provider, api_key in self.keys.items():
                await other.put(f"/api/settings/api-keys/{provider}", {"api_key": api_key})
            backup = await other.json("POST", "/api/settings/backup", {"passphrase": PASSPHRASE})
            return backup["sealed_api_keys"]

    async def shown(self) -> Shown:
        return {part: await look(self.browser) for part, look in PARTS.items()}

    async def restore(self) -> int | None:
        """The status of the answer, or None where there was none."""
        return await self.upload(write(self.document))

    async def restore_cut_short(self) -> int | None:
        """A document that ends before it is complete: so that what was staged is aborted."""
        return await self.upload(write(self.document)[:-1])

    async def undo(self) -> int | None:
        """Take back the restore that was told of last."""
        self.restored = json.loads(self.told)["restore_id"]
        return await self._post(f"{RESTORE}/{self.restored}/undo")

    async def upload(self, body: bytes | AsyncIterator[bytes]) -> int | None:
        data = _pieces(body) if isinstance(body, bytes) else body
        headers = {"Content-Type": "application/json", "Animatize-Backup-Passphrase": quote(PASSPHRASE)}
        return await self._post(RESTORE, data=data, headers=headers)

    async def _post(self, path: str, **rest: Any) -> int | None:
        try:
            status, head, told = await self.browser.ask("POST", path, timeout=PATIENCE, **rest)
        except (aiohttp.ClientError, ConnectionError):
            return None
        assert status != 503 or "Retry-After" in head
        self.told = told.decode()
        return status

    async def check(self, status: int | None, allowed: set[int] = ALLOWED) -> None:
        """All that must be true at rest, then twice the same restore again. `status` is what the person was told."""
        assert status is None or status in allowed
        outcome = await self.outcome()
        assert status != 200 or outcome == "new"
        assert outcome == "old" or "Nothing was changed" not in self.told
        files.check_files(self._plant.data)
        await self.check_retries(outcome)

    async def check_undo(self, status: int | None) -> None:
        """All that must be true at rest after an undo that met with an accident, and that it can be had just once."""
        await files.at_rest(self._plant.data)
        assert status is None or status in ALLOWED
        undone = _undone(self.old, self.new, self.restored)
        shown = await self.shown()
        assert shown in (self.new, undone)
        told = (await self.browser.get(f"/api/settings/restores/{self.restored}"))["undo"]
        assert (shown == undone) == (told["undone_at"] is not None) == (not told["open"])
        assert status != 200 or shown == undone
        path = f"{RESTORE}/{self.restored}/undo"
        assert await self._post(path) == (409 if shown == undone else 200)
        assert await self._post(path) == 409
        assert await self.shown() == undone
        files.check_files(self._plant.data)

    async def outcome(self) -> str:
        """Which state the profile is in, entirely, once the journal is at rest, which must say the same."""
        await files.at_rest(self._plant.data)
        shown = await self.shown()
        assert shown in (self.old, self.new)
        stages = list(files.stages(self._plant.data, self.owner).values())
        assert stages in ([], ["aborted"], ["done"])
        assert (shown == self.new) == (stages == ["done"])
        return "new" if shown == self.new else "old"

    async def check_retries(self, outcome: str) -> None:
        before = await self._everything()
        assert await self.restore() == 200
        assert await self.shown() == self.new
        once = await self._everything()
        assert outcome == "old" or once == before
        assert await self.restore() == 200
        assert await self._everything() == once
        files.check_files(self._plant.data)

    async def _everything(self) -> list[Any]:
        """With versions and times, which nothing that changes nothing changes."""
        paths = ("/api/settings", "/api/settings/history?limit=100")
        return [*[await self.browser.get(path) for path in paths], await self.browser.all_runs()]


@asynccontextmanager
async def guest(plant: Plant, *, size: int = 2000, url: str = "") -> AsyncIterator[Guest]:
    """Somebody new, with settings saved and two runs; the document's third run is of about `size` bytes. `url` is the
    gateway's, where it is not the first."""
    async with Browser(url or plant.stack.url) as browser:
        made = Guest(browser, plant, size)
        await made.settle_in()
        yield made


def run(run_id: str, mark: str) -> dict[str, Any]:
    image = base64.b64encode(f"{run_id} {mark}".encode()).decode()
    return {
        "run_id": run_id,
        "created_at": "2026-03-01T10:00:00+00:00",
        "status": "done",
        "mark": mark,
        "source_image_data_url": f"data:image/png;base64,{image}",
    }


def document(mark: str, size: int) -> dict[str, Any]:
    """A backup that changes one section and one run, and adds one section, two history entries and one run."""
    settings = {"both": {"mark": "new"}, "there": {"mark": mark}}
    added = run(f"added-{mark}", "new") | {"filler": secrets.token_hex(size // 2)}
    times = ("2026-03-01T10:00:00.000000+00:00", "2026-03-02T10:00:00.000000+00:00")
    entries = [
        {
            "id": number,
            "version": number,
            "settings": {"then": number},
            "change_note": f"entry {number}",
            "created_at": at,
        }
        for number, at in enumerate(times, start=1)
    ]
    return {
        "schema_version": "2026-02-26",
        "settings": {"settings": settings, "version": 2, "created_at": times[0], "updated_at": times[1]},
        "history": entries[::-1],
        "runs": [run(f"changed-{mark}", "new"), added],
        "api_credentials": [],
    }


def _restored(old: Shown, document: dict[str, Any], keys: dict[str, str]) -> Shown:
    """Section by section and run by run the document wins; its history comes in, and the new state as one more."""
    settings = old["settings"] | document["settings"]["settings"]
    entries = [(entry["change_note"], write(entry["settings"])) for entry in document["history"]]
    return {
        "settings": settings,
        "history": sorted([*old["history"], *entries, ("backup_restore", write(settings))]),
        "runs": old["runs"] | {run["run_id"]: run for run in document["runs"]},
        "api_keys": old["api_keys"] | {provider: mask(SecretStr(api_key)) for provider, api_key in keys.items()},
    }


def _undone(old: Shown, new: Shown, restored: str) -> Shown:
    """All as before, but for the history: what came in stays, and the state from before is one version more."""
    return old | {"history": sorted([*new["history"], (f"undo:{restored}", write(old["settings"]))])}


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 1 << 16):
        yield body[start : start + (1 << 16)]
        await asyncio.sleep(0)
