"""Every SQL statement on keys that are staged beside the live ones, and on what is kept of those they replaced."""

import sqlite3
from collections.abc import Iterable

from chassis.parts import Restore
from vault_service.sealing import Sealed
from vault_service.store import now

COLUMNS = "owner, provider, key_id, wrapped_key, ciphertext, created_at, updated_at"
IN_PLACE = (
    "ON CONFLICT (owner, provider) DO UPDATE SET key_id = excluded.key_id, wrapped_key = excluded.wrapped_key,"
    " ciphertext = excluded.ciphertext, updated_at = excluded.updated_at"
)


def add(tx: sqlite3.Connection, restore: Restore, provider: str, sealed: Sealed) -> None:
    tx.execute(
        "INSERT INTO staged_keys (restore_id, owner, provider, key_id, wrapped_key, ciphertext)"
        " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (restore_id, provider) DO UPDATE SET key_id = excluded.key_id,"
        " wrapped_key = excluded.wrapped_key, ciphertext = excluded.ciphertext",
        (restore.id, restore.owner, provider, sealed.key_id, sealed.wrapped_key, sealed.ciphertext),
    )


def staged_rows(tx: sqlite3.Connection, restore: Restore) -> dict[str, sqlite3.Row]:
    """The staged keys by provider."""
    found = tx.execute("SELECT * FROM staged_keys WHERE restore_id = ?", (restore.id,))
    return {row["provider"]: row for row in found}


def put_in(tx: sqlite3.Connection, restore: Restore, providers: Iterable[str]) -> None:
    """Put the staged keys of these providers in the place of the live ones."""
    time = now()
    tx.executemany(
        f"INSERT INTO api_keys ({COLUMNS}) SELECT owner, provider, key_id, wrapped_key, ciphertext, ?, ?"  # noqa: S608
        f" FROM staged_keys WHERE restore_id = ? AND provider = ? {IN_PLACE}",
        [(time, time, restore.id, provider) for provider in providers],
    )


def remove(tx: sqlite3.Connection, restore: Restore, providers: Iterable[str]) -> None:
    """Delete the live keys of these providers."""
    tx.executemany(
        "DELETE FROM api_keys WHERE owner = ? AND provider = ?", [(restore.owner, provider) for provider in providers]
    )


def discard(tx: sqlite3.Connection, restore: Restore) -> None:
    tx.execute("DELETE FROM staged_keys WHERE restore_id = ?", (restore.id,))


def keep(tx: sqlite3.Connection, restore: Restore, providers: Iterable[str]) -> None:
    """Keep what stands for these providers now, be it nothing, for an undo of the restore."""
    tx.executemany(
        f"INSERT INTO undo_keys (restore_id, {COLUMNS})"  # noqa: S608 - a constant of this module
        " SELECT ?1, ?2, ?3, key_id, wrapped_key, ciphertext, created_at, updated_at"
        " FROM (SELECT 1) LEFT JOIN api_keys ON owner = ?2 AND provider = ?3",
        [(restore.id, restore.owner, provider) for provider in providers],
    )


def count_kept(tx: sqlite3.Connection, undo: Restore) -> int:
    """How many keys the undo gives back their state from before."""
    found = tx.execute("SELECT count(*) FROM undo_keys WHERE restore_id = ? AND owner = ?", (undo.undoes, undo.owner))
    return int(found.fetchone()[0])


def count_touched(tx: sqlite3.Connection, undo: Restore) -> int:
    """How many keys the restore, that the undo takes back, had added, changed or removed."""
    found = tx.execute(
        "SELECT coalesce(answer ->> '$.plan.api_keys.added', 0) + coalesce(answer ->> '$.plan.api_keys.changed', 0)"
        " + coalesce(answer ->> '$.removed.api_keys', 0) FROM restores WHERE restore_id = ? AND owner = ?",
        (undo.undoes, undo.owner),
    )
    return int(found.fetchone()[0])


def put_back(tx: sqlite3.Connection, undo: Restore) -> None:
    """Give every key, of which the state from before is kept, that state back."""
    which = (undo.undoes, undo.owner)
    tx.execute(
        "DELETE FROM api_keys WHERE owner = ?2 AND provider IN"
        " (SELECT provider FROM undo_keys WHERE restore_id = ?1 AND owner = ?2 AND ciphertext IS NULL)",
        which,
    )
    tx.execute(
        f"INSERT INTO api_keys ({COLUMNS}) SELECT {COLUMNS} FROM undo_keys"  # noqa: S608
        f" WHERE restore_id = ?1 AND owner = ?2 AND ciphertext IS NOT NULL {IN_PLACE}",
        which,
    )


def forget(tx: sqlite3.Connection, restore_id: str) -> None:
    """Drop what is kept for an undo of the restore."""
    tx.execute("DELETE FROM undo_keys WHERE restore_id = ?", (restore_id,))
