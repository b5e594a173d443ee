"""Mode replace: of each part that a document carries, what it does not name goes; the rest is as in a merge."""

import sqlite3
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as example_settings
from hypothesis import strategies as st

from chassis.documents import same
from chassis.parts import Mode
from settings_service import versions
from settings_service.models import DEFAULTS
from tests.settings_service.conftest import Start
from tests.settings_service.support import (
    as_items,
    backup,
    check_file,
    commit,
    current,
    entry,
    history,
    legacy,
    replace,
    restore,
    save,
    stage,
    told,
    whole,
    whole_history,
)
from tests.settings_service.test_part import FLAT, ITEMS, SETTINGS, everything, file_in_memory, restore_here
from tests.support import Asker

FIVE = history(*(entry(number, {"h": number}, minute=number) for number in range(1, 6)))
DOCUMENT = whole({"h": 5}) + FIVE


async def nine_versions(asker: Asker) -> list[dict[str, Any]]:
    for number in range(2, 10):
        await save(asker, {"v": number}, note=f"v{number}")
    return await whole_history(asker)


async def numbers(asker: Asker, owner: str = "guest:a") -> list[int]:
    return [each["version"] for each in reversed(await whole_history(asker, owner))]


async def test_the_entries_of_the_document_come_in_and_all_others_go(asker: Asker, file: Path) -> None:
    await nine_versions(asker)
    done = await replace(asker, DOCUMENT)
    found = list(reversed(await whole_history(asker)))
    assert [(each["version"], each["settings"]) for each in found] == [(9 + n, {"h": n}) for n in range(1, 6)]
    assert (await current(asker))["version"] == 14
    assert done["plan"]["history"] == {"added": 5, "changed": 0, "unchanged": 0, "refused": 0}
    assert done["removed"] == {"settings": 1, "history": 9}
    assert done["restored"] == {"settings": 1, "history": 5}
    check_file(file)


async def test_an_entry_that_the_document_names_keeps_its_number(asker: Asker, file: Path) -> None:
    live = await nine_versions(asker)
    third = next(each for each in live if each["version"] == 3)
    await replace(asker, [*whole({"h": 5}), *FIVE, ("/history/5", "history", {**third, "version": 77, "id": 78})])
    assert await numbers(asker) == [3, 10, 11, 12, 13, 14]
    assert (await whole_history(asker))[-1] == third
    check_file(file)


@pytest.mark.parametrize("other", [{"minute": 5, "note": "b"}, {"minute": 6, "note": "a"}])
async def test_an_entry_that_differs_in_its_time_or_its_note_alone_is_another(asker: Asker, other: Any) -> None:
    await restore(asker, history(entry(1, {"n": 1}, minute=5, note="a")), "one")
    done = await replace(asker, [*whole({"n": 1}), *history(entry(1, {"n": 1}, **other))], "two")
    assert (done["plan"]["history"]["added"], done["removed"]["history"]) == (1, 3)
    assert await numbers(asker) == [4]


async def test_what_another_restore_has_staged_keeps_nothing(asker: Asker) -> None:
    live = await nine_versions(asker)
    await stage(asker, history(*live), "other")
    assert (await replace(asker, DOCUMENT))["removed"]["history"] == 9


async def test_what_a_patch_takes_out_is_changed_and_not_removed(asker: Asker) -> None:
    await save(asker, {"gone": 1, "stays": 1})
    done = await replace(asker, [("", "settings_patch", {"gone": None})])
    assert done["plan"]["settings"] == {"added": 0, "changed": 1, "unchanged": 0, "refused": 0}
    assert done["removed"]["settings"] == 0
    assert (await current(asker))["settings"] == {"stays": 1}


async def test_settings_that_are_not_the_last_entry_follow_as_one_more_version(asker: Asker, file: Path) -> None:
    await nine_versions(asker)
    await replace(asker, whole({"other": 1}) + FIVE)
    assert await numbers(asker) == [10, 11, 12, 13, 14, 15]
    newest = (await whole_history(asker))[0]
    assert (newest["settings"], newest["change_note"]) == ({"other": 1}, "backup_restore")
    assert same((await current(asker))["settings"], {"other": 1})
    check_file(file)


