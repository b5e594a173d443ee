"""The operator's command on the real processes: a copy while they work, and the way back to it."""

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from animatize.quiet import refuse_used
from animatize.telling import Stop
from tests import documents
from tests.faults.files import at_rest, check_files, owner_of_run, path_of, rows, stages
from tests.faults.records import check_log
from tests.issuer import Issuer
from tests.journeys.browser import Browser
from tests.journeys.test_signing_in import sign_in
from tests.processes import ROOT, Stack

KEY = {"api_key": "a key of some length"}


async def command(stack: Stack, *arguments: object, code: int = 0) -> Any:
    """What `animatize` answers, in the environment of the stack and as a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "animatize", *map(str, arguments), "--json"),
        cwd=ROOT,
        env=stack.shared_with("none of them") | {"ANIMATIZE_GATEWAY_URL": stack.url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    told, errors = await process.communicate()
    assert process.returncode == code, (told, errors)
    return json.loads(told)


async def keep_busy(browser: Browser, ended: asyncio.Event, waits: list[float]) -> None:
    """One who saves, writes runs, and restores, without a pause."""
    number = 0
    while not ended.is_set():
        number += 1
        began = time.monotonic()
        await browser.put("/api/settings", {"settings": {"number": number}})
        await browser.put(f"/api/runs/r{number}", {"run_id": f"r{number}"})
        waits.append((time.monotonic() - began) / 2)
        if number % 4 == 0:
            await browser.restore(documents.older_backup())


async def test_a_snapshot_under_load_is_put_back_and_every_device_learns_of_it(
    fresh_stack: Stack, tmp_path: Path
) -> None:
    stack, snap = fresh_stack, tmp_path / "snaps" / "one"
    async with Browser(stack.url) as one, Browser(stack.url) as other, Browser(stack.url) as gone:
        for browser in (one, other, gone):
            await browser.put("/api/settings/api-keys/runway", KEY)
        await one.put("/api/settings", {"settings": {"mine": "before"}})
        before = await one.profile()
        ended, waits = asyncio.Event(), list[float]()
        async with asyncio.TaskGroup() as working:
            for browser in (other, gone):
                working.create_task(keep_busy(browser, ended, waits))
            await asyncio.sleep(0.5)
            alone = max(waits)
            waits.clear()
            taken = await command(stack, "snapshot", snap, "--keep", 2)
            ended.set()
        print(f"held {taken['held_ms']} ms; longest answer of a write {max(waits):.3f} s, alone {alone:.3f} s")
        assert taken["held_ms"] < 100
        assert taken["fingerprint"] == (await command(stack, "status"))["secret"]["vault"]
        assert (await command(stack, "verify", snap))["keys_opened"] >= 3

        for number in range(4):
            await one.put("/api/settings", {"settings": {"lost": number}})
        await one.put("/api/runs/lost", {"run_id": "lost"})
        token = (await one.get("/api/runs?since="))["token"]
        known = (await one.get("/api/settings"))["version"]
        owner = owner_of_run(stack.data, "lost")
        await gone.json("DELETE", "/api/account", {"confirm": True})

        refused = await command(stack, "recover", snap, code=3)
        assert "is open in process" in refused["error"]
        await asyncio.to_thread(stack.stop)
        done = await command(stack, "recover", snap)
        assert (done["settings_raised"] >= 1, done["sessions_ended"] >= 1) == (True, True)
        await asyncio.to_thread(stack.start)

        assert (await one.refused("GET", f"/api/runs?since={token}"))["code"] == "resync_required"
        settings = await one.get("/api/settings")
        assert (settings["version"], settings["settings"]) == (known + 1, {"mine": "before"})
        after = await one.profile()
        assert [after[name] for name in ("runs", "api_credentials")] == [before[n] for n in ("runs", "api_credentials")]
        assert after["history"][1:] == before["history"], "and the version that follows"
        assert rows(stack.data, "settings", "SELECT count(*) FROM versions WHERE owner = ?", owner) == [(3,)]
        assert (await gone.refused("GET", "/api/settings", headers={"Animatize-Session": "x"}))["status"] == 401
        await check_deleted_again(stack)
        assert (await other.restore(documents.older_backup()))["restored_runs"] > 0
        assert (await command(stack, "status"))["differences"] == []
    check_files(stack.data)
    check_log(stack)


async def check_deleted_again(stack: Stack) -> None:
    """The account that was deleted since the snapshot was in it once more, and goes once more."""
    [(owner,)] = rows(stack.data, "gateway", "SELECT owner FROM operations WHERE kind = 'deletion' AND repeats IS NULL")
    await at_rest(stack.data)
    assert "done" in stages(stack.data, owner).values()
    assert rows(stack.data, "settings", "SELECT * FROM profiles WHERE owner = ?", owner) == []
    assert rows(stack.data, "vault", "SELECT * FROM api_keys WHERE owner = ?", owner) == []


async def test_status_finds_what_is_away_and_agrees_with_all_that_people_do(tmp_path: Path) -> None:
    async with Issuer() as issuer:
        stack = Stack(tmp_path, **issuer.environment)
        try:
            await asyncio.to_thread(stack.start)
            async with Browser(stack.url) as guest, Browser(stack.url) as user:
                done = await guest.restore(documents.older_backup())
                await guest.json("POST", f"/api/settings/restore/{done['restore_id']}/undo")
                await guest.restore(documents.older_backup(), dry_run="true")
                await guest.refused_restore({"nothing": "of use"})
                await sign_in(guest, issuer, "1")
                await guest.restore(documents.older_backup())
                await sign_in(user, issuer, "2")
                await user.json("DELETE", "/api/account", {"confirm": True})
                found = await command(stack, "status")
                assert (found["problems"], found["differences"], found["operations"]) == ([], [], [])
                check_each_is_seen(stack)
                await asyncio.to_thread(stack.stop, "runs_service")
                problems = (await command(stack, "status", code=1))["problems"]
                assert [each.partition(" at ")[0] for each in problems] == ["gateway", "runs_service"]
        finally:
            await asyncio.to_thread(stack.stop)


def check_each_is_seen(stack: Stack) -> None:
    """Any one of the processes, while nobody asks anything of it, keeps its file from being replaced."""
    for name in stack.ports:
        with pytest.raises(Stop) as refused:
            refuse_used([path_of(stack.data, name.removesuffix("_service"))])
        assert refused.value.more["process"] == stack.process_id(name)
