"""Google's public keys, as its JWKS address tells them (RFC 7517): fetched when needed, kept as long as it says.

Whatever is asked of this service, the issuer is asked little: once for all who wait, once a minute for key ids that
nobody has heard of, and after a failure not again for some seconds. A key that is past its time is not used, also while
the issuer cannot be reached: it may have been revoked.
"""

import asyncio
import math
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

import aiohttp
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from chassis import documents
from chassis.problems import Problem, unavailable

log = structlog.get_logger()

ALGORITHM: Final = "RS256"
TIMEOUT_SECONDS: Final = 4.0  # a gateway waits 10 for the answer that hangs on it
LARGEST_ANSWER: Final = 64 << 10  # Google's has 2 kB
UNKNOWN_AGAIN_SECONDS: Final = 60.0
FAILED_AGAIN_SECONDS: Final = 5.0
DEFAULT_LIFE, SHORTEST_LIFE, LONGEST_LIFE = 3600.0, 60.0, 86400.0  # seconds
MAX_AGE: Final = re.compile(r"(?:^|[\s,])max-age\s*=\s*\"?([0-9]{1,9})", re.IGNORECASE)
MODULUS_CHARACTERS: Final = range(342, 1366)  # in base64url, of 2048 to 8192 bits: no key that is too weak or too slow

Keys = dict[str, RSAKey]


class GoogleKeys:
    """The keys by their id. `clock` is a monotonic one, in seconds."""

    def __init__(self, url: str, http: aiohttp.ClientSession, clock: Callable[[], float]) -> None:
        self._url, self._http, self._clock = url, http, clock
        self._keys: Keys = {}
        self._fresh_until = self._again_at = self._unknown_again_at = -math.inf
        self._failed = False
        self._fetching = asyncio.Lock()

    async def find(self, key_id: str) -> RSAKey | None:
        """The key, or None where the issuer has none of that id. Raises Problem 503 where it cannot be asked."""
        if (key := self._known(key_id)) is not None:
            return key
        async with self._fetching:
            if self._known(key_id) is None and self._clock() >= self._next_at():
                await self._fetch()
                if key_id not in self._keys:
                    self._unknown_again_at = self._clock() + UNKNOWN_AGAIN_SECONDS
        if self._failed:
            raise out_of_reach(self._next_at() - self._clock())
        return self._known(key_id)

    def _known(self, key_id: str) -> RSAKey | None:
        return self._keys.get(key_id) if self._is_fresh() else None

    def _is_fresh(self) -> bool:
        return self._clock() < self._fresh_until

    def _next_at(self) -> float:
        """When the issuer may be asked again: keys that nobody can use are worth more than one nobody has heard of."""
        return max(self._again_at, self._unknown_again_at) if self._is_fresh() else self._again_at

    async def _fetch(self) -> None:
        asked_at = self._clock()
        try:
            self._keys, life = await self._ask()
            self._fresh_until, self._failed = asked_at + life, False
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            self._failed, self._again_at = True, self._clock() + FAILED_AGAIN_SECONDS
            log.warning("google_keys_out_of_reach", reason=type(error).__name__)

    async def _ask(self) -> tuple[Keys, float]:
        """The keys and the seconds that they are good for. Raises ValueError for an answer that is none."""
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        headers = {"Accept-Encoding": "identity"}
        async with self._http.get(self._url, allow_redirects=False, timeout=timeout, headers=headers) as answer:
            if answer.status != 200:
                raise ValueError(answer.status)
            return parse(await _body(answer)), life_of(answer.headers)


def parse(body: bytes) -> Keys:
    """The usable keys of a JWKS; what else stands there is left out. Raises ValueError where none is."""
    document = documents.parse(body)
    listed = document.get("keys") if isinstance(document, dict) else None
    keys: Keys = {}
    for each in listed if isinstance(listed, list) else []:
        if _is_usable(each):
            with suppress(JoseError, ValueError, TypeError):
                keys[each["kid"]] = RSAKey.import_key({"kty": "RSA", "n": each["n"], "e": each["e"]})
    if not keys:
        raise ValueError("no usable key")
    return keys


def life_of(headers: Mapping[str, str]) -> float:
    """For how many seconds an answer may be kept (RFC 9111, 4.2), within sane bounds whatever it says."""
    directives = headers.get("Cache-Control", "")
    if "no-cache" in directives or "no-store" in directives:
        return SHORTEST_LIFE
    if (found := MAX_AGE.search(directives)) is None:
        return DEFAULT_LIFE
    age = re.fullmatch(r"[0-9]{1,9}", headers.get("Age", "0").strip())
    return min(max(float(found[1]) - float(age[0] if age else 0), SHORTEST_LIFE), LONGEST_LIFE)


def out_of_reach(seconds: float) -> Problem:
    detail = "Google cannot be reached to check who you are. Try again in a moment, or go on as a guest."
    return unavailable("google_unavailable", detail, retry_after=max(1, math.ceil(seconds)))


def _is_usable(key: Any) -> bool:
    return (
        isinstance(key, dict)
        and all(isinstance(key.get(name), str) for name in ("kid", "n", "e"))
        and (key.get("kty"), key.get("use", "sig"), key.get("alg", ALGORITHM)) == ("RSA", "sig", ALGORITHM)
        and len(key["n"]) in MODULUS_CHARACTERS
    )


async def _body(answer: aiohttp.ClientResponse) -> bytes:
    body = b""
    async for piece in answer.content.iter_any():
        body += piece
        if len(body) > LARGEST_ANSWER:
            raise ValueError("too large")
    return body
