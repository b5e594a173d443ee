"""Whatever the OpenAPI document allows, and what it does not, gets an answer that is no fault of ours."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings

from chassis.openapi import plain_path
from gateway.routes import ROUTES
from tests.processes import Stack

# What the document may leave out: the keys and pages that are not part of the API.
APART = {"/", "/console/{file}", "/health", "/.well-known/jwks.json"}
OPERATIONS = sorted({(route.method, plain_path(route.path)) for route in ROUTES} - {("GET", path) for path in APART})
ENDLESS = ("GET", "/api/events")  # who reads to its end waits for ever; see test_in_step.py


@pytest.fixture(scope="module")
def document(stack: Stack) -> Any:
    return requests.get(f"{stack.url}/api/openapi.json", timeout=10).json()


@pytest.fixture(scope="module")
def http(stack: Stack) -> Iterator[requests.Session]:
    with requests.Session() as http:
        http.get(f"{stack.url}/api/session/bootstrap", timeout=10)
        yield http


def test_the_document_holds_every_public_route_and_no_other(document: Any) -> None:
    named = {(method.upper(), path) for path, operations in document["paths"].items() for method in operations}
    assert named == set(OPERATIONS)
    assert document["openapi"] == "3.1.0"


def test_every_operation_has_a_summary_for_people(document: Any) -> None:
    for operations in document["paths"].values():
        for operation in operations.values():
            assert len(operation["summary"]) > 10


def test_a_stream_of_events_is_described_as_one(document: Any) -> None:
    success = document["paths"]["/api/events"]["get"]["responses"]["2XX"]
    assert set(success["content"]) == {"text/event-stream"}


@pytest.mark.parametrize(("method", "path"), [each for each in OPERATIONS if each != ENDLESS], ids=lambda part: part)
def test_no_request_brings_a_route_down(
    stack: Stack, http: requests.Session, document: Any, method: str, path: str
) -> None:
    operation = schemathesis.openapi.from_dict(document)[path][method]

    @given(case=operation.as_strategy())
    @settings(
        max_examples=25,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def attack(case: schemathesis.Case[Any]) -> None:
        response = case.call(base_url=stack.url, session=http)
        google_is_not_configured = path == "/api/auth/google" and response.status_code == 503
        assert response.status_code < 500 or google_is_not_configured, (response.status_code, response.text)
        if response.status_code >= 400:
            assert response.headers["content-type"][0].startswith("application/problem+json")

    attack()
