"""One shape for every answer that is no success."""

import sqlite3
from typing import Any

import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from chassis.documents import Malformed, parse
from chassis.logs import HEADER
from chassis.messages import read_json, read_query
from chassis.problems import Problem, field_errors, from_exception, invalid, unavailable
from chassis.serving import logged, problems_answered, tell_request_id


class Grain(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)
    grain: float = Field(ge=0, le=1)
    tags: list[str] = []


class Page(BaseModel):
    limit: int = Field(100, ge=1, le=300)


def shape(error: Exception) -> dict[str, Any]:
    response = from_exception(error).response()
    assert response.content_type == "application/problem+json"
    assert isinstance(response.body, bytes)
    found: dict[str, Any] = parse(response.body)
    assert found["status"] == response.status
    return found


def test_the_shape_is_pinned() -> None:
    errors = [{"pointer": "/a", "message": "wrong"}]
    problem = Problem(412, "outdated", "Reload.", errors=errors, headers={"X-A": "b"}, current={"v": 2})  # type: ignore[arg-type]
    assert shape(problem) == {
        "type": "about:blank",
        "title": "Precondition Failed",
        "status": 412,
        "detail": "Reload.",
        "code": "outdated",
        "request_id": "",
        "errors": errors,
        "current": {"v": 2},
    }
    assert problem.response().headers["X-A"] == "b"
    assert "errors" not in shape(Problem(404, "not_found", "Nothing."))


def test_a_413_has_its_title_of_rfc_9110() -> None:
    assert shape(Problem(413, "too_large", "Too large."))["title"] == "Content Too Large"


def test_unavailable_says_when_to_come_back() -> None:
    problem = unavailable("busy", "Busy.", retry_after=7)
    assert (problem.status, problem.headers["Retry-After"]) == (503, "7")


@pytest.mark.parametrize(
    ("code", "status", "name"),
    [
        (sqlite3.SQLITE_BUSY, 503, "busy"),
        (sqlite3.SQLITE_LOCKED, 503, "busy"),
        (sqlite3.SQLITE_BUSY | 2 << 8, 503, "busy"),
        (sqlite3.SQLITE_FULL, 507, "disk_full"),
        (sqlite3.SQLITE_IOERR_WRITE, 507, "disk_full"),
        (sqlite3.SQLITE_IOERR_SHMSIZE, 507, "disk_full"),
        (sqlite3.SQLITE_IOERR_READ, 503, "storage"),
        (sqlite3.SQLITE_READONLY, 503, "storage"),
        (sqlite3.SQLITE_CANTOPEN, 503, "storage"),
        (sqlite3.SQLITE_ERROR, 500, "internal"),
    ],
)
def test_what_the_database_says_becomes_an_answer(code: int, status: int, name: str) -> None:
    error = sqlite3.OperationalError("as SQLite says it")
    error.sqlite_errorcode = code
    found = shape(error)
    assert (found["status"], found["code"]) == (status, name)
    assert ("Retry-After" in from_exception(error).headers) == (status == 503)
    assert "as SQLite says it" not in found["detail"]


def test_an_unexpected_error_is_logged_and_tells_nothing() -> None:
    with structlog.testing.capture_logs() as events:
        found = shape(RuntimeError("the inside story"))
    assert (found["status"], found["code"]) == (500, "internal")
    assert "inside story" not in str(found)
    assert [event["event"] for event in events] == ["unexpected_error"]


def test_what_is_the_callers_mistake_is_not_logged_as_ours() -> None:
    with structlog.testing.capture_logs() as events:
        shape(Malformed("not JSON"))
        shape(Problem(404, "not_found", "Nothing."))
        shape(web.HTTPNotFound())
    assert events == []


def test_every_wrong_place_is_named_with_a_pointer() -> None:
    with pytest.raises(ValidationError) as wrong:
        Grain.model_validate({"grain": 2, "tags": ["a", 1], "a/b": 0})
    problem = invalid(wrong.value, within=["settings"])
    assert [error["pointer"] for error in problem.errors] == ["/settings/grain", "/settings/tags/1", "/settings/a~1b"]
    assert problem.detail.endswith("(and 2 more)")
    assert field_errors(wrong.value)[0]["pointer"] == "/grain"


@pytest.fixture
async def client(aiohttp_client: Any) -> TestClient[Any, Any]:
    async def grain(request: web.Request) -> web.Response:
        return web.json_response((await read_json(request, Grain)).model_dump())

    async def page(request: web.Request) -> web.Response:
        return web.json_response(read_query(request, Page).model_dump())

    async def break_down(_: web.Request) -> web.Response:
        raise LookupError("inside")

    app = web.Application(middlewares=[logged(every=True), problems_answered], client_max_size=1000)
    app.on_response_prepare.append(tell_request_id)
    app.router.add_put("/grain", grain)
    app.router.add_get("/page", page)
    app.router.add_get("/broken", break_down)
    found: TestClient[Any, Any] = await aiohttp_client(TestServer(app))
    return found


@pytest.mark.parametrize(
    ("method", "path", "sent", "status", "code"),
    [
        ("GET", "/nowhere", {}, 404, "not_found"),
        ("GET", "/nowhere%ff", {}, 404, "not_found"),
        ("GET", "/%00", {}, 404, "not_found"),
        ("DELETE", "/grain", {}, 405, "method_not_allowed"),
        ("PUT", "/grain", {"json": {"grain": 0.5, "x": "y" * 2000}}, 413, "too_large"),
        ("PUT", "/grain", {"data": b"grain=1"}, 415, "not_json"),
        ("PUT", "/grain", {"json": {"grain": 2}}, 400, "invalid"),
        ("PUT", "/grain", {"json": {"grain": "0.5"}}, 400, "invalid"),
        ("PUT", "/grain", {"json": [1]}, 400, "invalid"),
        ("PUT", "/grain", {"data": b"{", "headers": {"Content-Type": "application/json"}}, 400, "malformed"),
        (
            "PUT",
            "/grain",
            {"data": b'{"\\ud800":1}', "headers": {"Content-Type": "application/json"}},
            400,
            "malformed",
        ),
        ("GET", "/page?limit=0", {}, 400, "invalid_query"),
        ("GET", "/page?limit=%ff", {}, 400, "invalid_query"),
        ("GET", "/page?limit=1&limit=2", {}, 400, "invalid"),
        ("GET", "/broken", {}, 500, "internal"),
    ],
)
async def test_every_failure_has_the_same_shape(
    client: TestClient[Any, Any], method: str, path: str, sent: dict[str, Any], status: int, code: str
) -> None:
    answer = await client.request(method, path, **sent)
    found = await answer.json(content_type="application/problem+json")
    assert (answer.status, found["status"], found["code"]) == (status, status, code), found
    assert {"type", "title", "status", "detail", "code", "request_id"} <= found.keys()
    assert found["detail"].endswith((".", "\u201d")) or code in ("invalid", "invalid_query")
    assert found["request_id"] == answer.headers[HEADER]
    if status == 405:
        assert answer.headers["Allow"] == "PUT"
