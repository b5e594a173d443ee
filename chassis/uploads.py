"""How the items of a restore travel to a service: one JSON line each, and a last one that counts them."""

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import aiohttp
import orjson

from chassis.problems import Problem

BATCH_BYTES = 1 << 20
BATCH_ITEMS = 200
BLANK = b"\n"  # a line that says nothing, but shows that the sender is there


class Item(NamedTuple):
    """One thing to restore: its number in the upload, where it stood in the document, what it is, its JSON value."""

    position: int
    pointer: str
    kind: str
    value: Any


def encode_item(pointer: str, kind: str, value: Any) -> bytes:
    """One line of an upload. The gateway's side of `batches`."""
    return orjson.dumps([pointer, kind, value]) + b"\n"


def encode_end(count: int) -> bytes:
    """The last line of an upload: without it, or with another count, a stream was cut and is not taken for whole."""
    return orjson.dumps({"count": count}) + b"\n"


async def batches(content: aiohttp.StreamReader) -> AsyncIterator[list[Item]]:
    items: list[Item] = []
    weight = count = 0
    ended: int | None = None
    async for line in whole_lines(content):
        if not line:
            continue
        match _line(line):
            case {"count": int(total)}:
                ended = total
                break
            case [str(place), str(kind), value]:
                items.append(Item(count, place, kind, value))
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


async def whole_lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Lines of any length, without their ends: one run with its image can take megabytes."""
    parts: list[bytes] = []
    async for chunk in content.iter_any():
        head, *rest = chunk.split(b"\n")
        parts.append(head)
        for piece in rest:
            yield b"".join(parts)
            parts = [piece]
    if line := b"".join(parts):
        yield line
