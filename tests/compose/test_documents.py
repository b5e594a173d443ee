"""Real documents go in at the published address, come out again, and outlive the containers."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests import documents
from tests.compose.console import Console
from tests.conftest import LEGACY
from tests.documents import BIG, RUNS_KEY
from tests.journeys.browser import Browser
from tests.journeys.test_migration import assert_runs_in_place, same

EXPORTS = ("sample", *BIG)
BACKUPS = ("sample", "upstream-backup")


@pytest.mark.parametrize("name", EXPORTS)
async def test_a_browsers_export_is_restored_and_reads_back_equal(browser: Browser, name: str) -> None:
    document = documents.legacy(name) if name in BIG else json.dumps(documents.export()).encode()
    runs = documents.parsed(document).get(RUNS_KEY, [])

    answer = await browser.restore(document)

    assert (answer["restored_runs"], answer["warnings"]) == (len(runs), [])
    await assert_runs_in_place(browser, runs)
    assert same(await browser.get("/api/settings"), answer["settings"])


@pytest.mark.parametrize("name", BACKUPS)
async def test_the_older_consoles_backup_is_restored_and_reads_back_equal(browser: Browser, name: str) -> None:
    backup = documents.older_backup() if name == "sample" else json.loads(documents.legacy(name))

    answer = await browser.restore(backup)

    assert (answer["restored_runs"], answer["restored_history"]) == (len(backup["runs"]), len(backup["history"]))
    await assert_runs_in_place(browser, backup["runs"])
    assert same((await browser.get("/api/settings"))["settings"], backup["settings"]["settings"])


async def test_everything_is_still_there_after_down_and_up_with_the_volumes_kept(
    console: Console, browser: Browser, other_browser: Browser
) -> None:
    for document in _documents():
        await browser.restore(document)
    await browser.put("/api/settings/api-keys/pika", {"api_key": "a_key_of_this_profile"})
    profile, keys = await browser.profile(), await browser.get("/api/settings/api-keys")
    runs, restores = await browser.all_runs(), await browser.get("/api/settings/restores")

    console.compose("down")
    assert console.containers() == []
    console.up()

    assert same(await browser.profile(), profile)
    assert same(await browser.all_runs(), runs)
    assert await browser.get("/api/settings/restores") == restores
    assert await browser.get("/api/settings/api-keys") == keys, "readable under the same secret"
    copied = await other_browser.restore(await browser.get("/api/settings/backup"))
    assert copied["restored_runs"] == len(runs)
    assert same((await other_browser.profile())["runs"], profile["runs"])


def _documents() -> Iterator[Any]:
    yield documents.older_backup()
    yield documents.export()
    yield from (file.read_bytes() for file in sorted(LEGACY.glob("*.json")))
