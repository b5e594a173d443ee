"""What a copy of the settings file needs when it is put in the place of the file that was written to since.

An owner's version only ever rises: a device that knows a later one than the copy has would else take what it gets for
old news and, once the number is given out again, other settings for its own.
"""

import sqlite3
from collections.abc import Collection, Mapping
from typing import Final

from settings_service.versions import INITIAL_NOTE, Draft, defaults, now

VERSIONS: Final = "SELECT owner, version FROM profiles"
# What is current follows once more, under a number that no device has seen yet.
FOLLOW: Final = """
    INSERT INTO versions (owner, version, settings, change_note, created_at, restored_from, digest)
    SELECT owner, :number, settings, :note, :moment, version, digest
    FROM profiles JOIN versions USING (owner, version) WHERE owner = :owner"""
MOVE: Final = "UPDATE profiles SET version = :number, updated_at = :moment WHERE owner = :owner"
BEGIN: Final = """
    INSERT INTO versions (owner, version, settings, change_note, created_at, digest)
    VALUES (:owner, :number, :settings, :note, :moment, :digest)"""
OPEN: Final = """
    INSERT INTO profiles (owner, version, created_at, updated_at) VALUES (:owner, :number, :moment, :moment)"""


def known_versions(tx: sqlite3.Connection) -> dict[str, int]:
    """The current version of each owner."""
    return {row["owner"]: row["version"] for row in tx.execute(VERSIONS)}


def rise_above(tx: sqlite3.Connection, versions: Mapping[str, int], alive: Collection[str], note: str) -> int:
    """Give whoever has had a later version than is here the next one, which repeats what is current; how many.

    `alive` are owners who have a session. One of them without a profile here gets the defaults, under such a number.
    """
    here = known_versions(tx)
    behind = {owner: version for owner, version in versions.items() if version > here.get(owner, 0)}
    raised = [owner for owner in behind if owner in here or owner in alive]
    for owner in raised:
        _follow(tx, owner, behind[owner] + 1, note) if owner in here else _begin(tx, owner, behind[owner] + 1)
    return len(raised)


def rise_by(tx: sqlite3.Connection, gap: int, note: str) -> int:
    """The same for every owner, where nobody knows any more which versions there were; how many."""
    here = known_versions(tx)
    for owner, version in here.items():
        _follow(tx, owner, version + gap, note)
    return len(here)


def _follow(tx: sqlite3.Connection, owner: str, number: int, note: str) -> None:
    values = {"owner": owner, "number": number, "note": note, "moment": now()}
    tx.execute(FOLLOW, values)
    tx.execute(MOVE, values)


def _begin(tx: sqlite3.Connection, owner: str, number: int) -> None:
    draft = Draft(defaults(), INITIAL_NOTE)
    content = {"settings": draft.content.text, "digest": draft.content.digest}
    values = {"owner": owner, "number": number, "note": draft.note, "moment": now(), **content}
    tx.execute(BEGIN, values)
    tx.execute(OPEN, values)
