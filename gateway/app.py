"""Puts the gateway together."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

from aiohttp import web

from chassis import serving
from chassis.background import at_work
from chassis.changes import watching
from chassis.database import opened
from chassis.metrics import ON_SCRAPE, Refresh
from chassis.peers import Signer
from chassis.problems import unavailable
from chassis.secrets import root_secret
from chassis.serving import Lifespan
from gateway.addresses import TRUSTED_PROXIES
from gateway.cross_site import PUBLIC_URL, cross_site_refused
from gateway.erasure import sweep_for_ever
from gateway.events import LOOKS, LOOKS_AT_ONCE
from gateway.feeds import listening
from gateway.forwarding import SERVICES
from gateway.headers import protecting
from gateway.idempotency import FINGERPRINT_KEYS, fingerprint_keys
from gateway.identity import IDENTITY, Audience, Identity, cookie_setter, identified
from gateway.journal import JOURNAL, Journal
from gateway.limiting import NEW_GUESTS, SIGN_INS, Limit
from gateway.metrics import tell_unfinished
from gateway.routes import RESTORE_LIMIT, ROUTES, SIGNER
from gateway.sending import connections
from gateway.services import Auth, Keeper, Services, SettingsKeeper
from gateway.settings import Settings
from gateway.settling import recover


def create_app(settings: Settings) -> web.Application:
    """The gateway: outermost first, its middlewares log, answer problems, refuse other sites, say who is calling."""
    middlewares = [serving.logged(every=True), serving.problems_answered, cross_site_refused, identified]
    app = web.Application(
        middlewares=middlewares,
        client_max_size=settings.max_body_bytes,
        handler_args={"auto_decompress": False},  # see gateway/compression.py, which bounds what a body may cost
    )
    serving.add_routes(app, ROUTES, Audience)
    serving.add_health(app, _all_ready)
    app[PUBLIC_URL] = settings.public_url or settings.listen.url
    app[TRUSTED_PROXIES] = settings.trusted_proxies
    app[NEW_GUESTS] = Limit(settings.new_guests_per_minute, "new guests")
    app[SIGN_INS] = Limit(settings.sign_ins_per_minute, "attempts to sign in")
    app[LOOKS] = asyncio.Semaphore(LOOKS_AT_ONCE)
    app[RESTORE_LIMIT] = settings.restore_max_bytes
    secret = root_secret(settings.secret_key, settings.database.parent)
    app[SIGNER] = Signer(secret, settings.secret_key_previous)
    app[FINGERPRINT_KEYS] = fingerprint_keys(secret, settings.secret_key_previous)
    app.on_response_prepare.append(cookie_setter(secure=settings.cookie_secure))
    google = settings.google_client_id is not None
    app.on_response_prepare.append(protecting(production=settings.env == "production", google=google))
    app.cleanup_ctx.extend([_peers(settings), _journal(settings), listening])
    return app


def _peers(settings: Settings) -> Lifespan:
    async def context(app: web.Application) -> AsyncIterator[None]:
        async with connections() as http:
            signer = app[SIGNER]
            app[SERVICES] = Services(
                Auth("auth", settings.auth_url, http, signer),
                SettingsKeeper("settings", settings.settings_url, http, signer),
                Keeper("runs", settings.runs_url, http, signer),
                Keeper("vault", settings.vault_url, http, signer),
            )
            app[IDENTITY] = Identity(app[SERVICES].auth)
            yield

    return context


def _journal(settings: Settings) -> Lifespan:
    async def context(app: web.Application) -> AsyncIterator[None]:
        async with opened(settings.database, "gateway") as database, watching(app, database):
            app[JOURNAL] = Journal(database, settings.lease_seconds)
            refreshed: list[Refresh] = [partial(tell_unfinished, app[JOURNAL].unfinished)]
            app[ON_SCRAPE] = refreshed
            sweeping = sweep_for_ever(app[SERVICES], app[JOURNAL], settings.sweep_seconds)
            async with at_work(recover(app[SERVICES], app[JOURNAL]), sweeping):
                yield

    return context


async def _all_ready(app: web.Application) -> None:
    missing = [name for name, ready in (await app[SERVICES].ready()).items() if not ready]
    if missing:
        raise unavailable("not_ready", f"Not ready: {', '.join(missing)}.", unavailable=missing)
