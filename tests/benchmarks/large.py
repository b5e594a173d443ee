"""Backup and restore of a large profile: their time beside what the bare libraries take for it, and their memory."""

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp
import ijson  # type: ignore[import-untyped]
import orjson

from tests import documents
from tests.benchmarks.report import say
from tests.journeys.browser import Browser
from tests.processes import Stack, peak_memory

RUNS, ENTRIES = 100_000, 10_000
FOR_EVER = aiohttp.ClientTimeout(total=None)


def write_document(file: Path) -> None:
    """Runs of one variant, about 4 kB each, without an image; small settings in every history entry."""
    (pattern, *_) = documents.older_backup()["runs"]
    pattern |= {"source_image_data_url": None, "variants": pattern["variants"][:1]}
    with file.open("w", encoding="utf-8") as out:
        out.write('{"settings": {"theme": {"grain": 0.4}}, "history": [')
        entries = ({**ENTRY, "id": n, "settings": {"theme": {"grain": n / ENTRIES}}} for n in range(ENTRIES))
        out.writelines(_separated(entries))
        out.write('], "runs": [')
        out.writelines(_separated({**pattern, "run_id": f"R{n:08x}", "intent": f"intent {n}"} for n in range(RUNS)))
        out.write("]}")


ENTRY = {"change_note": "a change", "created_at": "2026-11-22T10:00:00.000000+00:00"}


async def measure(stack: Stack, folder: Path) -> None:
    document, copy = folder / "document.json", folder / "copy.json"
    write_document(document)
    size = document.stat().st_size / 2**20
    say(f"a document of {RUNS:,} runs and {ENTRIES:,} history entries, {size:.0f} MiB")
    async with Browser(stack.url) as browser:
        await browser.get("/api/settings")
        read = timed(lambda: read_with_ijson(document))
        restored = await timed_async(restore, browser, document)
        say(f"restore {restored:6.1f} s   ratio to ijson {restored / read:.1f} (it reads in {read:.1f} s)")
        written = timed(lambda: write_with_orjson(stack.data, copy))
        backed_up = await timed_async(back_up, browser, "identity")
        ratio = f"ratio to sqlite3 and orjson {backed_up / written:.1f} (they write in {written:.1f} s)"
        say(f"backup  {backed_up:6.1f} s   {ratio}")
        for coding in ("zstd", "gzip"):
            say(f"backup  {await timed_async(back_up, browser, coding):6.1f} s under {coding}")
    for name in stack.ports:
        say(f"at most resident {name:19} {peak_memory(stack.process_id(name)) / 1e6:6.0f} MB")


async def restore(browser: Browser, document: Path) -> None:
    with document.open("rb") as data:
        answer = await browser.json("POST", "/api/settings/restore", data=data, timeout=FOR_EVER)
    assert (answer["restored_runs"], answer["restored_history"]) == (RUNS, ENTRIES)


async def back_up(browser: Browser, coding: str) -> None:
    headers = {"Accept-Encoding": coding}
    async with (
        aiohttp.ClientSession(cookie_jar=browser.jar, auto_decompress=False, timeout=FOR_EVER) as http,
        http.get(f"{browser.url}/api/settings/backup", headers=headers) as answer,
    ):
        async for _ in answer.content.iter_any():
            pass


def read_with_ijson(document: Path) -> None:
    with document.open("rb") as file:
        for _ in ijson.get_backend("yajl2_c").items(file, "runs.item"):
            pass


def write_with_orjson(data: Path, copy: Path) -> None:
    """The same rows: read, understood and written as one document."""
    with copy.open("wb") as out:
        out.write(b'{"history": [')
        for separator, row in _rows(data, "settings", "SELECT settings FROM versions ORDER BY version DESC"):
            out.write(separator + orjson.dumps({"settings": orjson.loads(row[0])}))
        out.write(b'], "runs": [')
        ordered = "SELECT payload FROM runs JOIN contents USING (content_id) ORDER BY owner, instant, run_id"
        for separator, row in _rows(data, "runs", ordered):
            out.write(separator + orjson.dumps(orjson.loads(row[0])))
        out.write(b"]}")


def timed(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


async def timed_async(work: Callable[..., Any], *arguments: Any) -> float:
    started = time.perf_counter()
    await work(*arguments)
    return time.perf_counter() - started


def _rows(data: Path, name: str, sql: str) -> Iterator[tuple[bytes, Any]]:
    with closing(sqlite3.connect(data / f"animatize_web.{name}.db")) as file:
        for number, row in enumerate(file.execute(sql)):
            yield (b"," if number else b""), row


def _separated(values: Iterator[Any]) -> Iterator[str]:
    for number, value in enumerate(values):
        yield ("," if number else "") + json.dumps(value)
