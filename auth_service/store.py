"""Every session there is: how it begins, how its owner sees it, how it ends."""

from sqlite3 import Connection

from auth_service import clock, sessions
from auth_service.clock import Clock
from auth_service.lifetimes import Lifetime
from auth_service.models import Device, OpenedSession, Session
from auth_service.tokens import fingerprint, new_guest, new_session_id, new_token
from auth_service.users import is_known, is_user
from chassis.database import Database
from chassis.peers import Caller
from chassis.problems import Problem


class Store:
    """Sessions: opened, listed, ended."""

    def __init__(self, database: Database, lifetime: Lifetime, now: Clock) -> None:
        self._database, self._lifetime, self._clock = database, lifetime, now

    async def open_guest(self, user_agent: str | None, *, wrote: bool) -> OpenedSession:
        """A guest that nobody was before, and its session."""
        return await self._database.write(lambda tx: self._open(tx, new_guest(), user_agent, wrote=wrote))

    async def sign_in(self, user: str, token: str | None, user_agent: str | None) -> OpenedSession:
        """End the session of a token, whosever it is, and open one of the user: both or neither.

        Raises Problem 404 where there is no such user, any more perhaps.
        """

        def work(tx: Connection) -> OpenedSession:
            if not is_known(tx, user):
                raise Problem(404, "unknown_user", "There is no such user any more. Sign in again.")
            return self._open(tx, user, self._end_and_name(tx, token, user_agent), wrote=True)

        return await self._database.write(work)

    async def log_out(self, token: str | None, user_agent: str | None, *, wrote: bool) -> OpenedSession:
        """End the session of a token, if it is of one, and open a fresh guest on the same device: both or neither."""

        def work(tx: Connection) -> OpenedSession:
            return self._open(tx, new_guest(), self._end_and_name(tx, token, user_agent), wrote=wrote)

        return await self._database.write(work)

    async def current(self, caller: Caller) -> Session:
        """The session that the caller's token names. Raises Problem 401 where it has ended since."""
        now = self._now()
        return await self._database.read(lambda tx: sessions.session_of(sessions.current(tx, caller, now)))

    async def devices(self, caller: Caller) -> list[Device]:
        """The owner's live sessions, oldest first. Raises Problem 401 where the caller's own has ended."""
        now = self._now()
        rows = await self._database.read(lambda tx: sessions.live(tx, caller.owner, now))
        if all(row["session_id"] != caller.session for row in rows):
            raise sessions.ended()
        return [sessions.device_of(row, caller) for row in rows]

    async def end(self, caller: Caller, session_id: str) -> None:
        """End one of the owner's live sessions. Raises Problem 404 where there is none of that id, else 401."""

        def work(tx: Connection) -> None:
            now = self._now()
            sessions.current(tx, caller, now)
            if not sessions.end(tx, "owner = :owner AND session_id = :id", now, owner=caller.owner, id=session_id):
                raise Problem(404, "unknown_session", "You have no live session of this id; list them again.")

        await self._database.write(work)

    async def end_others(self, caller: Caller) -> int:
        """End all of the owner's live sessions but the caller's; their number. Raises Problem 401 as above."""

        def work(tx: Connection) -> int:
            now = self._now()
            sessions.current(tx, caller, now)
            return len(
                sessions.end(tx, "owner = :owner AND session_id <> :id", now, owner=caller.owner, id=caller.session)
            )

        return await self._database.write(work)

    def _end_and_name(self, tx: Connection, token: str | None, user_agent: str | None) -> str | None:
        """End the session of a token, if it is of a live one; what to call the device from now on."""
        ended = sessions.end(tx, "token_hash = :hash", self._now(), hash=fingerprint(token)) if token else []
        return user_agent or next((row["user_agent"] for row in ended), None)

    def _open(self, tx: Connection, owner: str, user_agent: str | None, *, wrote: bool) -> OpenedSession:
        token, session_id, now = new_token(), new_session_id(), self._clock()
        tx.execute(
            "INSERT INTO sessions"
            " (session_id, token_hash, owner, user_agent, created_at, last_seen_at, expires_at, wrote)"
            " VALUES (:id, :hash, :owner, :user_agent, :now, :now, :expires_at, :wrote)",
            {
                "id": session_id,
                "hash": fingerprint(token),
                "owner": owner,
                "user_agent": user_agent,
                "now": clock.written(now),
                "expires_at": clock.written(self._lifetime.end(now, now, signed_in=is_user(owner))),
                "wrote": wrote,
            },
        )
        return OpenedSession(token=token, session=sessions.session_of(sessions.by_id(tx, session_id)))

    def _now(self) -> str:
        return clock.written(self._clock())
