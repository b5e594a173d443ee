"""Every session there is, in SQL. Expiry is part of each lookup, so no caller can forget it."""

import asyncio
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from sqlite3 import Connection, Row

import structlog

from auth_service.models import Device, OpenedSession, Session
from auth_service.tokens import fingerprint, new_guest, new_session_id, new_token
from chassis.database import Database
from chassis.peers import Caller
from chassis.problems import Problem

log = structlog.get_logger()

Clock = Callable[[], datetime]

SEEN_EVERY = timedelta(minutes=1)
LIVE = "ended_at IS NULL AND expires_at > :now"


def utc_now() -> datetime:
    return datetime.now(UTC)


class Store:
    """Sessions: opened, found again by their token, listed, ended."""

    def __init__(self, database: Database, life: timedelta, clock: Clock) -> None:
        self._database, self._life, self._clock = database, life, clock
        self._touching: dict[str, asyncio.Task[None]] = {}

    async def open_guest(self, user_agent: str | None) -> OpenedSession:
        """A guest that nobody was before, and its session."""
        return await self._database.write(lambda tx: self._open_guest(tx, user_agent))

    async def resolve(self, token: str, user_agent: str | None) -> Session:
        """The live session of a token. Raises Problem 404 for an unknown, expired or ended one alike.

        That it was seen is written behind the answer: a busy or full disk keeps nobody out.
        """
        now = self._clock()
        found: Row | None = await self._database.read(
            lambda tx: tx.execute(
                f"SELECT * FROM sessions WHERE token_hash = :token_hash AND {LIVE}",  # noqa: S608 - a constant
                {"token_hash": fingerprint(token), "now": _text(now)},
            ).fetchone()
        )
        if found is None:
            raise Problem(404, "unknown_session", "This cookie is of no live session.")
        if found["last_seen_at"] <= _text(now - SEEN_EVERY):
            self._touch_behind(found["session_id"], user_agent, now)
        return _session(found)

    async def current(self, caller: Caller) -> Session:
        """The session that the caller's token names. Raises Problem 401 where it has ended since."""
        now = self._now()
        return await self._database.read(lambda tx: _session(_current(tx, caller, now)))

    async def devices(self, caller: Caller) -> list[Device]:
        """The owner's live sessions, oldest first. Raises Problem 401 where the caller's own has ended."""
        now = self._now()
        rows = await self._database.read(lambda tx: _live(tx, caller.owner, now))
        if all(row["session_id"] != caller.session for row in rows):
            raise _ended()
        return [_device(row, caller) for row in rows]

    async def end(self, caller: Caller, session_id: str) -> None:
        """End one of the owner's live sessions. Raises Problem 404 where there is none of that id, else 401."""

        def work(tx: Connection) -> None:
            now = self._now()
            _current(tx, caller, now)
            if not _end(tx, "owner = :owner AND session_id = :id", now, owner=caller.owner, id=session_id):
                raise Problem(404, "unknown_session", "You have no live session of this id; list them again.")

        await self._database.write(work)

    async def end_others(self, caller: Caller) -> int:
        """End all of the owner's live sessions but the caller's; their number. Raises Problem 401 as above."""

        def work(tx: Connection) -> int:
            now = self._now()
            _current(tx, caller, now)
            return len(_end(tx, "owner = :owner AND session_id <> :id", now, owner=caller.owner, id=caller.session))

        return await self._database.write(work)

    async def log_out(self, token: str | None, user_agent: str | None) -> OpenedSession:
        """End the session of a token, if it is of one, and open a fresh guest on the same device: both or neither."""

        def work(tx: Connection) -> OpenedSession:
            ended = _end(tx, "token_hash = :hash", self._now(), hash=fingerprint(token)) if token else []
            return self._open_guest(tx, user_agent or next((row["user_agent"] for row in ended), None))

        return await self._database.write(work)

    async def settled(self) -> None:
        """Return when nothing is being written behind an answer any more."""
        await asyncio.gather(*self._touching.values())

    def _open_guest(self, tx: Connection, user_agent: str | None) -> OpenedSession:
        token, now = new_token(), self._clock()
        row = tx.execute(
            "INSERT INTO sessions (session_id, token_hash, owner, user_agent, created_at, last_seen_at, expires_at)"
            " VALUES (:id, :hash, :owner, :user_agent, :now, :now, :expires_at) RETURNING *",
            {
                "id": new_session_id(),
                "hash": fingerprint(token),
                "owner": new_guest(),
                "user_agent": user_agent,
                "now": _text(now),
                "expires_at": _text(now + self._life),
            },
        ).fetchall()[0]
        return OpenedSession(token=token, session=_session(row))

    def _touch_behind(self, session_id: str, user_agent: str | None, now: datetime) -> None:
        if session_id not in self._touching:
            task = asyncio.create_task(self._touch(session_id, user_agent, now))
            self._touching[session_id] = task
            task.add_done_callback(lambda _: self._touching.pop(session_id))

    async def _touch(self, session_id: str, user_agent: str | None, now: datetime) -> None:
        """The condition stands in the statement too: other processes over this file touch the same sessions."""
        values = (_text(now), user_agent, session_id, _text(now - SEEN_EVERY))
        try:
            await self._database.write(
                lambda tx: tx.execute(
                    "UPDATE sessions SET last_seen_at = ?, user_agent = coalesce(?, user_agent)"
                    " WHERE session_id = ? AND last_seen_at <= ?",
                    values,
                )
            )
        except sqlite3.Error as error:
            log.warning("last_seen_not_written", reason=str(error))

    def _now(self) -> str:
        return _text(self._clock())


def _current(tx: Connection, caller: Caller, now: str) -> Row:
    row: Row | None = tx.execute(
        f"SELECT * FROM sessions WHERE session_id = :id AND owner = :owner AND {LIVE}",  # noqa: S608 - a constant
        {"id": caller.session, "owner": caller.owner, "now": now},
    ).fetchone()
    if row is None:
        raise _ended()
    return row


def _live(tx: Connection, owner: str, now: str) -> list[Row]:
    return tx.execute(
        f"SELECT * FROM sessions WHERE owner = :owner AND {LIVE} ORDER BY created_at, session_id",  # noqa: S608
        {"owner": owner, "now": now},
    ).fetchall()


def _end(tx: Connection, which: str, now: str, **values: object) -> list[Row]:
    """End the live sessions of which the condition `which` is true; what they were."""
    return tx.execute(
        f"UPDATE sessions SET ended_at = :now WHERE {which} AND {LIVE} RETURNING *",  # noqa: S608 - from this file
        {"now": now, **values},
    ).fetchall()


def _ended() -> Problem:
    return Problem(401, "session_ended", "This session has ended. Sign in again, or go on as a new guest.")


def _session(row: Row) -> Session:
    return Session(**{name: row[name] for name in ("session_id", "owner", "created_at", "last_seen_at", "expires_at")})


def _device(row: Row, caller: Caller) -> Device:
    shown = ("created_at", "last_seen_at", "expires_at", "user_agent")
    current = row["session_id"] == caller.session
    return Device(id=row["session_id"], current=current, **{name: row[name] for name in shown})


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
