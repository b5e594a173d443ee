"""A guest's runs once the guest is a user: all of them there, none of the user's touched, the usage exact."""

from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from chassis import documents
from chassis.documents import same
from chassis.peers import Scope
from chassis.schema import connect
from runs_service.belongings import RunsBelongings
from tests.runs_service.conftest import (
    Start,
    all_runs,
    check_favorites,
    commit,
    counted,
    dump,
    favorites,
    opened,
    restore,
    stage,
    told,
    undo,
)
from tests.runs_service.samples import data_url, favored, run
from tests.runs_service.test_quota import used
from tests.support import Asker

GUEST, USER, OTHER = "guest:a", "user:a", "user:b"
TABLES = ("runs", "contents", "images", "usage", "staged_runs", "undo_runs")
ODD_IDS = (
    "x",
    "x" * 200,
    "x" * 199 + "y",
    "龜" * 200,
    "🐢" * 195,
    "e\u0301",
    "%2F?#&=+ ;",
    "{run_id}",
    "'\"\\",
    "...",
    "\u202eabc",
    "\ufeff",
    "-",
)


def image(letter: bytes) -> dict[str, str]:
    return {"source_image_data_url": data_url(letter * 3000)}


async def adopt(
    asker: Asker, operation_id: str = "adoption", guest: str = GUEST, user: str = USER, status: int = 200
) -> Any:
    """How many runs moved, and the new names of those that have one."""
    answer = await asker.post(f"/internal/adoptions/{operation_id}", owner=user, guest=guest, scope=Scope.SYSTEM)
    found = await told(answer, status)
    if status != 200:
        return found
    assert found["renamed_count"] == len(found["renamed"])
    return found["moved"]["runs"], {each["from"]: each["to"] for each in found["renamed"]}


async def puts(asker: Asker, owner: str, *runs: dict[str, Any]) -> None:
    for each in runs:
        answer = await asker.put(f"/api/runs/{quote(each['run_id'], safe='')}", json=each, owner=owner)
        assert answer.status in (200, 201), await answer.text()


async def get(asker: Asker, run_id: str, owner: str = USER) -> Any:
    return await told(await asker.get(f"/api/runs/{quote(run_id, safe='')}", owner=owner))


def check(file: Path, *left: str) -> None:
    """All is consistent, and only those `left` have anything of a run."""
    assert check_all(file) == set(left)


def check_all(file: Path) -> set[str]:
    """Usage and favourites of all are right, and no content is of two owners or run ids; who has anything at all."""
    with opened(file) as tx:
        assert tx.execute("PRAGMA foreign_key_check").fetchall() == []
        owners = {row[0] for table in ("runs", "images", "usage", "staged_runs", "undo_runs")
                  for row in tx.execute(f"SELECT owner FROM {table}")}  # fmt: skip
        doubly = "SELECT content_id FROM (SELECT DISTINCT owner, run_id, content_id FROM held WHERE content_id NOTNULL)"
        assert tx.execute(f"{doubly} GROUP BY content_id HAVING count(*) > 1").fetchall() == []
    for owner in owners:
        used(file, owner)
    check_favorites(file)
    return owners


async def test_every_row_is_as_it_was_but_for_its_owner(asker: Asker, file: Path) -> None:
    made = [run(2, **image(b"a")), {"run_id": "no time"}, run(1, **image(b"a")), run(3, **image(b"b")), {"run_id": "z"}]
    await puts(asker, GUEST, *made)
    before, shown = dump(file, *TABLES), await all_runs(asker)
    assert await adopt(asker) == (5, {})
    expected = {
        table: sorted((tuple(USER if value == GUEST else value for value in row) for row in rows), key=repr)
        for table, rows in before.items()
    }
    assert dump(file, *TABLES) == expected
    assert await all_runs(asker, owner=USER) == shown
    assert await all_runs(asker) == []
    check(file, USER)


