"""The gateway's side of a restore, towards the vault."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

from aiohttp import ClientResponse
from pydantic import SecretStr

from chassis.peers import Scope
from chassis.uploads import encode_end, encode_item
from tests.support import Asker
from tests.vault_service.test_routes import SUPPORTED, plaintext
from vault_service.travelling import seal_all

PASSPHRASE = "correct horse — battery stāple 100%"
HEADER = {"Animatize-Backup-Passphrase": quote(PASSPHRASE, safe="")}
Item = tuple[str, str, Any]


def sealed(**keys: str) -> list[Item]:
    """The one item of a document that carries these keys."""
    travelling = seal_all({name: SecretStr(key) for name, key in keys.items()}, SecretStr(PASSPHRASE))
    return [("/sealed_api_keys", "sealed_api_keys", travelling)]


def upload(items: list[Item], parts: tuple[str, ...] = ("api_keys",)) -> bytes:
    return b"".join(encode_item(*item) for item in items) + encode_end(len(items), parts)


async def stage(
    asker: Asker, items: list[Item], id_: str = "r1", *, parts: tuple[str, ...] = ("api_keys",), **rest: Any
) -> ClientResponse:
    """`rest`: owner, headers, and the query as `mode` and `undoes`."""
    query = {name: rest.pop(name) for name in ("mode", "undoes") if name in rest}
    rest.setdefault("headers", HEADER)
    path = f"/internal/restores/{id_}"
    return await asker.put(path, scope=Scope.SYSTEM, data=upload(items, parts), params=query, **rest)


async def step(asker: Asker, name: str, id_: str = "r1", **rest: Any) -> ClientResponse:
    return await asker.post(f"/internal/restores/{id_}/{name}", scope=Scope.SYSTEM, **rest)


async def told(answer: ClientResponse) -> dict[str, Any]:
    assert answer.status == 200, await answer.text()
    found: dict[str, Any] = await answer.json()
    return found


async def restore(asker: Asker, id_: str = "r1", *, mode: str = "merge", **keys: str) -> dict[str, Any]:
    """Stage and commit; the plan of both has to be the same."""
    staged = await told(await stage(asker, sealed(**keys), id_, mode=mode))
    committed = await told(await step(asker, "commit", id_))
    assert committed == staged
    return committed


async def undo(asker: Asker, undoes: str = "r1", id_: str = "u1") -> tuple[int, int]:
    """Stage and commit an undo; how many keys were undone, and how many stayed."""
    note = [("", "note", "undo:abc")]
    staged = await told(await stage(asker, note, id_, parts=(), headers={}, mode="undo", undoes=undoes))
    committed = await told(await step(asker, "commit", id_))
    assert committed == staged
    assert set(committed) == {"undone", "stayed"}
    return committed["undone"]["api_keys"], committed["stayed"]["api_keys"]


async def keys(asker: Asker, owner: str = "guest:a") -> dict[str, str]:
    """The plaintext keys of the profile, as a worker would read them."""
    answers = {name: await plaintext(asker, name, owner) for name in SUPPORTED}
    return {name: (await answer.json())["api_key"] for name, answer in answers.items() if answer.status == 200}


def table(file: Path, name: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(file)) as database:
        return database.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall()
