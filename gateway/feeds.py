"""How this process hears of every change: one feed a service, and one of its own file, however many listen to it.

A feed that broke begins again where it was, so nothing is missed. Nobody is asked for a current value while the feed is
away: what is asked for once it has begun can be no older than what it tells.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from typing import Any, Final, Protocol

import structlog
from aiohttp import web

from chassis.background import at_work
from chassis.changes import CHANGES, Changes
from chassis.serving import LEAVING
from gateway.forwarding import SERVICES
from gateway.hub import HUB, Hub, Topic, Value
from gateway.metrics import FEEDS, failure_of

log = structlog.get_logger()

AT_ONCE: Final = 16  # questions of one feed for current values
AGAIN_SECONDS: Final = 1.0  # after a feed broke that had not even begun, or a current value could not be had
SOON_SECONDS: Final = 0.1  # after one that had
OWN_SECONDS: Final = 60.0

Changing = AbstractAsyncContextManager[AsyncIterator[dict[str, Any]]]


class Source(Protocol):
    """Where changes come from; the shapes are those of `Holder` in services.py."""

    def changes(self, after: int | None) -> Changing: ...

    async def current(self, owner: str) -> dict[str, Any]: ...


class OwnFile:
    """The gateway's own changes."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes

    @asynccontextmanager
    async def changes(self, after: int | None) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        async with aclosing(self._changes.feed(after, _value, OWN_SECONDS)) as found:
            yield (line async for lines in found for line in lines)

    async def current(self, owner: str) -> dict[str, Any]:
        version = await self._changes.version(owner)
        return {"version": version, "value": _value(owner, version)}


def _value(_: str, version: int) -> dict[str, Any]:
    return {"version": version}


class Feed:
    """What one source tells, for one topic."""

    def __init__(self, topic: Topic, source: Source, hub: Hub) -> None:
        self._topic, self._source, self._hub = topic, source, hub
        self._after: int | None = None
        self._is_lost = False
        self._begun = asyncio.Event()
        self._up = FEEDS.labels(topic)

    async def follow(self) -> None:
        """For ever."""
        while True:
            error: Exception | None = None
            try:
                await self._follow()  # ends where the process at the other end does
            except Exception as broken:  # whatever it was, nobody else would begin this again
                error = broken
            pause = SOON_SECONDS if self._begun.is_set() else AGAIN_SECONDS
            self._begun.clear()
            self._up.set(0)
            if error is not None:
                self._note_loss(error)
            await asyncio.sleep(pause)

    async def ask(self) -> None:
        """For ever, whenever there are new listeners: find out how things stand."""
        while True:
            await self._begun.wait()
            owners = await self._hub.lacking(self._topic, AT_ONCE)
            if not all(await asyncio.gather(*map(self._found, owners))):
                await asyncio.sleep(AGAIN_SECONDS)

    async def _follow(self) -> None:
        async with self._source.changes(self._after) as found:
            async for line in found:
                self._after = line["seq"]
                self._note_begin()
                if "owner" in line:
                    self._hub.tell(line["owner"], self._topic, Value(line["version"], line["value"]))

    async def _found(self, owner: str) -> bool:
        try:
            found = await self._source.current(owner)
        except Exception as error:  # of any kind: the next time it may be another
            log.info("current_value_waits", topic=self._topic, reason=str(error) or type(error).__name__)
            self._hub.still_lacking(owner, self._topic)
            return False
        self._hub.tell(owner, self._topic, Value(found["version"], found["value"]))
        return True

    def _note_begin(self) -> None:
        if self._begun.is_set():
            return
        self._begun.set()
        self._up.set(1)
        if self._is_lost:
            self._is_lost = False
            log.info("feed_back", topic=self._topic)
            if self._topic is Topic.SESSIONS:
                self._hub.recheck_sessions()

    def _note_loss(self, error: Exception) -> None:
        if not self._is_lost:
            self._is_lost = True
            log.warning("feed_lost", topic=self._topic, reason=failure_of(error), error=type(error).__name__)


async def listening(app: web.Application) -> AsyncIterator[None]:
    """A lifespan: hear of everything, and tell whoever listens, until the process lets everybody go."""
    app[HUB] = hub = Hub()
    services = app[SERVICES]
    sources: dict[Topic, Source] = {
        Topic.SETTINGS: services.settings,
        Topic.RUNS: services.runs,
        Topic.API_KEYS: services.vault,
        Topic.SESSIONS: services.auth,
        Topic.RESTORE: OwnFile(app[CHANGES]),
    }
    feeds = [Feed(topic, source, hub) for topic, source in sources.items()]
    works = [work() for feed in feeds for work in (feed.follow, feed.ask)]
    async with at_work(*works, _close(hub, app[LEAVING])):
        yield


async def _close(hub: Hub, leaving: asyncio.Event) -> None:
    await leaving.wait()
    hub.close()
