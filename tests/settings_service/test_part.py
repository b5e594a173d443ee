"""The settings' share of a restore: merged by section, history known again, nothing doubled, nothing lost."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count
from typing import Any

from hypothesis import given
from hypothesis import settings as example_settings
from hypothesis import strategies as st

from chassis.documents import same
from chassis.parts import Mode, Outcome, Restore
from chassis.schema import steps_of
from chassis.uploads import Item
from settings_service import versions
from settings_service.models import DEFAULTS
from settings_service.part import SettingsPart
from tests.settings_service.conftest import Start
from tests.settings_service.support import (
    as_items,
    backup,
    commit,
    current,
    entry,
    history,
    legacy,
    restore,
    save,
    stage,
    told,
    whole_history,
)
from tests.support import Asker

FLAT = [("", "settings_patch", {"accessibility": {"reducedMotion": True}, "preferences": {"autoFavoriteWinner": True}})]


async def test_the_flat_legacy_form_is_mapped_and_every_other_setting_stays(asker: Asker) -> None:
    mine = {**DEFAULTS, "theme": {**DEFAULTS["theme"], "accent": "crimson"}, "unknown": [1]}
    await save(asker, mine)
    done = await restore(asker, FLAT)
    expected = {
        **mine,
        "accessibility": {**DEFAULTS["accessibility"], "reducedMotion": True},
        "preferences": {**DEFAULTS["preferences"], "autoFavoriteWinner": True},
    }
    assert (await current(asker))["settings"] == expected
    assert done["plan"]["settings"] == {"added": 0, "changed": 2, "unchanged": 0, "refused": 0}
    assert done["restored"] == {"settings": 2, "history": 0}
    assert (await whole_history(asker))[0]["change_note"] == "backup_restore"


async def test_the_older_consoles_backup_comes_in_whole_and_only_once(asker: Asker) -> None:
    document = legacy("upstream-backup.json")
    done = await restore(asker, as_items(document), "one")
    assert done["plan"]["history"] == {"added": 5, "changed": 0, "unchanged": 0, "refused": 0}
    assert done["restored"] == {"settings": 5, "history": 5}
    assert done["warnings"] == []
    shown = await current(asker)
    assert same(shown["settings"], document["settings"]["settings"])
    assert shown["version"] == 6  # its last entry is the state itself, so nothing has to follow it
    kept = ("settings", "change_note", "created_at")
    found = [{name: each[name] for name in kept} for each in await whole_history(asker)]
    assert same(found[:-1], [{name: each[name] for name in kept} for each in document["history"]])
    again = await restore(asker, as_items(document), "two")
    assert again["plan"]["history"] == {"added": 0, "changed": 0, "unchanged": 5, "refused": 0}
    assert again["plan"]["settings"] == {"added": 0, "changed": 0, "unchanged": 5, "refused": 0}
    assert await current(asker) == shown


async def test_a_profile_goes_through_its_own_backup_into_another_owner(asker: Asker) -> None:
    await save(asker, {"a": 1, "theme": {"accent": "teal"}}, note="one")
    await save(asker, {"theme": {"accent": "amber"}}, note="two")
    profile, *entries = await backup(asker)
    items = as_items({"settings": profile, "history": entries})
    assert (await restore(asker, items, "same"))["plan"]["history"]["added"] == 0
    assert (await current(asker))["version"] == 3
    await restore(asker, items, "other", owner="user:b")
    after = await whole_history(asker, "user:b")
    assert [each["change_note"] for each in after][1:] == ["two", "one", "initial_profile", "initial_profile"]
    assert {each["restored_from"] for each in after} == {None}
    # The sections that the document does not name stay, so its own last state is followed by the merged one.
    assert after[0]["settings"] == {**DEFAULTS, "theme": {"accent": "amber"}}


async def test_a_backup_of_an_owner_who_never_came_is_that_of_a_new_profile(asker: Asker) -> None:
    profile, first = await backup(asker, "guest:new")
    assert profile == await current(asker, "guest:new")
    assert [first] == await whole_history(asker, "guest:new")


async def test_a_backup_holds_the_profile_and_every_version_newest_first(asker: Asker) -> None:
    for number in range(30):
        await save(asker, {"number": number, "text": "x" * 100_000})
    profile, *entries = await backup(asker)
    assert profile == await current(asker)
    assert entries == await whole_history(asker)
    assert [each["id"] for each in entries] == list(range(31, 0, -1))


async def test_a_backup_shows_one_moment_while_others_write(start: Start) -> None:
    first, second = await start(), await start()
    for number in range(20):
        await save(first, {"number": number, "text": "x" * 200_000})

    async def back_up() -> None:
        profile, *entries = await backup(second)
        assert [each["id"] for each in entries] == list(range(profile["version"], 0, -1))
        assert entries[0]["settings"] == profile["settings"]

    await asyncio.gather(*(back_up() for _ in range(4)), *(save(first, {"other": n}) for n in range(50)))


async def test_wrong_leaves_are_named_and_keep_the_profiles_value(asker: Asker) -> None:
    await save(asker, {"theme": {"grain": 0.1, "accent": "crimson"}, "developer": {"showRawPayload": True}})
    document = {
        "theme": {"grain": 7, "accent": "teal"},
        "developer": [],
        "behavior": {"autoSave": "yes"},
        "x": {"grain": 7},
    }
    done = await restore(asker, [("/settings/settings", "settings", document)])
    assert [each["pointer"] for each in done["warnings"]] == [
        "/settings/settings/behavior/autoSave",
        "/settings/settings/theme/grain",
        "/settings/settings/developer",
    ]
    assert all(each["message"] for each in done["warnings"])
    assert (await current(asker))["settings"] == {
        "theme": {"grain": 0.1, "accent": "teal"},
        "developer": {"showRawPayload": True},
        "x": {"grain": 7},
    }
    assert done["plan"]["settings"] == {"added": 1, "changed": 1, "unchanged": 0, "refused": 3}
    assert done["restored"]["settings"] == 2


async def test_a_patch_removes_with_null_and_refuses_wrong_leaves_alone(asker: Asker) -> None:
    await save(asker, {"theme": {"grain": 0.1, "accent": "crimson"}, "gone": 1, "behavior": {"autoSave": True}})
    patch = {"theme": {"grain": None, "accent": "pink"}, "gone": None, "behavior": 5, "never": None}
    done = await restore(asker, [("", "settings_patch", patch)])
    assert [each["pointer"] for each in done["warnings"]] == ["/behavior", "/theme/accent"]
    assert (await current(asker))["settings"] == {"theme": {"accent": "crimson"}, "behavior": {"autoSave": True}}
    assert done["plan"]["settings"] == {"added": 0, "changed": 2, "unchanged": 1, "refused": 2}


async def test_several_settings_of_one_document_apply_in_its_order_and_count_each_section_once(asker: Asker) -> None:
    items = [
        ("/a", "settings", {"theme": {"grain": 0.1}, "x": 1}),
        ("/b", "settings_patch", {"theme": {"accent": "teal"}, "y": 1}),
        ("/c", "settings", {"y": 2}),
    ]
    done = await restore(asker, items)
    assert (await current(asker))["settings"] == {**DEFAULTS, "theme": {"grain": 0.1, "accent": "teal"}, "x": 1, "y": 2}
    assert done["plan"]["settings"] == {"added": 2, "changed": 1, "unchanged": 0, "refused": 0}
    assert done["restored"]["settings"] == 3


async def test_history_takes_the_next_numbers_in_the_order_of_its_own(asker: Asker) -> None:
    await save(asker, {"mine": 1})
    entries = history(
        entry(None, {"n": "late"}, minute=50),
        entry(12, {"n": 12}, minute=1),
        entry(None, {"n": "early"}, minute=2),
        entry(3, {"n": 3}, minute=40),
    )
    await restore(asker, entries)
    found = [each["settings"] for each in reversed(await whole_history(asker))]
    assert found[1:] == [{"mine": 1}, {"n": 3}, {"n": 12}, {"n": "early"}, {"n": "late"}, {"mine": 1}]
    assert (await current(asker))["settings"] == {"mine": 1}
    assert (await whole_history(asker))[0]["change_note"] == "backup_restore"


async def test_entries_are_known_again_by_instant_note_and_settings(asker: Asker) -> None:
    known = entry(1, {"contrast": 1, "b": 2}, minute=5)
    await restore(asker, history(known), "one")
    before = await whole_history(asker)
    same_again = {
        **known,
        "version": 77,
        "created_at": "2026-11-22T11:05:00+01:00",
        "settings": {"b": 2.0, "contrast": 1.0},
    }
    done = await restore(asker, history(same_again, known, same_again), "two")
    assert done["plan"]["history"] == {"added": 0, "changed": 0, "unchanged": 1, "refused": 0}
    assert done["restored"]["history"] == 1
    assert await whole_history(asker) == before
    others = history(
        {**known, "change_note": "x"}, {**known, "settings": {"b": 2}}, entry(1, {"contrast": 1, "b": 2}, minute=6)
    )
    assert (await restore(asker, others, "three"))["plan"]["history"]["added"] == 3


async def test_history_is_a_record_and_may_hold_what_is_wrong_today(asker: Asker) -> None:
    done = await restore(asker, history(entry(1, {"theme": {"grain": 99}}), {"settings": {}}, {"created_at": "2026"}))
    assert done["plan"]["history"] == {"added": 1, "changed": 0, "unchanged": 0, "refused": 2}
    assert [each["pointer"] for each in done["warnings"]] == ["/history/1/created_at", "/history/2/settings"]
    again = await told(await asker.post("/api/settings/history/2/restore"))
    assert again["settings"] == {"theme": {"grain": 99}}


async def test_items_that_cannot_be_used_at_all_are_named_and_the_rest_goes_in(asker: Asker) -> None:
    items = [
        ("/a", "settings", []),
        ("/b", "settings_patch", "text"),
        ("/c", "history", None),
        ("/d", "settings", {"x": "x" * (1 << 20)}),
        ("/e", "settings", {"x": 2**60}),
        ("/g", "run", {}),
        ("/h", "settings", {"fine": 1}),
    ]
    done = await restore(asker, items)
    assert [each["pointer"] for each in done["warnings"]] == ["/a", "/b", "/c", "/d", "/e", "/g"]
    assert done["plan"]["settings"] == {"added": 1, "changed": 0, "unchanged": 0, "refused": 5}
    assert done["plan"]["history"]["refused"] == 1
    assert (await current(asker))["settings"] == {**DEFAULTS, "fine": 1}


async def test_a_plan_for_an_owner_without_a_profile_makes_none(start: Start, asker: Asker, tmp_path: Any) -> None:
    await stage(asker, history(entry(1, {"n": 1})), "one", "guest:new")
    with closing(sqlite3.connect(tmp_path / "animatize_web.settings.db")) as tx:
        assert tx.execute("SELECT count(*) FROM profiles").fetchone() == (0,)
    done = await commit(asker, "one", "guest:new")
    assert done["plan"]["history"]["added"] == 1
    assert [each["change_note"] for each in await whole_history(asker, "guest:new")] == [
        "backup_restore",
        "settings_change",
        "initial_profile",
    ]


async def test_what_was_saved_between_plan_and_commit_is_not_lost(asker: Asker) -> None:
    await stage(asker, [("", "settings", {"theme": {"accent": "teal"}})], "one")
    await save(asker, {"mine": 1})
    await commit(asker, "one")
    assert (await current(asker))["settings"] == {"mine": 1, "theme": {"accent": "teal"}}


async def test_a_restore_without_room_is_refused_before_it_is_decided(start: Start) -> None:
    asker = await start(owner_quota_bytes=3000)
    await save(asker, {"a": 1})
    refused = await stage(asker, history(entry(1, {"x": "x" * 3000})), "one", status=413)
    assert refused["code"] == "quota"
    await commit(asker, "one", status=409)
    await stage(asker, [("", "settings", {"x": "x" * 1500})], "two")
    await save(asker, {"y": "y" * 1500})
    await commit(asker, "two")  # decided while there was room: it goes through
    assert set((await current(asker))["settings"]) == {"x", "y"}


async def test_a_merged_document_over_the_limit_is_refused_before_it_is_decided(asker: Asker) -> None:
    await save(asker, {"a": "x" * 600_000})
    refused = await stage(asker, [("", "settings", {"b": "x" * 600_000})], "one", status=413)
    assert refused["code"] == "too_large"


async def test_many_restores_and_writes_at_once_leave_dense_versions(start: Start) -> None:
    first, second = await start(), await start()
    items = [history(entry(1, {"n": n}, minute=n), entry(2, {"n": -n}, minute=n)) for n in range(12)]
    await asyncio.gather(
        *(restore_loosely((first, second)[n % 2], items[n], f"r{n}") for n in range(12)),
        *(save((first, second)[n % 2], {"saved": n}) for n in range(40)),
    )
    found = await whole_history(first)
    assert [each["version"] for each in found] == list(range(len(found), 0, -1))
    assert found[0]["settings"] == (await current(second))["settings"]
    assert sum(each["change_note"] == "settings_change" and "n" in each["settings"] for each in found) == 24 - 1


async def restore_loosely(asker: Asker, items: list[tuple[str, str, Any]], restore_id: str) -> None:
    """Without comparing plan and outcome, which others may change in between."""
    await stage(asker, items, restore_id)
    await commit(asker, restore_id)


@contextmanager
def file_in_memory() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as tx:
        tx.row_factory = sqlite3.Row
        tx.execute("PRAGMA foreign_keys = ON")
        for _, script in steps_of("settings_service"):
            tx.executescript(script)
        yield tx


LEAVES = st.sampled_from([0.5, 1, 1.0, 7, "teal", None, True, {}, {"deep": 1}])
SECTION = st.dictionaries(st.sampled_from(["grain", "accent", "mine"]), LEAVES, max_size=3)
SETTINGS = st.dictionaries(st.sampled_from(["theme", "other", "x"]), SECTION | LEAVES, max_size=3)
ENTRIES = st.builds(
    entry, st.none() | st.integers(1, 4), SETTINGS, minute=st.integers(0, 2), note=st.sampled_from(["a", ""])
)
ITEMS = st.lists(
    st.tuples(st.just("history"), ENTRIES) | st.tuples(st.sampled_from(["settings", "settings_patch"]), SETTINGS),
    max_size=8,
)


def restore_here(
    tx: sqlite3.Connection,
    items: list[tuple[str, Any]],
    restore_id: str,
    mode: Mode = Mode.MERGE,
    parts: frozenset[str] = frozenset(),
) -> Outcome:
    part, one = SettingsPart(1 << 30), Restore(restore_id, "guest:a", mode, parts)
    part.stage(tx, one, [Item(number, f"/{number}", *each) for number, each in enumerate(items)])
    plan = part.plan(tx, one)
    outcome = part.apply(tx, one)
    assert outcome._replace(state=None) == plan
    part.discard(tx, one)
    return outcome


def everything(tx: sqlite3.Connection) -> list[Any]:
    tables = ("versions", "profiles", "usage", "staged_settings", "staged_history")
    return [[tuple(row) for row in tx.execute(f"SELECT * FROM {table} ORDER BY 1, 2")] for table in tables]


@example_settings(max_examples=150, deadline=None)
@given(st.none() | SETTINGS, st.lists(ITEMS, min_size=1, max_size=3))
def test_restoring_twice_changes_nothing_and_versions_stay_dense(own: Any, documents: list[Any]) -> None:
    ids = count()
    with file_in_memory() as tx:
        if own is not None:
            opened = versions.open_profile(tx, "guest:a")
            versions.append(tx, "guest:a", opened, versions.Draft(versions.document(own), "own"))
        for items in documents:
            restore_here(tx, items, f"{next(ids)}")
            before = everything(tx)
            again = restore_here(tx, items, f"{next(ids)}")
            assert everything(tx) == before
            assert all(counts["added"] == counts["changed"] == 0 for counts in again.plan.values())
        check_whole(tx)


def test_items_nested_too_deeply_are_refused_at_whatever_depth_that_is() -> None:
    deep: Any = "x"
    part, one = SettingsPart(1 << 30), Restore("one", "guest:a", Mode.MERGE)
    taken = []
    with file_in_memory() as tx:
        for depth in range(300):
            deep = [deep]
            kinds = {"settings": {"x": deep}, "settings_patch": {"x": deep}, "history": entry(None, {"x": deep})}
            items = [Item(depth * 3 + n, "", kind, value) for n, (kind, value) in enumerate(kinds.items())]
            taken.append(3 - len(part.stage(tx, one, items)))
        part.apply(tx, one)
    assert taken[:240] == [3] * 240
    assert taken[260:] == [0] * 40


def check_whole(tx: sqlite3.Connection) -> None:
    numbers = [row[0] for row in tx.execute("SELECT version FROM versions ORDER BY version")]
    assert numbers == list(range(1, len(numbers) + 1))
    assert tx.execute("SELECT version FROM profiles").fetchone()[0] == numbers[-1]
    (size,) = tx.execute("SELECT sum(length(settings) + length(CAST(change_note AS BLOB))) FROM versions").fetchone()
    assert versions.used_bytes(tx, "guest:a") == size
    tx.execute("DELETE FROM profiles")
    tx.execute("DELETE FROM versions")
    assert versions.used_bytes(tx, "guest:a") == 0
