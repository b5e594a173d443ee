"""How a session's row is found, ended and told, in SQL. Expiry is part of each lookup, so no caller can forget it."""

from collections.abc import Mapping
from sqlite3 import Connection, Row
from typing import Any

from auth_service.models import Device, Session
from auth_service.tokens import fingerprint
from auth_service.users import user_of
from chassis.peers import Caller
from chassis.problems import Problem

LIVE = "ended_at IS NULL AND expires_at > :now"
SELECT = (
    "SELECT sessions.*, users.user_id, users.email, users.name, users.picture"
    " FROM sessions LEFT JOIN users ON users.user_id = substr(owner, length('user:') + 1)"
)
TOLD = ("session_id", "owner", "created_at", "last_seen_at", "expires_at")
SHOWN = ("created_at", "last_seen_at", "expires_at", "user_agent")


def by_token(tx: Connection, token: str, now: str) -> dict[str, Any]:
    """The live session of a token, with its user. Raises Problem 404 for an unknown, expired or ended one alike."""
    values = {"hash": fingerprint(token), "now": now}
    row = tx.execute(f"{SELECT} WHERE token_hash = :hash AND {LIVE}", values).fetchone()
    if row is None:
        raise Problem(404, "unknown_session", "This cookie is of no live session.")
    return dict(row)


def by_id(tx: Connection, session_id: str) -> dict[str, Any]:
    return dict(tx.execute(f"{SELECT} WHERE session_id = ?", (session_id,)).fetchone())


def current(tx: Connection, caller: Caller, now: str) -> dict[str, Any]:
    """The live session that the caller's token names. Raises Problem 401 where it has ended since."""
    values = {"id": caller.session, "owner": caller.owner, "now": now}
    row = tx.execute(f"{SELECT} WHERE session_id = :id AND owner = :owner AND {LIVE}", values).fetchone()
    if row is None:
        raise ended()
    return dict(row)


def live(tx: Connection, owner: str, now: str) -> list[Row]:
    """The owner's live sessions, oldest first."""
    return tx.execute(
        f"SELECT * FROM sessions WHERE owner = :owner AND {LIVE} ORDER BY created_at, session_id",  # noqa: S608
        {"owner": owner, "now": now},
    ).fetchall()


def end(tx: Connection, which: str, now: str, **values: object) -> list[Row]:
    """End the live sessions of which the condition `which` is true; what they were."""
    return tx.execute(
        f"UPDATE sessions SET ended_at = :now WHERE {which} AND {LIVE} RETURNING *",  # noqa: S608 - a constant
        {"now": now, **values},
    ).fetchall()


def ended() -> Problem:
    return Problem(401, "session_ended", "This session has ended. Sign in again, or go on as a new guest.")


def session_of(row: Mapping[str, Any], *, renewed: bool = False) -> Session:
    user = user_of(row)
    told = {name: row[name] for name in TOLD}
    return Session(authenticated=user is not None, user=user, wrote=bool(row["wrote"]), renewed=renewed, **told)


def device_of(row: Row, caller: Caller) -> Device:
    current = row["session_id"] == caller.session
    return Device(id=row["session_id"], current=current, **{name: row[name] for name in SHOWN})
