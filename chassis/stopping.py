"""How a process under load ends without a failed request: it lets everybody go before it closes its door.

Closing a listening socket resets the connections that wait in it, so that a request which the process never saw would
fail. Therefore newcomers are turned away first, below TCP: a filter on the socket drops their SYN, and they try again a
second later (RFC 6298), by which time another process is at the address, or this one again.
"""

import asyncio
import ctypes
import socket
import struct
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from aiohttp import web

IDLE_SECONDS = 0.75  # a connection without a request for so long may be closed: the gateway uses none again after 0.5 s
SHORT_SECONDS = 0.5  # a request that has taken less than this will not take much longer
QUIET_SECONDS = 0.9  # newcomers are turned away for no longer than this: their next try, after a second, finds us
ARRIVING_SECONDS = 0.05  # what is on its way through a handshake has arrived after that
TICK_SECONDS = 0.01

SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27  # asm-generic/socket.h
ALL = 0xFFFFFFFF
# Classic BPF over the TCP header: flags & (SYN|ACK) == SYN is dropped, all else is taken (linux/filter.h).
FIRST_SYN_DROPPED = ((0x30, 0, 0, 13), (0x54, 0, 0, 0x12), (0x15, 0, 1, 0x02), (0x06, 0, 0, 0), (0x06, 0, 0, ALL))


class Door:
    """The listening sockets of a process."""

    def __init__(self, sockets: Sequence[socket.socket]) -> None:
        self.sockets = sockets

    def refuse(self) -> bool:
        """Turn newcomers away without an answer. False where the system cannot do that (it is Linux's)."""
        if sys.platform != "linux":
            return False
        steps = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in FIRST_SYN_DROPPED))
        for each in self.sockets:
            program = struct.pack("HP", len(FIRST_SYN_DROPPED), ctypes.addressof(steps))
            each.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
        return True

    def admit(self) -> None:
        for each in self.sockets:
            each.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)


@dataclass
class Visitors:
    """The connections of a server, with the time since when each is known."""

    server: web.Server
    since: dict[web.RequestHandler, float] = field(default_factory=dict)
    goodbyes: dict[web.RequestHandler, asyncio.Task[None]] = field(default_factory=dict)

    def look(self) -> float:
        """For how many seconds the oldest has been known. Who has been there for long goes, once it is answered."""
        now = time.monotonic()
        self.since = {each: self.since.get(each, now) for each in self.server.connections}
        for each, since in self.since.items():
            if now - since > IDLE_SECONDS and each not in self.goodbyes:
                each.close()
                self.goodbyes[each] = asyncio.create_task(each.shutdown(None))
        return now - min(self.since.values(), default=now)


async def let_go(server: web.Server, door: Door) -> None:
    """Return when nobody is served and nobody can come in any more: then the door can be closed. May take for ever.

    Answers must say `Connection: close` by now. As long as a request takes long, newcomers are served beside it; only
    when what is left is quickly done are they turned away, until it is.
    """
    visitors = Visitors(server)
    while True:
        await _only_short_visits(visitors)
        if not door.refuse() or await _no_visitors(visitors):
            return
        door.admit()


async def _only_short_visits(visitors: Visitors) -> None:
    visitors.look()
    await asyncio.sleep(SHORT_SECONDS)
    while True:
        if visitors.look() < SHORT_SECONDS:
            return
        await asyncio.sleep(TICK_SECONDS)


async def _no_visitors(visitors: Visitors) -> bool:
    """Whether all have left before those who were turned away meanwhile come back."""
    await asyncio.sleep(ARRIVING_SECONDS)
    for _ in range(int(QUIET_SECONDS / TICK_SECONDS)):
        visitors.look()
        if not visitors.since:
            return True
        await asyncio.sleep(TICK_SECONDS)
    return False
