"""The settings' share of a restore: what of a document is usable, what it would change, and changing it."""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import orjson

from chassis import documents
from chassis.documents import Malformed, pointer, same
from chassis.staging import Counts, Outcome, Refusal, Restore
from chassis.uploads import Item
from settings_service import staged, versions
from settings_service.entries import Wrong, read_entry, wrong_leaves
from settings_service.limits import LARGEST_DOCUMENT, check_room, check_size, write_embeddable
from settings_service.merging import Settings, merge_patch, merge_sections, without
from settings_service.versions import Document, Draft, Profile

SETTINGS: Final = "settings"
PATCH: Final = "settings_patch"
HISTORY: Final = "history"
RESTORED_NOTE: Final = "backup_restore"


@dataclass(frozen=True)
class Merge:
    """What a restore makes of a profile. `follows`: the state it aims at has to follow the last entry once more."""

    target: Document
    fresh: staged.Fresh
    follows: bool
    outcome: Outcome

    @property
    def size(self) -> int:
        return self.fresh.size + (len(self.target.text) + len(RESTORED_NOTE) if self.follows else 0)


class SettingsPart:
    """The service's `chassis.staging.Part`."""

    def __init__(self, quota: int) -> None:
        self._quota = quota

    def stage(self, tx: sqlite3.Connection, restore: Restore, items: Sequence[Item]) -> list[Refusal]:
        return [
            Refusal(HISTORY if item.kind == HISTORY else SETTINGS, item.pointer + pointer(*wrong.leaf), wrong.message)
            for item in items
            for wrong in _stage(tx, restore.id, item)
        ]

    def plan(self, tx: sqlite3.Connection, restore: Restore) -> Outcome:
        """What `apply` would do. Raises Problem 413 where there is no room for it.

        Only the plan asks for room: once the restore is decided, it has to go through.
        """
        merge = _work_out(tx, restore, versions.read_profile(tx, restore.owner) or versions.unopened_profile())
        if merge.follows:
            check_size(merge.target.size)
        if merge.size:
            check_room(versions.used_bytes(tx, restore.owner) + merge.size, self._quota)
        return merge.outcome

    def apply(self, tx: sqlite3.Connection, restore: Restore) -> Outcome:
        """1 work out the state aimed at   2 add the entries that are new   3 let it follow, if it is not last"""
        profile = versions.open_profile(tx, restore.owner)
        merge = _work_out(tx, restore, profile)
        if merge.fresh.number:
            staged.import_fresh(tx, restore.id, restore.owner, profile.version)
            profile = replace(profile, version=profile.version + merge.fresh.number)
            versions.move_to(tx, restore.owner, profile.version, versions.now())
        if merge.follows:
            versions.append(tx, restore.owner, profile, Draft(merge.target, RESTORED_NOTE))
        return merge.outcome

    def discard(self, tx: sqlite3.Connection, restore: Restore) -> None:
        staged.discard(tx, restore.id)


def _stage(tx: sqlite3.Connection, restore_id: str, item: Item) -> Iterator[Wrong]:
    """Keep what is usable of `item`; what is not is told."""
    if (wrong := _unfit(item)) is not None:
        yield wrong
    elif item.kind == HISTORY:
        entry = read_entry(item.value)
        if isinstance(entry, Wrong):
            yield entry
        else:
            staged.add_entry(tx, restore_id, item.position, entry)
    else:
        # A null in a merge patch removes a key and is no value of it: checked is what the patch puts in place.
        wrongs = wrong_leaves(item.value if item.kind == SETTINGS else merge_patch({}, item.value))
        leaves = [wrong.leaf for wrong in wrongs]
        value = without(item.value, leaves)
        staged.add_settings(tx, restore_id, item.position, kind=item.kind, value=value, kept=leaves)
        yield from wrongs


def _unfit(item: Item) -> Wrong | None:
    """Why nothing of an item can be used, whatever is in it."""
    if item.kind not in (SETTINGS, PATCH, HISTORY):
        return Wrong((), "This is no kind of thing that the settings keep.")
    if not isinstance(item.value, dict):
        return Wrong((), f"{'A history entry' if item.kind == HISTORY else 'Settings'} should be an object.")
    try:
        text = write_embeddable(item.value)
        if len(text) > LARGEST_DOCUMENT:
            return Wrong((), f"This is larger than {LARGEST_DOCUMENT} bytes.")
        documents.parse(text)
    except Malformed as error:
        return Wrong((), f"This cannot be kept: {error}.")
    return None


def _work_out(tx: sqlite3.Connection, restore: Restore, profile: Profile) -> Merge:
    current: Settings = orjson.loads(profile.settings)
    target, named = _aim(tx, restore, current)
    content = versions.document(target)
    fresh = staged.weigh_fresh(tx, restore.id, restore.owner)
    entries = staged.count_entries(tx, restore.id)
    history = {"added": fresh.number, "changed": 0, "unchanged": entries - fresh.number}
    return Merge(
        target=content,
        fresh=fresh,
        follows=(fresh.last_digest or profile.digest) != content.digest,
        outcome=Outcome(
            {SETTINGS: _compare(named, current, target), HISTORY: history}, {SETTINGS: len(named), HISTORY: entries}
        ),
    )


def _aim(tx: sqlite3.Connection, restore: Restore, current: Settings) -> tuple[Settings, set[str]]:
    """The settings that are to be in place afterwards, and the sections that the document names."""
    target = current
    named: set[str] = set()
    for kind, value, kept in staged.read_settings(tx, restore.id):
        target = merge_sections(target, value, kept) if kind == SETTINGS else merge_patch(target, value)
        named |= value.keys()
    return target, named


def _compare(sections: set[str], before: Settings, after: Settings) -> Counts:
    counts = {"added": 0, "changed": 0, "unchanged": 0}
    for section in sections:
        counts[_verdict(section, before, after)] += 1
    return counts


def _verdict(section: str, before: Settings, after: Settings) -> str:
    if (section in before) != (section in after):
        return "added" if section in after else "changed"
    return "unchanged" if section not in after or same(before[section], after[section]) else "changed"
