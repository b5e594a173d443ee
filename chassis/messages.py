"""HTTP messages: bodies and queries as models, answers as JSON or as streams, and the preconditions of RFC 9110."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import suppress
from typing import Any, TypeVar

import structlog
from aiohttp import hdrs, web
from pydantic import BaseModel, ValidationError

from chassis import documents, logs
from chassis.problems import Problem, invalid

log = structlog.get_logger()


Model = TypeVar("Model", bound=BaseModel)


SLICE = 64 << 10  # bytes written at a time
CLIENT_GONE, OURS = 499, 500  # how a broken answer counts; the first is nginx's word for it, in logs and metrics only
BROKEN_OFF = web.ResponseKey("broken_off", int)  # the status as which an answer counts that began well
JSON_TYPES = ("application/json", "application/merge-patch+json")


async def read_json(request: web.Request, model: type[Model]) -> Model:
    """The body as `model`. Raises Problem 415 for another content type, 400 where the JSON or a value is wrong."""
    return validated(model, await read_value(request))


async def read_value(request: web.Request) -> Any:
    """The body as a plain JSON value, strictly parsed."""
    if request.content_type not in JSON_TYPES:
        raise Problem(
            415, "not_json", f"Send the body as JSON, with one of these Content-Types: {', '.join(JSON_TYPES)}."
        )
    return documents.parse(await request.read())


def read_query(request: web.Request, model: type[Model]) -> Model:
    """The query as `model`. Raises Problem 400 for an invalid value or a parameter given twice."""
    given = dict(request.query)
    if len(given) != len(request.query):
        raise Problem(400, "invalid", "A query parameter is given twice; give each once.")
    return validated(model, given, "invalid_query")


def validated(model: type[Model], value: object, code: str = "invalid") -> Model:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise invalid(error, code) from None


def json_response(value: Any, *, status: int = 200, etag: str | None = None) -> web.Response:
    """A JSON answer; `etag` is the strong validator without its quotes (RFC 9110, 8.8.3)."""
    body = documents.write(value.model_dump(mode="json") if isinstance(value, BaseModel) else value)
    headers = {"ETag": f'"{etag}"'} if etag is not None else None
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)


async def streamed(
    request: web.Request,
    response: web.StreamResponse,
    chunks: AsyncIterable[bytes],
    *,
    stall_seconds: float | None = None,
) -> web.StreamResponse:
    """Send `chunks` as the body. A failure half way cuts the connection, so that a part never looks like the whole.

    With `stall_seconds` a reader that takes less than SLICE bytes in that time is a failure.
    """
    await response.prepare(request)
    try:
        async for chunk in chunks:
            for start in range(0, len(chunk), SLICE):
                async with asyncio.timeout(stall_seconds):
                    await response.write(memoryview(chunk)[start : start + SLICE])
        async with asyncio.timeout(stall_seconds):
            await response.write_eof()
    except Exception as error:
        response[BROKEN_OFF] = CLIENT_GONE if isinstance(error, ConnectionError | TimeoutError) else OURS
        if isinstance(error, TimeoutError):
            log.warning("reader_stalled", route=logs.pattern_of(request), seconds=stall_seconds)
        elif not isinstance(error, ConnectionError):  # a reader that went away is nothing to tell of
            log.error("stream_cut", exc_info=error)
        _reset(request)
    return response


def _reset(request: web.Request) -> None:
    """So that it cannot be taken for the end: HTTP/1.0 has no other way to say that there should have been more."""
    if request.transport is not None:
        if (connection := request.transport.get_extra_info("socket")) is not None:
            with suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()


async def chain(first: bytes, rest: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """The pieces of a stream whose first was taken out already, to know that there is one."""
    yield first
    async for piece in rest:
        yield piece


def unchanged(request: web.Request, etag: str) -> bool:
    """Whether If-None-Match says that the caller has this representation already (weak comparison)."""
    named = request.if_none_match or ()
    return _names_any(request, hdrs.IF_NONE_MATCH) or any(each.value == etag for each in named)


def outdated(request: web.Request, etag: str | None) -> bool:
    """Whether If-Match forbids the write: the resource is absent (`etag` None) or another than the caller knows."""
    if hdrs.IF_MATCH not in request.headers:
        return False
    if etag is None or _names_any(request, hdrs.IF_MATCH):
        return etag is None
    return not any(each.value == etag and not each.is_weak for each in request.if_match or ())


def _names_any(request: web.Request, header: str) -> bool:
    """Whether a condition holds for any representation: a bare asterisk, which is no entity tag."""
    return request.headers.get(header, "").strip() == "*"
