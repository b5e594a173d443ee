"""Runs that wait beside the live ones for the commit of their restore: every statement about them."""

import sqlite3
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import NamedTuple

import orjson

from chassis.parts import Counts, Restore
from runs_service import going_live, records, store
from runs_service.going_live import Rows
from runs_service.records import Record
from runs_service.store import Content

STAGE = """
    INSERT INTO staged_runs (restore_id, position, pointer, owner, arrived, run_id, created, digest, status, provider,
        image_prefix, image_sha256, content_id, size)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
COMPARED = """
    SELECT count(*) FILTER (WHERE live.digest IS NULL) AS added,
        count(*) FILTER (WHERE live.digest <> staged.digest) AS changed,
        count(*) FILTER (WHERE live.digest = staged.digest) AS unchanged
    FROM staged_runs AS staged LEFT JOIN runs AS live ON live.owner = staged.owner AND live.run_id = staged.run_id
    WHERE staged.restore_id = :restore_id AND staged.owner = :owner"""
UNNAMED = """
    FROM runs WHERE owner = :owner
        AND NOT EXISTS (SELECT 1 FROM staged_runs WHERE run_id = runs.run_id AND restore_id = :restore_id)"""
WEIGH_UNNAMED = f"SELECT count(*), coalesce(sum(size), 0) {UNNAMED}"
REMOVE_UNNAMED = f"DELETE {UNNAMED}"
LIVE = """
    SELECT run_id, digest, content_id, size FROM runs
    WHERE owner = ? AND run_id IN (SELECT value FROM json_each(?))"""
REMOVE = """
    DELETE FROM staged_runs WHERE restore_id = ? AND run_id IN (SELECT value FROM json_each(?))
    RETURNING position, pointer, run_id, digest"""


class Staged(NamedTuple):
    """A run with its number in the upload and its place in the document."""

    position: int
    pointer: str
    record: Record


class Unnamed(NamedTuple):
    """The live runs that no staged one names, and the bytes of their contents."""

    number: int
    size: int


def add(tx: sqlite3.Connection, restore: Restore, runs: Sequence[Staged]) -> None:
    """Stage runs of different ids, none of which is staged. What is live already is named, not written again."""
    live = _live(tx, restore.owner, runs)
    rows = []
    for arrived, run in enumerate(runs, records.now()):
        content = live.get((run.record.run_id, run.record.digest)) or store.keep(tx, restore.owner, run.record)
        rows.append((restore.id, run.position, run.pointer, restore.owner, arrived, *_columns(run.record), *content))
    tx.executemany(STAGE, rows)


def take_back(tx: sqlite3.Connection, restore: Restore, digests: Mapping[str, str]) -> list[str]:
    """Remove those of these runs, by id, that are staged; the pointers to where those stood that were different."""
    removed = tx.execute(REMOVE, (restore.id, orjson.dumps(list(digests)).decode())).fetchall()
    return [row["pointer"] for row in sorted(removed, key=itemgetter(0)) if row["digest"] != digests[row["run_id"]]]


def digest(tx: sqlite3.Connection, restore: Restore, run_id: str) -> str | None:
    """The digest of what is staged under this id."""
    statement = "SELECT digest FROM staged_runs WHERE restore_id = ? AND run_id = ?"
    row = tx.execute(statement, (restore.id, run_id)).fetchone()
    return row["digest"] if row else None


def compare(tx: sqlite3.Connection, restore: Restore) -> Counts:
    """How many of the staged runs are new, different from the live ones, and equal to them."""
    return dict(tx.execute(COMPARED, _values(restore)).fetchone())


def unnamed(tx: sqlite3.Connection, restore: Restore) -> Unnamed:
    return Unnamed(*tx.execute(WEIGH_UNNAMED, _values(restore)).fetchone())


def remove_unnamed(tx: sqlite3.Connection, restore: Restore) -> None:
    tx.execute(REMOVE_UNNAMED, _values(restore))


def growth(tx: sqlite3.Connection, restore: Restore, *, others_stay: bool) -> int:
    """By how many bytes the owner's usage will change when the staged runs go live and the others stay or go."""
    grows = going_live.growth(tx, Rows.STAGED, _values(restore), others_stay=others_stay)
    return grows if others_stay else grows - unnamed(tx, restore).size


def go_live(tx: sqlite3.Connection, restore: Restore) -> None:
    going_live.go_live(tx, Rows.STAGED, _values(restore))


def discard(tx: sqlite3.Connection, restore: Restore) -> None:
    tx.execute("DELETE FROM staged_runs WHERE restore_id = :restore_id AND owner = :owner", _values(restore))


def _live(tx: sqlite3.Connection, owner: str, runs: Sequence[Staged]) -> dict[tuple[str, str], Content]:
    """The contents that are live under the ids of these runs, by id and digest."""
    run_ids = orjson.dumps([run.record.run_id for run in runs]).decode()
    found = tx.execute(LIVE, (owner, run_ids))
    return {(run_id, digest): Content(content_id, size) for run_id, digest, content_id, size in found}


def _columns(record: Record) -> tuple[str | int | None, ...]:
    image = (record.image_prefix, record.image_sha256)
    return (record.run_id, record.created, record.digest, record.status, record.provider, *image)


def _values(restore: Restore) -> dict[str, str]:
    return {"restore_id": restore.id, "owner": restore.owner}
