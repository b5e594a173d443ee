"""How the gateway proves to a service who is asking, and how the service checks it: signing and verifying side by side.

The token is a JWT (RFC 7519) signed with Ed25519 (RFC 8037; `alg` as RFC 9864 names it). The signing key is derived
from the root secret, so every gateway has the same one; services fetch the public half and hold no secret.
"""

import re
import time
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final, NamedTuple

import aiohttp
from aiohttp import web
from cachetools import LRUCache, TTLCache
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from joserfc.jws import extract_compact
from pydantic import SecretStr

from chassis.problems import Problem
from chassis.public_keys import PATH, PublicKeys
from chassis.secrets import derive

ALGORITHM = "Ed25519"
ISSUER = "animatize-gateway"
LIFE_SECONDS = 60
REUSE_SECONDS = 30  # a kept token still has half its life when it is used for the last time
LEEWAY_SECONDS = 5
MOST_WORKER_SECONDS = 90 * 24 * 3600
JWKS_PATH = PATH
EVERY_OWNER: Final = "*"  # the subject of a worker's token that is for all owners
OWNER_HEADER: Final = "Animatize-Owner"  # for whom such a worker acts with a request
OWNER: Final = re.compile(r"(user|guest):[!-+\--~]{1,200}")  # no comma, which joins two headers of one name


class Scope(StrEnum):
    """On whose behalf a call is made."""

    OWNER = "owner"
    SYSTEM = "system"
    WORKER = "worker"


LONGEST: Final = {Scope.OWNER: LIFE_SECONDS, Scope.SYSTEM: LIFE_SECONDS, Scope.WORKER: MOST_WORKER_SECONDS}


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

    def worker_token(self, owner: str, audience: str, name: str, seconds: int) -> str:
        """A token with which a worker may act for `owner`, or EVERY_OWNER, at the service `audience` and no other.

        `name` is how the audits call it. Raises ValueError for a life of more than MOST_WORKER_SECONDS.
        """
        if not 0 < seconds <= MOST_WORKER_SECONDS:
            raise ValueError(f"a worker's token lives for {MOST_WORKER_SECONDS} seconds at most")
        return self._sign(Caller(owner, Scope.WORKER, name), audience, seconds)

    def jwks(self) -> dict[str, Any]:
        """The public keys (RFC 7517)."""
        return {"keys": [key.as_dict(private=False) for key in self._keys]}

    def _sign(self, caller: Caller, audience: str, seconds: int = LIFE_SECONDS) -> str:
        now = int(time.time())
        claims: dict[str, Any] = {"iss": ISSUER, "aud": audience, "sub": caller.owner, "scope": caller.scope.value}
        claims |= {"iat": now, "exp": now + seconds}
        claims |= {name: value for name, value in (("sid", caller.session), ("guest", caller.guest)) if value}
        key = self._keys[0]
        return jwt.encode({"alg": ALGORITHM, "kid": key.kid}, claims, key, algorithms=[ALGORITHM])


class Checked(NamedTuple):
    """What a good token says: who is asking, until when (seconds of the epoch), by the word of which key."""

    caller: Caller
    expires: int
    key_id: str


class Verifier:
    """A service's side: believes the keys that the gateways publish, and for no longer than they do."""

    def __init__(self, audience: str, gateways: Sequence[str], http: aiohttp.ClientSession) -> None:
        self._audience, self._keys = audience, PublicKeys(gateways, http)
        self._verified: LRUCache[str, Checked] = LRUCache(10_000)

    async def verify(self, token: str) -> Caller:
        """Raises Problem: 401 for a token that proves nothing here, 503 while no gateway hands out its keys."""
        checked = self._verified.get(token)
        if checked is None or not self._keys.is_fresh(checked.key_id):
            checked = await self._check(token)
        if checked.expires + LEEWAY_SECONDS < time.time():
            raise _unproven("has expired")
        return checked.caller

    async def _check(self, token: str) -> Checked:
        try:
            key_id = _key_id(token)
            if (key := await self._keys.find(key_id)) is None:
                raise _unproven("is signed by a key that the gateway does not publish")
            claims = jwt.decode(token, key, algorithms=[ALGORITHM]).claims
            jwt.JWTClaimsRegistry(
                leeway=LEEWAY_SECONDS,
                iss={"essential": True, "value": ISSUER},
                aud={"essential": True, "value": self._audience},
                sub={"essential": True},
                exp={"essential": True},
                iat={"essential": True},
            ).validate(claims)
            who = Caller(str(claims["sub"]), Scope(claims["scope"]), claims.get("sid"), claims.get("guest"))
            _refuse_unbounded(who, int(claims["exp"]) - int(claims["iat"]))
            checked = Checked(who, int(claims["exp"]), key_id)
        except (JoseError, KeyError, TypeError, ValueError) as error:
            raise _unproven("is not a valid one for this service") from error
        self._verified[token] = checked
        return checked


def caller(request: web.Request) -> Caller:
    """Who is asking, as verified; set for every request that reaches a handler of a service."""
    return request[CALLER]


def acting_for(who: Caller, named: str | None) -> Caller:
    """The caller, with the one owner that this request is about. `named` is what OWNER_HEADER says: only a worker whose
    token is for all owners says so there, and always has to.

    Raises Problem 400 where it does not, 401 where a worker's token is for another owner than it names.
    """
    if who.scope is not Scope.WORKER:
        return who
    if who.owner != EVERY_OWNER:
        if named not in (None, who.owner):
            raise Problem(401, "wrong_owner", f"The service token is for another owner than {OWNER_HEADER} names.")
        return who
    if named is None or OWNER.fullmatch(named) is None:
        detail = f"This token is for all owners: say in {OWNER_HEADER} for whom, as user:<id> or guest:<id>."
        raise Problem(400, "no_owner", detail)
    return replace(who, owner=named)


def bearer(request: web.BaseRequest) -> str:
    """The token of the Authorization header. Raises Problem 401 where there is none."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise _unproven("is missing")
    return token


def _unproven(what: str) -> Problem:
    return Problem(401, "unsigned", f"The service token {what}.", headers={"WWW-Authenticate": "Bearer"})


def _refuse_unbounded(who: Caller, seconds: int) -> None:
    """Raises ValueError for a token that no gateway and no operator makes: of too long a life, or for all owners to
    somebody who is no worker."""
    if seconds > LONGEST[who.scope] or (who.owner == EVERY_OWNER and who.scope is not Scope.WORKER):
        raise ValueError("unbounded")


def _key_id(token: str) -> str:
    return str(extract_compact(token.encode()).headers()["kid"])


def _signing_key(secret: SecretStr) -> OKPKey:
    seed = derive(secret, "service-tokens")
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    key = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "d": _base64url(seed), "x": _base64url(public)})
    return OKPKey.import_key(key.as_dict(private=True) | {"kid": key.thumbprint(), "use": "sig", "alg": ALGORITHM})


def _base64url(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()
