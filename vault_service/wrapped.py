"""Every table with sealed keys, by the key-encryption key around their data keys: counted, and wrapped anew."""

import sqlite3
from collections import Counter
from typing import Final

from vault_service.sealing import Sealed

SEALED_TABLES: Final = {  # with the columns of their primary keys
    "api_keys": ("owner", "provider"),
    "staged_keys": ("restore_id", "provider"),
    "undo_keys": ("restore_id", "provider"),
}


def count_by_key(tx: sqlite3.Connection) -> Counter[str]:
    """How many keys, of all kinds, are under each key-encryption key."""
    found: Counter[str] = Counter()
    for table in SEALED_TABLES:
        counted = f"SELECT key_id, count(*) FROM {table} WHERE key_id IS NOT NULL GROUP BY key_id"  # noqa: S608
        found.update(dict(tuple(row) for row in tx.execute(counted)))
    return found


def count_others(tx: sqlite3.Connection, key_id: str) -> int:
    """How many keys are under another key-encryption key than this; what is under it costs nothing."""
    other = "SELECT count(*) FROM {} WHERE key_id < ?1 OR key_id > ?1"
    return sum(int(tx.execute(other.format(table), (key_id,)).fetchone()[0]) for table in SEALED_TABLES)


def page_under(
    tx: sqlite3.Connection, table: str, key_id: str, after: tuple[str, str], limit: int
) -> list[sqlite3.Row]:
    """The next rows of a table under this key-encryption key, in the order of the primary key."""
    first, second = SEALED_TABLES[table]
    return tx.execute(
        f"SELECT * FROM {table} WHERE key_id = ? AND ({first}, {second}) > (?, ?)"  # noqa: S608 - our own names
        f" ORDER BY {first}, {second} LIMIT ?",
        (key_id, *after, limit),
    ).fetchall()


def place_of(table: str, row: sqlite3.Row) -> tuple[str, str]:
    """The row's primary key."""
    first, second = SEALED_TABLES[table]
    return row[first], row[second]


def wrap_anew(tx: sqlite3.Connection, table: str, row: sqlite3.Row, sealed: Sealed) -> bool:
    """Put the new box around the row's data key in place of the old one, unless the row was written meanwhile.

    Nothing else of the row changes, its ciphertext least of all: that would be a write to the triggers of an undo.
    """
    first, second = SEALED_TABLES[table]
    changed = tx.execute(
        f"UPDATE {table} SET key_id = ?, wrapped_key = ?"  # noqa: S608 - our own names
        f" WHERE {first} = ? AND {second} = ? AND key_id = ? AND wrapped_key = ?",
        (sealed.key_id, sealed.wrapped_key, *place_of(table, row), row["key_id"], row["wrapped_key"]),
    )
    return changed.rowcount > 0
