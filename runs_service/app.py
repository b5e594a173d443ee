"""Puts the runs service together."""

from collections.abc import AsyncIterator

from aiohttp import web

from chassis import once
from chassis.changes import watching
from chassis.database import opened
from chassis.forgetting import forgetting
from chassis.serving import DATABASE, service
from runs_service import tombstones
from runs_service.limits import Limits
from runs_service.part import RunsPart
from runs_service.routes import STORE, TOKENS, routes
from runs_service.settings import Settings
from runs_service.store import Store, file_key
from runs_service.tokens import Tokens


def create_app(settings: Settings) -> web.Application:
    """The application over the file that `settings` names."""

    limits = Limits(run=settings.max_body_bytes, owner=settings.owner_quota_bytes)

    async def storage(app: web.Application) -> AsyncIterator[None]:
        async with (
            opened(settings.database, "runs_service") as database,
            watching(app, database),
            forgetting(database, tombstones.forget_old, once.forget_old),
        ):
            app[DATABASE] = database
            app[STORE] = Store(database, limits)
            app[TOKENS] = Tokens(await file_key(database))
            yield

    return service(
        routes(RunsPart(limits)),
        audience="runs",
        gateways=settings.gateway_url,
        max_body=settings.max_body_bytes,
        lifespans=[storage],
    )
