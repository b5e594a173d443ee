"""The public routes: which service answers each, and the few that the gateway answers itself."""

import re
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from urllib.parse import unquote

from aiohttp import web
from pydantic import SecretStr

from chassis.messages import chain, json_response, read_json, read_query, streamed
from chassis.peers import JWKS_PATH, Signer
from chassis.problems import Problem
from chassis.serving import Route
from gateway import backup, restore, undo
from gateway.account import delete_account, log_out, sign_in_with_google
from gateway.compression import acceptable_coding, body_of, encoded, too_large
from gateway.events import tell_events
from gateway.forwarding import SERVICES, end_sessions, to
from gateway.idempotency import FINGERPRINT_KEYS, Fingerprint, requested_name
from gateway.identity import IDENTITY, SESSION, Audience
from gateway.journal import JOURNAL
from gateway.models import (
    AccountDeleted,
    AccountDeletion,
    BackupDocument,
    BackupRequest,
    GoogleCredential,
    Health,
    LoggedOut,
    RestoreAnswer,
    RestoreEntry,
    RestoreHeaders,
    RestoreList,
    RestoreQuery,
    SignedIn,
    UndoAnswer,
)
from gateway.pages import describe_api, show_api, show_console, show_file
from gateway.peer import Peer
from gateway.refusals import unknown_restore
from gateway.services import PASSPHRASE_HEADER, Services

SIGNER: web.AppKey[Signer] = web.AppKey("signer", Signer)
RESTORE_LIMIT: web.AppKey[int] = web.AppKey("restore_limit", int)
STRAY_PERCENT = re.compile("%(?![0-9A-Fa-f]{2})")
STALL_SECONDS = 30.0  # how long a backup waits for a reader that takes nothing


async def export_backup(request: web.Request) -> web.StreamResponse:
    """Everything of this profile as one document: settings, all history, all runs, the status of provider keys."""
    return await _stream_backup(request, None)


async def export_sealed_backup(request: web.Request) -> web.StreamResponse:
    """The same with the provider keys, sealed under a passphrase: readable on any server with it, on none without."""
    passphrase = (await read_json(request, BackupRequest)).passphrase
    await request.app[IDENTITY].refuse_ended(request)
    return await _stream_backup(request, passphrase)


async def _stream_backup(request: web.Request, passphrase: SecretStr | None) -> web.StreamResponse:
    document = backup.backup(request[SESSION].owner, request.app[SERVICES], request.app[JOURNAL], passphrase)
    async with aclosing(document):
        first = await anext(document)
        name = f"animatize-backup-{datetime.now(UTC):%Y-%m-%d}.json"
        headers = {"Content-Type": "application/json", "Content-Disposition": f'attachment; filename="{name}"'}
        headers["Vary"] = "Accept-Encoding"
        pieces = chain(first, document)
        if coding := acceptable_coding(request):
            headers["Content-Encoding"] = coding
            pieces = encoded(pieces, coding)
        return await streamed(request, web.StreamResponse(headers=headers), pieces, stall_seconds=STALL_SECONDS)


async def import_backup(request: web.Request) -> web.Response:
    """Restore a backup, the older console's backup, or an export of a browser's localStorage."""
    query = read_query(request, RestoreQuery)
    limit = request.app[RESTORE_LIMIT]
    if (request.content_length or 0) > limit:
        raise too_large(limit)
    if not request.can_read_body:
        raise Problem(400, "empty", "Send the document to restore as the body.")
    passphrase = _passphrase(request)
    sealed = passphrase.get_secret_value() if passphrase is not None else ""
    order = restore.Order(
        owner=request[SESSION].owner,
        mode=query.mode,
        dry_run=query.dry_run,
        name=None if query.dry_run else requested_name(request),  # what changes nothing may be repeated
        passphrase=passphrase,
        fingerprint=Fingerprint(request.app[FINGERPRINT_KEYS], query.mode, sealed),
    )
    upload = body_of(request, limit)
    return json_response(await restore.restore(upload, order, request.app[SERVICES], request.app[JOURNAL]))


def _passphrase(request: web.Request) -> SecretStr | None:
    given = request.headers.get(PASSPHRASE_HEADER)
    if given is None:
        return None
    with suppress(UnicodeDecodeError):
        if given.isascii() and not STRAY_PERCENT.search(given):
            return SecretStr(unquote(given, errors="strict"))
    detail = f"{PASSPHRASE_HEADER} takes the passphrase in UTF-8, percent-encoded."
    raise Problem(400, "bad_passphrase_header", detail)


async def list_restores(request: web.Request) -> web.Response:
    """This profile's restores, newest first: how far each has come, what came in, whether it can be undone."""
    entries = await request.app[JOURNAL].restores(request[SESSION].owner)
    return json_response({"restores": [entry.listed() for entry in entries]})


async def show_restore(request: web.Request) -> web.Response:
    """One restore, dry run or undo."""
    entry = await request.app[JOURNAL].entry(request[SESSION].owner, request.match_info["id"])
    if entry is None:
        raise unknown_restore()
    return json_response(entry.shown())


async def undo_restore(request: web.Request) -> web.Response:
    """Give back what the latest restore replaced, where nothing was written since. Once, and within seven days."""
    owner, name = request[SESSION].owner, request.match_info["id"]
    services, journal = request.app[SERVICES], request.app[JOURNAL]
    return json_response(await undo.undo(name, owner, services, journal, key=requested_name(request)))


