"""Puts the auth service together: its routes over its one file."""

from collections.abc import AsyncIterator

from aiohttp import web

from auth_service.routes import GOOGLE_CLIENT_ID, STORE, table
from auth_service.settings import Settings
from auth_service.store import Clock, Store, utc_now
from chassis.database import opened
from chassis.serving import DATABASE, service


def create_app(settings: Settings, clock: Clock = utc_now) -> web.Application:
    """The auth service. `clock` tells the time by which sessions are made, seen and expire."""

    async def storage(app: web.Application) -> AsyncIterator[None]:
        async with opened(settings.database, "auth_service") as database:
            app[DATABASE] = database
            app[STORE] = store = Store(database, settings.session_life, clock)
            yield
            await store.settled()

    app = service(
        table(), audience="auth", gateways=settings.gateway_url, max_body=settings.max_body_bytes, lifespans=[storage]
    )
    app[GOOGLE_CLIENT_ID] = settings.google_client_id
    return app
