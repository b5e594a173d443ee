"""What the OpenAPI document says beside what the models do."""

from typing import Any, cast

from aiohttp import web

from chassis.openapi import describe
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
