"""How a process under load ends without a failed request: it lets everybody go before it closes its door.

Each answer says that it is the connection's last, so that whoever comes again comes over a new one, to whichever
process is then at the address. Closing a listening socket resets the connections that wait in it; so the door is closed
in a moment in which nobody is inside, and right after the last one who waited was let in.
"""

import asyncio
import math
import socket
import time
from collections.abc import Iterator, Sequence
from typing import cast

from aiohttp import web
from aiohttp.typedefs import Handler

IDLE_SECONDS = 0.75  # a connection without a request for so long may be closed: the gateway uses none again after 0.5 s
BUSY_SECONDS = 5.0  # after which it is enough that all who are inside have come just now
SHORT_SECONDS = 0.5
TICK_SECONDS = 0.005


class Visits:
    """Which connections of a server are being served, and since when the others are not."""

    def __init__(self) -> None:
        self._served: dict[web.RequestHandler, float] = {}
        self._idle: dict[web.RequestHandler, float] = {}
        self._warned: set[web.RequestHandler] = set()
        self._goodbyes: dict[web.RequestHandler, asyncio.Task[None]] = {}

    @web.middleware
    async def noted(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._served[request.protocol] = time.monotonic()
        try:
            return await handler(request)
        finally:
            del self._served[request.protocol]
            self._idle.pop(request.protocol, None)

    def longest(self) -> float:
        """For how many seconds the oldest request of all has been served; 0 where none is."""
        return time.monotonic() - min(self._served.values()) if self._served else 0.0

    def see_off(self, connections: Sequence[web.RequestHandler]) -> None:
        """Close those that have been idle for IDLE_SECONDS, also at the second look: what came was read in between."""
        now = time.monotonic()
        self._idle = {each: self._idle.get(each, now) for each in connections if each not in self._served}
        late = {each for each, since in self._idle.items() if now - since > IDLE_SECONDS}
        for each in late & self._warned - self._goodbyes.keys():
            each.close()
            self._goodbyes[each] = asyncio.create_task(each.shutdown(None))
        self._warned = late


class Door:
    """A second handle on each listening socket of a process: the event loop closes its own without a last look."""

    def __init__(self, sockets: Sequence[socket.socket]) -> None:
        self._sockets = [each.dup() for each in sockets]
        for each in self._sockets:
            each.setblocking(False)

    def close(self) -> list[socket.socket]:
        """The connections that waited; nobody can come after them."""
        waiting: list[socket.socket] = []
        while self._sockets:
            listening = self._sockets.pop()
            waiting += _accepted(listening)
            listening.close()
        return waiting


async def let_go(runner: web.AppRunner, door: Door, visits: Visits) -> None:
    """Close the door in a moment in which nobody is there or, on a busy server, nobody who takes long; return when the
    last are served. May take for ever.

    Answers must say `Connection: close` by now. Whoever comes before the door is closed is served.
    """
    server = cast("web.Server", runner.server)
    await _hardly_anybody(server, visits, BUSY_SECONDS)
    for site in list(runner.sites):
        await site.stop()
    for connection in door.close():
        await asyncio.get_running_loop().connect_accepted_socket(server, connection)
    await _hardly_anybody(server, visits, math.inf)


async def _hardly_anybody(server: web.Server, visits: Visits, busy_seconds: float) -> None:
    began = time.monotonic()
    while connections := server.connections:
        if time.monotonic() - began > busy_seconds and visits.longest() < SHORT_SECONDS:
            return
        visits.see_off(connections)
        await asyncio.sleep(TICK_SECONDS)


def _accepted(listening: socket.socket) -> Iterator[socket.socket]:
    while True:
        try:
            connection, _ = listening.accept()
        except BlockingIOError:
            return
        except ConnectionAbortedError:  # that one has left already
            continue
        connection.setblocking(False)
        yield connection
