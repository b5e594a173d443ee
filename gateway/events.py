"""Live events: a stream of server-sent events (WHATWG HTML, 9.2) that tells one session what changed for its owner.

Events carry state, never content: a version, or a token to ask with. On connecting, the current value of every topic is
told, so that whoever comes again needs no replay.
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, Final

from aiohttp import web

from chassis import documents
from chassis.background import at_work
from chassis.messages import streamed
from chassis.problems import Problem
from gateway.forwarding import SERVICES
from gateway.hub import HUB, Seat, Topic
from gateway.identity import IDENTITY, SESSION, Session, token_of
from gateway.metrics import EVENT_STREAMS
from gateway.services import Auth

RETRY: Final = b"retry: 2000\n\n"  # milliseconds after which a browser comes again
HEARTBEAT: Final = b":\n\n"
HEARTBEAT_SECONDS: Final = 15.0
STALL_SECONDS: Final = 10.0  # who takes nothing for so long, while something waits, is dropped
UNTAKEN_BYTES: Final = 32 << 10  # that the kernel keeps for a slow one
UNTAKEN_MILLISECONDS: Final = 30_000  # that it keeps them, also where they are on their way to somebody who is gone
LOOK_SECONDS: Final = 30.0  # between two looks at a session of which nothing is heard
LAST_LOOK_SECONDS: Final = 0.7
LOOKS_AT_ONCE: Final = 16  # of one process, however many sessions are to be looked at
HEADERS: Final = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # a proxy that collects answers would keep every event for itself
}

LOOKS: web.AppKey[asyncio.Semaphore] = web.AppKey("looks", asyncio.Semaphore)  # one for each that is under way


async def tell_events(request: web.Request) -> web.StreamResponse:
    """What changes for this profile, on whichever device, as it happens: a stream of server-sent events."""
    session = request[SESSION]
    with request.app[HUB].seat(session.owner, session.id, lambda: request.transport is None) as seat:
        async with at_work(_end_with_session(request, session, seat)):
            _bound_what_waits(request)
            response = web.StreamResponse(headers=HEADERS)
            response.force_close()  # it is the last of its connection, which is not to be waited for
            with EVENT_STREAMS.track_inprogress():
                return await streamed(request, response, _stream(seat), stall_seconds=STALL_SECONDS)


async def _stream(seat: Seat) -> AsyncIterator[bytes]:
    yield RETRY
    while not seat.ended:
        news = await seat.news(HEARTBEAT_SECONDS)
        yield b"".join(_event(topic, data) for topic, data in news) or HEARTBEAT


def _event(topic: Topic, data: dict[str, Any]) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (topic.encode(), documents.write(data))


async def _end_with_session(request: web.Request, session: Session, seat: Seat) -> None:
    """Look at the session at once, since how it was may have been told a second ago; then whenever one of its owner's
    begins or ends, when it expires, and now and then."""
    guard = Guard(session, request.app[SERVICES].auth, request.app[LOOKS])
    while await guard.lives():
        await seat.sessions_touched(guard.seconds_to_next_look())
    if (token := token_of(request)) is not None:
        request.app[IDENTITY].forget_one(token)
    seat.end()


class Guard:
    """Knows whether a session lives; while nobody can tell, as it was told last."""

    def __init__(self, session: Session, auth: Auth, looks: asyncio.Semaphore) -> None:
        self._who, self._expires_at, self._auth, self._looks = session.caller, session.expires_at, auth, looks

    def seconds_to_next_look(self) -> float:
        return max(0.2, min(LOOK_SECONDS, self._seconds_left()))

    async def lives(self) -> bool:
        """Its life may have been prolonged by the requests of others."""
        over = self._seconds_left() <= 0
        try:
            async with asyncio.timeout(LAST_LOOK_SECONDS if over else None), self._looks:
                expires_at = await self._auth.end_of(self._who)
        except (Problem, TimeoutError):
            return not over
        self._expires_at = expires_at or self._expires_at
        return expires_at is not None

    def _seconds_left(self) -> float:
        return (self._expires_at - datetime.now(UTC)).total_seconds()


def _bound_what_waits(request: web.Request) -> None:
    """In the kernel too. TCP_USER_TIMEOUT (RFC 5482) is Linux's; elsewhere the kernel waits as long as it does."""
    connection = request.transport.get_extra_info("socket") if request.transport is not None else None
    if connection is None:
        return
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, UNTAKEN_BYTES)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNTAKEN_MILLISECONDS)
