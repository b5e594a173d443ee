"""What the gateway tells of its services and of its journal, however long that is."""

import sqlite3

import aiohttp
import pytest
from prometheus_client import REGISTRY

from chassis.database import Database
from chassis.documents import Malformed
from gateway import metrics
from gateway.entries import UNFINISHED
from gateway.journal import Journal
from gateway.metrics import Failure, failure_of
from gateway.operations import Kind, Stage


async def unfinished(database: Database, kind: str, stage: str) -> float | None:
    await metrics.tell_unfinished(Journal(database).unfinished)
    return REGISTRY.get_sample_value("animatize_operations_unfinished", {"kind": kind, "stage": stage})


def age() -> float:
    return REGISTRY.get_sample_value("animatize_oldest_unfinished_operation_seconds") or 0.0


def ended(stage: Stage) -> float:
    return REGISTRY.get_sample_value("animatize_operations_ended_total", {"kind": "restore", "stage": stage}) or 0.0


async def test_an_operation_is_told_of_in_the_stage_that_it_has_reached(database: Database) -> None:
    journal = Journal(database)
    assert await unfinished(database, "restore", "staging") == 0
    operation = await journal.begin("guest:a", Kind.RESTORE, "merge")
    await journal.begin("guest:b", Kind.RESTORE, "merge")
    assert await unfinished(database, "restore", "staging") == 2
    await journal.decide(operation, {}, None)
    assert await unfinished(database, "restore", "staging") == 1
    assert await unfinished(database, "restore", "committing") == 1
    assert await unfinished(database, "undo", "committing") == 0


async def test_an_end_is_counted_once_and_by_who_brought_it_about(database: Database) -> None:
    journal, other = Journal(database), Journal(database)
    before = ended(Stage.DONE)
    operation = await journal.begin("guest:a", Kind.RESTORE, "merge")
    decided = await journal.decide(operation, {}, None)
    assert decided is not None
    assert ended(Stage.DONE) == before
    assert sorted([await journal.move(decided, Stage.DONE), await other.move(decided, Stage.DONE)]) == [False, True]
    assert ended(Stage.DONE) == before + 1
    assert await unfinished(database, "restore", "committing") == 0


async def test_the_age_is_that_of_the_oldest_and_nothing_where_all_are_at_their_end(database: Database) -> None:
    journal = Journal(database)
    old = await journal.begin("guest:a", Kind.RESTORE, "merge")
    await journal.begin("guest:b", Kind.UNDO, "merge")
    backdate = "UPDATE operations SET started_at = '2026-01-01T00:00:00.000000+00:00' WHERE id = ?"
    await database.write(lambda tx: tx.execute(backdate, (old.id,)))
    await unfinished(database, "restore", "staging")
    assert age() > 86_400
    await database.write(lambda tx: tx.execute("UPDATE operations SET stage = 'aborted'"))
    await unfinished(database, "restore", "staging")
    assert age() == 0


async def test_kinds_and_stages_of_a_newer_release_share_one_label(database: Database) -> None:
    journal = Journal(database)
    operation = await journal.begin("guest:a", Kind.RESTORE, "merge")
    await database.write(
        lambda tx: tx.execute("UPDATE operations SET kind = 'of tomorrow' WHERE id = ?", (operation.id,))
    )
    assert await unfinished(database, "other", "other") == 1
    assert (
        REGISTRY.get_sample_value("animatize_operations_unfinished", {"kind": "of tomorrow", "stage": "staging"})
        is None
    )
    await database.write(lambda tx: tx.execute("DELETE FROM operations"))
    assert await unfinished(database, "other", "other") == 0


async def test_counting_reads_by_the_index_and_so_nothing_of_what_has_ended(database: Database) -> None:
    def plan(tx: sqlite3.Connection) -> list[str]:
        return [row["detail"] for row in tx.execute(f"EXPLAIN QUERY PLAN {UNFINISHED}")]

    (scan, *sorting) = await database.read(plan)
    assert "USING INDEX unfinished" in scan or "USING INDEX one_at_a_time" in scan, scan
    assert all("TEMP B-TREE" in each for each in sorting)


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (aiohttp.ConnectionTimeoutError(), Failure.REFUSED),
        (aiohttp.SocketTimeoutError(), Failure.TIMEOUT),
        (TimeoutError(), Failure.TIMEOUT),
        (aiohttp.ServerDisconnectedError(), Failure.CUT),
        (aiohttp.ClientOSError(), Failure.CUT),
        (aiohttp.ClientPayloadError(), Failure.CUT),
        (ConnectionResetError(), Failure.CUT),
        (Malformed("cut short"), Failure.UNUSABLE),
        (LookupError(), Failure.OTHER),
    ],
)
def test_every_failure_is_one_of_a_few(error: Exception, failure: Failure) -> None:
    assert failure_of(error) is failure


async def test_that_nobody_listens_is_a_refusal() -> None:
    async with aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.ClientConnectorError) as raised:
            await http.get("http://127.0.0.1:9")
    assert failure_of(raised.value) is Failure.REFUSED


@pytest.mark.parametrize("service", metrics.SERVICES)
def test_what_has_not_happened_yet_is_told_as_0(service: str) -> None:
    names = ("animatize_upstream_retries_total", "animatize_upstream_seconds_count", "animatize_replicas_skipped_total")
    assert all(REGISTRY.get_sample_value(name, {"service": service}) is not None for name in names)
    for reason in Failure:
        labels = {"service": service, "reason": reason}
        assert REGISTRY.get_sample_value("animatize_upstream_failures_total", labels) is not None
