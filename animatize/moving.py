"""How things are moved into one service's file, whatever they are: looked for, added, compared, noted.

Each pass goes through the source anew, a row at a time. What is there already is never written over.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, NamedTuple

from animatize.telling import progress
from chassis import moved
from chassis.moved import Unfit, Verdict
from chassis.owners import PAUSE_SECONDS
from chassis.schema import writing

MOST_THINGS: Final = 200  # in one transaction, so that nobody else who writes waits long
LARGEST_BYTES: Final = 2 << 20
MOST_NAMED: Final = 1000  # of what is left out; more are only counted

Things = Iterator[tuple[str, Any | Unfit]]  # with their owners


class Part(NamedTuple):
    """One kind of thing. `find` says what the file has in its place; `mark` names what is noted once it is there;
    `size` is in bytes."""

    name: str
    package: str
    total: int
    things: Callable[[], Things]
    find: Callable[[sqlite3.Connection, Any], Verdict]
    add: Callable[[sqlite3.Connection, Any], None]
    mark: Callable[[Any], str]
    size: Callable[[Any], int] = lambda _: 0


@dataclass
class Tally:
    """What came of one kind of thing, in numbers.

    added: written now, or to be written · present: there already, and the same · kept: there already and other, and
    left so · before: moved by an earlier migration, so that whatever it is now is its owner's doing · left_out: cannot
    be kept · equal, changed_since, wrong: what the comparison found; `changed_since` is of those moved before, which
    are now other on either side, or gone
    """

    source: int = 0
    added: int = 0
    present: int = 0
    kept: int = 0
    before: int = 0
    left_out: int = 0
    equal: int = 0
    changed_since: int = 0
    wrong: int = 0
    named: list[dict[str, str]] = field(default_factory=list)

    def leave_out(self, owner: str, unfit: Unfit) -> None:
        self.left_out += 1
        self._name(owner, unfit.name, unfit.reason)

    def keep(self, owner: str, name: str) -> None:
        self.kept += 1
        self._name(owner, name, "there is another one already, which stays")

    def numbers(self) -> dict[str, int]:
        return {name: value for name, value in vars(self).items() if name != "named"}

    def _name(self, owner: str, name: str, reason: str) -> None:
        if len(self.named) < MOST_NAMED:
            self.named.append({"owner": owner, "what": name, "reason": reason})


def plan(part: Part, tx: sqlite3.Connection | None) -> Tally:
    """What `move` would do; without a file, one that is new."""
    tally = Tally()
    for owner, thing in _judged(part, tally, f"Looking at {part.name}"):
        before = tx is not None and moved.is_noted(tx, part.mark(thing))
        _count(tally, owner, part, thing, None if before else _find(part, tx, thing))
    return tally


def move(part: Part, tx: sqlite3.Connection) -> Tally:
    """Add what is not there, a few at a time. Killed at any moment and begun again, it comes to the same."""
    tally = Tally()
    for piece in _pieces(part, _judged(part, tally, f"Moving {part.name}")):
        with writing(tx):
            for owner, thing in piece:
                before = moved.is_noted(tx, part.mark(thing))
                verdict = None if before else part.find(tx, thing)
                if verdict is Verdict.ABSENT:
                    part.add(tx, thing)
                _count(tally, owner, part, thing, verdict)
        time.sleep(PAUSE_SECONDS)
    return tally


def compare(part: Part, tx: sqlite3.Connection, tally: Tally) -> None:
    """Hold each thing of the source against what the file has now, and note those that it has as moved."""
    others = 0
    marks: list[str] = []
    for _, thing in _judged(part, Tally(), f"Comparing {part.name}"):
        before, verdict = moved.is_noted(tx, part.mark(thing)), part.find(tx, thing)
        tally.equal += verdict is Verdict.SAME
        tally.changed_since += before and verdict is not Verdict.SAME
        tally.wrong += not before and verdict is Verdict.ABSENT
        others += not before and verdict is Verdict.OTHER
        if not before and verdict is Verdict.SAME:
            marks.append(part.mark(thing))
            _note(tx, marks, at_least=MOST_THINGS)
    tally.wrong += max(0, others - tally.kept)
    _note(tx, marks, at_least=1)


def note_all(tx: sqlite3.Connection, names: Iterator[str]) -> None:
    while some := list(islice(names, MOST_THINGS)):
        _note(tx, some, at_least=1)


def _note(tx: sqlite3.Connection, marks: list[str], *, at_least: int) -> None:
    if len(marks) >= at_least:
        with writing(tx):
            for mark in marks:
                moved.note(tx, mark)
        marks.clear()


def _judged(part: Part, tally: Tally, what: str) -> Iterator[tuple[str, Any]]:
    """What can be kept of the source; the rest is named."""
    with progress(what, part.total) as step:
        for owner, thing in part.things():
            tally.source += 1
            step(tally.source)
            if isinstance(thing, Unfit):
                tally.leave_out(owner, thing)
            else:
                yield owner, thing


def _pieces(part: Part, things: Iterator[tuple[str, Any]]) -> Iterator[list[tuple[str, Any]]]:
    piece: list[tuple[str, Any]] = []
    weight = 0
    for owner, thing in things:
        piece.append((owner, thing))
        weight += part.size(thing)
        if len(piece) == MOST_THINGS or weight >= LARGEST_BYTES:
            yield piece
            piece, weight = [], 0
    if piece:
        yield piece


def _find(part: Part, tx: sqlite3.Connection | None, thing: Any) -> Verdict:
    return Verdict.ABSENT if tx is None else part.find(tx, thing)


def _count(tally: Tally, owner: str, part: Part, thing: Any, verdict: Verdict | None) -> None:
    """None for what was moved before."""
    tally.before += verdict is None
    tally.added += verdict is Verdict.ABSENT
    tally.present += verdict is Verdict.SAME
    if verdict is Verdict.OTHER:
        tally.keep(owner, part.mark(thing).removeprefix(f"{owner} "))
