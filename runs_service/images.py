"""Source images: taken out of a data URL and put back byte for byte, and named for what their own bytes say."""

import binascii
import hashlib
import re
from base64 import b64decode, b64encode
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

LONGEST_PREFIX = 200
UNKNOWN = "application/octet-stream"
SIGNATURES = (
    ("image/png", re.compile(rb"\x89PNG\r\n\x1a\n")),
    ("image/jpeg", re.compile(rb"\xff\xd8\xff")),
    ("image/gif", re.compile(rb"GIF8[79]a")),
    ("image/webp", re.compile(rb"RIFF.{4}WEBP", re.DOTALL)),
    ("image/avif", re.compile(rb".{4}ftyp(?:avif|avis|mif1.{4}(?:.{4}){0,4}?avif)", re.DOTALL)),
    ("image/bmp", re.compile(rb"BM.{4}\0\0\0\0", re.DOTALL)),
)
WHITESPACE = str.maketrans("", "", " \t\n\f\r")


class Embedded(NamedTuple):
    """A data URL in two pieces: `prefix` up to and with its comma, and the bytes that its base64 text stands for."""

    prefix: str
    content: bytes


def take_out(data_url: object) -> Embedded | None:
    """The image of a base64 data URL, if `put_back` makes the same text of it; None for every other value."""
    if not isinstance(data_url, str):
        return None
    head, _, text = data_url.partition(",")
    if not text or len(head) >= LONGEST_PREFIX or not _says_base64(head):
        return None
    try:
        content = b64decode(text, validate=True)
    except ValueError:
        return None
    return Embedded(head + ",", content) if b64encode(content) == text.encode() else None


def put_back(prefix: str, content: bytes) -> str:
    return prefix + b64encode(content).decode()


def decode(data_url: object) -> bytes | None:
    """What a browser would make of any data URL, percent-encoded or of sloppy base64; None where that is nothing."""
    if not isinstance(data_url, str) or data_url[:5].lower() != "data:":
        return None
    head, _, text = data_url.partition(",")
    content = unquote_to_bytes(text)
    return (_forgiving_base64(content) if _says_base64(head) else content) or None


def digest(content: bytes) -> str:
    """SHA-256 in hexadecimal: the name under which an owner's image is kept, and its ETag."""
    return hashlib.sha256(content).hexdigest()


def media_type(content: bytes) -> str:
    """The raster type that the signature shows. SVG, HTML and whatever else could run has none: UNKNOWN."""
    return next((name for name, signature in SIGNATURES if signature.match(content)), UNKNOWN)


def _says_base64(head: str) -> bool:
    return bool(re.fullmatch(r"data:.*; *base64", head, re.IGNORECASE | re.DOTALL))


def _forgiving_base64(text: bytes) -> bytes | None:
    """Forgiving-base64 decode (WHATWG Infra): spaces are skipped and the padding may be missing."""
    try:
        plain = text.decode("ascii").translate(WHITESPACE).rstrip("=")
        return b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (UnicodeDecodeError, binascii.Error):
        return None