async def report_health(request: web.Request) -> web.Response:
    """Whether every service is ready, and which is not."""
    states = {name: "ok" if it else "unavailable" for name, it in (await request.app[SERVICES].ready()).items()}
    status = "degraded" if "unavailable" in states.values() else "ok"
    return json_response({"status": status, "timestamp": datetime.now(UTC).isoformat(), "services": states})


async def publish_keys(request: web.Request) -> web.Response:
    """The public keys with which services check the gateway's tokens (RFC 7517)."""
    return json_response(request.app[SIGNER].jwks())


def _auth(services: Services) -> Peer:
    return services.auth


def _settings(services: Services) -> Peer:
    return services.settings


def _runs(services: Services) -> Peer:
    return services.runs


def _vault(services: Services) -> Peer:
    return services.vault


RUN = "/api/runs/{run_id:[^/]+}"  # aiohttp's own pattern has no place for the braces that an id may hold
FAVORITE = RUN + "/variants/{variant_id:[^/]+}/favorite"
SESSION_NEEDED, WELCOME, ANYONE = Audience.SESSION, Audience.WELCOME, Audience.ANYONE

ROUTES = [
    Route("GET", "/", show_console, ANYONE),
    Route("GET", "/console/{file:.+}", show_file, ANYONE),
    Route("GET", "/health", report_health, ANYONE, answer=Health),
    Route("GET", JWKS_PATH, publish_keys, ANYONE),
    Route("GET", "/api/openapi.json", describe_api, ANYONE),
    Route("GET", "/api/docs", show_api, ANYONE),
    Route("GET", "/api/session/bootstrap", to(_auth), SESSION_NEEDED),
    Route("GET", "/api/auth/config", to(_auth), ANYONE),
    Route("GET", "/api/auth/me", to(_auth), SESSION_NEEDED),
    Route("POST", "/api/auth/google", sign_in_with_google, WELCOME, body=GoogleCredential, answer=SignedIn),
    Route("POST", "/api/auth/logout", log_out, WELCOME, answer=LoggedOut),
    Route("GET", "/api/auth/sessions", to(_auth), SESSION_NEEDED),
    Route("DELETE", "/api/auth/sessions", end_sessions, SESSION_NEEDED),
    Route("DELETE", "/api/auth/sessions/{id}", end_sessions, SESSION_NEEDED),
    Route("DELETE", "/api/account", delete_account, SESSION_NEEDED, body=AccountDeletion, answer=AccountDeleted),
    Route("GET", "/api/settings", to(_settings), SESSION_NEEDED),
    Route("PUT", "/api/settings", to(_settings), SESSION_NEEDED),
    Route("PATCH", "/api/settings", to(_settings), SESSION_NEEDED),
    Route("GET", "/api/settings/history", to(_settings), SESSION_NEEDED),
    Route("GET", "/api/settings/history/{id}", to(_settings), SESSION_NEEDED),
    Route("GET", "/api/settings/history/{id}/diff", to(_settings), SESSION_NEEDED),
    Route("POST", "/api/settings/history/{id}/restore", to(_settings), SESSION_NEEDED),
    Route("GET", "/api/presets", to(_settings), SESSION_NEEDED),
    Route("GET", "/api/settings/api-keys", to(_vault), SESSION_NEEDED),
    Route("PUT", "/api/settings/api-keys/{provider}", to(_vault), SESSION_NEEDED),
    Route("DELETE", "/api/settings/api-keys/{provider}", to(_vault), SESSION_NEEDED),
    Route("GET", "/api/providers", to(_vault), SESSION_NEEDED),
    Route("GET", "/api/runs", to(_runs), Audience.FOLLOWER),
    Route("POST", "/api/runs", to(_runs), SESSION_NEEDED),
    Route("DELETE", "/api/runs", to(_runs), SESSION_NEEDED),
    Route("GET", RUN, to(_runs), SESSION_NEEDED),
    Route("PUT", RUN, to(_runs), SESSION_NEEDED),
    Route("DELETE", RUN, to(_runs), SESSION_NEEDED),
    Route("PUT", FAVORITE, to(_runs), SESSION_NEEDED),
    Route("GET", RUN + "/source-image", to(_runs), SESSION_NEEDED),
    Route("GET", "/api/events", tell_events, Audience.SAME_SESSION),
    Route("GET", "/api/settings/backup", export_backup, SESSION_NEEDED, answer=BackupDocument),
    Route(
        "POST", "/api/settings/backup", export_sealed_backup, SESSION_NEEDED, body=BackupRequest, answer=BackupDocument
    ),
    Route(
        "POST",
        "/api/settings/restore",
        import_backup,
        SESSION_NEEDED,
        query=RestoreQuery,
        headers=RestoreHeaders,
        body=BackupDocument,
        answer=RestoreAnswer,
    ),
    Route("POST", "/api/settings/restore/{id}/undo", undo_restore, SESSION_NEEDED, answer=UndoAnswer),
    Route("GET", "/api/settings/restores", list_restores, SESSION_NEEDED, answer=RestoreList),
    Route("GET", "/api/settings/restores/{id}", show_restore, SESSION_NEEDED, answer=RestoreEntry),
]
