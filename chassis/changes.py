"""For whom something has changed in one file, told to whoever listens, whichever process wrote it.

Expects the table `changes` of the service's migrations: a row an owner with the version of all that it has there,
raised by triggers within each write. `seq` orders the rows as they were committed, since writes never overlap. What is
told is state, not a log: who listens slowly hears of the latest version alone.
"""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from functools import partial
from typing import Any, Final, NamedTuple

import orjson
import structlog
from aiohttp import web
from pydantic import BaseModel, Field

from chassis.background import at_work, next_of
from chassis.database import Database
from chassis.messages import json_response, read_query, streamed
from chassis.peers import Scope, caller
from chassis.serving import LEAVING, Route

log = structlog.get_logger()

POLL_SECONDS: Final = 0.2
AGAIN_SECONDS: Final = 1.0  # after the file could not be looked at
PAUSE_SECONDS: Final = 0.02  # after each look that found something: under load many commits are told together
HEARTBEAT_SECONDS: Final = 0.5
HEARTBEAT: Final = b"\n"  # an empty line
STALL_SECONDS: Final = 10.0  # who takes nothing for so long is dropped, and comes again
FEED_PATH, CURRENT_PATH = "/internal/changes", "/internal/changes/current"

SINCE = "SELECT owner, version, seq FROM changes WHERE seq >= ? ORDER BY seq"
LAST = "SELECT owner, version, seq FROM changes ORDER BY seq DESC LIMIT 1"
OF_OWNER = "SELECT version FROM changes WHERE owner = ?"

Line = dict[str, Any]


class Change(NamedTuple):
    """An owner's version after a write, and where that write stands among all of the file."""

    owner: str
    version: int
    seq: int


class Listener:
    """What one who listens has not been told yet: of each owner the latest change, so that it cannot grow for ever."""

    def __init__(self) -> None:
        self._waiting: dict[str, Change] = {}
        self._arrived = asyncio.Event()

    def hear(self, change: Change) -> None:
        known = self._waiting.get(change.owner)
        if known is not None and known.version > change.version:
            return  # it was read from the file before the other was heard of
        self._waiting.pop(change.owner, None)  # so that what is taken stays in the order of `seq`
        self._waiting[change.owner] = change
        self._arrived.set()

    async def take(self, seconds: float) -> list[Change]:
        """All that has come, in order; nothing where nothing came in so many seconds."""
        await next_of(self._arrived, seconds)
        taken, self._waiting = self._waiting, {}
        return list(taken.values())

    def wake(self) -> None:
        """Have `take` return, with what there is."""
        self._arrived.set()


