"""Errors look the same everywhere, the framework's own included, and carry the request's id."""

import asyncio
import re

import pytest

from chassis.openapi import plain_path
from chassis.peers import Scope
from tests.contract.conftest import Service, address
from tests.contract.shape import PROMISED, problem

NOWHERE = (
    "/nowhere",
    "/api",
    "/api/",
    "/api/nowhere",
    "/internal/nowhere",
    "/%00",
    "/%2e%2e/etc",
    "/ż",
    "/" + "x" * 4000,
)


@pytest.mark.parametrize("scope", list(Scope))
async def test_an_unknown_path_is_a_404_problem(service: Service, scope: Scope) -> None:
    for path in NOWHERE:
        found = await problem(await service.ask.get(path, scope=scope), 404, "not_found")
        assert set(found) == PROMISED


async def test_a_wrong_method_is_a_405_problem_that_names_the_right_ones(service: Service) -> None:
    for route in service.routes:
        answer = await service.ask("OPTIONS", address(route), scope=Scope(route.audience))
        await problem(answer, 405, "method_not_allowed")
        assert route.method in answer.headers["Allow"].split(",")


async def test_a_request_id_is_handed_through(service: Service) -> None:
    for given in ("0123456789abcdef", "a.b_c-d.0", "x" * 64):
        headers = {"X-Request-ID": given}
        assert (await service.ask.client.get("/health/live", headers=headers)).headers["X-Request-ID"] == given
        for path in ("/nowhere", "/internal/openapi"):
            answer = await service.ask.get(path, headers=headers)
            assert (await answer.json(content_type=None))["request_id"] == given
            assert answer.headers["X-Request-ID"] == given


async def test_a_request_id_that_could_spoil_a_log_is_replaced(service: Service) -> None:
    for given in ("", "short", "x" * 65, "a b c d e f", "<script>alert</script>", "żółwżółw", '"}{"forged":"'):
        answer = await service.ask.get("/nowhere", headers={"X-Request-ID": given})
        assert re.fullmatch(r"[0-9a-f]{32}", (await problem(answer, 404))["request_id"])


async def test_requests_at_once_keep_their_own_ids(service: Service) -> None:
    async def one(number: int) -> bool:
        answer = await service.ask.get("/nowhere", headers={"X-Request-ID": f"request-{number:04}"})
        return bool((await answer.json(content_type=None))["request_id"] == f"request-{number:04}")

    assert all(await asyncio.gather(*map(one, range(100))))


async def test_every_service_describes_its_public_routes(service: Service) -> None:
    document = await (await service.ask.get("/internal/openapi", scope=Scope.SYSTEM, owner="system")).json()
    described = {(method.upper(), path) for path, operations in document["paths"].items() for method in operations}
    assert described == {
        (route.method, plain_path(route.path)) for route in service.routes if route.path.startswith("/api/")
    }
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert operation["summary"] != operation["operationId"].replace("_", " "), f"{path} has no docstring"
    names = [each["operationId"] for operations in document["paths"].values() for each in operations.values()]
    assert len(names) == len(set(names))
