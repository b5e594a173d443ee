"""The vault's share of a restore: which keys it adds, changes and removes, and taking that back.

What is staged, live or kept for an undo is sealed all the time; keys are opened only to be compared.
"""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from chassis.parts import Mode, Outcome, Refusal, Restore, Undone
from chassis.uploads import Item
from vault_service import staged
from vault_service.arrivals import Ready, Unfit
from vault_service.ring import KeyRing
from vault_service.store import live_rows, opened, refuse_if_locked

API_KEYS: Final = "api_keys"


@dataclass(frozen=True)
class Change:
    """What a restore does to the keys of a profile: providers."""

    added: list[str]
    changed: list[str]
    unchanged: list[str]
    removed: list[str]

    @property
    def touched(self) -> list[str]:
        return [*self.added, *self.changed, *self.removed]

    @property
    def outcome(self) -> Outcome:
        named = {"added": len(self.added), "changed": len(self.changed), "unchanged": len(self.unchanged)}
        return Outcome({API_KEYS: named}, {API_KEYS: sum(named.values())}, {API_KEYS: len(self.removed)})


class KeysPart:
    """The service's `chassis.parts.Part`. `ring` gives the key-encryption keys, which are known once the app runs."""

    def __init__(self, ring: Callable[[], KeyRing]) -> None:
        self._ring = ring

    def stage(self, tx: sqlite3.Connection, restore: Restore, items: Sequence[Item]) -> list[Refusal]:
        if restore.mode is Mode.UNDO:  # takes back, and puts nothing in
            return []
        return [refusal for item in items if (refusal := _stage(tx, restore, item)) is not None]

    def plan(self, tx: sqlite3.Connection, restore: Restore) -> Outcome:
        """What `apply` would do. Raises Problem 503 where the vault is locked: it is not to be emptied unseen."""
        change = self._work_out(tx, restore)
        if change.touched:
            refuse_if_locked(tx, self._ring())
        return change.outcome

    def apply(self, tx: sqlite3.Connection, restore: Restore) -> Outcome:
        """1 work out what changes   2 keep what stood there   3 put in what is new   4 remove what is not named"""
        change = self._work_out(tx, restore)
        staged.keep(tx, restore, change.touched)
        staged.put_in(tx, restore, [*change.added, *change.changed])
        staged.remove(tx, restore, change.removed)
        return change.outcome

    def discard(self, tx: sqlite3.Connection, restore: Restore) -> None:
        staged.discard(tx, restore)

    def plan_undo(self, tx: sqlite3.Connection, undo: Restore) -> Undone:
        """What `undo` would do. Raises Problem 503 where the vault is locked."""
        if staged.count_kept(tx, undo):
            refuse_if_locked(tx, self._ring())
        return _count_undone(tx, undo)

    def undo(self, tx: sqlite3.Connection, undo: Restore) -> Undone:
        undone = _count_undone(tx, undo)
        staged.put_back(tx, undo)
        staged.forget(tx, str(undo.undoes))
        return undone

    def forget(self, tx: sqlite3.Connection, restore_id: str) -> None:
        staged.forget(tx, restore_id)

    def _work_out(self, tx: sqlite3.Connection, restore: Restore) -> Change:
        live, named = live_rows(tx, restore.owner), staged.staged_rows(tx, restore)
        same = {provider for provider in named.keys() & live.keys() if self._same(named[provider], live[provider])}
        emptied = live.keys() - named.keys() if restore.mode is Mode.REPLACE and API_KEYS in restore.parts else ()
        return Change(
            added=sorted(named.keys() - live.keys()),
            changed=sorted((named.keys() & live.keys()) - same),
            unchanged=sorted(same),
            removed=sorted(emptied),
        )

    def _same(self, one: sqlite3.Row, other: sqlite3.Row) -> bool:
        """Whether two sealed keys are the same key. One that cannot be read is no other's equal."""
        api_key = opened(self._ring(), one)
        return api_key is not None and api_key == opened(self._ring(), other)


def _stage(tx: sqlite3.Connection, restore: Restore, item: Item) -> Refusal | None:
    match item.value:
        case Ready(provider, sealed):
            staged.add(tx, restore, provider, sealed)
            return None
        case Unfit(message):
            return Refusal(API_KEYS, item.pointer, message)
        case _:
            return Refusal(API_KEYS, item.pointer, "This is no kind of thing that the vault keeps.")


def _count_undone(tx: sqlite3.Connection, undo: Restore) -> Undone:
    kept = staged.count_kept(tx, undo)
    return Undone({API_KEYS: kept}, {API_KEYS: staged.count_touched(tx, undo) - kept})
