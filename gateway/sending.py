"""How a request gets to one of a service's replicas: which, how often it is tried, and how long it is waited for."""

import asyncio
import socket
import time
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO

import aiohttp
import structlog
from yarl import URL

from chassis.problems import Problem
from gateway.metrics import REPLICAS_SKIPPED, UPSTREAM_RETRIES
from gateway.replicas import Replica, Replicas

log = structlog.get_logger()

RETRY_SECONDS = 3.0  # how long a request is tried again, over all replicas
RETRY_PAUSE = 0.05  # after each of them has been tried
KEPT_SECONDS = 0.5  # how long an idle connection is used again: a service that ends waits a little longer than this
CONNECT_SECONDS = 1.5  # a second is normal where a service was just closing its door (`chassis/stopping.py`)
SENT_AT_ONCE = 1 << 20  # bytes; aiohttp warns of more in one piece, and sends a file in pieces, but on a thread
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
NEVER_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, socket.gaierror)
FAILED = (aiohttp.ClientError, TimeoutError, socket.gaierror)
Body = bytes | AsyncIterable[bytes]


@dataclass(frozen=True)
class Effort:
    """How long an answer is waited for, in seconds without a byte of it, and whether asking twice does it once."""

    seconds: float = 10.0
    repeatable: bool = False
    retried: bool = True

    @property
    def timeout(self) -> aiohttp.ClientTimeout:
        if self.retried:
            return aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=self.seconds)
        return aiohttp.ClientTimeout(total=self.seconds)


HEALTH_CHECK = Effort(2.0, retried=False)


@dataclass(frozen=True)
class Message:
    """A request but for its address: `path` is percent-encoded, with its query."""

    method: str
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    data: Body | None = None

    @property
    def reads(self) -> bool:
        return self.method in SAFE_METHODS


@asynccontextmanager
async def connections() -> AsyncIterator[aiohttp.ClientSession]:
    """What all services are reached through. Bodies come as they were sent, and cookies are nobody's."""
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEPT_SECONDS)
    jar = aiohttp.DummyCookieJar()
    async with aiohttp.ClientSession(connector=connector, cookie_jar=jar, auto_decompress=False) as http:
        http._retry_connection = False  # aiohttp would repeat a PUT or DELETE that may have been done
        yield http


class Sender:
    """The way to one service. Raises one of FAILED where it cannot be had."""

    def __init__(self, name: str, urls: Sequence[str], http: aiohttp.ClientSession) -> None:
        self._name, self._replicas, self._http = name, Replicas(urls), http

    async def send(self, message: Message, effort: Effort) -> aiohttp.ClientResponse:
        """The head of an answer.

        What was never sent is tried again for RETRY_SECONDS, and once at every replica; what was sent, only if that
        does no harm.
        """
        harmless = (message.reads or effort.repeatable) and not isinstance(message.data, AsyncIterable)
        deadline, attempts = time.monotonic() + RETRY_SECONDS, 0
        while True:
            try:
                return await self._try_next(message, effort)
            except FAILED as error:
                attempts += 1
                all_tried = attempts >= len(await self._replicas.all())
                over = not effort.retried or (all_tried and time.monotonic() > deadline)
                if over or not (harmless or isinstance(error, NEVER_SENT)):
                    raise
                UPSTREAM_RETRIES.labels(self._name).inc()
                await asyncio.sleep(RETRY_PAUSE if all_tried else 0)

    async def is_ready(self) -> bool:
        """Whether any replica can work, as far as they tell in time."""
        asked = [self._tells_ready(replica) for replica in await self._replicas.all()]
        return any(await asyncio.gather(*asked))

    async def _tells_ready(self, replica: Replica) -> bool:
        try:
            answer = await self._request(replica, Message("GET", "/health/ready"), HEALTH_CHECK)
        except FAILED:
            return False
        answer.release()
        return answer.status == 200

    async def _try_next(self, message: Message, effort: Effort) -> aiohttp.ClientResponse:
        replica = await self._replicas.next()
        try:
            answer = await self._request(replica, message, effort)
        except FAILED as error:
            if not isinstance(error.__cause__, Problem):  # the body's own, raised while it was sent
                self._note_failure(replica)
            raise
        self._replicas.answered(replica)
        return answer

    def _note_failure(self, replica: Replica) -> None:
        if self._replicas.failed(replica):
            REPLICAS_SKIPPED.labels(self._name).inc()
            log.warning("replica_skipped", service=self._name, at=replica.base)

    async def _request(self, replica: Replica, message: Message, effort: Effort) -> aiohttp.ClientResponse:
        data = message.data
        return await self._http.request(
            message.method,
            URL(replica.base + message.path, encoded=True),
            headers=message.headers | {"Host": replica.authority},
            data=BytesIO(data) if isinstance(data, bytes) and len(data) >= SENT_AT_ONCE else data,
            allow_redirects=False,
            server_hostname=replica.certified_name,
            timeout=effort.timeout,
        )
