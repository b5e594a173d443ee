"""The undo of a restore: what was written since stays, the rest is as it was, nothing kept is left over."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from chassis.documents import same
from chassis.peers import Scope
from tests.runs_service.conftest import (
    Start,
    abort,
    all_runs,
    check_favorites,
    commit,
    counted,
    dump,
    favorites,
    opened,
    put,
    restore,
    stage,
    told,
    undo,
)
from tests.runs_service.samples import data_url, favored, run
from tests.runs_service.test_quota import used
from tests.support import Asker

OF_RUNS = "SELECT * FROM runs ORDER BY owner, run_id"


def image(letter: bytes) -> dict[str, str]:
    return {"source_image_data_url": data_url(letter * 3000)}


UNCHANGED, BEFORE, REMOVED = run(1, **image(b"a")), run(2, **image(b"b")), run(3, **image(b"c"))
CHANGED, ADDED = run(2, intent="from the document", **image(b"d")), run(4, **image(b"e"))
DOCUMENT = [UNCHANGED, CHANGED, ADDED]


@pytest.fixture
async def restored(asker: Asker) -> Asker:
    """After a restore in replace mode that left a run alone, changed one, removed one and added one."""
    for each in (UNCHANGED, BEFORE, REMOVED):
        await put(asker, each)
    answer = await restore(asker, DOCUMENT, mode="replace")
    assert answer["plan"]["runs"] == {"added": 1, "changed": 1, "unchanged": 1, "refused": 0}
    assert answer["removed"] == {"runs": 1}
    return asker


def path(of: dict[str, Any]) -> str:
    return f"/api/runs/{of['run_id']}"


@pytest.mark.parametrize("mode", ["merge", "replace"])
async def test_every_row_and_image_is_as_it_was(asker: Asker, file: Path, mode: str) -> None:
    for each in (UNCHANGED, BEFORE, REMOVED, {"run_id": "without a time"}):
        await put(asker, each)
    before, usage = dump(file, "runs", "images", "contents"), used(file)
    await restore(asker, DOCUMENT, mode=mode)
    used(file)
    assert dump(file, "runs") != {"runs": before["runs"]}
    assert await undo(asker) == (2 if mode == "merge" else 4, 0)
    assert dump(file, "runs", "images", "contents") == before
    assert used(file) == usage
    assert counted(file, "undo_runs") == 0


async def test_undoing_a_restore_into_nothing_leaves_nothing(asker: Asker, file: Path) -> None:
    await restore(asker, DOCUMENT)
    assert await undo(asker) == (3, 0)
    assert used(file) == 0
    assert [counted(file, table) for table in ("runs", "contents", "images", "undo_runs")] == [0] * 4


@pytest.mark.parametrize("mode", ["merge", "replace"])
async def test_the_favorites_are_those_from_before_and_those_written_since(asker: Asker, file: Path, mode: str) -> None:
    for each in (favored(1), favored(2), run(3), favored(4)):
        await put(asker, each)
    await restore(asker, [favored(1), run(2), favored(3), favored(5), favored(6)], mode=mode)
    await put(asker, favored(6, intent="since"))
    await undo(asker)
    assert await favorites(asker) == ["R00000001", "R00000002", "R00000004", "R00000006"]
    check_favorites(file)


async def nothing(asker: Asker) -> None:
    """No write at all."""


async def edit(asker: Asker) -> None:
    await put(asker, CHANGED | {"x": 1})


async def edit_and_back(asker: Asker) -> None:
    await put(asker, CHANGED | {"x": 1})
    await put(asker, CHANGED)


async def by_hand_as_before(asker: Asker) -> None:
    await put(asker, BEFORE)


async def as_before_and_as_restored(asker: Asker) -> None:
    await put(asker, BEFORE)
    await put(asker, CHANGED)


async def favorite(asker: Asker) -> None:
    answer = await asker.put(f"{path(CHANGED)}/variants/R00000002-v1/favorite", json={"favorite": True})
    assert answer.status == 200


async def favorite_and_back(asker: Asker) -> None:
    for value in (True, False):
        await asker.put(f"{path(CHANGED)}/variants/R00000002-v1/favorite", json={"favorite": value})


async def delete(asker: Asker) -> None:
    await told(await asker.delete(path(CHANGED)))


async def delete_and_make_again(asker: Asker) -> None:
    await delete(asker)
    await put(asker, CHANGED)


async def delete_and_make_as_before(asker: Asker) -> None:
    await delete(asker)
    await put(asker, BEFORE)


async def delete_all(asker: Asker) -> None:
    await told(await asker.delete("/api/runs"))


Since = Callable[[Asker], Awaitable[None]]
TO_THE_CHANGED_ONE = (
    edit,
    edit_and_back,
    by_hand_as_before,
    as_before_and_as_restored,
    favorite,
    favorite_and_back,
    delete,
    delete_and_make_again,
    delete_and_make_as_before,
)


@pytest.mark.parametrize("since", TO_THE_CHANGED_ONE)
async def test_a_changed_run_that_was_written_since_stays(restored: Asker, file: Path, since: Since) -> None:
    await since(restored)
    used(file)
    mine = [each for each in await all_runs(restored) if each["run_id"] == CHANGED["run_id"]]
    assert await undo(restored) == (2, 1)
    assert same(await all_runs(restored), [UNCHANGED, *mine, REMOVED])
    used(file)


@pytest.mark.parametrize("again", [False, True])
async def test_an_added_run_that_was_deleted_since_stays_away_and_one_made_again_stays(
    restored: Asker, file: Path, again: bool
) -> None:
    await told(await restored.delete(path(ADDED)))
    if again:
        await put(restored, ADDED)
    assert await undo(restored) == (2, 1)
    assert same(await all_runs(restored), [UNCHANGED, BEFORE, REMOVED, *[ADDED] * again])
    used(file)


@pytest.mark.parametrize("as_before", [False, True])
@pytest.mark.parametrize("still_there", [False, True])
async def test_a_removed_run_that_was_made_again_since_stays_as_it_is_and_one_deleted_again_stays_away(
    restored: Asker, file: Path, as_before: bool, still_there: bool
) -> None:
    mine = REMOVED if as_before else REMOVED | {"x": 1}
    await put(restored, mine)
    if not still_there:
        await told(await restored.delete(path(REMOVED)))
    assert await undo(restored) == (2, 1)
    assert same(await all_runs(restored), [UNCHANGED, BEFORE, *[mine] * still_there])
    used(file)


async def test_deleting_all_since_brings_back_only_what_the_restore_removed(restored: Asker, file: Path) -> None:
    await delete_all(restored)
    assert await undo(restored) == (1, 2)
    assert same(await all_runs(restored), [REMOVED])
    used(file)


async def test_what_the_restore_left_unchanged_is_none_of_its_business(restored: Asker, file: Path) -> None:
    await told(await restored.delete(path(UNCHANGED)))
    await put(restored, run(5))
    assert await undo(restored) == (3, 0)
    assert same(await all_runs(restored), [BEFORE, REMOVED, run(5)])
    used(file)


async def test_saving_what_is_there_already_is_no_write(restored: Asker) -> None:
    for each in DOCUMENT:
        assert (await put(restored, each)).status == 200
    assert (await restored.delete(path(REMOVED))).status == 404
    variant = f"{path(CHANGED)}/variants/R00000002-v1/favorite"
    assert (await restored.put(variant, json={"favorite": False})).status == 200
    assert await undo(restored) == (3, 0)


async def test_a_write_that_was_refused_is_no_write(restored: Asker) -> None:
    refused = await put(restored, CHANGED | {"x": 1}, headers={"If-Match": '"another"'})
    assert refused.status == 412
    assert await undo(restored) == (3, 0)


@pytest.mark.parametrize("since", [edit, delete])
async def test_what_is_kept_of_a_run_goes_as_soon_as_that_run_is_written(
    restored: Asker, file: Path, since: Since
) -> None:
    images = counted(file, "images")
    await since(restored)
    assert counted(file, "undo_runs") == 2
    assert counted(file, "images") == images - (1 if since is edit else 2)  # that from before, and the deleted one
    used(file)


async def test_a_write_after_the_undo_was_staged_stays_too(restored: Asker, file: Path) -> None:
    staged = await stage(restored, [], "undo", mode="undo", undoes="one")
    assert (staged["undone"], staged["stayed"]) == ({"runs": 3}, {"runs": 0})
    await edit(restored)
    committed = await commit(restored, "undo")
    assert (committed["undone"], committed["stayed"]) == ({"runs": 2}, {"runs": 1})
    assert same(await all_runs(restored), [UNCHANGED, CHANGED | {"x": 1}, REMOVED])
    used(file)


async def test_an_undo_that_is_staged_and_aborted_leaves_what_is_kept(restored: Asker) -> None:
    await stage(restored, [], "undo", mode="undo", undoes="one")
    await abort(restored, "undo")
    assert same(await all_runs(restored), DOCUMENT)
    assert await undo(restored, undo_id="again") == (3, 0)


async def test_runs_in_the_upload_of_an_undo_come_to_nothing(restored: Asker, file: Path) -> None:
    await stage(restored, [run(9)], "undo", mode="undo", undoes="one")
    assert counted(file, "staged_runs") == 0
    await commit(restored, "undo")
    assert same(await all_runs(restored), [UNCHANGED, BEFORE, REMOVED])


async def test_the_next_restore_forgets_what_the_one_before_kept(restored: Asker, file: Path) -> None:
    await restore(restored, [run(5)], "two")
    assert counted(file, "undo_runs") == 1
    assert counted(file, "images") == 3
    used(file)
    assert (await stage(restored, [], "undo", mode="undo", undoes="one", status=409))["code"] == "undo_closed"
    assert await undo(restored, "two", "undo-two") == (1, 0)
    assert same(await all_runs(restored), DOCUMENT)


async def test_a_restore_that_was_only_staged_forgets_nothing(restored: Asker, file: Path) -> None:
    await stage(restored, [BEFORE, REMOVED], "two")
    assert await undo(restored) == (3, 0)
    used(file)
    await commit(restored, "two")
    assert same(await all_runs(restored), [UNCHANGED, BEFORE, REMOVED])
    used(file)


async def test_the_restores_of_two_owners_are_undone_each_by_itself(restored: Asker, file: Path) -> None:
    for each in (UNCHANGED, BEFORE, REMOVED):
        await put(restored, each, owner="guest:b")
    await restore(restored, DOCUMENT, "of b", owner="guest:b", mode="replace")
    await put(restored, CHANGED | {"x": 1})
    assert await undo(restored, "of b", "undo of b", owner="guest:b") == (3, 0)
    assert same(await all_runs(restored, owner="guest:b"), [UNCHANGED, BEFORE, REMOVED])
    assert await undo(restored) == (2, 1)
    used(file)
    assert used(file, "guest:b") > 0


async def test_an_undo_happens_once(restored: Asker) -> None:
    await undo(restored)
    await put(restored, CHANGED)
    first = await commit(restored, "undo")
    assert first["undone"] == {"runs": 3}
    assert same(await all_runs(restored), [UNCHANGED, CHANGED, REMOVED])
    assert (await stage(restored, [], "again", mode="undo", undoes="one", status=409))["code"] == "undo_closed"


async def test_what_is_kept_is_shown_nowhere(restored: Asker) -> None:
    lines = await (await restored.get("/internal/backup", scope=Scope.SYSTEM)).read()
    assert REMOVED["run_id"].encode() not in lines
    for query in ({"q": REMOVED["run_id"]}, {"view": "summary", "q": REMOVED["run_id"]}):
        assert (await told(await restored.get("/api/runs", params=query)))["runs"] == []
    for address in (path(REMOVED), f"{path(REMOVED)}/source-image"):
        assert (await restored.get(address)).status == 404


async def test_what_is_kept_takes_no_room_of_the_quota(restored: Asker, start: Start, file: Path) -> None:
    assert used(file) < sum(length for (length,) in rows(file, "SELECT length(bytes) FROM images")) + 3000
    shown = used(file)
    await told(await restored.delete(path(ADDED)))
    exact = await start(owner_quota_bytes=shown)
    assert (await put(exact, ADDED)).status == 201


def rows(file: Path, statement: str) -> list[tuple[Any, ...]]:
    with opened(file) as tx:
        return [tuple(row) for row in tx.execute(statement)]


async def test_an_image_is_kept_while_any_run_live_staged_or_kept_needs_it(asker: Asker, file: Path) -> None:
    await put(asker, run(1, **image(b"a")))
    await put(asker, run(2, **image(b"a")))
    await restore(asker, [run(1, **image(b"b"))], mode="replace")  # both rows kept show a, one live row shows b
    await stage(asker, [run(3, **image(b"a"))], "two")
    await put(asker, run(1))
    used(file)
    assert counted(file, "images") == 1
    await put(asker, run(2))
    used(file)
    assert counted(file, "undo_runs") == 0
    assert counted(file, "images") == 1
    await abort(asker, "two")
    assert counted(file, "images") == 0


@pytest.mark.parametrize("deleted", [False, True])
async def test_an_image_of_the_states_before_and_after_is_counted_once_and_goes_with_both(
    asker: Asker, file: Path, deleted: bool
) -> None:
    await put(asker, run(1, **image(b"a")))
    await restore(asker, [run(1, x=1, **image(b"a"))])
    used(file)
    await (asker.delete(path(run(1))) if deleted else put(asker, run(1)))
    used(file)
    assert counted(file, "images") == 0


@pytest.mark.parametrize("step", ["restore", "undo"])
@pytest.mark.parametrize("at", ["INSERT ON runs", "UPDATE ON runs", "DELETE ON runs", "DELETE ON undo_runs"])
async def test_a_commit_that_fails_on_the_way_leaves_all_as_it_was(
    restored: Asker, file: Path, step: str, at: str
) -> None:
    tables = ("runs", "contents", "images", "usage", "undo_runs", "staged_runs", "restores")
    if step == "restore":
        await stage(restored, [BEFORE, REMOVED], "next", mode="replace")
    else:
        await stage(restored, [], "next", mode="undo", undoes="one")
    before = dump(file, *tables)
    with opened(file) as tx:
        tx.execute(f"CREATE TRIGGER fault AFTER {at} BEGIN SELECT RAISE(ABORT, 'fault'); END")
    await commit(restored, "next", status=500)
    assert dump(file, *tables) == before
    with opened(file) as tx:
        tx.execute("DROP TRIGGER fault")
    await commit(restored, "next")
    used(file)
    left = [BEFORE, REMOVED] if step == "restore" else [UNCHANGED, BEFORE, REMOVED]
    assert same(await all_runs(restored), left)


async def test_an_undo_that_would_not_fit_is_a_413_and_changes_nothing(restored: Asker, start: Start) -> None:
    await told(await restored.delete(path(ADDED)))
    await put(restored, run(6, x="x" * 9000))
    narrow = await start(owner_quota_bytes=20_000)
    problem = await stage(narrow, [], "undo", mode="undo", undoes="one", status=413)
    assert (problem["code"], problem["limit"]) == ("quota", 20_000)
    await abort(narrow, "undo")
    assert same(await all_runs(restored), [UNCHANGED, CHANGED, run(6, x="x" * 9000)])
    assert await undo(restored, undo_id="with room") == (2, 1)


async def test_staging_foresees_exactly_what_undoing_takes(restored: Asker, start: Start, file: Path) -> None:
    """With a quota of just what the state before took it passes, with one byte less it is refused."""
    for each in (BEFORE, REMOVED, run(5, x="x" * 4000)):
        await put(restored, each, owner="guest:b")
    larger = used(file, "guest:b")
    await restore(restored, [run(1, **image(b"b")), run(2)], "of b", owner="guest:b", mode="replace")
    assert used(file, "guest:b") < larger
    narrow, exact = await start(owner_quota_bytes=larger - 1), await start(owner_quota_bytes=larger)
    await stage(narrow, [], "no", owner="guest:b", mode="undo", undoes="of b", status=413)
    await undo(exact, "of b", "yes", owner="guest:b")
    assert used(file, "guest:b") == larger


async def test_an_undo_that_frees_room_passes_whatever_the_quota(restored: Asker, start: Start, file: Path) -> None:
    await restore(restored, [run(9, x="x" * 9000)], "two")
    narrow = await start(owner_quota_bytes=1000)
    assert await undo(narrow, "two") == (1, 0)
    assert used(file) > 1000


async def test_a_decided_undo_goes_through_even_if_the_room_was_taken_meanwhile(asker: Asker, start: Start) -> None:
    await put(asker, run(1, x="x" * 9000))
    await restore(asker, [], mode="replace")
    narrow = await start(owner_quota_bytes=10_000)
    await stage(narrow, [], "undo", mode="undo", undoes="one")
    await put(narrow, run(2, x="x" * 5000))
    assert (await commit(narrow, "undo"))["undone"] == {"runs": 1}
    assert same(await all_runs(asker), [run(1, x="x" * 9000), run(2, x="x" * 5000)])


async def test_what_is_kept_outlives_a_restart(restored: Asker, start: Start) -> None:
    await restored.client.close()
    assert await undo(await start()) == (3, 0)
