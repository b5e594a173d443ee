"""A device that listens to what changes for its owner: GET /api/events, as a browser's EventSource reads it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NamedTuple

import aiohttp

from tests.journeys.browser import Browser

TOPICS = {"settings", "runs", "api-keys", "sessions", "restore"}


class Event(NamedTuple):
    topic: str
    data: dict[str, Any]
    at: float  # by the clock of this process


class Events:
    """What has come so far, in order."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response
        self.all: list[Event] = []
        self.text = ""
        self.ended_at: float | None = None
        self.was_cut = False
        self._more = asyncio.Condition()

    def latest(self, topic: str) -> dict[str, Any] | None:
        return next((event.data for event in reversed(self.all) if event.topic == topic), None)

    async def until(self, reached: Callable[[], bool], seconds: float = 5.0) -> float:
        """Wait until something is so that what has come decides; when that was."""
        async with asyncio.timeout(seconds), self._more:
            await self._more.wait_for(reached)
        return time.monotonic()

    async def settled(self) -> None:
        """Every topic has been told once."""
        await self.until(lambda: {event.topic for event in self.all} == TOPICS)

    async def next(self, topic: str, since: int, seconds: float = 5.0) -> Event:
        """The first event of a topic after the first `since` events of all."""
        await self.until(lambda: any(event.topic == topic for event in self.all[since:]), seconds)
        return next(event for event in self.all[since:] if event.topic == topic)

    async def until_told(self, topic: str, version: int, seconds: float = 5.0) -> None:
        """That version is the latest of the topic's, whatever was told before."""
        await self.until(lambda: self.latest(topic) == {"version": version}, seconds)

    async def ended(self, seconds: float = 5.0) -> float:
        await self.until(lambda: self.ended_at is not None, seconds)
        assert self.ended_at is not None
        return self.ended_at

    async def read(self) -> None:
        try:
            block = b""
            async for line in self.response.content:
                block += line
                if line == b"\n":
                    await self._take(block.decode())
                    block = b""
        except (aiohttp.ClientError, ConnectionError):
            self.was_cut = True
        finally:
            self.ended_at = time.monotonic()
            async with self._more:
                self._more.notify_all()

    async def _take(self, block: str) -> None:
        self.text += block
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if "event" in fields:
            self.all.append(Event(fields["event"], json.loads(fields["data"]), time.monotonic()))
        async with self._more:
            self._more.notify_all()


@asynccontextmanager
async def listening(browser: Browser, url: str = "") -> AsyncIterator[Events]:
    """A stream of the browser's session, at its own gateway or the one of `url`."""
    timeout = aiohttp.ClientTimeout(total=None)
    path = (url or browser.url) + "/api/events"
    async with aiohttp.ClientSession(cookie_jar=browser.jar, timeout=timeout) as http, http.get(path) as response:
        assert response.status == 200, await response.text()
        events = Events(response)
        reading = asyncio.create_task(events.read())
        try:
            yield events
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


class Listening(AsyncExitStack):
    """Several devices that listen until the block ends."""

    async def add(self, browser: Browser, url: str = "") -> Events:
        """One more, which has been told how everything stands."""
        events = await self.enter_async_context(listening(browser, url))
        await events.settled()
        return events
