"""What no run needs is removed; what one needs, or an undo that is open, stays to the byte."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chassis.peers import Scope
from chassis.schema import connect
from chassis.upkeep import clean, look
from runs_service import pieces
from runs_service.upkeep import chores
from tests.runs_service.conftest import all_runs, check_favorites, counted, opened, put, restore, stage, told, undo
from tests.runs_service.samples import data_url
from tests.support import Asker

YEAR = 365


def run(run_id: str, image: bytes | None = None) -> dict[str, Any]:
    return {"run_id": run_id} | ({"source_image_data_url": data_url(image)} if image is not None else {})


def prune(file: Path, *, days: int = 0, unfinished: list[str] | None = None) -> dict[str, int]:
    """Rows removed, of the kinds of which there were any; as of so many days from now."""
    there = chores(datetime.now(UTC) + timedelta(days=days), unfinished or [], YEAR)
    with closing(connect(file)) as tx:
        removed = clean(tx, there, lambda _: None)
        assert set(look(tx, there).values()) == {(0, 0)}
        return {name: rows for name, rows in removed.items() if rows}


def orphans(file: Path) -> Iterator[int]:
    """Contents and images that nothing refers to, as a fault of an older release might have left them."""
    with opened(file) as tx:
        tx.execute("INSERT INTO images SELECT 'guest:a', 'ff' || value, 3, x'010203' FROM json_each('[1, 2, 3]')")
        for _ in range(4):
            rowid = tx.execute("INSERT INTO contents (search, payload) VALUES ('', CAST('{}' AS BLOB))").lastrowid
            yield int(rowid or 0)


async def test_nothing_goes_of_what_is_in_use(asker: Asker, file: Path) -> None:
    await put(asker, run("R1", image=b"one"))
    await restore(asker, [run("R1", image=b"two"), run("R2", image=b"three")])
    assert prune(file) == prune(file, days=7) == {}
    assert await undo(asker) == (2, 0)
    assert await all_runs(asker) == [run("R1", image=b"one")]


async def test_contents_and_images_that_nothing_refers_to_go(asker: Asker, file: Path) -> None:
    await put(asker, run("R1", image=b"one"))
    before = await all_runs(asker)
    assert len(list(orphans(file))) == 4
    assert prune(file) == {"images": 3, "contents": 4}
    assert (counted(file, "images"), counted(file, "contents")) == (1, 1)
    assert await all_runs(asker) == before
    check_favorites(file)


async def test_deletions_are_forgotten_after_ninety_days_and_who_may_miss_them_is_told(
    asker: Asker, file: Path
) -> None:
    await put(asker, run("R1"))
    token = (await told(await asker.get("/api/runs?since=")))["token"]
    await told(await asker.delete("/api/runs/R1"))
    assert prune(file, days=89) == {}
    assert prune(file, days=91) == {"tombstones": 1}
    assert (await told(await asker.get(f"/api/runs?since={token}"), 410))["code"] == "resync_required"


async def test_an_undo_that_is_over_leaves_nothing_behind(asker: Asker, file: Path) -> None:
    await put(asker, run("R1", image=b"one"))
    await restore(asker, [run("R1", image=b"two")])
    assert prune(file, days=9, unfinished=["one"]) == {}
    assert prune(file, days=9) == {"undo_data": 1, "images": 1}
    assert (counted(file, "undo_runs"), counted(file, "images"), counted(file, "contents")) == (0, 1, 1)
    assert await all_runs(asker) == [run("R1", image=b"two")]
    await stage(asker, [], "undo", mode="undo", undoes="one", parts=(), status=409)


async def test_an_undo_that_was_half_dropped_is_dropped_to_its_end(
    asker: Asker, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "MOST_ROWS", 2)
    await restore(asker, [run(f"R{n}") for n in range(7)])
    (there,) = [each for each in chores(datetime.now(UTC) + timedelta(days=9), [], YEAR) if each.name == "undo_data"]
    with closing(connect(file)) as tx:
        broken_off = there.pieces(tx)
        next(broken_off)
        del broken_off
        assert chores(datetime.now(UTC), [], YEAR)[3].amount(tx).rows == 1
    assert counted(file, "undo_runs") == 5
    assert prune(file) == {"undo_data": 1}  # at once, however young: nobody can undo a half
    assert counted(file, "undo_runs") == 0
    assert len(await all_runs(asker)) == 7


async def test_operations_are_forgotten_after_a_month(asker: Asker, file: Path) -> None:
    await restore(asker, [run("R1")])
    prune(file, days=9)
    assert prune(file, days=31, unfinished=["one"]) == {}
    assert prune(file, days=31) == {"operations": 1}


async def test_the_audit_is_kept_for_a_year(asker: Asker, file: Path) -> None:
    await told(await asker.put("/internal/runs/R1", json=run("R1"), scope=Scope.WORKER), 201)
    assert [prune(file, days=YEAR - 1), prune(file, days=YEAR + 1)] == [{}, {"audit": 1}]


async def test_images_that_are_on_their_way_to_a_user_are_copied_again(asker: Asker, file: Path) -> None:
    """An adoption copies them ahead, when no run shows them yet."""
    await put(asker, run("R1", image=b"one"))
    with opened(file) as tx:
        pieces.copy_images(tx, "guest:a", "user:1")
    assert prune(file) == {"images": 1}
    await told(await asker.post("/internal/adoptions/one", owner="user:1", guest="guest:a", scope=Scope.SYSTEM))
    assert await all_runs(asker, owner="user:1") == [run("R1", image=b"one")]
    with closing(sqlite3.connect(file)) as tx:
        assert tx.execute("PRAGMA foreign_key_check").fetchall() == []
