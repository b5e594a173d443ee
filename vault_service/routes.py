"""The vault's addresses. Only `/internal/keys` answers with a key, to workers alone; in a backup they are sealed."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web
from pydantic import SecretStr

from chassis import openapi
from chassis.documents import write
from chassis.messages import json_response, read_json
from chassis.once import write_once
from chassis.peers import Scope, caller
from chassis.problems import Problem
from chassis.serving import DATABASE, Route
from vault_service import catalogue, disclosure
from vault_service.disclosure import ProfileKey
from vault_service.models import (
    ApiKey,
    ApiKeys,
    BackupPassphrase,
    CredentialStatus,
    Deleted,
    NewKey,
    PlaintextKey,
    Provider,
    Providers,
    StoredKey,
)
from vault_service.store import Outcome, Store, locked
from vault_service.travelling import seal_all
from vault_service.turns import in_turn

STORE: web.AppKey[Store] = web.AppKey("store", Store)
ENVIRONMENT: web.AppKey[Mapping[str, SecretStr]] = web.AppKey("environment", Mapping)


def routes() -> list[Route]:
    keys, key = "/api/settings/api-keys", "/api/settings/api-keys/{provider}"
    return [
        Route("GET", keys, list_api_keys, Scope.OWNER, answer=ApiKeys),
        Route("PUT", key, put_api_key, Scope.OWNER, body=NewKey, answer=StoredKey),
        Route("DELETE", key, delete_api_key, Scope.OWNER, answer=Deleted),
        Route("GET", "/api/providers", list_providers, Scope.OWNER, answer=Providers),
        Route("GET", "/internal/keys/{provider}", read_plaintext_key, Scope.WORKER, answer=PlaintextKey),
        Route("GET", "/internal/backup", back_up, Scope.SYSTEM),
        Route("POST", "/internal/backup", back_up_with_keys, Scope.SYSTEM, body=BackupPassphrase),
        Route("GET", "/internal/openapi", describe, Scope.SYSTEM),
    ]


async def list_api_keys(request: web.Request) -> web.Response:
    """Say which provider keys are there, masked."""
    return json_response(ApiKeys(api_keys=await _statuses(request)))


async def put_api_key(request: web.Request) -> web.Response:
    """Store a provider's key in place of the one before."""
    provider = catalogue.supported(request.match_info["provider"])
    api_key = (await read_json(request, NewKey)).api_key
    work = request.app[STORE].to_keep(caller(request).owner, provider, api_key)

    def without_mask(updated_at: str) -> web.Response:
        return json_response(StoredKey(provider=provider, configured=True, masked=None, updated_at=updated_at))

    answer = await write_once(request, request.app[DATABASE], work, without_mask)
    return _masked(answer, api_key)


async def delete_api_key(request: web.Request) -> web.Response:
    """Delete a provider's key from the profile."""
    provider = catalogue.supported(request.match_info["provider"])

    def deleted(was_there: bool) -> web.Response:
        return json_response(Deleted(provider=provider, deleted=was_there))

    work = request.app[STORE].to_delete(caller(request).owner, provider)
    return await write_once(request, request.app[DATABASE], work, deleted)


async def list_providers(request: web.Request) -> web.Response:
    """Describe every provider, and say which of them can be used."""
    stored = await request.app[STORE].profile_keys(caller(request).owner)
    environment = request.app[ENVIRONMENT]
    usable = [each for each in catalogue.SUPPORTED if disclosure.available(stored.get(each), environment.get(each))]
    return json_response(
        Providers(
            available_providers=usable,
            provider_count=len(usable),
            supported_providers=list(catalogue.SUPPORTED),
            providers=[Provider(**dict(row), available=row.id in usable) for row in catalogue.ROWS],
            credential_status={each.provider: CredentialStatus(**dict(each)) for each in _rows(stored, request)},
            defaults=catalogue.DEFAULTS,
        )
    )


async def read_plaintext_key(request: web.Request) -> web.Response:
    """Hand one key to a worker, after noting it in the audit."""
    provider = catalogue.supported(request.match_info["provider"])
    reading = await request.app[STORE].read_key(caller(request), provider, request.app[ENVIRONMENT].get(provider))
    if reading.found is None:
        raise _no_key(provider, reading.outcome)
    api_key, source = reading.found
    answer = json_response(PlaintextKey(provider=provider, api_key=api_key.get_secret_value(), source=source))
    answer.headers["Cache-Control"] = "no-store"
    return answer


async def back_up(request: web.Request) -> web.Response:
    """The masked rows, one a line: few and small, so that they need no stream."""
    return _lines(await _statuses(request))


async def back_up_with_keys(request: web.Request) -> web.Response:
    """The keys that can be read, sealed under a passphrase, in the first line; then the masked rows."""
    passphrase = (await read_json(request, BackupPassphrase)).passphrase
    stored = await request.app[STORE].keys_to_travel(caller(request))
    keys = {provider: found.api_key for provider, found in stored.items() if found.api_key is not None}
    sealed = await in_turn(seal_all, keys, passphrase)
    return _lines(_rows(stored, request), sealed)


async def describe(_: web.Request) -> web.Response:
    """The vault's part of the OpenAPI document."""
    return json_response(openapi.describe(routes()))


def _masked(answer: web.Response, api_key: SecretStr) -> web.Response:
    """The answer of a write with what may be shown of the key. In the file, where the answer is kept so that it can be
    given again, not even that stands in clear: it is put in here, read back since it may be an answer from before. Who
    asks again sends the same key again."""
    stored = StoredKey.model_validate_json(bytes(answer.body))  # type: ignore[arg-type]
    return json_response(stored.model_copy(update={"masked": disclosure.mask(api_key)}))


async def _statuses(request: web.Request) -> list[ApiKey]:
    return _rows(await request.app[STORE].profile_keys(caller(request).owner), request)


def _rows(stored: Mapping[str, ProfileKey], request: web.Request) -> list[ApiKey]:
    environment = request.app[ENVIRONMENT]
    return [disclosure.status(each, stored.get(each), environment) for each in catalogue.SUPPORTED]


def _lines(rows: list[ApiKey], *first: dict[str, Any]) -> web.Response:
    lines = [write(value) + b"\n" for value in (*first, *(row.model_dump() for row in rows))]
    return web.Response(body=b"".join(lines), content_type="application/x-ndjson")


def _no_key(provider: str, outcome: Outcome) -> Problem:
    if outcome is Outcome.LOCKED:
        return locked()
    if outcome is Outcome.UNREADABLE:
        return Problem(409, "key_unreadable", f"The stored {provider} key is damaged; its owner has to save it again.")
    return Problem(404, "no_key", f"There is no {provider} key, neither in the profile nor on the server.")
