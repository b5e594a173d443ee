"""Derives the key-encryption keys and compares them with the one that the vault was made with."""

import secrets
import sqlite3
from collections.abc import Sequence

import structlog
from pydantic import SecretStr

from chassis.database import Database
from vault_service.metrics import KEYS_UNDER_ANOTHER, LOCKED
from vault_service.ring import KeyRing, derive_ring
from vault_service.sealing import SALT_BYTES
from vault_service.store import Store, is_locked, now
from vault_service.turns import in_turn
from vault_service.wrapped import count_others

log = structlog.get_logger()


async def unlock(database: Database, root: SecretStr, previous: Sequence[SecretStr] = ()) -> Store:
    """The open vault. A vault that was made with another secret than all of these serves all the same, every row as
    unreadable, and refuses writes."""
    salt = await database.write(salt_of)
    ring = await in_turn(derive_ring, root, previous, salt)  # off the event loop: it takes a while on purpose
    made_with = await database.write(lambda tx: fingerprint_of(tx, ring.current.id))
    _, left = await _look(database, ring)
    await tell_keys(database, ring)
    if made_with in ring:
        log.info(
            "vault_unlocked",
            secret_fingerprint=ring.current.id,
            keys_under_another=left,
            rekey_needed=made_with != ring.current.id or left > 0,  # until then no previous secret can go
        )
    else:
        log.error(
            "vault_locked",
            vault_fingerprint=made_with,
            secret_fingerprint=ring.current.id,
            previous_fingerprints=[key.id for key in ring.previous],
            advice="start with the secret that this vault was made with as ANIMATIZE_SECRET_KEY or in"
            " ANIMATIZE_SECRET_KEY_PREVIOUS; until then its keys are kept but not readable",
        )
    return Store(database, ring)


async def tell_keys(database: Database, ring: KeyRing) -> None:
    """Bring the vault's numbers up to its file, which other processes change as well."""
    locked, left = await _look(database, ring)
    LOCKED.set(locked)
    KEYS_UNDER_ANOTHER.set(left)


async def _look(database: Database, ring: KeyRing) -> tuple[bool, int]:
    """Whether the vault is locked, and how many keys are not under the current key-encryption key."""
    return await database.read(lambda tx: (is_locked(tx, ring), count_others(tx, ring.current.id)))


def salt_of(tx: sqlite3.Connection) -> bytes:
    """That of the vault, made where there is none yet."""
    tx.execute(
        "INSERT INTO vault (only_row, salt, created_at) VALUES (1, ?, ?) ON CONFLICT DO NOTHING",
        (secrets.token_bytes(SALT_BYTES), now()),
    )
    return bytes(tx.execute("SELECT salt FROM vault").fetchone()["salt"])


def fingerprint_of(tx: sqlite3.Connection, own: str) -> str:
    """The fingerprint of the vault: our own where none was noted yet."""
    tx.execute("UPDATE vault SET fingerprint = ? WHERE fingerprint IS NULL", (own,))
    return str(tx.execute("SELECT fingerprint FROM vault").fetchone()["fingerprint"])
