"""Puts the vault together."""

from collections.abc import AsyncIterator
from functools import partial

from aiohttp import web

from chassis import changes, once, owners, staging
from chassis.changes import watching
from chassis.database import opened
from chassis.forgetting import forgetting
from chassis.metrics import ON_SCRAPE, Refresh
from chassis.secrets import root_secret
from chassis.serving import DATABASE, service
from vault_service.arrivals import prepare
from vault_service.belongings import KeyBelongings
from vault_service.part import KeysPart
from vault_service.ring import KeyRing
from vault_service.routes import ENVIRONMENT, STORE, routes
from vault_service.settings import Settings
from vault_service.unlocking import tell_keys, unlock


def create_app(settings: Settings) -> web.Application:
    """The application; it answers nothing before the key-encryption keys are derived."""

    async def vault(app: web.Application) -> AsyncIterator[None]:
        root = root_secret(settings.secret_key, settings.database.parent)
        async with (
            opened(settings.database, "vault_service") as database,
            watching(app, database),
            forgetting(database, once.forget_old),
        ):
            app[STORE] = await unlock(database, root, settings.secret_key_previous)
            app[DATABASE] = database
            refreshed: list[Refresh] = [partial(tell_keys, database, app[STORE].ring)]
            app[ON_SCRAPE] = refreshed
            yield

    def ring() -> KeyRing:
        return app[STORE].ring  # it is there once the vault is unlocked

    part = KeysPart(ring)
    app = service(
        [
            *routes(),
            *staging.routes(DATABASE, part, prepare),
            *changes.routes(),
            *owners.routes(DATABASE, KeyBelongings(ring), part),
        ],
        audience="vault",
        gateways=settings.gateway_url,
        max_body=settings.max_body_bytes,
        lifespans=[vault],
    )
    app[ENVIRONMENT] = settings.environment_keys
    return app
