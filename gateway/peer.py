"""How the gateway asks a service: in somebody's name, signed; and what it makes of the answer, or of none."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import structlog

from chassis import documents, tracing
from chassis.peers import Caller, Signer
from chassis.problems import Problem, unavailable
from gateway.metrics import UPSTREAM_FAILURES, UPSTREAM_SECONDS, Failure, failure_of
from gateway.sending import FAILED, Body, Effort, Message, Sender

log = structlog.get_logger()

UNTRUSTED = ("unsigned", "wrong_scope")
CUT = (aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError, aiohttp.SocketTimeoutError)
EFFORT = Effort()


class Peer:
    """One service: its replicas, and a signed way to ask them. If it `knows_again`, a write sent twice is done once."""

    knows_again = False

    def __init__(self, name: str, urls: Sequence[str], http: aiohttp.ClientSession, signer: Signer) -> None:
        self.name, self._signer, self._sender = name, signer, Sender(name, urls, http)
        self.is_ready = self._sender.is_ready
        self._seconds = UPSTREAM_SECONDS.labels(name)

    @asynccontextmanager
    async def ask(
        self,
        method: str,
        path: str,
        who: Caller,
        *,
        headers: Mapping[str, str] | None = None,
        data: Body | None = None,
        effort: Effort = EFFORT,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The service's answer, whatever its status. Raises Problem 503 where there is none, or where it breaks off.

        `path` is percent-encoded, with its query.
        """
        message = Message(method, path, self._signed(who) | tracing.outgoing() | dict(headers or {}), data)
        try:
            with self._seconds.time():
                response = await self._sender.send(message, effort)
        except FAILED as error:
            if isinstance(error.__cause__, Problem):  # raised by `data` itself while it was sent
                raise error.__cause__ from None
            raise self._failed(error) from error
        try:
            await self._refuse_distrust(response)
            yield response
        except CUT as error:
            raise self._failed(error) from error
        finally:
            response.release()

    @asynccontextmanager
    async def listen(self, path: str, who: Caller, effort: Effort) -> AsyncIterator[AsyncIterator[bytes]]:
        """The body of an answer that goes on for ever. Whoever listens comes again, and tells of it: nothing is logged
        or counted here. Raises Problem, or one of FAILED."""
        response = await self._sender.send(Message("GET", path, self._signed(who)), effort)
        try:
            if response.status != 200:
                await self.read_answer(response)
            yield response.content.iter_any()
        finally:
            response.close()

    async def call(self, method: str, path: str, who: Caller, value: Any = None, effort: Effort = EFFORT) -> Any:
        """The JSON of a successful answer. Raises the service's own problem otherwise."""
        headers = {"Content-Type": "application/json"} if value is not None else {}
        data = documents.write(value) if value is not None else None
        async with self.ask(method, path, who, headers=headers, data=data, effort=effort) as response:
            return await self.read_answer(response)

    async def read_answer(self, response: aiohttp.ClientResponse) -> Any:
        try:
            answer = documents.parse(await response.read())
        except (aiohttp.ClientError, TimeoutError, documents.Malformed) as error:
            raise self._failed(error) from error
        if response.status < 400:
            return answer
        if not isinstance(answer, dict) or not {"code", "detail"} <= answer.keys():
            raise self._failed(ValueError("no problem document"))
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

    async def pieces(self, response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        """The body as it comes. Raises Problem 503 where it breaks off."""
        try:
            async for piece in response.content.iter_any():
                yield piece
        except CUT as error:
            raise self._failed(error) from error

    def _signed(self, who: Caller) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._signer.token(who, self.name)}"}

    async def _refuse_distrust(self, response: aiohttp.ClientResponse) -> None:
        """That a service does not believe the gateway is our fault, never the caller's: 503, not 401."""
        if response.status != 401:
            return
        try:
            problem = documents.parse(await response.read())
        except documents.Malformed as error:
            raise self._failed(error) from error
        code = problem.get("code") if isinstance(problem, dict) else None
        if code in UNTRUSTED:
            UPSTREAM_FAILURES.labels(self.name, Failure.DISTRUST).inc()
            log.error("service_distrusts_gateway", service=self.name, code=code)
            raise self.unreachable()

    def _failed(self, error: Exception) -> Problem:
        reason = failure_of(error)
        UPSTREAM_FAILURES.labels(self.name, reason).inc()
        log.warning("service_failed", service=self.name, reason=reason, error=type(error).__name__)
        return self.unreachable()

    def unreachable(self) -> Problem:
        detail = f"The {self.name} service does not answer. Try again in a moment."
        return unavailable("service_unavailable", detail, service=self.name)
