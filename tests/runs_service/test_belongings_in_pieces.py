"""Owners with more than one transaction may move: handed over and erased in pieces, that may break off anywhere."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from chassis import database
from chassis.documents import same
from chassis.peers import Scope
from runs_service import pieces
from tests.runs_service.conftest import all_runs, counted, opened, restore, stage, told
from tests.runs_service.samples import run
from tests.runs_service.test_belongings import GUEST, OTHER, USER, adopt, check, image, puts
from tests.runs_service.test_quota import RECOUNTED
from tests.support import Asker

A_PIECE = 3  # images, of 3000 bytes each
A_PIECE_OF_ROWS = 4
MANY = 10
Counts = dict[tuple[str, str], int]


class Commits:
    """What stands in the file after each transaction; the one numbered `breaking` fails instead."""

    def __init__(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.file, self.breaking = file, -1
        self.states: list[Counts] = []
        self._commit = database.commit_group
        monkeypatch.setattr(database, "commit_group", self._watched)
        monkeypatch.setattr(pieces, "LARGEST_BYTES", A_PIECE * 3000)
        monkeypatch.setattr(pieces, "MOST_ROWS", A_PIECE_OF_ROWS)

    def begin(self, breaking: int = -1) -> None:
        self.states, self.breaking = [self._read()], breaking

    def _watched(self, works: Sequence[Callable[[sqlite3.Connection], Any]], tx: sqlite3.Connection) -> list[Any]:
        if len(self.states) == self.breaking:
            self.breaking = -1
            raise sqlite3.OperationalError("the power is gone")
        outcomes = self._commit(works, tx)
        self.states.append(self._read())
        return outcomes

    def _read(self) -> Counts:
        """How many rows of each table every owner has."""
        with opened(self.file) as tx:
            return {
                (table, owner): number
                for table in ("runs", "images", "undo_runs", "staged_runs")
                for owner, number in tx.execute(f"SELECT owner, count(*) FROM {table} GROUP BY owner")
            }

    def largest_step(self, table: str, owner: str) -> int:
        numbers = [state.get((table, owner), 0) for state in self.states]
        return max(abs(after - before) for before, after in pairwise(numbers))


@pytest.fixture
async def commits(asker: Asker, file: Path, monkeypatch: pytest.MonkeyPatch) -> Commits:
    """Asks for the service, so that its file is there."""
    return Commits(file, monkeypatch)


def many(first: int = 1, **more: Any) -> list[dict[str, Any]]:
    """Runs that each show an image of their own."""
    return [run(number, **image(bytes([number])), **more) for number in range(first, first + MANY)]


async def erase(asker: Asker, owner: str, status: int = 200) -> None:
    await told(await asker.post("/internal/erasure", owner=owner, scope=Scope.SYSTEM), status)


async def test_images_are_copied_and_go_in_pieces_while_the_runs_move_at_once(
    asker: Asker, file: Path, commits: Commits
) -> None:
    await puts(asker, GUEST, *many())
    commits.begin()
    assert await adopt(asker) == (MANY, {})
    assert commits.largest_step("images", USER) == commits.largest_step("images", GUEST) == A_PIECE
    assert {state.get(("runs", USER), 0) for state in commits.states} == {0, MANY}
    assert all(state.get(("runs", USER), 0) + state.get(("runs", GUEST), 0) == MANY for state in commits.states)
    assert same(await all_runs(asker, owner=USER), many())
    check(file, USER)


async def test_what_the_user_has_already_goes_in_pieces(asker: Asker, file: Path, commits: Commits) -> None:
    """Of the guest's runs, of what an undo of the guest's needs, and of what an undo of the user's would bring back."""
    await puts(asker, USER, *many())
    await restore(asker, many(x="other")[:1], "of the user", owner=USER, mode="replace")
    await puts(asker, USER, *many(101))
    await puts(asker, GUEST, *many(201))
    await restore(asker, [*many(), *many(101)], "of the guest", mode="replace")
    commits.begin()
    moved, renamed = await adopt(asker)
    assert (moved, len(renamed)) == (2 * MANY, 1)
    assert commits.largest_step("undo_runs", GUEST) <= A_PIECE_OF_ROWS
    assert max(commits.largest_step("images", owner) for owner in (GUEST, USER)) <= A_PIECE
    check(file, USER)


