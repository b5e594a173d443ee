"""What a restore replaced, kept beside the live runs for its undo: every statement about it.

The file's triggers drop what is kept of a run as soon as that run is written.
"""

import sqlite3

from chassis.parts import Restore
from runs_service import going_live
from runs_service.going_live import Rows
from runs_service.staged import UNNAMED

COLUMNS = "created, arrived, digest, status, provider, image_prefix, image_sha256, size, content_id"
KEEP_REPLACED = f"""
    INSERT INTO undo_runs (owner, run_id, restore_id, {COLUMNS})
    SELECT staged.owner, staged.run_id, staged.restore_id, live.created, live.arrived, live.digest, live.status,
        live.provider, live.image_prefix, live.image_sha256, live.size, live.content_id
    FROM staged_runs AS staged LEFT JOIN runs AS live ON live.owner = staged.owner AND live.run_id = staged.run_id
    WHERE staged.restore_id = :restore_id AND staged.owner = :owner AND live.digest IS NOT staged.digest"""  # noqa: S608
KEEP_UNNAMED = f"""
    INSERT INTO undo_runs (owner, run_id, restore_id, {COLUMNS})
    SELECT owner, run_id, :restore_id, {COLUMNS} {UNNAMED}"""
KEPT = "SELECT count(*) FROM undo_runs WHERE restore_id = :restore_id AND owner = :owner"
TOUCHED = """
    SELECT answer ->> '$.plan.runs.added' + answer ->> '$.plan.runs.changed' + answer ->> '$.removed.runs'
    FROM restores WHERE restore_id = :restore_id AND owner = :owner"""
REMOVE_ADDED = """
    DELETE FROM runs WHERE owner = :owner AND run_id IN (
        SELECT run_id FROM undo_runs WHERE owner = :owner AND restore_id = :restore_id AND content_id IS NULL)"""
FORGET = """
    DELETE FROM undo_runs
    WHERE restore_id = :restore_id AND owner = (SELECT owner FROM restores WHERE restore_id = :restore_id)"""


def keep(tx: sqlite3.Connection, restore: Restore, *, others_stay: bool) -> None:
    """Keep each run that the staged ones are about to replace, and, where they do not stay, the others."""
    values = {"restore_id": restore.id, "owner": restore.owner}
    tx.execute(KEEP_REPLACED, values)
    if not others_stay:
        tx.execute(KEEP_UNNAMED, values)


def count(tx: sqlite3.Connection, undo: Restore) -> tuple[int, int]:
    """Of the runs that the restore touched, how many are kept still, and how many were written since."""
    kept: int = tx.execute(KEPT, _values(undo)).fetchone()[0]
    touched: int = tx.execute(TOUCHED, _values(undo)).fetchone()[0]
    return kept, touched - kept


def growth(tx: sqlite3.Connection, undo: Restore) -> int:
    """By how many bytes the owner's usage will change when the kept runs are back."""
    return going_live.growth(tx, Rows.KEPT, _values(undo), others_stay=True)


def put_back(tx: sqlite3.Connection, undo: Restore) -> None:
    """Give each run that is kept its state from before the restore. Uses up what was kept."""
    tx.execute(REMOVE_ADDED, _values(undo))
    going_live.go_live(tx, Rows.KEPT, _values(undo))
    tx.execute(FORGET, _values(undo))


def forget(tx: sqlite3.Connection, restore_id: str) -> None:
    tx.execute(FORGET, {"restore_id": restore_id})


def _values(undo: Restore) -> dict[str, str | None]:
    return {"restore_id": undo.undoes, "owner": undo.owner}
