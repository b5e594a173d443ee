"""A write that is asked for twice under one Idempotency-Key is done once, at every address that keeps something."""

import asyncio
import json
import sqlite3
from contextlib import closing
from io import BytesIO
from typing import Any, NamedTuple

import pytest

from chassis import documents
from chassis.once import KEYS_HEADER, NAME_HEADER
from tests.journeys.browser import Browser
from tests.processes import Stack

RUN = {"run_id": "r-once", "variants": [{"id": "v"}], "prompt": "a lighthouse"}


class Write(NamedTuple):
    """One write; `other` is another body for the same address, where it takes one."""

    method: str
    path: str
    body: Any = None
    other: Any = None


WRITES = [
    Write("PUT", "/api/settings", {"settings": {"mine": 1}}, {"settings": {"mine": 2}}),
    Write("PATCH", "/api/settings", {"patched": 1}, {"patched": 2}),
    Write("POST", "/api/settings/history/1/restore"),
    Write("PUT", "/api/runs/r-once", RUN, RUN | {"prompt": "a mill"}),
    Write("POST", "/api/runs", {"prompt": "without an id"}, {"prompt": "without one either"}),
    Write("PUT", "/api/runs/r-once/variants/v/favorite", {"favorite": True}, {"favorite": False}),
    Write("DELETE", "/api/runs/r-once"),
    Write("DELETE", "/api/runs"),
    Write("PUT", "/api/settings/api-keys/runway", {"api_key": "a key of one kind"}, {"api_key": "a key of another"}),
    Write("DELETE", "/api/settings/api-keys/runway"),
]


async def send(browser: Browser, write: Write, name: str, body: Any = None) -> tuple[int, dict[str, str], Any]:
    rest: dict[str, Any] = {"headers": {NAME_HEADER: name}}
    if write.body is not None:
        rest["data"] = BytesIO(documents.write(body if body is not None else write.body))
        rest["headers"] |= {"Content-Type": "application/json"}
    status, headers, answer = await browser.ask(write.method, write.path, **rest)
    return status, headers, json.loads(answer)


@pytest.fixture
async def settled(browser: Browser) -> Browser:
    await browser.put("/api/settings", {"settings": {"before": True}})
    await browser.put("/api/runs/r-once", RUN | {"prompt": "before"})
    await browser.put("/api/settings/api-keys/runway", {"api_key": "a key of before"})
    return browser


@pytest.mark.parametrize("write", WRITES, ids=lambda write: f"{write.method} {write.path}")
async def test_a_write_asked_for_again_has_the_answer_of_the_first_and_changes_nothing(
    settled: Browser, write: Write
) -> None:
    status, headers, answer = await send(settled, write, "mine")
    assert status in (200, 201), answer
    shown = await settled.profile()
    again = await send(settled, write, "mine")
    assert (again[0], again[1].get("ETag"), again[2]) == (status, headers.get("ETag"), answer)
    assert await settled.profile() == shown
    if write.other is not None:
        refused = await send(settled, write, "mine", write.other)
        assert (refused[0], refused[2]["code"]) == (422, "idempotency_key_reused")
        assert await settled.profile() == shown


async def test_what_was_written_meanwhile_is_not_written_over_by_a_repeat(settled: Browser) -> None:
    first = WRITES[0]
    await send(settled, first, "mine")
    await settled.put("/api/settings", {"settings": {"later": True}})
    await send(settled, first, "mine")
    assert (await settled.get("/api/settings"))["settings"] == {"later": True}
    assert (await send(settled, first, "another"))[2]["settings"] == {"mine": 1}


async def test_of_many_at_once_under_one_key_one_is_done(settled: Browser) -> None:
    post = next(write for write in WRITES if write.path == "/api/runs")
    answers = await asyncio.gather(*(send(settled, post, "mine") for _ in range(10)))
    assert len({answer["run_id"] for _, _, answer in answers}) == 1
    assert len(await settled.all_runs()) == 2


async def test_two_owners_may_choose_the_same_key(settled: Browser, other_browser: Browser) -> None:
    first, second = await send(settled, WRITES[0], "mine"), await send(other_browser, WRITES[0], "mine")
    assert (first[0], second[0]) == (200, 200)
    assert (await other_browser.get("/api/settings"))["settings"] == {"mine": 1}