class Changes:
    """Watches one file: what another process commits is seen within POLL_SECONDS, its own commits at once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._listeners: set[Listener] = set()
        self._last = Change("", 0, 0)
        self._ended = False

    async def begin(self) -> None:
        """Take up the place from which on changes are told."""
        self._last = await self._database.read(_latest)

    async def watch(self) -> None:
        """For ever. `PRAGMA data_version` changes with each commit of any other connection to the file."""
        while True:
            try:
                await self._watch()
            except Exception as error:  # whatever it was, nobody else would begin this again
                log.warning("watch_broken", reason=str(error) or type(error).__name__)
                await asyncio.sleep(AGAIN_SECONDS)

    async def _watch(self) -> None:
        seen: int | None = None
        async with self._database.connection() as connection:
            while True:
                version = await connection.run(_data_version)
                if version != seen:
                    self._tell(await connection.run(partial(_since, self._last)))
                    seen = version
                    await asyncio.sleep(PAUSE_SECONDS)
                await self._database.committed(POLL_SECONDS)

    def _tell(self, changes: list[Change]) -> None:
        for change in changes:
            for listener in self._listeners:
                listener.hear(change)
        self._last = changes[-1] if changes else self._last

    async def feed(
        self, after: int | None, value: Callable[[str, int], dict[str, Any]], seconds: float
    ) -> AsyncGenerator[list[Line], None]:
        """Where it begins, `{seq}`, then each change, `{owner, version, seq, value}`: those after the place `after`
        that there were already, and from then on all. An empty list where nothing came in so many seconds."""
        with self.listening() as listener:
            yield [{"seq": await self.last() if after is None else after}]
            for change in await self.after(after) if after is not None else []:
                listener.hear(change)
            while not self._ended:
                found = await listener.take(seconds)
                yield [change._asdict() | {"value": value(change.owner, change.version)} for change in found]

    def end(self) -> None:
        """End every feed, and each that begins from now on: the process is leaving."""
        self._ended = True
        for listener in self._listeners:
            listener.wake()

    @contextmanager
    def listening(self) -> Iterator[Listener]:
        """Hears of every change that is committed from now on, and perhaps again of what was just before."""
        listener = Listener()
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    async def version(self, owner: str) -> int:
        """0 where the owner has never had anything here."""
        row = await self._database.read(lambda tx: tx.execute(OF_OWNER, (owner,)).fetchone())
        return int(row["version"]) if row else 0

    async def after(self, seq: int) -> list[Change]:
        """What has changed since the place `seq`; everything where the file has never been so far: it is another."""
        return await self._database.read(lambda tx: _after(tx, seq))

    async def last(self) -> int:
        """The place of the latest change."""
        return (await self._database.read(_latest)).seq


CHANGES: web.AppKey[Changes] = web.AppKey("changes", Changes)


class FeedQuery(BaseModel):
    """`after` is the `seq` of the last line that was received, if any was."""

    after: int | None = Field(None, ge=0)


@asynccontextmanager
async def watching(app: web.Application, database: Database) -> AsyncIterator[None]:
    """Watch the file of the app inside the block."""
    app[CHANGES] = changes = Changes(database)
    await changes.begin()
    async with at_work(changes.watch(), _end_to_leave(changes, app[LEAVING])):
        yield


async def _end_to_leave(changes: Changes, leaving: asyncio.Event) -> None:
    await leaving.wait()
    changes.end()


def forget(tx: sqlite3.Connection, owner: str) -> None:
    tx.execute("DELETE FROM changes WHERE owner = ?", (owner,))


def version_alone(_: web.Application, __: str, version: int) -> dict[str, Any]:
    return {"version": version}


def routes(value: Callable[[web.Application, str, int], dict[str, Any]] = version_alone) -> list[Route]:
    """The feed that every gateway listens to, one each, and one owner's version as it is now.

    `value` is what the owner's devices are told of a version.
    """

    async def feed(request: web.Request) -> web.StreamResponse:
        after = read_query(request, FeedQuery).after
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        changes = request.app[CHANGES].feed(after, partial(value, request.app), HEARTBEAT_SECONDS)
        async with aclosing(changes) as found:
            pieces = (b"".join(map(_encoded, lines)) or HEARTBEAT async for lines in found)
            return await streamed(request, response, pieces, stall_seconds=STALL_SECONDS)

    async def current(request: web.Request) -> web.Response:
        owner = caller(request).owner
        version = await request.app[CHANGES].version(owner)
        return json_response({"version": version, "value": value(request.app, owner, version)})

    return [
        Route("GET", FEED_PATH, feed, Scope.SYSTEM),
        Route("GET", CURRENT_PATH, current, Scope.SYSTEM),
    ]


def _encoded(line: Line) -> bytes:
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def _data_version(tx: sqlite3.Connection) -> int:
    return int(tx.execute("PRAGMA data_version").fetchone()[0])


def _latest(tx: sqlite3.Connection) -> Change:
    row = tx.execute(LAST).fetchone()
    return Change(*row) if row else Change("", 0, 0)


def _since(last: Change, tx: sqlite3.Connection) -> list[Change]:
    """What came after `last`, which itself may have been written again: whoever is the last to write stays there."""
    return [found for row in tx.execute(SINCE, (last.seq,)) if (found := Change(*row)) != last]


def _after(tx: sqlite3.Connection, seq: int) -> list[Change]:
    begin = seq if _latest(tx).seq >= seq else 0
    return [Change(*row) for row in tx.execute(SINCE, (begin,))]
