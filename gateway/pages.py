"""What the gateway shows by itself: the description of its API, and the console's files."""

from functools import cache
from importlib.resources import files

from aiohttp import web

from chassis.messages import json_response
from gateway import documentation
from gateway.forwarding import SERVICES
from gateway.headers import PAGE


async def describe_api(request: web.Request) -> web.Response:
    """This API as an OpenAPI 3.1 document."""
    return json_response(await documentation.whole_document(request.app, request.app[SERVICES]))


async def show_api(request: web.Request) -> web.Response:
    """This API as a page."""
    document = await documentation.whole_document(request.app, request.app[SERVICES])
    return _page(documentation.as_page(document).encode(), "text/html")


async def show_console(_: web.Request) -> web.Response:
    """The console's first page."""
    return _page(_console_file("index.html"), "text/html")


async def show_style(_: web.Request) -> web.Response:
    """The console's style sheet."""
    return _page(_console_file("console.css"), "text/css")


def _page(body: bytes, content_type: str) -> web.Response:
    response = web.Response(body=body, content_type=content_type, charset="utf-8")
    response[PAGE] = True
    return response


@cache
def _console_file(name: str) -> bytes:
    return (files("gateway") / "console" / name).read_bytes()
