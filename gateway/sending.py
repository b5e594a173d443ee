"""How a request gets to one of a service's replicas: which, how often it is tried, and how long it is waited for."""

import asyncio
import socket
import time
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO

import aiohttp
import structlog
from yarl import URL

from chassis import tracing
from chassis.problems import Problem
from gateway.metrics import REPLICAS_SKIPPED, UPSTREAM_RETRIES
from gateway.replicas import Replica, Replicas

log = structlog.get_logger()

RETRY_SECONDS = 3.0  # how long a request is tried again, over all replicas
RETRY_PAUSE = 0.05  # after each of them has been tried
KEPT_SECONDS = 0.5  # how long an idle connection is used again: a service that ends waits a little longer than this
CONNECT_SECONDS = 0.8  # where an address has gone nobody says no
OFFER_SECONDS = 5.0  # how long a service may take to say that it begins
SENT_AT_ONCE = 1 << 20  # bytes; aiohttp warns of more in one piece, and sends a file in pieces, but on a thread
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
NEVER_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
FAILED = (aiohttp.ClientError, TimeoutError, socket.gaierror)
Body = bytes | AsyncIterable[bytes]


@dataclass(frozen=True)
class Effort:
    """How long an answer is waited for, in seconds without a byte of it, and whether asking twice does it once.

    What may take long is `offered` to a service first, since nobody could tell that from its hanging.
    """

    seconds: float = 10.0
    repeatable: bool = False
    retried: bool = True
    offered: bool = False

    @cached_property
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


class Offer:
    """A body that is handed over only to a service that says it has begun with the request (RFC 9110, 10.1.1).

    Until it is `taken`, nothing was done: so also a write can be sent again.
    """

    def __init__(self, data: Body | None) -> None:
        self._data, self.taken = data or b"", False
        self.patience = asyncio.timeout(OFFER_SECONDS)

    @property
    def headers(self) -> dict[str, str]:
        return {"Content-Length": str(len(self._data))} if isinstance(self._data, bytes) else {}

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.taken = True
        self.patience.reschedule(None)
        if isinstance(self._data, bytes):
            for start in range(0, len(self._data), SENT_AT_ONCE):
                yield self._data[start : start + SENT_AT_ONCE]
        else:
            async for piece in self._data:
                yield piece


class NotBegun(Exception):
    """No replica has begun with a request, because of `failure`."""

    def __init__(self, failure: Exception) -> None:
        super().__init__(str(failure))
        self.failure = failure


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
            try:
                return await self._try_next(message, effort, tried)
            except (NotBegun, *FAILED) as error:
                all_tried = tried.issuperset(await self._replicas.all())
                over = not effort.retried or (all_tried and time.monotonic() > deadline)
                if over or not (harmless or isinstance(error, NotBegun)):
                    failure = error.failure if isinstance(error, NotBegun) else error
                    raise failure from failure.__cause__
                UPSTREAM_RETRIES.labels(self._name).inc()
                await asyncio.sleep(RETRY_PAUSE if all_tried else 0)

    async def is_ready(self) -> bool:
        """Whether any replica can work, as far as they tell in time."""
        asked = [self._tells_ready(replica) for replica in await self._replicas.all()]
        return any(await asyncio.gather(*asked))

    async def _tells_ready(self, replica: Replica) -> bool:
        try:
            asking = Message("GET", "/health/ready", tracing.outgoing())
            answer = await self._request(replica, asking, HEALTH_CHECK)
        except FAILED:
            return False
        answer.release()
        return answer.status == 200

    async def _try_next(self, message: Message, effort: Effort, tried: set[Replica]) -> aiohttp.ClientResponse:
        try:
            replica = await self._replicas.next(tried)
        except OSError as error:
            raise NotBegun(error) from error
        tried.add(replica)
        with_care = effort.offered or (not message.reads and self._replicas.may_be_leaving(replica))
        offer = Offer(message.data) if with_care else None
        try:
            answer = await self._request(replica, message, effort, offer)
        except FAILED as error:
            self._note_failure(replica, error)
            if isinstance(error, NEVER_SENT) or (offer is not None and not offer.taken):
                raise NotBegun(error) from error
            raise
        self._replicas.answered(replica, leaving=answer.headers.get("Connection") == "close")
        return answer

    def _note_failure(self, replica: Replica, error: Exception) -> None:
        """But for one that is the body's own, raised while it was sent."""
        if not isinstance(error.__cause__, Problem) and self._replicas.failed(replica):
            REPLICAS_SKIPPED.labels(self._name).inc()
            log.warning("replica_skipped", service=self._name, at=replica.base)

    async def _request(
        self, replica: Replica, message: Message, effort: Effort, offer: Offer | None = None
    ) -> aiohttp.ClientResponse:
        headers = {**message.headers, "Host": replica.authority, **(offer.headers if offer else {})}
        asking = self._http.request(
            message.method,
            URL(replica.base + message.path, encoded=True),
            headers=headers,
            data=offer or _at_once(message.data),
            expect100=offer is not None,
            allow_redirects=False,
            server_hostname=replica.certified_name,
            timeout=effort.timeout,
        )
        if offer is None:
            return await asking
        async with offer.patience:
            return await asking


def _at_once(data: Body | None) -> Body | BytesIO | None:
    return BytesIO(data) if isinstance(data, bytes) and len(data) >= SENT_AT_ONCE else data
