"""Content codings of bodies (RFC 9110, 8.4): gzip (RFC 1952) and zstd (RFC 8878), in pieces of bounded size both ways.

A bomb costs its sender's time and no memory: what comes out is counted piece by piece by whoever reads it.
"""

import asyncio
import re
import sys
import time
import zlib
from collections.abc import AsyncIterable, AsyncIterator, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final

import aiohttp
from aiohttp import web

from chassis.problems import Problem
from gateway.identity import IDENTITY

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PIECE: Final = 256 << 10  # bytes that one step of a decoder gives at most
WINDOW_LOG: Final = 23  # 8 MiB, the most that RFC 8878, 3.1.1.1.2 asks of a decoder: all the memory that a frame gets

STALL_SECONDS: Final = 30.0
LOOK_SECONDS: Final = 1.0  # between two looks whether whoever sends a long body may still do so

GZIP_LEVEL, ZSTD_LEVEL = 5, 3
GZIP_FORMAT: Final = 16 + zlib.MAX_WBITS
CODINGS: Final = ("zstd", "gzip")  # the better one first
WEIGHT: Final = re.compile(r"\s*([\w*-]+)\s*(?:;\s*q=([0-9.]+)\s*)?")


def coding_of(request: web.Request) -> str | None:
    """How the body is coded; None: it is not. Raises Problem 415 (RFC 9110, 15.5.16) for what is not known here."""
    named = request.headers.get("Content-Encoding", "identity").strip().lower().removeprefix("x-")
    if named in ("", "identity"):
        return None
    if named not in CODINGS:
        detail = f"The body is coded as {named[:40]!r}; send it as it is, or in one of: {', '.join(CODINGS)}."
        raise Problem(415, "unknown_coding", detail, headers={"Accept-Encoding": ", ".join(CODINGS)})
    return named


def acceptable_coding(request: web.Request, codings: Sequence[str] = CODINGS) -> str | None:
    """The best of these codings that the client takes for an answer; None: leave it as it is."""
    weights: dict[str, float] = {}
    for each in request.headers.get("Accept-Encoding", "").lower().split(","):
        if found := WEIGHT.fullmatch(each):
            with suppress(ValueError):
                weights[found[1]] = float(found[2] or 1)
    liked = {coding: weights.get(coding, weights.get("*", 0.0)) for coding in codings}
    best = max(codings, key=lambda coding: liked[coding])
    return best if liked[best] > 0 and liked[best] >= weights.get("identity", 0.0) else None


def body_of(request: web.Request, limit: int) -> AsyncIterator[bytes]:
    """The body without its coding, as it comes.

    Raises Problem 400 where the coding is damaged or nothing comes for STALL_SECONDS, 413 where there are more than
    `limit` bytes with or without it, 415 for an unknown one; else as `arriving`.
    """
    coding, content = coding_of(request), bounded(arriving(request), limit)
    return in_good_time(content if coding is None else bounded(decoded(content, coding), limit))


async def arriving(request: web.Request) -> AsyncIterator[bytes]:
    """Raises Problem: 400 where the sender leaves before the end, so that nobody takes that for the fault of a service;
    401 where its session has ended meanwhile."""
    identity, looked_at = request.app[IDENTITY], time.monotonic()
    try:
        async for chunk in request.content.iter_any():
            if time.monotonic() - looked_at > LOOK_SECONDS:
                await identity.refuse_ended(request)
                looked_at = time.monotonic()
            yield chunk
    except (ConnectionResetError, aiohttp.ClientConnectionError) as error:
        raise Problem(400, "cut_off", "The body broke off. Nothing was changed; send it again.") from error
    await identity.refuse_ended(request)


async def in_good_time(content: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """Raises Problem 400 where nothing arrives for STALL_SECONDS: what the owner does next must not wait for this."""
    chunks = aiter(content)
    while True:
        try:
            async with asyncio.timeout(STALL_SECONDS):
                chunk = await anext(chunks)
        except StopAsyncIteration:
            return
        except TimeoutError:
            detail = f"Nothing more of the body arrived for {STALL_SECONDS:.0f} s. Nothing was changed; send it again."
            raise Problem(400, "stalled", detail) from None
        yield chunk


async def bounded(content: AsyncIterable[bytes], limit: int) -> AsyncIterator[bytes]:
    seen = 0
    async for chunk in content:
        seen += len(chunk)
        if seen > limit:
            raise too_large(limit)
        yield chunk


def too_large(limit: int) -> Problem:
    return Problem(413, "too_large", f"The body is too large; the limit is {limit:,} bytes.")


async def decoded(content: AsyncIterable[bytes], coding: str) -> AsyncIterator[bytes]:
    decoder = Decoder(coding)
    try:
        async for chunk in content:
            for piece in decoder.feed(chunk):
                yield piece
    except (zlib.error, zstd.ZstdError) as error:
        raise _damaged(coding, str(error)) from error
    if not decoder.complete:
        raise _damaged(coding, "it ends early")


async def encoded(pieces: AsyncIterable[bytes], coding: str) -> AsyncIterator[bytes]:
    """The pieces under a coding, made on another thread: a large backup must not keep other requests waiting."""
    encoder: Any = (
        zstd.ZstdCompressor(level=ZSTD_LEVEL) if coding == "zstd" else zlib.compressobj(GZIP_LEVEL, wbits=GZIP_FORMAT)
    )
    async for piece in pieces:
        if coded := await asyncio.to_thread(encoder.compress, piece):
            yield coded
    yield encoder.flush()


class Decoder:
    """Undoes one coding; both allow several members or frames, one after the other."""

    def __init__(self, coding: str) -> None:
        self._start = _gunzip if coding == "gzip" else _unzstd
        self._member: Any = None

    @property
    def complete(self) -> bool:
        """Whether what was fed ends where a member ends."""
        return self._member is not None and bool(self._member.eof)

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Raises zlib.error, ZstdError."""
        while chunk:
            if self._member is None or self._member.eof:
                self._member = self._start()
            while True:
                piece = self._member.decompress(chunk, PIECE)
                chunk = getattr(self._member, "unconsumed_tail", b"")
                if piece:
                    yield piece
                if self._member.eof or (len(piece) < PIECE and not chunk):
                    break
            chunk = self._member.unused_data


def _gunzip() -> Any:
    return zlib.decompressobj(GZIP_FORMAT)


def _unzstd() -> Any:
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: WINDOW_LOG})


def _damaged(coding: str, reason: str) -> Problem:
    return Problem(
        400, "damaged_coding", f"The body is not whole {coding} ({reason}). Nothing was changed; send it again."
    )