OWN_LAST_STATE = whole({"v": 9}) + FIVE[:2]
DOCUMENTS = {
    "with its settings as its last entry": DOCUMENT,
    "with other settings": whole({"other": 1}) + FIVE,
    "with settings of an older entry": whole({"h": 2}) + FIVE,
    "with settings alone": whole({"h": 1, "theme": {"accent": "teal"}}),
    "with history alone": FIVE,
    "with the settings that are there": OWN_LAST_STATE,
    "with a profile saved as nothing": whole({}),
    "with flat switches": FLAT,
    "with flat switches and sections": [*FLAT, *whole({"x": 1})],
}


@pytest.mark.parametrize("items", DOCUMENTS.values(), ids=DOCUMENTS)
async def test_a_second_time_nothing_changes(asker: Asker, items: Any, file: Path) -> None:
    await nine_versions(asker)
    first = await replace(asker, items, "one")
    before = (await current(asker), await whole_history(asker))
    again = await replace(asker, items, "two")
    assert (await current(asker), await whole_history(asker)) == before
    assert again["removed"] == {"settings": 0, "history": 0}
    assert all(counts["added"] == counts["changed"] == 0 for counts in again["plan"].values())
    assert again["restored"] == first["restored"]
    check_file(file)


async def test_the_current_version_stays_where_no_other_takes_its_place(asker: Asker, file: Path) -> None:
    await nine_versions(asker)
    done = await restore(asker, [], parts=["history"], mode="replace")
    assert done["removed"] == {"settings": 0, "history": 8}
    assert await numbers(asker) == [9]
    assert (await save(asker, {"next": 1}))["version"] == 10
    check_file(file)


async def test_history_alone_leaves_the_settings_as_they_are(asker: Asker, file: Path) -> None:
    await nine_versions(asker)
    await replace(asker, FIVE)
    assert (await current(asker))["settings"] == {"v": 9}
    assert await numbers(asker) == [10, 11, 12, 13, 14, 15]
    check_file(file)


async def test_settings_alone_leave_the_history_as_it_is(asker: Asker, file: Path) -> None:
    before = await nine_versions(asker)
    done = await replace(asker, whole({"x": 1}))
    assert done["removed"] == {"settings": 1, "history": 0}
    assert (await whole_history(asker))[1:] == before
    assert (await current(asker))["settings"] == {"x": 1}
    check_file(file)


@pytest.mark.parametrize("mode", ["merge", "replace"])
async def test_what_the_document_does_not_carry_or_a_merge_does_not_name_stays(asker: Asker, mode: str) -> None:
    before = await nine_versions(asker)
    parts = ["settings", "history"] if mode == "merge" else ["runs"]
    done = await restore(asker, [], parts=parts, mode=mode)
    assert done["removed"] == {"settings": 0, "history": 0}
    assert await whole_history(asker) == before


async def test_sections_that_no_settings_name_go_and_named_ones_are_put_in_whole(asker: Asker) -> None:
    await save(asker, {"theme": {"accent": "teal", "mine": 1}, "developer": {"showRawPayload": True}, "x": 1, "y": [2]})
    done = await replace(asker, whole({"theme": {"accent": "teal"}, "y": [2.0], "new": {}}))
    assert (await current(asker))["settings"] == {"theme": {"accent": "teal"}, "y": [2], "new": {}}
    assert done["plan"]["settings"] == {"added": 1, "changed": 1, "unchanged": 1, "refused": 0}
    assert done["removed"] == {"settings": 2, "history": 0}


async def test_sections_of_several_settings_of_one_document_all_stay(asker: Asker) -> None:
    await save(asker, {"a": 1, "b": 2, "c": 3})
    done = await replace(asker, [*whole({"a": 9}), *whole({"b": 2})])
    assert (await current(asker))["settings"] == {"a": 9, "b": 2}
    assert done["removed"]["settings"] == 1


async def test_flat_switches_alone_remove_nothing(asker: Asker) -> None:
    await save(asker, {**DEFAULTS, "unknown": [1]})
    done = await replace(asker, FLAT)
    assert done["removed"] == {"settings": 0, "history": 0}
    assert (await current(asker))["settings"] == {
        **DEFAULTS,
        "unknown": [1],
        "accessibility": {**DEFAULTS["accessibility"], "reducedMotion": True},
        "preferences": {**DEFAULTS["preferences"], "autoFavoriteWinner": True},
    }


