"""Brings every stored key under the current root secret: its data key is wrapped anew, the key itself stays sealed.

Works on the vault's file beside the services that use it, a few rows at a time, so that nobody waits long; a write that
comes in between wins. It may be killed at any moment and begun again, also twice at once.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from chassis.schema import Unusable, connect, refuse_unready, writing
from vault_service.ring import KeyRing, derive_ring
from vault_service.sealing import Sealed, Unreadable
from vault_service.standing import Damaged, Standing
from vault_service.wrapped import SEALED_TABLES, count_by_key, page_under, place_of, wrap_anew

PACKAGE: Final = "vault_service"
ROWS_AT_ONCE: Final = 100
MOST_PASSES: Final = 5  # a process that goes on writing under an old secret must not keep this one busy for ever

Tell = Callable[[int, int], None]  # how many keys were looked at, and of how many


class Refused(Exception):
    """Nothing was begun; the message says why, and what to do."""


def standing(file: Path, root: SecretStr, previous: Sequence[SecretStr]) -> Standing:
    """What hangs on which secret. Changes nothing. Raises Refused."""
    with closing(_opened(file)) as tx:
        return _standing(tx, _ring(tx, root, previous), 0)


def rekey(file: Path, root: SecretStr, previous: Sequence[SecretStr], tell: Tell) -> Standing:
    """1 wrap anew what is under a previous secret   2 again, for what was written meanwhile   3 once nothing is left
    that a previous secret opens, note that this is the vault of the current one. Raises Refused.
    """
    with closing(_opened(file)) as tx:
        ring = _ring(tx, root, previous)
        _refuse_without_the_secret(tx, ring)
        rewrapped = 0
        for _ in range(MOST_PASSES):
            changed = _go_through(tx, ring, tell)
            rewrapped += changed
            if not changed:
                break
        with writing(tx):
            _note_current(tx, ring)
        return _standing(tx, ring, rewrapped)


def _opened(file: Path) -> sqlite3.Connection:
    """The file as a service of this release would use it; never made here, and never migrated."""
    try:
        refuse_unready(file, PACKAGE)
    except Unusable as error:
        raise Refused(str(error)) from error
    return connect(file)


def _ring(tx: sqlite3.Connection, root: SecretStr, previous: Sequence[SecretStr]) -> KeyRing:
    vault = tx.execute("SELECT salt, fingerprint FROM vault").fetchone()
    if vault is None or vault["fingerprint"] is None:
        raise Refused("this vault was never started: there is nothing in it")
    ring = derive_ring(root, previous, bytes(vault["salt"]))
    if vault["fingerprint"] not in ring:
        given = ", ".join(key.id for key in (ring.current, *ring.previous))
        raise Refused(
            f"the vault is locked: it was made with the secret of fingerprint {vault['fingerprint']}, and given are"
            f" {given}. Give that secret as well, in ANIMATIZE_SECRET_KEY_PREVIOUS"
        )
    return ring


def _refuse_without_the_secret(tx: sqlite3.Connection, ring: KeyRing) -> None:
    others = {key_id: number for key_id, number in count_by_key(tx).items() if key_id not in ring}
    if others and not ring.previous:
        listed = ", ".join(f"{number} under {key_id}" for key_id, number in sorted(others.items()))
        raise Refused(f"keys are left under other secrets ({listed}): give those in ANIMATIZE_SECRET_KEY_PREVIOUS")


def _go_through(tx: sqlite3.Connection, ring: KeyRing, tell: Tell) -> int:
    """How many keys were wrapped anew in one pass over all that is under a previous secret."""
    counted = count_by_key(tx)
    total = sum(counted[key.id] for key in ring.previous)
    seen = changed = 0
    for table, rows in _pages(tx, ring):
        boxes = [(row, box) for row in rows if (box := _wrapped_anew(ring, row)) is not None]
        with writing(tx):
            changed += sum(wrap_anew(tx, table, row, box) for row, box in boxes)
        seen += len(rows)
        tell(seen, max(seen, total))
    return changed


def _pages(tx: sqlite3.Connection, ring: KeyRing) -> Iterator[tuple[str, list[sqlite3.Row]]]:
    """All rows under a previous secret, with the table that they are of."""
    for table in SEALED_TABLES:
        for key in ring.previous:
            after = ("", "")
            while rows := page_under(tx, table, key.id, after, ROWS_AT_ONCE):
                yield table, rows
                after = place_of(table, rows[-1])


def _wrapped_anew(ring: KeyRing, row: sqlite3.Row) -> Sealed | None:
    """None where the row is damaged: its own secret is there and does not open it."""
    try:
        return ring.rewrap(row["owner"], row["provider"], Sealed(row["key_id"], row["wrapped_key"], row["ciphertext"]))
    except Unreadable:
        return None


def _standing(tx: sqlite3.Connection, ring: KeyRing, rewrapped: int) -> Standing:
    vault = tx.execute("SELECT fingerprint FROM vault").fetchone()["fingerprint"]
    previous = [key.id for key in ring.previous]
    return Standing(vault, ring.current.id, previous, count_by_key(tx), list(_damaged(tx, ring)), rewrapped)


def _damaged(tx: sqlite3.Connection, ring: KeyRing) -> Iterator[Damaged]:
    for table, rows in _pages(tx, ring):
        for row in rows:
            if _wrapped_anew(ring, row) is None:
                yield Damaged(table, row["owner"], row["provider"], row["key_id"])


def _note_current(tx: sqlite3.Connection, ring: KeyRing) -> None:
    """What is damaged under a previous secret does not hold that one back: no secret opens it."""
    if all(_wrapped_anew(ring, row) is None for _, rows in _pages(tx, ring) for row in rows):
        tx.execute("UPDATE vault SET fingerprint = ? WHERE fingerprint <> ?", (ring.current.id, ring.current.id))
