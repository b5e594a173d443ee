"""The next release started beside this one, over the same files and under load; then alone."""

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Final

import pytest

from chassis.schema import steps_of
from tests.faults import next_release
from tests.faults.crowd import Person, crowd
from tests.faults.files import FILES, check_files, path_of, rows
from tests.faults.guest import guest
from tests.faults.places import PLACES
from tests.faults.plan import spread
from tests.faults.plant import PROCESSES, Plant, plant
from tests.faults.records import check_log, package_of
from tests.processes import Stack

pytestmark = pytest.mark.asyncio(loop_scope="package")

NEWER: Final = tuple(f"{name}-2" for name in PROCESSES)
PEOPLE, TURNS = 3, 3


@pytest.fixture(name="newer", scope="module")
def next_release_of_this(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return next_release.build(tmp_path_factory.mktemp("next"))


@asynccontextmanager
async def at_work(people: list[Person]) -> AsyncIterator[None]:
    """All are busy inside the block. Afterwards everything that was acknowledged is there, and nothing else."""
    ended = asyncio.Event()
    async with asyncio.TaskGroup() as working:
        for person in people:
            working.create_task(person.keep_busy(ended))
        yield
        ended.set()
    for person in people:
        await person.check()


async def test_the_next_release_begins_beside_this_one_under_load_and_takes_its_place(
    newer: Path, tmp_path: Path
) -> None:
    stack = Stack(tmp_path, 2, 2)
    both = Plant(stack, {})
    try:
        await both.start(*PROCESSES)
        async with crowd([stack.url_of(name) for name in ("gateway", "gateway-2")], PEOPLE, TURNS) as people:
            for person in people:
                person.go_to(stack.url)
            async with at_work(people):
                await asyncio.to_thread(stack.start, *NEWER, code=newer)
            check_expanded(stack.data)
            for person in people:
                person.go_to(*map(stack.url_of, ("gateway", "gateway-2")))
            async with at_work(people), guest(both) as somebody:
                assert await somebody.restore() == 200
                await somebody.check_undo(await somebody.undo())
                assert await somebody.restore() == 200
            for person in people:
                person.go_to(stack.url_of("gateway-2"))
            async with at_work(people):
                for name in PROCESSES:
                    await replaced_for_good(stack, name)
            async with guest(Plant(stack, {}), url=stack.url_of("gateway-2")) as somebody:
                await somebody.check(await somebody.restore())
    finally:
        await asyncio.to_thread(stack.stop)
    check_log(stack)


async def replaced_for_good(stack: Stack, name: str) -> None:
    """Once it is stopped, the older release cannot be started again on its file, and is told what to do."""
    await asyncio.to_thread(stack.stop, name)
    before = stack.log.stat().st_size
    with pytest.raises(RuntimeError, match="not ready; ended"):
        await asyncio.to_thread(stack.start, name)
    stack.stop(name)
    told = stack.log.read_bytes()[before:].decode()
    assert re.search(r"cannot start: \S+ has schema (\d), this release knows \d: start the newer release again", told)


def check_expanded(data: Path) -> None:
    """Every file has the newer schema, and a whole copy from before beside it."""
    for file in FILES:
        known = len(steps_of(package_of(file)))
        assert rows(data, file, "PRAGMA user_version") == [(known + 1,)]
        path = path_of(data, file)
        with closing(sqlite3.connect(path.with_name(f"{path.name}.before-{known + 1:03}"))) as copy:
            assert copy.execute("PRAGMA user_version").fetchone() == (known,)
            assert copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.parametrize("upgraded", spread((PROCESSES[1:], PROCESSES), 1), ids=len)
async def test_what_this_release_staged_the_next_one_commits(
    newer: Path, tmp_path: Path, upgraded: tuple[str, ...]
) -> None:
    async with plant(tmp_path) as older, guest(older) as person:

        async def upgrade() -> None:
            await asyncio.to_thread(older.stack.kill, *upgraded)
            await asyncio.to_thread(older.stack.start, *upgraded, code=newer)

        accident = older.passages["settings"].expect(PLACES["before the commit"].meet(upgrade))
        status = await person.restore()
        assert accident.happened.is_set()
        assert await person.outcome() == "new"
        await person.check(status)
        check_files(older.data)
