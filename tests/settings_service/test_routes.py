"""The public addresses: what they answer, what they refuse, and that two owners never meet."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chassis.documents import same
from chassis.peers import Scope
from settings_service.models import DEFAULTS
from settings_service.routes import ROUTES
from tests.settings_service.conftest import Start
from tests.settings_service.support import current, put, save, told, whole_history
from tests.settings_service.test_merging import JSON
from tests.support import Asker

HOSTILE_IDS = ["0", "-1", "+1", "01", "1.0", "1e0", "x", "%20", "1%20", "１", "9" * 16, "9" * 5000, "1'--", "null"]


async def test_a_new_profile_has_the_defaults_as_its_first_version(asker: Asker) -> None:
    answer = await asker.get("/api/settings")
    assert answer.headers["ETag"] == '"1"'
    shown = await told(answer)
    assert set(shown) == {"settings", "version", "created_at", "updated_at"}
    assert shown["settings"] == DEFAULTS
    assert shown["version"] == 1
    (entry,) = await whole_history(asker)
    assert entry == {
        "id": 1,
        "version": 1,
        "settings": DEFAULTS,
        "change_note": "initial_profile",
        "created_at": shown["created_at"],
        "restored_from": None,
    }


async def test_what_is_saved_comes_back_as_sent_with_unknown_keys_and_nothing_added(asker: Asker) -> None:
    sent = {"theme": {"accent": "teal", "mine": {"deep": [1, None, "Żółw 龜 🐢 <b>&amp;"]}}, "other app": [True]}
    answer = await asker.put("/api/settings", json={"settings": sent, "change_note": "mine"})
    assert answer.headers["ETag"] == '"2"'
    saved = await told(answer)
    assert set(saved) == {"settings", "version", "updated_at"}
    assert saved["settings"] == sent
    shown = await current(asker)
    assert shown["settings"] == sent
    assert {name: shown[name] for name in saved} == saved
    assert [entry["change_note"] for entry in await whole_history(asker)] == ["mine", "initial_profile"]


async def test_a_write_may_be_the_first_thing_that_an_owner_does(asker: Asker) -> None:
    assert (await save(asker, {}))["version"] == 2
    assert [entry["change_note"] for entry in await whole_history(asker)] == ["settings_change", "initial_profile"]


async def test_saving_what_is_there_already_makes_no_version(asker: Asker) -> None:
    first = await save(asker, {"theme": {"contrast": 1, "grain": 0.5}})
    again = await save(asker, {"theme": {"grain": 5e-1, "contrast": 1.0}}, note="another note")
    assert again == first
    assert (await save(asker, {"theme": {"contrast": 1, "grain": 0.5}, "x": True}))["version"] == 3
    assert (await save(asker, {"theme": {"contrast": 1, "grain": 0.5}, "x": 1}))["version"] == 4


async def test_the_entity_tag_saves_a_read_and_guards_a_write(asker: Asker) -> None:
    await save(asker, {"a": 1})
    for tag in ('"2"', 'W/"2"', '"7", "2"', "*"):
        answer = await asker.get("/api/settings", headers={"If-None-Match": tag})
        assert (answer.status, answer.headers["ETag"], await answer.read()) == (304, '"2"', b"")
    assert (await asker.get("/api/settings", headers={"If-None-Match": '"1"'})).status == 200
    for tag in ('"1"', 'W/"2"', "rubbish", '"3"'):
        refused = await save(asker, {"a": 2}, 412, headers={"If-Match": tag})
        assert refused["code"] == "precondition_failed"
        assert refused["current"] == await current(asker)
    assert (await save(asker, {"a": 2}, headers={"If-Match": '"1", "2"'}))["version"] == 3
    assert (await save(asker, {"a": 3}, headers={"If-Match": "*"}))["version"] == 4


async def test_wrong_values_are_named_by_their_places_and_change_nothing(asker: Asker) -> None:
    body = {"theme": {"grain": 2, "accent": True}, "developer": 7, "behavior": {"autoSave": 1}, "x": {"grain": 2}}
    refused = await save(asker, body, 400)
    assert {error["pointer"] for error in refused["errors"]} == {
        "/settings/theme/grain",
        "/settings/theme/accent",
        "/settings/developer",
        "/settings/behavior/autoSave",
    }
    assert (await current(asker))["version"] == 1


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/settings"),
        ({"settings": None}, "/settings"),
        ({"settings": []}, "/settings"),
        ({"settings": "{}"}, "/settings"),
        ([], ""),
        (None, ""),
        ({"settings": {}, "change_note": 7}, "/change_note"),
        ({"settings": {}, "change_note": "x" * 501}, "/change_note"),
        ({"settings": {}, "version": 1}, "/version"),
    ],
)
async def test_a_body_of_another_shape_is_refused(asker: Asker, body: Any, pointer: str) -> None:
    refused = await told(await put(asker, json.dumps(body)), 400)
    assert [error["pointer"] for error in refused["errors"]] == [pointer]


@pytest.mark.parametrize(
    "text",
    ["", "{", '{"settings":{"a":1,"a":2}}', '{"settings":{"a":"\\ud800"}}', '{"settings":{"a":9007199254740993}}',
     '{"settings":{"a":NaN}}', '{"settings":{"a":1e999}}', '{"settings":' + "[" * 5000 + "]" * 5000 + "}"],
)  # fmt: skip
async def test_what_is_no_json_that_all_read_alike_is_refused(asker: Asker, text: str) -> None:
    refused = await told(await put(asker, text), 400)
    assert refused["code"] == "malformed"


async def test_another_content_type_is_refused(asker: Asker) -> None:
    answer = await asker.put("/api/settings", data="{}", headers={"Content-Type": "text/plain"})
    assert (await told(answer, 415))["code"] == "not_json"


async def test_a_document_of_one_mebibyte_is_taken_and_one_byte_more_is_not(asker: Asker) -> None:
    room = (1 << 20) - len('{"a":""}')
    assert (await save(asker, {"a": "x" * room}))["version"] == 2
    assert (await save(asker, {"a": "x" * (room + 1)}, 413))["code"] == "too_large"
    assert (await current(asker))["version"] == 2


async def test_spaces_and_escapes_do_not_count_towards_the_size(asker: Asker) -> None:
    text = '{"settings": {"a": "' + "\\u0041" * 900_000 + '"}}' + " " * 100_000
    answer = await put(asker, text)
    assert (await told(answer))["settings"] == {"a": "A" * 900_000}


async def test_the_quota_is_the_owners_own_and_counts_all_versions(start: Start) -> None:
    asker = await start(owner_quota_bytes=5000)
    await save(asker, {"a": "x" * 2000})
    await save(asker, {"a": "y" * 2000})
    refused = await save(asker, {"a": "z" * 2000}, 413)
    assert refused["code"] == "quota"
    assert (await told(await asker.post("/api/settings/history/2/restore"), 413))["code"] == "quota"
    assert (await current(asker))["settings"] == {"a": "y" * 2000}
    assert len(await whole_history(asker)) == 3
    await save(asker, {"a": "y" * 2000})
    await save(asker, {"a": "z" * 2000}, owner="guest:b")


async def test_pages_of_the_history_follow_each_other_without_gap_or_repeat(asker: Asker) -> None:
    for number in range(2, 31):
        await save(asker, {"number": number})
    page = await told(await asker.get("/api/settings/history"))
    assert [entry["id"] for entry in page["history"]] == list(range(30, 5, -1))
    assert page["next_before"] == 6
    for limit in (1, 7, 10, 30, 100):
        assert [entry["version"] for entry in await whole_history(asker, limit=limit)] == list(range(30, 0, -1))
    empty = await told(await asker.get("/api/settings/history", params={"before": "1"}))
    assert empty == {"history": [], "next_before": None, "pruned": 0}


async def test_a_page_of_very_large_versions_ends_early_and_says_where_to_go_on(asker: Asker) -> None:
    for number in range(12):
        await save(asker, {"a": f"{number:02}" * 500_000})
    page = await told(await asker.get("/api/settings/history", params={"limit": "100"}))
    assert len(page["history"]) == 9
    assert page["next_before"] == page["history"][-1]["id"]
    assert [entry["version"] for entry in await whole_history(asker)] == list(range(13, 0, -1))


WRONG_QUERIES = ["limit=0", "limit=101", "limit=x", "limit=", "limit=1&limit=2", "offset=1"]
WRONG_QUERIES += ["before=0", "before=-1", "before=1.5", "before=99999999999999999999"]


@pytest.mark.parametrize("query", WRONG_QUERIES)
async def test_a_wrong_query_is_a_400(asker: Asker, query: str) -> None:
    await told(await asker.get(f"/api/settings/history?{query}"), 400)


async def test_one_version_and_its_difference_from_the_current_one(asker: Asker) -> None:
    await save(asker, {"theme": {"grain": 0.1, "accent": "teal"}, "old": 1})
    await save(asker, {"theme": {"grain": 0.2, "accent": "teal"}, "new": [1]})
    entry = await told(await asker.get("/api/settings/history/2"))
    assert entry["settings"] == {"theme": {"grain": 0.1, "accent": "teal"}, "old": 1}
    compared = await told(await asker.get("/api/settings/history/2/diff"))
    assert compared["changes"] == [
        {"path": "/new", "before": None, "after": [1], "kind": "added"},
        {"path": "/old", "before": 1, "after": None, "kind": "removed"},
        {"path": "/theme/grain", "before": 0.1, "after": 0.2, "kind": "changed"},
    ]
    assert await told(await asker.get("/api/settings/history/3/diff")) == {"changes": []}


async def test_settings_of_any_depth_that_is_taken_can_be_shown_everywhere(asker: Asker) -> None:
    statuses = []
    for depth in range(230, 260):
        answer = await put(asker, '{"settings": {"x": ' + "[" * depth + "]" * depth + "}}")
        statuses.append(answer.status)
        for path in ("", "/history?limit=1", "/history/1", "/history/1/diff"):
            await told(await asker.get(f"/api/settings{path}"))
    assert statuses == sorted(statuses)
    assert set(statuses) == {200, 400}


async def test_restoring_a_version_makes_a_new_one_even_when_equal(asker: Asker) -> None:
    await save(asker, {"a": 1})
    await save(asker, {"a": 2})
    for version in (4, 5):
        answer = await asker.post("/api/settings/history/2/restore")
        assert answer.headers["ETag"] == f'"{version}"'
        assert (await told(answer))["settings"] == {"a": 1}
        newest = (await whole_history(asker))[0]
        assert (newest["id"], newest["change_note"], newest["restored_from"]) == (version, "restore:2", 2)
    assert (await current(asker))["version"] == 5


async def test_restoring_a_version_honours_if_match(asker: Asker) -> None:
    await save(asker, {"a": 1})
    refused = await told(await asker.post("/api/settings/history/1/restore", headers={"If-Match": '"1"'}), 412)
    assert refused["current"]["version"] == 2
    await told(await asker.post("/api/settings/history/1/restore", headers={"If-Match": '"2"'}))


@pytest.mark.parametrize("version", [*HOSTILE_IDS, "2"])
async def test_a_version_that_is_not_there_is_a_404(asker: Asker, version: str) -> None:
    path = f"/api/settings/history/{version}"
    answers = [await asker.get(path), await asker.get(f"{path}/diff"), await asker.post(f"{path}/restore")]
    assert [(answer.status, (await answer.json())["code"]) for answer in answers] == [(404, "unknown_version")] * 3
    assert (await current(asker))["version"] == 1


async def test_two_owners_never_see_each_other(asker: Asker) -> None:
    await save(asker, {"secret": "a"}, owner="guest:a")
    await save(asker, {"secret": "a2"}, owner="guest:a")
    for owner in ("guest:b", "user:a", "guest:A", "guest:a "):
        assert (await current(asker, owner))["settings"] == DEFAULTS
        assert [entry["id"] for entry in await whole_history(asker, owner)] == [1]
        for path in ("/2", "/2/diff"):
            await told(await asker.get(f"/api/settings/history{path}", owner=owner), 404)
        await told(await asker.post("/api/settings/history/2/restore", owner=owner), 404)
    assert (await current(asker))["version"] == 3


async def test_the_presets_are_the_three_that_settings_may_name(asker: Asker) -> None:
    presets = (await told(await asker.get("/api/presets")))["presets"]
    assert {preset["id"]: preset["temporal_priority"] for preset in presets} == {
        "cinematic-balanced": "high",
        "coherence-first": "critical",
        "speed-first": "medium",
    }
    assert all(set(preset) == {"id", "name", "description", "temporal_priority"} for preset in presets)
    for preset in presets:
        await save(asker, {"preferences": {"defaultPreset": preset["id"]}})


async def test_the_openapi_part_tells_of_every_public_address(asker: Asker) -> None:
    described = await told(await asker.get("/internal/openapi", scope=Scope.SYSTEM, owner="system"))
    assert set(described["paths"]) == {route.path for route in ROUTES if route.path.startswith("/api")}
    grain = described["components"]["schemas"]["Theme"]["properties"]["grain"]
    assert (grain["minimum"], grain["maximum"]) == (0, 1)
    assert "reducedMotion" in described["components"]["schemas"]["Accessibility"]["properties"]


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
async def test_a_route_is_closed_to_every_other_scope(asker: Asker, route: Any) -> None:
    for scope in set(Scope) - {route.audience}:
        refused = await told(await asker(route.method, route.path.replace("{id}", "1"), scope=scope), 401)
        assert refused["code"] == "wrong_scope"


async def test_a_restart_keeps_everything(start: Start) -> None:
    first = await start()
    await save(first, {"a": 1}, note="kept")
    before = (await current(first), await whole_history(first))
    await first.client.close()
    second = await start()
    assert (await current(second), await whole_history(second)) == before


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sent=st.dictionaries(st.sampled_from(["theme", "behavior", "x"]) | st.text(max_size=5), JSON, max_size=4))
async def test_any_object_is_either_kept_as_sent_or_refused_with_places(asker: Asker, sent: dict[str, Any]) -> None:
    answer = await put(asker, json.dumps({"settings": sent}))
    assert answer.status in {200, 400}
    if answer.status == 200:
        assert same((await current(asker))["settings"], sent)
    else:
        assert all(error["pointer"].startswith("/settings") for error in (await answer.json())["errors"])
