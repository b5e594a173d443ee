"""Deletions are forgotten after ninety days, in bounded pieces; who may have missed one is told to begin anew."""

import asyncio
import time
from pathlib import Path
from sqlite3 import Connection
from typing import Final

import pytest

from chassis.peers import Scope
from runs_service import tombstones
from tests.runs_service.conftest import Start, counted, opened, restore, told
from tests.runs_service.samples import run
from tests.runs_service.test_belongings import GUEST, OTHER, USER, adopt, puts
from tests.runs_service.test_following import Device
from tests.support import Asker

DAY: Final = 24 * 3600


def age(file: Path, days: float, where: str = "true") -> None:
    """As if these deletions had been so long ago."""
    with opened(file) as tx:
        tx.execute(f"UPDATE tombstones SET deleted_at = deleted_at - ? WHERE {where}", (round(days * DAY),))


def forget(file: Path) -> int:
    """All that is to be forgotten now; in how many pieces."""
    with opened(file) as tx:
        pieces = 1
        while tombstones.forget_old(int(time.time()), tx):
            pieces += 1
        return pieces


async def forgotten(file: Path) -> None:
    """Once it has been done by whoever is at it."""
    async with asyncio.timeout(5):
        while counted(file, "tombstones"):  # noqa: ASYNC110 - it is another connection that does it
            await asyncio.sleep(0.02)


async def left(asker: Asker, owner: str = GUEST) -> Device:
    """A device that has followed three runs, two of which were deleted afterwards."""
    device = Device(owner)
    await puts(asker, owner, run(1), run(2), run(3))
    await device.follow(asker)
    for run_id in ("R00000001", "R00000003"):
        await told(await asker.delete(f"/api/runs/{run_id}", owner=owner))
    return device


async def test_a_device_that_was_away_for_less_than_ninety_days_hears_of_every_deletion(
    asker: Asker, file: Path
) -> None:
    device = await left(asker)
    age(file, 89.9)
    forget(file)
    [page] = await device.follow(asker)
    assert page["deleted"] == ["R00000001", "R00000003"]
    assert device.begun_anew == 0


async def test_one_that_was_away_for_longer_begins_anew_and_nobody_else_does(asker: Asker, file: Path) -> None:
    away, other = await left(asker), await left(asker, OTHER)
    there = Device(token=away.token, runs=dict(away.runs))
    await there.follow(asker)
    age(file, 90.1, f"owner = '{GUEST}'")
    forget(file)
    for device in (away, there, other):
        await device.follow(asker)
        assert await device.holds_what_is_live(asker)
    assert [device.begun_anew for device in (away, there, other)] == [1, 0, 0]
    assert counted(file, "tombstones") == 2


async def test_what_was_forgotten_counts_though_later_deletions_are_still_told(asker: Asker, file: Path) -> None:
    device = await left(asker)
    age(file, 91, "run_id = 'R00000001'")
    forget(file)
    between = Device()
    await between.follow(asker)
    await device.follow(asker)
    assert (device.begun_anew, between.begun_anew) == (1, 0)


async def test_who_has_seen_only_the_first_of_what_is_forgotten_together_begins_anew(asker: Asker, file: Path) -> None:
    await puts(asker, GUEST, run(1), run(2), run(3))
    await told(await asker.delete(f"/api/runs/{run(1)['run_id']}"))
    device = Device()
    await device.follow(asker)
    await told(await asker.delete(f"/api/runs/{run(2)['run_id']}"))
    age(file, 91)
    forget(file)
    await device.follow(asker)
    assert device.begun_anew == 1
    assert await device.holds_what_is_live(asker)


async def test_a_deletion_is_told_to_its_last_second(asker: Asker, file: Path) -> None:
    device = await left(asker)
    age(file, 90)
    with opened(file) as tx:
        last = tx.execute("SELECT min(deleted_at) FROM tombstones").fetchone()[0] + tombstones.KEPT_DAYS * 24 * 3600
        tombstones.forget_old(last, tx)
        assert counted(file, "tombstones") == 2
    await device.follow(asker)
    assert device.begun_anew == 0
    with opened(file) as tx:
        tombstones.forget_old(last + 1, tx)
    assert counted(file, "tombstones") < 2


