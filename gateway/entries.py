"""How rows of the journal are read: as operations, as what their owner may look at, and counted."""

import sqlite3
from dataclasses import dataclass
from typing import Final

import orjson

from gateway.operations import Entry, Kind, Operation, Stage
from gateway.succession import POSTPONED

ENTRIES: Final = """
    SELECT *, rowid = (
        SELECT max(rowid) FROM operations AS later
        WHERE owner = :owner AND kind = 'restore' AND stage IN ('committing', 'done')) AS is_latest
    FROM operations WHERE owner = :owner"""

UNFINISHED: Final = f"""
    SELECT kind, stage, count(*) AS number, min(started_at) AS oldest FROM operations
    WHERE stage IN ('staging', 'committing', 'aborting') AND holder <> '{POSTPONED}' GROUP BY kind, stage"""  # noqa: S608

CONCERNED: Final = f"(owner = :owner OR target = :owner) AND holder <> '{POSTPONED}'"
COMMITTING: Final = f"SELECT 1 FROM operations WHERE {CONCERNED} AND stage = 'committing'"  # noqa: S608 - constants
UNENDED: Final = f"""
    SELECT 1 FROM operations WHERE {CONCERNED} AND stage IN ('staging', 'committing', 'aborting')"""  # noqa: S608
STEPS: Final = f"""
    SELECT coalesce(sum(CASE stage WHEN 'staging' THEN 1 WHEN 'committing' THEN 2 WHEN 'aborting' THEN 2 ELSE 3 END), 0)
    FROM operations WHERE {CONCERNED}"""  # noqa: S608


@dataclass(frozen=True)
class Unfinished:
    """How many operations of one kind and stage are under way or left, and when the oldest of them began (ISO 8601).

    A newer release that works on the same file may have kinds and stages that are unknown here.
    """

    kind: str
    stage: str
    number: int
    oldest: str


def count_unfinished(tx: sqlite3.Connection) -> list[Unfinished]:
    return [Unfinished(**dict(row)) for row in tx.execute(UNFINISHED)]


def is_committing(tx: sqlite3.Connection, owner: str) -> bool:
    """Whether anything is being put into the owner's profile, or taken out of it, at this moment."""
    return tx.execute(COMMITTING, {"owner": owner}).fetchone() is not None


def is_at_something(tx: sqlite3.Connection, owner: str) -> bool:
    """Whether any operation that concerns the owner is not at its end, if only because it is being taken back."""
    return tx.execute(UNENDED, {"owner": owner}).fetchone() is not None


def is_any_lapsed(tx: sqlite3.Connection, now: float) -> bool:
    query = "SELECT 1 FROM operations WHERE stage IN ('staging', 'committing', 'aborting') AND lease_until < ? LIMIT 1"
    return tx.execute(query, (now,)).fetchone() is not None


def count_steps(tx: sqlite3.Connection, owner: str) -> int:
    """Steps that the operations of this owner have taken."""
    return int(tx.execute(STEPS, {"owner": owner}).fetchone()[0])


def read_entry(tx: sqlite3.Connection, owner: str, name: str) -> Entry | None:
    """The owner's latest operation of this name."""
    query = f"{ENTRIES} AND coalesce(name, id) = :name ORDER BY rowid DESC LIMIT 1"
    row = tx.execute(query, {"owner": owner, "name": name}).fetchone()
    return _entry(tx, row) if row else None


def read_restores(tx: sqlite3.Connection, owner: str, most: int) -> list[Entry]:
    """The owner's restores, newest first."""
    query = f"{ENTRIES} AND kind = 'restore' ORDER BY rowid DESC LIMIT :most"
    return [_entry(tx, row) for row in tx.execute(query, {"owner": owner, "most": most}).fetchall()]


def operation_of(row: sqlite3.Row) -> Operation:
    """Of a whole row of `operations`."""
    return Operation(
        id=row["id"],
        owner=row["owner"],
        kind=Kind(row["kind"]),
        mode=row["mode"],
        stage=Stage(row["stage"]),
        name=row["name"] or row["id"],
        participants=tuple(orjson.loads(row["participants"])),
        undoes=row["undoes"],
        target=row["target"],
        repeats=row["repeats"],
        fingerprint=row["fingerprint"],
        outcome=orjson.loads(row["outcome"]) if row["outcome"] is not None else None,
        started_at=row["started_at"],
        changed_at=row["changed_at"],
    )


def _entry(tx: sqlite3.Connection, row: sqlite3.Row) -> Entry:
    query = "SELECT * FROM operations WHERE undoes = ? AND stage IN ('staging', 'committing', 'done')"
    undo = tx.execute(query, (row["id"],)).fetchone()
    return Entry(operation_of(row), bool(row["is_latest"]), operation_of(undo) if undo else None)
