"""What is too old, or what nothing refers to, is removed from one file beside the services that use it.

A chore is one kind of it. It goes in bounded transactions, so that whoever writes waits for a piece at most, and may be
broken off between any two: whoever begins again finds the rest.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson

from chassis.schema import take_turn, writing

MOST_ROWS: Final = 500  # of a piece
PAGES_AT_ONCE: Final = 256
PAUSE_SECONDS: Final = 0.01  # between two pieces; another process that waits for the file looks more often
SHRINK: Final = f"PRAGMA incremental_vacuum({PAGES_AT_ONCE})"
INCREMENTAL: Final = 2  # what PRAGMA auto_vacuum says of a file that can give pages back

Values = Mapping[str, Any]
Tell = Callable[[int], None]  # how many rows more


class Amount(NamedTuple):
    """Of rows, and of bytes in their large columns."""

    rows: int
    size: int


class Chore(NamedTuple):
    """One kind of thing to remove: `amount` looks only, `pieces` removes, and tells the rows of each transaction."""

    name: str
    amount: Callable[[sqlite3.Connection], Amount]
    pieces: Callable[[sqlite3.Connection], Iterator[int]]


class Space(NamedTuple):
    """Of a file, in bytes: all of it, and how much of that is free; whether it can be made smaller in pieces."""

    size: int
    free: int
    shrinks: bool


def counted(sql: str, values: Values) -> Callable[[sqlite3.Connection], Amount]:
    """A count by a statement that gives rows and bytes."""
    return lambda tx: Amount(*tx.execute(sql, values).fetchone())


def chosen(select: str, delete: str, values: Values) -> Callable[[sqlite3.Connection], Iterator[int]]:
    """Pieces of what `select` finds in one look. `delete` takes their keys, the first column, as the JSON list :chosen,
    and asks again for all that may have changed since."""

    def pieces(tx: sqlite3.Connection) -> Iterator[int]:
        keys = [row[0] for row in tx.execute(select, values)]
        for first in range(0, len(keys), MOST_ROWS):
            with writing(tx):
                some = orjson.dumps(keys[first : first + MOST_ROWS]).decode()
                removed = tx.execute(delete, {**values, "chosen": some}).rowcount
            yield removed

    return pieces


def repeated(piece: Callable[[sqlite3.Connection], bool]) -> Callable[[sqlite3.Connection], Iterator[int]]:
    """Pieces by a function that does one, whose last statement removes, and says whether there may be more."""

    def pieces(tx: sqlite3.Connection) -> Iterator[int]:
        more = True
        while more:
            with writing(tx):
                before = tx.total_changes
                more = piece(tx)
                removed = tx.execute("SELECT changes()").fetchone()[0] if tx.total_changes > before else 0
            yield removed

    return pieces


def look(tx: sqlite3.Connection, chores: Sequence[Chore]) -> dict[str, Amount]:
    """What there is to remove. Changes nothing."""
    return {chore.name: chore.amount(tx) for chore in chores}


def clean(tx: sqlite3.Connection, chores: Sequence[Chore], tell: Tell) -> dict[str, int]:
    """Do the chores in their order, for what one leaves may be another's; the rows that each removed."""
    removed = dict.fromkeys((chore.name for chore in chores), 0)
    for chore in chores:
        for rows in chore.pieces(tx):
            removed[chore.name] += rows
            tell(rows)
            time.sleep(PAUSE_SECONDS)
    return removed


def space(tx: sqlite3.Connection) -> Space:
    size, pages, free, mode = (
        int(tx.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_size", "page_count", "freelist_count", "auto_vacuum")
    )
    return Space(size * pages, size * free, mode == INCREMENTAL)


def give_back(tx: sqlite3.Connection) -> None:
    """Give the free pages back to the disk, some at a time. Does nothing in a file that cannot: see `rebuild`."""
    while (before := space(tx)).shrinks and before.free:
        take_turn(tx, lambda: tx.executescript(SHRINK))  # `execute` would take a single step, of one page
        if space(tx).size >= before.size:  # others fill it as fast
            break
        time.sleep(PAUSE_SECONDS)
    tx.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def rebuild(tx: sqlite3.Connection) -> None:
    """Write the whole file anew, without free pages, as one that `give_back` works on. Nobody can write meanwhile."""
    tx.execute("PRAGMA auto_vacuum = INCREMENTAL")
    take_turn(tx, lambda: tx.execute("VACUUM"))
    tx.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
