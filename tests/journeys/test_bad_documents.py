"""What a document that cannot be restored gets: a problem that says why, and nothing changed."""

import json

import pytest

from tests import documents
from tests.journeys.browser import Browser

WHOLE = json.dumps(documents.older_backup()).encode()

BROKEN = {
    "empty": b"",
    "white space": b" \r\n ",
    "not JSON": b"<html>hello</html>",
    "cut in the middle": WHOLE[: len(WHOLE) // 2],
    "cut at the end": WHOLE[:-1],
    "two documents": WHOLE + WHOLE,
    "a number": b"42",
    "null": b"null",
    "a text": b'"my runs"',
    "an empty object": b"{}",
    "an empty list": b"[]",
    "other applications' storage": b'{"theme": "dark", "token": "abc"}',
    "only statuses of keys": json.dumps({"api_credentials": documents.older_backup()["api_credentials"]}).encode(),
    "runs that are none": b'{"runs": [1, "two", null, []]}',
    "bytes of no encoding": bytes(range(128, 256)) * 10,
    "cut UTF-16": "[{}]".encode("utf-16")[:-1],
    "nested without end": b"[" * 100_000,
    "an object nested without end": b'{"runs":[' + b'{"a":' * 50_000,
    "strings in strings": json.dumps(json.dumps(json.dumps(json.dumps(json.dumps(json.dumps([])))))).encode(),
    "a string that is cut": b'{"animatize_ui_runs_v2": "[{\\"run_id\\": "}',
    "trailing comma": b'{"runs": [{"run_id": "a"},]}',
    "NaN": b'{"runs": [NaN]}',
}


@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_document_is_refused_with_a_reason_and_changes_nothing(browser: Browser, name: str) -> None:
    await browser.restore(documents.export())
    before = await browser.get("/api/settings"), await browser.all_runs()

    problem = await browser.refused("POST", "/api/settings/restore", data=BROKEN[name])

    assert problem["status"] == 400
    assert len(problem["detail"]) > 20
    assert (await browser.get("/api/settings"), await browser.all_runs()) == before
    assert (await browser.restore(documents.export()))["restored_runs"] == 4


async def test_a_document_with_nothing_to_restore_names_what_can_be_restored(browser: Browser) -> None:
    problem = await browser.refused("POST", "/api/settings/restore", data=b'{"hello": "world"}')

    assert problem["code"] == "nothing_to_restore"
    assert "animatize_ui_runs_v2" in problem["detail"]


async def test_warnings_are_named_up_to_a_hundred_and_then_counted(browser: Browser) -> None:
    document = {"runs": [*range(500), {"run_id": "one"}]}

    answer = await browser.restore(document)

    assert len(answer["warnings"]) == 101
    assert answer["warnings"][-1]["message"] == "and 400 more like these"
    assert answer["plan"]["runs"] == {"added": 1, "changed": 0, "unchanged": 0, "refused": 500}
