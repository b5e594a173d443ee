"""Every SQL statement about what a restore or an undo has staged; each runs inside the caller's transaction.

A staged history entry that the owner has already is never written again: the others are called fresh.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

import orjson

from chassis.documents import write
from settings_service.entries import Entry
from settings_service.merging import Leaf
from settings_service.versions import document

SETTINGS: Final = "settings"  # the kinds of items, of which settings and history are the parts of a plan as well
PATCH: Final = "settings_patch"
HISTORY: Final = "history"
NOTE: Final = "note"

# Entries with a number of their own come in that order, the others after them, in the order of their time.
_PLACE: Final = "row_number() OVER (ORDER BY number IS NULL, number, created_at, position) AS place"
_FRESH: Final = """
    staged_history AS entry WHERE restore_id = :restore_id AND NOT EXISTS (
        SELECT 1 FROM versions WHERE owner = :owner AND digest = entry.digest
        AND created_at = entry.created_at AND change_note = entry.change_note)
"""
# Built from the two constants above alone; values are bound.
_WEIGH: Final = f"SELECT count(*), coalesce(sum(length(settings) + length(CAST(change_note AS BLOB))), 0) FROM {_FRESH}"  # noqa: S608
_LAST: Final = f"SELECT digest FROM (SELECT digest, {_PLACE} FROM {_FRESH}) ORDER BY place DESC LIMIT 1"  # noqa: S608
_IMPORT: Final = f"""
    INSERT INTO versions (owner, version, settings, change_note, created_at, restored_from, digest)
    SELECT :owner, :highest + place, settings, change_note, created_at, NULL, digest
    FROM (SELECT position, {_PLACE} FROM {_FRESH}) JOIN staged_history USING (position)
    WHERE restore_id = :restore_id ORDER BY place
"""  # noqa: S608


class Fresh(NamedTuple):
    """The staged entries that the owner lacks: how many, how many bytes, and the settings of the last one."""

    number: int
    size: int
    last_digest: bytes | None


def add_settings(
    tx: sqlite3.Connection, restore_id: str, position: int, *, kind: str, value: Any, kept: Iterable[Leaf]
) -> None:
    tx.execute(
        "INSERT INTO staged_settings (restore_id, position, kind, value, kept) VALUES (?, ?, ?, ?, ?)",
        (restore_id, position, kind, write(value), write(list(kept))),
    )


def add_entry(tx: sqlite3.Connection, restore_id: str, position: int, entry: Entry) -> None:
    """Stage a history entry; one that equals an earlier one of the same document is left out."""
    content = document(entry.settings)
    tx.execute(
        "INSERT INTO staged_history (restore_id, position, number, settings, change_note, created_at, digest)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (restore_id, digest, created_at, change_note) DO NOTHING",
        (restore_id, position, entry.number, content.text, entry.change_note, entry.created_at, content.digest),
    )


def read_settings(tx: sqlite3.Connection, restore_id: str) -> Iterator[tuple[str, Any, list[Leaf]]]:
    """Kind, value and kept leaves of each settings item, in the order of the document."""
    rows = tx.execute(
        "SELECT kind, value, kept FROM staged_settings WHERE restore_id = ? ORDER BY position", (restore_id,)
    )
    return ((kind, orjson.loads(value), [tuple(leaf) for leaf in orjson.loads(kept)]) for kind, value, kept in rows)


def read_note(tx: sqlite3.Connection, undo_id: str) -> str | None:
    """What the version that an undo makes is to be noted as."""
    row = tx.execute(
        "SELECT value FROM staged_settings WHERE restore_id = ? AND kind = ? ORDER BY position LIMIT 1", (undo_id, NOTE)
    ).fetchone()
    return orjson.loads(row["value"]) if row else None


def count_entries(tx: sqlite3.Connection, restore_id: str) -> int:
    row = tx.execute("SELECT count(*) FROM staged_history WHERE restore_id = ?", (restore_id,)).fetchone()
    return int(row[0])


def weigh_fresh(tx: sqlite3.Connection, restore_id: str, owner: str) -> Fresh:
    named = {"restore_id": restore_id, "owner": owner}
    number, size = tx.execute(_WEIGH, named).fetchone()
    last = tx.execute(_LAST, named).fetchone()
    return Fresh(number, size, last and last["digest"])


def import_fresh(tx: sqlite3.Connection, restore_id: str, owner: str, highest: int) -> None:
    """Make the owner's versions after `highest` out of the fresh entries, in their order, with their time and note."""
    tx.execute(_IMPORT, {"restore_id": restore_id, "owner": owner, "highest": highest})


def discard(tx: sqlite3.Connection, restore_id: str) -> None:
    tx.execute("DELETE FROM staged_settings WHERE restore_id = ?", (restore_id,))
    tx.execute("DELETE FROM staged_history WHERE restore_id = ?", (restore_id,))