async def test_both_have_their_order_together(asker: Asker) -> None:
    """By time; where a run has none, by when it arrived, not by when it was handed over."""
    await puts(asker, GUEST, {"run_id": "1"}, run(2))
    await puts(asker, USER, {"run_id": "2"}, run(1))
    await puts(asker, GUEST, {"run_id": "3"}, run(4))
    await puts(asker, USER, {"run_id": "4"}, run(3))
    await adopt(asker)
    found = [each["run_id"] for each in await all_runs(asker, owner=USER, limit=2)]
    timeless = sorted(found, key=len)[:4]
    assert timeless == ["1", "2", "3", "4"]
    assert [each for each in found if each not in timeless] == [run(n)["run_id"] for n in (1, 2, 3, 4)]


async def test_a_run_that_the_user_has_already_is_there_once_and_counts_as_moved(asker: Asker, file: Path) -> None:
    await puts(asker, USER, run(1, x=1.0, **image(b"a")), run(2))
    before = dump(file, *TABLES)
    await puts(asker, GUEST, run(1, x=1, **image(b"a")))
    assert await adopt(asker) == (1, {})
    assert dump(file, *TABLES) == before
    check(file, USER)


async def test_another_run_of_the_same_id_gets_an_id_of_its_own(asker: Asker, file: Path) -> None:
    mine, theirs = run(1, x="mine", **image(b"a")), run(1, x="theirs", **image(b"b"))
    await puts(asker, USER, mine)
    await puts(asker, GUEST, theirs, run(2))
    name = f"R00000001-{documents.digest(theirs)[:8]}"
    assert await adopt(asker) == (2, {"R00000001": name})
    renamed = theirs | {"run_id": name}
    assert same(await all_runs(asker, owner=USER), [mine, renamed, run(2)])
    answer = await asker.get(f"/api/runs/{name}", owner=USER)
    assert answer.headers["ETag"] == f'"{documents.digest(renamed)}"'
    assert list(await answer.json()) == list(theirs), "its fields stay in their order"
    assert await (await asker.get(f"/api/runs/{name}/source-image", owner=USER)).read() == b"b" * 3000
    assert same(await all_runs(asker, owner=USER, q=name.upper()), [renamed])
    check(file, USER)


async def test_favorites_come_along_and_can_be_set(asker: Asker) -> None:
    await puts(asker, GUEST, run(1), run(2))
    await puts(asker, USER, run(1))
    for number in (1, 2):
        path = f"/api/runs/R0000000{number}/variants/R0000000{number}-v1/favorite"
        await told(await asker.put(path, json={"favorite": True}))
    _, renamed = await adopt(asker)
    for run_id in (renamed["R00000001"], "R00000002"):
        assert [each["favorite"] for each in (await get(asker, run_id))["variants"]] == [True, False]
    path = f"/api/runs/{renamed['R00000001']}/variants/R00000001-v1/favorite"
    await told(await asker.put(path, json={"favorite": False}, owner=USER))
    assert (await get(asker, "R00000001"))["variants"] == run(1)["variants"]


async def test_favorites_are_found_with_the_user_moved_renamed_or_there_already(asker: Asker, file: Path) -> None:
    await puts(asker, USER, favored(1), run(2), favored(3, x="theirs"))
    await puts(asker, GUEST, favored(1), favored(2), run(3), favored(4), run(5))
    await stage(asker, [favored(4), run(5), favored(6)])
    _, renamed = await adopt(asker)
    assert await favorites(asker, USER) == ["R00000001", renamed["R00000002"], "R00000003", "R00000004"]
    assert await favorites(asker) == []
    await commit(asker)
    assert await favorites(asker) == ["R00000004", "R00000006"]
    check_favorites(file)


@pytest.mark.parametrize("run_id", ODD_IDS)
async def test_ids_of_odd_characters_and_of_any_length_move_and_get_names_that_can_be_used(
    asker: Asker, file: Path, run_id: str
) -> None:
    await puts(asker, USER, {"run_id": run_id, "x": 1})
    await puts(asker, GUEST, {"run_id": run_id, "x": 2}, {"run_id": run_id[:-1] + "!", "x": 3})
    moved, renamed = await adopt(asker)
    name = renamed.pop(run_id)
    assert (moved, renamed, len(name)) == (2, {}, min(200, len(run_id) + 9))
    assert await get(asker, run_id) == {"run_id": run_id, "x": 1}
    assert await get(asker, name) == {"run_id": name, "x": 2}
    assert await get(asker, run_id[:-1] + "!") == {"run_id": run_id[:-1] + "!", "x": 3}
    await puts(asker, USER, {"run_id": name, "x": 4})
    check(file, USER)


