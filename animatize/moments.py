"""One moment of all five files, in which nothing is half in place over several of them.

Whatever a gateway decides is a write to the journal. So whoever has the turn to write there for the few milliseconds
in which the five views begin knows that nothing is decided in between: with gateways of any release, and when this
process dies the kernel gives the turn back. What was decided before has to be done first; and should the copies be put
back, what is only begun then is aborted by the next gateway, as after a gateway's death.
"""

import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from animatize.telling import Exit, Stop
from chassis.schema import connect, take_turn
from gateway import in_flight

LOOK_SECONDS: Final = 0.01


class Moment(NamedTuple):
    """A connection to each file, in a read transaction, and for how many seconds the journal was held."""

    views: Mapping[str, sqlite3.Connection]
    at: datetime
    held: float


@contextmanager
def one_moment(files: Mapping[str, Path], patience: float) -> Iterator[Moment]:
    """Raises Stop where what was decided is not in place after `patience` seconds."""
    with ExitStack() as opened:
        views = {package: opened.enter_context(closing(connect(file))) for package, file in files.items()}
        journal = opened.enter_context(closing(connect(files["gateway"])))
        for each in views.values():
            _look(each)  # so that in the moment itself little is left to be read
        deadline = time.monotonic() + patience
        while (held := _begin_together(journal, views)) is None:
            if (waits := in_flight.decided(journal)) is not None and time.monotonic() > deadline:
                raise _waits_too_long(waits)
            time.sleep(LOOK_SECONDS)
        yield Moment(views, datetime.now(UTC), held)


def _begin_together(journal: sqlite3.Connection, views: Mapping[str, sqlite3.Connection]) -> float | None:
    """None where something is being put in place at this moment."""
    if in_flight.decided(journal) is not None:
        return None
    take_turn(journal, lambda: journal.execute("BEGIN IMMEDIATE"))
    began = time.monotonic()
    try:
        if in_flight.decided(journal) is not None:
            return None
        for view in views.values():
            view.execute("BEGIN")
            _look(view)
    finally:
        journal.execute("ROLLBACK")
    return time.monotonic() - began


def _look(view: sqlite3.Connection) -> None:
    view.execute("SELECT count(*) FROM sqlite_schema").fetchone()


def _waits_too_long(waits: in_flight.Left) -> Stop:
    told = f"A {waits.kind} that was decided {waits.age:.0f} s ago is not in place yet ({waits.id})"
    advice = "a service may be away: see `animatize status`, or wait longer with --wait"
    return Stop(Exit.AWAY, f"{told}; {advice}.", operation=waits.id)
