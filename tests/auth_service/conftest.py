"""The real auth service over a real file, and a clock that a test can move."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse
from pytest_aiohttp.plugin import AiohttpClient

from auth_service.app import create_app
from auth_service.routes import PRESENCE
from auth_service.settings import Settings
from chassis.peers import Scope, Signer
from tests.issuer import Issuer
from tests.support import Asker


class Clock:
    """Tells the time that the test has set."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **by: float) -> None:
        self.now += timedelta(**by)

    def seconds(self) -> float:
        return self.now.timestamp()


class Auth(Asker):
    """The questions that the gateway asks, by name."""

    async def ask(self, path: str, body: object) -> ClientResponse:
        return await self.post(path, owner="system", scope=Scope.SYSTEM, json=body)

    async def open_guest(self, user_agent: str | None = None, *, wrote: bool = False) -> tuple[str, dict[str, Any]]:
        return await self._opened(await self.ask("/internal/sessions", {"user_agent": user_agent, "wrote": wrote}), 201)

    async def resolve(self, token: str, user_agent: str | None = None) -> tuple[int, dict[str, Any]]:
        body = {"token": token, "user_agent": user_agent, "wrote": False}
        answer = await self.ask("/internal/sessions/resolve", body)
        return answer.status, await answer.json()

    async def announce_write(self, token: str) -> tuple[int, dict[str, Any]]:
        answer = await self.ask("/internal/sessions/wrote", {"token": token})
        return answer.status, await answer.json()

    async def log_out(self, token: str | None) -> tuple[str, dict[str, Any]]:
        return await self._opened(await self.ask("/internal/sessions/logout", {"token": token, "wrote": False}))

    async def admit(self, credential: str) -> dict[str, Any]:
        answer = await self.ask("/internal/google", {"credential": credential})
        assert answer.status == 200, await answer.text()
        admitted: dict[str, Any] = await answer.json()
        return admitted

    async def sign_in(
        self, owner: str, token: str | None = None, user_agent: str | None = None
    ) -> tuple[str, dict[str, Any]]:
        return await self._opened(await self.try_to_sign_in(owner, token, user_agent))

    async def try_to_sign_in(
        self, owner: str, token: str | None = None, user_agent: str | None = None
    ) -> ClientResponse:
        body = {"token": token, "user_agent": user_agent}
        return await self.post("/internal/sessions/sign-in", owner=owner, scope=Scope.SYSTEM, json=body)

    async def claim(self, limit: int = 100) -> list[str]:
        answer = await self.ask("/internal/guests/claim", {"limit": limit})
        assert answer.status == 200, await answer.text()
        return list((await answer.json())["owners"])

    async def erase(self, owner: str) -> None:
        answer = await self.post("/internal/erasure", owner=owner, scope=Scope.SYSTEM)
        assert (answer.status, await answer.json()) == (200, {"erased": True})

    async def settled(self) -> None:
        """Return when nothing is being written behind an answer any more."""
        await self.client.app[PRESENCE].settled()

    async def _opened(self, answer: ClientResponse, status: int = 200) -> tuple[str, dict[str, Any]]:
        assert answer.status == status, await answer.text()
        opened = await answer.json()
        return opened["token"], opened["session"]

    async def as_session(self, session: dict[str, Any], method: str, path: str) -> tuple[int, dict[str, Any]]:
        """What the owner of a session gets, whose cookie the gateway has resolved."""
        answer = await self(method, path, owner=session["owner"], session=session["session_id"])
        return answer.status, await answer.json()


Start = Callable[..., Awaitable[Auth]]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "animatize_web.auth.db"


@pytest.fixture
def start(aiohttp_client: AiohttpClient, signer: Signer, gateway_url: str, tmp_path: Path, clock: Clock) -> Start:
    """Start one more instance over the same file."""

    async def start(**settings: Any) -> Auth:
        given = Settings(gateway_url=(gateway_url,), web_db_path=tmp_path / "animatize_web.db", **settings)
        return Auth(await aiohttp_client(create_app(given, clock, clock.seconds)), signer, "auth")

    return start


@pytest.fixture
async def auth(start: Start) -> Auth:
    return await start()


@pytest.fixture
async def issuer(clock: Clock) -> AsyncIterator[Issuer]:
    """An issuer of its own, whose tokens are dated by the test's clock."""
    async with Issuer(clock=clock.seconds) as issuer:
        yield issuer


@pytest.fixture
async def google(start: Start, issuer: Issuer) -> Auth:
    """The auth service with Google sign-in."""
    return await start(**issuer.environment)
