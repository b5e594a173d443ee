"""Knows a request again that a client sends a second time because the first answer was lost.

`Idempotency-Key` as in the IETF draft draft-ietf-httpapi-idempotency-key-header, its quotation marks optional. What is
kept of a request is an HMAC under a key of the root secret, so that nobody reads a body out of it.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from typing import Final

from aiohttp import web
from pydantic import SecretStr

from chassis.problems import Problem
from chassis.secrets import derive

HEADER: Final = "Idempotency-Key"
USABLE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~:-]{0,127}")


def requested_name(request: web.Request) -> str | None:
    """The id that the client chose. Raises Problem 400 for one that would not stand in a path."""
    given = request.headers.get(HEADER)
    if given is None:
        return None
    name = given.strip()
    if len(name) > 1 and name[0] == name[-1] == '"':
        name = name[1:-1]
    if USABLE.fullmatch(name) is None:
        detail = f"{HEADER} takes 1 to 128 letters, digits and . _ ~ : -, and begins with a letter or digit."
        raise Problem(400, "bad_idempotency_key", detail)
    return name


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
