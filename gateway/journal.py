"""The durable record of operations that span several services: who works on which, and what was decided.

A row leaves `staging` once, by one compare-and-set: to `committing`, from where it only goes forward, or to `aborting`.
"""

import secrets
import sqlite3
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import orjson

from chassis.database import Database
from chassis.problems import Problem

LEASE_SECONDS = 10.0


class Stage(StrEnum):
    """How far an operation has come."""

    STAGING = "staging"
    COMMITTING = "committing"
    DONE = "done"
    ABORTING = "aborting"
    ABORTED = "aborted"


@dataclass(frozen=True)
class Operation:
    """One row of the journal."""

    id: str
    owner: str
    mode: str
    stage: Stage


class Journal:
    """All SQL of the gateway. `holder` names this process; leases are its promise to be at work."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._holder = secrets.token_hex(8)

    async def begin(self, owner: str, kind: str, mode: str) -> Operation:
        """Raises Problem 409 while another operation of this owner is under way."""
        operation = Operation(f"r_{secrets.token_hex(12)}", owner, mode, Stage.STAGING)
        now = datetime.now(UTC).isoformat()
        row = (operation.id, owner, kind, mode, operation.stage, self._holder, time.time() + LEASE_SECONDS, now, now)

        def insert(tx: sqlite3.Connection) -> None:
            tx.execute(
                "INSERT INTO operations (id, owner, kind, mode, stage, holder, lease_until, started_at, changed_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                row,
            )

        try:
            await self._database.write(insert)
        except sqlite3.IntegrityError as error:
            detail = "Another restore of this profile is under way; wait until it has ended."
            raise Problem(409, "restore_under_way", detail, headers={"Retry-After": "2"}) from error
        return operation

    async def move(self, operation: Operation, to: Stage, outcome: dict[str, Any] | None = None) -> bool:
        """Move on from `operation.stage`; False where the row has meanwhile gone another way."""
        text = orjson.dumps(outcome).decode() if outcome is not None else None
        return await self._changed(
            "UPDATE operations SET stage = ?, outcome = coalesce(?, outcome), changed_at = ?"
            " WHERE id = ? AND stage = ?",
            (to, text, datetime.now(UTC).isoformat(), operation.id, operation.stage),
        )

    async def renew(self, operation: Operation) -> bool:
        """Keep the lease; False where another gateway has taken the operation over."""
        return await self._changed(
            "UPDATE operations SET lease_until = ? WHERE id = ? AND holder = ?",
            (time.time() + LEASE_SECONDS, operation.id, self._holder),
        )

    async def release(self, operation: Operation) -> None:
        """Give up the lease now: what is unfinished may be taken over at once, by this gateway too."""
        await self._changed(
            "UPDATE operations SET lease_until = ? WHERE id = ? AND holder = ?",
            (time.time(), operation.id, self._holder),
        )

    async def take_lapsed(self) -> Operation | None:
        """Take over one unfinished operation that nobody is at work on any more."""
        now = time.time()

        def take(tx: sqlite3.Connection) -> Operation | None:
            row = tx.execute(
                "UPDATE operations SET holder = ?, lease_until = ? WHERE id = (SELECT id FROM operations"
                " WHERE stage IN ('staging', 'committing', 'aborting') AND lease_until < ?"
                " ORDER BY lease_until LIMIT 1)"
                " RETURNING id, owner, mode, stage",
                (self._holder, now + LEASE_SECONDS, now),
            ).fetchone()
            return Operation(row["id"], row["owner"], row["mode"], Stage(row["stage"])) if row else None

        if not await self._database.read(lambda tx: _any_lapsed(tx, now)):
            return None
        return await self._database.write(take)

    async def commit_under_way(self, owner: str) -> bool:
        query = "SELECT 1 FROM operations WHERE owner = ? AND stage = 'committing'"
        return await self._database.read(lambda tx: tx.execute(query, (owner,)).fetchone() is not None)

    async def last_change(self, owner: str) -> str | None:
        """Rises with every step of the owner's operations: the same before and after means that none was taken."""
        query = "SELECT max(changed_at) FROM operations WHERE owner = ?"
        found: str | None = await self._database.read(lambda tx: tx.execute(query, (owner,)).fetchone()[0])
        return found

    async def _changed(self, sql: str, values: tuple[Any, ...]) -> bool:
        return await self._database.write(lambda tx: tx.execute(sql, values).rowcount == 1)


def _any_lapsed(tx: sqlite3.Connection, now: float) -> bool:
    query = "SELECT 1 FROM operations WHERE stage IN ('staging', 'committing', 'aborting') AND lease_until < ? LIMIT 1"
    return tx.execute(query, (now,)).fetchone() is not None
