"""What has to go or to be copied of an owner in bounded pieces, so that others get to write in between.

The images are nearly all the bytes that an owner has. Which of them make a piece is told by their sizes, which are read
without them.
"""

import sqlite3
from contextlib import closing
from typing import Final

import orjson

LARGEST_BYTES: Final = 8 << 20  # of a piece, unless a single image is larger
MOST_ROWS: Final = 500

LACKING: Final = """
    SELECT sha256, size FROM images WHERE owner = :guest
    AND EXISTS (SELECT 1 FROM runs WHERE owner = :guest AND image_sha256 = images.sha256)
    AND NOT EXISTS (SELECT 1 FROM images AS theirs WHERE theirs.owner = :user AND theirs.sha256 = images.sha256)"""
COPY: Final = """
    INSERT INTO images (owner, sha256, size, bytes) SELECT :user, sha256, size, bytes FROM images
    WHERE owner = :guest AND sha256 IN (SELECT value FROM json_each(:chosen))"""
UNHELD: Final = """
    SELECT sha256, size FROM images WHERE owner = :owner AND NOT EXISTS (
        SELECT 1 FROM held WHERE owner = :owner AND image_sha256 = images.sha256)"""
REMOVE: Final = "DELETE FROM images WHERE owner = :owner AND sha256 IN (SELECT value FROM json_each(:chosen))"
KEPT: Final = "SELECT run_id, coalesce(size, 0) FROM undo_runs WHERE owner = :owner AND restore_id = :restore_id"
SOME_KEPT: Final = """
    owner = :owner AND restore_id = :restore_id AND run_id IN (SELECT value FROM json_each(:chosen))"""
OF_OWNER: Final = {
    "staged_runs": "restore_id IN (SELECT restore_id FROM restores WHERE owner = :owner)",
    "undo_runs": "owner = :owner",
    "runs": "owner = :owner",
}


def copy_images(tx: sqlite3.Connection, guest: str, user: str) -> bool:
    """Copy a piece of the images that the guest's runs show and the user lacks; whether there are more.

    Until a run of the user's shows them, they are in no listing and no quota.
    """
    both = {"guest": guest, "user": user}
    chosen, more = _choose(tx, LACKING, both)
    if chosen:
        tx.execute(COPY, {**both, "chosen": _listed(chosen)})
    return more


def remove_unheld(tx: sqlite3.Connection, owner: str) -> bool:
    """Remove a piece of the owner's images that nothing refers to; whether there are more."""
    chosen, more = _choose(tx, UNHELD, {"owner": owner})
    if chosen:
        tx.execute(REMOVE, {"owner": owner, "chosen": _listed(chosen)})
    return more


def remove_rows(tx: sqlite3.Connection, table: str, owner: str) -> bool:
    """Remove a piece of the owner's rows of a table in OF_OWNER, with their contents; whether there are more."""
    statement = f"SELECT run_id, coalesce(size, 0) FROM {table} WHERE {OF_OWNER[table]}"  # noqa: S608
    chosen, more = _choose(tx, statement, {"owner": owner})
    if chosen:
        which = "owner = :owner AND run_id IN (SELECT value FROM json_each(:chosen))"
        let_go(tx, table, which, {"owner": owner, "chosen": _listed(chosen)})
    return more


def remove_kept(tx: sqlite3.Connection, restore_id: str, owner: str) -> bool:
    """Remove a piece of what a restore of the owner's keeps for its undo, with its contents; whether there is more."""
    values = {"owner": owner, "restore_id": restore_id}
    chosen, more = _choose(tx, KEPT, values)
    if chosen:
        let_go(tx, "undo_runs", SOME_KEPT, {**values, "chosen": _listed(chosen)})
    return more


def let_go(tx: sqlite3.Connection, table: str, which: str, values: dict[str, str]) -> None:
    """Delete the rows, `which` in SQL, without the images that the file's triggers would take along.

    The images are left for `remove_unheld`, and are still counted in the owner's usage.
    """
    tx.execute(f"UPDATE {table} SET image_sha256 = NULL WHERE image_sha256 IS NOT NULL AND {which}", values)  # noqa: S608
    tx.execute(f"DELETE FROM {table} WHERE {which}", values)  # noqa: S608


def _choose(tx: sqlite3.Connection, statement: str, values: dict[str, str]) -> tuple[list[str], bool]:
    """The names of the first rows that make a piece, and whether others follow."""
    chosen: list[str] = []
    weight = 0
    with closing(tx.execute(statement, values)) as rows:
        for name, size in rows:
            weight += size
            if chosen and (weight > LARGEST_BYTES or len(chosen) == MOST_ROWS):
                return chosen, True
            chosen.append(name)
    return chosen, False


def _listed(names: list[str]) -> str:
    return orjson.dumps(names).decode()
