"""What a process tells Prometheus: counted by route, never by what was asked for; on an address of its own."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientError, ClientSession, web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import REGISTRY

from chassis import metrics
from chassis.database import opened
from chassis.messages import streamed
from chassis.problems import Problem
from chassis.serving import logged, problems_answered

ROUTE = "/things/{id}"


async def answer(_: web.Request) -> web.Response:
    return web.Response()


async def refuse(_: web.Request) -> web.Response:
    raise Problem(409, "taken", "It is taken.")


async def find_nobody(_: web.Request) -> web.Response:
    raise ConnectionResetError("Connection lost")


async def stream(request: web.Request) -> web.StreamResponse:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"one"
        await asyncio.sleep(0.06)
        yield b"two"

    return await streamed(request, web.StreamResponse(), chunks())


async def break_off(request: web.Request) -> web.StreamResponse:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"one"
        raise LookupError("inside")

    return await streamed(request, web.StreamResponse(), chunks())


async def flood(request: web.Request) -> web.StreamResponse:
    async def chunks() -> AsyncIterator[bytes]:
        while True:
            yield bytes(1 << 16)

    return await streamed(request, web.StreamResponse(), chunks())


@pytest.fixture
async def client(aiohttp_client: Any) -> TestClient[Any, Any]:
    app = web.Application(middlewares=[logged(every=False), problems_answered])
    app.router.add_get(ROUTE, answer)
    app.router.add_put(ROUTE, refuse)
    app.router.add_get("/stream", stream)
    app.router.add_get("/left", find_nobody)
    app.router.add_get("/broken", break_off)
    client: TestClient[Any, Any] = await aiohttp_client(TestServer(app))
    return client


def number(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def commits() -> tuple[float, ...]:
    names = ("works_sum", "works_count", "seconds_count", "failures_total")
    return tuple(number(f"animatize_group_commit_{name}") for name in names)


def requests(method: str, route: str, status: int) -> float:
    return number("animatize_http_requests_total", method=method, route=route, status=str(status))


@pytest.mark.parametrize(
    ("method", "path", "counted"),
    [
        ("GET", "/things/1", ("GET", ROUTE, 200)),
        ("PUT", "/things/1", ("PUT", ROUTE, 409)),
        ("GET", "/nowhere/at-all", ("GET", "unmatched", 404)),
        ("DELETE", "/things/1", ("DELETE", "unmatched", 405)),
        ("PROPFIND", "/things/1", ("other", "unmatched", 405)),
    ],
)
async def test_a_request_counts_by_method_route_and_status(
    client: TestClient[Any, Any], method: str, path: str, counted: tuple[str, str, int]
) -> None:
    before = requests(*counted)
    await client.request(method, path)
    assert requests(*counted) == before + 1
    assert "at-all" not in str(list(REGISTRY.collect()))


async def test_a_caller_that_leaves_counts_as_such_and_not_as_an_error_of_ours(client: TestClient[Any, Any]) -> None:
    before = requests("GET", "/left", 499)
    await client.get("/left")
    assert requests("GET", "/left", 499) == before + 1
    assert number("animatize_http_requests_under_way") == 0


async def test_a_stream_that_broke_off_counts_as_an_error_though_it_began_well(client: TestClient[Any, Any]) -> None:
    before = requests("GET", "/broken", 500), requests("GET", "/broken", 200)
    with pytest.raises(ClientError):
        await (await client.get("/broken")).read()
    assert (requests("GET", "/broken", 500), requests("GET", "/broken", 200)) == (before[0] + 1, before[1])


async def test_a_reader_that_leaves_a_stream_counts_as_such() -> None:
    before = requests("GET", "/flood", 499)
    app = web.Application(middlewares=[logged(every=False)])
    app.router.add_get("/flood", flood)
    runner = web.AppRunner(app, handler_cancellation=False)  # as our processes run, and the client of other tests not
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with ClientSession() as http:
        (await http.get("http://{}:{}/flood".format(*runner.addresses[0]))).close()
    async with asyncio.timeout(5):
        while requests("GET", "/flood", 499) == before:  # noqa: ASYNC110 - a counter tells nobody
            await asyncio.sleep(0.01)
    await runner.cleanup()


async def test_a_reader_of_http_1_0_does_not_take_a_stream_that_broke_off_for_whole(
    client: TestClient[Any, Any],
) -> None:
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(b"GET /broken HTTP/1.0\r\n\r\n")
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()


async def test_a_streamed_answer_counts_with_its_whole_duration(client: TestClient[Any, Any]) -> None:
    labels = {"method": "GET", "route": "/stream", "status": "200"}
    before = number("animatize_http_request_seconds_sum", **labels)
    response = await client.get("/stream")
    await response.content.readexactly(3)
    assert number("animatize_http_requests_under_way") == 1
    await response.read()
    assert number("animatize_http_request_seconds_sum", **labels) - before > 0.05
    assert number("animatize_http_requests_under_way") == 0


async def test_a_group_commit_is_counted_with_its_size_and_a_failed_one_as_such(tmp_path: Path) -> None:
    async with opened(tmp_path / "toys.db", "gateway") as database:
        before = commits()
        await asyncio.gather(*(database.write(lambda tx: tx.execute("SELECT 1").fetchone()) for _ in range(20)))
        works, groups, timed, failures = (now - then for now, then in zip(commits(), before, strict=True))
        assert (works, failures) == (20, 0)
        assert groups == timed < 20
        with pytest.raises(sqlite3.Error):
            await database.write(lambda tx: tx.execute("ROLLBACK"))
        assert commits()[-1] == before[-1] + 1


def test_the_sizes_of_groups_are_told_in_powers_of_two() -> None:
    (histogram,) = metrics.GROUP_WORKS.collect()
    bounds = [sample.labels["le"] for sample in histogram.samples if "le" in sample.labels]
    assert bounds == ["1.0", "2.0", "4.0", "8.0", "16.0", "32.0", "64.0", "128.0", "256.0", "+Inf"]


async def exposed(aiohttp_client: Any, *refreshes: metrics.Refresh) -> TestClient[Any, Any]:
    app = web.Application()
    app[metrics.ON_SCRAPE] = list(refreshes)
    client: TestClient[Any, Any] = await aiohttp_client(TestServer(metrics.exposition(app)))
    return client


async def test_the_page_tells_our_numbers_and_those_of_the_process(aiohttp_client: Any) -> None:
    client = await exposed(aiohttp_client)
    response = await client.get("/metrics")
    text = await response.text()
    assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    for name in ("animatize_http_requests_total", "process_resident_memory_bytes", "python_gc_collections_total"):
        assert f"# TYPE {name} " in text
    assert "_created" not in text
    assert (await client.head("/metrics")).status == 200


@pytest.mark.parametrize(
    ("method", "path", "status"), [("POST", "/metrics", 405), ("GET", "/", 404), ("GET", "/health/live", 404)]
)
async def test_it_is_all_there_is_at_that_address(aiohttp_client: Any, method: str, path: str, status: int) -> None:
    response = await (await exposed(aiohttp_client)).request(method, path)
    assert (response.status, response.content_type) == (status, "application/problem+json")
    assert (await response.json(content_type=None))["request_id"]


async def test_what_is_to_be_fresh_is_awaited_first(aiohttp_client: Any) -> None:
    async def refresh() -> None:
        await asyncio.sleep(0)
        metrics.GROUPS_FAILED.inc()

    before = number("animatize_group_commit_failures_total")
    text = await (await (await exposed(aiohttp_client, refresh)).get("/metrics")).text()
    assert f"animatize_group_commit_failures_total {before + 1}" in text


async def test_a_number_that_cannot_be_had_or_takes_too_long_hides_no_other(
    aiohttp_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail() -> None:
        raise sqlite3.OperationalError("disk I/O error")

    async def hang() -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr("chassis.metrics.REFRESH_SECONDS", 0.05)
    failures = number("animatize_scrape_failures_total")
    response = await (await exposed(aiohttp_client, fail, hang)).get("/metrics")
    assert response.status == 200
    assert f"animatize_scrape_failures_total {failures + 2}" in await response.text()
