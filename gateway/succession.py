"""What the journal does for operations on all that an owner has; each runs inside a transaction that the caller opened.

Such an operation is done once more REPEAT_SECONDS later, so that a write comes along that was still under way when it
was done first. Until then nobody holds it: its row is postponed, and recovery takes it up when its time has come.
"""

import sqlite3
import time
from typing import Final

from chassis import changes
from chassis.problems import Problem
from gateway.operations import Kind, Operation, Stage

REPEAT_SECONDS: Final = 60.0
POSTPONED: Final = "postponed"  # in the place of who holds an operation


def postpone(tx: sqlite3.Connection, operation: Operation) -> None:
    lease = "UPDATE operations SET holder = ?, lease_until = ? WHERE id = ?"
    tx.execute(lease, (POSTPONED, time.time() + REPEAT_SECONDS, operation.id))


def drop_postponed(tx: sqlite3.Connection, owner: str) -> None:
    """Nothing has to be done once more where it is done anew, or where the owner goes."""
    tx.execute("DELETE FROM operations WHERE (owner = ? OR target = ?) AND holder = ?", (owner, owner, POSTPONED))


def refuse_deleted(tx: sqlite3.Connection, user: str) -> None:
    """Raises Problem 409 where the account was deleted after the person was known to have it."""
    query = "SELECT 1 FROM operations WHERE owner = ? AND kind = ?"
    if tx.execute(query, (user, Kind.DELETION)).fetchone() is not None:
        raise Problem(409, "account_deleted", "This account was deleted a moment ago. Sign in again for a new one.")


def guests_of(tx: sqlite3.Connection, user: str) -> list[str]:
    query = "SELECT DISTINCT owner FROM operations WHERE target = ?"
    return [guest for (guest,) in tx.execute(query, (user,))]


def forget(tx: sqlite3.Connection, owner: str, but: str | None) -> None:
    ended = f"stage IN ('{Stage.DONE}', '{Stage.ABORTED}', '{Stage.FAILED}')"
    query = f"DELETE FROM operations WHERE (owner = ? OR target = ?) AND id IS NOT ? AND {ended}"  # noqa: S608
    tx.execute(query, (owner, owner, but))
    tx.execute("DELETE FROM backups WHERE owner = ?", (owner,))
    changes.forget(tx, owner)
