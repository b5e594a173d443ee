"""How a secret may look where it has leaked: as it is, or as programs write it down, and be it only its beginning."""

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

RECOGNISED = 12  # characters of a beginning that is no coincidence
TOKEN = re.compile(r"eyJ[A-Za-z0-9_-]{8,}")  # how a JWT begins: {" in base64


def disguises(secret: str | bytes) -> set[str]:
    """The beginnings of all forms of `secret`; whoever finds none of them in a text finds nothing of it there."""
    raw = secret.encode() if isinstance(secret, str) else secret
    forms = {raw.hex(), raw.hex().upper(), *_base64(raw), *(_texts(secret) if isinstance(secret, str) else ())}
    return {form[:RECOGNISED] for form in forms}


def found(secret: str | bytes, text: str) -> list[str]:
    """The forms of `secret` that stand in `text`."""
    return sorted(form for form in disguises(secret) if form in text)


def _texts(secret: str) -> Iterator[str]:
    yield secret
    for quoted in (quote(secret, safe=""), quote(secret), quote_plus(secret)):
        yield quoted
        yield re.sub(r"%..", lambda escape: escape[0].lower(), quoted)
    for ascii_only in (True, False):
        yield json.dumps(secret, ensure_ascii=ascii_only)[1:-1]
        yield json.dumps(json.dumps(secret, ensure_ascii=ascii_only)[1:-1])[1:-1]
    yield ascii(secret)[1:-1]
    yield str(secret.encode())[2:-1]


def _base64(raw: bytes) -> Iterator[str]:
    """In both alphabets, and also where other bytes stand before it in what was encoded."""
    for before, first in ((0, 0), (1, 2), (2, 3)):
        whole = raw[: len(raw) - (before + len(raw)) % 3]  # so that the last character hangs on nothing that follows
        encoded = b64encode(bytes(before) + whole).decode()[first:]
        yield encoded
        yield encoded.replace("+", "-").replace("/", "_")
