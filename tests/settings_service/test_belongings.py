"""A guest's settings once the guest is a user: nothing lost, nothing overwritten, nothing doubled."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from chassis.peers import Scope
from chassis.schema import BUSY_SECONDS
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
    replace,
    rows_for_undo,
    save,
    stage,
    told,
    undo,
    whole,
    whole_history,
)
from tests.support import Asker

GUEST, USER = "guest:a", "user:a"


async def adopt(
    asker: Asker, operation_id: str = "adoption", guest: str = GUEST, user: str = USER, status: int = 200
) -> Any:
    """What moved: whether the guest's profile became the user's, and the number of entries."""
    answer = await asker.post(f"/internal/adoptions/{operation_id}", owner=user, guest=guest, scope=Scope.SYSTEM)
    found = await told(answer, status)
    return (found["moved"]["settings"], found["moved"]["history"]) if status == 200 else found


async def never_opened(asker: Asker) -> None:
    """The user's very first sign-in."""


async def only_read(asker: Asker) -> None:
    await current(asker, USER)


def owned(file: Path, owner: str) -> int:
    """How many rows are left under an owner, of any kind but the memory of operations."""
    tables = ("profiles", "versions", "usage", "undo_versions", "undo_profiles")
    with closing(sqlite3.connect(file)) as tx:
        counts = (tx.execute(f"SELECT count(*) FROM {each} WHERE owner = ?", (owner,)).fetchone()[0] for each in tables)
        return sum(counts)


def shown(entries: list[dict[str, Any]]) -> list[tuple[int, Any, str]]:
    """Version, settings and note, oldest first."""
    return [(each["version"], each["settings"], each["change_note"]) for each in reversed(entries)]


async def saves(asker: Asker, owner: str, *states: dict[str, Any]) -> None:
    for number, state in enumerate(states):
        await save(asker, state, owner=owner, note=f"{owner} {number}")


@pytest.mark.parametrize("before", [never_opened, only_read])
async def test_the_guests_profile_and_history_become_those_of_a_user_who_never_saved(
    asker: Asker, file: Path, before: Callable[[Asker], Awaitable[None]]
) -> None:
    await before(asker)
    await saves(asker, GUEST, {"a": 1}, {"a": 2})
    await told(await asker.post("/api/settings/history/2/restore"))
    made = await backup(asker)
    assert await adopt(asker) == (1, 3)
    assert await backup(asker, USER) == made
    assert (made[0]["version"], made[1]["restored_from"]) == (4, 2)
    assert owned(file, GUEST) == 0
    check_file(file, USER)


async def test_a_guest_who_only_looked_leaves_nothing_and_the_user_as_they_were(asker: Asker, file: Path) -> None:
    await saves(asker, USER, {"mine": 1})
    before = await backup(asker, USER)
    assert (await current(asker, GUEST))["settings"] == DEFAULTS
    assert await adopt(asker) == (0, 0)
    assert await backup(asker, USER) == before
    assert owned(file, GUEST) == 0


async def test_where_neither_saved_the_users_default_profile_stays_the_same(asker: Asker) -> None:
    before = await current(asker, USER)
    await current(asker, GUEST)
    assert await adopt(asker) == (0, 0)
    assert await current(asker, USER) == before


async def test_where_nobody_ever_was_no_profile_is_made(asker: Asker, file: Path) -> None:
    assert await adopt(asker) == (0, 0)
    assert owned(file, USER) == 0


