"""The journal forgets what ended long ago, and nothing that anybody may still need."""

import asyncio
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from chassis.database import Database
from chassis.schema import connect
from chassis.upkeep import clean, look
from gateway.journal import Journal
from gateway.operations import Kind, Stage
from gateway.upkeep import chores, unfinished

OWNER = "user:1"


def prune(database: Database, days: int) -> dict[str, int]:
    """As of so many days from now."""
    there = chores(datetime.now(UTC) + timedelta(days=days))
    with closing(connect(database.path)) as tx:
        found = {name: amount.rows for name, amount in look(tx, there).items()}
        assert clean(tx, there, lambda _: None) == found
        return found


async def ended(journal: Journal, kind: Kind = Kind.RESTORE, stage: Stage = Stage.DONE, name: str | None = None) -> str:
    operation = await journal.begin(OWNER, kind, "merge", name)
    way = Stage.COMMITTING if stage is not Stage.ABORTED else Stage.ABORTING
    assert await journal.move(operation, way)
    assert await journal.move(operation.at(way), stage, {"restore_id": operation.name})
    return operation.name


@pytest.mark.parametrize("stage", [Stage.DONE, Stage.ABORTED, Stage.FAILED])
async def test_what_ended_a_month_ago_goes(journal: Journal, database: Database, stage: Stage) -> None:
    await ended(journal, stage=stage)
    assert prune(database, 29) == {"dry_runs": 0, "operations": 0, "deletions": 0}
    assert prune(database, 31) == {"dry_runs": 0, "operations": 1, "deletions": 0}


async def test_a_dry_run_goes_after_a_day(journal: Journal, database: Database) -> None:
    await ended(journal, Kind.DRY_RUN, Stage.ABORTED)
    assert prune(database, 0) == {"dry_runs": 0, "operations": 0, "deletions": 0}
    assert prune(database, 2) == {"dry_runs": 1, "operations": 0, "deletions": 0}


async def test_the_latest_restore_can_be_undone_for_its_seven_days(journal: Journal, database: Database) -> None:
    for name in ("one", "two"):
        await ended(journal, name=name)
    prune(database, 7)
    shown = [(each.operation.name, each.shown()["undo"]["open"]) for each in await journal.restores(OWNER)]
    assert shown == [("two", True), ("one", False)]


async def test_what_has_not_ended_stays_whatever_its_age_and_is_told(journal: Journal, database: Database) -> None:
    await ended(journal, name="first")
    undo, undone = await journal.begin_undo(OWNER, "first")
    assert prune(database, 1) == {"dry_runs": 0, "operations": 0, "deletions": 0}
    with closing(connect(database.path)) as tx:
        assert set(unfinished(tx)) == {undo.id, undone.id}
    assert await journal.move(undo, Stage.COMMITTING)
    prune(database, 1000)
    entry = await journal.entry(OWNER, undo.name)
    assert entry is not None
    assert entry.operation.stage is Stage.COMMITTING


async def test_an_adoption_stays_for_it_tells_whose_keys_go_with_the_account(
    journal: Journal, database: Database
) -> None:
    adoption = await journal.begin_adoption("guest:a", OWNER)
    await journal.end_and_repeat(adoption, {})
    prune(database, 1000)
    assert await journal.guests_of(OWNER) == ["guest:a"]


async def test_a_deletion_stays_for_longer_than_snapshots_do_for_it_is_repeated_when_one_is_put_back(
    journal: Journal, database: Database
) -> None:
    await ended(journal, Kind.DELETION)
    assert prune(database, 399) == {"dry_runs": 0, "operations": 0, "deletions": 0}
    assert prune(database, 401) == {"dry_runs": 0, "operations": 0, "deletions": 1}


async def test_nothing_goes_of_an_owner_of_whom_a_backup_is_being_made(journal: Journal, database: Database) -> None:
    """It counts the steps of the owner's operations."""
    await ended(journal)
    async with journal.one_backup(OWNER):
        before = await journal.steps(OWNER)
        assert prune(database, 1000)["operations"] == 0
        assert await journal.steps(OWNER) == before
    await asyncio.sleep(0.01)  # the lease ended at this very moment
    assert prune(database, 1000)["operations"] == 1
