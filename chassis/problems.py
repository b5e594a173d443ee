"""Errors as RFC 9457 problem documents: one shape for all answers that are no success, the framework's own included."""

import sqlite3
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, TypedDict

import structlog
from aiohttp import web
from pydantic import ValidationError

from chassis.documents import Malformed, pointer, write
from chassis.logs import current_request_id

log = structlog.get_logger()

RETRY_SECONDS = 2
# How SQLite tells that a file cannot grow where the system says so by other words than "disk full": that a quota or a
# limit on the size of files is used up (EDQUOT, EFBIG); and of the index beside its log, which it grows before a read.
NO_ROOM = (sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE)
PHRASES = {HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Content Too Large"}


class FieldError(TypedDict):
    """One place of a body that is wrong: a JSON Pointer and what to do about it."""

    pointer: str
    message: str


class Problem(Exception):
    """An answer that is not a success. `detail` is a sentence that a person can act on; `code` is stable."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail
        self.errors, self.headers, self.extra = list(errors), dict(headers or {}), extra

    def response(self) -> web.Response:
        body = {
            "type": "about:blank",
            "title": PHRASES.get(HTTPStatus(self.status), HTTPStatus(self.status).phrase),
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "request_id": current_request_id(),
            **({"errors": self.errors} if self.errors else {}),
            **self.extra,
        }
        return web.Response(
            status=self.status, body=write(body), content_type="application/problem+json", headers=self.headers
        )


def unavailable(code: str, detail: str, *, retry_after: int = RETRY_SECONDS, **extra: Any) -> Problem:
    """503 with Retry-After: nothing is wrong with the request; the same one can succeed later."""
    return Problem(503, code, detail, headers={"Retry-After": str(retry_after)}, **extra)


def invalid(error: ValidationError, code: str = "invalid", *, within: Sequence[str | int] = ()) -> Problem:
    """400 that names every wrong place of a body or query."""
    errors = field_errors(error, within=within)
    first = f"{errors[0]['pointer'] or 'The value'}: {errors[0]['message']}"
    return Problem(400, code, f"{first}{'' if len(errors) == 1 else f' (and {len(errors) - 1} more)'}", errors=errors)


def field_errors(error: ValidationError, *, within: Sequence[str | int] = ()) -> list[FieldError]:
    return [
        {"pointer": pointer(*within, *found["loc"]), "message": found["msg"].removeprefix("Value error, ")}
        for found in error.errors(include_url=False, include_context=False, include_input=False)
    ]


def from_exception(error: Exception) -> Problem:
    """The problem that tells of `error`. Only what is nobody's mistake but ours is logged with its traceback."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, web.HTTPException):
        return _from_framework(error)
    if isinstance(error, ValidationError):
        return invalid(error)
    if isinstance(error, Malformed):
        return Problem(400, "malformed", f"The body is {error}.")
    if isinstance(error, sqlite3.OperationalError) and (problem := _from_sqlite(error)):
        log.warning("database_refused", reason=str(error))
        return problem
    log.error("unexpected_error", exc_info=error)
    return Problem(500, "internal", "Something failed on our side. Nothing you sent is to blame; try again.")


def _from_framework(error: web.HTTPException) -> Problem:
    details = {
        404: ("not_found", "There is nothing at this address."),
        405: ("method_not_allowed", f"This address does not take that method; it takes {error.headers.get('Allow')}."),
        413: ("too_large", f"The body is too large. {error.text or ''}".strip()),
    }
    code, detail = details.get(error.status, ("refused", error.text or error.reason))
    kept = {name: value for name, value in error.headers.items() if name in ("Allow", "Location", "Retry-After")}
    return Problem(error.status, code, detail, headers=kept)


def _from_sqlite(error: sqlite3.OperationalError) -> Problem | None:
    code = getattr(error, "sqlite_errorcode", 0)
    primary = code & 0xFF
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return unavailable("busy", "The database is busy. Nothing was changed; try again.")
    if primary == sqlite3.SQLITE_FULL or code in NO_ROOM:
        return Problem(507, "disk_full", "The server's disk is full. Nothing was changed; tell the operator.")
    if primary in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
        return unavailable("storage", "The server cannot write to its storage. Nothing was changed.", retry_after=30)
    return None
