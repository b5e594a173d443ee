"""A device's way to the gateways: to any of them, and again under the same name until there is an answer."""

import asyncio
import json
import random
import time
from collections.abc import AsyncGenerator, Sequence
from typing import Any, Final, NamedTuple

import aiohttp

from tests.journeys.browser import Browser

INSISTS_SECONDS: Final = 25.0
PAUSE_SECONDS: Final = 0.1
PATIENCE: Final = aiohttp.ClientTimeout(total=20)
WITHOUT_END: Final = aiohttp.ClientTimeout(total=None, sock_read=20)  # there is a heartbeat every 15 seconds


class Answer(NamedTuple):
    status: int
    head: dict[str, str]
    body: bytes

    @property
    def value(self) -> Any:
        return json.loads(self.body)

    @property
    def succeeded(self) -> bool:
        return self.status < 300


class Line(Browser):
    """`troubles` has a line for each request that had to be sent again, other than for somebody else's restore."""

    def __init__(self, urls: Sequence[str], dice: random.Random) -> None:
        super().__init__(urls[0])
        self._urls, self._dice = urls, dice
        self.troubles: list[str] = []

    async def insist(self, method: str, path: str, **rest: Any) -> Answer:
        """What is answered in the end: never that the device should come again, and never a 401."""
        deadline = time.monotonic() + INSISTS_SECONDS
        while (answer := await self._try(method, path, **rest)) is None:
            assert time.monotonic() < deadline, self.troubles[-5:]
            await asyncio.sleep(PAUSE_SECONDS)
        assert answer.status != 401, answer
        return answer

    async def read(self, path: str) -> Any:
        answer = await self.insist("GET", path)
        assert answer.succeeded, answer
        return answer.value

    async def _try(self, method: str, path: str, **rest: Any) -> Answer | None:
        """None where it is to be sent again."""
        self.url = self._dice.choice(self._urls)
        try:
            answer = Answer(*await self.ask(method, path, timeout=PATIENCE, **rest))
        except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
            self.troubles.append(f"{method} {path}: {error!r}")
            return None
        if answer.status == 503:
            assert "Retry-After" in answer.head
            self.troubles.append(f"{method} {path}: {answer}")
        return None if answer.status == 503 or "Retry-After" in answer.head else answer

    async def events(self) -> AsyncGenerator[tuple[str, Any], None]:
        """(topic, data) of one stream of events, until it breaks off or is ended."""
        headers = {"Accept": "text/event-stream"}
        url = self._dice.choice(self._urls)
        async with self._http.get(f"{url}/api/events", headers=headers, timeout=WITHOUT_END) as response:
            assert response.status in (200, 503), await response.read()
            topic = ""
            async for line in response.content:
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name == "event":
                    topic = value
                elif name == "data":
                    yield topic, json.loads(value)
