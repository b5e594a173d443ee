"""What the tests of the settings service ask again and again."""

import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from chassis.peers import Scope
from chassis.uploads import encode_end, encode_item
from tests.conftest import LEGACY
from tests.support import Asker

Items = list[tuple[str, str, Any]]


async def told(answer: Any, status: int = 200) -> dict[str, Any]:
    """The JSON of an answer that has this status."""
    assert answer.status == status, f"{answer.status}: {(await answer.text())[:500]}"
    found: dict[str, Any] = await answer.json(content_type=None)
    return found


async def current(asker: Asker, owner: str = "guest:a") -> dict[str, Any]:
    return await told(await asker.get("/api/settings", owner=owner))


async def save(asker: Asker, settings: Any, status: int = 200, *, note: str | None = None, **rest: Any) -> Any:
    body = {"settings": settings} | ({"change_note": note} if note is not None else {})
    return await told(await put(asker, json.dumps(body), **rest), status)


async def put(asker: Asker, text: str, *, headers: dict[str, str] | None = None, **rest: Any) -> Any:
    """PUT a JSON text as it is, however large and however wrong."""
    headers = {"Content-Type": "application/json", **(headers or {})}
    return await asker.put("/api/settings", data=BytesIO(text.encode()), headers=headers, **rest)


async def patch(asker: Asker, changes: Any, status: int = 200, *, base: int | None = None, **rest: Any) -> Any:
    """PATCH with `base`, if any; the answer with this status. `rest`: owner, headers, note."""
    query = {} if base is None else {"base": str(base)}
    if (note := rest.pop("note", None)) is not None:
        query["change_note"] = note
    headers = {"Content-Type": "application/merge-patch+json", **rest.pop("headers", {})}
    data = BytesIO(json.dumps(changes).encode())
    return await told(await asker("PATCH", "/api/settings", params=query, data=data, headers=headers, **rest), status)


async def version_told(asker: Asker, owner: str = "guest:a") -> int:
    """The version that the owner's other devices are told of."""
    answer = await told(await asker.get("/internal/changes/current", scope=Scope.SYSTEM, owner=owner))
    assert answer["value"] == {"version": answer["version"]}
    version: int = answer["version"]
    return version


async def whole_history(asker: Asker, owner: str = "guest:a", limit: int = 100) -> list[dict[str, Any]]:
    """Every entry, newest first, page by page."""
    found: list[dict[str, Any]] = []
    query = {"limit": str(limit)}
    while True:
        page = await told(await asker.get("/api/settings/history", params=query, owner=owner))
        found += page["history"]
        if page["next_before"] is None:
            return found
        query["before"] = str(page["next_before"])


def entry(version: int | None, settings: Any, *, minute: int = 0, note: str = "settings_change") -> dict[str, Any]:
    shown = {"settings": settings, "change_note": note, "created_at": f"2026-11-22T10:{minute:02}:00.000000+00:00"}
    return shown if version is None else {"id": version, "version": version, **shown}


def history(*entries: dict[str, Any]) -> Items:
    return [(f"/history/{number}", "history", each) for number, each in enumerate(entries)]


def whole(settings: dict[str, Any]) -> Items:
    return [("/settings/settings", "settings", settings)]


async def stage(
    asker: Asker,
    items: Items,
    restore_id: str,
    owner: str = "guest:a",
    status: int = 200,
    *,
    parts: Iterable[str] = (),
    **query: str,
) -> Any:
    data = b"".join(encode_item(*item) for item in items) + encode_end(len(items), parts)
    path = f"/internal/restores/{restore_id}"
    answer = await asker.put(path, data=BytesIO(data), owner=owner, scope=Scope.SYSTEM, params=query)
    return await told(answer, status)


async def commit(asker: Asker, restore_id: str, owner: str = "guest:a", status: int = 200) -> Any:
    return await step(asker, restore_id, "commit", owner, status)


async def step(asker: Asker, restore_id: str, name: str, owner: str = "guest:a", status: int = 200) -> Any:
    path = f"/internal/restores/{restore_id}/{name}"
    return await told(await asker.post(path, owner=owner, scope=Scope.SYSTEM), status)


async def restore(
    asker: Asker, items: Items, restore_id: str = "one", owner: str = "guest:a", **how: Any
) -> dict[str, Any]:
    """Stage and commit; the plan must have told what was then done."""
    staged = await stage(asker, items, restore_id, owner, **how)
    committed: dict[str, Any] = await commit(asker, restore_id, owner)
    state = committed.pop("state")
    assert committed == staged
    assert state["version"] == (await told(await asker.get("/api/settings", owner=owner)))["version"]
    return committed


async def replace(asker: Asker, items: Items, restore_id: str = "one", **how: Any) -> dict[str, Any]:
    """Restore in mode replace; the document carries the parts of its items, unless told otherwise."""
    parts = {"history" if kind == "history" else "settings" for _, kind, _ in items}
    return await restore(asker, items, restore_id, **{"parts": parts, "mode": "replace", **how})


async def undo(asker: Asker, undoes: str = "one", undo_id: str = "undo", owner: str = "guest:a") -> dict[str, Any]:
    """Take a restore back as the gateway would, whose public name for it is its id in capitals."""
    note = [("", "note", f"undo:{undoes.upper()}")]
    return await restore(asker, note, undo_id, owner, mode="undo", undoes=undoes)


async def backup(asker: Asker, owner: str = "guest:a") -> list[Any]:
    """The profile and every version, newest first."""
    answer = await asker.get("/internal/backup", scope=Scope.SYSTEM, owner=owner)
    assert (answer.status, answer.content_type) == (200, "application/x-ndjson")
    return [json.loads(line) for line in (await answer.text()).splitlines()]


def check_file(file: Path, owner: str = "guest:a") -> None:
    """What holds at every moment: the highest version is the current one, and the usage is what a recount gives."""
    with closing(sqlite3.connect(file)) as tx:
        size = "coalesce(sum(length(settings) + length(CAST(change_note AS BLOB))), 0)"
        highest, recounted = tx.execute(
            f"SELECT max(version), {size} FROM versions WHERE owner = ?", (owner,)
        ).fetchone()
        assert tx.execute("SELECT version FROM profiles WHERE owner = ?", (owner,)).fetchone() == (highest,)
        assert tx.execute("SELECT bytes FROM usage WHERE owner = ?", (owner,)).fetchone() == (recounted,)
        assert tx.execute("PRAGMA foreign_key_check").fetchall() == []


def rows_for_undo(file: Path) -> tuple[int, int]:
    """How many profiles and how many history entries are kept for an undo, of all owners."""
    with closing(sqlite3.connect(file)) as tx:
        (profiles,) = tx.execute("SELECT count(*) FROM undo_profiles").fetchone()
        (entries,) = tx.execute("SELECT count(*) FROM undo_versions").fetchone()
        return profiles, entries


def legacy(name: str) -> Any:
    """A real document of an older build."""
    file = LEGACY / name
    if not file.is_file():
        pytest.skip(f"{name} is not on this machine")
    return json.loads(file.read_text(encoding="utf-8"))


def as_items(backup: dict[str, Any]) -> Items:
    """The settings' share of a backup document, as the gateway hands it in."""
    settings = [("/settings/settings", "settings", backup["settings"]["settings"])]
    return settings + [(f"/history/{number}", "history", entry) for number, entry in enumerate(backup["history"])]