async def test_the_same_run_again_gets_the_same_name_and_is_there_once(asker: Asker, file: Path) -> None:
    await puts(asker, USER, run(1))
    first: Any = None
    for operation_id in ("one", "two"):
        await puts(asker, GUEST, run(1, x="theirs", **image(b"a")))
        answer = await adopt(asker, operation_id)
        first = first or answer
        assert answer == first
        check(file, USER)
    assert counted(file, "runs") == 2


async def test_a_name_that_is_taken_by_another_run_grows(asker: Asker, file: Path) -> None:
    theirs = {"run_id": "x", "theirs": 1}
    digest = documents.digest(theirs)
    taken = [{"run_id": f"x-{digest[:length]}"} for length in (8, 9, 10)]
    await puts(asker, USER, {"run_id": "x"}, taken[0], taken[2])
    await puts(asker, GUEST, theirs, taken[1])
    name = f"x-{digest[:11]}"
    assert await adopt(asker) == (2, {"x": name})
    assert await get(asker, name) == {"run_id": name, "theirs": 1}
    assert same(
        await all_runs(asker, owner=USER), [{"run_id": "x"}, taken[0], taken[2], {**theirs, "run_id": name}, taken[1]]
    )
    check(file, USER)


async def test_where_every_such_name_is_taken_there_is_one_more(asker: Asker, file: Path) -> None:
    theirs = {"run_id": "x", "theirs": 1}
    digest = documents.digest(theirs)
    await restore(
        asker, [{"run_id": "x"}, *({"run_id": f"x-{digest[:length]}"} for length in range(8, 65))], owner=USER
    )
    await puts(asker, GUEST, theirs)
    moved, renamed = await adopt(asker)
    assert moved == 1
    assert await get(asker, renamed["x"]) == {"run_id": renamed["x"], "theirs": 1}


async def test_a_guests_run_that_has_the_new_name_already_is_the_same_or_another(asker: Asker, file: Path) -> None:
    theirs = {"run_id": "x", "theirs": 1}
    name = f"x-{documents.digest(theirs)[:8]}"
    await puts(asker, USER, {"run_id": "x"})
    await puts(asker, GUEST, theirs, {"run_id": name, "theirs": 1})
    assert await adopt(asker) == (2, {"x": name})
    assert same(await all_runs(asker, owner=USER), [{"run_id": "x"}, {"run_id": name, "theirs": 1}])
    check(file, USER)


async def test_images_move_once_whoever_shows_them(asker: Asker, file: Path) -> None:
    await puts(asker, USER, run(1, **image(b"a")), run(2, **image(b"b")), run(3))
    await puts(asker, GUEST, run(3, **image(b"a")), run(4, **image(b"c")), run(5, **image(b"c")), run(2, **image(b"b")))
    await puts(asker, OTHER, run(4, **image(b"c")))
    others = used(file, OTHER)
    assert (await adopt(asker))[0] == 4
    assert counted(file, "images") == 4
    assert used(file, OTHER) == others
    assert same(await get(asker, run(5)["run_id"]), run(5, **image(b"c")))
    check(file, USER, OTHER)
    await told(await asker.delete("/api/runs", owner=USER))
    assert used(file, USER) == 0
    assert counted(file, "images") == counted(file, "contents") == 1


async def test_an_image_that_only_a_restore_of_the_users_holds_is_counted_from_the_adoption_on(
    asker: Asker, file: Path
) -> None:
    await puts(asker, USER, run(1, **image(b"a")))
    await restore(asker, [], "kept", owner=USER, mode="replace")
    await stage(asker, [run(2, **image(b"b"))], "staged", owner=USER)
    await puts(asker, GUEST, run(3, **image(b"a")), run(4, **image(b"b")))
    await adopt(asker)
    check(file, USER)
    assert used(file, USER) > 6000
    await commit(asker, "staged", owner=USER)
    check(file, USER)


