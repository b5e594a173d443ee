"""History beyond a number is removed and told; what anybody still needs stays."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chassis.once import KEYS_HEADER, NAME_HEADER
from chassis.peers import Scope
from chassis.schema import connect
from chassis.upkeep import clean, look
from settings_service.upkeep import chores
from tests.settings_service.support import (
    as_items,
    backup,
    check_file,
    current,
    entry,
    history,
    patch,
    replace,
    restore,
    rows_for_undo,
    save,
    told,
    undo,
    whole,
    whole_history,
)
from tests.support import Asker


def prune(file: Path, keep: int | None = None, *, days: int = 0, unfinished: list[str] | None = None) -> dict[str, int]:
    """Rows removed, the same as were told before; as of so many days from now."""
    there = chores(datetime.now(UTC) + timedelta(days=days), unfinished or [], keep)
    with closing(connect(file)) as tx:
        found = {name: amount.rows for name, amount in look(tx, there).items()}
        assert clean(tx, there, lambda _: None) == found
        return found


async def saved(asker: Asker, number: int, owner: str = "guest:a") -> None:
    for n in range(number):
        await save(asker, {"theme": {"grain": n / 1000}}, owner=owner)


async def page(asker: Asker, owner: str = "guest:a") -> dict[str, Any]:
    return await told(await asker.get("/api/settings/history", owner=owner))


async def test_the_newest_stay_and_the_others_are_told(asker: Asker, file: Path) -> None:
    await saved(asker, 9)
    await saved(asker, 1, "guest:b")
    before = await whole_history(asker)
    assert prune(file, 3)["history"] == 7
    assert await whole_history(asker) == before[:3]
    assert ((await page(asker))["pruned"], (await page(asker, "guest:b"))["pruned"]) == (7, 0)
    assert (await current(asker))["version"] == 10
    check_file(file)


async def test_it_adds_up_and_doing_it_again_changes_nothing(asker: Asker, file: Path) -> None:
    await saved(asker, 4)
    assert [prune(file, 3)["history"], prune(file, 3)["history"]] == [2, 0]
    await saved(asker, 2)
    assert (prune(file, 1)["history"], (await page(asker))["pruned"]) == (4, 6)
    assert [each["version"] for each in await whole_history(asker)] == [7]


async def test_without_a_number_no_history_goes(asker: Asker, file: Path) -> None:
    await saved(asker, 4)
    assert "history" not in prune(file)
    assert len(await whole_history(asker)) == 5


async def test_many_versions_go_in_pieces(asker: Asker, file: Path) -> None:
    await saved(asker, 130)
    (there,) = [each for each in chores(datetime.now(UTC), [], 10) if each.name == "history"]
    with closing(connect(file)) as tx:
        pieces = there.pieces(tx)
        assert next(pieces) == 100
        del pieces  # as a kill would
        check_file(file)
        assert (await page(asker))["pruned"] == 100
        assert sum(there.pieces(tx)) == 21
    assert (await page(asker))["pruned"] == 121


async def test_a_pruned_version_is_said_to_be_pruned_and_one_that_never_was_is_not(asker: Asker, file: Path) -> None:
    await saved(asker, 4)
    prune(file, 2)
    for path in ("/api/settings/history/2", "/api/settings/history/2/diff"):
        assert "3 of the oldest up to 3 were removed" in (await told(await asker.get(path), 404))["detail"]
    answer = await told(await asker.post("/api/settings/history/2/restore"), 404)
    assert (answer["code"], "were removed by the operator" in answer["detail"]) == ("unknown_version", True)
    assert "removed" not in (await told(await asker.get("/api/settings/history/9"), 404))["detail"]


async def test_a_patch_against_a_pruned_version_is_answered_as_one_against_an_unknown_one(
    asker: Asker, file: Path
) -> None:
    await saved(asker, 4)
    prune(file, 1)
    answer = await patch(asker, {"theme": {"grain": 0.9}}, 409, base=2)
    assert (answer["code"], answer["current"]["version"]) == ("unknown_base", 5)


async def test_what_an_undo_needs_stays_as_long_as_it_is_open(asker: Asker, file: Path) -> None:
    await saved(asker, 4)
    before = await current(asker)
    await restore(asker, whole({"theme": {"grain": 1.0}}))
    await saved(asker, 0)
    assert prune(file, 1)["history"] == 4  # and not the fifth, which is what the restore replaced
    await undo(asker)
    assert (await current(asker))["settings"] == before["settings"]
    check_file(file)


async def test_entries_that_an_undo_brings_back_are_in_their_places(asker: Asker, file: Path) -> None:
    await saved(asker, 3)
    await replace(asker, history(entry(1, {"theme": {}})))
    prune(file, 1)
    await undo(asker)
    assert len({each["version"] for each in await whole_history(asker)}) == len(await whole_history(asker)) > 3
    check_file(file)


async def test_an_undo_that_is_over_loses_its_data_and_what_has_not_ended_does_not(asker: Asker, file: Path) -> None:
    await saved(asker, 3)
    await replace(asker, history(entry(1, {"theme": {}})))
    assert prune(file, days=7)["undo_data"] == 0
    assert prune(file, days=9, unfinished=["one"])["undo_data"] == 0
    assert rows_for_undo(file) != (0, 0)
    assert prune(file, days=9)["undo_data"] == 1
    assert rows_for_undo(file) == (0, 0)


async def test_operations_are_forgotten_after_a_month_unless_the_journal_has_not_ended_them(
    asker: Asker, file: Path
) -> None:
    await restore(asker, whole({"theme": {"grain": 1.0}}))
    assert [prune(file, days=29)["operations"], prune(file, days=31, unfinished=["one"])["operations"]] == [0, 0]
    assert prune(file, days=31)["operations"] == 1


async def test_a_backup_has_what_is_left_and_a_restore_of_one_from_before_brings_all_back(
    asker: Asker, file: Path
) -> None:
    await saved(asker, 5)
    profile, *versions = await backup(asker)
    prune(file, 2)
    after = await backup(asker)
    assert after == [profile, *versions[:2]]
    answer = await restore(asker, as_items({"settings": profile, "history": versions}))
    assert answer["plan"]["history"] == {"added": 4, "changed": 0, "unchanged": 2, "refused": 0}
    assert (await current(asker))["settings"] == profile["settings"]
    check_file(file)


async def test_answers_whose_time_is_over_go(asker: Asker, file: Path) -> None:
    await save(asker, {"theme": {}}, headers={NAME_HEADER: "one", KEYS_HEADER: "aa" * 32})
    assert prune(file)["idempotency_keys"] == 0
    assert prune(file, days=2)["idempotency_keys"] == 1


@pytest.mark.parametrize("saves", [0, 2])
async def test_what_was_pruned_of_a_guest_is_told_to_the_user_it_becomes(asker: Asker, file: Path, saves: int) -> None:
    """Also where the guest's profile only comes into the history of a user who has saved before."""
    await saved(asker, 5)
    await saved(asker, saves, "user:1")
    prune(file, 3)
    await told(await asker.post("/internal/adoptions/one", owner="user:1", guest="guest:a", scope=Scope.SYSTEM))
    assert (await page(asker, "user:1"))["pruned"] == 3
    check_file(file, "user:1")


async def test_whoever_is_erased_and_comes_back_has_lost_nothing(asker: Asker, file: Path) -> None:
    await saved(asker, 5)
    prune(file, 1)
    await told(await asker.post("/internal/erasure", scope=Scope.SYSTEM))
    assert (await page(asker))["pruned"] == 0


async def test_the_release_before_makes_profiles_that_say_nothing(asker: Asker, file: Path) -> None:
    with closing(sqlite3.connect(file)) as tx:
        tx.execute("INSERT INTO versions VALUES ('guest:b', 1, CAST('{}' AS BLOB), '', '2026', NULL, x'00')")
        tx.execute(
            "INSERT INTO profiles (owner, version, created_at, updated_at) VALUES ('guest:b', 1, '2026', '2026')"
        )
        tx.commit()
    assert (await page(asker, "guest:b"))["pruned"] == 0
