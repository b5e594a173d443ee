"""The chores that are alike in every service that takes part in restores: old answers, operations and undo data.

Expects the tables `requests` and `restores` of the service's migrations.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

import orjson

from chassis import once
from chassis.schema import writing
from chassis.staging import KEPT_DAYS
from chassis.upkeep import Chore, chosen, counted, repeated

OPERATIONS_DAYS: Final = 30  # more than KEPT_DAYS, so that what an undo needs is gone before
DROPPING: Final = 2  # in `kept`: what was kept is being dropped, and nobody can undo it any more

ENDED: Final = """
    FROM restores WHERE kept = 0 AND state IN ('committed', 'aborted') AND changed_at < :before
    AND restore_id NOT IN (SELECT value FROM json_each(:unfinished))"""
EXPIRED: Final = """
    kept = 1 AND changed_at < :before AND restore_id NOT IN (SELECT value FROM json_each(:unfinished))"""

DROPPED: Final = f"SELECT restore_id, owner FROM restores WHERE kept = {DROPPING}"  # noqa: S608 - a constant

# Drops a piece of what a restore of this owner has kept; whether there is more.
Drop = Callable[[sqlite3.Connection, str, str], bool]


def old_answers(now: datetime) -> Chore:
    """Answers under an Idempotency-Key whose time is over."""
    seconds = int(now.timestamp())
    count = "SELECT count(*), coalesce(sum(length(body)), 0) FROM requests WHERE kept_until < :now"
    return Chore(
        "idempotency_keys", counted(count, {"now": seconds}), repeated(lambda tx: once.forget_old(seconds, tx))
    )


def old_operations(now: datetime, unfinished: Sequence[str]) -> Chore:
    """What is remembered of operations that ended long ago, but for those that the journal has not ended: it would ask
    for the answer once more."""
    values = _values(now, OPERATIONS_DAYS, unfinished)
    return Chore(
        "operations",
        counted(f"SELECT count(*), coalesce(sum(length(answer)), 0) {ENDED}", values),
        chosen(
            f"SELECT restore_id {ENDED}",
            f"DELETE {ENDED} AND restore_id IN (SELECT value FROM json_each(:chosen))",  # noqa: S608
            values,
        ),
    )


def old_undo_data(now: datetime, unfinished: Sequence[str], drop: Drop) -> Chore:
    """What restores have kept for an undo that is no longer open."""
    values = _values(now, KEPT_DAYS, unfinished)
    count = f"SELECT count(*), 0 FROM restores WHERE kept = {DROPPING} OR ({EXPIRED})"  # noqa: S608 - constants

    def pieces(tx: sqlite3.Connection) -> Iterator[int]:
        with writing(tx):
            tx.execute(f"UPDATE restores SET kept = {DROPPING} WHERE {EXPIRED}", values)  # noqa: S608
        for restore_id, owner in tx.execute(DROPPED).fetchall():
            more = True
            while more:
                with writing(tx):
                    more = drop(tx, restore_id, owner)
                    if not more:
                        tx.execute("UPDATE restores SET kept = 0 WHERE restore_id = ?", (restore_id,))
                yield int(not more)

    return Chore("undo_data", counted(count, values), pieces)


def _values(now: datetime, days: int, unfinished: Sequence[str]) -> dict[str, str]:
    before = (now - timedelta(days=days)).isoformat()
    return {"before": before, "unfinished": orjson.dumps(list(unfinished)).decode()}
