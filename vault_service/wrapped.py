"""Every table with sealed keys, by the key-encryption key around their data keys: counted, and wrapped anew."""

import sqlite3
from collections import Counter
from typing import Final

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
