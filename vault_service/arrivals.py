"""Keys that come in with a restore: out of the seal of their passphrase, into the envelope of this vault.

Plaintext lives between the two seals only, in memory; what goes on from here is sealed for its owner.
"""

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

from aiohttp import web
from pydantic import SecretStr, ValidationError

from chassis.documents import pointer
from chassis.peers import caller
from chassis.problems import Problem, field_errors
from chassis.uploads import Item
from vault_service import catalogue
from vault_service.metrics import FAILURES, Reason
from vault_service.models import NewKey
from vault_service.ring import KeyRing
from vault_service.routes import STORE
from vault_service.sealing import Sealed
from vault_service.travelling import open_all
from vault_service.turns import in_turn

SEALED_API_KEYS: Final = "sealed_api_keys"
HEADER: Final = "Animatize-Backup-Passphrase"
PERCENT_ENCODED: Final = re.compile(r"([ -$&-~]|%[0-9A-Fa-f]{2})*")


@dataclass(frozen=True)
class Ready:
    """The value of an item that `prepare` has made: a key in this vault's envelope. No upload can hold one."""

    provider: str
    sealed: Sealed


@dataclass(frozen=True)
class Unfit:
    """The value of an item for a key that cannot be kept, and why."""

    message: str


async def prepare(request: web.Request, items: list[Item]) -> list[Item]:
    """Open what came sealed under a passphrase, and seal each key again for this owner in this vault.

    Raises Problem 400 where it does not open, 503 where the vault is locked.
    """
    ready: list[Item] = []
    for item in items:
        ready += await _open(request, item) if item.kind == SEALED_API_KEYS else [item]
    return ready


async def _open(request: web.Request, item: Item) -> list[Item]:
    store = request.app[STORE]
    await store.refuse_if_locked()
    passphrase = read_passphrase(request)
    try:
        keys = await in_turn(open_all, item.value, passphrase)
    except Problem as problem:
        FAILURES[Reason(problem.code)].inc()
        raise
    return [
        Item(
            item.position,
            item.pointer + pointer("providers", index),
            item.kind,
            _judged(store.ring, caller(request).owner, provider, api_key),
        )
        for index, (provider, api_key) in enumerate(keys.items())
    ]


def _judged(ring: KeyRing, owner: str, provider: str, api_key: SecretStr) -> Ready | Unfit:
    if provider not in catalogue.SUPPORTED:
        return Unfit(f"Keys can be kept for these providers: {', '.join(catalogue.SUPPORTED)}.")
    try:
        fit = NewKey(api_key=api_key).api_key
    except ValidationError as error:
        return Unfit(f"This key cannot be kept: {field_errors(error)[0]['message']}.")
    return Ready(provider, ring.seal(owner, provider, fit))


def read_passphrase(request: web.Request) -> SecretStr:
    """The passphrase of the request's header. Raises Problem 400 unless it is there once, percent-encoded UTF-8."""
    given = request.headers.getall(HEADER, [])
    with suppress(UnicodeDecodeError):
        if len(given) == 1 and PERCENT_ENCODED.fullmatch(given[0]):
            return SecretStr(unquote_to_bytes(given[0]).decode())
    detail = f"Send the backup's passphrase once, in the header {HEADER}, as percent-encoded UTF-8."
    raise Problem(400, "bad_passphrase_header", detail)
