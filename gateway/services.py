"""The gateway's view of its peers: one small class each, methods as verbs. Nothing else in the gateway knows a URL."""

import asyncio
import time
from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from itertools import count
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
import structlog
from pydantic import SecretStr
from yarl import URL

from chassis import documents, logs
from chassis.peers import Caller, Scope, Signer
from chassis.problems import Problem, unavailable
from chassis.uploads import whole_lines
from gateway.operations import Operation

log = structlog.get_logger()

CONNECT_SECONDS = 3.0  # how long a request that was never sent is tried again, over all replicas
RETRY_PAUSE = 0.05
HEALTH_SECONDS = 2.0
PATIENCE = aiohttp.ClientTimeout(total=None, sock_connect=2.0, sock_read=30.0)
LONG_PATIENCE = aiohttp.ClientTimeout(total=None, sock_connect=2.0, sock_read=600.0)
Body = bytes | AsyncIterable[bytes]
SENT_AT_ONCE = 1 << 20  # bytes; aiohttp warns of more in one piece, and sends a file in pieces, but on a thread
NO_PATIENCE = aiohttp.ClientTimeout(total=1.0)
PASSPHRASE_HEADER = "Animatize-Backup-Passphrase"  # noqa: S105 - its name
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
            raise self._unreachable() from error
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
            raise self._unreachable() from error
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
            raise self._unreachable()

    def _next_url(self) -> str:
        return self._urls[next(self._turn) % len(self._urls)]

    def _unreachable(self) -> Problem:
        return unavailable("service_unavailable", f"The {self.name} service does not answer. Try again in a moment.")


class Auth(Peer):
    """Sessions. Its answers are about a cookie's token, so they are asked for in the system's own name."""

    WHO = Caller("system", Scope.SYSTEM)

    async def make_guest(self, user_agent: str) -> dict[str, Any]:
        """`{token, session}` of a new guest."""
        found: dict[str, Any] = await self.call("POST", "/internal/sessions", self.WHO, {"user_agent": user_agent})
        return found

    async def resolve(self, token: str, *, at_once: bool = False) -> dict[str, Any] | None:
        """The session that the token opens; None where it is unknown, expired or ended. `at_once` does not insist."""
        patience = NO_PATIENCE if at_once else PATIENCE
        try:
            found: dict[str, Any] = await self.call(
                "POST", "/internal/sessions/resolve", self.WHO, {"token": token}, patience=patience
            )
        except Problem as problem:
            if problem.code == "unknown_session":
                return None
            raise
        return found

    async def log_out(self, token: str | None) -> dict[str, Any]:
        """End the session of the token, if it opens one; `{token, session}` of a fresh guest."""
        found: dict[str, Any] = await self.call("POST", "/internal/sessions/logout", self.WHO, {"token": token})
        return found

    async def sign_in_with_google(self, credential: str) -> dict[str, Any]:
        found: dict[str, Any] = await self.call("POST", "/internal/google", self.WHO, {"credential": credential})
        return found


class Keeper(Peer):
    """A service that keeps a part of an owner's profile: it can hand its part out, and take one in two steps."""

    @asynccontextmanager
    async def hand_out(self, owner: str, passphrase: SecretStr | None = None) -> AsyncIterator[AsyncIterator[bytes]]:
        """The owner's part as JSON values, one a line, of one moment; with a passphrase, what it seals comes first."""
        who = Caller(owner, Scope.SYSTEM)
        method, headers, data = "GET", {}, None
        if passphrase is not None:
            method, headers = "POST", {"Content-Type": "application/json"}
            data = documents.write({"passphrase": passphrase.get_secret_value()})
        async with self.ask(
            method, "/internal/backup", who, headers=headers, data=data, patience=LONG_PATIENCE
        ) as response:
            if response.status != 200:
                await self.read_answer(response)
            yield self._lines(response)

    async def _lines(self, response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        try:
            async for line in whole_lines(response.content):
                yield line
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._unreachable() from error

    async def stage(
        self, operation: Operation, lines: AsyncIterable[bytes], passphrase: SecretStr | None = None
    ) -> dict[str, Any]:
        """Put `lines` beside the live data; the answer is the plan of what committing would do."""
        query = {"mode": "undo", "undoes": operation.undoes} if operation.undoes else {"mode": operation.mode}
        path = f"{_restore_path(operation)}?{urlencode(query)}"
        headers = {"Content-Type": "application/x-ndjson"}
        if passphrase is not None:
            headers[PASSPHRASE_HEADER] = quote(passphrase.get_secret_value(), safe="")
        who = Caller(operation.owner, Scope.SYSTEM)
        async with self.ask("PUT", path, who, headers=headers, data=lines, patience=LONG_PATIENCE) as response:
            answer: dict[str, Any] = await self.read_answer(response)
            return answer

    async def commit(self, operation: Operation) -> dict[str, Any]:
        """Put what is staged in place, once; asking again gives the same answer."""
        answer: dict[str, Any] = await self._tell(operation, "commit")
        return answer

    async def abort(self, operation: Operation) -> None:
        await self._tell(operation, "abort")

    async def _tell(self, operation: Operation, end: str) -> Any:
        who = Caller(operation.owner, Scope.SYSTEM)
        return await self.call("POST", f"{_restore_path(operation)}/{end}", who, patience=LONG_PATIENCE)


class SettingsKeeper(Keeper):
    """Settings profiles."""

    async def profile(self, owner: str, known: Mapping[str, Any] | None = None) -> Any:
        """The owner's profile as it is or, where `known` names a version and its times, as that version was."""
        who = Caller(owner, Scope.OWNER)
        if known is not None:
            try:
                version = await self.call("GET", f"/api/settings/history/{known['version']}", who)
                return {**known, "settings": version["settings"]}
            except Problem as problem:
                if problem.status != 404:
                    raise
        return await self.call("GET", "/api/settings", who)


@dataclass(frozen=True)
class Services:
    """All four peers."""

    auth: Auth
    settings: SettingsKeeper
    runs: Keeper
    vault: Keeper

    def all(self) -> tuple[Peer, ...]:
        return (self.auth, self.settings, self.runs, self.vault)

    def keeper(self, name: str) -> Keeper:
        return {"settings": self.settings, "runs": self.runs, "vault": self.vault}[name]

    def taking_part(self, operation: Operation) -> list[Keeper]:
        """Who was asked to stage something, always in this order: settings are small, so they are in place first."""
        return [keeper for keeper in (self.settings, self.runs, self.vault) if keeper.name in operation.participants]


def _restore_path(operation: Operation) -> str:
    return f"/internal/restores/{quote(operation.id, safe='')}"
