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
from dataclasses import dataclass, field
from typing import cast

from aiohttp import web

IDLE_SECONDS = 0.75  # a connection without a request for so long may be closed: the gateway uses none again after 0.5 s
BUSY_SECONDS = 5.0  # after which it is enough that all who are inside have come just now
SHORT_SECONDS = 0.5
TICK_SECONDS = 0.005


@dataclass
class Visitors:
    """The connections of a server, with the time since when each is known."""

    server: web.Server
    since: dict[web.RequestHandler, float] = field(default_factory=dict)
    goodbyes: dict[web.RequestHandler, asyncio.Task[None]] = field(default_factory=dict)

    def look(self) -> float | None:
        """For how many seconds the oldest has been known; None where nobody is there. Who has been there for long goes,
        once it is answered."""
        now = time.monotonic()
        self.since = {each: self.since.get(each, now) for each in self.server.connections}
        for each, since in self.since.items():
            if now - since > IDLE_SECONDS and each not in self.goodbyes:
                each.close()
                self.goodbyes[each] = asyncio.create_task(each.shutdown(None))
        return now - min(self.since.values()) if self.since else None


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


async def let_go(runner: web.AppRunner, door: Door) -> None:
    """Close the door in a moment in which nobody is served or, on a busy server, nobody who takes long; return when the
    last are served. May take for ever.

    Answers must say `Connection: close` by now. Whoever comes before the door is closed is served.
    """
    server = cast("web.Server", runner.server)
    await _hardly_anybody(server)
    for site in list(runner.sites):
        await site.stop()
    for connection in door.close():
        await asyncio.get_running_loop().connect_accepted_socket(server, connection)
    await _hardly_anybody(server, busy_seconds=math.inf)


async def _hardly_anybody(server: web.Server, busy_seconds: float = BUSY_SECONDS) -> None:
    visitors, began = Visitors(server), time.monotonic()
    while True:
        oldest = visitors.look()
        if oldest is None or (time.monotonic() - began > busy_seconds and oldest < SHORT_SECONDS):
            return
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
