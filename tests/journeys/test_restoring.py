"""Dry run, replace, undo and repetition of a restore, as a person and a careless client go about them."""

import asyncio
import sqlite3
from contextlib import closing
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import pytest

from chassis.documents import write
from tests import documents
from tests.journeys.browser import Browser
from tests.processes import Stack

NOTHING = {"settings": 0, "history": 0, "runs": 0, "api_keys": 0}


def run(name: str, **fields: Any) -> dict[str, Any]:
    return {"run_id": name, "created_at": f"2026-11-2{len(name)}T10:00:00+00:00", "intent": "x", **fields}


@pytest.fixture
async def owner(browser: Browser) -> Browser:
    """With settings of their own, two runs and a provider key."""
    await browser.put("/api/settings", {"settings": {"theme": {"grain": 0.1}, "plugin": {"a": 1}}})
    for each in (run("a"), run("b", source_image_data_url="data:image/png;base64,iVBORw0KGgo=")):
        await browser.put(f"/api/runs/{each['run_id']}", each)
    await browser.put("/api/settings/api-keys/veo", {"api_key": "veo_key_of_the_profile"})
    return browser


DOCUMENT = {"settings": {"theme": {"grain": 0.9}}, "runs": [run("b", intent="changed"), run("c")]}


@pytest.mark.parametrize("mode", ["merge", "replace"])
async def test_a_dry_run_changes_nothing_and_its_plan_is_that_of_the_restore(owner: Browser, mode: str) -> None:
    before = await owner.profile()
    for document in (DOCUMENT, documents.older_backup(), documents.export(), [run("c")]):
        previewed = await owner.restore(document, mode=mode, dry_run="true")
        assert await owner.profile() == before
        assert (previewed["restored_runs"], previewed["restored_at"]) == (0, None)
        assert previewed["settings"] == before["settings"]
        done = await owner.restore(document, mode=mode)
        assert (done["plan"], done["removed"]) == (previewed["plan"], previewed["removed"])
        assert done["warnings"] == previewed["warnings"]
        before = await owner.profile()


async def test_what_a_document_does_not_name_goes_from_the_parts_that_it_carries(owner: Browser) -> None:
    done = await owner.restore(DOCUMENT, mode="replace")
    assert done["removed"] == NOTHING | {"settings": 1, "runs": 1}
    after = await owner.profile()
    assert after["settings"]["settings"] == {"theme": {"grain": 0.9}}
    assert [each["run_id"] for each in after["runs"]] == ["b", "c"]
    assert len(after["history"]) == 3, "the document carries no history, so none goes"
    assert (await owner.restore(DOCUMENT, mode="replace"))["removed"] == NOTHING
    assert await owner.profile() == after


async def test_replacing_by_a_document_of_runs_only_leaves_settings_history_and_keys_alone(owner: Browser) -> None:
    before = await owner.profile()
    runs_only: list[Any] = [{"runs": [run("c")]}, [run("c"), run("d")], {"animatize_ui_runs_v2": []}]
    for document in runs_only:
        await owner.restore(document, mode="replace")
        after = await owner.profile()
        assert {**after, "runs": 0} == {**before, "runs": 0}
    assert after["runs"] == []


async def test_a_backup_put_in_place_of_a_profile_makes_it_what_it_was(owner: Browser, stack: Stack) -> None:
    backup = await owner.get("/api/settings/backup")
    async with Browser(stack.url) as other:
        await other.restore(documents.export())
        await other.restore(backup, mode="replace")
        restored = await other.profile()
        assert restored["settings"]["settings"] == backup["settings"]["settings"]
        assert restored["runs"] == backup["runs"]
        assert [(each["settings"], each["change_note"], each["created_at"]) for each in restored["history"]] == [
            (each["settings"], each["change_note"], each["created_at"]) for each in backup["history"]
        ]
        again = await other.restore(backup, mode="replace")
        assert (again["removed"], await other.profile()) == (NOTHING, restored)


