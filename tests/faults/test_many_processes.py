"""Every service as several processes over one file: started at once on an empty folder, then at work at once."""

import asyncio
import sqlite3
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import psutil
import pytest
import pytest_asyncio

from chassis.schema import steps_of
from tests.faults.crowd import crowd
from tests.faults.files import FILES, check_files, path_of, reading, rows
from tests.faults.guest import guest, keys_of
from tests.faults.plan import IN_CI, spread
from tests.faults.plant import Plant
from tests.faults.records import check_log, package_of
from tests.journeys.browser import Browser
from tests.processes import Stack, replicas_of, running

pytestmark = pytest.mark.asyncio(loop_scope="package")

GATEWAYS: Final = 2
PEOPLE: Final = 12 if IN_CI else 6
TURNS: Final = 20 if IN_CI else 8
ROUNDS: Final = 3
OWN_SECRET: Final = {"ANIMATIZE_SECRET_KEY": "", "ANIMATIZE_ENV": "development"}  # none: the first to need it makes it


def check_beginning(data: Path) -> None:
    """One schema in each file, one vault, one secret, and nothing left of those who came second."""
    for file in FILES:
        assert rows(data, file, "PRAGMA user_version") == [(len(steps_of(package_of(file))),)]
        with reading(data, file) as opened, sqlite3.connect(":memory:") as fresh:
            fresh.executescript("\n".join(script for _, script in steps_of(package_of(file))))
            schema = "SELECT type, name, sql FROM sqlite_schema ORDER BY type, name"
            assert opened.execute(schema).fetchall() == fresh.execute(schema).fetchall()
    [(salt, fingerprint)] = rows(data, "vault", "SELECT salt, fingerprint FROM vault")
    assert (len(salt), fingerprint is not None) == (16, True)
    secret = data / "animatize_development_secret"
    assert (stat.S_IMODE(secret.stat().st_mode), len(secret.read_text().strip()) >= 32) == (0o600, True)
    expected = {path_of(data, file).name + tail for file in FILES for tail in ("", "-wal", "-shm", ".lock")}
    assert {file.name for file in data.iterdir()} == expected | {secret.name}
    assert {stat.S_IMODE(file.stat().st_mode) for file in data.iterdir()} == {0o600}, "nobody else may read them"


async def note_who_serves(stack: Stack, served: set[str]) -> None:
    """For ever: a gateway opens a connection to a process for a request alone."""
    names = {port: name for name, port in stack.ports.items()}
    while True:
        connections = await asyncio.to_thread(psutil.net_connections, "tcp4")
        served |= {
            names.get(getattr(each.laddr, "port", 0), "") for each in connections if each.status == "ESTABLISHED"
        }
        await asyncio.sleep(0.1)


@pytest.fixture(name="stack", scope="module", params=spread((2, 3), 1), ids="replicas={}".format)
def many_processes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """`stack.replicas` of each service and two gateways, started at once on an empty folder without a secret."""
    folder = tmp_path_factory.mktemp("many")
    with running(folder, GATEWAYS, request.param, **OWN_SECRET) as stack:
        yield stack


@pytest_asyncio.fixture(name="many", loop_scope="package")
async def somebody_watching(stack: Stack) -> AsyncIterator[Plant]:
    """The same; after the test nobody must have died, or written a line of anything amiss."""
    many = Plant(stack, {})
    yield many
    assert all(stack.is_running(name) for name in stack.ports)
    check_log(stack)


async def test_processes_started_together_on_an_empty_folder_agree(many: Plant) -> None:
    check_beginning(many.data)
    async with Browser(many.stack.url) as browser:
        stored = await browser.put("/api/settings/api-keys/runway", {"api_key": "a key for all of them"})
        for _ in range(6):  # whichever vault is asked
            assert await keys_of(browser) == {"runway": stored["masked"]}


async def test_many_processes_at_work_at_once_lose_nothing_and_give_no_version_twice(many: Plant) -> None:
    urls = [many.stack.url_of(name) for name in replicas_of("gateway", GATEWAYS)]
    async with crowd(urls, PEOPLE, TURNS) as people:
        served: set[str] = set()
        noting = asyncio.create_task(note_who_serves(many.stack, served))
        await asyncio.gather(*(person.do_everything() for person in people))
        noting.cancel()
        for person in people:
            await person.check()
    assert many.stack.ports.keys() - served == set()
    check_files(many.data)


async def test_restores_of_several_people_over_many_processes_are_each_whole(many: Plant) -> None:
    async with AsyncExitStack() as opened:
        people = [await opened.enter_async_context(guest(many)) for _ in range(3)]
        statuses = await asyncio.gather(*(person.restore() for person in people))
        assert statuses == [200] * len(people)
        for person in people:
            await person.check(200)
        assert await asyncio.gather(*(person.undo() for person in people)) == [200] * len(people)


@pytest.mark.parametrize("round_", spread(range(ROUNDS), 1))
async def test_however_often_all_start_at_once_they_work_together(tmp_path: Path, round_: int) -> None:
    stack = Stack(tmp_path, GATEWAYS, 2 + round_ % 2, **OWN_SECRET)
    try:
        await asyncio.to_thread(stack.start)
        check_beginning(stack.data)
        async with Browser(stack.url) as browser:
            await browser.restore({"runs": [{"run_id": "a"}]})
            assert [run["run_id"] for run in await browser.all_runs()] == ["a"]
    finally:
        await asyncio.to_thread(stack.stop)
    check_log(stack)
