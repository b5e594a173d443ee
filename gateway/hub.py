"""Who listens to what this process tells, and what there is to tell them: of each owner the latest of every topic.

State, not a log: what waits for a listener is one value a topic, however slowly it is taken. Nothing is kept of an
owner to whom nobody listens, and nobody hears of an owner but whoever took a seat in its name.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any, Final, NamedTuple

from aiohttp import web

from chassis.background import next_of
from chassis.problems import Problem

MOST_SEATS: Final = 8  # of one session in one process
RETRY_AFTER_SECONDS: Final = 5


class Topic(StrEnum):
    """What an event can be about; the word is the event's name."""

    SETTINGS = "settings"
    RUNS = "runs"
    API_KEYS = "api-keys"
    SESSIONS = "sessions"
    RESTORE = "restore"


class Value(NamedTuple):
    """What is told of a topic. The version of an owner only rises, so of two values the higher one is the later."""

    version: int
    data: dict[str, Any]


class Room:
    """The listeners of one owner, and what they are told."""

    def __init__(self) -> None:
        self.values: dict[Topic, Value] = {}
        self.seats: set[Seat] = set()

    def set(self, topic: Topic, value: Value) -> None:
        if topic not in self.values or value.version > self.values[topic].version:
            self.values[topic] = value
            for seat in self.seats:
                seat.wake(topic)


class Seat:
    """One who listens: it is told each value of its owner's room once, and only the latest."""

    def __init__(self, room: Room, session: str, is_gone: Callable[[], bool]) -> None:
        self._room, self.session, self.is_gone = room, session, is_gone
        self._taken: dict[Topic, int] = {}
        self._news, self._sessions = asyncio.Event(), asyncio.Event()
        self.ended = False
        self._news.set()  # what the room holds already

    async def news(self, seconds: float) -> list[tuple[Topic, dict[str, Any]]]:
        """What has not been told yet; nothing where nothing came in so many seconds, or the seat is taken away."""
        await next_of(self._news, seconds)
        found = [(topic, self._room.values[topic]) for topic in Topic if self._is_news(topic)]
        self._taken |= {topic: value.version for topic, value in found}
        return [(topic, value.data) for topic, value in found]

    async def sessions_touched(self, seconds: float) -> None:
        """Return as soon as one of the owner's sessions began or ended, and after so many seconds at the latest."""
        await next_of(self._sessions, seconds)

    def wake(self, topic: Topic) -> None:
        self._news.set()
        if topic is Topic.SESSIONS:
            self._sessions.set()

    def end(self) -> None:
        self.ended = True
        self._news.set()

    def _is_news(self, topic: Topic) -> bool:
        value = self._room.values.get(topic)
        return value is not None and value.version > self._taken.get(topic, -1)


class Hub:
    """All who listen in this process."""

    def __init__(self) -> None:
        self._rooms: dict[str, Room] = {}
        self._lacking: dict[Topic, dict[str, None]] = {topic: {} for topic in Topic}  # owners, in the order they came
        self._wanted = {topic: asyncio.Event() for topic in Topic}
        self._of_sessions: dict[str, set[Seat]] = {}
        self._closed = False

    @contextmanager
    def seat(self, owner: str, session: str, is_gone: Callable[[], bool]) -> Iterator[Seat]:
        """A place to listen from. Raises Problem 429 where the session has MOST_SEATS whose listener `is_gone` not."""
        neighbours = self._of_sessions.setdefault(session, set())
        if sum(not each.is_gone() for each in neighbours) >= MOST_SEATS:
            raise too_many_streams()
        seat = Seat(self._room_of(owner), session, is_gone)
        for seats in (neighbours, self._rooms[owner].seats):
            seats.add(seat)
        if self._closed:
            seat.end()
        try:
            yield seat
        finally:
            self._leave(owner, seat)

    def tell(self, owner: str, topic: Topic, value: Value) -> None:
        """Have the owner's listeners told, if there are any."""
        if (room := self._rooms.get(owner)) is not None:
            self._lacking[topic].pop(owner, None)
            room.set(topic, value)

    async def lacking(self, topic: Topic, most: int) -> list[str]:
        """Owners to whom somebody listens of whom nothing is known of the topic; waits until there are some. They are
        taken: whoever cannot find out says so with `still_lacking`."""
        while not self._lacking[topic]:
            self._wanted[topic].clear()
            await self._wanted[topic].wait()
        owners = list(self._lacking[topic])[:most]
        for owner in owners:
            del self._lacking[topic][owner]
        return owners

    def still_lacking(self, owner: str, topic: Topic) -> None:
        if (room := self._rooms.get(owner)) is not None and topic not in room.values:
            self._want(owner, topic)

    def recheck_sessions(self) -> None:
        """Have every listener's session looked at: nobody could tell for a while how they are."""
        for room in self._rooms.values():
            for seat in room.seats:
                seat.wake(Topic.SESSIONS)

    def close(self) -> None:
        """Take away every seat, and each that is taken from now on."""
        self._closed = True
        for room in self._rooms.values():
            for seat in room.seats:
                seat.end()

    def _room_of(self, owner: str) -> Room:
        if owner not in self._rooms:
            self._rooms[owner] = Room()
            for topic in Topic:
                self._want(owner, topic)
        return self._rooms[owner]

    def _want(self, owner: str, topic: Topic) -> None:
        self._lacking[topic][owner] = None
        self._wanted[topic].set()

    def _leave(self, owner: str, seat: Seat) -> None:
        neighbours, room = self._of_sessions[seat.session], self._rooms[owner]
        neighbours.discard(seat)
        room.seats.discard(seat)
        if not neighbours:
            del self._of_sessions[seat.session]
        if not room.seats:
            del self._rooms[owner]
            for topic in Topic:
                self._lacking[topic].pop(owner, None)


HUB: web.AppKey[Hub] = web.AppKey("hub", Hub)


def too_many_streams() -> Problem:
    detail = f"This session has {MOST_SEATS} streams of events open here; close one, or try again in a moment."
    return Problem(429, "too_many_streams", detail, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})
