"""Routes and who may call them, health, conditional requests, streams, and a real start and stop."""

from collections.abc import AsyncIterator
from typing import Any, cast

import aiohttp
import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer, make_mocked_request
from pydantic import BaseModel

from chassis.logs import HEADER
from chassis.messages import json_response, outdated, streamed, unchanged
from chassis.peers import Scope, Signer, caller
from chassis.serving import Route, add_health, logged, problems_answered, service
from tests.support import Asker


async def tell(request: web.Request) -> web.Response:
    who = caller(request)
    return json_response({"owner": who.owner, "scope": who.scope, "session": who.session})


async def answer_nothing(_: web.Request) -> web.Response:
    return json_response({})


async def half(request: web.Request) -> web.StreamResponse:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"one\n"
        raise LookupError("inside")

    return await streamed(request, web.StreamResponse(), chunks())


async def whole(request: web.Request) -> web.StreamResponse:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"line\n"

    return await streamed(request, web.StreamResponse(), chunks())


ROUTES = [
    Route("GET", "/api/things/{id}", tell, Scope.OWNER),
    Route("GET", "/internal/things", tell, Scope.SYSTEM),
    Route("GET", "/internal/keys", tell, Scope.WORKER),
    Route("GET", "/api/half", half, Scope.OWNER),
    Route("GET", "/api/whole", whole, Scope.OWNER),
]


@pytest.fixture
async def asker(aiohttp_client: Any, gateway_url: str, signer: Signer) -> Asker:
    app = service(ROUTES, audience="toys", gateways=[gateway_url], max_body=1000, lifespans=[])
    return Asker(await aiohttp_client(TestServer(app)), signer, "toys")


def test_a_route_that_does_not_say_who_may_call_does_not_start() -> None:
    with pytest.raises(TypeError):
        Route("GET", "/api/open", tell)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="GET /api/open does not say who may call it"):
        service(
            [Route("GET", "/api/open", tell, cast("Scope", None))],
            audience="toys",
            gateways=[],
            max_body=1,
            lifespans=[],
        )


@pytest.mark.parametrize(
    ("path", "audience"),
    [("/api/things/1", Scope.OWNER), ("/internal/things", Scope.SYSTEM), ("/internal/keys", Scope.WORKER)],
)
async def test_a_handler_runs_only_for_the_audience_of_its_route(asker: Asker, path: str, audience: Scope) -> None:
    for scope in Scope:
        answer = await asker.get(path, owner="user:ada", scope=scope, session="s-1")
        found = await answer.json(content_type=None)
        if scope is audience:
            assert found == {"owner": "user:ada", "scope": scope, "session": "s-1"}
        else:
            assert (answer.status, found["code"]) == (401, "wrong_scope")


@pytest.mark.parametrize("path", ["/api/things/1", "/internal/things", "/nowhere", "/", "/health", "/health/live/x"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS", "TRACE"])
async def test_everything_but_health_needs_a_token(asker: Asker, method: str, path: str) -> None:
    answer = await asker.client.request(method, path)
    assert answer.status == 401
    if method != "HEAD":
        assert (await answer.json(content_type="application/problem+json"))["code"] == "unsigned"


async def test_a_token_for_another_service_is_a_401(asker: Asker, signer: Signer) -> None:
    foreign = Asker(asker.client, signer, "other")
    assert (await foreign.get("/api/things/1")).status == 401


async def test_with_a_token_an_unknown_address_is_a_404_and_a_wrong_method_a_405(asker: Asker) -> None:
    assert (await asker.get("/nowhere")).status == 404
    answer = await asker.put("/api/things/1")
    assert (answer.status, answer.headers["Allow"]) == (405, "GET")


async def test_health_is_open_and_ready_waits_for_the_database(asker: Asker) -> None:
    assert (await asker.client.get("/health/live")).status == 200
    answer = await asker.client.get("/health/ready")
    assert (answer.status, (await answer.json(content_type=None))["code"]) == (503, "starting")
    assert "Retry-After" in answer.headers


async def test_a_request_id_is_taken_over_where_it_is_harmless(asker: Asker) -> None:
    for given, kept in (("abcdef-12345", True), ("x" * 65, False), ("a b", False), ("<script>x", False), ("", False)):
        answer = await asker.get("/api/things/1", headers={HEADER: given})
        assert (answer.headers[HEADER] == given) is kept


async def test_a_request_is_one_line_without_query_header_or_body(
    aiohttp_client: Any, gateway_url: str, signer: Signer
) -> None:
    async def ready(_: web.Application) -> None: ...

    app = web.Application(middlewares=[logged(every=True), problems_answered])
    app.router.add_get("/api/things", answer_nothing)
    add_health(app, ready)
    client: TestClient[Any, Any] = await aiohttp_client(TestServer(app))
    with structlog.testing.capture_logs() as events:
        await client.get("/api/things?hush=hush", headers={"X-Hush": "hush"})
        await client.get("/health/live")
    assert [(event["event"], event["route"], event["status"]) for event in events] == [("request", "/api/things", 200)]
    assert "hush" not in repr(events)


async def test_a_service_logs_a_request_only_where_there_is_something_to_tell(asker: Asker) -> None:
    with structlog.testing.capture_logs() as events:
        await asker.get("/api/things/1?hush=hush")
        await asker.get("/nowhere?hush=hush", headers={"X-Hush": "hush"})
    assert [(event["event"], event["route"], event["status"]) for event in events] == [("request", "unmatched", 404)]
    assert "hush" not in repr(events)


async def test_a_stream_that_fails_half_way_never_looks_whole(asker: Asker) -> None:
    assert await (await asker.get("/api/whole")).read() == b"line\n" * 3
    with pytest.raises(aiohttp.ClientError), structlog.testing.capture_logs() as events:
        await (await asker.get("/api/half")).read()
    assert "stream_cut" in [event["event"] for event in events]


@pytest.mark.parametrize(
    ("header", "etag", "expected"),
    [
        (None, "5", False), ('"5"', "5", True), ('W/"5"', "5", True), ("*", "5", True), ('"4"', "5", False),
        ('"4", "5"', "5", True), ("5", "5", False), ("", "5", False), ('"', "5", False),
        ('"*"', "5", False), ('W/"*"', "5", False), (" * ", "5", True),
    ],
)  # fmt: skip
def test_if_none_match_knows_what_the_caller_has(header: str | None, etag: str, expected: bool) -> None:
    request = make_mocked_request("GET", "/", headers={} if header is None else {"If-None-Match": header})
    assert unchanged(request, etag) is expected


@pytest.mark.parametrize(
    ("header", "etag", "expected"),
    [
        (None, "5", False), (None, None, False), ('"5"', "5", False), ('"4"', "5", True), ('"4", "5"', "5", False),
        ("*", "5", False), ("*", None, True), ('"5"', None, True), ('W/"5"', "5", True), ("5", "5", True),
        ("", "5", True), ('"*"', "5", True), ('W/"*"', "5", True), (" * ", "5", False),
    ],
)  # fmt: skip
def test_if_match_forbids_a_write_over_what_the_caller_does_not_know(
    header: str | None, etag: str | None, expected: bool
) -> None:
    request = make_mocked_request("PUT", "/", headers={} if header is None else {"If-Match": header})
    assert outdated(request, etag) is expected


def test_a_json_answer_takes_models_and_strong_etags() -> None:
    class Toy(BaseModel):
        name: str

    answer = json_response(Toy(name="ż"), status=201, etag="7")
    assert (answer.status, answer.body, answer.headers["ETag"]) == (201, '{"name":"ż"}'.encode(), '"7"')
    assert "ETag" not in json_response({})
