"""Everybody who has ever signed in, in SQL, until they have themselves erased."""

from collections.abc import Mapping
from sqlite3 import Connection
from typing import Any

from auth_service import clock, linking
from auth_service.clock import Clock
from auth_service.google import Person
from auth_service.linking import PREFIX
from auth_service.models import Admitted, User
from auth_service.tokens import new_user_id
from chassis import changes
from chassis.database import Database
from chassis.peers import Caller

PROVIDER = "google"
LIVE_SESSION = "SELECT 1 FROM sessions WHERE owner = :owner AND over_at > :now"


class Users:
    """Users: admitted by what Google says of them, erased."""

    def __init__(self, database: Database, now: Clock) -> None:
        self._database, self._now = database, now

    async def admit(self, person: Person, holder: Caller | None = None) -> Admitted:
        """The user that a person is, from the first time on; known by `sub`, called what Google calls them now.

        `holder` is who holds the session under which the person signs in.
        """

        def work(tx: Connection) -> Admitted:
            now = clock.written(self._now())
            linking.meet(tx, person, holder, now)
            tx.execute(
                "INSERT INTO users (user_id, google_sub, email, name, picture, created_at, changed_at)"
                " VALUES (:user_id, :sub, :email, :name, :picture, :now, :now)"
                " ON CONFLICT (google_sub) DO UPDATE"
                " SET email = :email, name = :name, picture = :picture, changed_at = :now"
                " WHERE (email, name, picture) IS NOT (:email, :name, :picture)",
                {"user_id": new_user_id(), **vars(person), "now": now},
            )
            row = tx.execute("SELECT * FROM users WHERE google_sub = ?", (person.sub,)).fetchone()
            return Admitted(owner=PREFIX + row["user_id"], user=user_of(dict(row)))

        return await self._database.write(work)

    async def erase(self, owner: str) -> None:
        """Nothing is left of a user or a guest, and each of its sessions is over. Erasing nobody is no error.

        Where one was live, that the owner's sessions have changed is still told, to whoever has a stream open under it.
        Erasing once more, as the end of an account does a minute later, leaves nothing of that either.
        """

        def work(tx: Connection) -> None:
            now = clock.written(self._now())
            was_live = tx.execute(LIVE_SESSION, {"owner": owner, "now": now}).fetchone() is not None
            tx.execute("DELETE FROM sessions WHERE owner = ?", (owner,))
            if is_user(owner):
                tx.execute("DELETE FROM users WHERE user_id = ?", (owner.removeprefix(PREFIX),))
            if not was_live:
                changes.forget(tx, owner)

        await self._database.write(work)


def is_user(owner: str) -> bool:
    """Else it is a guest."""
    return owner.startswith(PREFIX)


def is_known(tx: Connection, owner: str) -> bool:
    """Whether the owner is a user who has not been erased."""
    values = (owner.removeprefix(PREFIX),)
    return is_user(owner) and tx.execute("SELECT 1 FROM users WHERE user_id = ?", values).fetchone() is not None


def user_of(row: Mapping[str, Any]) -> User | None:
    """The user whose columns a row has, if it is of one."""
    if row["user_id"] is None:
        return None
    shown = {name: row[name] for name in ("email", "name", "picture")}
    return User(id=row["user_id"], provider=PROVIDER, **shown)
