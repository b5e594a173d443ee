"""How the gateway asks a service: signed, at one of its replicas, with patience. Nothing else knows a service's URL."""

import asyncio
import time
from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from io import BytesIO
from itertools import count
from typing import Any

import aiohttp
import structlog
from yarl import URL

from chassis import documents, logs
from chassis.peers import Caller, Signer
from chassis.problems import Problem, unavailable

log = structlog.get_logger()

CONNECT_SECONDS = 3.0  # how long a request that was never sent is tried again, over all replicas
RETRY_PAUSE = 0.05
HEALTH_SECONDS = 2.0
PATIENCE = aiohttp.ClientTimeout(total=None, sock_connect=2.0, sock_read=30.0)
NO_PATIENCE = aiohttp.ClientTimeout(total=1.0)
Body = bytes | AsyncIterable[bytes]
SENT_AT_ONCE = 1 << 20  # bytes; aiohttp warns of more in one piece, and sends a file in pieces, but on a thread
UNTRUSTED = ("unsigned", "wrong_scope")


class Peer:
    """One service: its replicas, and a signed way to ask them."""

    def __init__(self, name: str, urls: Sequence[str], http: aiohttp.ClientSession, signer: Signer) -> None:
        self.name, self._urls, self._http, self._signer = name, urls, http, signer
        self._turn = count()

    @asynccontextmanager
    async def ask(
        self,
        method: str,
        path: str,
        who: Caller,
        *,
        headers: Mapping[str, str] | None = None,
        data: Body | None = None,
        patience: aiohttp.ClientTimeout = PATIENCE,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The service's answer, whatever its status. Raises Problem 503 where there is none.

        What was never sent is tried again for CONNECT_SECONDS. `path` is percent-encoded, with its query.
        """
        signed = {
            "Authorization": f"Bearer {self._signer.token(who, self.name)}",
            logs.HEADER: logs.current_request_id(),
            **(headers or {}),
        }
        try:
            response = await self._send(method, path, data, headers=signed, timeout=patience)
        except (aiohttp.ClientError, TimeoutError) as error:
            if isinstance(error.__cause__, Problem):  # raised by `data` itself while it was sent
                raise error.__cause__ from None
            log.warning("service_failed", service=self.name, reason=type(error).__name__)
            raise self.unreachable() from error
        try:
            await self._refuse_distrust(response)
            yield response
        finally:
            response.release()

    async def call(
        self, method: str, path: str, who: Caller, value: Any = None, *, patience: aiohttp.ClientTimeout = PATIENCE
    ) -> Any:
        """The JSON of a successful answer. Raises the service's own problem otherwise."""
        headers = {"Content-Type": "application/json"} if value is not None else {}
        data = documents.write(value) if value is not None else None
        async with self.ask(method, path, who, headers=headers, data=data, patience=patience) as response:
            return await self.read_answer(response)

    async def read_answer(self, response: aiohttp.ClientResponse) -> Any:
        try:
            answer = documents.parse(await response.read())
        except (aiohttp.ClientError, TimeoutError, documents.Malformed) as error:
            raise self.unreachable() from error
        if response.status < 400:
            return answer
        retry = response.headers.get("Retry-After")
        known = {"status", "code", "detail", "errors", "type", "title", "request_id"}
        raise Problem(
            response.status,
            answer["code"],
            answer["detail"],
            errors=answer.get("errors", ()),
            headers={"Retry-After": retry} if retry else None,
            **{name: value for name, value in answer.items() if name not in known},
        )

    async def is_ready(self) -> bool:
        try:
            timeout = aiohttp.ClientTimeout(HEALTH_SECONDS)
            async with self._http.get(self._next_url() + "/health/ready", timeout=timeout) as response:
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def _send(self, method: str, path: str, data: Body | None, **rest: Any) -> aiohttp.ClientResponse:
        deadline = time.monotonic() + CONNECT_SECONDS
        while True:
            try:
                url = URL(self._next_url() + path, encoded=True)
                body = BytesIO(data) if isinstance(data, bytes) and len(data) >= SENT_AT_ONCE else data
                return await self._http.request(method, url, data=body, allow_redirects=False, **rest)
            except aiohttp.ClientConnectorError:
                if rest["timeout"] is NO_PATIENCE or time.monotonic() > deadline:
                    raise
                await asyncio.sleep(RETRY_PAUSE)

    async def _refuse_distrust(self, response: aiohttp.ClientResponse) -> None:
        """That a service does not believe the gateway is our fault, never the caller's: 503, not 401."""
        if response.status != 401:
            return
        code = documents.parse(await response.read()).get("code")
        if code in UNTRUSTED:
            log.error("service_distrusts_gateway", service=self.name, code=code)
            raise self.unreachable()

    def _next_url(self) -> str:
        return self._urls[next(self._turn) % len(self._urls)]

    def unreachable(self) -> Problem:
        return unavailable("service_unavailable", f"The {self.name} service does not answer. Try again in a moment.")
