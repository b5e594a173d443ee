"""Pictures out of nothing but numbers, the same each time."""

import zlib
from base64 import b64encode
from typing import Final

Colour = tuple[int, int, int]

SMALL: Final = (32, 18)
DARKENING: Final = (b"\x02" + b"\xfe\xfc\xfb" * SMALL[0]) * (SMALL[1] - 1)  # each row a little less than the one above


def png(width: int, height: int, pixels: bytes) -> bytes:
    """Eight bits each of red, green and blue, row by row; each is written as its difference from that to its left."""
    stride, rows = width * 3, bytearray()
    for start in range(0, height * stride, stride):
        row = pixels[start : start + stride]
        rows += b"\x01" + bytes((here - left) & 255 for here, left in zip(row, b"\0\0\0" + row, strict=False))
    return _file(width, height, rows)


def data_url(picture: bytes) -> str:
    return f"data:image/png;base64,{b64encode(picture).decode()}"


def swatch(number: int) -> bytes:
    """A small picture that darkens downwards, quickly made; no two of the first sixteen million are alike."""
    return _file(*SMALL, b"\x00" + number.to_bytes(3, "big") * SMALL[0] + DARKENING)


def mixed(one: Colour, other: Colour, part: float) -> Colour:
    """So many parts of the other; none below 0, and all from 1 on."""
    part = min(1.0, max(0.0, part))
    red, green, blue = (int(a + (b - a) * part) for a, b in zip(one, other, strict=True))
    return red, green, blue


def _file(width: int, height: int, filtered_rows: bytes | bytearray) -> bytes:
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x02\x00\x00\x00"
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(filtered_rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
