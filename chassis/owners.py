"""What a service does with all that one owner has: hand it over to a user, or erase it.

A guest that signs in becomes a user; an account is deleted; a guest that has not come back is swept. The gateway tells
every service so, through its journal. The protocol is the same everywhere and stands here; which rows are meant is the
service's own `Belongings`. Expects the table `restores` of the service's migrations.

Whatever an owner has, others get to write meanwhile: what takes long goes ahead, or follows, in bounded transactions.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import orjson
from aiohttp import web

from chassis import changes, once, staging
from chassis.database import Database
from chassis.messages import json_response
from chassis.parts import MOST_WARNINGS, Counts, Part
from chassis.peers import Scope, caller
from chassis.problems import Problem
from chassis.serving import Route
from chassis.staging import State

ADOPT: Final = "adopt"  # what stands in `restores` as the mode of an adoption
PAUSE_SECONDS: Final = 0.01  # between two pieces; another process that waits for the file looks more often

Answer = dict[str, Any]


@dataclass(frozen=True)
class Adopted:
    """What came of the guest's things, in numbers of items of each part; what stayed the guest's, by name, and why;
    and what goes by another name with the user, who had something else of that name."""

    moved: Counts
    stayed: Sequence[tuple[str, str]] = field(default=())  # (name, reason)
    renamed: Sequence[tuple[str, str]] = field(default=())  # (old name, new name)

    def answer(self) -> Answer:
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

    All can be repeated: `adopt` finds the guest with nothing left but what stays, `erase` the owner with nothing.
    `adopt` never refuses for want of room: nothing that a guest made may be lost. It may raise Problem 503.

    The methods that return a bool do a bounded piece and say whether more is left for another: as long as it is, the
    next one comes in a transaction of its own. What stands after any piece is whole: nobody sees half of an adoption.
    Wherever the pieces break off, whoever asks again brings them to their end with nothing left over. A service with
    little of each owner does all at once: that is what it inherits.
    """

    def adopt_ahead(self, tx: sqlite3.Connection, guest: str, user: str) -> bool:
        """Do what can be done before the adoption, which follows in the transaction of the last piece."""
        return False

    def adopt(self, tx: sqlite3.Connection, guest: str, user: str) -> Adopted: ...

    def clear(self, tx: sqlite3.Connection, guest: str, user: str) -> bool:
        """Remove what the adoption has left behind, under either, that nothing refers to."""
        return False

    def erase_ahead(self, tx: sqlite3.Connection, owner: str) -> bool:
        """Erase what is much. The rest follows in the transaction of the last piece."""
        return False

    def erase(self, tx: sqlite3.Connection, owner: str) -> None: ...


def routes(database: web.AppKey[Database], belongings: Belongings, part: Part) -> list[Route]:
    """The internal routes, for a service's route table. Whose things they are is in the token: its subject and, of an
    adoption, the guest that the subject takes over."""
    turn = asyncio.Lock()  # pieces of several owners must not come together in one transaction

    async def in_pieces(request: web.Request, piece: Callable[[sqlite3.Connection], Answer | None]) -> web.Response:
        while True:
            async with turn:
                if (answer := await request.app[database].write(piece)) is not None:
                    return json_response(answer)
                await asyncio.sleep(PAUSE_SECONDS)

    async def adopt(request: web.Request) -> web.Response:
        who, operation_id = caller(request), request.match_info["operation_id"]
        if who.guest is None or who.guest == who.owner:
            raise Problem(400, "no_guest", "The token of an adoption names the guest, another than its subject.")
        guest, user = who.guest, who.owner
        return await in_pieces(request, lambda tx: _adopt_further(tx, operation_id, guest, user, belongings, part))

    async def erase(request: web.Request) -> web.Response:
        owner = caller(request).owner
        return await in_pieces(request, lambda tx: _erase_further(tx, owner, belongings))

    return [
        Route("POST", "/internal/adoptions/{operation_id}", adopt, Scope.SYSTEM),
        Route("POST", "/internal/erasure", erase, Scope.SYSTEM),
    ]


def _adopt_further(
    tx: sqlite3.Connection, operation_id: str, guest: str, user: str, belongings: Belongings, part: Part
) -> Answer | None:
    """Do the next piece of an adoption; the answer with the last one.

    Asking again gives the first answer, so that one whose answer was lost is counted right.
    """
    answer = _told(tx, operation_id, user)
    if answer is None:
        if belongings.adopt_ahead(tx, guest, user):
            return None
        staging.forget(tx, "owner = ?", guest, part)
        answer = belongings.adopt(tx, guest, user).answer()
        _remember(tx, operation_id, user, answer)
        once.hand_over(tx, guest, user)
        changes.forget(tx, guest)
    return None if belongings.clear(tx, guest, user) else answer


def _told(tx: sqlite3.Connection, operation_id: str, user: str) -> Answer | None:
    """What was answered to this adoption before. Raises Problem 409 where the id is another operation's."""
    told = tx.execute("SELECT owner, mode, answer FROM restores WHERE restore_id = ?", (operation_id,)).fetchone()
    if told is None:
        return None
    if (told["owner"], told["mode"]) != (user, ADOPT):
        raise Problem(409, "another_operation", "This id is of an operation of another kind, or of somebody else.")
    first: Answer = orjson.loads(told["answer"])
    return first


def _remember(tx: sqlite3.Connection, operation_id: str, user: str, answer: Answer) -> None:
    tx.execute(
        "INSERT INTO restores (restore_id, owner, mode, state, answer, changed_at) VALUES (?, ?, ?, ?, ?, ?)",
        (operation_id, user, ADOPT, State.COMMITTED, orjson.dumps(answer).decode(), datetime.now(UTC).isoformat()),
    )


def _erase_further(tx: sqlite3.Connection, owner: str, belongings: Belongings) -> Answer | None:
    """Do the next piece of an erasure; the answer with the last one."""
    if belongings.erase_ahead(tx, owner):
        return None
    belongings.erase(tx, owner)
    tx.execute("DELETE FROM restores WHERE owner = ?", (owner,))
    once.forget(tx, owner)
    changes.forget(tx, owner)
    return {"erased": True}
