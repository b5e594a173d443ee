"""What a person does with backups in the console, and what there is in a profile before and after."""

import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from playwright.async_api import BrowserContext, Locator, Page, expect

from chassis.documents import write

PLACE: Final = "/#/settings/data"
HEADERS: Final = {"Content-Type": "application/json"}


def saved(folder: Path, document: Any) -> Path:
    """A new file there of bytes as they are, or of anything else as JSON."""
    file = folder / f"backup-{len(list(folder.iterdir()))}.json"
    file.write_bytes(document if isinstance(document, bytes) else write(document))
    return file


async def choose(page: Page, file: Path) -> Locator:
    """Hand in a file and wait for its preview, which is given."""
    await page.goto(PLACE)
    await page.get_by_label("Import backup", exact=True).set_input_files(file)
    return await previewed(page)


async def previewed(page: Page) -> Locator:
    preview = page.get_by_role("region", name="What this would change")
    await expect(preview.get_by_role("progressbar")).to_have_count(0)
    return preview


async def bring_in(page: Page) -> Locator:
    """Press "Import" and wait until it is done; what came in is given."""
    await page.get_by_role("button", name="Import", exact=True).click()
    return await arrived(page)


async def arrived(page: Page) -> Locator:
    outcome = page.get_by_role("region", name="What came in")
    await outcome.wait_for()
    return outcome


async def undo(page: Page) -> None:
    await page.get_by_role("button", name="Undo this import").click()
    await page.get_by_role("dialog", name="Undo this import?").get_by_role("button", name="Undo").click()
    await page.get_by_role("region", name="What came in").get_by_text("Undone.").wait_for()


@asynccontextmanager
async def exported(page: Page, passphrase: str = "") -> AsyncIterator[Path]:
    """The file that "Export backup" saves."""
    await page.goto(PLACE)
    await page.get_by_role("checkbox", name="Include provider keys").set_checked(bool(passphrase))
    if passphrase:
        await page.get_by_label("Passphrase", exact=True).fill(passphrase)
    async with page.expect_download() as downloading:
        await page.get_by_role("button", name="Export backup").click()
    yield await (await downloading.value).path()


async def answered(context: BrowserContext, path: str, body: Any = None) -> Any:
    """The JSON of a GET or, where there is a body, of a POST."""
    method, data = ("GET", None) if body is None else ("POST", write(body))
    answer = await context.request.fetch(path, method=method, data=data, headers=HEADERS, timeout=0)
    return json.loads(await answer.body())


async def profile(page: Page) -> dict[str, Any]:
    """Whatever an import can change, but for the history, which only grows."""
    backup = await answered(page.context, "/api/settings/backup")
    runs = {run["run_id"]: run for run in backup["runs"]}
    keys = {row["provider"]: row["masked"] for row in backup["api_credentials"] if row["configured"]}
    return {"settings": backup["settings"]["settings"], "runs": runs, "keys": keys}


async def history(page: Page) -> list[Any]:
    """Every version, the newest first, without its number."""
    rows = (await answered(page.context, "/api/settings/history?limit=100"))["history"]
    return [{name: row[name] for name in ("created_at", "change_note", "settings")} for row in rows]


async def images(page: Page, runs: Iterable[str]) -> dict[str, str]:
    """The digest of each run's image, as the server gives it out."""
    found = {}
    for name in runs:
        answer = await page.context.request.get(f"/api/runs/{quote(name, safe='')}/source-image")
        assert answer.ok
        found[name] = sha256(await answer.body()).hexdigest()
    return found
