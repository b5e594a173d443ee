"""What the tests of the settings service ask again and again."""

import json
from io import BytesIO
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


async def stage(asker: Asker, items: Items, restore_id: str, owner: str = "guest:a", status: int = 200) -> Any:
    data = b"".join(encode_item(*item) for item in items) + encode_end(len(items))
    path = f"/internal/restores/{restore_id}"
    return await told(await asker.put(path, data=BytesIO(data), owner=owner, scope=Scope.SYSTEM), status)


async def commit(asker: Asker, restore_id: str, owner: str = "guest:a", status: int = 200) -> Any:
    path = f"/internal/restores/{restore_id}/commit"
    return await told(await asker.post(path, owner=owner, scope=Scope.SYSTEM), status)


async def restore(asker: Asker, items: Items, restore_id: str = "one", owner: str = "guest:a") -> dict[str, Any]:
    """Stage and commit; the plan must have told what was then done."""
    staged = await stage(asker, items, restore_id, owner)
    committed: dict[str, Any] = await commit(asker, restore_id, owner)
    assert (committed["plan"], committed["restored"]) == (staged["plan"], staged["restored"])
    return committed


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
