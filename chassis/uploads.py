"""How the items of a restore travel to a service: one JSON line each, and a last one that counts them."""

from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import Any, NamedTuple

import aiohttp
import orjson

from chassis.problems import Problem

BATCH_BYTES = 1 << 20
BATCH_ITEMS = 200
BLANK = b"\n"  # a line that says nothing, but shows that the sender is there


class Item(NamedTuple):
    """One thing to restore: its number in the upload, where it stood in the document, what it is, its JSON value.

    `digest` is documents.digest of the value, where the gateway has worked it out already.
    """

    position: int
    pointer: str
    kind: str
    value: Any
    digest: str | None = None


def encode_item(pointer: str, kind: str, value: Any, digest: str | None = None) -> bytes:
    """One line of an upload. The gateway's side of `batches`."""
    return orjson.dumps([pointer, kind, value] if digest is None else [pointer, kind, value, digest]) + b"\n"


def encode_end(count: int, parts: Iterable[str] = ()) -> bytes:
    """The last line of an upload: without it, or with another count, a stream was cut and is not taken for whole.

    `parts` are those that the document carries, if only as an empty list.
    """
    return orjson.dumps({"count": count, "parts": sorted(parts)}) + b"\n"


class Upload:
    """An upload as it is read. `parts` is known once `batches` has come to its end."""

    def __init__(self, content: aiohttp.StreamReader) -> None:
        self._content = content
        self.parts: frozenset[str] = frozenset()

    async def batches(self) -> AsyncIterator[list[Item]]:
        """The items, about BATCH_BYTES of them at a time. Raises Problem 400 where the upload is cut or damaged."""
        items: list[Item] = []
        weight = count = 0
        ended: int | None = None
        async for line in whole_lines(self._content.iter_any()):
            if not line:
                continue
            match _line(line):
                case {"count": int(total), "parts": [*parts]}:
                    ended, self.parts = total, frozenset(map(str, parts))
                    break
                case [str(place), str(kind), value]:
                    items.append(Item(count, place, kind, value))
                case [str(place), str(kind), value, str(digest)]:
                    items.append(Item(count, place, kind, value, digest))
                case _:
                    raise Problem(400, "cut_short", f"The upload is cut or damaged in its line {count + 1}.")
            count += 1
            weight += len(line)
            if weight >= BATCH_BYTES or len(items) >= BATCH_ITEMS:
                yield items
                items, weight = [], 0
        if ended != count:
            raise Problem(400, "cut_short", f"The upload ended after {count} items, before it was complete.")
        if items:
            yield items


def _line(line: bytes) -> Any:
    """None for what is no JSON: a line that was cut."""
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return None


async def whole_lines(content: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """Lines of any length, without their ends: one run with its image can take megabytes."""
    parts: list[bytes] = []
    async for chunk in content:
        head, *rest = chunk.split(b"\n")
        parts.append(head)
        for piece in rest:
            yield b"".join(parts)
            parts = [piece]
    if line := b"".join(parts):
        yield line
