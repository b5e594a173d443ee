"""A service's side of an operation over several services: stage beside the live data, then commit or abort.

The states and their rules are the same everywhere and stand here; what is staged and how it is applied is the
service's own `Part`. Finished and aborted ids are remembered: a late stage is refused, a second commit gets the first
one's answer. Expects the table `restores` of the service's migrations.
"""

import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from typing import Any, NamedTuple, Protocol

import orjson
from aiohttp import web
from pydantic import BaseModel

from chassis.database import Database
from chassis.messages import json_response, read_query
from chassis.peers import Scope, caller
from chassis.problems import Problem
from chassis.serving import Route
from chassis.uploads import Item, batches

MOST_WARNINGS = 100


class State(StrEnum):
    """How far one operation has come in one service."""

    STAGING = "staging"
    STAGED = "staged"
    COMMITTED = "committed"
    ABORTED = "aborted"


class Mode(StrEnum):
    """What happens to data that the document does not name: it stays, or it goes."""

    MERGE = "merge"
    REPLACE = "replace"


class StageQuery(BaseModel):
    mode: Mode = Mode.MERGE


class Refusal(NamedTuple):
    """Something that cannot be used: the part of the plan that counts it, its place, and why."""

    part: str
    pointer: str
    message: str


class Refusals:
    """The first of many refusals, and how many there are of each part: bounded, whatever a document holds."""

    def __init__(self) -> None:
        self.first: list[Refusal] = []
        self.counts: Counter[str] = Counter()

    def add(self, more: Sequence[Refusal]) -> None:
        self.first += more[: MOST_WARNINGS - len(self.first)]
        self.counts.update(each.part for each in more)


@dataclass(frozen=True)
class Restore:
    """One operation for one owner. A service never looks at another owner's data on its behalf."""

    id: str
    owner: str
    mode: Mode


Counts = dict[str, int]


class Outcome(NamedTuple):
    """What applying does or would do: `plan` {part: {added, changed, unchanged}}, `restored` {part: items in place}."""

    plan: dict[str, Counts]
    restored: Counts


class Part(Protocol):
    """What a service knows of its own share. Every method runs inside a transaction of the service's file."""

    def stage(self, tx: sqlite3.Connection, restore: Restore, items: Sequence[Item]) -> list[Refusal]: ...
    def plan(self, tx: sqlite3.Connection, restore: Restore) -> Outcome: ...
    def apply(self, tx: sqlite3.Connection, restore: Restore) -> Outcome: ...
    def discard(self, tx: sqlite3.Connection, restore: Restore) -> None: ...


def routes(database: web.AppKey[Database], part: Part) -> list[Route]:
    """The internal routes of the protocol, for a service's route table."""

    async def stage(request: web.Request) -> web.Response:
        restore = _restore(request, read_query(request, StageQuery).mode)
        store = request.app[database]
        await store.write(lambda tx: _open(tx, restore, part))
        refusals = Refusals()
        async for items in batches(request.content):
            refusals.add(await store.write(partial(_take, items, restore, part)))
        return json_response(await store.write(lambda tx: _staged(tx, restore, part, refusals)))

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


def _restore(request: web.Request, mode: Mode = Mode.MERGE) -> Restore:
    return Restore(request.match_info["restore_id"], caller(request).owner, mode)


def _open(tx: sqlite3.Connection, restore: Restore, part: Part) -> None:
    match _state(tx, restore):
        case State.ABORTED:
            raise Problem(410, "restore_aborted", "This restore was aborted; start a new one.")
        case State.COMMITTED:
            raise Problem(409, "restore_committed", "This restore is already in place.")
        case State.STAGING | State.STAGED:
            part.discard(tx, restore)
    _remember(tx, restore, State.STAGING, None)


def _take(items: list[Item], restore: Restore, part: Part, tx: sqlite3.Connection) -> list[Refusal]:
    if _state(tx, restore) is not State.STAGING:
        raise Problem(410, "restore_aborted", "This restore was aborted while it was being staged.")
    return part.stage(tx, restore, items)


def _staged(tx: sqlite3.Connection, restore: Restore, part: Part, refusals: Refusals) -> dict[str, Any]:
    if _state(tx, restore) is not State.STAGING:
        raise Problem(410, "restore_aborted", "This restore was aborted while it was being staged.")
    answer = _answer(part.plan(tx, restore), refusals)
    _remember(tx, restore, State.STAGED, answer)
    return answer


def _commit(tx: sqlite3.Connection, restore: Restore, part: Part) -> dict[str, Any]:
    row = tx.execute("SELECT state, mode, answer FROM restores WHERE restore_id = ?", (restore.id,)).fetchone()
    state = _state(tx, restore)
    if row is None or state is State.STAGING:
        raise Problem(409, "not_staged", "This restore was never staged completely here.")
    if state is State.ABORTED:
        raise Problem(410, "restore_aborted", "This restore was aborted.")
    staged: dict[str, Any] = orjson.loads(row["answer"])
    if state is State.COMMITTED:
        return staged
    restore = Restore(restore.id, restore.owner, Mode(row["mode"]))
    outcome = part.apply(tx, restore)
    part.discard(tx, restore)
    plan = {name: {**counts, "refused": staged["plan"][name]["refused"]} for name, counts in outcome.plan.items()}
    answer = {**staged, "plan": plan, "restored": outcome.restored}
    _remember(tx, restore, State.COMMITTED, answer)
    return answer


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


def _remember(tx: sqlite3.Connection, restore: Restore, state: State, answer: dict[str, Any] | None) -> None:
    tx.execute(
        "INSERT INTO restores (restore_id, owner, mode, state, answer, changed_at) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (restore_id) DO UPDATE"
        " SET mode = excluded.mode, state = excluded.state, answer = excluded.answer, changed_at = excluded.changed_at",
        (
            restore.id,
            restore.owner,
            restore.mode,
            state,
            orjson.dumps(answer).decode() if answer is not None else None,
            datetime.now(UTC).isoformat(),
        ),
    )


def _answer(outcome: Outcome, refusals: Refusals) -> dict[str, Any]:
    """What the gateway hears: the plan with what was refused, and the first warnings with their number in all."""
    return {
        "plan": {name: {**counts, "refused": refusals.counts[name]} for name, counts in outcome.plan.items()},
        "restored": outcome.restored,
        "warnings": [{"pointer": each.pointer, "message": each.message} for each in refusals.first],
        "warning_count": refusals.counts.total(),
    }
