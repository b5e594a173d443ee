"""A volume without room: what needs it is refused, nothing is damaged, and all goes on once there is room."""

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from docker import DockerClient

from tests.compose.console import Console, composed, evaluate
from tests.journeys.browser import Browser

OVERRIDE: Final = Path(__file__).parent / "small-disk.yml"
DATABASE: Final = "/data/animatize_web.runs.db"
FILL: Final = """
filler = open("/data/filler", "ab", buffering=0)
try:
    while True:
        filler.write(bytes(1 << 12))
except OSError as error:
    print(error.strerror)
"""
MAKE_ROOM: Final = "import os; os.unlink('/data/filler')"
CHECK: Final = f"import sqlite3; print(sqlite3.connect('{DATABASE}').execute('PRAGMA integrity_check').fetchall())"


@pytest.fixture
def small(engine: DockerClient, image: str, secret_files: dict[str, str]) -> Iterator[Console]:
    with composed(engine, image, (OVERRIDE,), **secret_files) as console:
        yield console


def run(name: str) -> dict[str, Any]:
    return {"run_id": name, "created_at": "2026-03-01T10:00:00+00:00", "filler": secrets.token_hex(100_000)}


async def test_a_full_volume_refuses_what_needs_it_and_damages_nothing(small: Console) -> None:
    container = small.container("runs")
    async with Browser(small.url) as browser:
        kept = [run(f"kept-{number}") for number in range(5)]
        for each in kept:
            await browser.put(f"/api/runs/{each['run_id']}", each)
        assert evaluate(container, FILL) == "No space left on device"

        problem = await browser.refused("PUT", "/api/runs/more", json=run("more"))
        assert problem["status"] == 507
        restore = await browser.refused_restore({"runs": [run("restored")], "settings": {"settings": {"here": {}}}})
        assert restore["status"] == 507
        await browser.put("/api/settings", {"settings": {"here": {"number": 1}}})
        assert await browser.all_runs() == kept, "reading goes on"

        evaluate(container, MAKE_ROOM)
        more = run("more")
        await browser.put("/api/runs/more", more)
        assert await browser.all_runs() == [*kept, more]
        assert (await browser.get("/api/settings"))["settings"] == {"here": {"number": 1}}
    assert evaluate(container, CHECK) == "[('ok',)]"
    container.restart()
    small.wait_until_ready()
    assert evaluate(container, CHECK) == "[('ok',)]"
