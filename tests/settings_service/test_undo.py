"""Taking a restore back: what was written since stays, the rest is as it was before, imported history stays."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.settings_service.conftest import Start
from tests.settings_service.support import (
    backup,
    check_file,
    commit,
    current,
    entry,
    history,
    replace,
    restore,
    rows_for_undo,
    save,
    stage,
    step,
    told,
    undo,
    whole,
    whole_history,
)
from tests.settings_service.test_replace import DOCUMENT, FIVE, nine_versions, numbers
from tests.support import Asker

ALL_UNDONE = {"undone": {"settings": 1, "history": 9}, "stayed": {"settings": 0, "history": 0}}
NOTHING = {"undone": {"settings": 0, "history": 0}, "stayed": {"settings": 0, "history": 0}}


async def test_the_settings_from_before_follow_as_a_new_version_noted_with_the_undo(asker: Asker, file: Path) -> None:
    await save(asker, {"mine": 1.0, "x": [1, None]})
    await restore(asker, whole({"x": 2}), "abc")
    assert await undo(asker, "abc") == {
        "undone": {"settings": 1, "history": 0},
        "stayed": {"settings": 0, "history": 0},
    }
    shown = await current(asker)
    assert (shown["settings"], shown["version"]) == ({"mine": 1, "x": [1, None]}, 4)
    newest = (await whole_history(asker))[0]
    assert (newest["change_note"], newest["restored_from"]) == ("undo:ABC", None)
    assert newest["created_at"] == shown["updated_at"]
    check_file(file)


async def test_without_a_note_of_its_own_the_version_names_the_restore(asker: Asker) -> None:
    await restore(asker, whole({"x": 2}), "abc")
    await restore(asker, [], "undo", mode="undo", undoes="abc")
    assert (await whole_history(asker))[0]["change_note"] == "undo:abc"


async def test_imported_history_stays(asker: Asker) -> None:
    await save(asker, {"mine": 1})
    await restore(asker, DOCUMENT)
    between = await whole_history(asker)
    await undo(asker)
    assert (await whole_history(asker))[1:] == between
    assert (await current(asker))["settings"] == {"mine": 1}


async def test_removed_entries_come_back_as_they_were(asker: Asker, file: Path) -> None:
    await nine_versions(asker)
    await told(await asker.post("/api/settings/history/4/restore"))
    await save(asker, {"v": 9})
    before = await whole_history(asker)
    await replace(asker, DOCUMENT)
    between = await whole_history(asker)
    done = await undo(asker)
    assert done["undone"] == {"settings": 1, "history": 11}
    newest, *rest = await whole_history(asker)
    assert rest == between + before
    assert (newest["version"], newest["settings"]) == (17, {"v": 9})
    assert {each["restored_from"] for each in before} == {None, 4}
    check_file(file)
    profile, *entries = await backup(asker)
    assert [newest, *rest] == entries
    assert profile == await current(asker)


async def test_entries_come_back_also_where_the_profile_was_written_since(asker: Asker, file: Path) -> None:
    before = await nine_versions(asker)
    await replace(asker, DOCUMENT)
    await save(asker, {"since": 1})
    done = await undo(asker)
    assert done == {"undone": {"settings": 0, "history": 9}, "stayed": {"settings": 1, "history": 0}}
    assert (await current(asker))["settings"] == {"since": 1}
    assert (await whole_history(asker))[-9:] == before
    assert (await save(asker, {"next": 1}))["version"] == 16
    check_file(file)


async def test_a_profile_written_since_stays_also_where_it_came_back_to_what_the_restore_left(asker: Asker) -> None:
    await save(asker, {"before": 1})
    await restore(asker, whole({"x": 2}))
    left = (await current(asker))["settings"]
    await save(asker, {"other": 1})
    await save(asker, left)
    done = await undo(asker)
    assert done == {"undone": {"settings": 0, "history": 0}, "stayed": {"settings": 1, "history": 0}}
    assert (await current(asker))["settings"] == left


async def test_a_profile_that_came_back_to_the_state_before_stays_and_gets_no_version(asker: Asker) -> None:
    await save(asker, {"before": 1})
    await restore(asker, whole({"x": 2}))
    shown = await save(asker, {"before": 1})
    assert (await undo(asker))["stayed"]["settings"] == 1
    assert (await current(asker))["version"] == shown["version"]


async def test_repeating_the_current_version_is_a_write(asker: Asker) -> None:
    await restore(asker, whole({"x": 2}))
    await told(await asker.post("/api/settings/history/2/restore"))
    assert (await undo(asker))["stayed"]["settings"] == 1


async def test_saving_what_is_there_already_is_no_write(asker: Asker) -> None:
    await save(asker, {"before": 1})
    await restore(asker, whole({"x": 2}))
    await save(asker, {"x": 2.0, "before": 1.0}, note="the same")
    assert (await undo(asker))["undone"]["settings"] == 1
    assert (await current(asker))["settings"] == {"before": 1}


async def test_a_profile_that_the_restore_left_as_it_was_is_none_of_its_business(asker: Asker, file: Path) -> None:
    await save(asker, {"x": 2})
    await restore(asker, whole({"x": 2.0}) + FIVE)
    between = await whole_history(asker)
    assert len(between) == 8
    assert await undo(asker) == NOTHING
    assert await whole_history(asker) == between
    check_file(file)


async def test_nor_is_it_where_it_was_written_since(asker: Asker) -> None:
    await save(asker, {"x": 2})
    await restore(asker, FIVE)
    await save(asker, {"x": 3})
    assert await undo(asker) == NOTHING
    assert (await current(asker))["settings"] == {"x": 3}


async def test_a_restore_that_changed_nothing_is_undone_to_nothing(asker: Asker) -> None:
    before = await nine_versions(asker)
    await replace(asker, whole({"v": 9}))
    assert await undo(asker) == NOTHING
    assert await whole_history(asker) == before


async def test_an_owner_who_never_came_is_back_at_the_defaults(asker: Asker, file: Path) -> None:
    defaults = (await current(asker, "guest:other"))["settings"]
    await replace(asker, DOCUMENT, owner="guest:new")
    done = await undo(asker, owner="guest:new")
    assert done["undone"] == {"settings": 1, "history": 1}
    assert (await current(asker, "guest:new"))["settings"] == defaults
    assert await numbers(asker, "guest:new") == [1, 2, 3, 4, 5, 6, 7]
    check_file(file, "guest:new")


async def test_a_plan_of_an_undo_changes_nothing_and_tells_what_will_be(asker: Asker) -> None:
    await nine_versions(asker)
    await replace(asker, DOCUMENT)
    between = await whole_history(asker)
    assert await stage(asker, [], "dry", mode="undo", undoes="one") == ALL_UNDONE
    assert await whole_history(asker) == between
    await step(asker, "dry", "abort")
    assert await undo(asker) == ALL_UNDONE


async def test_what_was_written_between_plan_and_commit_of_an_undo_stays(asker: Asker) -> None:
    await nine_versions(asker)
    await replace(asker, DOCUMENT)
    await stage(asker, [], "undo", mode="undo", undoes="one")
    await save(asker, {"since": 1})
    assert (await commit(asker, "undo"))["stayed"]["settings"] == 1
    assert (await current(asker))["settings"] == {"since": 1}


async def test_a_restore_is_undone_once(asker: Asker) -> None:
    await nine_versions(asker)
    await replace(asker, DOCUMENT)
    await stage(asker, [], "late", mode="undo", undoes="one")
    first = await undo(asker)
    after = await whole_history(asker)
    assert (await commit(asker, "undo")).items() >= first.items()
    assert (await stage(asker, [], "again", mode="undo", undoes="one", status=409))["code"] == "undo_closed"
    assert (await commit(asker, "late")).items() >= NOTHING.items()
    assert await whole_history(asker) == after


async def test_undos_at_once_through_two_instances_take_back_once(start: Start, file: Path) -> None:
    first, second = await start(), await start()
    await nine_versions(first)
    await replace(first, DOCUMENT)
    for number in range(8):
        await stage(first, [], f"u{number}", mode="undo", undoes="one")
    answers = await asyncio.gather(*(commit((first, second)[n % 2], f"u{n}") for n in range(8)))
    assert sorted(answer["undone"]["settings"] for answer in answers) == [0] * 7 + [1]
    assert sorted(answer["undone"]["history"] for answer in answers) == [0] * 7 + [9]
    assert await numbers(first) == [*range(1, 16)]
    check_file(file)


async def test_a_later_restore_closes_the_undo_of_the_earlier_and_has_its_own(asker: Asker, file: Path) -> None:
    await nine_versions(asker)
    await replace(asker, DOCUMENT, "one")
    await stage(asker, [], "late", mode="undo", undoes="one")
    assert rows_for_undo(file) == (1, 9)
    await replace(asker, whole({"h": 6}), "two")
    assert rows_for_undo(file) == (1, 0)
    assert (await stage(asker, [], "undo-1", mode="undo", undoes="one", status=409))["code"] == "undo_closed"
    assert (await commit(asker, "late")).items() >= NOTHING.items()
    await undo(asker, "two")
    assert (await current(asker))["settings"] == {"h": 5}


async def test_the_same_restore_again_after_its_undo_does_it_again(asker: Asker, file: Path) -> None:
    await nine_versions(asker)
    await replace(asker, DOCUMENT, "one")
    await undo(asker, "one", "undo-1")
    done = await replace(asker, DOCUMENT, "two")
    assert done["plan"]["history"]["added"] == 0
    assert done["removed"]["history"] == 10
    assert (await current(asker))["settings"] == {"h": 5}
    await undo(asker, "two", "undo-2")
    assert (await current(asker))["settings"] == {"v": 9}
    assert await numbers(asker) == [*range(1, 18)]
    check_file(file)


async def test_nothing_is_kept_or_staged_after_an_undo(asker: Asker, file: Path) -> None:
    await nine_versions(asker)
    await replace(asker, DOCUMENT)
    assert rows_for_undo(file) == (1, 9)
    await undo(asker)
    assert rows_for_undo(file) == (0, 0)
    with closing(sqlite3.connect(file)) as tx:
        assert tx.execute("SELECT count(*) FROM staged_settings").fetchone() == (0,)


async def test_what_a_restore_replaced_takes_none_of_the_owners_room(start: Start, file: Path) -> None:
    asker = await start(owner_quota_bytes=6000)
    await save(asker, {"a": "x" * 4500})
    await replace(asker, whole({"b": 1}) + history(entry(1, {"b": 1})))
    await save(asker, {"c": "x" * 4500})
    check_file(file)
    refused = await stage(asker, [], "undo", mode="undo", undoes="one", status=413)
    assert refused["code"] == "quota"
    await commit(asker, "undo", status=409)
    assert (await current(asker))["settings"] == {"c": "x" * 4500}


async def test_an_undo_that_was_decided_while_there_was_room_goes_through(start: Start, file: Path) -> None:
    asker = await start(owner_quota_bytes=12_000)
    await save(asker, {"a": "x" * 4500})
    await replace(asker, whole({"b": 1}) + history(entry(1, {"b": 1})))
    await stage(asker, [], "undo", mode="undo", undoes="one")
    await save(asker, {"c": "x" * 9000})
    assert (await commit(asker, "undo"))["undone"]["history"] == 2
    check_file(file)


async def test_the_version_that_an_undo_makes_counts_towards_the_quota(start: Start) -> None:
    asker = await start(owner_quota_bytes=8000)
    await save(asker, {"a": "x" * 4500})
    await restore(asker, whole({"a": 1}))
    assert (await stage(asker, [], "undo", mode="undo", undoes="one", status=413))["code"] == "quota"


async def test_an_undo_that_brings_nothing_back_needs_no_room(start: Start) -> None:
    asker = await start()
    await save(asker, {"a": "x" * 4500})
    await restore(asker, whole({"a": "x" * 4500}))
    full = await start(owner_quota_bytes=10)
    assert await undo(full) == NOTHING


@pytest.mark.parametrize("value", [None, 7, True, [], {}, ["undo:a"], "x" * 501])
async def test_a_note_that_is_no_short_text_is_not_taken(asker: Asker, value: Any) -> None:
    await restore(asker, whole({"x": 2}))
    await stage(asker, [("", "note", value)], "undo", mode="undo", undoes="one")
    await commit(asker, "undo")
    assert (await whole_history(asker))[0]["change_note"] == "undo:one"


async def test_a_text_of_another_kind_is_no_note(asker: Asker) -> None:
    await restore(asker, whole({"x": 2}))
    await stage(asker, [("", "history", "undo:abc")], "undo", mode="undo", undoes="one")
    await commit(asker, "undo")
    assert (await whole_history(asker))[0]["change_note"] == "undo:one"


async def test_an_undo_brings_nothing_but_a_note(asker: Asker) -> None:
    await save(asker, {"mine": 1})
    await restore(asker, whole({"x": 2}))
    items = [*DOCUMENT, ("", "settings_patch", {"y": 1}), ("", "note", "mine 龜")]
    await stage(asker, items, "undo", mode="undo", undoes="one")
    await commit(asker, "undo")
    assert (await current(asker))["settings"] == {"mine": 1}
    assert [each["change_note"] for each in await whole_history(asker)][:2] == ["mine 龜", "backup_restore"]


@pytest.mark.parametrize("mode", ["merge", "replace"])
async def test_a_note_is_no_part_of_a_document(asker: Asker, mode: str) -> None:
    notes = [("/n", "note", "undo:abc"), ("/m", "note", {"y": 1})]
    done = await restore(asker, [*notes, *whole({"x": 1})], mode=mode)
    assert [each["pointer"] for each in done["warnings"]] == ["/n", "/m"]
    assert done["restored"] == {"settings": 1, "history": 0}


async def test_an_undo_reaches_no_other_owner(asker: Asker, file: Path) -> None:
    await nine_versions(asker)
    await replace(asker, DOCUMENT)
    before = await whole_history(asker)
    await save(asker, {"b": 1}, owner="guest:b")
    refused = await stage(asker, [], "undo-b", "guest:b", 409, mode="undo", undoes="one")
    assert refused["code"] == "undo_closed"
    assert await whole_history(asker) == before
    assert await numbers(asker, "guest:b") == [1, 2]
    assert rows_for_undo(file) == (1, 9)


async def test_a_profile_that_is_deleted_leaves_nothing_for_an_undo(asker: Asker, file: Path) -> None:
    """Made again, it could reach the same version number without being the one that the restore left."""
    await save(asker, {"b": 1}, owner="guest:b")
    await replace(asker, DOCUMENT, "of-b", owner="guest:b")
    await replace(asker, DOCUMENT)
    assert rows_for_undo(file) == (2, 3)
    with closing(sqlite3.connect(file)) as tx, tx:
        tx.execute("DELETE FROM profiles WHERE owner = 'guest:a'")
        tx.execute("DELETE FROM versions WHERE owner = 'guest:a'")
    assert rows_for_undo(file) == (1, 2)
    await save(asker, {"again": 1})
    assert await undo(asker) == NOTHING
    assert (await current(asker))["settings"] == {"again": 1}


async def test_what_is_kept_outlives_a_restart(start: Start) -> None:
    first = await start()
    before = await nine_versions(first)
    await replace(first, DOCUMENT)
    await first.client.close()
    second = await start()
    assert await undo(second) == ALL_UNDONE
    assert (await whole_history(second))[-9:] == before


async def test_an_undo_may_be_many_writes_away(asker: Asker, file: Path) -> None:
    """Versions given since lie above the ones that come back, however many they are."""
    await nine_versions(asker)
    await replace(asker, DOCUMENT)
    await asyncio.gather(*(save(asker, {"n": n}) for n in range(30)), undo(asker))
    assert await numbers(asker) in ([*range(1, 45)], [*range(1, 46)])
    check_file(file)


async def test_ten_thousand_entries_come_in_go_and_come_back(asker: Asker, file: Path) -> None:
    """In seconds: every step is a statement or two, however many entries there are."""
    entries = (entry(number, {"n": number, "text": "x" * 200}, minute=number % 60) for number in range(1, 10_001))
    async with asyncio.timeout(30):
        await replace(asker, whole({"n": 10_000, "text": "x" * 200}) + history(*entries), "one")
        assert len(await backup(asker)) == 1 + 10_000
        assert (await replace(asker, FIVE, "two"))["removed"]["history"] == 10_000
        assert (await undo(asker, "two"))["undone"]["history"] == 10_000
        assert len(await backup(asker)) == 1 + 10_006
    check_file(file)
