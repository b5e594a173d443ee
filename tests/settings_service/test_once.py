"""Writes that are asked for twice, since an answer was lost: each is done once, in whichever process."""

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from chassis.once import headers_for
from chassis.peers import Scope
from tests.settings_service.conftest import Start
from tests.settings_service.support import current, patch, save, told, whole_history
from tests.support import Asker

RESTORE = "/api/settings/history/1/restore"
WRITES: list[tuple[str, str, Any]] = [
    ("PUT", "/api/settings", {"settings": {"a": 1}}),
    ("PATCH", "/api/settings?base=2", {"a": 1}),
    ("POST", RESTORE, None),
]


def named(method: str, path: str = "/api/settings") -> dict[str, str]:
    """As the gateway says it."""
    return headers_for("one", method, path.partition("?")[0], [b"a key"])


PUT, PATCH = named("PUT"), named("PATCH")


async def write(
    asker: Asker, method: str, path: str, body: Any, owner: str = "guest:a"
) -> tuple[int, str | None, bytes]:
    answer = await asker(method, path, json=body, owner=owner, headers=named(method, path))
    return answer.status, answer.headers.get("ETag"), await answer.read()


@pytest.mark.parametrize(("method", "path", "body"), WRITES)
async def test_a_write_that_is_asked_for_again_gets_its_answer_again_whatever_was_written_since(
    start: Start, method: str, path: str, body: Any
) -> None:
    first, second = await start(), await start()
    await save(first, {"b": 1})
    answer = await write(first, method, path, body)
    assert answer[:2] == (200, '"3"')
    await save(second, {"a": "since"})
    assert await write(second, method, path, body) == answer
    assert (await current(first))["settings"] == {"a": "since"}
    assert len(await whole_history(first)) == 4


@pytest.mark.parametrize(("method", "path", "body"), WRITES)
async def test_asked_for_many_times_at_once_through_two_instances_a_write_is_done_once(
    start: Start, method: str, path: str, body: Any
) -> None:
    first, second = await start(), await start()
    await save(first, {"b": 1})
    answers = await asyncio.gather(*(write((first, second)[n % 2], method, path, body) for n in range(20)))
    assert set(answers) == {answers[0]}
    assert answers[0][0] == 200
    assert len(await whole_history(first)) == 3


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/api/settings", {"settings": {"a": 2}}),
        ("PATCH", "/api/settings?base=2", {"a": 2}),
        ("PATCH", "/api/settings?base=2&change_note=x", {"a": 1}),
        ("PATCH", "/api/settings", {"a": 1}),
        ("POST", RESTORE, {}),
    ],
)
async def test_the_same_name_for_another_body_or_query_is_a_422_and_changes_nothing(
    asker: Asker, method: str, path: str, body: Any
) -> None:
    await save(asker, {"b": 1})
    for each in WRITES:
        assert (await write(asker, *each))[0] == 200
    before = await whole_history(asker)
    status, _, problem = await write(asker, method, path, body)
    assert (status, json.loads(problem)["code"]) == (422, "idempotency_key_reused")
    assert await whole_history(asker) == before


async def test_a_name_is_its_owners_and_its_routes(asker: Asker) -> None:
    for owner in ("guest:a", "user:a"):
        assert (await patch(asker, {"a": owner}, owner=owner, headers=PATCH))["version"] == 2
        assert (await save(asker, {"b": owner}, owner=owner, headers=PUT))["version"] == 3


async def test_what_was_refused_may_be_asked_for_again_under_its_name(asker: Asker) -> None:
    await save(asker, {"a": 1})
    assert (await patch(asker, {"a": 2}, 409, base=1, headers=PATCH))["code"] == "conflict"
    await save(asker, {"a": 2}, 412, headers={**PUT, "If-Match": '"1"'})
    assert (await patch(asker, {"a": 2}, base=2, headers=PATCH))["version"] == 3
    assert (await save(asker, {"a": 3}, headers={**PUT, "If-Match": '"3"'}))["version"] == 4


async def test_after_a_day_the_name_is_free(asker: Asker, file: Path) -> None:
    assert (await patch(asker, {"a": 1}, headers=PATCH))["version"] == 2
    await save(asker, {"a": 0})
    with closing(sqlite3.connect(file)) as database, database:
        assert database.execute("UPDATE requests SET kept_until = 1").rowcount == 1
    assert (await patch(asker, {"a": 1}, headers=PATCH))["version"] == 4


async def test_a_user_who_asks_again_for_what_the_guest_did_gets_its_answer(asker: Asker) -> None:
    answer = await write(asker, *WRITES[0])
    path = "/internal/adoptions/one"
    await told(await asker.post(path, scope=Scope.SYSTEM, owner="user:a", guest="guest:a"))
    assert await write(asker, *WRITES[0], owner="user:a") == answer
    assert (await current(asker, "user:a"))["version"] == 2
