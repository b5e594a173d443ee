"""Knows a request again that is sent a second time because the first answer was lost: by a client, or by the gateway.

`Idempotency-Key` as in the IETF draft draft-ietf-httpapi-idempotency-key-header, its quotation marks optional. What is
kept of a request is an HMAC under a key of the root secret, so that nobody reads a body out of it. A service that keeps
it (see `chassis.once`) is sent a key with the request: one that is good for this address and name alone.
"""

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Sequence
from typing import Final

from aiohttp import web
from pydantic import SecretStr

from chassis.once import NAME_HEADER, OF_GATEWAY, headers_for
from chassis.problems import Problem
from chassis.secrets import derive

FINGERPRINT_KEYS: web.AppKey[list[bytes]] = web.AppKey("fingerprint_keys", list)
USABLE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~:-]{0,127}")


def requested_name(request: web.Request) -> str | None:
    """The id that the client chose. Raises Problem 400 for one that would not stand in a path."""
    given = request.headers.getall(NAME_HEADER, [])
    if not given:
        return None
    name = ",".join(given).strip()  # several are none: it takes no comma
    if len(name) > 1 and name[0] == name[-1] == '"':
        name = name[1:-1]
    if USABLE.fullmatch(name) is None:
        detail = f"{NAME_HEADER} takes 1 to 128 letters, digits and . _ ~ : -, and begins with a letter or digit."
        raise Problem(400, "bad_idempotency_key", detail)
    return name


def once_headers(request: web.Request) -> dict[str, str]:
    """What makes a service do a write once, whoever sends it again: under the client's name for it, or one of ours.

    Raises Problem 400 as `requested_name`.
    """
    # Those of ours are in the order of time, so that in an index each comes beside the one before.
    name = requested_name(request) or f"{OF_GATEWAY}{time.time_ns():x}-{secrets.token_hex(8)}"
    keys = request.app[FINGERPRINT_KEYS]
    return headers_for(name, request.method, request.rel_url.raw_path, keys)


class Fingerprint:
    """Of one request: whatever decides what it does, then its body piece by piece."""

    def __init__(self, keys: list[bytes], *context: str) -> None:
        self._keys = keys
        self._hash = hashlib.sha256()
        for each in (part.encode() for part in context):
            self._hash.update(len(each).to_bytes(4, "big") + each)

    def update(self, chunk: bytes) -> None:
        self._hash.update(chunk)

    def made(self) -> str:
        return self._under(self._keys[0])

    def is_that_of(self, kept: str | None) -> bool:
        """Whether `kept` was made of the same request, under the current root secret or an older one."""
        return any(hmac.compare_digest(self._under(key), kept or "") for key in self._keys)

    def _under(self, key: bytes) -> str:
        return hmac.new(key, self._hash.digest(), hashlib.sha256).hexdigest()


def fingerprint_keys(secret: SecretStr, previous: Sequence[SecretStr]) -> list[bytes]:
    """The current one first."""
    return [derive(each, "gateway/idempotency") for each in (secret, *previous)]
