"""The runs' share of a restore, and the stream for a backup."""

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chassis.documents import digest, same
from chassis.peers import Scope
from tests.runs_service.conftest import (
    Start,
    abort,
    all_runs,
    check_favorites,
    commit,
    counted,
    favorites,
    put,
    restore,
    stage,
    told,
    upload,
)
from tests.runs_service.samples import DOCUMENTS, data_url, favored, legacy_runs, run
from tests.runs_service.test_quota import used
from tests.support import Asker


def counts(added: int = 0, changed: int = 0, unchanged: int = 0, refused: int = 0) -> dict[str, int]:
    return {"added": added, "changed": changed, "unchanged": unchanged, "refused": refused}


async def backup(asker: Asker, owner: str = "guest:a") -> list[Any]:
    answer = await asker.get("/internal/backup", owner=owner, scope=Scope.SYSTEM)
    assert answer.content_type == "application/x-ndjson"
    text = await answer.read()
    assert text.endswith(b"\n") or text == b""
    return [orjson.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("name", DOCUMENTS)
async def test_every_older_document_is_restored_equal_and_only_once(asker: Asker, file: Path, name: str) -> None:
    runs = legacy_runs(name)
    first = await restore(asker, runs, "one")
    assert first["plan"]["runs"] == counts(added=len(runs))
    assert first["restored"] == {"runs": len(runs)}
    expected = sorted(runs, key=lambda each: (each["created_at"], each["run_id"]))
    assert same(await all_runs(asker, limit=7), expected)
    assert same(await backup(asker), expected)
    images = counted(file, "images")
    assert images == len({each["source_image_data_url"] for each in runs})
    second = await restore(asker, runs, "two")
    assert second["plan"]["runs"] == counts(unchanged=len(runs))
    assert second["restored"] == {"runs": len(runs)}
    assert counted(file, "images") == images
    assert counted(file, "staged_runs") == 0


async def test_the_document_wins_and_what_it_does_not_name_stays(asker: Asker) -> None:
    for number in (1, 2, 3):
        await put(asker, run(number, source_image_data_url=data_url()))
    restored = await restore(asker, [run(1), run(2, source_image_data_url=data_url()), run(4)])
    assert restored["plan"]["runs"] == counts(added=1, changed=1, unchanged=1)
    expected = [run(1), run(2, source_image_data_url=data_url()), run(3, source_image_data_url=data_url()), run(4)]
    assert same(await all_runs(asker), expected)


async def test_the_favorites_are_those_of_the_document_and_of_what_it_does_not_name(asker: Asker, file: Path) -> None:
    for each in (favored(1), favored(2), run(3), favored(4)):
        await put(asker, each)
    await stage(asker, [favored(1), run(2), favored(3), favored(5), run(6)])
    assert await favorites(asker) == ["R00000001", "R00000002", "R00000004"]
    await commit(asker)
    assert await favorites(asker) == ["R00000001", "R00000003", "R00000004", "R00000005"]
    check_favorites(file)


async def test_what_cannot_be_used_is_named_and_the_rest_goes_in(asker: Asker) -> None:
    deep: Any = 1
    for _ in range(300):
        deep = [deep]
    bad: list[Any] = [
        7,
        None,
        [],
        {"run_id": ""},
        {"run_id": "a/b"},
        {"variants": [1]},
        {"source_image_data_url": 1},
        {"x": deep},
    ]
    staged = await raw_stage(asker, [*bad, run()])
    assert staged["plan"]["runs"] == counts(added=1, refused=len(bad))
    places = [warning["pointer"] for warning in staged["warnings"]]
    assert places == ["/runs/0", "/runs/1", "/runs/2", "/runs/3/run_id", "/runs/4/run_id", "/runs/5/variants/0",
                      "/runs/6/source_image_data_url", "/runs/7"]  # fmt: skip
    assert staged["warnings"][0]["message"] == "a run is a JSON object"


async def raw_stage(asker: Asker, runs: list[Any]) -> dict[str, Any]:
    """As `stage`, for what orjson would not write."""
    lines = [json.dumps([f"/runs/{number}", "run", value]) for number, value in enumerate(runs)]
    data = "\n".join([*lines, json.dumps({"count": len(runs), "parts": []}), ""]).encode()
    return await told(await asker.put("/internal/restores/raw", data=data, scope=Scope.SYSTEM))


async def test_an_item_of_another_kind_is_refused(asker: Asker) -> None:
    data = upload([{"theme": {}}], kind="settings")
    staged = await told(await asker.put("/internal/restores/one", data=data, scope=Scope.SYSTEM))
    assert staged["plan"]["runs"] == counts(refused=1)


@pytest.mark.parametrize("between", [0, 250])
async def test_of_two_runs_with_one_id_the_last_wins(asker: Asker, file: Path, between: int) -> None:
    """Within one batch of the upload and across two."""
    one, other = (run(1, source_image_data_url=data_url(letter), x=letter.decode()) for letter in (b"a", b"b"))
    filler = [{"run_id": f"filler {number}"} for number in range(between)]
    staged = await stage(asker, [one, *filler, other, *filler])
    assert staged["plan"]["runs"] == counts(added=1 + between, refused=1), "an equal run a second time is no loss"
    assert staged["warnings"][0]["pointer"] == "/runs/0"
    assert counted(file, "images") == 1
    await commit(asker)
    assert same(await told(await asker.get("/api/runs/R00000001")), other)


async def test_a_repeated_run_with_the_same_image_keeps_it(asker: Asker, file: Path) -> None:
    filler = [{"run_id": f"filler {number}"} for number in range(250)]
    await restore(asker, [run(source_image_data_url=data_url()), *filler, run(x=1, source_image_data_url=data_url())])
    assert counted(file, "images") == 1
    assert (await asker.get("/api/runs/R00000001/source-image")).status == 200


async def test_a_run_without_id_gets_the_same_one_each_time(asker: Asker) -> None:
    nameless = [{"intent": "a"}, {"intent": "b", "run_id": None}]
    await restore(asker, nameless, "one")
    expected = {f"R{digest({'intent': letter})[:8]}" for letter in "ab"}
    assert {each["run_id"] for each in await all_runs(asker)} == expected
    again = await restore(asker, nameless, "two")
    assert again["plan"]["runs"] == counts(unchanged=2)


@pytest.mark.parametrize("between", [0, 250])
async def test_a_made_id_is_longer_where_another_run_of_the_document_has_it(asker: Asker, between: int) -> None:
    made = f"R{digest({'intent': 'a'})}"
    filler = [{"run_id": f"filler {number}"} for number in range(between)]
    document = [{"run_id": made[:9], "intent": "other"}, *filler, {"intent": "a"}]
    restored = await restore(asker, document, "one")
    assert restored["plan"]["runs"] == counts(added=2 + between)
    assert (await told(await asker.get(f"/api/runs/{made[:10]}")))["intent"] == "a"
    assert (await restore(asker, document, "two"))["plan"]["runs"] == counts(unchanged=2 + between)


async def test_runs_without_a_readable_time_keep_the_order_of_the_document(asker: Asker) -> None:
    document = [{"run_id": str(number)} for number in (5, 3, 9, 1)]
    await restore(asker, document, "one")
    await restore(asker, document, "two")
    await restore(asker, [{"run_id": "3", "x": 1}], "three")
    assert [each["run_id"] for each in await all_runs(asker)] == ["5", "3", "9", "1"]


async def test_staging_copies_no_image_that_is_there_and_an_abort_leaves_none(asker: Asker, file: Path) -> None:
    await put(asker, run(1, source_image_data_url=data_url(b"a")))
    await stage(asker, [run(2, source_image_data_url=data_url(b"a")), run(3, source_image_data_url=data_url(b"b"))])
    assert counted(file, "images") == 2
    await abort(asker)
    assert counted(file, "images") == 1
    assert counted(file, "staged_runs") == 0
    assert same(await all_runs(asker), [run(1, source_image_data_url=data_url(b"a"))])


@pytest.mark.parametrize("meanwhile", ["deleted", "replaced"])
async def test_a_staged_run_stands_by_itself_whatever_becomes_of_the_equal_live_one(
    asker: Asker, file: Path, meanwhile: str
) -> None:
    await put(asker, run(source_image_data_url=data_url()))
    await stage(asker, [run(source_image_data_url=data_url())])
    assert counted(file, "contents") == 1
    if meanwhile == "deleted":
        await asker.delete("/api/runs")
    else:
        await put(asker, run(intent="other"))
    await commit(asker)
    assert same(await all_runs(asker), [run(source_image_data_url=data_url())])
    assert used(file) > 0


async def test_an_equal_run_that_came_meanwhile_is_not_written_again(asker: Asker, file: Path) -> None:
    """Equal though its text is longer: `1.0` is `1`."""
    await stage(asker, [{"run_id": "a", "x": 1}])
    await put(asker, {"run_id": "a", "x": 1.0})
    size = used(file)
    await commit(asker)
    assert await (await asker.get("/api/runs/a")).text() == '{"run_id":"a","x":1.0}'
    assert used(file) == size


async def test_the_content_of_an_equal_live_run_is_counted_as_it_is(asker: Asker, file: Path) -> None:
    await put(asker, {"run_id": "a", "x": 1.0})
    await stage(asker, [{"run_id": "a", "x": 1}])
    await put(asker, {"run_id": "a", "x": "other"})
    await commit(asker)
    assert await (await asker.get("/api/runs/a")).text() == '{"run_id":"a","x":1.0}'
    assert used(file) == len('{"run_id":"a","x":1.0}')


async def test_an_image_that_waits_for_a_commit_outlives_the_run_that_showed_it(asker: Asker, file: Path) -> None:
    await put(asker, run(1, source_image_data_url=data_url()))
    await stage(asker, [run(2, source_image_data_url=data_url())])
    await asker.delete("/api/runs")
    await commit(asker)
    assert same(await all_runs(asker), [run(2, source_image_data_url=data_url())])
    await asker.delete("/api/runs")
    assert counted(file, "images") == 0


async def test_a_second_upload_takes_the_place_of_the_first(asker: Asker, file: Path) -> None:
    await stage(asker, [run(1, source_image_data_url=data_url(b"a"))])
    await stage(asker, [run(2)])
    assert counted(file, "images") == 0
    await commit(asker)
    assert same(await all_runs(asker), [run(2)])


async def test_what_is_staged_is_committed_by_another_instance_after_a_restart(start: Start) -> None:
    first = await start()
    await stage(first, [run(1, source_image_data_url=data_url())])
    await first.client.close()
    second = await start()
    await commit(second)
    assert same(await all_runs(second), [run(1, source_image_data_url=data_url())])


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(["run_id", "variants", "source_image_data_url", "created_at", "params", "status", "intent"])


def without_null_id(value: Any) -> Any:
    """A run whose id is null is the same run as one without: it gets its id from the rest."""
    return (
        {name: each for name, each in value.items() if (name, each) != ("run_id", None)}
        if isinstance(value, dict)
        else value
    )


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(document=st.lists(VALUES | st.dictionaries(NAMES, VALUES, max_size=5), max_size=8), number=st.integers(0))
async def test_any_document_is_taken_or_refused_item_by_item(asker: Asker, document: list[Any], number: int) -> None:
    answer = await asker.put(f"/internal/restores/{number}", data=upload(document), scope=Scope.SYSTEM)
    if answer.status == 409:  # hypothesis came back to a number that is committed
        return
    plan = (await told(answer))["plan"]["runs"]
    different = {digest(without_null_id(each)) for each in document}
    assert len(different) <= sum(plan.values()) <= len(document), "only an equal run is not counted twice"
    committed = await commit(asker, str(number))
    assert committed["plan"]["runs"] == plan


async def test_a_backup_is_of_one_owner_oldest_first(asker: Asker) -> None:
    for number in (3, 1, 2):
        await put(asker, run(number, source_image_data_url=data_url(bytes([number]) * 600_000)))
    await put(asker, run(4), owner="guest:b")
    expected = [run(number, source_image_data_url=data_url(bytes([number]) * 600_000)) for number in (1, 2, 3)]
    assert same(await backup(asker), expected)
    assert same(await backup(asker, "guest:b"), [run(4)])
    assert await backup(asker, "guest:c") == []


async def test_a_backup_shows_one_moment(asker: Asker) -> None:
    given = [run(number, x="x" * 400_000) for number in range(60)]
    for each in given:
        await put(asker, each)
    answer = await asker.get("/internal/backup", scope=Scope.SYSTEM)
    first = await answer.content.readline()
    await asker.delete("/api/runs")
    rest = await answer.content.read()
    assert same([orjson.loads(line) for line in [first, *rest.splitlines()]], given)
