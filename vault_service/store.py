"""The vault's live keys and their audit, in SQL. Keys are sealed before they come near the file; each plaintext read is
audited, and so is each key that leaves in a backup.
"""

import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from pydantic import SecretStr

from chassis.database import Database, Work
from chassis.peers import Caller
from chassis.problems import Problem, unavailable
from vault_service.disclosure import ProfileKey, effective
from vault_service.metrics import FAILURES, Reason
from vault_service.models import Source
from vault_service.ring import KeyRing
from vault_service.sealing import Sealed, Unreadable

LOCKED_RETRY_SECONDS = 60  # a wrong secret is put right by a person


class Outcome(StrEnum):
    """How a plaintext read ended."""

    SERVED = "served"
    ABSENT = "absent"
    UNREADABLE = "unreadable"
    LOCKED = "locked"
    SEALED = "sealed"  # it went out in a backup, sealed under a passphrase that its owner chose


@dataclass(frozen=True)
class Reading:
    """What a worker gets: the key and where it comes from, or None with the reason."""

    outcome: Outcome
    found: tuple[SecretStr, Source] | None = None


class Store:
    """The open vault. Made by `unlocking.unlock`.

    What an owner writes is answered as the work of one transaction, for `chassis.once.write_once`.
    """

    def __init__(self, database: Database, ring: KeyRing) -> None:
        self._database, self.ring = database, ring

    async def profile_keys(self, owner: str) -> dict[str, ProfileKey]:
        """The owner's stored keys by provider, unreadable ones included."""
        rows = await self._database.read(lambda tx: live_rows(tx, owner))
        return {provider: self._profile_key(row) for provider, row in rows.items()}

    async def keys_to_travel(self, caller: Caller) -> dict[str, ProfileKey]:
        """As `profile_keys`, for a backup that carries the keys: each one that can be read is audited.

        Raises Problem 503 where locked: the keys that the owner asks for are there, and would be missing.
        """

        def take(tx: sqlite3.Connection) -> dict[str, ProfileKey]:
            refuse_if_locked(tx, self.ring)
            found = {provider: self._profile_key(row) for provider, row in live_rows(tx, caller.owner).items()}
            for provider, profile_key in found.items():
                if profile_key.api_key is not None:
                    _audit(tx, caller, provider, "profile", Outcome.SEALED)
            return found

        return await self._database.write(take)

    def to_keep(self, owner: str, provider: str, api_key: SecretStr) -> Work[str]:
        """Seal a key, and store it in place of the one before; the time of it. Raises Problem 503 where locked.

        The key that is there already is not written again, and keeps its time.
        """
        sealed = self.ring.seal(owner, provider, api_key)

        def keep(tx: sqlite3.Connection) -> str:
            refuse_if_locked(tx, self.ring)
            there = live_rows(tx, owner).get(provider)
            if there is not None and opened(self.ring, there) == api_key:
                return str(there["updated_at"])
            time = now()
            write(tx, (owner, provider), sealed, (time, time))
            return time

        return keep

    def to_delete(self, owner: str, provider: str) -> Work[bool]:
        """Whether there was one. Raises Problem 503 where locked: the right secret could still open it."""

        def delete(tx: sqlite3.Connection) -> bool:
            refuse_if_locked(tx, self.ring)
            return tx.execute("DELETE FROM api_keys WHERE owner = ? AND provider = ?", (owner, provider)).rowcount > 0

        return delete

    async def read_key(self, caller: Caller, provider: str, environment: SecretStr | None) -> Reading:
        """The plaintext key that counts for the caller's owner. Returns once the audit of it is on the disk."""

        def read(tx: sqlite3.Connection) -> Reading:
            reading = self._reading(tx, caller.owner, provider, environment)
            source = reading.found[1] if reading.found is not None else None
            _audit(tx, caller, provider, source, reading.outcome)
            return reading

        return await self._database.write(read)

    async def refuse_if_locked(self) -> None:
        """Raises Problem 503 where the vault was made with another secret than this process has."""
        await self._database.read(lambda tx: refuse_if_locked(tx, self.ring))

    def _reading(self, tx: sqlite3.Connection, owner: str, provider: str, environment: SecretStr | None) -> Reading:
        row = live_rows(tx, owner).get(provider)
        if found := effective(self._profile_key(row) if row is not None else None, environment):
            return Reading(Outcome.SERVED, found)
        if row is None:
            return Reading(Outcome.ABSENT)
        return Reading(Outcome.LOCKED if is_locked(tx, self.ring) else Outcome.UNREADABLE)

    def _profile_key(self, row: sqlite3.Row) -> ProfileKey:
        return ProfileKey(opened(self.ring, row), row["updated_at"])


def live_rows(tx: sqlite3.Connection, owner: str) -> dict[str, sqlite3.Row]:
    """The rows of the owner's stored keys by provider."""
    return {row["provider"]: row for row in tx.execute("SELECT * FROM api_keys WHERE owner = ?", (owner,))}


def opened(ring: KeyRing, row: sqlite3.Row) -> SecretStr | None:
    """The provider key of a row, be it live, staged or kept for an undo; None where it cannot be read."""
    try:
        sealed = Sealed(row["key_id"], row["wrapped_key"], row["ciphertext"])
        return ring.unseal(row["owner"], row["provider"], sealed)
    except Unreadable:
        FAILURES[Reason.UNREADABLE_KEY if row["key_id"] in ring else Reason.FOREIGN_KEY].inc()
        return None


def write(tx: sqlite3.Connection, place: tuple[str, str], sealed: Sealed, times: tuple[str, str]) -> None:
    """Put a sealed key in its place, an owner's for a provider; `times` are when there was a first one, and this."""
    tx.execute(
        "INSERT INTO api_keys (owner, provider, key_id, wrapped_key, ciphertext, created_at, updated_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (owner, provider) DO UPDATE SET key_id = excluded.key_id,"
        " wrapped_key = excluded.wrapped_key, ciphertext = excluded.ciphertext, updated_at = excluded.updated_at",
        (*place, sealed.key_id, sealed.wrapped_key, sealed.ciphertext, *times),
    )


def refuse_if_locked(tx: sqlite3.Connection, ring: KeyRing) -> None:
    """Raises Problem 503 where the vault was made with another secret than those of the ring."""
    if is_locked(tx, ring):
        raise locked()


def locked() -> Problem:
    """The problem of a vault under another secret than its own."""
    FAILURES[Reason.LOCKED].inc()
    return unavailable(
        "vault_locked",
        "The server's secret is not the one that this vault was made with. Nothing was changed; tell the operator.",
        retry_after=LOCKED_RETRY_SECONDS,
    )


def is_locked(tx: sqlite3.Connection, ring: KeyRing) -> bool:
    """Whether the vault was made with a secret that is none of the ring's."""
    return bool(tx.execute("SELECT fingerprint FROM vault").fetchone()["fingerprint"] not in ring)


def _audit(tx: sqlite3.Connection, caller: Caller, provider: str, source: Source | None, outcome: Outcome) -> None:
    tx.execute(
        "INSERT INTO key_reads (read_at, owner, session, provider, source, outcome) VALUES (?, ?, ?, ?, ?, ?)",
        (now(), caller.owner, caller.session, provider, source, outcome),
    )


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
