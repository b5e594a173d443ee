"""Deletions are told for KEPT_DAYS and then forgotten, of every owner, in bounded transactions.

How far an owner's are forgotten is kept: who has followed the runs less far is told to begin anew.
"""

import sqlite3
from typing import Final

KEPT_DAYS: Final = 90
MOST_ROWS: Final = 500
ALL: Final = -1

REMEMBER_HOW_FAR: Final = """
    UPDATE changes SET forgotten = max(forgotten, oldest.place)
    FROM (
        SELECT owner, max(place) AS place FROM (
            SELECT owner, place FROM tombstones WHERE deleted_at < :before
            ORDER BY deleted_at, owner, run_id LIMIT :most)
        GROUP BY owner) AS oldest
    WHERE changes.owner = oldest.owner"""
FORGET_OLDEST: Final = """
    DELETE FROM tombstones WHERE (owner, run_id) IN (
        SELECT owner, run_id FROM tombstones WHERE deleted_at < :before
        ORDER BY deleted_at, owner, run_id LIMIT :most)"""
RAISE_VERSION: Final = "INSERT INTO touched (owner) SELECT owner FROM changes WHERE owner = ?"
FORGET_ALL: Final = "UPDATE changes SET forgotten = version WHERE owner = ?"
REMOVE: Final = """
    DELETE FROM tombstones WHERE owner = :owner AND run_id IN (
        SELECT run_id FROM tombstones WHERE owner = :owner LIMIT :most)"""


def forget_old(now: int, tx: sqlite3.Connection) -> bool:
    """Forget a piece of the deletions of more than KEPT_DAYS before `now`; whether there may be more."""
    values = {"before": now - KEPT_DAYS * 24 * 3600, "most": MOST_ROWS}
    tx.execute(REMEMBER_HOW_FAR, values)
    return tx.execute(FORGET_OLDEST, values).rowcount == MOST_ROWS


def forget_all(tx: sqlite3.Connection, owner: str, most: int = MOST_ROWS) -> bool:
    """Forget a piece of the owner's deletions; whether there may be more. Every device begins anew from now on."""
    tx.execute(RAISE_VERSION, (owner,))
    tx.execute(FORGET_ALL, (owner,))
    return tx.execute(REMOVE, {"owner": owner, "most": most}).rowcount == most
