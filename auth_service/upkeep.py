"""What the operator's prune removes of the sessions: those of users that ended long ago. Guests are swept instead."""

import sqlite3
from datetime import datetime
from typing import Final

from auth_service import clock
from auth_service.sweeping import KEPT_AFTER_THE_END, OVER_SESSIONS_OF_USERS
from chassis.upkeep import MOST_ROWS, Chore, counted, repeated

COUNT: Final = """
    SELECT count(*), 0 FROM sessions INDEXED BY users_over WHERE owner GLOB 'user:*' AND over_at <= :over_before"""


def chores(now: datetime) -> list[Chore]:
    values = {"over_before": clock.written(now - KEPT_AFTER_THE_END)}

    def remove(tx: sqlite3.Connection) -> bool:
        return tx.execute(OVER_SESSIONS_OF_USERS, {**values, "limit": MOST_ROWS}).rowcount == MOST_ROWS

    return [Chore("ended_sessions", counted(COUNT, values), repeated(remove))]