async def test_else_the_guests_versions_come_next_and_the_users_own_state_follows(asker: Asker, file: Path) -> None:
    await saves(asker, USER, {"mine": 1}, {"mine": 2})
    await saves(asker, GUEST, {"a": 1}, {"a": 2}, {"a": 3})
    mine, theirs = await whole_history(asker, USER), await whole_history(asker, GUEST)
    before = await current(asker, USER)
    assert await adopt(asker) == (0, 3)
    newest, *rest = await whole_history(asker, USER)
    assert shown([newest, *rest[:3]]) == [
        (4, {"a": 1}, "guest:a 0"),
        (5, {"a": 2}, "guest:a 1"),
        (6, {"a": 3}, "from guest"),
        (7, {"mine": 2}, "kept at sign-in"),
    ]
    assert rest[3:] == mine
    assert [each["created_at"] for each in rest[:3]] == [each["created_at"] for each in theirs[:3]]
    after = await current(asker, USER)
    assert after == {**before, "version": 7, "updated_at": newest["created_at"]}
    assert after["updated_at"] > before["updated_at"]
    assert owned(file, GUEST) == 0
    check_file(file, USER)


async def test_a_guest_whose_state_is_the_users_adds_it_once_and_last(asker: Asker, file: Path) -> None:
    await saves(asker, USER, {"x": 1.0, "y": [None]})
    await saves(asker, GUEST, {"a": 1}, {"y": [None], "x": 1})
    assert await adopt(asker) == (0, 2)
    entries = shown(await whole_history(asker, USER))[2:]
    assert entries == [(3, {"a": 1}, "guest:a 0"), (4, {"x": 1, "y": [None]}, "from guest")]
    assert (await current(asker, USER))["version"] == 4
    check_file(file, USER)


async def test_a_guest_who_came_back_to_the_defaults_has_saved_all_the_same(asker: Asker) -> None:
    await saves(asker, USER, {"mine": 1})
    await saves(asker, GUEST, {"a": 1}, DEFAULTS)
    assert await adopt(asker) == (0, 2)
    assert [note for _, _, note in shown(await whole_history(asker, USER))][2:] == [
        "guest:a 0",
        "from guest",
        "kept at sign-in",
    ]


async def test_a_user_who_came_back_to_the_defaults_has_saved_and_keeps_them(asker: Asker) -> None:
    await saves(asker, USER, {"mine": 1}, DEFAULTS)
    await saves(asker, GUEST, {"a": 1})
    assert await adopt(asker) == (0, 1)
    assert (await current(asker, USER))["settings"] == DEFAULTS


async def test_numbers_are_dense_also_where_the_guests_are_not_and_tell_of_no_version_of_the_guests(
    asker: Asker, file: Path
) -> None:
    await saves(asker, USER, {"mine": 1})
    await saves(asker, GUEST, {"a": 1}, {"a": 2})
    await replace(asker, history(entry(1, {"d": 1}), entry(2, {"d": 2}, minute=1)))
    await told(await asker.post("/api/settings/history/4/restore"))
    assert [each["version"] for each in await whole_history(asker, GUEST)] == [7, 6, 5, 4]
    await adopt(asker)
    entries = await whole_history(asker, USER)
    assert [each["version"] for each in entries] == [7, 6, 5, 4, 3, 2, 1]
    assert {each["restored_from"] for each in entries} == {None}
    assert entries[1]["change_note"] == "from guest"
    assert rows_for_undo(file) == (0, 0)
    check_file(file, USER)


async def test_history_that_the_user_has_already_is_not_doubled(asker: Asker, file: Path) -> None:
    """A guest who brought their own backup along before signing in."""
    await saves(asker, USER, {"mine": 1}, {"mine": 2})
    profile, *entries = await backup(asker, USER)
    await replace(asker, as_items({"settings": profile, "history": entries}))
    assert await adopt(asker) == (0, 3)
    after = await whole_history(asker, USER)
    assert shown(after)[3:] == [(4, {"mine": 2}, "from guest")]
    assert after[1:] == entries
    check_file(file, USER)


