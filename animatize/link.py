"""`animatize link`: which of the single-process console's users still have to meet an account at Google, and their
meeting."""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Final

import typer

from animatize import troubles
from animatize.places import Place, place
from animatize.telling import Exit, Json, Stop, answering, tell
from auth_service import linking
from auth_service.google import UNLINKED
from chassis.schema import connect, refuse_unready, writing
from runs_service.belongings import has_runs
from settings_service.belongings import SettingsBelongings, has_saved
from vault_service.store import live_rows

HOLDING: Final = ("auth_service", "settings_service", "runs_service", "vault_service")
SETTLED_SECONDS: Final = 2.0  # within one, every gateway has heard that a session has ended
LONGEST_SUB: Final = 255

Who = Annotated[str | None, typer.Argument(metavar="[USER_ID|EMAIL", help="Whom the old console knew.")]
Sub = Annotated[str | None, typer.Argument(metavar="SUB]", help="What Google calls the account: its claim `sub`.")]


def link(who: Who = None, sub: Sub = None, json: Json = False) -> None:
    """Have a user of the old console meet an account at Google; without arguments, list who still has to.

    Be sure who it is: whoever signs in with that account has all that the user has, from then on.
    """
    with answering(as_json=json):
        here = place()
        if who is None or sub is None:
            if who is not None:
                raise Stop(Exit.USAGE, "Name the account too: `animatize link USER_ID|EMAIL SUB`.")
            tell(Unlinked(_listed(here)), as_json=json)
        else:
            tell(linked(here, who.strip(), sub.strip()), as_json=json)


@dataclass(frozen=True)
class Unlinked:
    """Who still has to meet an account, with the accounts that came in under the same address meanwhile."""

    users: list[dict[str, Any]]

    def as_json(self) -> dict[str, Any]:
        return {"unlinked": self.users}

    def lines(self) -> list[str]:
        return [self._line(**user) for user in self.users] or ["Every user has met an account."]

    def _line(self, id: str, email: str, accounts: list[str]) -> str:  # noqa: A002 - as the file calls it
        return f"{id}  {email}" + (f"  signed in since: {', '.join(accounts)}" if accounts else "")


@dataclass(frozen=True)
class Linked:
    """`was_before`: nothing had to be done. `removed` is the account's own user, who had nothing and made room."""

    user: str
    was_before: bool = False
    removed: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {"linked": self.user, "was_before": self.was_before, "removed": self.removed}

    def lines(self) -> list[str]:
        room = f" The account's own profile, {self.removed}, had nothing in it and is gone." if self.removed else ""
        return [f"{self.user} is of this account{' already' if self.was_before else ' from now on'}.{room}"]


def linked(here: Place, who: str, sub: str) -> Linked:
    """1 find the user   2 where the account has one of its own: if there is nothing in it, end its sessions, wait until
    that is known everywhere, look again   3 link. Raises Stop.
    """
    _refuse_no_account(sub)
    with _opened(here, HOLDING) as files:
        auth = files["auth_service"]
        owned = linking.by_sub(auth, sub)
        user = _user(auth, who, owned)
        if owned is not None and owned["user_id"] == user:
            return Linked(user, was_before=True)
        if owned is None:
            _link(auth, user, sub)
            return Linked(user)
        other = str(owned["user_id"])
        _make_room(files, other)
        _link(auth, user, sub, other)
        with writing(files["settings_service"]):
            SettingsBelongings().erase(files["settings_service"], linking.PREFIX + other)
        return Linked(user, removed=other)


def _make_room(files: dict[str, sqlite3.Connection], other: str) -> None:
    """Nobody writes to an empty profile any more. Raises Stop where it is none."""
    _refuse_owning(files, other)
    with writing(files["auth_service"]):
        linking.end_sessions(files["auth_service"], other, linking.now())
    time.sleep(SETTLED_SECONDS)
    _refuse_owning(files, other)


def _link(auth: sqlite3.Connection, user: str, sub: str, other: str | None = None) -> None:
    """`other` is the user whom the account has so far. Raises Stop where something is not any more as it was seen."""
    with writing(auth):
        owned = linking.by_sub(auth, sub)
        back = other is not None and linking.has_sessions(auth, other, linking.now())
        if back or (owned["user_id"] if owned is not None else None) != other:
            raise Stop(Exit.AWAY, "Somebody signed in with this account meanwhile. Nothing was linked: try again.")
        if other is not None:
            linking.remove_user(auth, other)
        if not linking.link(auth, user, sub):
            raise Stop(Exit.AWAY, "The user met another account meanwhile, or is gone. Nothing was linked.")


def _user(auth: sqlite3.Connection, who: str, owned: sqlite3.Row | None) -> str:
    """The one who is meant. Raises Stop where there is none, or several."""
    found = linking.by_name(auth, who)
    if owned is not None and not any(map(linking.is_unlinked, found)) and owned["user_id"] in _ids(found):
        return str(owned["user_id"])
    unlinked = _ids(list(filter(linking.is_unlinked, found)))
    if len(unlinked) == 1:
        return unlinked[0]
    if unlinked:
        raise Stop(Exit.REFUSED, f"Several users had this address, {', '.join(unlinked)}: give one's id.")
    if found:
        raise Stop(Exit.REFUSED, "This user has met an account already. Nothing was changed.")
    raise Stop(Exit.REFUSED, "There is no such user here: `animatize link` lists who has to meet an account.")


def _ids(users: list[sqlite3.Row]) -> list[str]:
    return [str(user["user_id"]) for user in users]


def _refuse_owning(files: dict[str, sqlite3.Connection], user: str) -> None:
    """Two profiles are never made one here: nothing may be lost, and nobody else may get it."""
    owner = linking.PREFIX + user
    has = {
        "settings": has_saved(files["settings_service"], owner),
        "runs": has_runs(files["runs_service"], owner),
        "keys": bool(live_rows(files["vault_service"], owner)),
    }
    if any(has.values()):
        what = " and ".join(name for name, there in has.items() if there)
        detail = f"This account has a profile already, {owner}, with {what} in it. Nothing was linked."
        advice = "Have its owner export a backup, delete that account, and import it again once linked."
        raise Stop(Exit.REFUSED, f"{detail} {advice}")


def _refuse_no_account(sub: str) -> None:
    fits = sub.isascii() and sub.isprintable() and 0 < len(sub) <= LONGEST_SUB
    if not fits or set(sub) & set(" @") or sub.startswith(UNLINKED):
        raise Stop(Exit.USAGE, "This is no `sub` of an account at Google: those are some twenty digits.")


def _listed(here: Place) -> list[dict[str, Any]]:
    with _opened(here, HOLDING[:1]) as files:
        return linking.unlinked(files["auth_service"])


@contextmanager
def _opened(here: Place, packages: Sequence[str]) -> Iterator[dict[str, sqlite3.Connection]]:
    """The files of these, as services of this release use them. Raises Stop."""
    with troubles.told(troubles.BIT_BY_BIT), ExitStack() as stack:
        for package in packages:
            refuse_unready(here.files[package], package)
        yield {each: stack.enter_context(closing(connect(here.files[each]))) for each in packages}
