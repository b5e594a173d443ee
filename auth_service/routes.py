"""The ways into the auth service. It never sees a cookie header: the gateway sets and reads the cookie."""

from aiohttp import web

from auth_service import models
from auth_service.google import Google
from auth_service.presence import Presence
from auth_service.store import Store
from auth_service.sweeping import Sweeping
from auth_service.users import Users
from chassis.messages import json_response, read_json
from chassis.openapi import describe
from chassis.peers import Scope, caller
from chassis.serving import Route

STORE: web.AppKey[Store] = web.AppKey("store", Store)
PRESENCE: web.AppKey[Presence] = web.AppKey("presence", Presence)
USERS: web.AppKey[Users] = web.AppKey("users", Users)
SWEEPING: web.AppKey[Sweeping] = web.AppKey("sweeping", Sweeping)
GOOGLE: web.AppKey[Google] = web.AppKey("google", Google)
GOOGLE_CLIENT_ID: web.AppKey[str | None] = web.AppKey("google_client_id")


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
        Route("POST", "/internal/sessions/wrote", announce_write, system, body=models.Announced, answer=models.Session),
        Route("POST", "/internal/sessions/logout", log_out, system, body=models.Logout, answer=models.OpenedSession),
        Route("POST", "/internal/sessions/sign-in", sign_in, system, body=models.SignIn, answer=models.OpenedSession),
        Route("POST", "/internal/google", verify_google, system, body=models.GoogleCredential, answer=models.Admitted),
        Route("POST", "/internal/guests/claim", claim_guests, system, body=models.ClaimOfGuests),
        Route("POST", "/internal/erasure", erase, system, answer=models.Erased),
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
    return json_response(await request.app[STORE].open_guest(body.user_agent, wrote=body.wrote), status=201)


async def resolve(request: web.Request) -> web.Response:
    """Tell whose cookie this is. No fault of ours is a 401: what is not found is a 404"""
    body = await read_json(request, models.Presented)
    return json_response(await request.app[PRESENCE].resolve(body.token, body.user_agent, wrote=body.wrote))


async def announce_write(request: web.Request) -> web.Response:
    """Note that a guest is about to write something, so that it is not swept as one that never did"""
    body = await read_json(request, models.Announced)
    return json_response(await request.app[PRESENCE].announce_write(body.token))


async def log_out(request: web.Request) -> web.Response:
    """End the session of a cookie and go on as a fresh guest"""
    body = await read_json(request, models.Logout)
    return json_response(await request.app[STORE].log_out(body.token, body.user_agent, wrote=body.wrote))


async def verify_google(request: web.Request) -> web.Response:
    """The user whom a Google ID token confirms. No session yet: what a guest made is to come along first. Asked in the
    name of whoever's session the person comes with"""
    body = await read_json(request, models.GoogleCredential)
    person = await request.app[GOOGLE].person(body.credential)
    return json_response(await request.app[USERS].admit(person, caller(request)))


async def sign_in(request: web.Request) -> web.Response:
    """End the session of a cookie and go on as the user in whose name this is asked"""
    body = await read_json(request, models.SignIn)
    return json_response(await request.app[STORE].sign_in(caller(request).owner, body.token, body.user_agent))


async def claim_guests(request: web.Request) -> web.Response:
    """Guests that are to be erased everywhere, and that nobody can come back to from now on"""
    body = await read_json(request, models.ClaimOfGuests)
    return json_response(models.ClaimedGuests(owners=await request.app[SWEEPING].claim(body.limit)))


async def erase(request: web.Request) -> web.Response:
    """Forget the owner in whose name this is asked, and end its sessions"""
    await request.app[USERS].erase(caller(request).owner)
    return json_response(models.Erased())


async def openapi(_: web.Request) -> web.Response:
    """The public routes, as the gateway's OpenAPI document shows them"""
    return json_response(describe(table()))


def _answer(model: type[models.Identity], session: models.Session) -> web.Response:
    """Only what `model` shows of a session."""
    return json_response(session.model_dump(include=set(model.model_fields)))
