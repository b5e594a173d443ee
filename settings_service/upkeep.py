"""What the operator's prune removes from the settings: old history, and what an undo no longer needs."""

import sqlite3
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Final

import orjson

from chassis.leftovers import old_answers, old_operations, old_undo_data
from chassis.schema import writing
from chassis.upkeep import Amount, Chore

MOST_VERSIONS: Final = 100  # of a piece
MOST_BYTES: Final = 8 << 20  # of a piece, unless a single version is larger

LONG: Final = "SELECT owner FROM versions GROUP BY owner HAVING count(*) > ?"
# The current version is the highest, and so never beyond. An undo needs the settings from before its restore.
BEYOND: Final = """
    FROM versions WHERE owner = :owner
    AND version < (SELECT version FROM versions WHERE owner = :owner ORDER BY version DESC LIMIT 1 OFFSET :keep - 1)
    AND version < (SELECT version FROM profiles WHERE owner = :owner)
    AND version NOT IN (SELECT version_before FROM undo_profiles WHERE owner = :owner)"""
COUNT: Final = f"SELECT count(*), coalesce(sum(length(settings)), 0) {BEYOND}"
OLDEST: Final = f"SELECT version, length(settings) AS size {BEYOND} ORDER BY version LIMIT {MOST_VERSIONS}"
REMOVE: Final = "DELETE FROM versions WHERE owner = ? AND version IN (SELECT value FROM json_each(?))"
TELL: Final = """
    UPDATE profiles SET pruned = pruned + :number, pruned_through = max(coalesce(pruned_through, 0), :highest)
    WHERE owner = :owner"""
DROP_ENTRIES: Final = f"""
    DELETE FROM undo_versions WHERE restore_id = :restore_id AND version IN (
        SELECT version FROM undo_versions WHERE restore_id = :restore_id LIMIT {MOST_VERSIONS})"""  # noqa: S608


def chores(now: datetime, unfinished: Sequence[str], keep_history: int | None) -> list[Chore]:
    """`keep_history`: how many versions of each profile stay, all where it is None. At least one."""
    undo = old_undo_data(now, unfinished, _drop)
    history = [] if keep_history is None else [_old_history(keep_history)]
    return [old_answers(now), undo, *history, old_operations(now, unfinished)]


def _old_history(keep: int) -> Chore:
    return Chore("history", partial(_count_beyond, keep), partial(_remove_beyond, keep))


def _count_beyond(keep: int, tx: sqlite3.Connection) -> Amount:
    found = [tx.execute(COUNT, {"owner": owner, "keep": keep}).fetchone() for (owner,) in tx.execute(LONG, (keep,))]
    return Amount(sum(rows for rows, _ in found), sum(size for _, size in found))


def _remove_beyond(keep: int, tx: sqlite3.Connection) -> Iterator[int]:
    for (owner,) in tx.execute(LONG, (keep,)).fetchall():
        removed = -1
        while removed:
            with writing(tx):
                removed = _remove_oldest(tx, owner, keep)
            yield removed


def _remove_oldest(tx: sqlite3.Connection, owner: str, keep: int) -> int:
    """Remove a piece of an owner's versions beyond `keep`, and tell so in the profile; how many."""
    chosen: list[int] = []
    weight = 0
    for version, size in tx.execute(OLDEST, {"owner": owner, "keep": keep}).fetchall():
        weight += size
        if chosen and weight > MOST_BYTES:
            break
        chosen.append(version)
    if chosen:
        tx.execute(REMOVE, (owner, orjson.dumps(chosen).decode()))
        tx.execute(TELL, {"owner": owner, "number": len(chosen), "highest": chosen[-1]})
    return len(chosen)


def _drop(tx: sqlite3.Connection, restore_id: str, _owner: str) -> bool:
    if tx.execute(DROP_ENTRIES, {"restore_id": restore_id}).rowcount == MOST_VERSIONS:
        return True
    tx.execute("DELETE FROM undo_profiles WHERE restore_id = ?", (restore_id,))
    return False
