"""What becomes of a guest's keys once the guest is a user, and of all that the vault has of an owner who goes."""

import sqlite3
from collections.abc import Callable
from typing import Final

from chassis.owners import Adopted, Belongings
from vault_service.metrics import FAILURES, Reason
from vault_service.part import API_KEYS
from vault_service.ring import KeyRing
from vault_service.store import is_locked, live_rows, opened

OWNED: Final = ("api_keys", "staged_keys", "undo_keys", "key_reads")  # the live keys first: what is kept hangs on them

LOCKED: Final = "The server cannot read stored keys at the moment. Enter it again."
CANNOT_BE_READ: Final = "The key saved before signing in cannot be read. Enter it again."
ONE_IS_THERE: Final = "There is another key for this provider in the account already. That one stays in use."
ONE_IS_THERE_UNREADABLE: Final = (
    "There is a key for this provider in the account already, which cannot be read. Enter the one you want to use."
)


class KeyBelongings(Belongings):
    """The service's `chassis.owners.Belongings`. `ring` gives the key-encryption keys, known once the app runs."""

    def __init__(self, ring: Callable[[], KeyRing]) -> None:
        self._ring = ring

    def adopt(self, tx: sqlite3.Connection, guest: str, user: str) -> Adopted:
        """Keys move where the user has none, with their times. No audit: a key that is sealed anew is shown to nobody.

        In a locked vault they all stay the guest's: nobody is kept from signing in by what only the operator can mend.
        """
        ring, theirs, own = self._ring(), live_rows(tx, guest), live_rows(tx, user)
        if theirs and is_locked(tx, ring):
            FAILURES[Reason.LOCKED].inc()
            return Adopted({API_KEYS: 0}, [(name, LOCKED) for name in sorted(theirs)])
        reasons = {name: _hand_over(tx, ring, row, own.get(name), user) for name, row in theirs.items()}
        stayed = [(name, reason) for name, reason in sorted(reasons.items()) if reason is not None]
        return Adopted({API_KEYS: len(theirs) - len(stayed)}, stayed)

    def erase(self, tx: sqlite3.Connection, owner: str) -> None:
        """Also in a locked vault; the audit goes as well."""
        for table in OWNED:
            tx.execute(f"DELETE FROM {table} WHERE owner = ?", (owner,))  # noqa: S608 - a constant of this module


def _hand_over(
    tx: sqlite3.Connection, ring: KeyRing, row: sqlite3.Row, own: sqlite3.Row | None, user: str
) -> str | None:
    """Why the key stays the guest's; None where it is the user's now, or was already."""
    if (api_key := opened(ring, row)) is None:
        return CANNOT_BE_READ
    if own is not None and (other := opened(ring, own)) != api_key:
        return ONE_IS_THERE if other is not None else ONE_IS_THERE_UNREADABLE
    if own is None:
        sealed = ring.seal(user, row["provider"], api_key)
        tx.execute(
            "INSERT INTO api_keys (owner, provider, key_id, wrapped_key, ciphertext, created_at, updated_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                user,
                row["provider"],
                sealed.key_id,
                sealed.wrapped_key,
                sealed.ciphertext,
                row["created_at"],
                row["updated_at"],
            ),
        )
    tx.execute("DELETE FROM api_keys WHERE owner = ? AND provider = ?", (row["owner"], row["provider"]))
    return None
