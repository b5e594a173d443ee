"""The ways into the auth service. It never sees a cookie header: the gateway sets and reads the cookie."""

from aiohttp import web

from auth_service import models
from auth_service.store import Store
from chassis.messages import json_response, read_json
from chassis.openapi import describe
from chassis.peers import Scope, caller
from chassis.problems import unavailable
from chassis.serving import Route

STORE: web.AppKey[Store] = web.AppKey("store", Store)
GOOGLE_CLIENT_ID: web.AppKey[str | None] = web.AppKey("google_client_id")

NOT_BEFORE_SECONDS = 3600  # nobody gains by asking again before an operator has done something


def table() -> list[Route]:
    owner, system = Scope.OWNER, Scope.SYSTEM
    return [
        Route("GET", "/api/session/bootstrap", bootstrap, owner, answer=models.Bootstrap),
        Route("GET", "/api/auth/config", config, owner, answer=models.Config),
        Route("GET", "/api/auth/me", me, owner, answer=models.Identity),
        Route("GET", "/api/auth/sessions", devices, owner, answer=models.Devices),
        Route("DELETE", "/api/auth/sessions/{session_id}", revoke, owner, answer=models.Revoked),
        Route("DELETE", "/api/auth/sessions", revoke_others, owner, answer=models.RevokedCount),
        Route("POST", "/internal/sessions", open_guest, system, body=models.NewSession, answer=models.OpenedSession),
        Route("POST", "/internal/sessions/resolve", resolve, system, body=models.Presented, answer=models.Session),
        Route("POST", "/internal/sessions/logout", log_out, system, body=models.Logout, answer=models.OpenedSession),
        Route("POST", "/internal/google", sign_in_with_google, system, body=models.GoogleCredential),
        Route("GET", "/internal/openapi", openapi, system),
    ]


async def bootstrap(request: web.Request) -> web.Response:
    """The session that this browser has"""
    session = await request.app[STORE].current(caller(request))
    return _answer(models.Bootstrap, session)


async def config(request: web.Request) -> web.Response:
    """Which ways of signing in are open"""
    client_id = request.app[GOOGLE_CLIENT_ID]
    return json_response(models.Config(google_enabled=client_id is not None, google_client_id=client_id))


async def me(request: web.Request) -> web.Response:
    """Who is signed in"""
    session = await request.app[STORE].current(caller(request))
    return _answer(models.Identity, session)


async def devices(request: web.Request) -> web.Response:
    """Where this owner has a live session"""
    return json_response(models.Devices(sessions=await request.app[STORE].devices(caller(request))))


async def revoke(request: web.Request) -> web.Response:
    """End one session of this owner"""
    session_id = request.match_info["session_id"]
    await request.app[STORE].end(caller(request), session_id)
    return json_response(models.Revoked(id=session_id))


async def revoke_others(request: web.Request) -> web.Response:
    """End every session of this owner but the current one"""
    return json_response(models.RevokedCount(revoked=await request.app[STORE].end_others(caller(request))))


async def open_guest(request: web.Request) -> web.Response:
    """Make a guest and its session"""
    body = await read_json(request, models.NewSession)
    return json_response(await request.app[STORE].open_guest(body.user_agent), status=201)


async def resolve(request: web.Request) -> web.Response:
    """Tell whose cookie this is. No fault of ours is a 401: what is not found is a 404"""
    body = await read_json(request, models.Presented)
    return json_response(await request.app[STORE].resolve(body.token, body.user_agent))


async def log_out(request: web.Request) -> web.Response:
    """End the session of a cookie and go on as a fresh guest"""
    body = await read_json(request, models.Logout)
    return json_response(await request.app[STORE].log_out(body.token, body.user_agent))


async def sign_in_with_google(request: web.Request) -> web.Response:
    """Turn a Google ID token into a session: open on no server yet"""
    await read_json(request, models.GoogleCredential)
    why = "not configured" if request.app[GOOGLE_CLIENT_ID] is None else "not open yet"
    raise unavailable("google_unavailable", f"Google sign-in is {why} here.", retry_after=NOT_BEFORE_SECONDS)


async def openapi(_: web.Request) -> web.Response:
    """The public routes, as the gateway's OpenAPI document shows them"""
    return json_response(describe(table()))


def _answer(model: type[models.Identity], session: models.Session) -> web.Response:
    """Only what `model` shows of a session."""
    return json_response(session.model_dump(include=set(model.model_fields)))
