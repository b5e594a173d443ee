"""Writes that are done once, however often they are asked for: by a client that lost the answer, or by the gateway.

Expects the table `requests` of the service's migrations. What was answered is kept in the transaction of the write, so
that there is never one without the other; and since writes never overlap, whoever asks for the same at the same time is
given the answer of the first. What failed has changed nothing and is not kept: it may be asked for again.

The name is the client's `Idempotency-Key` (IETF draft draft-ietf-httpapi-idempotency-key-header) or one that the
gateway made up for a request that it may have to send twice. Of the body an HMAC (RFC 2104) is kept. Its keys come with
the request, are good for its address and name alone, and are kept nowhere: whoever has the file can try no guesses at a
body. They are the same for every owner, so that a user is known again who asks for what it did as a guest.
"""

import asyncio
import hashlib
import hmac
import sqlite3
import time
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, Self, TypeVar

import orjson
from aiohttp import web

from chassis.database import Database, Work
from chassis.peers import LEEWAY_SECONDS, LIFE_SECONDS, caller
from chassis.problems import Problem

T = TypeVar("T")

NAME_HEADER: Final = "Idempotency-Key"
KEYS_HEADER: Final = "Animatize-Fingerprint-Keys"  # hexadecimal, comma-separated, the current one first
OF_GATEWAY: Final = "gateway/"  # begins a name that no client can choose
KEPT_SECONDS: Final = 24 * 3600
KEPT_FOR_GATEWAY: Final = 2 * (LIFE_SECONDS + LEEWAY_SECONDS)  # a process that hung meanwhile does not believe it then
MOST_KEPT, MOST_BYTES = 10_000, 16 << 20  # of one owner's: beyond it the oldest go
LONG_BODY: Final = 1 << 20
PURGED_EVERY, PURGED_AT_ONCE = 20, 100  # writes, and rows
HEADERS: Final = ("ETag", "Location")

FIND = "SELECT * FROM requests WHERE owner = ? AND method = ? AND path = ? AND name = ?"
KEEP = """
    INSERT INTO requests (owner, method, path, name, fingerprint, status, headers, body, kept_until)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"""
PURGE = f"""
    DELETE FROM requests WHERE request_id IN (
        SELECT request_id FROM requests WHERE kept_until < ? ORDER BY kept_until LIMIT {PURGED_AT_ONCE})"""  # noqa: S608
DROP = "DELETE FROM requests WHERE owner = ? AND method = ? AND path = ? AND name = ?"
KEPT_OF = "SELECT number, bytes FROM requests_kept WHERE owner = ?"
DROP_FIRST = """
    DELETE FROM requests WHERE request_id IN (
        SELECT request_id FROM requests WHERE owner = ? ORDER BY request_id LIMIT ?)"""
HAND_OVER = "UPDATE OR IGNORE requests SET owner = ? WHERE owner = ?"  # what the user asked for itself stays


class Answer(NamedTuple):
    """All of a response that a repeat has to have again."""

    status: int
    headers: dict[str, str]
    body: bytes

    @classmethod
    def of(cls, response: web.Response) -> Self:
        body = response.body
        if not isinstance(body, bytes | None):
            raise TypeError("only an answer that is whole can be kept")
        kept = {name: response.headers[name] for name in HEADERS if name in response.headers}
        return cls(response.status, kept | {"Content-Type": response.headers["Content-Type"]}, body or b"")

    def response(self) -> web.Response:
        return web.Response(status=self.status, headers=self.headers, body=self.body)


class Asked(NamedTuple):
    """A request that is to be done once. `fingerprints` are of its query and body, the first under the current key."""

    owner: str
    method: str
    path: str
    name: str
    fingerprints: tuple[str, ...]

    @property
    def seconds(self) -> int:
        return KEPT_FOR_GATEWAY if self.name.startswith(OF_GATEWAY) else KEPT_SECONDS


def headers_for(name: str, method: str, path: str, keys: Iterable[bytes]) -> dict[str, str]:
    """What asks a service to do a request once; `path` percent-encoded, without its query, the current key first."""
    context = "\0".join((method, path, name)).encode()
    made = (hmac.digest(key, context, hashlib.sha256).hex() for key in keys)
    return {NAME_HEADER: name, KEYS_HEADER: ",".join(made)}


