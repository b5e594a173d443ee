"""What the gateway is held against: a bare aiohttp handler, and a bare aiohttp reverse proxy in front of it."""

import sys
from collections.abc import AsyncIterator

import aiohttp
import uvloop
from aiohttp import web

ANSWER = b'{"settings": {' + b", ".join(b'"key%d": "value"' % number for number in range(40)) + b"}}"
TARGET: web.AppKey[str] = web.AppKey("target", str)
HTTP: web.AppKey[aiohttp.ClientSession] = web.AppKey("http", aiohttp.ClientSession)


async def answer(_: web.Request) -> web.Response:
    return web.Response(body=ANSWER, content_type="application/json")


async def pass_on(request: web.Request) -> web.Response:
    async with request.app[HTTP].get(request.app[TARGET] + request.path_qs) as response:
        return web.Response(status=response.status, body=await response.read(), content_type=response.content_type)


async def client(app: web.Application) -> AsyncIterator[None]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        app[HTTP] = http
        yield


def main(port: int, target: str | None = None) -> None:
    app = web.Application()
    app.router.add_get("/{path:.*}", pass_on if target else answer)
    if target:
        app[TARGET] = target
        app.cleanup_ctx.append(client)
    web.run_app(app, host="127.0.0.1", port=port, loop=uvloop.new_event_loop(), print=None, access_log=None)


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:3])
