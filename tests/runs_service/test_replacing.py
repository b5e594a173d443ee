"""Restores that replace: of the parts that the document carries, what it does not name goes."""

from pathlib import Path
from typing import Any

from chassis.documents import same
from tests.runs_service.conftest import (
    Start,
    all_runs,
    check_favorites,
    commit,
    counted,
    dump,
    favorites,
    put,
    restore,
    stage,
)
from tests.runs_service.samples import data_url, favored, run
from tests.runs_service.test_quota import used
from tests.support import Asker

LIVE = ("runs", "contents", "images", "usage")


def image(letter: bytes) -> dict[str, str]:
    return {"source_image_data_url": data_url(letter * 3000)}


async def replace(asker: Asker, runs: list[Any], restore_id: str = "one", **how: Any) -> Any:
    return await restore(asker, runs, restore_id, mode="replace", **how)


async def test_what_the_document_does_not_name_goes(asker: Asker, file: Path) -> None:
    for number in (1, 2, 3, 4):
        await put(asker, run(number, **image(b"a")))
        await put(asker, run(number, **image(b"a")), owner="guest:b")
    document = [run(1, **image(b"a")), run(2, intent="other"), run(5)]
    answer = await replace(asker, document)
    assert answer["plan"]["runs"] == {"added": 1, "changed": 1, "unchanged": 1, "refused": 0}
    assert (answer["restored"], answer["removed"]) == ({"runs": 3}, {"runs": 2})
    assert same(await all_runs(asker), document)
    assert len(await all_runs(asker, owner="guest:b")) == 4
    assert used(file) < used(file, "guest:b")


async def test_the_favorites_are_those_of_the_document_alone(asker: Asker, file: Path) -> None:
    for each in (favored(1), favored(2), run(3), favored(4)):
        await put(asker, each)
    await replace(asker, [favored(1), run(2), favored(3), favored(5), run(6)])
    assert await favorites(asker) == ["R00000001", "R00000003", "R00000005"]
    check_favorites(file)


async def test_merging_removes_nothing(asker: Asker) -> None:
    await put(asker, run(1))
    assert (await restore(asker, [run(2)]))["removed"] == {"runs": 0}
    assert same(await all_runs(asker), [run(1), run(2)])


async def test_a_document_without_runs_leaves_them_alone(asker: Asker, file: Path) -> None:
    await put(asker, run(1))
    before = dump(file, *LIVE)
    answer = await replace(asker, [], parts=("settings", "history"))
    assert answer["removed"] == {"runs": 0}
    assert dump(file, *LIVE) == before


async def test_a_document_with_an_empty_list_of_runs_removes_all(asker: Asker, file: Path) -> None:
    for number in (1, 2):
        await put(asker, run(number, **image(b"a")))
    assert (await replace(asker, []))["removed"] == {"runs": 2}
    assert await all_runs(asker) == []
    assert used(file) == 0


async def test_the_same_document_again_touches_no_row(asker: Asker, file: Path) -> None:
    document = [run(1, **image(b"a")), run(2), {"intent": "nameless"}]
    await put(asker, run(3))
    await replace(asker, document, "one")
    before = dump(file, *LIVE)
    again = await replace(asker, document, "two")
    assert again["plan"]["runs"] == {"added": 0, "changed": 0, "unchanged": 3, "refused": 0}
    assert again["removed"] == {"runs": 0}
    assert counted(file, "undo_runs") == 0
    with_older_gone = before | {"contents": dump(file, "contents")["contents"]}  # that of run 3 was kept for the first
    assert dump(file, *LIVE) == with_older_gone
    assert counted(file, "contents") == 3


async def test_staging_foresees_exactly_what_replacing_takes(start: Start, file: Path) -> None:
    """With a quota of just what the committed state takes it passes, with one byte less it is refused."""
    live = [run(1, **image(b"a")), run(2, **image(b"a")), run(3, **image(b"b"))]
    document = [run(1, x="x" * 20_000), run(3, **image(b"c")), run(4, **image(b"a"))]
    asker = await start()
    for each in live:
        await put(asker, each)
        await put(asker, each, owner="guest:b")
    await replace(asker, document)
    taken = used(file)
    assert taken > used(file, "guest:b")
    narrow, exact = await start(owner_quota_bytes=taken - 1), await start(owner_quota_bytes=taken)
    await stage(narrow, document, "two", owner="guest:b", status=413, mode="replace")
    await stage(exact, document, "three", owner="guest:b", mode="replace")
    await commit(exact, "three", owner="guest:b")
    assert used(file, "guest:b") == taken


async def test_replacing_may_bring_whoever_is_over_the_quota_back_under_it(start: Start, file: Path) -> None:
    asker = await start()
    for letter in (b"a", b"b"):
        await put(asker, {"run_id": letter.decode(), **image(letter)})
    narrow = await start(owner_quota_bytes=4000)
    await stage(narrow, [{"run_id": "c", **image(b"c")}], "merged", status=413)
    await replace(narrow, [{"run_id": "c", **image(b"c")}], "replaced")
    assert used(file) < 4000
