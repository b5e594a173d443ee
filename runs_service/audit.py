"""What workers write of anybody's runs: each write has a line, in its own transaction."""

import sqlite3
import time
from typing import Final

from chassis.database import Work
from chassis.peers import Caller, Scope

LARGEST_PIECE: Final = 500

NOTE: Final = "INSERT INTO worker_writes (written_at, owner, worker, run_id, created) VALUES (?, ?, ?, ?, ?)"
HAND_OVER: Final = "UPDATE worker_writes SET owner = ? WHERE owner = ?"
FORGET: Final = f"""
    DELETE FROM worker_writes WHERE id IN (SELECT id FROM worker_writes WHERE owner = ? LIMIT {LARGEST_PIECE})"""  # noqa: S608


def audited(who: Caller, run_id: str, work: Work[bool]) -> Work[bool]:
    """`work`, which says whether it made the run, with its line where a worker asks for it."""
    if who.scope is not Scope.WORKER:
        return work

    def noted(tx: sqlite3.Connection) -> bool:
        created = work(tx)
        tx.execute(NOTE, (int(time.time()), who.owner, who.session, run_id, created))
        return created

    return noted


def hand_over(tx: sqlite3.Connection, guest: str, user: str) -> None:
    tx.execute(HAND_OVER, (user, guest))


def forget(tx: sqlite3.Connection, owner: str) -> bool:
    """Forget a piece of the owner's lines; whether there may be more."""
    return tx.execute(FORGET, (owner,)).rowcount == LARGEST_PIECE
