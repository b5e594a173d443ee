"""What a copy of the auth file needs when it is put in the place of the file that was written to since."""

import sqlite3
from collections.abc import Collection
from typing import Final

from auth_service.clock import utc_now, written

SESSIONS: Final = "SELECT session_id, owner FROM sessions WHERE ended_at IS NULL"
END: Final = "UPDATE sessions SET ended_at = :moment WHERE session_id = :session AND ended_at IS NULL"


def open_sessions(tx: sqlite3.Connection) -> dict[str, str]:
    """The owner of each session that nobody has ended, by its public id."""
    return {row["session_id"]: row["owner"] for row in tx.execute(SESSIONS)}


def end_all_but(tx: sqlite3.Connection, still_open: Collection[str]) -> int:
    """End the sessions that were ended since the copy was made, lest a lost device comes in again; how many."""
    ended = [session for session in open_sessions(tx) if session not in still_open]
    moment = written(utc_now())
    tx.executemany(END, ({"session": session, "moment": moment} for session in ended))
    return len(ended)
