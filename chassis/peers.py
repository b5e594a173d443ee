"""How the gateway proves to a service who is asking, and how the service checks it: signing and verifying side by side.

The token is a JWT (RFC 7519) signed with Ed25519 (RFC 8037; `alg` as RFC 9864 names it). The signing key is derived
from the root secret, so every gateway has the same one; services fetch the public half and hold no secret.
"""

import asyncio
import time
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import aiohttp
from aiohttp import web
from cachetools import LRUCache, TTLCache
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from joserfc.jws import extract_compact
from pydantic import SecretStr

from chassis import tracing
from chassis.problems import Problem, unavailable
from chassis.secrets import derive

ALGORITHM = "Ed25519"
ISSUER = "animatize-gateway"
LIFE_SECONDS = 60
REUSE_SECONDS = 30  # a kept token still has half its life when it is used for the last time
LEEWAY_SECONDS = 5
REFETCH_SECONDS = 1.0
JWKS_PATH = "/.well-known/jwks.json"


class Scope(StrEnum):
    """On whose behalf a call is made."""

    OWNER = "owner"
    SYSTEM = "system"
    WORKER = "worker"


@dataclass(frozen=True)
class Caller:
    """Who is asking. `owner` is `user:<id>` or `guest:<id>`, also for a system call that concerns one owner; `guest`
    is whose things that owner takes over, in the one call that does so."""

    owner: str
    scope: Scope
    session: str | None = None
    guest: str | None = None


CALLER = web.RequestKey("caller", Caller)


class Signer:
    """The gateway's side. New tokens use the key of `secret`; the keys of `previous` stay published."""

    def __init__(self, secret: SecretStr, previous: Sequence[SecretStr] = ()) -> None:
        self._keys = [_signing_key(each) for each in (secret, *previous)]
        self._tokens: TTLCache[tuple[Caller, str], str] = TTLCache(10_000, REUSE_SECONDS)

    def token(self, caller: Caller, audience: str) -> str:
        """A token with which `caller` may ask the service `audience`, and no other, for at most LIFE_SECONDS."""
        if (kept := self._tokens.get((caller, audience))) is not None:
            return kept
        token = self._tokens[caller, audience] = self._sign(caller, audience)
        return token

    def jwks(self) -> dict[str, Any]:
        """The public keys (RFC 7517)."""
        return {"keys": [key.as_dict(private=False) for key in self._keys]}

    def _sign(self, caller: Caller, audience: str) -> str:
        now = int(time.time())
        claims: dict[str, Any] = {"iss": ISSUER, "aud": audience, "sub": caller.owner, "scope": caller.scope.value}
        claims |= {"iat": now, "exp": now + LIFE_SECONDS}
        claims |= {name: value for name, value in (("sid", caller.session), ("guest", caller.guest)) if value}
        key = self._keys[0]
        return jwt.encode({"alg": ALGORITHM, "kid": key.kid}, claims, key, algorithms=[ALGORITHM])


class Verifier:
    """A service's side: fetches the gateway's public keys when it meets a key id that it does not know."""

    def __init__(self, audience: str, gateways: Sequence[str], http: aiohttp.ClientSession) -> None:
        self._audience, self._gateways, self._http = audience, gateways, http
        self._keys: dict[str, Any] = {}
        self._asked_at = -REFETCH_SECONDS
        self._answered = False
        self._fetching = asyncio.Lock()
        self._verified: LRUCache[str, tuple[Caller, int]] = LRUCache(10_000)

    async def verify(self, token: str) -> Caller:
        """Raises Problem: 401 for a token that proves nothing here, 503 while no gateway hands out its keys."""
        caller, expires = self._verified.get(token) or await self._check(token)
        if expires + LEEWAY_SECONDS < time.time():
            raise _unproven("has expired")
        return caller

    async def _check(self, token: str) -> tuple[Caller, int]:
        try:
            key_id = _key_id(token)
            if key_id not in self._keys:
                await self._fetch(key_id)
            if key_id not in self._keys:
                raise _unproven("is signed by a key that the gateway does not publish")
            claims = jwt.decode(token, self._keys[key_id], algorithms=[ALGORITHM]).claims
            jwt.JWTClaimsRegistry(
                leeway=LEEWAY_SECONDS,
                iss={"essential": True, "value": ISSUER},
                aud={"essential": True, "value": self._audience},
                sub={"essential": True},
                exp={"essential": True},
                iat={"essential": True},
            ).validate(claims)
            who = Caller(str(claims["sub"]), Scope(claims["scope"]), claims.get("sid"), claims.get("guest"))
            found = who, int(claims["exp"])
        except (JoseError, KeyError, TypeError, ValueError) as error:
            raise _unproven("is not a valid one for this service") from error
        self._verified[token] = found
        return found

    async def _fetch(self, key_id: str) -> None:
        """Ask the gateways, at most once in REFETCH_SECONDS: all who wait share the outcome, also of a failure."""
        async with self._fetching:
            if key_id in self._keys:
                return
            if time.monotonic() - self._asked_at >= REFETCH_SECONDS:
                self._answered = await self._ask_any()
                self._asked_at = time.monotonic()
            if not self._answered:
                raise unavailable("keys_unreachable", "No gateway can be reached to check who is asking.")

    async def _ask_any(self) -> bool:
        for gateway in self._gateways:
            try:
                async with self._http.get(
                    gateway + JWKS_PATH, headers=tracing.outgoing(), timeout=aiohttp.ClientTimeout(3)
                ) as answer:
                    keys = (await answer.json())["keys"]
            except (aiohttp.ClientError, TimeoutError, KeyError, ValueError):
                continue
            self._keys = {key["kid"]: OKPKey.import_key(key) for key in keys}
            return True
        return False


def caller(request: web.Request) -> Caller:
    """Who is asking, as verified; set for every request that reaches a handler of a service."""
    return request[CALLER]


def bearer(request: web.BaseRequest) -> str:
    """The token of the Authorization header. Raises Problem 401 where there is none."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise _unproven("is missing")
    return token


def _unproven(what: str) -> Problem:
    return Problem(401, "unsigned", f"The service token {what}.", headers={"WWW-Authenticate": "Bearer"})


def _key_id(token: str) -> str:
    return str(extract_compact(token.encode()).headers()["kid"])


def _signing_key(secret: SecretStr) -> OKPKey:
    seed = derive(secret, "service-tokens")
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    key = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "d": _base64url(seed), "x": _base64url(public)})
    return OKPKey.import_key(key.as_dict(private=True) | {"kid": key.thumbprint(), "use": "sig", "alg": ALGORITHM})


def _base64url(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()
