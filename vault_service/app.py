"""Puts the vault together."""

from collections.abc import AsyncIterator

from aiohttp import web

from chassis import staging
from chassis.database import opened
from chassis.secrets import root_secret
from chassis.serving import DATABASE, service
from vault_service.arrivals import prepare
from vault_service.part import KeysPart
from vault_service.routes import ENVIRONMENT, STORE, routes
from vault_service.settings import Settings
from vault_service.store import unlock


def create_app(settings: Settings) -> web.Application:
    """The application; it answers nothing before the key-encryption key is derived."""

    async def vault(app: web.Application) -> AsyncIterator[None]:
        root = root_secret(settings.secret_key, settings.database.parent)
        async with opened(settings.database, "vault_service") as database:
            app[STORE] = await unlock(database, root)
            app[DATABASE] = database
            yield

    part = KeysPart(lambda: app[STORE].key)  # it is there once the vault is unlocked
    app = service(
        [*routes(), *staging.routes(DATABASE, part, prepare)],
        audience="vault",
        gateways=settings.gateway_url,
        max_body=settings.max_body_bytes,
        lifespans=[vault],
    )
    app[ENVIRONMENT] = settings.environment_keys
    return app
