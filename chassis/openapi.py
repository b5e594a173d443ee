"""The part of the OpenAPI 3.1 document that one process answers for, made from its route table and models."""

import re
from collections import ChainMap
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from chassis.serving import Route

SCHEMAS = "#/components/schemas/{model}"
TEXT = {"type": "string"}
PROBLEM_SCHEMA = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "request_id"],
    "properties": {
        "type": TEXT,
        "title": TEXT,
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "a sentence that a person can act on"},
        "code": {"type": "string", "description": "stable, for programs"},
        "request_id": TEXT,
        "errors": {"type": "array", "items": {"type": "object", "properties": {"pointer": TEXT, "message": TEXT}}},
    },
}
PROBLEM = {
    "description": "A problem (RFC 9457)",
    "content": {"application/problem+json": {"schema": PROBLEM_SCHEMA}},
}


def describe(routes: Sequence[Route], *, prefix: str = "/api") -> dict[str, Any]:
    """`{paths, components}` of the public routes. Summaries are the first lines of the handlers' docstrings."""
    public = [route for route in routes if route.path.startswith(prefix)]
    models = {model for route in public for model in (route.body, route.answer) if model is not None}
    _, definitions = models_json_schema(
        [(model, "validation") for model in sorted(models, key=lambda each: each.__name__)], ref_template=SCHEMAS
    )
    paths: dict[str, dict[str, Any]] = {}
    for route in public:
        paths.setdefault(plain_path(route.path), {})[route.method.lower()] = _operation(route)
    queries = [_schema(model).get("$defs", {}) for route in public for model in (route.query, route.headers)]
    return {"paths": paths, "components": {"schemas": dict(ChainMap(definitions.get("$defs", {}), *queries))}}


def _operation(route: Route) -> dict[str, Any]:
    summary = (route.handler.__doc__ or route.handler.__name__.replace("_", " ")).strip().splitlines()[0]
    success: dict[str, Any] = {"description": "Done"}
    if route.answer is not None:
        success["content"] = _json(route.answer)
    operation: dict[str, Any] = {
        "summary": summary,
        "operationId": route.handler.__name__,
        "parameters": [
            *_path_parameters(route.path),
            *_parameters("query", route.query),
            *_parameters("header", route.headers),
        ],
        "responses": {"2XX": success, "4XX": PROBLEM, "5XX": PROBLEM},
    }
    if route.body is not None:
        operation["requestBody"] = {"required": True, "content": _json(route.body)}
    return operation


def _json(model: type[BaseModel]) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": SCHEMAS.format(model=model.__name__)}}}


def _path_parameters(path: str) -> list[dict[str, Any]]:
    names = re.findall(r"{(\w+)", path)
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def _schema(model: type[BaseModel] | None) -> dict[str, Any]:
    return model.model_json_schema(ref_template=SCHEMAS) if model is not None else {}


def _parameters(place: str, model: type[BaseModel] | None) -> list[dict[str, Any]]:
    schema = _schema(model)
    required = schema.get("required", [])
    return [
        {"name": name, "in": place, "required": name in required, "schema": rule}
        for name, rule in schema.get("properties", {}).items()
    ]


def plain_path(path: str) -> str:
    """A route's path as OpenAPI writes it, without the patterns of the router: `{id:\\d+}` is `{id}`."""
    return re.sub(r"{(\w+):[^}]+}", r"{\1}", path)
