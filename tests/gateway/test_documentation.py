"""What the OpenAPI document says beside what the models do."""

from typing import Any, cast

from aiohttp import web

from chassis.openapi import describe, plain_path
from chassis.serving import ROUTES as APPS_ROUTES
from chassis.serving import Route, add_routes
from gateway.documentation import whole_document
from gateway.identity import Audience
from gateway.models import BackupRequest
from gateway.routes import ROUTES
from gateway.services import Services


class FakeServices:
    """One service, which describes one route."""

    def all(self) -> "tuple[FakeServices]":
        return (self,)

    async def call(self, *_: object) -> dict[str, Any]:
        return describe([Route("PATCH", "/api/settings", patch_settings, Audience.SESSION, body=BackupRequest)])


async def patch_settings(_: web.Request) -> web.Response:
    """Change some of it"""
    raise NotImplementedError


async def test_a_patch_takes_a_merge_patch_and_events_are_a_stream() -> None:
    app = web.Application()
    add_routes(app, ROUTES, Audience)
    assert ("GET", "/api/events") in app[APPS_ROUTES]
    paths = (await whole_document(app, cast("Services", FakeServices())))["paths"]
    content = paths["/api/settings"]["patch"]["requestBody"]["content"]
    assert content["application/merge-patch+json"] == content["application/json"]
    events = paths["/api/events"]["get"]
    assert set(events["responses"]["2XX"]["content"]) == {"text/event-stream"}
    assert "requestBody" not in events


async def test_every_write_that_can_be_asked_for_again_says_so() -> None:
    app = web.Application()
    add_routes(app, ROUTES, Audience)
    paths = (await whole_document(app, cast("Services", FakeServices())))["paths"]
    named = {
        (method, path)
        for path, operations in paths.items()
        for method, operation in operations.items()
        if sum(each["name"] == "Idempotency-Key" for each in operation["parameters"]) == 1
    }
    writes = {(route.method.lower(), plain_path(route.path)) for route in ROUTES if route.method != "GET"}
    assert {path for _, path in writes - named} == {
        "/api/auth/google", "/api/auth/logout", "/api/auth/sessions", "/api/auth/sessions/{id}", "/api/account",
        "/api/settings/backup",
    }  # fmt: skip
    assert named <= writes
