"""What the vault counts beside what every process does: how often it could not do what it is for, and why."""

from enum import StrEnum
from typing import Final

from prometheus_client import Counter, Gauge


class Reason(StrEnum):
    """Why a key could not be read, kept or taken in."""

    LOCKED = "vault_locked"  # a request was refused, or keys stayed a guest's: the vault was made with another secret
    FOREIGN_KEY = "foreign_key"  # a stored key is sealed under a secret that this process does not have
    UNREADABLE_KEY = "unreadable_key"  # a stored key does not open, though its secret is the right one: damaged
    WRONG_PASSPHRASE = "wrong_passphrase"  # noqa: S105 - a backup's keys came with a passphrase that does not open them
    DAMAGED_SEAL = "sealed_keys_damaged"  # a backup's keys are sealed in no way that is taken


_FAILURES: Final = Counter(
    "animatize_vault_failures", "Keys that could not be read, kept or taken in, by reason.", ("reason",)
)
FAILURES: Final = {reason: _FAILURES.labels(reason) for reason in Reason}  # all there from the start, at 0
LOCKED: Final = Gauge(
    "animatize_vault_locked", "1 where the vault was made with another root secret than this process was started with."
)
KEYS_UNDER_ANOTHER: Final = Gauge(
    "animatize_vault_keys_under_another_secret",
    "Keys, staged ones and those kept for an undo included, that are under another root secret than the current one."
    " At 0 the vault may still be marked as made with another: that one can go once vault_service.rekey exits with 0.",
)
