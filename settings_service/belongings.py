"""What becomes of an owner's settings when a guest becomes a user, and when an owner is erased.

The guest's profile becomes that of a user who never saved one; of any other user it becomes history, and what that
user's settings are does not change.
"""

import sqlite3
from typing import Final

from chassis.owners import Adopted, Belongings
from settings_service import versions
from settings_service.staged import HISTORY, SETTINGS
from settings_service.versions import INITIAL_NOTE, Document, Draft, Profile

GUEST_NOTE: Final = "from guest"
KEPT_NOTE: Final = "kept at sign-in"

_SAVED: Final = f"owner = :guest AND NOT (version = 1 AND change_note = '{INITIAL_NOTE}')"
_COUNT_SAVED: Final = f"SELECT count(*) FROM versions WHERE {_SAVED}"  # noqa: S608 - constants alone, as in what follows
# The guest's versions that the user lacks, in their order. The guest's latest has a note that says where it is from;
# which version one repeats is not told, for that number was the guest's.
_IMPORT: Final = f"""
    INSERT INTO versions (owner, version, settings, change_note, created_at, restored_from, digest)
    WITH coming AS (
        SELECT version, digest, created_at, iif(version = :latest, :note, change_note) AS noted
        FROM versions WHERE {_SAVED}),
    fresh AS (
        SELECT version, noted, row_number() OVER (ORDER BY version) AS place
        FROM coming WHERE NOT EXISTS (
            SELECT 1 FROM versions WHERE owner = :user AND digest = coming.digest
            AND created_at = coming.created_at AND change_note = coming.noted))
    SELECT :user, :highest + place, settings, noted, created_at, NULL, digest
    FROM fresh JOIN versions USING (version) WHERE owner = :guest ORDER BY place
"""  # noqa: S608
_TAKE_VERSIONS: Final = """
    INSERT INTO versions (owner, version, settings, change_note, created_at, restored_from, digest)
    SELECT :user, version, settings, change_note, created_at, restored_from, digest
    FROM versions WHERE owner = :guest ORDER BY version
"""
_TAKE_PROFILE: Final = """
    INSERT INTO profiles (owner, version, created_at, updated_at, pruned, pruned_through)
    SELECT :user, version, created_at, updated_at, pruned, pruned_through FROM profiles WHERE owner = :guest
"""
# The guest's numbers are not the user's, so that only how many are missing is told.
_TAKE_PRUNED: Final = """
    UPDATE profiles SET pruned = pruned + (SELECT pruned FROM profiles WHERE owner = :guest) WHERE owner = :user
"""
_FOLLOW: Final = "UPDATE undo_profiles SET version_after = :after WHERE owner = :user AND version_after = :before"
_TABLES: Final = ("profiles", "versions", "usage", "undo_versions", "undo_profiles")


class SettingsBelongings(Belongings):
    """The service's `chassis.owners.Belongings`."""

    def adopt(self, tx: sqlite3.Connection, guest: str, user: str) -> Adopted:
        """1 make the guest's profile the user's, where either has none to lose   2 else take it into the history
        3 leave nothing under the guest. What the guest never saved is nothing; the rest is counted, known or not.
        """
        saved: int = tx.execute(_COUNT_SAVED, {"guest": guest}).fetchone()[0]
        mine, theirs = versions.read_profile(tx, guest), versions.read_profile(tx, user)
        becomes = bool(saved) and not _ever_saved(tx, user, theirs)
        if becomes:
            _take_over(tx, guest, user)
        elif saved and mine is not None and theirs is not None:
            _take_into_history(tx, guest, mine, user, theirs)
        _leave_nothing(tx, guest)
        return Adopted({SETTINGS: int(becomes), HISTORY: saved})

    def erase(self, tx: sqlite3.Connection, owner: str) -> None:
        _leave_nothing(tx, owner)
        for table in ("staged_settings", "staged_history"):
            tx.execute(
                f"DELETE FROM {table} WHERE restore_id IN (SELECT restore_id FROM restores WHERE owner = ?)",  # noqa: S608
                (owner,),
            )


def has_saved(tx: sqlite3.Connection, owner: str) -> bool:
    """Whether there is more than the defaults that everybody begins with."""
    return _ever_saved(tx, owner, versions.read_profile(tx, owner))


def _ever_saved(tx: sqlite3.Connection, owner: str, profile: Profile | None) -> bool:
    if profile is None or profile.version > 1:
        return profile is not None
    first = versions.read_version(tx, owner, 1)
    return first is not None and first["change_note"] != INITIAL_NOTE


def _take_over(tx: sqlite3.Connection, guest: str, user: str) -> None:
    """Whoever saved is beyond version 1, so that the user's version rises."""
    _leave_nothing(tx, user)
    for statement in (_TAKE_VERSIONS, _TAKE_PROFILE):
        tx.execute(statement, {"guest": guest, "user": user})


def _take_into_history(tx: sqlite3.Connection, guest: str, mine: Profile, user: str, theirs: Profile) -> None:
    """An entry that the user has already, by settings, time and note, is not written again.

    The user wrote nothing and the settings stay, so that an undo which could be done before can be done after.
    """
    values = {"guest": guest, "user": user, "latest": mine.version, "note": GUEST_NOTE, "highest": theirs.version}
    tx.execute(_TAKE_PRUNED, {"guest": guest, "user": user})
    added = tx.execute(_IMPORT, values).rowcount
    if not added:
        return
    versions.move_to(tx, user, theirs.version + added, versions.now())
    last = versions.open_profile(tx, user)
    own = Document(theirs.settings, theirs.digest, len(theirs.settings))
    if last.digest != own.digest:
        last = versions.append(tx, user, last, Draft(own, KEPT_NOTE))
    tx.execute(_FOLLOW, {"user": user, "before": theirs.version, "after": last.version})


def _leave_nothing(tx: sqlite3.Connection, owner: str) -> None:
    for table in _TABLES:
        tx.execute(f"DELETE FROM {table} WHERE owner = ?", (owner,))  # noqa: S608
