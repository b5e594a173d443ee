"""What a restore, or the undo of one, makes of a profile: worked out from what is staged and kept, nothing written."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from chassis.documents import same
from chassis.parts import Counts, Mode, Outcome, Restore, Undone
from settings_service import kept, staged, versions
from settings_service.kept import Weight
from settings_service.merging import Leaf, Settings, merge_patch, merge_sections
from settings_service.staged import HISTORY, SETTINGS
from settings_service.versions import Document, Draft, Profile

RESTORED_NOTE: Final = "backup_restore"


@dataclass(frozen=True)
class Effect:
    """What a restore makes of a profile. `follows`: the state it aims at has to follow the last entry once more."""

    target: Document
    changes_state: bool
    fresh: staged.Fresh
    follows: bool
    leaving: Weight
    outcome: Outcome

    @property
    def growth(self) -> int:
        """Bytes of the owner's quota; below zero where more goes than comes."""
        followed = len(self.target.text) + len(RESTORED_NOTE) if self.follows else 0
        return self.fresh.size + followed - self.leaving.size


@dataclass(frozen=True)
class Reversal:
    """What an undo makes of a profile: the version that follows the current one, if any, and entries that come back."""

    draft: Draft | None
    returning: Weight
    outcome: Undone

    @property
    def growth(self) -> int:
        """Bytes of the owner's quota."""
        return self.returning.size + (len(self.draft.content.text) + len(self.draft.note.encode()) if self.draft else 0)


def work_out(tx: sqlite3.Connection, restore: Restore) -> Effect:
    """The effect of MERGE or REPLACE on the owner's profile, or on the one that would be made."""
    opened = versions.read_profile(tx, restore.owner)
    profile = opened or versions.unopened_profile()
    current: Settings = orjson.loads(profile.settings)
    target, named = _aim(tx, restore, current)
    content = versions.document(target)
    fresh = staged.weigh_fresh(tx, restore.id, restore.owner)
    follows = (fresh.last_digest or profile.digest) != content.digest
    stays = None if fresh.number or follows else profile.version
    leaving = _weigh_leaving(tx, restore, stays, opened)
    entries = staged.count_entries(tx, restore.id)
    return Effect(
        target=content,
        changes_state=content.digest != profile.digest,
        fresh=fresh,
        follows=follows,
        leaving=leaving,
        outcome=Outcome(
            {
                SETTINGS: _compare(named, current, target),
                HISTORY: {"added": fresh.number, "changed": 0, "unchanged": entries - fresh.number},
            },
            {SETTINGS: len(named), HISTORY: entries},
            {SETTINGS: len(current.keys() - target.keys() - named), HISTORY: leaving.number},
        ),
    )


def work_out_undo(tx: sqlite3.Connection, undo: Restore) -> Reversal:
    """A profile that is at another version than the restore left was written since, and stays."""
    profile = versions.read_profile(tx, undo.owner)
    replaced = kept.read_replaced(tx, undo)
    returning = kept.weigh_aside(tx, undo)
    stands = replaced is not None and profile is not None and profile.version == replaced.by
    note = staged.read_note(tx, undo.id) or f"undo:{undo.undoes}"
    return Reversal(
        draft=Draft(replaced.settings, note) if replaced and stands else None,
        returning=returning,
        outcome=Undone(
            {SETTINGS: int(stands), HISTORY: returning.number},
            {SETTINGS: int(replaced is not None and not stands), HISTORY: 0},
        ),
    )


def _replaces(restore: Restore, part: str) -> bool:
    return restore.mode is Mode.REPLACE and part in restore.parts


def _weigh_leaving(tx: sqlite3.Connection, restore: Restore, stays: int | None, opened: Profile | None) -> Weight:
    if not _replaces(restore, HISTORY):
        return Weight(0, 0)
    leaving = kept.weigh_leaving(tx, restore, stays)
    # A profile that is yet to be made will have its first version, which no document can know.
    return Weight(1, 0) if opened is None and stays is None else leaving


def _aim(tx: sqlite3.Connection, restore: Restore, current: Settings) -> tuple[Settings, set[str]]:
    """The settings that are to be in place afterwards, and the sections that the document names."""
    items = list(staged.read_settings(tx, restore.id))
    target = _cleared(current, items) if _replaces(restore, SETTINGS) else current
    named: set[str] = set()
    for kind, value, leaves in items:
        target = merge_sections(target, value, leaves) if kind == SETTINGS else merge_patch(target, value)
        named |= value.keys()
    return target, named


def _cleared(current: Settings, items: Sequence[tuple[str, Any, list[Leaf]]]) -> Settings:
    """`current` less what whole settings do not name. A document that only patches single values clears nothing."""
    whole = [(value, leaves) for kind, value, leaves in items if kind == SETTINGS]
    if not whole:
        return current
    named = {section for value, leaves in whole for section in (*value, *(leaf[0] for leaf in leaves))}
    return {section: value for section, value in current.items() if section in named}


def _compare(sections: set[str], before: Settings, after: Settings) -> Counts:
    counts = {"added": 0, "changed": 0, "unchanged": 0}
    for section in sections:
        counts[_verdict(section, before, after)] += 1
    return counts


def _verdict(section: str, before: Settings, after: Settings) -> str:
    if (section in before) != (section in after):
        return "added" if section in after else "changed"
    return "unchanged" if section not in after or same(before[section], after[section]) else "changed"
