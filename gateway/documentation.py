"""The OpenAPI document, put together from what every service says of its own routes, and a page to read it on."""

import asyncio
from html import escape
from typing import Any

from aiohttp import web

from chassis.once import NAME_HEADER
from chassis.openapi import describe, plain_path
from chassis.peers import Caller, Scope
from chassis.serving import ROUTES
from gateway.idempotency import USABLE
from gateway.services import Services

WHO = Caller("system", Scope.SYSTEM)
NAMED_WRITES = ("/api/settings", "/api/runs")
IDEMPOTENCY_KEY = {
    "name": NAME_HEADER,
    "in": "header",
    "required": False,
    "description": "your own id for this write: whoever sends it again is given the first answer",
    "schema": {"type": "string", "pattern": f"^{USABLE.pattern}$"},
}
JSON, MERGE_PATCH, EVENTS = "application/json", "application/merge-patch+json", "text/event-stream"


async def whole_document(app: web.Application, services: Services) -> dict[str, Any]:
    """The document of the public API. Raises Problem 503 while a service does not answer."""
    own = describe(list(app[ROUTES].values()))
    parts = await asyncio.gather(*(peer.call("GET", "/internal/openapi", WHO) for peer in services.all()))
    paths: dict[str, Any] = {}
    schemas: dict[str, Any] = {}
    for part in (own, *parts):
        schemas |= part["components"]["schemas"]
    public = {(route.method.lower(), plain_path(route.path)) for route in app[ROUTES].values()}
    for part in (own, *parts):  # what a service says of a route wins over the bare line of the gateway's own table
        for path, operations in part["paths"].items():
            known = {method: each for method, each in operations.items() if (method, path) in public}
            paths.setdefault(path, {}).update(known)
    _name_other_types(paths)
    _name_keys(paths)
    return {
        "openapi": "3.1.0",
        "info": {"title": "ANIMAtiZE Director Console", "version": "0.1.0"},
        "paths": {path: operations for path, operations in sorted(paths.items()) if operations},
        "components": {"schemas": schemas},
    }


def _name_other_types(paths: dict[str, Any]) -> None:
    """Models are JSON: here is said what is more than that (RFC 7396) or something else."""
    for operations in paths.values():
        if (body := operations.get("patch", {}).get("requestBody")) is not None:
            body["content"][MERGE_PATCH] = body["content"][JSON]
    schema = {"type": "string", "description": "events named by topic; their data is JSON: a version, or a token"}
    paths["/api/events"]["get"]["responses"]["2XX"]["content"] = {EVENTS: {"schema": schema}}


def _name_keys(paths: dict[str, Any]) -> None:
    """Every write can be asked for again under a name, but those about who somebody is, and a backup, which writes
    nothing."""
    for path, operations in paths.items():
        for method, operation in operations.items():
            named = any(each["name"] == NAME_HEADER for each in operation["parameters"])
            takes_one = path.startswith(NAMED_WRITES) and method != "get" and path != "/api/settings/backup"
            if takes_one and not named:
                operation["parameters"].append(IDEMPOTENCY_KEY)


def as_page(document: dict[str, Any]) -> str:
    """The document as one static page; no script, nothing from elsewhere."""
    rows = "".join(
        f"<tr><td><code>{method.upper()}</code></td><td><code>{escape(path)}</code></td>"
        f"<td>{escape(operation['summary'])}</td></tr>"
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    )
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>Director Console API</title>"
        "<link rel=stylesheet href=/console/css/tokens.css><link rel=stylesheet href=/console/css/page.css>"
        "<main><h1>Director Console API</h1>"
        "<p>The whole description, with every shape: <a href=/api/openapi.json>openapi.json</a> (OpenAPI 3.1).</p>"
        f"<table><thead><tr><th>Method<th>Address<th>What it does</thead><tbody>{rows}</tbody></table></main></html>"
    )
