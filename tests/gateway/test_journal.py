"""The journal lets one gateway at a time work for an owner, and never takes back what was decided."""

import asyncio
import sqlite3

import pytest

from chassis.database import Database
from chassis.problems import Problem
from gateway.journal import Journal
from gateway.operations import Kind, Stage


async def let_leases_lapse(database: Database) -> None:
    def backdate(tx: sqlite3.Connection) -> None:
        tx.execute("UPDATE operations SET lease_until = lease_until - 1000")

    await database.write(backdate)


async def test_one_operation_an_owner_at_a_time(database: Database) -> None:
    journal = Journal(database)
    first = await journal.begin("guest:a", Kind.RESTORE, "merge")
    with pytest.raises(Problem) as refused:
        await Journal(database).begin("guest:a", Kind.RESTORE, "merge")
    assert refused.value.status == 409
    await journal.begin("guest:b", Kind.RESTORE, "merge")
    assert await journal.move(first, Stage.ABORTING)
    assert await journal.move(first.at(Stage.ABORTING), Stage.ABORTED)
    await journal.begin("guest:a", Kind.RESTORE, "merge")


async def test_decision_and_abort_exclude_each_other(database: Database) -> None:
    for _ in range(20):
        journal, other = Journal(database), Journal(database)
        operation = await journal.begin("guest:a", Kind.RESTORE, "merge")
        won = await asyncio.gather(journal.move(operation, Stage.COMMITTING), other.move(operation, Stage.ABORTING))
        assert sorted(won) == [False, True]
        stage = Stage.COMMITTING if won[0] else Stage.ABORTING
        assert await journal.move(operation.at(stage), Stage.DONE)


async def test_only_a_lapsed_lease_is_taken_over_and_only_once(database: Database) -> None:
    journal, others = Journal(database), [Journal(database) for _ in range(5)]
    operation = await journal.begin("guest:a", Kind.RESTORE, "merge")
    assert await others[0].take_lapsed() is None
    await let_leases_lapse(database)
    taken = await asyncio.gather(*(other.take_lapsed() for other in others))
    assert [each for each in taken if each] == [operation]


async def test_a_finished_operation_is_left_alone(database: Database) -> None:
    journal = Journal(database)
    operation = await journal.begin("guest:a", Kind.RESTORE, "merge")
    await journal.move(operation, Stage.COMMITTING)
    await journal.move(operation.at(Stage.COMMITTING), Stage.DONE, {"restored_runs": 1})
    await let_leases_lapse(database)
    assert await journal.take_lapsed() is None
    assert not await journal.commit_under_way("guest:a")


async def test_a_name_is_taken_once_what_it_names_is_decided_and_free_again_after_an_abort(database: Database) -> None:
    journal = Journal(database)
    first = await journal.begin("guest:a", Kind.RESTORE, "merge", "mine")
    assert await journal.abort(first, None)
    second = await journal.begin("guest:a", Kind.RESTORE, "merge", "mine")
    assert await journal.decide(second, {}, "fingerprint")
    assert await journal.move(second.at(Stage.COMMITTING), Stage.DONE)
    with pytest.raises(Problem) as taken:
        await journal.begin("guest:a", Kind.RESTORE, "merge", "mine")
    assert taken.value.status == 409
    await journal.begin("guest:b", Kind.RESTORE, "merge", "mine")


async def test_nobody_joins_an_operation_that_was_given_up(database: Database) -> None:
    journal = Journal(database)
    operation = await journal.begin("guest:a", Kind.RESTORE, "merge")
    await journal.involve(operation, "settings")
    aborting = await Journal(database).abort(operation, None)
    assert aborting is not None
    assert aborting.participants == ("settings",)
    with pytest.raises(Problem) as lapsed:
        await journal.involve(operation, "runs")
    assert lapsed.value.code == "restore_lapsed"


async def test_an_operation_of_a_kind_that_only_a_newer_release_knows_is_left_to_it(database: Database) -> None:
    journal = Journal(database)
    await journal.begin("guest:a", Kind.RESTORE, "merge")
    await database.write(lambda tx: tx.execute("UPDATE operations SET kind = 'of tomorrow'"))
    await let_leases_lapse(database)
    assert await journal.take_lapsed() is None


async def test_every_step_is_seen_whatever_the_clock_says(database: Database) -> None:
    journal = Journal(database)
    seen = [await journal.steps("guest:a")]
    operation = await journal.begin("guest:a", Kind.RESTORE, "merge")
    seen.append(await journal.steps("guest:a"))
    await journal.decide(operation, {}, None)
    seen.append(await journal.steps("guest:a"))
    await journal.move(operation.at(Stage.COMMITTING), Stage.DONE)
    seen.append(await journal.steps("guest:a"))
    await journal.begin("guest:a", Kind.RESTORE, "merge")
    assert seen == sorted(set(seen))
    assert await journal.steps("guest:a") > seen[-1]
