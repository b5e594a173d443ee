"""Every SQL statement about what a restore replaced and an undo may need; each runs inside the caller's transaction.

History entries that a restore removes are put aside whole. Of the profile two numbers are enough: its settings from
before still are a version, live or put aside.
"""

import sqlite3
from typing import Final, NamedTuple

from chassis.parts import Restore
from settings_service.versions import Document

_COLUMNS: Final = "owner, version, settings, change_note, created_at, restored_from, digest"
_WEIGHT: Final = "count(*), coalesce(sum(length(settings) + length(CAST(change_note AS BLOB))), 0)"
_LEAVING: Final = """
    versions AS live WHERE owner = :owner AND version IS NOT :stays AND NOT EXISTS (
        SELECT 1 FROM staged_history WHERE restore_id = :restore_id AND digest = live.digest
        AND created_at = live.created_at AND change_note = live.change_note)
"""
_ASIDE: Final = "undo_versions WHERE restore_id = :undoes AND owner = :owner"
# Built from the constants above alone; values are bound.
_WEIGH_LEAVING: Final = f"SELECT {_WEIGHT} FROM {_LEAVING}"  # noqa: S608
_PUT_ASIDE: Final = f"INSERT INTO undo_versions (restore_id, {_COLUMNS}) SELECT :restore_id, {_COLUMNS} FROM {_LEAVING}"  # noqa: S608
_WEIGH_ASIDE: Final = f"SELECT {_WEIGHT} FROM {_ASIDE}"  # noqa: S608
_PUT_BACK: Final = f"INSERT INTO versions ({_COLUMNS}) SELECT {_COLUMNS} FROM {_ASIDE} ORDER BY version"  # noqa: S608
_CHANGED: Final = "SELECT version_before, version_after FROM undo_profiles WHERE restore_id = ? AND owner = ?"
_BEFORE: Final = f"""
    SELECT settings, digest, length(settings) FROM versions WHERE owner = :owner AND version = :before UNION ALL
    SELECT settings, digest, length(settings) FROM {_ASIDE} AND version = :before
"""  # noqa: S608


class Weight(NamedTuple):
    """How many versions, and how many bytes of the owner's quota."""

    number: int
    size: int


class Replaced(NamedTuple):
    """The settings that a restore replaced, and the version that it left in their place."""

    settings: Document
    by: int


def weigh_leaving(tx: sqlite3.Connection, restore: Restore, stays: int | None) -> Weight:
    """The owner's versions, but for `stays`, that no staged entry equals."""
    named = {"restore_id": restore.id, "owner": restore.owner, "stays": stays}
    return Weight(*tx.execute(_WEIGH_LEAVING, named).fetchone())


def put_aside(tx: sqlite3.Connection, restore: Restore, stays: int) -> None:
    """Remove what `weigh_leaving` weighs from the live versions, and keep it."""
    tx.execute(_PUT_ASIDE, {"restore_id": restore.id, "owner": restore.owner, "stays": stays})
    tx.execute(
        "DELETE FROM versions WHERE owner = ? AND version IN (SELECT version FROM undo_versions WHERE restore_id = ?)",
        (restore.owner, restore.id),
    )


def remember_profile(tx: sqlite3.Connection, restore: Restore, before: int, after: int) -> None:
    """That the restore made version `after` current in the place of `before`, with other settings."""
    tx.execute(
        "INSERT INTO undo_profiles (restore_id, owner, version_before, version_after) VALUES (?, ?, ?, ?)",
        (restore.id, restore.owner, before, after),
    )


def read_replaced(tx: sqlite3.Connection, undo: Restore) -> Replaced | None:
    """None where the restore that is undone left the profile's settings as they were."""
    changed = tx.execute(_CHANGED, (undo.undoes, undo.owner)).fetchone()
    if changed is None:
        return None
    named = {"undoes": undo.undoes, "owner": undo.owner, "before": changed["version_before"]}
    return Replaced(Document(*tx.execute(_BEFORE, named).fetchone()), changed["version_after"])


def weigh_aside(tx: sqlite3.Connection, undo: Restore) -> Weight:
    return Weight(*tx.execute(_WEIGH_ASIDE, {"undoes": undo.undoes, "owner": undo.owner}).fetchone())


def put_back(tx: sqlite3.Connection, undo: Restore) -> None:
    """Make the removed entries live again, under their old numbers, and keep nothing more for an undo."""
    tx.execute(_PUT_BACK, {"undoes": undo.undoes, "owner": undo.owner})
    for table in ("undo_versions", "undo_profiles"):
        tx.execute(f"DELETE FROM {table} WHERE restore_id = ? AND owner = ?", (undo.undoes, undo.owner))  # noqa: S608


def forget(tx: sqlite3.Connection, restore_id: str) -> None:
    tx.execute("DELETE FROM undo_versions WHERE restore_id = ?", (restore_id,))
    tx.execute("DELETE FROM undo_profiles WHERE restore_id = ?", (restore_id,))
