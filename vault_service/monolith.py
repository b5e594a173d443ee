"""Provider keys of the single-process console: out of the box of its secret, into the envelope of this vault.

That console wrote Fernet tokens under the SHA-256 of its secret. Plaintext lives between the two boxes only, in memory.
"""

import hashlib
import sqlite3
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from typing import Final, NamedTuple

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from pydantic import SecretStr, ValidationError

from chassis.moved import Unfit, Verdict, moment
from chassis.problems import field_errors
from vault_service import catalogue, store
from vault_service.models import NewKey
from vault_service.ring import KeyRing, derive_ring
from vault_service.unlocking import fingerprint_of, salt_of

UNREADABLE: Final = "none of the given secrets opens it"


class Moving(NamedTuple):
    owner: str
    provider: str
    api_key: SecretStr
    created_at: str
    updated_at: str


def opener(old_secrets: Sequence[SecretStr]) -> MultiFernet:
    """Opens what was written under any of them; without one, nothing."""
    digests = [hashlib.sha256(secret.get_secret_value().encode()).digest() for secret in old_secrets]
    return MultiFernet([Fernet(urlsafe_b64encode(each)) for each in digests] or [Fernet(Fernet.generate_key())])


def judge(owner: str, row: sqlite3.Row, opens: MultiFernet) -> Moving | Unfit:
    """`row` is one of the old `api_credentials`."""
    provider, token = row["provider"], row["encrypted_key"]
    name = f"key {provider}"
    if provider not in catalogue.SUPPORTED:
        return Unfit(name, "no keys are kept for this provider")
    try:
        text = opens.decrypt(token)
        fit = NewKey(api_key=SecretStr(text.decode())).api_key
    except (InvalidToken, TypeError, UnicodeDecodeError):
        return Unfit(name, UNREADABLE)
    except ValidationError as error:
        return Unfit(name, field_errors(error)[0]["message"])
    updated_at = moment(row["updated_at"]) or store.now()
    return Moving(owner, provider, fit, moment(row["created_at"]) or updated_at, updated_at)


def open_ring(tx: sqlite3.Connection, root: SecretStr, previous: Sequence[SecretStr]) -> KeyRing:
    """The keys of this vault, which is made with `root` where it is new. Inside a write transaction."""
    ring = derive_ring(root, previous, salt_of(tx))
    fingerprint_of(tx, ring.current.id)
    return ring


def read_ring(tx: sqlite3.Connection, root: SecretStr, previous: Sequence[SecretStr]) -> KeyRing:
    """As `open_ring`, of a vault that is there. Changes nothing."""
    row = tx.execute("SELECT salt FROM vault").fetchone()
    return derive_ring(root, previous, bytes(row["salt"]) if row else b"\0" * 16)


def is_locked(tx: sqlite3.Connection, ring: KeyRing) -> bool:
    """Whether this vault was made with a secret that is none of the ring's. Not where it was never started."""
    row = tx.execute("SELECT fingerprint FROM vault WHERE fingerprint IS NOT NULL").fetchone()
    return row is not None and row["fingerprint"] not in ring


def find(tx: sqlite3.Connection, ring: KeyRing, key: Moving) -> Verdict:
    row = store.live_rows(tx, key.owner).get(key.provider)
    if row is None:
        return Verdict.ABSENT
    return Verdict.SAME if store.opened(ring, row) == key.api_key else Verdict.OTHER


def add(tx: sqlite3.Connection, ring: KeyRing, key: Moving) -> None:
    sealed = ring.seal(key.owner, key.provider, key.api_key)
    store.write(tx, (key.owner, key.provider), sealed, (key.created_at, key.updated_at))
