"""Whether a vault's file and a root secret belong together, found out by opening what is stored in it."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

from pydantic import SecretStr

from chassis.schema import connect
from vault_service.ring import derive_ring
from vault_service.store import opened
from vault_service.wrapped import SEALED_TABLES

MOST_OPENED: Final = 1000  # of each table


class Identity(NamedTuple):
    """`id` is the vault's own, and stays when its secret is changed; `fingerprint` is that of the secret it was made
    with. None where it was never started."""

    id: str | None
    fingerprint: str | None


class Canary(NamedTuple):
    """How many stored keys were opened, and how many could not be, under any of the secrets."""

    opened: int
    unreadable: int

    @property
    def is_dead(self) -> bool:
        """Where nothing is stored, that the fingerprint is the secret's has to do."""
        return self.unreadable > 0 and not self.opened


class WrongSecret(Exception):
    """None of the secrets is the one that the vault was made with; the message names their fingerprints."""


def identity(tx: sqlite3.Connection) -> Identity:
    vault = tx.execute("SELECT salt, fingerprint FROM vault").fetchone()
    return Identity(sha256(vault["salt"]).hexdigest()[:16], vault["fingerprint"]) if vault else Identity(None, None)


def sing(file: Path, root: SecretStr, previous: Sequence[SecretStr]) -> Canary:
    """Open what is stored in a vault that no other process uses. Raises WrongSecret."""
    with closing(connect(file)) as tx:
        vault = tx.execute("SELECT salt, fingerprint FROM vault").fetchone()
        if vault is None or vault["fingerprint"] is None:
            return Canary(0, 0)
        ring = derive_ring(root, previous, bytes(vault["salt"]))
        if vault["fingerprint"] not in ring:
            given = ", ".join(key.id for key in (ring.current, *ring.previous))
            made_with = f"this vault was made with the secret of fingerprint {vault['fingerprint']}"
            raise WrongSecret(f"{made_with}, and given are {given}: give that one, if need be as a previous one")
        found = [opened(ring, row) is not None for table in SEALED_TABLES for row in _stored(tx, table)]
        return Canary(sum(found), len(found) - sum(found))


def _stored(tx: sqlite3.Connection, table: str) -> list[sqlite3.Row]:
    query = f"SELECT * FROM {table} WHERE key_id IS NOT NULL LIMIT {MOST_OPENED}"  # noqa: S608 - our own names
    return tx.execute(query).fetchall()
