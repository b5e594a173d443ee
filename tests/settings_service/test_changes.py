"""What an owner's other devices are told: the profile's version, after every kind of write, by whichever process."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from chassis.peers import Scope
from tests.settings_service.conftest import Start
from tests.settings_service.support import (
    check_file,
    commit,
    current,
    entry,
    history,
    patch,
    replace,
    restore,
    save,
    stage,
    told,
    undo,
    version_told,
    whole,
)
from tests.support import Asker


async def version(asker: Asker, owner: str = "guest:a") -> int:
    """The version that is told, which is the one that a read shows."""
    shown: int = (await current(asker, owner))["version"]
    assert await version_told(asker, owner) == shown
    return shown


async def test_before_anything_there_is_no_version(asker: Asker) -> None:
    assert await version_told(asker) == 0
    assert await version(asker) == 1


async def test_the_version_that_is_told_is_the_profiles_after_every_write(asker: Asker, file: Path) -> None:
    await save(asker, {"a": 1})
    assert await version(asker) == 2
    await patch(asker, {"a": 2})
    assert await version(asker) == 3
    await told(await asker.post("/api/settings/history/1/restore"))
    assert await version(asker) == 4
    await restore(asker, [*whole({"a": 5}), *history(entry(1, {"z": 1}), entry(2, {"z": 2}))], "one")
    assert await version(asker) == 7
    await undo(asker, "one", "undo-one")
    assert await version(asker) == 8
    await replace(asker, [*whole({"a": 6}), *history(entry(1, {"z": 3}))], "two")
    assert await version(asker) == 10
    await undo(asker, "two", "undo-two")
    assert await version(asker) == 11
    check_file(file)


async def test_what_writes_nothing_is_not_told(asker: Asker) -> None:
    await save(asker, {"a": 1})
    await save(asker, {"a": 1})
    await patch(asker, {"a": 1})
    await patch(asker, {"a": 2}, 409, base=7)
    await stage(asker, whole({"a": 3}), "one")
    assert await version(asker) == 2
    async with feed(asker, 0) as lines:
        assert await anext(lines) == {"seq": 0}
        assert [each async for each in upto(lines, 1)] == [line("guest:a", 2, 1)]


async def test_a_restore_is_told_once_it_is_committed(asker: Asker) -> None:
    await stage(asker, whole({"a": 3}), "one")
    assert await version_told(asker) == 0
    await commit(asker, "one")
    assert await version(asker) == 2


async def test_after_an_adoption_the_users_version_is_told(asker: Asker) -> None:
    async def adopt(guest: str, user: str) -> None:
        await told(await asker.post(f"/internal/adoptions/{guest}", scope=Scope.SYSTEM, owner=user, guest=guest))

    for number in range(5):
        await save(asker, {"n": number}, owner="guest:one")
    await current(asker, "user:new")
    await adopt("guest:one", "user:new")
    assert await version(asker, "user:new") == 6
    await save(asker, {"guest": 1}, owner="guest:two")
    await adopt("guest:two", "user:new")
    assert await version(asker, "user:new") == 8, "the guest's version, then the user's own state"


async def test_an_owner_who_is_erased_is_told_of_no_more(asker: Asker) -> None:
    await save(asker, {"a": 1})
    await told(await asker.post("/internal/erasure", scope=Scope.SYSTEM))
    assert await version_told(asker) == 0


async def test_what_one_instance_writes_another_tells_within_a_second_and_each_owners_latest_once(start: Start) -> None:
    first, second = await start(), await start()
    async with feed(second) as lines:
        assert await anext(lines) == {"seq": 0}
        began = time.monotonic()
        await patch(first, {"a": 1})
        assert await anext(lines) == line("guest:a", 2, 1)
        assert time.monotonic() - began < 1
        await asyncio.gather(*(patch(first, {f"k{n}": n}, owner=f"guest:{n % 3}") for n in range(60)))
        latest: dict[str, int] = {}
        async for each in lines:
            latest[each["owner"]] = each["version"]
            if latest == {f"guest:{n}": 21 for n in range(3)}:
                break
    async with feed(second, 1) as lines:
        assert await anext(lines) == {"seq": 1}
        found = [each async for each in upto(lines, 4)]
    assert {each["owner"]: each["version"] for each in found} == {"guest:a": 2, **latest}
    assert [each["seq"] for each in found] == sorted(each["seq"] for each in found)


def line(owner: str, version: int, seq: int) -> dict[str, Any]:
    return {"owner": owner, "version": version, "seq": seq, "value": {"version": version}}


@asynccontextmanager
async def feed(asker: Asker, after: int | None = None) -> AsyncIterator[AsyncIterator[Any]]:
    """The lines of a feed but for its heartbeats."""
    query = {} if after is None else {"after": str(after)}
    answer = await asker.get("/internal/changes", params=query, scope=Scope.SYSTEM, owner="system")
    try:
        yield lines_of(answer)
    finally:
        answer.close()


async def lines_of(answer: aiohttp.ClientResponse) -> AsyncIterator[Any]:
    async with asyncio.timeout(10):
        async for text in answer.content:
            if text.strip():
                yield json.loads(text)


async def upto(lines: AsyncIterator[Any], number: int) -> AsyncIterator[Any]:
    for _ in range(number):
        yield await anext(lines)
