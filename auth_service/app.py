"""Puts the auth service together: its routes over its one file, and Google's keys."""

import time
from collections.abc import AsyncIterator, Callable

import aiohttp
from aiohttp import web

from auth_service.clock import Clock, utc_now
from auth_service.google import Google
from auth_service.google_keys import GoogleKeys
from auth_service.lifetimes import Lifetime
from auth_service.presence import Presence
from auth_service.routes import GOOGLE, GOOGLE_CLIENT_ID, PRESENCE, STORE, SWEEPING, USERS, table
from auth_service.settings import Settings
from auth_service.store import Store
from auth_service.sweeping import Sweeping
from auth_service.users import Users
from chassis import changes
from chassis.changes import watching
from chassis.database import opened
from chassis.serving import DATABASE, service


def create_app(
    settings: Settings, clock: Clock = utc_now, monotonic: Callable[[], float] = time.monotonic
) -> web.Application:
    """The auth service. `clock` tells the time by which sessions are made, seen and expire, and a credential is of
    today; `monotonic` that by which Google's keys age."""
    lifetime = Lifetime(settings.session_life)

    async def storage(app: web.Application) -> AsyncIterator[None]:
        async with opened(settings.database, "auth_service") as database, watching(app, database):
            app[DATABASE] = database
            app[STORE] = Store(database, lifetime, clock)
            app[PRESENCE] = presence = Presence(database, lifetime, clock)
            app[USERS], app[SWEEPING] = Users(database, clock), Sweeping(database, clock)
            yield
            await presence.settled()

    async def issuer(app: web.Application) -> AsyncIterator[None]:
        async with aiohttp.ClientSession(auto_decompress=False) as http:  # so that a bounded answer stays one
            keys = GoogleKeys(str(settings.google_jwks_url), http, monotonic)
            app[GOOGLE] = Google(settings.google_client_id, keys, clock)
            yield

    app = service(
        [*table(), *changes.routes()],
        audience="auth",
        gateways=settings.gateway_url,
        max_body=settings.max_body_bytes,
        lifespans=[storage, issuer],
    )
    app[GOOGLE_CLIENT_ID] = settings.google_client_id
    return app
