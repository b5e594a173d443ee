"""The settings' share of a restore and of its undo: keeping what of a document is usable, and changing the profile."""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from chassis import documents
from chassis.documents import Malformed, pointer
from chassis.parts import Mode, Outcome, Refusal, Restore, Undone
from chassis.uploads import Item
from settings_service import kept, staged, versions
from settings_service.entries import Wrong, read_entry, wrong_leaves
from settings_service.limits import LARGEST_DOCUMENT, check_room, check_size, write_embeddable
from settings_service.merging import merge_patch, without
from settings_service.plans import RESTORED_NOTE, work_out, work_out_undo
from settings_service.staged import HISTORY, NOTE, PATCH, SETTINGS
from settings_service.versions import Draft

LONGEST_NOTE: Final = 500


class SettingsPart:
    """The service's `chassis.parts.Part`."""

    def __init__(self, quota: int) -> None:
        self._quota = quota

    def stage(self, tx: sqlite3.Connection, restore: Restore, items: Sequence[Item]) -> list[Refusal]:
        return [
            Refusal(HISTORY if item.kind == HISTORY else SETTINGS, item.pointer + pointer(*wrong.leaf), wrong.message)
            for item in items
            for wrong in (_stage_note if restore.mode is Mode.UNDO else _stage)(tx, restore.id, item)
        ]

    def plan(self, tx: sqlite3.Connection, restore: Restore) -> Outcome:
        """What `apply` would do. Raises Problem 413 where there is no room for it.

        Only the plan asks for room: once the restore is decided, it has to go through.
        """
        effect = work_out(tx, restore)
        if effect.follows:
            check_size(effect.target.size)
        self._check_growth(tx, restore.owner, effect.growth)
        return effect.outcome

    def apply(self, tx: sqlite3.Connection, restore: Restore) -> Outcome:
        """1 work out the state aimed at   2 add the entries that are new   3 let it follow, if it is not last
        4 remove the entries that the document does not name, and keep what an undo needs
        """
        before = after = versions.open_profile(tx, restore.owner)
        effect = work_out(tx, restore)
        if effect.fresh.number:
            staged.import_fresh(tx, restore.id, restore.owner, before.version)
            after = replace(before, version=before.version + effect.fresh.number)
            versions.move_to(tx, restore.owner, after.version, versions.now())
        if effect.follows:
            after = versions.append(tx, restore.owner, after, Draft(effect.target, RESTORED_NOTE))
        if effect.leaving.number:
            kept.put_aside(tx, restore, after.version)
        if effect.changes_state:
            kept.remember_profile(tx, restore, before.version, after.version)
        return effect.outcome._replace(state=_state(tx, restore.owner))

    def discard(self, tx: sqlite3.Connection, restore: Restore) -> None:
        staged.discard(tx, restore.id)

    def plan_undo(self, tx: sqlite3.Connection, undo: Restore) -> Undone:
        """What `undo` would do. Raises Problem 413 where there is no room for it."""
        reversal = work_out_undo(tx, undo)
        self._check_growth(tx, undo.owner, reversal.growth)
        return reversal.outcome

    def undo(self, tx: sqlite3.Connection, undo: Restore) -> Undone:
        """1 put the removed entries back   2 let the settings from before follow, if nothing was written since"""
        reversal = work_out_undo(tx, undo)
        kept.put_back(tx, undo)
        if reversal.draft is not None:
            versions.append(tx, undo.owner, versions.open_profile(tx, undo.owner), reversal.draft)
        staged.discard(tx, undo.id)
        return reversal.outcome._replace(state=_state(tx, undo.owner))

    def forget(self, tx: sqlite3.Connection, restore_id: str) -> None:
        kept.forget(tx, restore_id)

    def _check_growth(self, tx: sqlite3.Connection, owner: str, growth: int) -> None:
        """An owner who is over the quota already may still have less, or the same."""
        if growth > 0:
            check_room(versions.used_bytes(tx, owner) + growth, self._quota)


def _state(tx: sqlite3.Connection, owner: str) -> dict[str, Any]:
    """Which version is current now, for an answer that is given when another may be."""
    profile = versions.open_profile(tx, owner)
    return {"version": profile.version, "created_at": profile.created_at, "updated_at": profile.updated_at}


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


def _stage_note(tx: sqlite3.Connection, restore_id: str, item: Item) -> Iterator[Wrong]:
    """An undo brings nothing but the note of the version that it makes."""
    if item.kind != NOTE or not isinstance(item.value, str) or len(item.value) > LONGEST_NOTE:
        yield Wrong((), f"An undo takes a note of at most {LONGEST_NOTE} characters, and nothing else.")
    else:
        staged.add_settings(tx, restore_id, item.position, kind=NOTE, value=item.value, kept=())


def _unfit(item: Item) -> Wrong | None:
    """Why nothing of an item can be used, whatever is in it."""
    if item.kind not in (SETTINGS, PATCH, HISTORY):
        return Wrong((), "This is no kind of thing that the settings keep.")
    if not isinstance(item.value, dict):
        return Wrong((), f"{'A history entry' if item.kind == HISTORY else 'Settings'} should be an object.")
    try:
        documents.parse(write_embeddable(item.value))
        settings = item.value.get("settings") if item.kind == HISTORY else item.value
        if len(documents.canonical(settings)) > LARGEST_DOCUMENT:
            return Wrong((), f"These settings are larger than {LARGEST_DOCUMENT} bytes.")
    except Malformed as error:
        return Wrong((), f"This cannot be kept: {error}.")
    return None
