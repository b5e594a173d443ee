"""The one shape of every answer that is no success (RFC 9457), as the console and operators rely on it."""

import re
from http import HTTPStatus
from typing import Any

from aiohttp import ClientResponse

PROMISED = {"type", "title", "status", "detail", "code", "request_id"}
TITLES = {413: "Content Too Large"}


async def problem(answer: ClientResponse, status: int, code: str | None = None) -> dict[str, Any]:
    """The answer's problem document, having checked that it is one and means `status`."""
    assert answer.status == status, f"{answer.method} {answer.url.path}: {answer.status} {await answer.text()}"
    assert answer.content_type == "application/problem+json"
    found: dict[str, Any] = await answer.json(content_type=None)
    assert set(found) >= PROMISED
    assert found["type"] == "about:blank"
    assert found["title"] == TITLES.get(status, HTTPStatus(status).phrase)
    assert found["status"] == status
    assert found["detail"]
    assert re.fullmatch(r"[a-z][a-z0-9_]+", found["code"])
    assert found["request_id"] == answer.headers["X-Request-ID"]
    for error in found.get("errors", []):
        assert set(error) == {"pointer", "message"}
        assert error["pointer"] == "" or error["pointer"].startswith("/")
    if code is not None:
        assert found["code"] == code
    return found
