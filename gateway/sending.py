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
CONNECT_SECONDS = 0.8  # where an address has gone nobody says no
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


class Parcel:
    """A message whose body is handed over only to a service that says it has begun with it (RFC 9110, 10.1.1).

    As long as it `is_unopened`, a service that went away has done nothing: so also a write can be sent again.
    """

    def __init__(self, message: Message) -> None:
        self.message, self.is_unopened = message, False

    @property
    def label(self) -> dict[str, str]:
        """The headers that tell the length of the body, where it is known."""
        self.is_unopened = True
        data = self.message.data or b""
        return {"Content-Length": str(len(data))} if isinstance(data, bytes) else {}

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.is_unopened = False
        if isinstance(self.message.data, AsyncIterable):
            async for piece in self.message.data:
                yield piece
        elif self.message.data:
            for start in range(0, len(self.message.data), SENT_AT_ONCE):
                yield self.message.data[start : start + SENT_AT_ONCE]


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

        What no replica has begun with is tried again for RETRY_SECONDS, and once at every replica; anything else, only
        if that does no harm.
        """
        harmless = (message.reads or effort.repeatable) and not isinstance(message.data, AsyncIterable)
        deadline = time.monotonic() + RETRY_SECONDS
        tried: set[Replica] = set()
        while True:
            parcel = Parcel(message)
            try:
                return await self._try_next(parcel, effort, tried)
            except FAILED as error:
                all_tried = tried.issuperset(await self._replicas.all())
                over = not effort.retried or (all_tried and time.monotonic() > deadline)
                if over or not (harmless or isinstance(error, NEVER_SENT) or parcel.is_unopened):
                    raise
                UPSTREAM_RETRIES.labels(self._name).inc()
                await asyncio.sleep(RETRY_PAUSE if all_tried else 0)

    async def is_ready(self) -> bool:
        """Whether any replica can work, as far as they tell in time."""
        asked = [self._tells_ready(replica) for replica in await self._replicas.all()]
        return any(await asyncio.gather(*asked))

    async def _tells_ready(self, replica: Replica) -> bool:
        try:
            answer = await self._request(replica, Parcel(Message("GET", "/health/ready")), HEALTH_CHECK)
        except FAILED:
            return False
        answer.release()
        return answer.status == 200

    async def _try_next(self, parcel: Parcel, effort: Effort, tried: set[Replica]) -> aiohttp.ClientResponse:
        replica = await self._replicas.next(tried)
        tried.add(replica)
        try:
            answer = await self._request(replica, parcel, effort)
        except FAILED as error:
            if not isinstance(error.__cause__, Problem):  # the body's own, raised while it was sent
                self._note_failure(replica)
            raise
        self._replicas.answered(replica, leaving=answer.headers.get("Connection") == "close")
        return answer

    def _note_failure(self, replica: Replica) -> None:
        if self._replicas.failed(replica):
            REPLICAS_SKIPPED.labels(self._name).inc()
            log.warning("replica_skipped", service=self._name, at=replica.base)

    async def _request(self, replica: Replica, parcel: Parcel, effort: Effort) -> aiohttp.ClientResponse:
        message = parcel.message
        with_care = not message.reads and self._replicas.may_be_leaving(replica)
        return await self._http.request(
            message.method,
            URL(replica.base + message.path, encoded=True),
            headers=message.headers | {"Host": replica.authority} | (parcel.label if with_care else {}),
            data=parcel if with_care else _at_once(message.data),
            expect100=with_care,
            allow_redirects=False,
            server_hostname=replica.certified_name,
            timeout=effort.timeout,
        )


def _at_once(data: Body | None) -> Body | BytesIO | None:
    return BytesIO(data) if isinstance(data, bytes) and len(data) >= SENT_AT_ONCE else data