async def test_a_profile_saved_as_nothing_empties_the_profile(asker: Asker, file: Path) -> None:
    await current(asker)
    done = await replace(asker, whole({}))
    assert (await current(asker))["settings"] == {}
    assert done["removed"]["settings"] == len(DEFAULTS)
    check_file(file)


async def test_a_section_that_was_refused_is_not_taken_for_one_that_is_not_named(asker: Asker) -> None:
    await save(asker, {"theme": {"accent": "teal", "grain": 0.5}, "developer": {}, "x": 1})
    done = await replace(asker, whole({"theme": {"grain": 7}, "developer": 7}))
    assert done["warning_count"] == 2
    assert (await current(asker))["settings"] == {"theme": {"accent": "teal", "grain": 0.5}, "developer": {}}


async def test_a_plan_equals_the_outcome_also_for_an_owner_who_never_came(asker: Asker, file: Path) -> None:
    done = await replace(asker, DOCUMENT, "one", owner="guest:new")
    assert done["removed"] == {"settings": len(DEFAULTS), "history": 1}
    assert await numbers(asker, "guest:new") == [2, 3, 4, 5, 6]
    check_file(file, "guest:new")
    done = await restore(asker, [], "two", "guest:other", parts=["history"], mode="replace")
    assert done["removed"] == {"settings": 0, "history": 0}
    assert await numbers(asker, "guest:other") == [1]


async def test_a_dry_run_changes_nothing(asker: Asker) -> None:
    before = await nine_versions(asker)
    staged = await stage(asker, DOCUMENT, "dry", parts=["settings", "history"], mode="replace")
    assert await whole_history(asker) == before
    assert (await replace(asker, DOCUMENT))["plan"] == staged["plan"]


async def test_what_was_saved_between_plan_and_commit_goes_like_everything_else(asker: Asker, file: Path) -> None:
    await nine_versions(asker)
    staged = await stage(asker, DOCUMENT, "one", parts=["settings", "history"], mode="replace")
    await save(asker, {"between": 1, "two": 2})
    done = await commit(asker, "one")
    assert staged["removed"] == {"settings": 1, "history": 9}
    assert done["removed"] == {"settings": 2, "history": 10}
    assert await numbers(asker) == [11, 12, 13, 14, 15]
    check_file(file)


async def test_a_number_is_never_given_again(asker: Asker) -> None:
    given = {1}
    for round_ in range(6):
        given.add((await save(asker, {"round": round_}))["version"])
        entries = history(*(entry(None, {"round": round_, "n": n}, minute=n) for n in range(3)))
        await replace(asker, entries + (whole({"all": round_}) if round_ % 2 else []), f"r{round_}")
        fresh = set(await numbers(asker))
        assert not given & fresh
        assert min(fresh) > max(given)
        given |= fresh
    for gone in sorted(given - fresh):
        await told(await asker.get(f"/api/settings/history/{gone}"), 404)
        await told(await asker.post(f"/api/settings/history/{gone}/restore"), 404)


async def test_pages_of_a_history_with_gaps_follow_each_other(asker: Asker) -> None:
    live = await nine_versions(asker)
    chosen = [each for each in live if each["version"] in (2, 5, 7)]
    await replace(asker, [*whole({"h": 5}), *FIVE, *(("", "history", each) for each in chosen)])
    for limit in (1, 2, 3, 8):
        found = [each["version"] for each in await whole_history(asker, limit=limit)]
        assert found == [14, 13, 12, 11, 10, 7, 5, 2]


async def test_other_owners_are_untouched(asker: Asker) -> None:
    await save(asker, {"mine": 1}, owner="guest:b")
    before = await whole_history(asker, "guest:b")
    await nine_versions(asker)
    await replace(asker, DOCUMENT)
    assert await whole_history(asker, "guest:b") == before


