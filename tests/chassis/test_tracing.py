"""Which trace a request belongs to, by the rules of W3C Trace Context, and what the next process is told."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import TestServer, make_mocked_request
from multidict import CIMultiDict

from chassis import logs, tracing
from chassis.peers import JWKS_PATH, Scope, Signer
from chassis.serving import Route, service
from tests.support import Asker

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"


@pytest.fixture(autouse=True)
def _no_request_is_under_way() -> Iterator[None]:
    structlog.contextvars.clear_contextvars()
    yield
    structlog.contextvars.clear_contextvars()


def entered(*headers: tuple[str, str]) -> dict[str, str]:
    """What is handed on in a request that came with these headers."""
    request = make_mocked_request("GET", "/", headers=CIMultiDict(headers))
    logs.enter_request(request)
    tracing.enter(request)
    return tracing.outgoing()


def trace_of(outgoing: dict[str, str]) -> str:
    return outgoing["traceparent"].split("-")[1]


def test_a_valid_trace_goes_on_with_its_flags_and_a_span_of_our_own() -> None:
    version, trace_id, span_id, flags = entered(("traceparent", PARENT))["traceparent"].split("-")
    assert (version, trace_id, flags) == ("00", TRACE, "01")
    assert span_id != SPAN
    assert tracing.parse_parent(f"00-{trace_id}-{span_id}-{flags}") is not None


def test_the_log_lines_carry_the_ids_that_the_next_process_is_told() -> None:
    outgoing = entered(("traceparent", PARENT), ("X-Request-ID", "given-by-the-caller"))
    bound = structlog.contextvars.get_contextvars()
    assert bound == {"request_id": "given-by-the-caller", "trace_id": TRACE, "span_id": bound["span_id"]}
    assert outgoing == {"X-Request-ID": "given-by-the-caller", "traceparent": f"00-{TRACE}-{bound['span_id']}-01"}


def test_without_a_trace_each_request_begins_one() -> None:
    first, second = entered(), entered()
    assert trace_of(first) != trace_of(second)
    assert all(tracing.parse_parent(each["traceparent"]) for each in (first, second))
    assert "tracestate" not in first


@pytest.mark.parametrize(
    "given",
    [
        "",
        "00",
        TRACE,
        PARENT[:-1],
        PARENT + "-",
        PARENT + "-more",
        PARENT + " x",
        f"ff-{TRACE}-{SPAN}-01",
        f"ff-{TRACE}-{SPAN}-01-more",
        f"0-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        PARENT.upper(),
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN.upper()}-01",
        f"00-{TRACE}-{SPAN}-0A",
        f"00-{TRACE[:-1]}g-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-1",
        f"00_{TRACE}_{SPAN}_01",
        f"01-{TRACE}-{SPAN}-01more",
        "00-" + "٠" * 32 + f"-{SPAN}-01",
        PARENT + "\n",
    ],
)
def test_what_is_no_traceparent_begins_a_trace_and_is_no_error(given: str) -> None:
    assert tracing.parse_parent(given) is None
    assert trace_of(entered(("traceparent", given), ("tracestate", "vendor=1"))) != TRACE
    assert "tracestate" not in entered(("traceparent", given), ("tracestate", "vendor=1"))


@pytest.mark.parametrize(
    "given", [f"01-{TRACE}-{SPAN}-01", f"cc-{TRACE}-{SPAN}-01-what-comes-later.-", f"01{PARENT[2:]}-"]
)
def test_a_later_version_is_understood_and_answered_in_ours(given: str) -> None:
    outgoing = entered(("traceparent", given))["traceparent"]
    assert outgoing.startswith(f"00-{TRACE}-")
    assert len(outgoing) == len(PARENT)


def test_several_traceparents_are_none() -> None:
    assert trace_of(entered(("traceparent", PARENT), ("Traceparent", PARENT))) != TRACE


@pytest.mark.parametrize(("given", "handed_on"), [("00", "00"), ("02", "02"), ("03", "03"), ("ff", "03"), ("09", "01")])
def test_flags_that_nobody_has_defined_are_not_handed_on(given: str, handed_on: str) -> None:
    assert entered(("traceparent", PARENT[:-2] + given))["traceparent"].endswith(f"-{handed_on}")


@pytest.mark.parametrize(
    ("given", "handed_on"),
    [
        (["rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"], "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"),
        (["rojo=1", "congo=2"], "rojo=1,congo=2"),
        ([" rojo=1 ,, \tcongo=2 "], "rojo=1,congo=2"),
        (["0tenant@vendor=a b"], "0tenant@vendor=a b"),
        (["a=" + "x" * 256], "a=" + "x" * 256),
        ([",".join(f"k{number}=1" for number in range(32))], ",".join(f"k{number}=1" for number in range(32))),
    ],
)
def test_the_tracestate_of_a_valid_trace_goes_on(given: list[str], handed_on: str) -> None:
    outgoing = entered(("traceparent", PARENT), *(("tracestate", each) for each in given))
    assert outgoing["tracestate"] == handed_on


@pytest.mark.parametrize(
    "given",
    [
        "",
        "no member",
        "a=1,b",
        "A=1",
        "a=1,a=2",
        "a=ż",
        "a=1\x01",
        "a=" + "x" * 257,
        ",".join(f"k{number}=1" for number in range(33)),
        ",".join(f"k{number}={'x' * 100}" for number in range(6)),
    ],
)
def test_a_tracestate_that_is_invalid_or_too_long_is_left_out_and_the_trace_goes_on(given: str) -> None:
    outgoing = entered(("traceparent", PARENT), ("tracestate", given))
    assert trace_of(outgoing) == TRACE
    assert "tracestate" not in outgoing


def test_bytes_that_are_no_text_are_no_tracestate() -> None:
    assert tracing.parse_state(["a=\udc80"]) == ""


async def test_what_nobody_asked_for_has_ids_of_its_own_and_keeps_them_to_its_task() -> None:
    async def recover() -> dict[str, str]:
        tracing.begin()
        return tracing.outgoing()

    before = entered(("traceparent", PARENT), ("tracestate", "vendor=1"))
    recovery = await asyncio.create_task(recover())
    assert recovery.keys() == {"X-Request-ID", "traceparent"}
    assert recovery["X-Request-ID"] != before["X-Request-ID"]
    assert trace_of(recovery) != TRACE
    assert tracing.outgoing() == before


def test_the_state_of_one_request_is_not_that_of_the_next() -> None:
    entered(("traceparent", PARENT), ("tracestate", "vendor=1"))
    assert "tracestate" not in entered(("traceparent", PARENT))


async def test_while_no_request_is_under_way_nothing_is_handed_on() -> None:
    assert tracing.outgoing() == {}


async def test_a_service_asks_for_the_gateways_keys_in_the_name_of_the_request(
    signer: Signer, aiohttp_client: Any
) -> None:
    asked: list[CIMultiDict[str]] = []

    async def keys(request: web.Request) -> web.Response:
        asked.append(CIMultiDict(request.headers))
        return web.json_response(signer.jwks())

    async def answer(_: web.Request) -> web.Response:
        return web.Response()

    gateway = web.Application()
    gateway.router.add_get(JWKS_PATH, keys)
    async with TestServer(gateway) as server:
        url = str(server.make_url("")).rstrip("/")
        routes = [Route("GET", "/api/things", answer, Scope.OWNER)]
        app = service(routes, audience="toys", gateways=[url], max_body=1, lifespans=[])
        asker = Asker(await aiohttp_client(TestServer(app)), signer, "toys")
        assert (await asker.get("/api/things", headers={"traceparent": PARENT})).status == 200
    assert asked[0]["traceparent"].split("-")[1] == TRACE
    assert asked[0]["traceparent"].split("-")[2] != SPAN
    assert asked[0]["X-Request-ID"]
