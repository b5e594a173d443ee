"""What a service does with all that one owner has: hand it over to a user, or erase it.

A guest that signs in becomes a user; an account is deleted; a guest that has not come back is swept. The gateway tells
every service so, through its journal. The protocol is the same everywhere and stands here; which rows are meant is the
service's own `Belongings`. Expects the table `restores` of the service's migrations.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import orjson
from aiohttp import web

from chassis import staging
from chassis.database import Database
from chassis.messages import json_response
from chassis.parts import MOST_WARNINGS, Counts, Part
from chassis.peers import Scope, caller
from chassis.problems import Problem
from chassis.serving import Route

ADOPT: Final = "adopt"  # what stands in `restores` as the mode of an adoption


@dataclass(frozen=True)
class Adopted:
    """What came of the guest's things, in numbers of items of each part; what stayed the guest's, by name, and why;
    and what goes by another name with the user, who had something else of that name."""

    moved: Counts
    stayed: Sequence[tuple[str, str]] = field(default=())  # (name, reason)
    renamed: Sequence[tuple[str, str]] = field(default=())  # (old name, new name)

    def answer(self) -> dict[str, Any]:
        """As the gateway hears it: the lists bounded, with their whole numbers beside them."""
        return {
            "moved": self.moved,
            "stayed": [{"name": name, "reason": reason} for name, reason in self.stayed[:MOST_WARNINGS]],
            "stayed_count": len(self.stayed),
            "renamed": [{"from": before, "to": after} for before, after in self.renamed[:MOST_WARNINGS]],
            "renamed_count": len(self.renamed),
        }


class Belongings(Protocol):
    """All that a service keeps of an owner. Every method runs inside one transaction of the service's file.

    Both can be repeated: `adopt` finds the guest with nothing left but what stays, `erase` the owner with nothing.
    `adopt` never refuses for want of room: nothing that a guest made may be lost. It may raise Problem 503.
    """

    def adopt(self, tx: sqlite3.Connection, guest: str, user: str) -> Adopted: ...
    def erase(self, tx: sqlite3.Connection, owner: str) -> None: ...


def routes(database: web.AppKey[Database], belongings: Belongings, part: Part) -> list[Route]:
    """The internal routes, for a service's route table. Whose things they are is in the token: its subject and, of an
    adoption, the guest that the subject takes over."""

    async def adopt(request: web.Request) -> web.Response:
        who, operation_id = caller(request), request.match_info["operation_id"]
        if who.guest is None or who.guest == who.owner:
            raise Problem(400, "no_guest", "The token of an adoption names the guest, another than its subject.")
        guest, user = who.guest, who.owner
        answer = await request.app[database].write(
            lambda tx: _adopt_once(tx, operation_id, guest, user, belongings, part)
        )
        return json_response(answer)

    async def erase(request: web.Request) -> web.Response:
        owner = caller(request).owner
        await request.app[database].write(lambda tx: _erase(tx, owner, belongings))
        return json_response({"erased": True})

    return [
        Route("POST", "/internal/adoptions/{operation_id}", adopt, Scope.SYSTEM),
        Route("POST", "/internal/erasure", erase, Scope.SYSTEM),
    ]


def _adopt_once(
    tx: sqlite3.Connection, operation_id: str, guest: str, user: str, belongings: Belongings, part: Part
) -> dict[str, Any]:
    """Asking again gives the first answer, so that one whose answer was lost is counted right."""
    told = tx.execute("SELECT owner, mode, answer FROM restores WHERE restore_id = ?", (operation_id,)).fetchone()
    if told is not None:
        if (told["owner"], told["mode"]) != (user, ADOPT):
            raise Problem(409, "another_operation", "This id is of an operation of another kind, or of somebody else.")
        first: dict[str, Any] = orjson.loads(told["answer"])
        return first
    staging.forget(tx, "owner = ?", guest, part)
    answer = belongings.adopt(tx, guest, user).answer()
    staging.remember_done(tx, operation_id, user, ADOPT, answer)
    return answer


def _erase(tx: sqlite3.Connection, owner: str, belongings: Belongings) -> None:
    belongings.erase(tx, owner)
    tx.execute("DELETE FROM restores WHERE owner = ?", (owner,))
