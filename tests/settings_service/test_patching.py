"""PATCH: some of the settings changed at once or not at all, and nothing lost of what others have changed."""

import asyncio
import json
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from settings_service.merging import merge_patch
from settings_service.models import DEFAULTS
from tests.settings_service.conftest import Start
from tests.settings_service.support import (
    check_file,
    current,
    entry,
    history,
    patch,
    put,
    replace,
    save,
    told,
    whole,
    whole_history,
)
from tests.support import Asker

JSON_TYPE = {"Content-Type": "application/json"}


async def test_a_patch_changes_what_it_names_and_answers_as_a_save_does(asker: Asker) -> None:
    await save(asker, {"theme": {"accent": "teal", "grain": 0.5}, "mine": [1], "old": 1})
    body = json.dumps(
        {"theme": {"grain": None, "mode": "daylight"}, "mine": [None, 2], "old": None, "new": {"x": None}}
    )
    answer = await asker("PATCH", "/api/settings", data=body, headers={"Content-Type": "application/merge-patch+json"})
    assert answer.headers["ETag"] == '"3"'
    saved = await told(answer)
    assert set(saved) == {"settings", "version", "updated_at"}
    assert saved["settings"] == {"theme": {"accent": "teal", "mode": "daylight"}, "mine": [None, 2], "new": {}}
    shown = await current(asker)
    assert {name: shown[name] for name in saved} == saved
    assert (await whole_history(asker))[0]["change_note"] == "settings_change"


async def test_a_patch_is_noted_as_its_sender_says(asker: Asker) -> None:
    for number, note in enumerate(("Żółw 龜 & more", "", "x" * 500)):
        await patch(asker, {"n": number}, note=note)
        assert (await whole_history(asker))[0]["change_note"] == note
    await patch(asker, {"n": 9}, 400, note="x" * 501)
    assert (await current(asker))["version"] == 4


async def test_a_patch_that_changes_nothing_makes_no_version(asker: Asker) -> None:
    first = await save(asker, {"theme": {"contrast": 1}})
    nothings: list[Any] = [{}, {"theme": {}}, {"theme": {"contrast": 1.0}}, {"absent": None}]
    for nothing in nothings:
        assert await patch(asker, nothing, base=2) == first
    assert (await current(asker))["version"] == 2


async def test_a_plain_json_content_type_is_taken_and_another_is_not(asker: Asker) -> None:
    answer = await asker("PATCH", "/api/settings", json={"a": 1})
    assert (await told(answer))["settings"] == DEFAULTS | {"a": 1}
    answer = await asker("PATCH", "/api/settings", data="{}", headers={"Content-Type": "text/plain"})
    assert (await told(answer, 415))["code"] == "not_json"


@pytest.mark.parametrize("body", [None, [], "x", 5, [{"op": "add", "path": "/a", "value": 1}]])
async def test_a_patch_that_is_no_object_is_refused(asker: Asker, body: Any) -> None:
    refused = await patch(asker, body, 400)
    assert [error["pointer"] for error in refused["errors"]] == [""]
    assert (await current(asker))["version"] == 1


async def test_what_a_patch_puts_in_place_is_checked_and_nothing_of_a_wrong_one_goes_in(asker: Asker) -> None:
    wrong = {"theme": {"grain": 2, "accent": "teal"}, "developer": 7, "behavior": {"autoSave": 1}, "x": {"grain": 2}}
    refused = await patch(asker, wrong, 400)
    assert {error["pointer"] for error in refused["errors"]} == {"/theme/grain", "/developer", "/behavior/autoSave"}
    assert (await current(asker))["settings"] == DEFAULTS
    without = {name: value for name, value in DEFAULTS.items() if name != "theme"}
    removed = await patch(asker, {"theme": None, "behavior": {"autoSave": None}})
    assert removed["settings"] == without | {
        "behavior": {name: value for name, value in DEFAULTS["behavior"].items() if name != "autoSave"}
    }


async def test_what_was_wrong_before_hinders_no_patch_of_something_else(asker: Asker) -> None:
    """History that came from a backup is a record: it is not held against today's ranges, nor is who restores it."""
    await replace(asker, history(entry(1, {"theme": {"grain": 7}, "developer": "off"})))
    repeated = await told(await asker.post("/api/settings/history/2/restore"))
    assert repeated["settings"]["theme"] == {"grain": 7}
    patched = await patch(asker, {"theme": {"accent": "teal"}, "developer": {"showRawPayload": True}})
    assert patched["settings"] == {"theme": {"grain": 7, "accent": "teal"}, "developer": {"showRawPayload": True}}


