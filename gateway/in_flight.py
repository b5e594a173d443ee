"""What of the journal an operator looks at: operations that are not at their end, and what services must know of each.

Works beside the gateways, on the file alone.
"""

import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple

import orjson

from chassis.staging import State
from gateway.operations import OF_OWNERS, Kind, Stage
from gateway.succession import POSTPONED

LEFT: Final = f"""
    SELECT id, kind, stage, started_at FROM operations
    WHERE stage IN ('staging', 'committing', 'aborting') AND holder <> '{POSTPONED}' ORDER BY started_at"""  # noqa: S608
# Who is erased is forgotten by the services first, and by the journal a minute later; with whoever that once was.
STAGED: Final = """
    WITH erased (owner) AS (SELECT owner FROM operations WHERE kind IN ('deletion', 'sweep'))
    SELECT id, kind, stage, participants, changed_at, owner IN (
        SELECT owner FROM erased
        UNION SELECT owner FROM operations WHERE target IN (SELECT owner FROM erased)) AS erased
    FROM operations"""

OPEN: Final = frozenset({State.STAGING, State.STAGED})
# What a service may have of an operation that is at its end. A failed one has failed because they differ.
ANY: Final = frozenset({*State, None})
AGREED: Final[Mapping[str, frozenset[State | None]]] = {
    Stage.DONE: frozenset({State.COMMITTED}),
    Stage.ABORTED: frozenset({State.ABORTED, None}),
    Stage.FAILED: ANY,
}


States = Mapping[str, tuple[str, str]]


class Left(NamedTuple):
    """An operation that is under way, or waits for a service; `age` in seconds."""

    id: str
    kind: str
    stage: str
    age: float


class Journalled(NamedTuple):
    """How far an operation has come, as the journal says, and which services were asked to stage something."""

    kind: str
    stage: str
    participants: tuple[str, ...]
    changed_at: str
    erased: bool = False  # its owner is, or is about to be


def left(tx: sqlite3.Connection) -> list[Left]:
    """The oldest first. What is only to be done once more a minute later is not among them."""
    now = datetime.now(UTC)
    return [
        Left(row["id"], row["kind"], row["stage"], (now - datetime.fromisoformat(row["started_at"])).total_seconds())
        for row in tx.execute(LEFT)
    ]


def decided(tx: sqlite3.Connection) -> Left | None:
    """The oldest operation that is being put in place at this moment."""
    return next((each for each in left(tx) if each.stage == Stage.COMMITTING), None)


def journalled(tx: sqlite3.Connection) -> dict[str, Journalled]:
    """Every operation, by its id."""
    return {row["id"]: _journalled(row) for row in tx.execute(STAGED)}


def differences(journal: Mapping[str, Journalled], service: str, states: States, since: str) -> list[str]:
    """Where a service and the journal disagree on an operation, as sentences. Pure.

    `states` are the service's own, `{id: (state, changed_at)}`. What ended before `since`, ISO 8601, either side may
    have forgotten; what is under way is no difference yet.
    """
    told = []
    for id_, (has, changed_at) in states.items():
        is_amiss = has in OPEN or (has == State.COMMITTED and changed_at > since)
        if id_ not in journal and is_amiss:
            told.append(f"{service} has {id_} as {has}, and the journal does not know it")
    for id_, operation in journal.items():
        state = states[id_][0] if id_ in states else None
        forgotten = state is None and operation.changed_at < since
        if not forgotten and _concerns(operation, service) and state not in AGREED.get(operation.stage, ANY):
            told.append(f"{service} has {id_} as {state or 'nothing'}, and the journal says {operation.stage}")
    return told


def _journalled(row: sqlite3.Row) -> Journalled:
    participants = tuple(orjson.loads(row["participants"]))
    return Journalled(row["kind"], row["stage"], participants, row["changed_at"], bool(row["erased"]))


def _concerns(operation: Journalled, service: str) -> bool:
    stages_something = operation.kind in set(Kind) - OF_OWNERS and service in operation.participants
    return stages_something and not operation.erased