async def test_who_begins_now_is_never_told_to_begin_anew_however_slowly_it_reads(asker: Asker, file: Path) -> None:
    """Its first tokens name places that are older than what is forgotten."""
    await puts(asker, GUEST, *(run(number) for number in range(10)))
    for number in range(10, 14):
        await puts(asker, GUEST, run(number))
        await told(await asker.delete(f"/api/runs/R{number:08x}"))
    age(file, 100)
    forget(file)
    device = Device(limit=1)
    for number in range(10):
        await device.step(asker)
        await told(await asker.delete(f"/api/runs/R{number:08x}"))
    await device.follow(asker)
    assert (device.begun_anew, device.runs) == (0, {})


async def test_many_are_forgotten_in_bounded_pieces(asker: Asker, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tombstones, "MOST_ROWS", 4)
    devices = []
    for owner in (GUEST, USER, OTHER):
        devices.append(await left(asker, owner))
        await restore(asker, [run(number) for number in range(7)], f"of {owner}", owner=owner)
        await told(await asker.delete("/api/runs", owner=owner))
    age(file, 91)
    with opened(file) as tx:
        assert tombstones.forget_old(int(time.time()), tx)
    assert counted(file, "tombstones") == 3 * 7 - 4
    assert forget(file) == 5
    assert counted(file, "tombstones") == 0
    for device in devices:
        await device.follow(asker)
        assert (device.begun_anew, device.runs) == (1, {})


async def test_every_instance_forgets_from_its_start_on(start: Start, file: Path) -> None:
    asker = await start()
    await left(asker)
    age(file, 91)
    await start()
    await forgotten(file)


async def test_a_file_that_cannot_be_written_is_tried_again(
    start: Start, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asker = await start()
    await left(asker)
    age(file, 91)
    with opened(file) as tx:
        tx.execute("CREATE TRIGGER broken BEFORE DELETE ON tombstones BEGIN SELECT raise(ABORT, 'broken'); END")
    monkeypatch.setattr("chassis.forgetting.EVERY_SECONDS", 0.02)
    await start()
    await asyncio.sleep(0.2)
    assert counted(file, "tombstones") == 2
    with opened(file) as tx:
        assert tx.execute("SELECT max(forgotten) FROM changes").fetchone()[0] == 1, "only together"
        tx.execute("DROP TRIGGER broken")
    await forgotten(file)


async def test_what_is_old_is_found_by_an_index(asker: Asker, file: Path) -> None:
    assert (await asker.get("/api/runs")).status == 200
    with opened(file) as tx:
        for statement in (tombstones.REMEMBER_HOW_FAR, tombstones.FORGET_OLDEST):
            plan = [row["detail"] for row in tx.execute("EXPLAIN QUERY PLAN " + statement, {"before": 1, "most": 9})]
            assert any("tombstones_by_age (deleted_at<?)" in step for step in plan), plan
            assert not any("SCAN tombstones" in step for step in plan), plan


@pytest.mark.parametrize("leaving", ["erasure", "adoption"])
async def test_the_tombstones_of_who_leaves_go_in_bounded_pieces(
    asker: Asker, file: Path, monkeypatch: pytest.MonkeyPatch, leaving: str
) -> None:
    await left(asker, OTHER)
    await puts(asker, GUEST, *(run(number) for number in range(10)))
    await told(await asker.delete("/api/runs"))
    sizes = []
    forget_all = tombstones.forget_all

    def seen(tx: Connection, owner: str, most: int = 3) -> bool:
        before = tx.execute("SELECT count(*) FROM tombstones").fetchone()[0]
        more = forget_all(tx, owner, most)
        sizes.append(before - tx.execute("SELECT count(*) FROM tombstones").fetchone()[0])
        return more

    monkeypatch.setattr(tombstones, "forget_all", seen)
    if leaving == "erasure":
        await told(await asker.post("/internal/erasure", owner=GUEST, scope=Scope.SYSTEM))
    else:
        await adopt(asker)
    with opened(file) as tx:
        owners = [row[0] for row in tx.execute("SELECT DISTINCT owner FROM tombstones")]
    assert owners == [OTHER]
    assert [size for size in sizes if size] == [3, 3, 3, 1]