@pytest.mark.parametrize(
    "document",
    [
        {"runs": [run("c"), 7]},
        b'{"runs": [{"run_id": "c"}, {"a": 1, "a": 2}]}',
        {"settings": {"theme": {"grain": 7}}, "runs": [run("c")]},
        {"runs": [run("c"), run("c", x=1)]},
        {"runs": 7, "history": []},
    ],
)
async def test_what_cannot_be_used_whole_replaces_nothing(owner: Browser, document: Any) -> None:
    before = await owner.profile()
    problem = await owner.refused_restore(document, mode="replace")
    assert (problem["status"], problem["code"]) == (400, "refused")
    assert problem["errors"][0]["pointer"]
    assert await owner.profile() == before


async def test_an_undo_gives_back_what_the_restore_replaced(owner: Browser) -> None:
    before = await owner.profile()
    done = await owner.restore(DOCUMENT, mode="replace")
    undone = await owner.json("POST", f"/api/settings/restore/{done['restore_id']}/undo")
    assert undone["undone"] == NOTHING | {"settings": 1, "runs": 3}
    assert undone["stayed"] == NOTHING
    after = await owner.profile()
    assert after["settings"]["settings"] == before["settings"]["settings"]
    assert after["settings"] == undone["settings"]
    assert after["runs"] == before["runs"]
    assert after["history"][0]["change_note"] == f"undo:{done['restore_id']}"


async def test_what_was_written_since_stays_and_is_counted(owner: Browser) -> None:
    done = await owner.restore(DOCUMENT, mode="replace")
    await owner.put("/api/settings", {"settings": {"theme": {"grain": 0.5}}})
    await owner.put("/api/runs/c", run("c", intent="edited"))
    await owner.json("DELETE", "/api/runs/b")
    undone = await owner.json("POST", f"/api/settings/restore/{done['restore_id']}/undo")
    assert undone["undone"] == NOTHING | {"runs": 1}
    assert undone["stayed"] == NOTHING | {"settings": 1, "runs": 2}
    after = await owner.profile()
    assert after["settings"]["settings"] == {"theme": {"grain": 0.5}}
    assert after["runs"] == [run("a"), run("c", intent="edited")]


async def test_only_the_latest_restore_can_be_undone_once_and_in_time(owner: Browser, stack: Stack) -> None:
    first = await owner.restore({"runs": [run("c")]})
    second = await owner.restore({"runs": [run("d")]})
    undo = "/api/settings/restore/{}/undo"
    assert (await owner.refused("POST", undo.format("unknown")))["status"] == 404
    late = await owner.refused("POST", undo.format(first["restore_id"]))
    assert (late["status"], late["code"]) == (409, "undo_closed")
    assert "later restore" in late["detail"]
    with closing(sqlite3.connect(stack.data / "animatize_web.gateway.db")) as tx:
        long_ago = (datetime.now(UTC) - timedelta(days=7, seconds=1)).isoformat()
        found = tx.execute("SELECT changed_at FROM operations WHERE id = ?", (second["restore_id"],)).fetchone()
        tx.execute("UPDATE operations SET changed_at = ? WHERE id = ?", (long_ago, second["restore_id"]))
        tx.commit()
        assert "days old" in (await owner.refused("POST", undo.format(second["restore_id"])))["detail"]
        tx.execute("UPDATE operations SET changed_at = ? WHERE id = ?", (*found, second["restore_id"]))
        tx.commit()
    await owner.json("POST", undo.format(second["restore_id"]))
    assert "undone already" in (await owner.refused("POST", undo.format(second["restore_id"])))["detail"]
    assert [each["run_id"] for each in await owner.all_runs()] == ["a", "b", "c"]


