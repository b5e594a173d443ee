"""What came out of the single-process console's file, in words that all services share: judged, found again, noted.

Expects the table `moved` of the service's migrations.
"""

import sqlite3
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from typing import NamedTuple


class Verdict(StrEnum):
    """What the file of today has where a thing of then belongs."""

    ABSENT = "absent"
    SAME = "same"
    OTHER = "other"


class Unfit(NamedTuple):
    """A thing of then that cannot be kept: what it is called, and why, in words that repeat nothing secret."""

    name: str
    reason: str


def is_noted(tx: sqlite3.Connection, name: str) -> bool:
    """Whether what is called so was moved before, whatever has become of it."""
    return tx.execute("SELECT 1 FROM moved WHERE digest = ?", (_digest(name),)).fetchone() is not None


def note(tx: sqlite3.Connection, name: str) -> None:
    moment = datetime.now(UTC).isoformat(timespec="microseconds")
    tx.execute("INSERT INTO moved (digest, moved_at) VALUES (?, ?) ON CONFLICT DO NOTHING", (_digest(name), moment))


def moment(value: object) -> str | None:
    """An ISO 8601 time of then as it is written today, in UTC with microseconds; no zone means UTC."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
        if found is None:
            return None
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC).isoformat(timespec="microseconds")
    except (ValueError, OverflowError):
        return None


def _digest(name: str) -> bytes:
    return sha256(name.encode()).digest()
