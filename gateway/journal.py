"""The durable record of operations that span several services: who works on which, and what was decided.

A row leaves `staging` once, by one compare-and-set: to `committing`, from where it only goes forward, or to `aborting`.
"""

import secrets
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import orjson
from aiohttp import web

from chassis.database import Database
from gateway import entries, metrics, succession
from gateway.backup_turns import one_backup
from gateway.entries import Unfinished
from gateway.leases import held
from gateway.operations import ENDED, NOT_IN_PLACE, Entry, Kind, Operation, Stage
from gateway.refusals import lapsed, under_way, undoable
from gateway.settings import LEASE_SECONDS

MOST_SHOWN = 100


class Journal:
    """What the gateway writes down. `holder` names this process; leases are its promise to be at work."""

    def __init__(self, database: Database, lease_seconds: float = LEASE_SECONDS) -> None:
        self._database = database
        self._holder = secrets.token_hex(8)
        self._lease = lease_seconds

    async def begin(self, owner: str, kind: Kind, mode: str, name: str | None = None) -> Operation:
        """Raises Problem 409 while another operation of this owner is under way, or where `name` is taken."""

        def insert(tx: sqlite3.Connection) -> Operation:
            taken = entries.read_entry(tx, owner, name) if name is not None else None
            if taken is not None and taken.operation.stage not in NOT_IN_PLACE:
                raise under_way()
            return self._insert(tx, _fresh(owner, kind, mode, name))

        return await self._database.write(insert)

    async def begin_undo(self, owner: str, restore_name: str, name: str | None = None) -> tuple[Operation, Operation]:
        """The undo, and the restore that it takes back. Raises Problem 404, 409 where it is under way or cannot be."""

        def insert(tx: sqlite3.Connection) -> tuple[Operation, Operation]:
            undone = undoable(entries.read_entry(tx, owner, restore_name), name).operation
            undo = _fresh(owner, Kind.UNDO, undone.mode, name, undoes=undone.id, participants=undone.participants)
            return self._insert(tx, undo), undone

        return await self._database.write(insert)

    async def begin_adoption(self, guest: str, user: str) -> Operation:
        """Decided at once. Raises Problem 409 where an operation of the guest is under way, or the user was deleted."""

        def insert(tx: sqlite3.Connection) -> Operation:
            succession.refuse_deleted(tx, user)
            succession.drop_postponed(tx, guest)
            return self._insert(tx, _decided(guest, Kind.ADOPTION, target=user))

        return await self._database.write(insert)

    async def begin_erasure(self, owner: str, kind: Kind) -> Operation:
        """Decided at once. Raises Problem 409 while another operation that concerns the owner is under way."""

        def insert(tx: sqlite3.Connection) -> Operation:
            succession.drop_postponed(tx, owner)
            if entries.is_at_something(tx, owner):  # what is taken back later would write of the owner once more
                raise under_way()
            return self._insert(tx, _decided(owner, kind))

        return await self._database.write(insert)

    async def postpone_adoption(self, guest: str, user: str) -> None:
        """Have what the guest may still be writing adopted a minute from now. Raises Problem 409 as above."""

        def insert(tx: sqlite3.Connection) -> None:
            succession.refuse_deleted(tx, user)
            succession.drop_postponed(tx, guest)
            succession.postpone(tx, self._insert(tx, _decided(guest, Kind.ADOPTION, target=user)))

        await self._database.write(insert)

    async def end_and_repeat(self, operation: Operation, outcome: dict[str, Any]) -> None:
        """Move an operation of OF_OWNERS to its end, and have it done once more a minute from now."""

        def work(tx: sqlite3.Connection) -> bool:
            if not _move(tx, operation, Stage.DONE, outcome):
                return False
            again = _decided(operation.owner, operation.kind, target=operation.target, repeats=operation.id)
            succession.postpone(tx, self._insert(tx, again))
            return True

        if await self._database.write(work):
            metrics.OPERATIONS_ENDED.labels(operation.kind, Stage.DONE).inc()

    async def guests_of(self, user: str) -> list[str]:
        """Whose things the user has taken over."""
        return await self._database.read(lambda tx: succession.guests_of(tx, user))

    async def forget(self, owner: str, *, but: str | None = None) -> None:
        """Drop what the journal tells of an erased owner, except the operation `but`."""
        await self._database.write(lambda tx: succession.forget(tx, owner, but))

    async def involve(self, operation: Operation, participant: str) -> None:
        """Note, before anything is sent to it, that a service takes part: whatever happens, it will be told the end.

        Raises Problem 503 where the operation was aborted meanwhile.
        """
        sql = "UPDATE operations SET participants = json_insert(participants, '$[#]', ?) WHERE id = ? AND stage = ?"
        if not await self._changed(sql, (participant, operation.id, Stage.STAGING)):
            raise lapsed()

    async def decide(self, operation: Operation, found: dict[str, Any], fingerprint: str | None) -> Operation | None:
        """From staging to committing, with what was found in the document; None where it went another way."""
        return await self._returned(
            "UPDATE operations SET stage = ?, outcome = ?, fingerprint = ?, changed_at = ?"
            " WHERE id = ? AND stage = ? RETURNING *",
            (Stage.COMMITTING, _json(found), fingerprint, _now(), operation.id, Stage.STAGING),
        )

    async def abort(self, operation: Operation, outcome: dict[str, Any] | None) -> Operation | None:
        """From staging to aborting, with all who take part by now; None where it is decided or at its end."""
        return await self._returned(
            "UPDATE operations SET stage = ?, outcome = coalesce(outcome, ?), changed_at = ?"
            " WHERE id = ? AND stage IN (?, ?) RETURNING *",
            (Stage.ABORTING, outcome and _json(outcome), _now(), operation.id, Stage.STAGING, Stage.ABORTING),
        )

    async def move(self, operation: Operation, to: Stage, outcome: dict[str, Any] | None = None) -> bool:
        """Move on from `operation.stage`; False where the row has meanwhile gone another way."""
        moved = await self._database.write(lambda tx: _move(tx, operation, to, outcome))
        if moved and to in ENDED:
            metrics.OPERATIONS_ENDED.labels(operation.kind, to).inc()
        return moved

    @asynccontextmanager
    async def leased(self, operation: Operation) -> AsyncIterator[None]:
        """Keep the lease while the block runs, so that no other gateway takes the operation for abandoned.

        Released at the end, however that came: what the block left unfinished is taken up by recovery within a second.
        """

        async def until(moment: float) -> None:
            sql = "UPDATE operations SET lease_until = ? WHERE id = ? AND holder = ?"
            await self._changed(sql, (moment, operation.id, self._holder))

        async with held(until, self._lease):
            yield

    async def take_lapsed(self) -> Operation | None:
        """Take over one unfinished operation that nobody is at work on any more."""
        now = time.time()

        def take(tx: sqlite3.Connection) -> Operation | None:
            row = tx.execute(
                "UPDATE operations SET holder = ?, lease_until = ? WHERE id = (SELECT id FROM operations WHERE"
                " stage IN ('staging', 'committing', 'aborting') AND lease_until < ?"
                " AND kind IN (SELECT value FROM json_each(?))"  # a newer release may know others
                " ORDER BY lease_until LIMIT 1)"
                " RETURNING *",
                (self._holder, now + self._lease, now, _json(list(Kind))),
            ).fetchone()
            return entries.operation_of(row) if row else None

        if not await self._database.read(lambda tx: entries.is_any_lapsed(tx, now)):
            return None
        return await self._database.write(take)

    async def unfinished(self) -> list[Unfinished]:
        """How many operations of each kind and stage are not at their end; reads those alone, by their index."""
        return await self._database.read(entries.count_unfinished)

    async def commit_under_way(self, owner: str) -> bool:
        """A restore or an adoption that puts something into the owner's profile, at this moment."""
        return await self._database.read(lambda tx: entries.is_committing(tx, owner))

    async def steps(self, owner: str) -> int:
        """Rises with every step of the owner's operations: the same before and after means that none was taken."""
        return await self._database.read(lambda tx: entries.count_steps(tx, owner))

    async def entry(self, owner: str, name: str) -> Entry | None:
        """The owner's latest operation of this name."""
        return await self._database.read(lambda tx: entries.read_entry(tx, owner, name))

    async def restores(self, owner: str) -> list[Entry]:
        """The owner's restores, newest first, at most MOST_SHOWN."""
        return await self._database.read(lambda tx: entries.read_restores(tx, owner, MOST_SHOWN))

    def one_backup(self, owner: str) -> AbstractAsyncContextManager[None]:
        """The owner's turn to make a backup. Raises Problem 409 while another is being made."""
        return one_backup(self._database, owner, self._lease)

    def _insert(self, tx: sqlite3.Connection, operation: Operation) -> Operation:
        it = operation
        row = (it.id, it.owner, it.kind, it.mode, it.stage, it.name, it.undoes, it.target, it.repeats)
        try:
            tx.execute(
                "INSERT INTO operations (id, owner, kind, mode, stage, name, undoes, target, repeats, participants,"
                " started_at, changed_at, holder, lease_until) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*row, _json(it.participants), it.started_at, it.changed_at, self._holder, time.time() + self._lease),
            )
        except sqlite3.IntegrityError as error:
            raise under_way() from error
        return operation

    async def _returned(self, sql: str, values: tuple[Any, ...]) -> Operation | None:
        row = await self._database.write(lambda tx: tx.execute(sql, values).fetchone())
        return entries.operation_of(row) if row else None

    async def _changed(self, sql: str, values: tuple[Any, ...]) -> bool:
        return await self._database.write(lambda tx: tx.execute(sql, values).rowcount == 1)


def _move(tx: sqlite3.Connection, operation: Operation, to: Stage, outcome: dict[str, Any] | None) -> bool:
    sql = "UPDATE operations SET stage = ?, outcome = coalesce(?, outcome), changed_at = ? WHERE id = ? AND stage = ?"
    told = None if outcome is None else _json(outcome)
    return tx.execute(sql, (to, told, _now(), operation.id, operation.stage)).rowcount == 1


def _fresh(owner: str, kind: Kind, mode: str, name: str | None, **rest: Any) -> Operation:
    id_, now = f"r_{secrets.token_hex(12)}", _now()
    return Operation(id_, owner, kind, mode, Stage.STAGING, name or id_, started_at=now, changed_at=now, **rest)


JOURNAL: web.AppKey[Journal] = web.AppKey("journal", Journal)


def _decided(owner: str, kind: Kind, **rest: Any) -> Operation:
    return _fresh(owner, kind, kind, None, **rest).at(Stage.COMMITTING)


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