async def test_where_the_user_has_all_of_it_no_version_is_made(asker: Asker, file: Path) -> None:
    await saves(asker, USER, {"mine": 1})
    await saves(asker, "guest:b", {"mine": 1})
    await adopt(asker, "earlier", "guest:b")
    profile, *entries = await backup(asker, USER)
    assert entries[0]["change_note"] == "from guest"
    await replace(asker, as_items({"settings": profile, "history": entries}))
    assert await adopt(asker) == (0, 3)
    assert await backup(asker, USER) == [profile, *entries]
    assert owned(file, GUEST) == 0


async def test_two_guests_become_one_user(asker: Asker, file: Path) -> None:
    await saves(asker, GUEST, {"a": 1})
    await saves(asker, "guest:b", {"b": 1})
    assert await adopt(asker, "one") == (1, 1)
    assert await adopt(asker, "two", "guest:b") == (0, 1)
    assert shown(await whole_history(asker, USER))[1:] == [
        (2, {"a": 1}, "guest:a 0"),
        (3, {"b": 1}, "from guest"),
        (4, {"a": 1}, "kept at sign-in"),
    ]
    assert owned(file, GUEST) == owned(file, "guest:b") == 0
    check_file(file, USER)


async def test_a_write_that_was_under_way_comes_along_once(asker: Asker, file: Path) -> None:
    await saves(asker, GUEST, {"a": 1})
    await adopt(asker, "one")
    await saves(asker, GUEST, {"late": 1})
    assert await adopt(asker, "two") == (0, 1)
    assert await adopt(asker, "three") == (0, 0)
    entries = shown(await whole_history(asker, USER))
    assert [settings for _, settings, _ in entries] == [DEFAULTS, {"a": 1}, {"late": 1}, {"a": 1}]
    assert (await current(asker, USER))["settings"] == {"a": 1}
    assert owned(file, GUEST) == 0


async def test_an_etag_from_before_is_outdated_after_the_profile_was_taken_over(asker: Asker) -> None:
    etag = (await asker.get("/api/settings", owner=USER)).headers["ETag"]
    await saves(asker, GUEST, {"a": 1})
    await adopt(asker)
    await save(asker, {"stale": 1}, 412, owner=USER, headers={"If-Match": etag})
    assert (await save(asker, {"next": 1}, owner=USER))["version"] == 3


@pytest.mark.parametrize("theirs", [{"a": 1}, {"x": 2}], ids=["another state", "the same state"])
async def test_an_undo_of_the_users_restore_gives_the_settings_back_and_loses_nothing_of_what_was_adopted(
    asker: Asker, file: Path, theirs: dict[str, Any]
) -> None:
    await saves(asker, USER, {"mine": 1})
    mine = await whole_history(asker, USER)
    await replace(asker, whole({"x": 2}) + history(entry(1, {"d": 1})), owner=USER)
    await saves(asker, GUEST, {"first": 1}, theirs)
    await adopt(asker)
    await saves(asker, "guest:b", {"b": 1})
    await adopt(asker, "another", "guest:b")
    between = await whole_history(asker, USER)
    done = await undo(asker, owner=USER)
    assert done == {"undone": {"settings": 1, "history": 2}, "stayed": {"settings": 0, "history": 0}}
    newest, *rest = await whole_history(asker, USER)
    assert (newest["settings"], newest["change_note"]) == ({"mine": 1}, "undo:ONE")
    assert rest == between + mine
    assert (await current(asker, USER))["version"] == between[0]["version"] + 1
    check_file(file, USER)


async def test_settings_that_the_user_wrote_after_a_restore_stay_at_its_undo_whoever_was_adopted(
    asker: Asker, file: Path
) -> None:
    await saves(asker, USER, {"mine": 1})
    await replace(asker, whole({"x": 2}), owner=USER)
    await saves(asker, USER, {"later": 3})
    await saves(asker, GUEST, {"a": 1})
    await adopt(asker)
    done = await undo(asker, owner=USER)
    assert (done["undone"]["settings"], done["stayed"]["settings"]) == (0, 1)
    assert (await current(asker, USER))["settings"] == {"later": 3}
    check_file(file, USER)


