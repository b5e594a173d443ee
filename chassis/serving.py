"""What every process does to serve HTTP: routes with a declared audience; logs, problems and trust as middlewares.

An app is put together by its `create_app`; nothing here is inherited, and no handler's signature changes.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import aiohttp
import structlog
from aiohttp import web
from aiohttp.typedefs import Middleware
from pydantic import BaseModel

from chassis import logs, metrics, tracing
from chassis.database import Database
from chassis.messages import BROKEN_OFF, CLIENT_GONE, json_response
from chassis.peers import CALLER, OWNER_HEADER, Scope, Verifier, acting_for, bearer
from chassis.problems import Problem, from_exception, unavailable
from chassis.release import RELEASE, RELEASE_HEADER

log = structlog.get_logger()

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Lifespan = Callable[[web.Application], AsyncIterator[None]]

DATABASE: web.AppKey[Database] = web.AppKey("database", Database)
HEALTH_PATHS = ("/health/live", "/health/ready")
SLOW_SECONDS = 1.0


@dataclass(frozen=True)
class Route:
    """One line of a route table. `audience` has no default: a route that does not say who may call cannot be written.

    `body`, `query`, `headers` and `answer` are the models that cross the wire, for the OpenAPI document; the handler
    reads them.
    """

    method: str
    path: str
    handler: Handler
    audience: StrEnum
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    headers: type[BaseModel] | None = None
    answer: type[BaseModel] | None = None


ROUTES: web.AppKey[dict[tuple[str, str], Route]] = web.AppKey("routes", dict)
LEAVING: web.AppKey[asyncio.Event] = web.AppKey("leaving", asyncio.Event)  # set once the process lets everybody go


def service(
    routes: Sequence[Route], *, audience: str, gateways: Sequence[str], max_body: int, lifespans: Sequence[Lifespan]
) -> web.Application:
    """An application in which everything but `/health/*` needs a signed token of the route's own audience.

    `lifespans` are aiohttp cleanup contexts: what each opens before its `yield` is closed after it.
    """
    app = web.Application(middlewares=[logged(every=False), problems_answered, _verified], client_max_size=max_body)
    add_routes(app, routes, Scope)
    add_health(app, _database_ready)
    app.cleanup_ctx.append(_verifying(audience, gateways))
    app.cleanup_ctx.extend(lifespans)
    return app


def add_routes(app: web.Application, routes: Sequence[Route], audiences: type[StrEnum]) -> None:
    """Raises TypeError for a route whose audience is none of `audiences`: better no start than an open door."""
    known: dict[tuple[str, str], Route] = {}
    for route in routes:
        if not isinstance(route.audience, audiences):
            raise TypeError(f"{route.method} {route.path} does not say who may call it")
        added = app.router.add_route(route.method, route.path, route.handler)
        known[route.method, added.resource.canonical if added.resource else route.path] = route
    app[ROUTES] = known
    app.on_response_prepare.append(tell_request_id)


async def tell_request_id(_: web.Request, response: web.StreamResponse) -> None:
    """Every answer carries the id of its request, also one that is a stream."""
    response.headers[logs.HEADER] = logs.current_request_id()


def add_health(app: web.Application, ready: Callable[[web.Application], Awaitable[None]]) -> None:
    """`/health/live` says that the process runs; `/health/ready` that it can work: `ready` raises where it cannot."""

    async def answer_live(_: web.Request) -> web.Response:
        return _well()

    async def answer_ready(request: web.Request) -> web.Response:
        await ready(request.app)
        return _well()

    app[LEAVING] = asyncio.Event()
    app.router.add_get(HEALTH_PATHS[0], answer_live)
    app.router.add_get(HEALTH_PATHS[1], answer_ready)


def _well() -> web.Response:
    answer = json_response({"status": "ok"})
    answer.headers[RELEASE_HEADER] = RELEASE
    return answer


def logged(*, every: bool) -> Middleware:
    """Gives each request its ids, each answer that header, and counts it. `every` request has its line in the gateway's
    log; a service adds one only where it has something to tell: a status of 400 or more, or SLOW_SECONDS."""

    @web.middleware
    async def log_request(request: web.Request, handler: Handler) -> web.StreamResponse:
        logs.enter_request(request)
        tracing.enter(request)
        started, status = time.perf_counter(), 500
        metrics.REQUESTS_UNDER_WAY.inc()
        try:
            response = await handler(request)
            status = response.get(BROKEN_OFF, response.status)
            return response
        except ConnectionResetError:
            status = CLIENT_GONE
            raise
        finally:
            metrics.REQUESTS_UNDER_WAY.dec()
            _tell(request, status, time.perf_counter() - started, every=every)

    return log_request


def _tell(request: web.Request, status: int, took: float, *, every: bool) -> None:
    method, route = metrics.known_method(request.method), logs.pattern_of(request)
    metrics.count_request(method, route, status, took)
    if (every and request.path not in logs.QUIET) or status >= 400 or took > SLOW_SECONDS:
        log.info("request", method=method, route=route, status=status, ms=round(took * 1000, 1))


@web.middleware
async def problems_answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except (ConnectionResetError, aiohttp.ClientConnectionResetError):
        raise  # the caller is gone: nobody reads a problem
    except Exception as error:  # the one place where an exception becomes an answer
        return from_exception(error).response()


VERIFIER: web.AppKey[Verifier] = web.AppKey("verifier", Verifier)


@web.middleware
async def _verified(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Nothing but health is answered without a token; a handler only runs for the audience that its route names."""
    if request.rel_url.raw_path in HEALTH_PATHS:
        return await handler(request)
    who = await request.app[VERIFIER].verify(bearer(request))
    if (resource := request.match_info.route.resource) is not None:
        route = request.app[ROUTES].get((request.method, resource.canonical))
        if route is None or route.audience is not who.scope:
            raise Problem(401, "wrong_scope", "The service token is for another kind of call.")
        request[CALLER] = acting_for(who, ",".join(request.headers.getall(OWNER_HEADER, [])) or None)
    return await handler(request)


def _verifying(audience: str, gateways: Sequence[str]) -> Lifespan:
    async def context(app: web.Application) -> AsyncIterator[None]:
        async with aiohttp.ClientSession() as http:
            app[VERIFIER] = Verifier(audience, gateways, http)
            yield

    return context


async def _database_ready(app: web.Application) -> None:
    if DATABASE not in app:
        raise unavailable("starting", "The database is not open yet.")
    await app[DATABASE].read(lambda tx: tx.execute("SELECT count(*) FROM sqlite_schema").fetchone())
