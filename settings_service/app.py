"""Puts the settings service together; nothing is decided here."""

from collections.abc import AsyncIterator

from aiohttp import web

from chassis import changes, once, owners, staging
from chassis.changes import watching
from chassis.database import opened
from chassis.forgetting import forgetting
from chassis.serving import DATABASE, service
from settings_service.belongings import SettingsBelongings
from settings_service.limits import LARGEST_BODY
from settings_service.part import SettingsPart
from settings_service.routes import ROUTES, STORE
from settings_service.settings import Settings
from settings_service.store import Store


def create_app(settings: Settings) -> web.Application:
    """The application over the file of `settings`, opened at its start and closed at its end."""

    async def storage(app: web.Application) -> AsyncIterator[None]:
        async with (
            opened(settings.database, "settings_service") as database,
            watching(app, database),
            forgetting(database, once.forget_old),
        ):
            app[DATABASE] = database
            app[STORE] = Store(database, settings.owner_quota_bytes)
            yield

    part = SettingsPart(settings.owner_quota_bytes)
    return service(
        [
            *ROUTES,
            *staging.routes(DATABASE, part),
            *owners.routes(DATABASE, SettingsBelongings(), part),
            *changes.routes(),
        ],
        audience="settings",
        gateways=settings.gateway_url,
        max_body=min(settings.max_body_bytes, LARGEST_BODY),
        lifespans=[storage],
    )
