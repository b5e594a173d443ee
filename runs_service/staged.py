"""Runs that wait beside the live ones for the commit of their restore: every statement about them."""

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from chassis.staging import Counts, Restore
from runs_service import records, store
from runs_service.records import Record

STAGE = """
    INSERT INTO staged_runs (restore_id, position, pointer, owner, run_id, created, arrived, digest, status, provider,
        image_prefix, image_sha256, size, content_id)
    VALUES (:restore_id, :position, :pointer, :owner, :run_id, :created, :arrived, :digest, :status, :provider,
        :image_prefix, :image_sha256, :size, :content_id)"""
GO_LIVE = f"""
    INSERT INTO runs (owner, run_id, created, arrived, digest, status, provider, image_prefix, image_sha256, size,
        content_id)
    SELECT owner, run_id, created, arrived, digest, status, provider, image_prefix, image_sha256, size, content_id
    FROM staged_runs WHERE restore_id = :restore_id AND owner = :owner {store.REPLACING}"""  # noqa: S608 - a constant
COMPARED = """
    SELECT count(*) FILTER (WHERE live.digest IS NULL) AS added,
        count(*) FILTER (WHERE live.digest <> staged.digest) AS changed,
        count(*) FILTER (WHERE live.digest = staged.digest) AS unchanged
    FROM staged_runs AS staged LEFT JOIN runs AS live ON live.owner = staged.owner AND live.run_id = staged.run_id
    WHERE staged.restore_id = :restore_id AND staged.owner = :owner"""
CONTENTS_GROW = """
    SELECT coalesce(sum(staged.size - coalesce(live.size, 0)), 0)
    FROM staged_runs AS staged LEFT JOIN runs AS live ON live.owner = staged.owner AND live.run_id = staged.run_id
    WHERE staged.restore_id = :restore_id AND staged.owner = :owner AND live.digest IS NOT staged.digest"""
IMAGES_GROW = """
    SELECT coalesce(sum(size * ((arrives OR stays) - shown)), 0) FROM (
        SELECT size,
            EXISTS (SELECT 1 FROM staged_runs WHERE owner = :owner AND image_sha256 = images.sha256
                AND restore_id = :restore_id) AS arrives,
            EXISTS (SELECT 1 FROM runs WHERE owner = :owner AND image_sha256 = images.sha256 AND NOT EXISTS (
                SELECT 1 FROM staged_runs WHERE restore_id = :restore_id AND run_id = runs.run_id)) AS stays,
            EXISTS (SELECT 1 FROM runs WHERE owner = :owner AND image_sha256 = images.sha256) AS shown
        FROM images WHERE owner = :owner)"""
LIVE = "SELECT content_id, size FROM runs WHERE owner = ? AND run_id = ? AND digest = ?"
REMOVE = "DELETE FROM staged_runs WHERE restore_id = ? AND run_id = ? RETURNING pointer"


class Staged(NamedTuple):
    """A run with its number in the upload and its place in the document."""

    position: int
    pointer: str
    record: Record


def add(tx: sqlite3.Connection, restore: Restore, runs: Sequence[Staged]) -> None:
    """Stage runs of different ids, none of which is staged. What is live already is named, not written again."""
    for arrived, (position, pointer, record) in enumerate(runs, records.now()):
        live = tx.execute(LIVE, (restore.owner, record.run_id, record.digest)).fetchone()
        content = dict(live) if live else store.keep(tx, restore.owner, record)
        place = {"restore_id": restore.id, "position": position, "pointer": pointer, "arrived": arrived}
        tx.execute(STAGE, {**record._asdict(), **content, **place, "owner": restore.owner})


def take_back(tx: sqlite3.Connection, restore: Restore, run_ids: Sequence[str]) -> list[str]:
    """Remove those of these runs that are staged; the pointers to where they stood."""
    return [row["pointer"] for run_id in run_ids for row in tx.execute(REMOVE, (restore.id, run_id))]


def digest(tx: sqlite3.Connection, restore: Restore, run_id: str) -> str | None:
    """The digest of what is staged under this id."""
    statement = "SELECT digest FROM staged_runs WHERE restore_id = ? AND run_id = ?"
    row = tx.execute(statement, (restore.id, run_id)).fetchone()
    return row["digest"] if row else None


def compare(tx: sqlite3.Connection, restore: Restore) -> Counts:
    """How many of the staged runs are new, different from the live ones, and equal to them."""
    return dict(tx.execute(COMPARED, _values(restore)).fetchone())


def growth(tx: sqlite3.Connection, restore: Restore) -> int:
    """By how many bytes the owner's usage will change when the staged runs go live."""
    statements = (CONTENTS_GROW, IMAGES_GROW)
    return sum(tx.execute(statement, _values(restore)).fetchone()[0] for statement in statements)


def go_live(tx: sqlite3.Connection, restore: Restore) -> None:
    tx.execute(GO_LIVE, _values(restore))


def discard(tx: sqlite3.Connection, restore: Restore) -> None:
    tx.execute("DELETE FROM staged_runs WHERE restore_id = :restore_id AND owner = :owner", _values(restore))


def _values(restore: Restore) -> dict[str, str]:
    return {"restore_id": restore.id, "owner": restore.owner}