async def test_what_a_restore_of_the_guests_has_staged_keeps_its_contents_and_images(asker: Asker, file: Path) -> None:
    """It can be committed still, and comes along with the next adoption."""
    document = [run(1, **image(b"a")), run(2, x="staged", **image(b"b")), run(3, **image(b"c"))]
    await puts(asker, GUEST, document[0], run(2, **image(b"b")), run(4))
    await puts(asker, USER, run(2, x="mine"))
    for restore_id in ("one", "two"):
        await stage(asker, document, restore_id)
    moved, renamed = await adopt(asker, "first")
    check(file, USER, GUEST)
    await told(await asker.delete(f"/api/runs/{run(1)['run_id']}", owner=USER))
    check(file, USER, GUEST)
    await commit(asker, "one")
    assert same(await all_runs(asker), document)
    await told(await asker.post("/internal/restores/two/abort", scope=Scope.SYSTEM))
    again = await adopt(asker, "second")
    check(file, USER)
    assert (moved, again[0]) == (3, 3)
    ids = [each["run_id"] for each in await all_runs(asker, owner=USER)]
    expected = [*(run(n)["run_id"] for n in (1, 2, 3, 4)), renamed[run(2)["run_id"]], again[1][run(2)["run_id"]]]
    assert sorted(ids) == sorted(expected)


async def test_a_staged_restore_of_the_users_goes_in_as_it_would_have(asker: Asker, file: Path) -> None:
    await puts(asker, USER, run(1, **image(b"a")))
    await stage(asker, [run(1, **image(b"a")), run(2, x="document")], owner=USER)
    await puts(asker, GUEST, run(2, x="guest", **image(b"b")), run(3))
    await adopt(asker)
    plan = (await commit(asker, owner=USER))["plan"]["runs"]
    assert plan == {"added": 0, "changed": 1, "unchanged": 1, "refused": 0}
    assert same(await all_runs(asker, owner=USER), [run(1, **image(b"a")), run(2, x="document"), run(3)])
    check(file, USER)
    await undo(asker, owner=USER)
    assert same((await all_runs(asker, owner=USER))[1], run(2, x="guest", **image(b"b")))


async def test_what_is_kept_for_an_undo_of_the_guests_is_forgotten(asker: Asker, file: Path) -> None:
    await puts(asker, GUEST, run(1, **image(b"a")), run(2, **image(b"b")))
    await restore(asker, [run(1, x=1, **image(b"c"))], mode="replace")
    assert await adopt(asker) == (1, {})
    assert counted(file, "undo_runs") == 0
    assert counted(file, "images") == counted(file, "contents") == 1
    check(file, USER)


@pytest.mark.parametrize("mode", ["merge", "replace"])
async def test_an_undo_of_the_users_restore_loses_nothing_of_what_was_adopted(
    asker: Asker, file: Path, mode: str
) -> None:
    """Of the ids that the guest brought as well, whatever is there stays; the others are as before the restore."""
    await puts(asker, USER, run(2, x="before"), run(3, x="before"), run(4, x="removed"), run(5, x="removed"))
    document = [run(1, x="added"), run(2, x="changed"), run(3, x="changed"), run(6, x="added"), run(7, x="added")]
    await restore(asker, document, owner=USER, mode=mode)
    brought = [run(1, x="added"), run(2, x="changed"), run(4, x="guest", **image(b"a")), run(7, x="guest")]
    await puts(asker, GUEST, *brought)
    moved, renamed = await adopt(asker)
    assert moved == 4
    assert await undo(asker, owner=USER) == ((4, 3) if mode == "replace" else (3, 2))
    found = {each["run_id"]: each["x"] for each in await all_runs(asker, owner=USER)}
    expected = {run(1)["run_id"]: "added", run(2)["run_id"]: "changed", run(3)["run_id"]: "before",
                run(5)["run_id"]: "removed", renamed.pop(run(7)["run_id"]): "guest"}  # fmt: skip
    fourth = run(4)["run_id"]
    expected |= {fourth: "guest"} if mode == "replace" else {fourth: "removed", renamed.pop(fourth): "guest"}
    assert found == expected
    assert renamed == {}
    check(file, USER)


