"""How a test speaks with one service: as the gateway would, for a given owner and scope."""

from typing import Any

from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient

from chassis.peers import Caller, Scope, Signer


class Asker:
    """Calls one service with freshly signed tokens: `await asker.get("/api/settings", owner="guest:a")`."""

    def __init__(self, client: TestClient[Any, Any], signer: Signer, audience: str) -> None:
        self.client, self._signer, self._audience = client, signer, audience

    async def __call__(
        self,
        method: str,
        path: str,
        *,
        owner: str = "guest:a",
        scope: Scope = Scope.OWNER,
        session: str | None = None,
        guest: str | None = None,
        headers: dict[str, str] | None = None,
        **rest: Any,
    ) -> ClientResponse:
        token = self._signer.token(Caller(owner, scope, session, guest), self._audience)
        return await self.client.request(
            method, path, headers={"Authorization": f"Bearer {token}", **(headers or {})}, **rest
        )

    async def get(self, path: str, **rest: Any) -> ClientResponse:
        return await self("GET", path, **rest)

    async def put(self, path: str, **rest: Any) -> ClientResponse:
        return await self("PUT", path, **rest)

    async def post(self, path: str, **rest: Any) -> ClientResponse:
        return await self("POST", path, **rest)

    async def delete(self, path: str, **rest: Any) -> ClientResponse:
        return await self("DELETE", path, **rest)
