"""How a request reaches the service that owns what it asks for, and how the answer comes back: streamed, unread."""

from collections.abc import AsyncIterator, Callable

import aiohttp
from aiohttp import web

from chassis.messages import streamed
from chassis.peers import Caller, Scope
from chassis.serving import Handler
from gateway.compression import body_of, coding_of, too_large
from gateway.idempotency import once_headers
from gateway.identity import IDENTITY, SESSION
from gateway.peer import EFFORT, Peer
from gateway.sending import SAFE_METHODS, Effort
from gateway.services import Services

SERVICES: web.AppKey[Services] = web.AppKey("services", Services)
NOBODY = Caller("nobody", Scope.OWNER)
HELD_WHOLE = 4 << 20  # bytes; what is longer is passed on as it comes
MORE_THAN_ONCE = Effort(repeatable=True)

SENT_ON = ("Accept", "Content-Type", "If-Match", "If-None-Match")
SENT_BACK = (
    "Allow",
    "Cache-Control",
    "Content-Disposition",
    "Content-Security-Policy",
    "Content-Type",
    "ETag",
    "Location",
    "Retry-After",
    "X-Content-Type-Options",
)


def to(choose: Callable[[Services], Peer]) -> Handler:
    """A handler that passes the request on, in the name of its session's owner, to the chosen service."""

    async def forward(request: web.Request) -> web.StreamResponse:
        who = request[SESSION].caller if SESSION in request else NOBODY
        headers = {name: ", ".join(request.headers.getall(name)) for name in SENT_ON if name in request.headers}
        path = request.rel_url.raw_path_qs
        peer, effort = choose(request.app[SERVICES]), EFFORT
        if peer.knows_again and request.method not in SAFE_METHODS:
            headers |= once_headers(request)
            effort = MORE_THAN_ONCE
        data = await _body(request)
        async with peer.ask(request.method, path, who, headers=headers, data=data, effort=effort) as answer:
            return await _pass_back(request, peer, answer)

    return forward


async def end_sessions(request: web.Request) -> web.StreamResponse:
    """End sessions through the auth service, and stop believing in them here at once."""
    response = await to(lambda services: services.auth)(request)
    request.app[IDENTITY].forget()
    return response


async def _body(request: web.Request) -> bytes | AsyncIterator[bytes] | None:
    if request.method in SAFE_METHODS or not request.can_read_body:
        return None
    limit = request.client_max_size
    if (request.content_length or 0) > limit:
        raise too_large(limit)
    if coding_of(request) is None and request.content_length is not None and request.content_length <= HELD_WHOLE:
        return b"".join([chunk async for chunk in body_of(request, limit)])
    return body_of(request, limit)


async def _pass_back(request: web.Request, peer: Peer, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    headers = {name: answer.headers[name] for name in SENT_BACK if name in answer.headers}
    if answer.content_length is not None and answer.content_length <= HELD_WHOLE:
        return web.Response(status=answer.status, body=await answer.read(), headers=headers)
    response = web.StreamResponse(status=answer.status, headers=headers)
    response.content_length = answer.content_length
    return await streamed(request, response, peer.pieces(answer))
