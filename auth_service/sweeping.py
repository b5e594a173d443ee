"""What is given up: guests that nobody can come back to, or that never made anything; ended sessions of users."""

from datetime import timedelta
from sqlite3 import Connection

from auth_service import clock
from auth_service.clock import Clock
from chassis.database import Database

KEPT_AFTER_THE_END = timedelta(days=30)
KEPT_WITHOUT_WRITES = timedelta(days=1)  # since it was last seen

# The indexes are named because SQLite, which keeps no statistics here, would walk through every guest there is.
FORGOTTEN_GUESTS = """
    SELECT DISTINCT owner FROM (
        SELECT owner FROM sessions INDEXED BY guests_over
            WHERE owner GLOB 'guest:*' AND over_at <= :over_before
        UNION ALL
        SELECT owner FROM sessions INDEXED BY guests_without_writes
            WHERE owner GLOB 'guest:*' AND wrote = 0 AND last_seen_at <= :seen_before
    ) AS found
    WHERE NOT EXISTS (
        SELECT 1 FROM sessions WHERE sessions.owner = found.owner
            AND over_at > :over_before AND (wrote = 1 OR last_seen_at > :seen_before)
    )
    LIMIT :limit
"""
OVER_SESSIONS_OF_USERS = """
    DELETE FROM sessions WHERE session_id IN (
        SELECT session_id FROM sessions INDEXED BY users_over
            WHERE owner GLOB 'user:*' AND over_at <= :over_before LIMIT :limit
    )
"""


class Sweeping:
    """Chooses what goes. A guest's rows stay until it has been erased everywhere, and it is chosen again till then."""

    def __init__(self, database: Database, now: Clock) -> None:
        self._database, self._now = database, now

    async def claim(self, limit: int) -> list[str]:
        """At most `limit` guests to be erased, none of whom can come back from now on: their sessions have ended.

        As many ended sessions of users go at once.
        """

        def work(tx: Connection) -> list[str]:
            now = self._now()
            which = {
                "over_before": clock.written(now - KEPT_AFTER_THE_END),
                "seen_before": clock.written(now - KEPT_WITHOUT_WRITES),
                "limit": limit,
            }
            owners = [row["owner"] for row in tx.execute(FORGOTTEN_GUESTS, which)]
            tx.executemany(
                "UPDATE sessions SET ended_at = min(expires_at, ?) WHERE owner = ? AND ended_at IS NULL",
                [(clock.written(now), owner) for owner in owners],
            )
            tx.execute(OVER_SESSIONS_OF_USERS, which)
            return owners

        return await self._database.write(work)