async def test_an_owner_is_erased_in_pieces(asker: Asker, file: Path, commits: Commits) -> None:
    await fill(asker)
    commits.begin()
    await erase(asker, GUEST)
    assert commits.largest_step("images", GUEST) == A_PIECE
    for table in ("runs", "undo_runs", "staged_runs"):
        assert 0 < commits.largest_step(table, GUEST) <= A_PIECE_OF_ROWS
    check(file, OTHER)


async def fill(asker: Asker) -> None:
    """Live, kept for an undo and staged; and the same of somebody else."""
    for owner in (GUEST, OTHER):
        await puts(asker, owner, *many())
        await restore(asker, many(101), f"one of {owner}", owner=owner, mode="replace")
        await stage(asker, many(201), f"two of {owner}", owner=owner)


@pytest.mark.parametrize("breaking", range(1, 8))
async def test_an_adoption_that_breaks_off_shows_no_half_and_is_ended_by_asking_again(
    asker: Asker, file: Path, commits: Commits, breaking: int
) -> None:
    await puts(asker, GUEST, *many())
    commits.begin(breaking)
    await adopt(asker, status=500)
    mine, theirs = await all_runs(asker), await all_runs(asker, owner=USER)
    assert [] in (mine, theirs)
    assert same(mine + theirs, many())
    for owner in (GUEST, USER):
        assert recounted(file, owner)
    assert await adopt(asker) == (MANY, {})
    assert same(await all_runs(asker, owner=USER), many())
    check(file, USER)


def recounted(file: Path, owner: str) -> bool:
    with opened(file) as tx:
        row = tx.execute("SELECT bytes FROM usage WHERE owner = ?", (owner,)).fetchone()
        return bool((row[0] if row else 0) == tx.execute(RECOUNTED, {"owner": owner}).fetchone()[0])


async def test_one_that_broke_off_is_ended_by_another_a_minute_later(
    asker: Asker, file: Path, commits: Commits
) -> None:
    """What was copied for a run that has gone meanwhile is not left over."""
    await puts(asker, GUEST, *many())
    commits.begin(3)
    await adopt(asker, status=500)
    assert commits.states[-1]["images", USER] == 2 * A_PIECE
    await told(await asker.delete("/api/runs"))
    assert await adopt(asker, "later") == (0, {})
    assert counted(file, "images") == 0
    check(file)


@pytest.mark.parametrize("breaking", [1, 2, 4, 6, 9, 12])
async def test_an_erasure_that_breaks_off_is_ended_by_asking_again(
    asker: Asker, file: Path, commits: Commits, breaking: int
) -> None:
    await fill(asker)
    commits.begin(breaking)
    await erase(asker, GUEST, 500)
    await erase(asker, GUEST)
    check(file, OTHER)


async def test_others_write_between_the_pieces_and_no_two_owners_pieces_come_together(
    asker: Asker, file: Path, commits: Commits
) -> None:
    await puts(asker, GUEST, *many())
    await puts(asker, "guest:b", *many(101))
    commits.begin()
    leaving = asyncio.gather(erase(asker, GUEST), erase(asker, "guest:b"))
    written = 0
    while not leaving.done():
        await puts(asker, OTHER, run(written, **image(b"a")))
        written += 1
    await leaving
    assert written > 2
    together = [sum(number for (table, owner), number in state.items() if table == "images" and owner != OTHER)
                for state in commits.states]  # fmt: skip
    assert max(before - after for before, after in pairwise(together)) == A_PIECE
    check(file, OTHER)


async def test_an_image_larger_than_a_piece_goes_alone(
    asker: Asker, file: Path, commits: Commits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "LARGEST_BYTES", 1)
    await puts(asker, GUEST, *many())
    commits.begin()
    assert await adopt(asker) == (MANY, {})
    assert commits.largest_step("images", USER) == 1
    check(file, USER)
