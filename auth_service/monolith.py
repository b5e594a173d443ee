"""Users and sessions of the single-process console, as this service keeps them.

A session keeps its cookie, of which only the SHA-256 is written. A user keeps its id, and is unlinked (see `linking`).
"""

import re
from hashlib import sha256
from sqlite3 import Connection, Row
from typing import Final, NamedTuple

from auth_service.google import LONGEST_EMAIL, LONGEST_NAME, PICTURE
from auth_service.linking import PREFIX, unlinked_name
from auth_service.tokens import fingerprint, new_session_id
from auth_service.users import is_known, is_user
from chassis.moved import Unfit, Verdict, is_noted, moment

COOKIE: Final = re.compile(r"[A-Za-z0-9_-]{20,100}")  # what a gateway takes for a session's cookie
TOLD: Final = ("email", "name", "picture", "created_at")


class User(NamedTuple):
    owner: str
    user_id: str
    email: str
    name: str
    picture: str | None
    created_at: str
    changed_at: str


class Session(NamedTuple):
    """`ended_at` is set of a session that nobody can come back to."""

    owner: str
    token_hash: bytes
    created_at: str
    last_seen_at: str
    expires_at: str
    ended_at: str | None = None


def judge_user(row: Row) -> User | Unfit:
    """`row` is one of the old `users`."""
    user_id, email = _text(row["id"]), _text(row["email"])[:LONGEST_EMAIL].strip()
    created_at, changed_at = moment(row["created_at"]), moment(row["updated_at"])
    if not user_id or not email or created_at is None:
        return Unfit(f"user {user_id}", "it has no id, no address or no readable time")
    picture = _text(row["picture"])
    return User(
        owner=PREFIX + user_id,
        user_id=user_id,
        email=email,
        name=_text(row["name"]).strip()[:LONGEST_NAME] or email,
        picture=picture if PICTURE.fullmatch(picture) else None,
        created_at=created_at,
        changed_at=changed_at or created_at,
    )


def judge_session(owner: str, row: Row) -> Session | Unfit:
    """`row` is one of the old `sessions`."""
    cookie = _text(row["session_id"])
    created_at, seen, expires_at = (moment(row[name]) for name in ("created_at", "last_seen_at", "expires_at"))
    if created_at is None or expires_at is None:
        return Unfit("a session", "its times cannot be read")
    if not COOKIE.fullmatch(cookie):
        return Unfit(f"the session of {created_at}", "its cookie is not one that could be presented here")
    return Session(owner, fingerprint(cookie), created_at, seen or created_at, expires_at)


def ended_session(guest: str, now: str) -> Session:
    """Of a guest that had none left: by it the guest is swept in its time, as every other that does not come back.

    There is no such cookie: nothing with a space in it is one.
    """
    return Session(guest, sha256(f"no cookie of {guest}".encode()).digest(), now, now, now, now)


def mark_of_session(session: Session) -> str:
    """By which it is noted that a session was moved."""
    return f"{session.owner} session {session.token_hash.hex()}"


def is_gone(tx: Connection, owner: str) -> bool:
    """Whether an owner who was moved has been erased since."""
    if not is_noted(tx, owner):
        return False
    if is_user(owner):
        return not is_known(tx, owner)
    return tx.execute("SELECT 1 FROM sessions WHERE owner = ?", (owner,)).fetchone() is None


def find_user(tx: Connection, user: User) -> Verdict:
    row = tx.execute("SELECT * FROM users WHERE user_id = ?", (user.user_id,)).fetchone()
    if row is None:
        return Verdict.ABSENT
    return Verdict.SAME if all(row[name] == getattr(user, name) for name in TOLD) else Verdict.OTHER


def find_session(tx: Connection, session: Session) -> Verdict:
    """A session that was used or ended since is the same."""
    row = tx.execute("SELECT owner FROM sessions WHERE token_hash = ?", (session.token_hash,)).fetchone()
    if row is None:
        return Verdict.ABSENT
    return Verdict.SAME if row["owner"] == session.owner else Verdict.OTHER


def add_user(tx: Connection, user: User) -> None:
    tx.execute(
        "INSERT INTO users (user_id, google_sub, email, name, picture, created_at, changed_at)"
        " VALUES (:user_id, :sub, :email, :name, :picture, :created_at, :changed_at)",
        user._asdict() | {"sub": unlinked_name(user.user_id)},
    )


def add_session(tx: Connection, session: Session) -> None:
    tx.execute(
        "INSERT INTO sessions"
        " (session_id, token_hash, owner, user_agent, created_at, last_seen_at, expires_at, ended_at, wrote)"
        " VALUES (:id, :token_hash, :owner, NULL, :created_at, :last_seen_at, :expires_at, :ended_at, 1)",
        session._asdict() | {"id": new_session_id()},
    )


def _text(value: object) -> str:
    """Without what cannot be shown."""
    return "".join(filter(str.isprintable, value)) if isinstance(value, str) else ""