async def test_a_backup_shows_only_what_is_live(asker: Asker) -> None:
    await nine_versions(asker)
    await replace(asker, DOCUMENT)
    profile, *entries = await backup(asker)
    assert profile == await current(asker)
    assert entries == await whole_history(asker)
    assert len(entries) == 5


async def test_replacing_by_ones_own_backup_takes_back_everything_since(asker: Asker, file: Path) -> None:
    await nine_versions(asker)
    profile, *entries = await backup(asker)
    await save(asker, {"later": 1})
    await save(asker, {"v": 9, "later": 2})
    items = as_items({"settings": profile, "history": entries})
    assert (await replace(asker, items))["removed"] == {"settings": 1, "history": 2}
    assert (await current(asker))["settings"] == profile["settings"]
    assert (await whole_history(asker))[1:] == entries
    assert await numbers(asker) == [*range(1, 10), 12]
    check_file(file)


async def test_the_older_consoles_backup_replaces_a_profile_and_only_once(asker: Asker, file: Path) -> None:
    await nine_versions(asker)
    items = as_items(legacy("upstream-backup.json"))
    assert (await replace(asker, items, "one"))["removed"]["history"] == 9
    before = await whole_history(asker)
    assert [each["version"] for each in before] == [14, 13, 12, 11, 10]
    assert (await replace(asker, items, "two"))["removed"]["history"] == 0
    assert await whole_history(asker) == before
    check_file(file)


async def test_room_that_the_removed_entries_leave_can_be_taken(start: Start, file: Path) -> None:
    asker = await start(owner_quota_bytes=5000)
    await save(asker, {"a": "x" * 3500})
    large = history(entry(1, {"b": "x" * 4000}))
    items = whole({"b": "x" * 4000}) + large
    refused = await stage(asker, items, "merge", status=413)
    assert refused["code"] == "quota"
    await replace(asker, items)
    assert await numbers(asker) == [3]
    check_file(file)
    too_much = whole({"c": "x" * 6000})
    assert (await stage(asker, too_much, "two", status=413, parts=["settings"], mode="replace"))["code"] == "quota"


async def test_an_owner_over_the_quota_may_still_replace_much_by_less(start: Start, file: Path) -> None:
    asker = await start()
    for number in range(5):
        await save(asker, {"a": f"{number}" * 2000})
    smaller = await start(owner_quota_bytes=3000)
    items = whole({"b": "x" * 4000}) + history(entry(1, {"b": "x" * 4000}))
    await replace(smaller, items)
    assert await numbers(smaller) == [7]
    check_file(file)
    more = history(entry(1, {"b": "x" * 4000}), entry(2, {"b": "y"}))
    refused = await stage(smaller, whole({"b": "y"}) + more, "more", status=413, parts=["history"], mode="replace")
    assert refused["code"] == "quota"


@example_settings(max_examples=200, deadline=None)
@given(
    st.none() | SETTINGS,
    st.lists(st.tuples(ITEMS, st.sets(st.sampled_from(["settings", "history"]))), min_size=1, max_size=3),
)
def test_whatever_a_document_holds_replacing_twice_changes_nothing(own: Any, documents: Any) -> None:
    """Also for documents that hold what is refused, or items of parts that they do not say they carry."""
    ids = count()
    with file_in_memory() as tx:
        if own is not None:
            opened = versions.open_profile(tx, "guest:a")
            versions.append(tx, "guest:a", opened, versions.Draft(versions.document(own), "own"))
        for items, parts in documents:
            total = number_of_versions(tx)
            done = restore_here(tx, items, f"{next(ids)}", Mode.REPLACE, frozenset(parts))
            before = everything(tx)
            # The state may follow once more, which no part of a plan counts.
            assert number_of_versions(tx) - total + done.removed["history"] - done.plan["history"]["added"] in (0, 1)
            again = restore_here(tx, items, f"{next(ids)}", Mode.REPLACE, frozenset(parts))
            assert everything(tx) == before
            assert all(counts["added"] == counts["changed"] == 0 for counts in again.plan.values())
            assert not any(again.removed.values())


def number_of_versions(tx: sqlite3.Connection) -> int:
    """Counting the first one of an owner who never came, which any restore makes."""
    return int(tx.execute("SELECT max(1, count(*)) FROM versions").fetchone()[0])