async def write_once(
    request: web.Request, database: Database, work: Work[T], answer: Callable[[T], web.Response]
) -> web.Response:
    """What `answer` makes of `work` done in one transaction; of a request that was done before, its answer from then.

    `answer` runs within the transaction, off the event loop. Raises what `work` raises, Problem 422 where the name was
    used for a request with another query or body, and 400 where it comes without its keys.
    """
    if (asked := await _asked(request)) is None:
        return answer(await database.write(work))

    def once(tx: sqlite3.Connection) -> web.Response:
        if (before := _answered(tx, asked)) is not None:
            return before.response()
        made = answer(work(tx))
        _keep(tx, asked, Answer.of(made))
        return made

    return await database.write(once)


def hand_over(tx: sqlite3.Connection, guest: str, user: str) -> None:
    """What the guest asked for is known again when the user asks for it."""
    tx.execute(HAND_OVER, (user, guest))
    forget(tx, guest)


def forget(tx: sqlite3.Connection, owner: str) -> None:
    tx.execute("DELETE FROM requests WHERE owner = ?", (owner,))


def forget_old(now: int, tx: sqlite3.Connection) -> bool:
    """Forget a piece of what is kept for too long, of all owners; whether there may be more."""
    return tx.execute(PURGE, (now,)).rowcount == PURGED_AT_ONCE


def fingerprints(keys: str, query: str, body: bytes) -> tuple[str, ...]:
    """Under each of `keys`. Raises ValueError for keys that are not hexadecimal."""
    text = len(query.encode()).to_bytes(4, "big") + query.encode() + body
    return tuple(hmac.digest(bytes.fromhex(key), text, hashlib.sha256).hex() for key in keys.split(","))


async def _asked(request: web.Request) -> Asked | None:
    """None where the request has no name. Raises Problem 400 where it has half of what it takes."""
    name, keys = request.headers.get(NAME_HEADER), request.headers.get(KEYS_HEADER)
    if name is None and keys is None:
        return None
    if name is None or keys is None:
        raise Problem(400, "half_named", f"{NAME_HEADER} and {KEYS_HEADER} come together or not at all.")
    body = await request.read()  # kept by aiohttp, where the handler has read it before
    if len(body) < LONG_BODY:
        made = fingerprints(keys, request.rel_url.raw_query_string, body)
    else:
        made = await asyncio.to_thread(fingerprints, keys, request.rel_url.raw_query_string, body)
    return Asked(caller(request).owner, request.method, request.rel_url.raw_path, name, made)


def _answered(tx: sqlite3.Connection, asked: Asked) -> Answer | None:
    row = tx.execute(FIND, asked[:4]).fetchone()
    if row is None:
        return None
    if row["kept_until"] < time.time():
        tx.execute(DROP, asked[:4])
        return None
    if not any(hmac.compare_digest(row["fingerprint"], each) for each in asked.fingerprints):
        raise reused(asked.name)
    return Answer(row["status"], orjson.loads(row["headers"]), row["body"])


def reused(name: str) -> Problem:
    detail = f"The Idempotency-Key {name!r} was used for another request; choose a new one. Nothing was changed."
    return Problem(422, "idempotency_key_reused", detail)


def _keep(tx: sqlite3.Connection, asked: Asked, made: Answer) -> None:
    now = int(time.time())
    values = (asked.fingerprints[0], made.status, orjson.dumps(made.headers).decode(), made.body, now + asked.seconds)
    kept = tx.execute(KEEP, (*asked[:4], *values)).lastrowid or 0
    if kept % PURGED_EVERY == 0:
        tx.execute(PURGE, (now,))
    _bound(tx, asked.owner)


def _bound(tx: sqlite3.Connection, owner: str) -> None:
    """Keep an owner's within MOST_KEPT and MOST_BYTES: nobody may fill the disk by asking for one thing for ever."""
    while True:
        number, size = tx.execute(KEPT_OF, (owner,)).fetchone()
        if (number <= MOST_KEPT and size <= MOST_BYTES) or number == 1:
            return
        tx.execute(DROP_FIRST, (owner, max(1, number // 100)))