@pytest.mark.parametrize("name", ["", "gateway/0001", "a b", "x" * 129])
async def test_a_key_that_is_none_is_refused_and_nothing_is_done(settled: Browser, name: str) -> None:
    status, _, problem = await send(settled, WRITES[0], name)
    assert (status, problem["code"]) == (400, "bad_idempotency_key")
    assert (await settled.get("/api/settings"))["settings"] == {"before": True}


async def test_a_long_run_is_known_again_too(settled: Browser) -> None:
    """Longer than what the gateway holds whole: it is passed on as it comes."""
    long = Write("PUT", "/api/runs/r-long", {"run_id": "r-long", "filler": "x" * (5 << 20)})
    first, again = await send(settled, long, "mine"), await send(settled, long, "mine")
    assert (first[0], first[2]["created"]) == (201, True) == (again[0], again[2]["created"])
    assert (await send(settled, long, "mine", long.body | {"more": 1}))[0] == 422


async def test_what_a_client_says_of_the_inside_is_not_passed_on(settled: Browser) -> None:
    """It could make a body of its choice look like that of before."""
    headers = {NAME_HEADER: "mine", KEYS_HEADER: "00" * 32}
    body = {"settings": {"mine": 1}}
    await settled.ask("PUT", "/api/settings", headers=headers, json=body)
    assert (await settled.ask("PUT", "/api/settings", headers={NAME_HEADER: "mine"}, json=body))[0] == 200


async def test_an_undo_asked_for_again_has_the_answer_of_the_first(settled: Browser) -> None:
    restored = await settled.restore({"settings": {"settings": {"from": "a backup"}}})
    undo = Write("POST", f"/api/settings/restore/{restored['restore_id']}/undo")
    first, again = await send(settled, undo, "mine"), await send(settled, undo, "mine")
    assert first[0] == again[0] == 200
    assert first[2] == again[2]
    refused = await send(settled, undo, "another")
    assert (refused[0], refused[2]["code"]) == (409, "undo_closed")
    assert (await settled.get("/api/settings"))["settings"] == {"before": True}


async def test_an_undo_that_is_under_way_is_never_called_impossible(settled: Browser) -> None:
    """Whoever asks under the same key is told to come again, and has the answer of the first then."""
    for n in range(3):
        restored = await settled.restore({"settings": {"settings": {"from": f"backup {n}"}}})
        undo = Write("POST", f"/api/settings/restore/{restored['restore_id']}/undo")
        answers = await asyncio.gather(*(send(settled, undo, "mine") for _ in range(6)))
        assert {(status, body.get("code")) for status, _, body in answers} <= {(200, None), (409, "restore_under_way")}
        assert (await send(settled, undo, "mine"))[0] == 200


async def test_signing_in_and_making_a_backup_take_no_key(settled: Browser) -> None:
    for method, path, rest in (
        ("POST", "/api/auth/logout", {}),
        ("POST", "/api/settings/backup", {"json": {"passphrase": "a long passphrase"}}),
    ):
        for _ in range(2):
            status, _, body = await settled.ask(method, path, headers={NAME_HEADER: "not / a key"}, **rest)
            assert status == 200, body


async def test_a_key_of_a_provider_is_in_no_file_for_its_repeat(settled: Browser, stack: Stack) -> None:
    await send(settled, WRITES[8], "mine")
    with closing(sqlite3.connect(stack.data / "animatize_web.vault.db")) as file:
        kept = file.execute("SELECT * FROM requests WHERE name = 'mine' AND path LIKE '%runway'").fetchall()
    assert kept
    assert "a key of one kind" not in str(kept)


async def test_a_condition_on_several_lines_is_one_condition(settled: Browser) -> None:
    """RFC 9110, 5.3."""
    version = (await settled.get("/api/settings"))["version"]
    lines = [("If-Match", f'"{version + 7}"'), ("If-Match", f'"{version}"')]
    assert (await settled.ask("PUT", "/api/settings", headers=lines, json={"settings": {"mine": 1}}))[0] == 200
    assert (await settled.ask("PUT", "/api/settings", headers=lines, json={"settings": {"mine": 2}}))[0] == 412
