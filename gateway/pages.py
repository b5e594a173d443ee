"""What the gateway shows by itself: the description of its API, and the console's files."""

import re
from collections.abc import Iterator
from functools import cache
from gzip import compress
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final, NamedTuple

from aiohttp import web

from chassis.messages import json_response, unchanged
from chassis.problems import Problem
from gateway import documentation
from gateway.compression import acceptable_coding
from gateway.forwarding import SERVICES
from gateway.headers import PAGE

FIRST_PAGE: Final = "index.html"
TYPES: Final = {
    "html": "text/html",
    "css": "text/css",
    "js": "text/javascript",  # RFC 9239
    "json": "application/json",
    "svg": "image/svg+xml",
}
FOR_READERS: Final = re.compile(
    rb"^[ \t]*(?://[^\n]*|/\*(?:(?!\*/).)*\*/)\n|^[ \t]+"
    rb"|[ \t]+// [^\n\"'`]*$",  # one that follows code: what stands within quotes is followed by one
    re.MULTILINE | re.DOTALL,
)


class File(NamedTuple):
    """One of the console's files. `etag` is of what it holds, so that a browser asks for it once a release."""

    content: bytes
    zipped: bytes
    content_type: str
    etag: str


async def describe_api(request: web.Request) -> web.Response:
    """This API as an OpenAPI 3.1 document."""
    return json_response(await documentation.whole_document(request.app, request.app[SERVICES]))


async def show_api(request: web.Request) -> web.Response:
    """This API as a page."""
    document = await documentation.whole_document(request.app, request.app[SERVICES])
    return _page(web.Response(body=documentation.as_page(document).encode(), content_type="text/html", charset="utf-8"))


async def show_console(request: web.Request) -> web.Response:
    """The console's first page."""
    return _shown(request, _console_files()[FIRST_PAGE])


async def show_file(request: web.Request) -> web.Response:
    """A file that the console's first page is made of."""
    file = _console_files().get(request.match_info["file"])
    if file is None:
        raise Problem(404, "not_found", "The console has no such file. Load the page again: it may be a newer one.")
    return _shown(request, file)


def _shown(request: web.Request, file: File) -> web.Response:
    """Asked for again each time, so that all files of a page are of one release; sent again only when it is another."""
    headers = {"ETag": f'"{file.etag}"', "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    if unchanged(request, file.etag):
        return _page(web.Response(status=304, headers=headers))
    body = file.content
    if acceptable_coding(request, ("gzip",)):
        headers["Content-Encoding"], body = "gzip", file.zipped
    return _page(web.Response(body=body, content_type=file.content_type, charset="utf-8", headers=headers))


def _page(response: web.Response) -> web.Response:
    response[PAGE] = True
    return response


@cache
def _console_files() -> dict[str, File]:
    """All of them, by their path below the folder: nothing else can be asked for."""
    return {path: _read(path, entry) for path, entry in _entries(files("gateway") / "console", "")}


def _entries(folder: Traversable, prefix: str) -> Iterator[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        path = prefix + entry.name
        if entry.is_dir():
            yield from _entries(entry, f"{path}/")
        elif path.rpartition(".")[2] in TYPES:
            yield path, entry


def _read(path: str, entry: Traversable) -> File:
    """Without comments and indentation, which only readers of the source need."""
    content = entry.read_bytes()
    if path.endswith((".js", ".css")):
        content = FOR_READERS.sub(b"", content)
    kind = TYPES[path.rpartition(".")[2]]
    return File(content, compress(content, mtime=0), kind, sha256(content).hexdigest()[:20])
