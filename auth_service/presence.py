"""What the use of a session leaves behind: that it was seen, that it lives on, that its owner has something to keep."""

import asyncio
import sqlite3
from datetime import datetime, timedelta
from typing import Any

import structlog

from auth_service import clock, sessions
from auth_service.clock import Clock
from auth_service.lifetimes import Lifetime
from auth_service.models import Session
from auth_service.users import is_user
from chassis.database import Database

log = structlog.get_logger()

SEEN_EVERY = timedelta(minutes=1)
# The conditions stand here too: other processes over this file touch the same sessions, and end them.
TOUCH = f"""
    UPDATE sessions SET last_seen_at = :now, expires_at = max(expires_at, :expires_at), wrote = max(wrote, :wrote),
        user_agent = coalesce(:user_agent, user_agent)
    WHERE session_id = :session_id AND {sessions.LIVE}
        AND (last_seen_at <= :seen_before OR expires_at < :expires_at OR wrote < :wrote)
"""  # noqa: S608 - a constant


class Presence:
    """Sessions in use."""

    def __init__(self, database: Database, lifetime: Lifetime, now: Clock) -> None:
        self._database, self._lifetime, self._now = database, lifetime, now
        self._touching: dict[str, asyncio.Task[None]] = {}
        self._latest: dict[str, tuple[dict[str, Any], datetime]] = {}

    async def resolve(self, token: str, user_agent: str | None, *, wrote: bool) -> Session:
        """The live session of a token. Raises Problem 404 for an unknown, expired or ended one alike.

        What this use changes is told already, and written behind the answer: a busy or full disk keeps nobody out.
        """
        now = self._now()
        found = await self._database.read(lambda tx: sessions.by_token(tx, token, clock.written(now)))
        used = found | {"expires_at": self._prolonged(found, now), "wrote": max(found["wrote"], int(wrote))}
        if used != found or found["last_seen_at"] <= clock.written(now - SEEN_EVERY):
            self._touch_behind(used | {"user_agent": user_agent}, now)
        return sessions.session_of(used, renewed=used["expires_at"] > found["expires_at"])

    async def announce_write(self, token: str) -> Session:
        """Note, before a guest's first write is let through, that there will be something to keep. Once is enough.

        Raises Problem 404 where the session has ended: to what is being swept nobody writes any more.
        """

        def work(tx: sqlite3.Connection) -> Session:
            found = sessions.by_token(tx, token, clock.written(self._now()))
            if not found["wrote"]:
                tx.execute("UPDATE sessions SET wrote = 1 WHERE session_id = ?", (found["session_id"],))
            return sessions.session_of(found | {"wrote": 1})

        return await self._database.write(work)

    async def settled(self) -> None:
        """Return when nothing is being written behind an answer any more."""
        await asyncio.gather(*self._touching.values())

    def _prolonged(self, found: dict[str, Any], now: datetime) -> str:
        created_at, expires_at = clock.read(found["created_at"]), clock.read(found["expires_at"])
        return clock.written(self._lifetime.prolonged(now, created_at, expires_at, signed_in=is_user(found["owner"])))

    def _touch_behind(self, used: dict[str, Any], now: datetime) -> None:
        """One write at a time for a session; of what comes meanwhile, the last goes next."""
        session_id = used["session_id"]
        self._latest[session_id] = (used, now)
        if session_id not in self._touching:
            self._touching[session_id] = asyncio.create_task(self._touch_until_done(session_id))

    async def _touch_until_done(self, session_id: str) -> None:
        try:
            while (latest := self._latest.pop(session_id, None)) is not None:
                await self._touch(*latest)
        finally:  # here and not in a callback: between the last look and this nobody can put anything there
            del self._touching[session_id]

    async def _touch(self, used: dict[str, Any], now: datetime) -> None:
        values = used | {"now": clock.written(now), "seen_before": clock.written(now - SEEN_EVERY)}
        try:
            await self._database.write(lambda tx: tx.execute(TOUCH, values))
        except sqlite3.Error as error:
            log.warning("last_seen_not_written", reason=str(error))
