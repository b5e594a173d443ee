"""A real issuer of Google's ID tokens on this machine: RSA keys that rotate, a JWKS address, and every way to fail.

`async with Issuer() as issuer:` serves in the test's own process; `issuer.environment` is what an auth service needs.
"""

import time
from collections.abc import Awaitable, Callable
from functools import cache
from itertools import count
from typing import Any, Self

from aiohttp import web
from joserfc import jwt
from joserfc.jwk import RSAKey

from chassis.documents import write

ACCOUNTS = "https://accounts.google.com"
PATH = "/oauth2/v3/certs"
LIFE_SECONDS = 3600

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@cache
def key_of(number: int) -> RSAKey:
    """The `number`-th key of this process: making one takes long."""
    return RSAKey.generate_key(2048, {"kid": f"key-{number}", "use": "sig", "alg": "RS256"})


class Issuer:
    """Signs, publishes its keys, and counts how often it is asked for them.

    `cache_control` and `headers` stand on every answer of the keys; `instead` answers in their place. `clock` is what
    its tokens are dated by.
    """

    def __init__(
        self, client_id: str = "animatize.apps.example", clock: Callable[[], float] = time.time, first_key: int = 0
    ) -> None:
        self.client_id, self._clock = client_id, clock
        self._numbers = count(first_key)
        self.key = key_of(next(self._numbers))
        self.published = [self.key]
        self.asked = 0
        self.cache_control: str | None = "public, max-age=3600, must-revalidate, no-transform"
        self.headers: dict[str, str] = {}
        self.instead: Answer | None = None
        self._port = 0
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        await self.up()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.down()

    @property
    def jwks_url(self) -> str:
        return f"http://127.0.0.1:{self._port}{PATH}"

    @property
    def environment(self) -> dict[str, str]:
        return {"GOOGLE_CLIENT_ID": self.client_id, "GOOGLE_JWKS_URL": self.jwks_url}

    async def up(self) -> None:
        """Begin to listen, or do so again, at the same port."""
        if self._runner is not None:
            return
        app = web.Application()
        app.router.add_get(PATH, self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True).start()
        self._port = self._runner.addresses[0][1]

    async def down(self) -> None:
        """Nobody listens: a connection is refused, and those that were open are closed."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def rotate(self, *, keep: bool = True) -> None:
        """Sign with a new key from now on. The old ones stay published with `keep`, else they are revoked."""
        self.key = key_of(next(self._numbers))
        self.published = [*(self.published if keep else []), self.key]

    def credential(self, sub: str | None = "1", email: str | None = "ana@example.org", **claims: Any) -> str:
        """An ID token that is good in every way but what `claims` say; one given as None is left out."""
        return self.signed(self.claims(sub, email, **claims))

    def claims(self, sub: str | None = "1", email: str | None = "ana@example.org", **claims: Any) -> dict[str, Any]:
        now = int(self._clock())
        usual: dict[str, Any] = {"iss": ACCOUNTS, "azp": self.client_id, "aud": self.client_id}
        usual |= {
            "sub": sub,
            "email": email,
            "email_verified": True,
            "name": "Ana Lovelace",
            "given_name": "Ana",
            "family_name": "Lovelace",
        }
        usual |= {"picture": "https://lh3.googleusercontent.example/a/photo=s96-c", "jti": f"jti-{now}"}
        usual |= {"nbf": now - 300, "iat": now, "exp": now + LIFE_SECONDS}
        return {name: value for name, value in (usual | claims).items() if value is not None}

    def signed(self, claims: dict[str, Any], **header: Any) -> str:
        """Any claims under the present key and a header like Google's, `header` aside."""
        return jwt.encode({"alg": "RS256", "kid": self.key.kid} | header, claims, self.key, algorithms=["RS256"])

    def jwks(self) -> dict[str, Any]:
        return {"keys": [key.as_dict(private=False) for key in self.published]}

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked += 1
        if self.instead is not None:
            return await self.instead(request)
        headers = self.headers | ({"Cache-Control": self.cache_control} if self.cache_control else {})
        return web.Response(body=write(self.jwks()), content_type="application/json", headers=headers)
