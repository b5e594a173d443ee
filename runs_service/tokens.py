"""Tokens that name how far a device has followed an owner's runs. Nobody reads an owner out of one, or makes one.

A token is two numbers and an HMAC (RFC 2104) of them and their owner, under the file's own key.
"""

import hmac
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from typing import Final, NamedTuple

NUMBERS: Final = struct.Struct(">QQ")
SIGNATURE_BYTES: Final = 16
LENGTH: Final = (NUMBERS.size + SIGNATURE_BYTES) * 4 // 3 + 1  # characters, without padding


class BadToken(ValueError):
    """A token that was never made of this file for this owner."""


class Progress(NamedTuple):
    """`place`: everything up to it was told. `known_from`, never lower: no deletion up to it needs to be told.

    Who began then had nothing that could have been deleted before.
    """

    place: int
    known_from: int


class Tokens:
    """Those of one file, which holds the key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def encode(self, owner: str, progress: Progress) -> str:
        numbers = NUMBERS.pack(*progress)
        return urlsafe_b64encode(numbers + self._signature(owner, numbers)).rstrip(b"=").decode()

    def decode(self, owner: str, token: str) -> Progress:
        """Raises BadToken for whatever `encode` did not make for this owner."""
        if len(token) != LENGTH or not token.isascii():
            raise BadToken
        try:
            progress = Progress(*NUMBERS.unpack(urlsafe_b64decode(token + "=")[: NUMBERS.size]))
        except (ValueError, struct.error) as error:  # characters of another alphabet
            raise BadToken from error
        if not hmac.compare_digest(self.encode(owner, progress), token):
            raise BadToken
        return progress

    def _signature(self, owner: str, numbers: bytes) -> bytes:
        return hmac.digest(self._key, numbers + owner.encode(), sha256)[:SIGNATURE_BYTES]
