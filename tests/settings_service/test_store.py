"""Dense and unique versions whatever writes at once: in one instance, in two, and from two real processes."""

import asyncio
import os
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path

import aiohttp

from chassis.peers import Caller, Scope, Signer
from tests.processes import ROOT, free_ports
from tests.settings_service.conftest import Start
from tests.settings_service.support import current, save, told, whole_history
from tests.support import Asker


def versions_of(file: Path, owner: str) -> list[int]:
    with closing(sqlite3.connect(file)) as tx:
        return [row[0] for row in tx.execute("SELECT version FROM versions WHERE owner = ? ORDER BY version", (owner,))]


async def test_many_writes_at_once_through_two_instances_leave_no_gap(start: Start, file: Path) -> None:
    first, second = await start(), await start()
    saved = await asyncio.gather(*(save((first, second)[n % 2], {"number": n}) for n in range(200)))
    assert sorted(each["version"] for each in saved) == list(range(2, 202))
    assert versions_of(file, "guest:a") == list(range(1, 202))
    stored = {each["version"]: each["settings"] for each in await whole_history(first)}
    assert all(stored[each["version"]] == each["settings"] for each in saved)


async def test_a_profile_that_all_ask_for_at_once_is_made_once(start: Start) -> None:
    first, second = await start(), await start()
    shown = await asyncio.gather(*(current((first, second)[n % 2], f"guest:{n % 5}") for n in range(100)))
    for owner in range(5):
        assert len({each["created_at"] for each in shown[owner::5]}) == 1
        assert len(await whole_history(first, f"guest:{owner}")) == 1


async def test_of_many_writes_made_from_one_version_one_wins(start: Start) -> None:
    first, second = await start(), await start()
    answers = await asyncio.gather(
        *(
            (first, second)[n % 2].put("/api/settings", json={"settings": {"n": n}}, headers={"If-Match": '"1"'})
            for n in range(40)
        )
    )
    assert sorted(answer.status for answer in answers) == [200] + [412] * 39
    assert (await current(first))["version"] == 2


async def test_many_restores_of_versions_at_once_each_make_their_own(start: Start, file: Path) -> None:
    first, second = await start(), await start()
    await save(first, {"a": 1})
    path = "/api/settings/history/1/restore"
    made = await asyncio.gather(*(told_restored((first, second)[n % 2], path) for n in range(60)))
    assert sorted(made) == list(range(3, 63))
    assert versions_of(file, "guest:a") == list(range(1, 63))


async def told_restored(asker: Asker, path: str) -> int:
    version: int = (await told(await asker.post(path)))["version"]
    return version


async def test_a_write_that_fails_takes_no_number(start: Start) -> None:
    asker = await start(owner_quota_bytes=2000)
    wrong = [asker.put("/api/settings", json={"settings": {"n": "x" * 3000}}) for _ in range(10)]
    right = [asker.put("/api/settings", json={"settings": {"n": n}}) for n in range(10)]
    answers = await asyncio.gather(*(each for pair in zip(wrong, right, strict=True) for each in pair))
    assert sorted(answer.status for answer in answers) == [200] * 10 + [413] * 10
    assert [each["version"] for each in await whole_history(asker)] == list(range(11, 0, -1))


async def test_two_processes_that_write_at_once_leave_no_gap_also_when_one_is_killed(
    tmp_path: Path, file: Path, gateway_url: str, signer: Signer
) -> None:
    ports = list(free_ports(2))
    headers = {"Authorization": f"Bearer {signer.token(Caller('guest:a', Scope.OWNER), 'settings')}"}
    saved: list[int] = []
    enough = asyncio.Event()

    async def write(http: aiohttp.ClientSession, port: int, number: int) -> None:
        try:
            async with http.put(
                f"http://127.0.0.1:{port}/api/settings", json={"settings": {"n": number, "by": port}}, headers=headers
            ) as answer:
                saved.append((await told(answer))["version"])
        except aiohttp.ClientError:
            assert port == ports[1]  # the one that is killed
        if len(saved) >= 60:
            enough.set()

    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession())
        _, killed = [await stack.enter_async_context(process(tmp_path, gateway_url, port)) for port in ports]
        await asyncio.gather(*(answering(http, port) for port in ports))
        writes = [asyncio.create_task(write(http, ports[n % 2], n)) for n in range(300)]
        await enough.wait()
        killed.kill()
        await asyncio.gather(*writes)
    found = versions_of(file, "guest:a")
    assert found == list(range(1, len(found) + 1))
    assert len(saved) == len(set(saved)) >= 150
    assert set(saved) <= set(found)  # what was answered is there, whoever was killed


@asynccontextmanager
async def process(folder: Path, gateway_url: str, port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """One real settings service, as an operator would start it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANIMATIZE_")} | {
        "ANIMATIZE_WEB_DB_PATH": str(folder / "animatize_web.db"),
        "ANIMATIZE_LISTEN": f"127.0.0.1:{port}",
        "ANIMATIZE_GATEWAY_URL": gateway_url,
    }
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "settings_service", cwd=ROOT, env=environment, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        yield running
    finally:
        if running.returncode is None:
            running.terminate()
        await asyncio.wait_for(running.wait(), 15)


async def answering(http: aiohttp.ClientSession, port: int) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                async with http.get(f"http://127.0.0.1:{port}/health/ready") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.05)