async def test_what_is_kept_for_an_undo_of_the_guests_is_forgotten_and_no_one_elses(asker: Asker, file: Path) -> None:
    for owner in (GUEST, "guest:b"):
        await saves(asker, owner, {"a": 1})
        await replace(asker, whole({"x": 2}) + history(entry(1, {"d": 1})), f"of {owner}", owner=owner)
    assert rows_for_undo(file) == (2, 4)
    await adopt(asker)
    assert rows_for_undo(file) == (1, 2)
    assert (await undo(asker, "of guest:b", owner="guest:b"))["undone"] == {"settings": 1, "history": 2}


async def test_a_restore_that_the_guest_had_staged_can_be_committed_and_then_comes_along(
    asker: Asker, file: Path
) -> None:
    await saves(asker, GUEST, {"a": 1})
    await stage(asker, whole({"x": 2}) + history(entry(1, {"d": 1})), "staged")
    await adopt(asker, "one")
    await commit(asker, "staged")
    assert await adopt(asker, "two") == (0, 2)
    assert [note for _, _, note in shown(await whole_history(asker, USER))][-3:] == [
        "settings_change",
        "from guest",
        "kept at sign-in",
    ]
    assert owned(file, GUEST) == 0
    check_file(file, USER)


async def test_no_quota_keeps_anything_from_coming_along(asker: Asker, start: Start, file: Path) -> None:
    await saves(asker, USER, {"mine": "x" * 3000})
    await saves(asker, GUEST, {"a": "x" * 3000}, {"a": "y" * 3000})
    narrow = await start(owner_quota_bytes=4000)
    assert await adopt(narrow) == (0, 2)
    check_file(file, USER)
    assert (await current(asker, USER))["settings"] == {"mine": "x" * 3000}


@pytest.mark.parametrize("saved", [False, True])
@pytest.mark.parametrize("at", ["INSERT ON versions", "INSERT ON restores", "DELETE ON profiles", "DELETE ON usage"])
async def test_an_adoption_that_fails_on_the_way_leaves_all_as_it_was(
    asker: Asker, file: Path, saved: bool, at: str
) -> None:
    if saved:
        await saves(asker, USER, {"mine": 1})
    await saves(asker, GUEST, {"a": 1})
    before = whole_file(file)
    with closing(sqlite3.connect(file, isolation_level=None)) as tx:
        tx.execute(f"CREATE TRIGGER fault AFTER {at} BEGIN SELECT RAISE(ABORT, 'fault'); END")
    await adopt(asker, status=500)
    assert whole_file(file) == before
    with closing(sqlite3.connect(file, isolation_level=None)) as tx:
        tx.execute("DROP TRIGGER fault")
    assert await adopt(asker) == (int(not saved), 1)
    check_file(file, USER)


def whole_file(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as tx:
        return [line for line in tx.iterdump() if "fault" not in line]


async def test_a_long_history_comes_along_within_the_patience_of_other_writers(asker: Asker, file: Path) -> None:
    """It takes a quarter of a second; a statement that compared each version with all the others would take minutes."""
    await saves(asker, USER, {"mine": 1})
    await saves(asker, GUEST, {"a": 1})
    with closing(sqlite3.connect(file, isolation_level=None)) as tx:
        tx.execute(
            "WITH more(n) AS (SELECT 3 UNION ALL SELECT n + 1 FROM more WHERE n < 20000) INSERT INTO versions"
            " SELECT owner, n, settings, n, created_at, 2, digest FROM versions JOIN more"
            " WHERE owner = ? AND version = 2",
            (GUEST,),
        )
        tx.execute("UPDATE profiles SET version = 20000 WHERE owner = ?", (GUEST,))
    async with asyncio.timeout(BUSY_SECONDS):
        assert await adopt(asker) == (0, 19_999)
    assert (await current(asker, USER))["version"] == 20_002
    check_file(file, USER)
