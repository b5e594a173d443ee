"""Every SQL statement about profiles and their versions; each runs inside a transaction that the caller opened."""

import hashlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final, NamedTuple

import orjson

from chassis import documents
from settings_service.limits import write_embeddable
from settings_service.models import DEFAULTS

INITIAL_NOTE: Final = "initial_profile"
COLUMNS: Final = "version, settings, change_note, created_at, restored_from"
NEWEST_FIRST: Final = f"SELECT {COLUMNS} FROM versions WHERE owner = ? ORDER BY version DESC"  # noqa: S608 - constants
ONE: Final = f"SELECT {COLUMNS} FROM versions WHERE owner = ? AND version = ?"  # noqa: S608
OLDER: Final = f"SELECT {COLUMNS} FROM versions WHERE owner = ? AND version < ? ORDER BY version DESC"  # noqa: S608


class Document(NamedTuple):
    """Settings as they are stored; `digest` says which are equal, `size` is the length of the canonical form."""

    text: bytes
    digest: bytes
    size: int


class Draft(NamedTuple):
    """A version that has no number yet."""

    content: Document
    note: str
    restored_from: int | None = None


class Pruned(NamedTuple):
    """How many versions the operator removed for good because they were too many, and the highest of them, or 0."""

    number: int
    through: int


@dataclass(frozen=True)
class Profile:
    """The current settings of one owner."""

    settings: bytes
    digest: bytes
    version: int
    created_at: str
    updated_at: str

    def saved(self) -> dict[str, Any]:
        """What the answer to a write shows."""
        return {"settings": orjson.Fragment(self.settings), "version": self.version, "updated_at": self.updated_at}

    def shown(self) -> dict[str, Any]:
        """What the answer to a read shows."""
        return {**self.saved(), "created_at": self.created_at}


def document(settings: dict[str, Any]) -> Document:
    """Raises Malformed where they are nested too deeply."""
    text = write_embeddable(settings)
    canonical = documents.canonical(settings)
    return Document(text, hashlib.sha256(canonical).digest(), len(canonical))


@cache
def defaults() -> Document:
    return document(DEFAULTS)


def read_profile(tx: sqlite3.Connection, owner: str) -> Profile | None:
    row = tx.execute(
        "SELECT versions.settings, versions.digest, version, profiles.created_at, profiles.updated_at"
        " FROM profiles JOIN versions USING (owner, version) WHERE owner = ?",
        (owner,),
    ).fetchone()
    return Profile(*row) if row else None


def unopened_profile() -> Profile:
    """What a profile is before anything was written to it."""
    moment = now()
    return Profile(defaults().text, defaults().digest, 1, moment, moment)


def open_profile(tx: sqlite3.Connection, owner: str) -> Profile:
    """The profile, made with the defaults as version 1 where there is none."""
    if (found := read_profile(tx, owner)) is not None:
        return found
    made = unopened_profile()
    _insert(tx, owner, 1, Draft(defaults(), INITIAL_NOTE), made.created_at)
    tx.execute(
        "INSERT INTO profiles (owner, version, created_at, updated_at) VALUES (?, 1, ?, ?)",
        (owner, made.created_at, made.updated_at),
    )
    return made


def append(tx: sqlite3.Connection, owner: str, profile: Profile, draft: Draft) -> Profile:
    """The profile with `draft` as its next version."""
    made = Profile(draft.content.text, draft.content.digest, profile.version + 1, profile.created_at, now())
    _insert(tx, owner, made.version, draft, made.updated_at)
    move_to(tx, owner, made.version, made.updated_at)
    return made


def bring(tx: sqlite3.Connection, owner: str, version: int, draft: Draft, since_and_then: tuple[str, str]) -> None:
    """Make a version that has its number and time already the current one, in a profile that began at `since`."""
    since, then = since_and_then
    _insert(tx, owner, version, draft, then)
    tx.execute(
        "INSERT INTO profiles (owner, version, created_at, updated_at) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (owner) DO UPDATE SET version = excluded.version, updated_at = excluded.updated_at",
        (owner, version, since, then),
    )


def move_to(tx: sqlite3.Connection, owner: str, version: int, moment: str) -> None:
    """Make `version`, the highest there is, the current one."""
    tx.execute("UPDATE profiles SET version = ?, updated_at = ? WHERE owner = ?", (version, moment, owner))


def read_version(tx: sqlite3.Connection, owner: str, version: int) -> sqlite3.Row | None:
    row: sqlite3.Row | None = tx.execute(ONE, (owner, version)).fetchone()
    return row


def read_content(tx: sqlite3.Connection, owner: str, version: int) -> Document | None:
    row = tx.execute(
        "SELECT settings, digest, length(settings) FROM versions WHERE owner = ? AND version = ?", (owner, version)
    ).fetchone()
    return Document(*row) if row else None


def read_pruned(tx: sqlite3.Connection, owner: str) -> Pruned:
    row = tx.execute("SELECT pruned, coalesce(pruned_through, 0) FROM profiles WHERE owner = ?", (owner,)).fetchone()
    return Pruned(*row) if row else Pruned(0, 0)


def older_versions(tx: sqlite3.Connection, owner: str, before: int) -> Iterator[sqlite3.Row]:
    """The versions below `before`, newest first, read from the file as they are asked for."""
    return tx.execute(OLDER, (owner, before))


def used_bytes(tx: sqlite3.Connection, owner: str) -> int:
    row = tx.execute("SELECT bytes FROM usage WHERE owner = ?", (owner,)).fetchone()
    return int(row["bytes"]) if row else 0


def shown(row: sqlite3.Row) -> dict[str, Any]:
    """A version as the history shows it."""
    return {"id": row["version"], **dict(row), "settings": orjson.Fragment(row["settings"])}


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _insert(tx: sqlite3.Connection, owner: str, version: int, draft: Draft, created_at: str) -> None:
    content, note, restored_from = draft
    tx.execute(
        "INSERT INTO versions (owner, version, settings, change_note, created_at, restored_from, digest)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (owner, version, content.text, note, created_at, restored_from, content.digest),
    )
