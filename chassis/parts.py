"""What a service knows of its own share of an operation over several services: its `Part`, and the words for it."""

import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple, Protocol

from chassis.uploads import Item

MOST_WARNINGS: Final = 100
LONGEST_TEXT: Final = 300  # characters of a pointer or a message: either can hold what a stranger wrote
UNDO_DAYS: Final = 7


class Mode(StrEnum):
    """What an operation does: put a document in beside what it does not name, or in its place, or take one back."""

    MERGE = "merge"
    REPLACE = "replace"
    UNDO = "undo"


class Refusal(NamedTuple):
    """Something that cannot be used: the part of the plan that counts it, its place, and why."""

    part: str
    pointer: str
    message: str


class Refusals:
    """The first of many refusals, and how many there are of each part: bounded, whatever a document holds."""

    def __init__(self) -> None:
        self.first: list[Refusal] = []
        self.counts: Counter[str] = Counter()

    def add(self, more: Sequence[Refusal]) -> None:
        shown = more[: MOST_WARNINGS - len(self.first)]
        self.first += [Refusal(part, place[:LONGEST_TEXT], why[:LONGEST_TEXT]) for part, place, why in shown]
        self.counts.update(each.part for each in more)


@dataclass(frozen=True)
class Restore:
    """One operation for one owner. A service never looks at another owner's data on its behalf.

    `parts` are those that the document carries, if only as an empty list: what REPLACE makes room in.
    """

    id: str
    owner: str
    mode: Mode
    parts: frozenset[str] = frozenset()
    undoes: str | None = None


Counts = dict[str, int]


class Outcome(NamedTuple):
    """What applying does or would do: `plan` {part: {added, changed, unchanged}}, `restored` {part: items in place},
    `removed` {part: items that go, since the document carries the part and does not name them}. `state`, once it is
    done, is what the gateway tells of the service's part as it is now."""

    plan: dict[str, Counts]
    restored: Counts
    removed: Counts
    state: dict[str, Any] | None = None


class Undone(NamedTuple):
    """What taking a restore back does or would do, {part: objects}: `undone` are as they were before, `stayed` were
    written since and are left alone; `state` as of an Outcome."""

    undone: Counts
    stayed: Counts
    state: dict[str, Any] | None = None


class Part(Protocol):
    """What a service knows of its own share. Every method runs inside a transaction of the service's file.

    `plan` and `plan_undo` say what `apply` and `undo` would do, and raise Problem where there is no room: what is
    decided has to go through, so the latter never refuse. `apply` keeps what it replaces under the restore's id, `undo`
    uses it up, `forget` drops it.
    """

    def stage(self, tx: sqlite3.Connection, restore: Restore, items: Sequence[Item]) -> list[Refusal]: ...
    def plan(self, tx: sqlite3.Connection, restore: Restore) -> Outcome: ...
    def apply(self, tx: sqlite3.Connection, restore: Restore) -> Outcome: ...
    def discard(self, tx: sqlite3.Connection, restore: Restore) -> None: ...
    def plan_undo(self, tx: sqlite3.Connection, undo: Restore) -> Undone: ...
    def undo(self, tx: sqlite3.Connection, undo: Restore) -> Undone: ...
    def forget(self, tx: sqlite3.Connection, restore_id: str) -> None: ...
