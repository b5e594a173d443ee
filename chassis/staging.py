"""A service's side of an operation over several services: stage beside the live data, then commit or abort.

The states and their rules are the same everywhere and stand here; what is staged and how it is applied is the
service's own `Part`. Finished and aborted ids are remembered: a late stage is refused, a second commit gets the first
one's answer. What a commit replaces is kept, for one undo, until the owner's next commit or for UNDO_DAYS. Expects
the table `restores` of the service's migrations.
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Any, Final, Self

import orjson
from aiohttp import web
from pydantic import BaseModel, ConfigDict, model_validator

from chassis.database import Database
from chassis.messages import json_response, read_query
from chassis.parts import UNDO_DAYS, Mode, Outcome, Part, Refusal, Refusals, Restore, Undone
from chassis.peers import Scope, caller
from chassis.problems import Problem
from chassis.serving import Route
from chassis.uploads import Item, Upload

KEPT_DAYS: Final = UNDO_DAYS + 1  # longer than an undo is offered, whatever the clocks of two machines say


class State(StrEnum):
    """How far one operation has come in one service."""

    STAGING = "staging"
    STAGED = "staged"
    COMMITTED = "committed"
    ABORTED = "aborted"


class StageQuery(BaseModel):
    """`undoes` is the id of the restore that an undo takes back."""

    model_config = ConfigDict(extra="forbid")
    mode: Mode = Mode.MERGE
    undoes: str | None = None

    @model_validator(mode="after")
    def _undo_says_what(self) -> Self:
        if (self.mode is Mode.UNDO) != (self.undoes is not None):
            raise ValueError("an undo, and nothing else, names what it undoes")
        return self


Prepare = Callable[[web.Request, list[Item]], Awaitable[list[Item]]]


async def _as_they_come(_: web.Request, items: list[Item]) -> list[Item]:
    return items


def routes(database: web.AppKey[Database], part: Part, prepare: Prepare = _as_they_come) -> list[Route]:
    """The internal routes of the protocol, for a service's route table.

    `prepare` may turn items into others before they are staged, outside of any transaction.
    """

    async def stage(request: web.Request) -> web.Response:
        query = read_query(request, StageQuery)
        restore = replace(_restore(request), mode=query.mode, undoes=query.undoes)
        store = request.app[database]
        begun_at = await store.write(lambda tx: _open(tx, restore, part))
        refusals, upload = Refusals(), Upload(request.content)
        writing: asyncio.Future[list[Refusal]] = asyncio.get_running_loop().create_future()
        writing.set_result([])
        try:  # a batch is read while the one before is written
            async for items in upload.batches():
                ready = await prepare(request, items)
                refusals.add(await writing)
                writing = asyncio.ensure_future(store.write(partial(_take, ready, restore, begun_at, part)))
        finally:
            refusals.add(await writing)
        whole = replace(restore, parts=upload.parts)
        return json_response(await store.write(lambda tx: _staged(tx, whole, begun_at, part, refusals)))

    async def commit(request: web.Request) -> web.Response:
        return json_response(await request.app[database].write(lambda tx: _commit(tx, _restore(request), part)))

    async def abort(request: web.Request) -> web.Response:
        await request.app[database].write(lambda tx: _abort(tx, _restore(request), part))
        return json_response({"state": State.ABORTED})

    path = "/internal/restores/{restore_id}"
    return [
        Route("PUT", path, stage, Scope.SYSTEM),
        Route("POST", path + "/commit", commit, Scope.SYSTEM),
        Route("POST", path + "/abort", abort, Scope.SYSTEM),
    ]


def _restore(request: web.Request) -> Restore:
    return Restore(request.match_info["restore_id"], caller(request).owner, Mode.MERGE)


def _open(tx: sqlite3.Connection, restore: Restore, part: Part) -> str:
    """The time at which this upload began, by which it is known: another under the same id takes its place."""
    match _state(tx, restore):
        case State.ABORTED:
            raise Problem(410, "restore_aborted", "This restore was aborted; start a new one.")
        case State.COMMITTED:
            raise Problem(409, "restore_committed", "This restore is already in place.")
        case State.STAGING | State.STAGED:
            part.discard(tx, restore)
    begun_at = _remember(tx, restore, State.STAGING, None)
    long_ago = (datetime.now(UTC) - timedelta(days=KEPT_DAYS)).isoformat()
    forget(tx, "changed_at < ?", long_ago, part)
    return begun_at


def _take(items: list[Item], restore: Restore, begun_at: str, part: Part, tx: sqlite3.Connection) -> list[Refusal]:
    _refuse_late(tx, restore, begun_at)
    return part.stage(tx, restore, items)


def _refuse_late(tx: sqlite3.Connection, restore: Restore, begun_at: str) -> None:
    changed_at = "SELECT changed_at FROM restores WHERE restore_id = ?"
    if _state(tx, restore) is not State.STAGING or tx.execute(changed_at, (restore.id,)).fetchone()[0] != begun_at:
        raise Problem(410, "restore_aborted", "This restore was aborted, or sent anew, while it was being staged.")


def _staged(tx: sqlite3.Connection, restore: Restore, begun_at: str, part: Part, refusals: Refusals) -> dict[str, Any]:
    _refuse_late(tx, restore, begun_at)
    if restore.mode is Mode.UNDO:
        _refuse_nothing_kept(tx, restore)
        answer = _undone(part.plan_undo(tx, restore))
    else:
        answer = _answer(part.plan(tx, restore), refusals)
    _remember(tx, restore, State.STAGED, answer)
    return answer


def _commit(tx: sqlite3.Connection, restore: Restore, part: Part) -> dict[str, Any]:
    row = tx.execute("SELECT * FROM restores WHERE restore_id = ?", (restore.id,)).fetchone()
    state = _state(tx, restore)
    if row is None or state is State.STAGING:
        raise Problem(409, "not_staged", "This restore was never staged completely here.")
    if state is State.ABORTED:
        raise Problem(410, "restore_aborted", "This restore was aborted.")
    staged: dict[str, Any] = orjson.loads(row["answer"])
    if state is State.COMMITTED:
        return staged
    parts = frozenset(orjson.loads(row["parts"]))
    restore = replace(restore, mode=Mode(row["mode"]), parts=parts, undoes=row["undoes"])
    answer = _take_back(tx, restore, part) if restore.mode is Mode.UNDO else _put_in(tx, restore, part, staged)
    _remember(tx, restore, State.COMMITTED, answer)
    return answer


def _put_in(tx: sqlite3.Connection, restore: Restore, part: Part, staged: dict[str, Any]) -> dict[str, Any]:
    forget(tx, "owner = ?", restore.owner, part)
    outcome = part.apply(tx, restore)
    part.discard(tx, restore)
    tx.execute("UPDATE restores SET kept = 1 WHERE restore_id = ?", (restore.id,))
    plan = {name: {**counts, "refused": staged["plan"][name]["refused"]} for name, counts in outcome.plan.items()}
    done = {"plan": plan, "restored": outcome.restored, "removed": outcome.removed}
    return {**staged, **done, **_known_state(outcome)}


def _take_back(tx: sqlite3.Connection, undo: Restore, part: Part) -> dict[str, Any]:
    tx.execute("UPDATE restores SET kept = 0 WHERE restore_id = ?", (undo.undoes,))
    undone = part.undo(tx, undo)
    part.discard(tx, undo)
    return _undone(undone)


def _undone(outcome: Undone) -> dict[str, Any]:
    return {"undone": outcome.undone, "stayed": outcome.stayed, **_known_state(outcome)}


def _known_state(outcome: Outcome | Undone) -> dict[str, Any]:
    return {} if outcome.state is None else {"state": outcome.state}


def forget(tx: sqlite3.Connection, which: str, value: str, part: Part) -> None:
    """Drop what is kept of restores, `which` in SQL, that nobody can undo any more."""
    chosen = tx.execute(f"UPDATE restores SET kept = 0 WHERE kept = 1 AND {which} RETURNING restore_id", (value,))  # noqa: S608
    for (restore_id,) in chosen.fetchall():
        part.forget(tx, restore_id)


def _refuse_nothing_kept(tx: sqlite3.Connection, undo: Restore) -> None:
    kept = "SELECT 1 FROM restores WHERE restore_id = ? AND owner = ? AND kept = 1"
    if tx.execute(kept, (undo.undoes, undo.owner)).fetchone() is None:
        raise Problem(409, "undo_closed", "What this restore replaced is not kept any more; it cannot be undone.")


def _abort(tx: sqlite3.Connection, restore: Restore, part: Part) -> None:
    if _state(tx, restore) is State.COMMITTED:
        raise Problem(409, "restore_committed", "This restore is already in place and cannot be aborted.")
    part.discard(tx, restore)
    _remember(tx, restore, State.ABORTED, None)


def _state(tx: sqlite3.Connection, restore: Restore) -> State | None:
    row = tx.execute("SELECT owner, state FROM restores WHERE restore_id = ?", (restore.id,)).fetchone()
    if row is None:
        return None
    if row["owner"] != restore.owner:
        raise Problem(404, "unknown_restore", "There is no such restore of this owner.")
    return State(row["state"])


def _remember(tx: sqlite3.Connection, restore: Restore, state: State, answer: dict[str, Any] | None) -> str:
    changed_at = datetime.now(UTC).isoformat()
    tx.execute(
        "INSERT INTO restores (restore_id, owner, mode, undoes, parts, state, answer, changed_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (restore_id) DO UPDATE SET mode = excluded.mode, undoes = excluded.undoes,"
        " parts = excluded.parts, state = excluded.state, answer = excluded.answer, changed_at = excluded.changed_at",
        (
            restore.id,
            restore.owner,
            restore.mode,
            restore.undoes,
            orjson.dumps(sorted(restore.parts)).decode(),
            state,
            orjson.dumps(answer).decode() if answer is not None else None,
            changed_at,
        ),
    )
    return changed_at


def _answer(outcome: Outcome, refusals: Refusals) -> dict[str, Any]:
    """What the gateway hears: the plan with what was refused, and the first warnings with their number in all."""
    return {
        "plan": {name: {**counts, "refused": refusals.counts[name]} for name, counts in outcome.plan.items()},
        "restored": outcome.restored,
        "removed": outcome.removed,
        "warnings": [{"pointer": each.pointer, "message": each.message} for each in refusals.first],
        "warning_count": refusals.counts.total(),
    }