async def test_a_patch_cannot_make_settings_larger_than_a_save_could(asker: Asker, start: Start) -> None:
    room = (1 << 20) - len('{"a":"","b":""}')
    await save(asker, {"a": "x" * (room // 2), "b": ""})
    assert (await patch(asker, {"b": "x" * (room - room // 2 + 1)}, 413))["code"] == "too_large"
    assert (await patch(asker, {"b": "x" * (room - room // 2)}))["version"] == 3
    small = await start(owner_quota_bytes=1000)
    assert (await patch(small, {"a": "x" * 2000}, 413, owner="guest:b"))["code"] == "quota"
    assert (await patch(small, {"a": None, "b": None, "c": 1}, 413))["code"] == "quota"


async def test_settings_are_nested_no_deeper_by_a_patch_than_by_a_save(asker: Asker) -> None:
    statuses = []
    for depth in range(235, 260):
        text = '{"x":' * depth + str(depth) + "}" * depth
        saved = await put(asker, f'{{"settings": {text.replace("x", "y")}}}')
        patched = await asker("PATCH", "/api/settings", data=text, headers=JSON_TYPE)
        refused = await asker("PATCH", "/api/settings?base=1", data=text.replace(str(depth), "0"), headers=JSON_TYPE)
        statuses.append((saved.status, patched.status, refused.status))
        for path in ("", "/history?limit=1", "/history/1/diff"):
            await told(await asker.get(f"/api/settings{path}"))
    assert set(statuses) <= {(200, 200, 409), (400, 200, 409), (400, 400, 400)}
    assert {statuses[0], statuses[-1]} == {(200, 200, 409), (400, 400, 400)}


@pytest.mark.parametrize("query", ["base=0", "base=-1", "base=x", "base=", "base=1.5", "base=1&base=2", "more=1"])
async def test_a_wrong_query_is_a_400_and_changes_nothing(asker: Asker, query: str) -> None:
    refused = await told(await asker("PATCH", f"/api/settings?{query}", data='{"a":1}', headers=JSON_TYPE), 400)
    assert refused["code"] in {"invalid", "invalid_query"}
    assert (await current(asker))["version"] == 1


async def test_a_patch_goes_in_beside_what_others_have_changed_since_its_base(asker: Asker) -> None:
    await save(asker, {"theme": {"accent": "teal", "grain": 0.1}, "a": 1})
    await patch(asker, {"theme": {"grain": 0.2}, "b": 2}, base=2)
    patched = await patch(asker, {"theme": {"accent": "amber"}, "a": None}, base=2)
    assert patched["settings"] == {"theme": {"accent": "amber", "grain": 0.2}, "b": 2}
    assert patched["version"] == 4


async def test_what_others_have_changed_since_is_told_place_by_place_and_stays(asker: Asker) -> None:
    await save(asker, {"theme": {"accent": "teal", "grain": 0.1}, "a": {"x": 1}})
    await patch(asker, {"theme": {"accent": "amber", "grain": 0.2}, "a": None})
    refused = await patch(asker, {"theme": {"accent": "crimson", "grain": 0.2}, "a": {"y": 2}, "z": 1}, 409, base=2)
    assert refused["code"] == "conflict"
    assert refused["current"] == await current(asker)
    assert refused["conflicts"] == [
        {"path": "/a", "base": {"x": 1}, "theirs": None, "yours": {"x": 1, "y": 2}},
        {"path": "/theme/accent", "base": "teal", "theirs": "amber", "yours": "crimson"},
    ]
    assert refused["current"]["version"] == 3
    mine = await patch(asker, {"theme": {"accent": "crimson"}, "a": {"y": 2}, "z": 1}, base=3)
    assert mine["settings"] == {"theme": {"accent": "crimson", "grain": 0.2}, "a": {"y": 2}, "z": 1}


async def test_the_same_change_from_two_devices_is_no_conflict_and_no_second_version(asker: Asker) -> None:
    first = await patch(asker, {"a": 1, "theme": {"grain": 1}}, base=1)
    assert await patch(asker, {"a": 1.0, "theme": {"grain": 1}}, base=1) == first
    assert (await patch(asker, {"a": 1, "b": 2}, base=1))["version"] == 3


@pytest.mark.parametrize("base", [2, 9_007_199_254_740_991])
async def test_of_a_base_that_never_was_all_that_differs_is_in_conflict(asker: Asker, base: int) -> None:
    """A device may have seen it all the same, where the operator has put an older copy of the file back."""
    refused = await patch(asker, {"theme": {"accent": "teal", "grain": 0.35}, "mine": 1}, 409, base=base)
    assert refused["code"] == "unknown_base"
    assert refused["current"]["settings"] == DEFAULTS
    assert refused["conflicts"] == [
        {"path": "/mine", "base": None, "theirs": None, "yours": 1},
        {"path": "/theme/accent", "base": None, "theirs": "amber", "yours": "teal"},
    ]
    assert (await patch(asker, {"theme": {"accent": "amber"}}, base=base))["version"] == 1, "it is as it was asked for"


async def test_a_base_that_a_restore_has_removed_is_not_known(asker: Asker) -> None:
    await save(asker, {"a": 1})
    await save(asker, {"a": 2})
    await replace(asker, [*whole({"a": 3}), *history(entry(1, {"a": 0}))])
    assert (await told(await asker.get("/api/settings/history/2"), 404))["code"] == "unknown_version"
    refused = await patch(asker, {"a": 4}, 409, base=2)
    assert (refused["code"], refused["conflicts"]) == (
        "unknown_base",
        [{"path": "/a", "base": None, "theirs": 3, "yours": 4}],
    )


async def test_if_match_counts_before_any_base(asker: Asker) -> None:
    await save(asker, {"a": 1})
    for tag in ('"1"', 'W/"2"'):
        refused = await patch(asker, {"b": 1}, 412, base=2, headers={"If-Match": tag})
        assert (refused["code"], refused["current"]) == ("precondition_failed", await current(asker))
    assert (await patch(asker, {"b": 1}, headers={"If-Match": '"2"'}))["version"] == 3


async def test_a_write_only_for_whoever_has_not_this_version_is_refused(asker: Asker) -> None:
    """If-None-Match of a write (RFC 9110, 13.1.2); there always are settings, so that `*` never holds."""
    await save(asker, {"a": 1})
    for tag in ("*", '"2"'):
        await save(asker, {"a": 2}, 412, headers={"If-None-Match": tag})
        await patch(asker, {"a": 2}, 412, headers={"If-None-Match": tag})
        await told(await asker.post("/api/settings/history/1/restore", headers={"If-None-Match": tag}), 412)
    assert (await patch(asker, {"a": 2}, headers={"If-None-Match": '"1"'}))["version"] == 3


async def test_patches_of_other_keys_all_go_in_whatever_the_order_and_of_one_key_the_first_wins(
    start: Start, file: Path
) -> None:
    first, second = await start(), await start()
    await asyncio.gather(*(patch((first, second)[n % 2], {f"k{n}": n, "deep": {f"{n}": n}}, base=1) for n in range(60)))
    found = (await current(first))["settings"]
    assert found == DEFAULTS | {f"k{n}": n for n in range(60)} | {"deep": {f"{n}": n for n in range(60)}}
    same_key = [asker_patches((first, second)[n % 2], {"one": n}, base=61) for n in range(20)]
    assert sorted(await asyncio.gather(*same_key)) == [200] + [409] * 19
    check_file(file)


async def asker_patches(asker: Asker, changes: Any, base: int) -> int:
    return (await asker("PATCH", f"/api/settings?base={base}", json=changes)).status


@dataclass
class Device:
    """A device that follows the rules: it keeps what it edits while offline, and on a conflict takes theirs into its
    base, keeps its own edit and sends it again."""

    asker: Asker
    owner: str
    base: int
    edit: dict[str, Any] = field(default_factory=dict)

    async def send(self) -> None:
        query = {"base": str(self.base)}
        answer = await self.asker("PATCH", "/api/settings", params=query, json=self.edit, owner=self.owner)
        found = await answer.json(content_type=None)
        if answer.status == 409:
            assert found["code"] == "conflict"
            assert found["conflicts"]
            self.base = found["current"]["version"]
            return await self.send()
        assert answer.status == 200, found
        self.base, self.edit = found["version"], {}
        return None


OWNERS = count()
KEYS = st.sampled_from("abc")
EDITS = st.dictionaries(
    KEYS, st.none() | st.integers(0, 3) | st.dictionaries(KEYS, st.none() | st.integers(0, 3), max_size=2), min_size=1
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.integers(0, 2), EDITS | st.just("send")), min_size=3, max_size=12))
async def test_whatever_devices_edit_offline_nothing_that_was_acknowledged_is_lost(
    asker: Asker, steps: list[tuple[int, Any]]
) -> None:
    """The settings are all acknowledged edits one after another: none undoes what it does not touch."""
    owner = f"guest:device-{next(OWNERS)}"
    await save(asker, {}, owner=owner)
    devices = [Device(asker, owner, base=2) for _ in range(3)]
    expected: Any = {}
    for number, what in [*steps, *((number, "send") for number in range(3))]:
        device = devices[number]
        if what != "send":
            device.edit = merge_edits(device.edit, what)
            continue
        expected = merge_patch(expected, device.edit)
        await device.send()
        assert (await current(asker, owner))["settings"] == expected


def merge_edits(first: Any, then: Any) -> Any:
    """Two merge patches as one: as `merge_patch`, but a removal stays one."""
    if not isinstance(then, dict) or not isinstance(first, dict):
        return then
    return {**first, **{name: merge_edits(first.get(name), value) for name, value in then.items()}}


@pytest.mark.parametrize("patch", [{"settings": {"theme": {}}}, {"settings": {}, "change_note": "evening"}])
async def test_a_patch_in_the_shape_of_a_put_is_refused_since_it_would_change_nothing(
    asker: Asker, patch: dict[str, Any]
) -> None:
    assert (await told(await asker("PATCH", "/api/settings", json=patch), 400))["code"] == "wrapped"
    assert (await told(await asker.get("/api/settings")))["version"] == 1
    await told(await asker("PATCH", "/api/settings", json=patch | {"more": 1}))


async def test_what_only_a_patch_takes_is_refused_by_a_put(asker: Asker) -> None:
    refused = await told(await asker.put("/api/settings?base=1", json={"settings": {}}), 400)
    assert refused["code"] == "invalid_query"
