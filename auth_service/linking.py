"""Users whom the single-process console knew, and how each meets the account at Google that it was made with.

That console kept an address and not what Google calls the account. An address alone proves nothing: it can be typed in
anywhere, and pass to somebody else. So a user is linked to an account, once and for good, only

1. where whoever signs in holds a live session of that user, and Google has verified the same address; or
2. where Google has verified the same address and gives it out itself, so that it cannot be anybody else's; or
3. by an operator, who knows who it is.

Addresses are the same where they are so letter by letter, but for the case of A to Z: dots count.
"""

from sqlite3 import Connection, Row
from typing import Any, Final

from auth_service import clock
from auth_service.google import UNLINKED, Person
from chassis.peers import Caller

PREFIX: Final = "user:"
IS_UNLINKED: Final = f"google_sub GLOB '{UNLINKED}*'"
OF_HOLDER: Final = f"""
    SELECT user_id FROM users JOIN sessions ON sessions.owner = '{PREFIX}' || users.user_id
    WHERE session_id = :session AND owner = :owner AND ended_at IS NULL AND expires_at > :now
        AND {IS_UNLINKED} AND lower(email) = lower(:email)"""  # noqa: S608 - constants of this module
BY_ADDRESS: Final = "SELECT * FROM users WHERE lower(email) = lower(?) ORDER BY created_at, user_id"
LINK: Final = f"UPDATE users SET google_sub = :sub WHERE user_id = :user_id AND {IS_UNLINKED}"  # noqa: S608

END: Final = "UPDATE sessions SET ended_at = min(expires_at, :now) WHERE owner = :owner AND ended_at IS NULL"


def unlinked_name(user_id: str) -> str:
    """What stands in the place of `google_sub` for a user whose account is not known yet."""
    return UNLINKED + user_id


def is_unlinked(user: Row) -> bool:
    return str(user["google_sub"]).startswith(UNLINKED)


def meet(tx: Connection, person: Person, holder: Caller | None, now: str) -> None:
    """Link the user that a person is, if there is one that may be and the account is of nobody yet.

    `holder` is who holds the session under which the person signs in, if anybody does.
    """
    if by_sub(tx, person.sub) is not None:
        return
    found = _of_holder(tx, person, holder, now) or (_by_address(tx, person) if person.at_google else None)
    if found is not None:
        link(tx, found, person.sub)


def link(tx: Connection, user_id: str, sub: str) -> bool:
    """Whether it was done: False where the user is linked already, or gone. The account must be of nobody."""
    return tx.execute(LINK, {"user_id": user_id, "sub": sub}).rowcount > 0


def by_sub(tx: Connection, sub: str) -> Row | None:
    """The user that an account is of."""
    row: Row | None = tx.execute("SELECT * FROM users WHERE google_sub = ?", (sub,)).fetchone()
    return row


def by_name(tx: Connection, name: str) -> list[Row]:
    """Those who are called so: the one of this id, with or without `user:` before it, else all of this address."""
    user_id = name.removeprefix(PREFIX)
    found = tx.execute("SELECT * FROM users WHERE user_id = ?", (user_id,)).fetchall()
    return found or tx.execute(BY_ADDRESS, (name,)).fetchall()


def unlinked(tx: Connection) -> list[dict[str, Any]]:
    """Everybody who still has to meet an account, each with the accounts that came in with the same address."""
    rows = tx.execute(f"SELECT * FROM users WHERE {IS_UNLINKED} ORDER BY user_id").fetchall()  # noqa: S608
    return [
        {
            "id": row["user_id"],
            "email": row["email"],
            "accounts": [each["google_sub"] for each in _same_address(tx, row) if not is_unlinked(each)],
        }
        for row in rows
    ]


def end_sessions(tx: Connection, user_id: str, now: str) -> None:
    tx.execute(END, {"owner": PREFIX + user_id, "now": now})


def has_sessions(tx: Connection, user_id: str, now: str) -> bool:
    """Whether the user can write at this moment."""
    live = "SELECT 1 FROM sessions WHERE owner = ? AND ended_at IS NULL AND expires_at > ?"
    return tx.execute(live, (PREFIX + user_id, now)).fetchone() is not None


def remove_user(tx: Connection, user_id: str) -> None:
    """Make room for a link. The sessions, which have ended, are swept in their time."""
    tx.execute("DELETE FROM users WHERE user_id = ?", (user_id,))


def now() -> str:
    return clock.written(clock.utc_now())


def _of_holder(tx: Connection, person: Person, holder: Caller | None, now: str) -> str | None:
    if holder is None or holder.session is None:
        return None
    values = {"session": holder.session, "owner": holder.owner, "email": person.email, "now": now}
    row = tx.execute(OF_HOLDER, values).fetchone()
    return row["user_id"] if row else None


def _by_address(tx: Connection, person: Person) -> str | None:
    """None unless exactly one user ever had the address: of two, nobody can tell which one it is."""
    found = tx.execute(BY_ADDRESS, (person.email,)).fetchall()
    return found[0]["user_id"] if len(found) == 1 and is_unlinked(found[0]) else None


def _same_address(tx: Connection, user: Row) -> list[Row]:
    return tx.execute(BY_ADDRESS, (user["email"],)).fetchall()
