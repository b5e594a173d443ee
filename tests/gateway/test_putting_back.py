"""What a recovery reads out of the old journal, as the gateway really leaves it there."""

from contextlib import closing

from chassis.database import Database
from chassis.schema import connect
from gateway.journal import Journal
from gateway.operations import Kind, Operation, Stage
from gateway.putting_back import delete_again, deletions
from gateway.succession import REPEAT_SECONDS

OWNER = "user:1"


def deleted(database: Database) -> list[str]:
    with closing(connect(database.path)) as tx:
        return [each["id"] for each in deletions(tx) if each["owner"] == OWNER]


async def at_once(journal: Journal, database: Database) -> Operation:
    """The repetition, taken up before its minute is over."""
    with closing(connect(database.path)) as tx:
        tx.execute("UPDATE operations SET lease_until = lease_until - ?", (REPEAT_SECONDS + 1,))
    again = await journal.take_lapsed()
    assert again is not None
    return again


async def test_a_deletion_is_found_from_its_decision_on_and_when_it_was_repeated_too(
    journal: Journal, database: Database
) -> None:
    operation = await journal.begin_erasure(OWNER, Kind.DELETION)
    assert deleted(database) == [operation.id]
    await journal.end_and_repeat(operation, {})
    assert deleted(database) == [operation.id]
    again = await at_once(journal, database)
    assert await journal.move(again, Stage.DONE, {})
    await journal.forget(OWNER, but=again.id)
    assert deleted(database) == [operation.id]
    with closing(connect(database.path)) as tx:
        assert delete_again(tx, deletions(tx)) == 0