async def test_two_guests_and_a_late_write_become_one_users(asker: Asker, file: Path) -> None:
    await puts(asker, GUEST, run(1), run(2))
    await puts(asker, "guest:b", run(1, x="b"), run(2))
    assert await adopt(asker, "one") == (2, {})
    assert (await adopt(asker, "two", "guest:b"))[0] == 2
    await puts(asker, GUEST, run(3), run(2))
    assert await adopt(asker, "three") == (2, {})
    assert await adopt(asker, "four") == (0, {})
    assert len(await all_runs(asker, owner=USER)) == 4
    check(file, USER)


async def test_no_limit_keeps_a_run_from_coming_along(asker: Asker, start: Start, file: Path) -> None:
    await puts(asker, USER, run(1, x="x" * 3000))
    await puts(asker, GUEST, run(1, x="y" * 3000), run(2, **image(b"a")))
    narrow = await start(owner_quota_bytes=4000, max_body_bytes=1000)
    assert (await adopt(narrow))[0] == 2
    assert len(await all_runs(narrow, owner=USER)) == 3
    check(file, USER)


@pytest.mark.parametrize(
    "at",
    ["UPDATE OF owner ON runs", "UPDATE OF run_id ON runs", "INSERT ON images", "DELETE ON images", "DELETE ON usage",
     "DELETE ON undo_runs", "DELETE ON runs", "INSERT ON restores"],
)  # fmt: skip
async def test_an_adoption_that_fails_on_the_way_leaves_all_as_it_was(asker: Asker, file: Path, at: str) -> None:
    await restore(asker, [run(1), run(2)], "of the user", owner=USER)
    await restore(asker, [run(1, x=1, **image(b"a")), run(2), run(3, **image(b"b"))])
    before = dump(file, *TABLES, "restores")
    with opened(file) as tx:
        tx.execute(f"CREATE TRIGGER fault AFTER {at} BEGIN SELECT RAISE(ABORT, 'fault'); END")
    await adopt(asker, status=500)
    assert dump(file, *TABLES, "restores") == before
    with opened(file) as tx:
        tx.execute("DROP TRIGGER fault")
    assert (await adopt(asker))[0] == 3
    check(file, USER)


async def test_it_takes_no_more_statements_for_many_runs_than_for_few(asker: Asker, file: Path) -> None:
    asked: list[str] = []
    lengths = []
    for number in (2, 60):
        shared = [run(n, **image(b"a")) for n in range(number)]
        await restore(asker, [*shared, *(run(1000 + n, **image(bytes([n]))) for n in range(number))], f"{number}")
        await restore(asker, shared[:1], f"{number} of the user", owner=USER)
        with closing(connect(file)) as tx:
            tx.set_trace_callback(asked.append)
            tx.execute("BEGIN IMMEDIATE")
            assert not RunsBelongings().adopt_ahead(tx, GUEST, USER)
            RunsBelongings().adopt(tx, GUEST, USER)
            assert not RunsBelongings().clear(tx, GUEST, USER)
            tx.execute("COMMIT")
        lengths.append(len({each for each in asked if not each.startswith("--")}))  # a trigger's repeat what fired it
        asked.clear()
        await told(await asker.delete("/api/runs", owner=USER))
    assert lengths[0] == lengths[1] < 30


async def test_erasing_takes_also_an_image_that_nothing_shows(asker: Asker, file: Path) -> None:
    await puts(asker, GUEST, run(1, **image(b"a")))
    await puts(asker, OTHER, run(1, **image(b"a")))
    with opened(file) as tx:
        tx.execute("INSERT INTO images SELECT owner, 'left behind', size, bytes FROM images")
        tx.execute("DELETE FROM images WHERE owner = ? AND sha256 = 'left behind'", (OTHER,))
    await told(await asker.post("/internal/erasure", owner=GUEST, scope=Scope.SYSTEM))
    assert counted(file, "images") == 1
    check(file, OTHER)