async def test_a_restore_is_told_of_after_a_lost_connection(owner: Browser) -> None:
    key = {"Idempotency-Key": "my-restore-1"}
    await owner.restore(DOCUMENT, headers=key)
    found = await owner.get("/api/settings/restores/my-restore-1")
    assert (found["stage"], found["mode"], found["kind"]) == ("done", "merge", "restore")
    assert (found["outcome"]["restored_runs"], found["undo"]["open"]) == (2, True)
    await owner.json("POST", "/api/settings/restore/my-restore-1/undo")
    found = await owner.get("/api/settings/restores/my-restore-1")
    assert not found["undo"]["open"]
    assert found["undo"]["undone_at"]
    assert found["undo"]["outcome"]["undone"] == NOTHING | {"settings": 1, "runs": 2}
    problem = await owner.refused_restore(b'{"runs": [', headers={"Idempotency-Key": "broken"})
    failed = await owner.get("/api/settings/restores/broken")
    assert (failed["stage"], failed["outcome"]["problem"]["detail"]) == ("aborted", problem["detail"])
    listed = (await owner.get("/api/settings/restores"))["restores"]
    assert [each["restore_id"] for each in listed] == ["broken", "my-restore-1"]
    del found["outcome"]["warnings"]
    assert listed[1] == found
    assert (await owner.refused("GET", "/api/settings/restores/unknown"))["status"] == 404


async def test_nobody_elses_restore_is_told_of_or_undone(owner: Browser, stack: Stack) -> None:
    done = await owner.restore(DOCUMENT)
    async with Browser(stack.url) as other:
        await other.get("/api/settings")
        assert (await other.refused("GET", f"/api/settings/restores/{done['restore_id']}"))["status"] == 404
        assert (await other.refused("POST", f"/api/settings/restore/{done['restore_id']}/undo"))["status"] == 404
        assert (await other.get("/api/settings/restores"))["restores"] == []
        await other.restore(DOCUMENT, headers={"Idempotency-Key": done["restore_id"]})


async def test_a_request_that_is_sent_again_gets_the_first_answer_and_doubles_nothing(owner: Browser) -> None:
    key = {"Idempotency-Key": '"8e03978e-40d5-43dd-bc93-6894a57f9324"'}
    nameless = {"runs": [{"intent": "no id"}], "settings": {"theme": {"grain": 0.7}}}
    first = await owner.restore(nameless, headers=key)
    await owner.put("/api/settings", {"settings": {}})
    after = await owner.profile()
    for _ in range(2):
        assert await owner.restore(nameless, headers=key) == first
    assert await owner.profile() == after
    for other, query in ((DOCUMENT, {}), (nameless, {"mode": "replace"})):
        problem = await owner.refused_restore(other, headers=key, **query)
        assert (problem["status"], problem["code"]) == (422, "idempotency_key_reused")
    assert await owner.profile() == after
    assert (await owner.refused_restore(nameless, headers={"Idempotency-Key": "a/b"}))["status"] == 400


async def test_a_repeat_tells_of_the_current_settings_where_those_of_then_have_left_the_history(owner: Browser) -> None:
    key, before = {"Idempotency-Key": "then"}, await owner.get("/api/settings/backup")
    then = {"settings": {"theme": {"grain": 0.7}}}
    first = await owner.restore(then, headers=key)
    await owner.restore(before, mode="replace")
    current = await owner.get("/api/settings")
    assert current["version"] > first["settings"]["version"]
    assert await owner.restore(then, headers=key) == first | {"settings": current}
    assert await owner.get("/api/settings") == current


async def test_of_two_restores_at_once_one_is_told_to_wait(owner: Browser) -> None:
    many = {"runs": [run(f"many-{number:05}", created_at=None, filler="x" * 500) for number in range(3000)]}
    text = write(many)
    answers = await asyncio.gather(*(owner.ask("POST", "/api/settings/restore", data=BytesIO(text)) for _ in range(3)))
    statuses = sorted(status for status, _, _ in answers)
    assert statuses[0] == 200
    assert set(statuses[1:]) <= {200, 409}
    assert 409 in statuses
    assert all("Retry-After" in headers for status, headers, _ in answers if status == 409)
    assert len(await owner.all_runs()) == 3002


async def test_a_restore_of_the_same_key_at_once_happens_once(owner: Browser) -> None:
    document = deepcopy(DOCUMENT)
    key = {"Idempotency-Key": "at-once"}
    answers = await asyncio.gather(
        *(owner.ask("POST", "/api/settings/restore", json=document, headers=key) for _ in range(4))
    )
    assert {status for status, _, _ in answers} <= {200, 409}
    assert len({body for status, _, body in answers if status == 200}) == 1
    assert [each["change_note"] for each in (await owner.profile())["history"]].count("backup_restore") == 1
