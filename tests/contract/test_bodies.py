"""What every route that takes JSON makes of what is none, of too much, and of anything at all."""

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chassis.peers import Scope
from chassis.serving import Route
from tests.contract.conftest import LARGEST_BODY, Service
from tests.contract.shape import problem

JSON_TYPE = {"Content-Type": "application/json"}
MALFORMED = {
    "nothing": b"",
    "half an object": b'{"a":',
    "two values": b"{} {}",
    "no UTF-8": b'{"a": "\xff"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "a name twice": b'{"a": 1, "a": 2}',
    "a name twice, deeper": b'{"a": [{"b": 1, "\\u0062": 2}]}',
    "a lone surrogate": b'{"a": "\\ud800"}',
    "a lone surrogate in a name": b'{"\\udc00": 1}',
    "an integer beyond 2^53": b'{"a": 9007199254740992}',
    "an integer of many digits": b'{"a": -' + b"9" * 5000 + b"}",
    "a number that is infinite": b'{"a": 1e999}',
    "NaN": b'{"a": NaN}',
    "nesting without end": b"[" * 100_000 + b"]" * 100_000,
    "a trailing comma": b'{"a": 1,}',
    "a comment": b'{"a": 1} // one',
    "single quotes": b"{'a': 1}",
}
WRONG: tuple[Any, ...] = (None, 7, "text", True, [])


def with_body(service: Service) -> list[Route]:
    return [route for route in service.routes if route.body is not None]


def empty_body(route: Route) -> dict[str, Any]:
    return {"json": {}} if route.body is not None else {}


@pytest.mark.parametrize("what", MALFORMED)
async def test_what_is_not_json_is_a_400(service: Service, what: str) -> None:
    for route in with_body(service):
        await problem(await service.call(route, data=MALFORMED[what], headers=JSON_TYPE), 400, "malformed")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "nonsense"])
async def test_another_content_type_is_a_415(service: Service, kind: str) -> None:
    for route in with_body(service):
        await problem(await service.call(route, data=b"{}", headers={"Content-Type": kind}), 415, "not_json")


async def test_a_body_of_the_wrong_shape_is_a_400_that_names_the_place(service: Service) -> None:
    for route in with_body(service):
        for value in WRONG:
            found = await problem(await service.call(route, data=json.dumps(value), headers=JSON_TYPE), 400)
            assert found["detail"]


async def test_a_body_that_is_too_large_is_a_413(service: Service) -> None:
    text = json.dumps({"a": "x" * LARGEST_BODY}).encode()

    async def in_pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(text), 65536):
            yield text[start : start + 65536]

    for route in with_body(service):
        for data in (text, in_pieces()):
            await problem(await service.call(route, data=data, headers=JSON_TYPE), 413, "too_large")
    assert (await service.ask.client.get("/health/ready")).status == 200


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(["2026-11-22T10:00:00.000000+00:00", "data:image/png;base64,AAAA", "\x00", "-1", "null"])
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.dictionaries(st.integers(0, 7), VALUES, max_size=4)


def shaped(route: Route, chosen: dict[int, Any]) -> dict[str, Any]:
    """An object that has fields of the route's body, with anything in them."""
    names = list(route.body.model_fields) if route.body else []
    return {names[number % len(names)]: value for number, value in chosen.items()} if names else {}


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(value=VALUES, chosen=FIELDS)
async def test_no_json_value_at_all_brings_a_public_route_down(
    service: Service, value: Any, chosen: dict[int, Any]
) -> None:
    for route in with_body(service):
        if route.audience is Scope.OWNER:
            for body in (value, shaped(route, chosen)):
                answer = await service.call(route, data=json.dumps(body), headers=JSON_TYPE)
                assert answer.status < 500, f"{route.method} {route.path}: {await answer.text()}"
                if answer.status >= 400:
                    await problem(answer, answer.status)


QUERY_VALUES = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["0", "-1", "1e9", "9" * 30, "null", "true", "%", "'", "\x00", "x" * 3000, "..", "٣", "AAAA", "eyJhIjoxfQ"]
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(chosen=st.dictionaries(st.integers(0, 11), QUERY_VALUES, max_size=4))
async def test_no_query_at_all_brings_a_public_route_down(service: Service, chosen: dict[int, str]) -> None:
    for route in service.routes:
        if route.query is not None and route.audience is Scope.OWNER:
            names = list(route.query.model_fields)
            query = {names[number % len(names)]: value for number, value in chosen.items()}
            answer = await service.call(route, params=query, **empty_body(route))
            assert answer.status < 500, f"{route.method} {route.path} {query}: {await answer.text()}"
            await answer.read()


HEADER_VALUES = ['"', "W/", '"1', "*", "1", '"' + "9" * 400 + '"', ",,,", '"a", "b"', "\u00ff", "bytes=0-", "-"]


@pytest.mark.parametrize("header", ["If-Match", "If-None-Match", "Range", "Accept", "If-Modified-Since", "Expect-CT"])
async def test_no_conditional_header_brings_a_public_route_down(service: Service, header: str) -> None:
    for route in service.routes:
        if route.audience is Scope.OWNER:
            for value in HEADER_VALUES:
                answer = await service.call(route, headers={header: value}, **empty_body(route))
                assert answer.status < 500, f"{route.method} {route.path} {header}: {value}: {await answer.text()}"
                await answer.read()


IDS = [
    "%00",
    "..%2f..%2fetc",
    "'%20OR%201=1--",
    "x" * 3000,
    "%F0%9F%8E%AC",
    "-1",
    "9" * 40,
    "%FF%FE",
    "null",
    "a%0D%0Ab",
]


@pytest.mark.parametrize("odd", IDS)
async def test_no_id_in_a_path_brings_a_public_route_down(service: Service, odd: str) -> None:
    for route in service.routes:
        if route.audience is Scope.OWNER and "{" in route.path:
            path = re.sub(r"{[^}]*}", odd, route.path)
            answer = await service.ask(route.method, path, **empty_body(route))
            assert answer.status < 500, f"{route.method} {path}: {await answer.text()}"
            await answer.read()
