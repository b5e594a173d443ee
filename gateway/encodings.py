"""Text from bytes that arrive in pieces: UTF-8 or UTF-16, with or without a byte order mark."""

import codecs

MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


class TextDecoder:
    """Decides on the encoding by the first bytes (RFC 4627, 3), then decodes strictly."""

    def __init__(self) -> None:
        self._first = b""
        self._decoder: codecs.IncrementalDecoder | None = None

    def decode(self, chunk: bytes, *, final: bool = False) -> str:
        """Raises UnicodeDecodeError."""
        if self._decoder is None:
            self._first += chunk
            if len(self._first) < 4 and not final:
                return ""
            self._decoder = codecs.getincrementaldecoder(encoding_of(self._first))("strict")
            chunk, self._first = self._first, b""
        return self._decoder.decode(chunk, final)


def encoding_of(first: bytes) -> str:
    """The encoding of a JSON text: by its mark or, since it starts with two ASCII characters, by its zero bytes."""
    for mark, name in MARKS:
        if first.startswith(mark):
            return name
    if first[1:2] == b"\0":
        return "utf-16-le"
    return "utf-16-be" if first[:1] == b"\0" else "utf-8"
