"""The part of the OpenAPI document that a route table answers for."""

import json
from enum import StrEnum
from typing import Any

from aiohttp import web
from pydantic import BaseModel, Field

from chassis.openapi import describe
from chassis.peers import Scope
from chassis.serving import Route


class View(StrEnum):
    FULL = "full"
    SUMMARY = "summary"


class Inner(BaseModel):
    text: str


class Thing(BaseModel):
    inner: Inner


class Page(BaseModel):
    limit: int = Field(100, ge=1, le=300)
    view: View = View.FULL
    since: str | None = None
    needed: str


async def list_things(_: web.Request) -> web.Response:
    """List the things, newest last.

    Not for the summary.
    """
    raise NotImplementedError


async def put_thing(_: web.Request) -> web.Response:
    raise NotImplementedError


ROUTES = [
    Route("GET", "/api/things", list_things, Scope.OWNER, query=Page, answer=Thing),
    Route("PUT", "/api/things/{id}", put_thing, Scope.OWNER, body=Thing),
    Route("DELETE", r"/api/things/{id:\d+}", put_thing, Scope.OWNER),
    Route("GET", "/internal/things", list_things, Scope.SYSTEM, answer=Inner),
]
PART = describe(ROUTES)


def references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if "$ref" in value else []
        return own + [found for item in value.values() for found in references(item)]
    return [found for item in value for found in references(item)] if isinstance(value, list) else []


def test_only_public_routes_are_described_with_plain_paths() -> None:
    assert {path: set(methods) for path, methods in PART["paths"].items()} == {
        "/api/things": {"get"},
        "/api/things/{id}": {"put", "delete"},
    }


def test_the_summary_is_the_first_line_of_the_docstring() -> None:
    assert PART["paths"]["/api/things"]["get"]["summary"] == "List the things, newest last."
    assert PART["paths"]["/api/things/{id}"]["put"]["summary"] == "put thing"
    assert PART["paths"]["/api/things"]["get"]["operationId"] == "list_things"


def test_parameters_of_path_and_query_are_named_with_their_rules() -> None:
    (path,) = PART["paths"]["/api/things/{id}"]["put"]["parameters"]
    assert path == {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
    query = {each["name"]: each for each in PART["paths"]["/api/things"]["get"]["parameters"]}
    assert {name for name, each in query.items() if each["required"]} == {"needed"}
    assert (query["limit"]["schema"]["minimum"], query["limit"]["schema"]["maximum"]) == (1, 300)
    assert {each["in"] for each in query.values()} == {"query"}


def test_bodies_and_answers_point_at_their_models() -> None:
    body = PART["paths"]["/api/things/{id}"]["put"]["requestBody"]
    assert body["required"] is True
    assert body["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Thing"}
    answers = PART["paths"]["/api/things"]["get"]["responses"]
    assert answers["2XX"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Thing"}
    assert "application/problem+json" in answers["4XX"]["content"]


def test_every_reference_leads_somewhere() -> None:
    found = set(references(PART))
    assert found
    for reference in found:
        assert reference.startswith("#/components/schemas/")
        assert reference.rsplit("/", 1)[1] in PART["components"]["schemas"], reference


def test_a_table_without_models_is_described_too() -> None:
    assert describe([])["paths"] == {}
    assert describe([ROUTES[2]])["components"] == {"schemas": {}}


def test_the_part_is_json() -> None:
    assert json.loads(json.dumps(PART)) == PART
