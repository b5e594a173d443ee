"""Structured logs: one event a line with the request id, JSON in production.

Never a body, a header, a query or a path.
"""

import logging
import os
import re
import sys
from contextlib import suppress
from typing import Any, TextIO, cast

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from chassis.documents import write

HEADER = "X-Request-ID"
ACCEPTED = re.compile(r"[A-Za-z0-9._-]{8,64}")
QUIET = frozenset({"/health", "/health/live", "/health/ready"})
UNMATCHED = "unmatched"


class Lossy:
    """A stream that may lose a line, to a full disk or a reader that is gone, but never the answer it tells of."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with suppress(OSError):
            self._stream.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


def configure(process: str, environment: str) -> None:
    """Send our own events and those of the libraries to standard output, in one shape."""
    production = environment == "production"
    output = cast("TextIO", Lossy(sys.stdout))
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        lambda _logger, _name, event: {"process": process, "pid": os.getpid(), **event},
    ]
    # Tracebacks are plain text without the values of local variables, which may hold a key.
    renderers: list[Any] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(serializer=_as_text)]
        if production
        else [structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)]
    )
    structlog.configure(
        processors=[*shared, *renderers],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(output),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("aiohttp.server").addFilter(_is_our_error)


def enter_request(request: web.BaseRequest) -> str:
    """Take over the caller's request id, or make one, and bind it to every line logged for this request."""
    given = request.headers.get(HEADER, "")
    request_id = given if ACCEPTED.fullmatch(given) else fresh_request_id()
    bind_request_id(request_id)
    return request_id


def fresh_request_id() -> str:
    return os.urandom(16).hex()


def bind_request_id(request_id: str) -> None:
    """From here on lines carry this id, and nothing that was bound before."""
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=request_id)


def current_request_id() -> str:
    return str(structlog.contextvars.get_contextvars().get("request_id", ""))


def pattern_of(request: web.Request) -> str:
    """The address as its route writes it: the path itself may hold a key that somebody put in a wrong place."""
    resource = request.match_info.route.resource
    return UNMATCHED if resource is None else resource.canonical


def _is_our_error(record: logging.LogRecord) -> bool:
    """The error for a malformed HTTP message repeats its bytes, a token or cookie perhaps; the caller got its 400.

    That a caller has left is no error, and stands in the line of its request.
    """
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError | ConnectionResetError))


def _as_text(event: Any, default: Any, **_: Any) -> str:
    try:
        return write(event).decode()
    except (TypeError, ValueError):  # a value without JSON form must not cost its line, or the answer being logged
        return write({key: _printable(value, default) for key, value in event.items()}).decode()


def _printable(value: Any, default: Any) -> str:
    return str(value if isinstance(value, str) else default(value)).encode(errors="backslashreplace").decode()
