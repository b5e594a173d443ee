"""What an owner's runs take, against a count made anew from the tables."""

import random
from pathlib import Path

from tests.runs_service.conftest import Start, abort, commit, counted, opened, put, stage, told
from tests.runs_service.samples import data_url, run

RECOUNTED = """
    SELECT (SELECT coalesce(sum(length(payload)), 0) FROM runs JOIN contents USING (content_id) WHERE owner = :owner)
        + (SELECT coalesce(sum(length(bytes)), 0) FROM images WHERE owner = :owner
            AND sha256 IN (SELECT image_sha256 FROM runs WHERE owner = :owner))"""

LEFT_BEHIND = """
    SELECT (SELECT count(*) FROM contents WHERE content_id NOT IN (
            SELECT content_id FROM runs UNION SELECT content_id FROM staged_runs
            UNION SELECT content_id FROM undo_runs WHERE content_id IS NOT NULL))
        + (SELECT count(*) FROM images WHERE (owner, sha256) NOT IN (
            SELECT owner, image_sha256 FROM runs WHERE image_sha256 IS NOT NULL
            UNION SELECT owner, image_sha256 FROM staged_runs WHERE image_sha256 IS NOT NULL
            UNION SELECT owner, image_sha256 FROM undo_runs WHERE image_sha256 IS NOT NULL))
        + (SELECT count(*) FROM runs WHERE content_id NOT IN (SELECT content_id FROM contents))"""


def used(file: Path, owner: str = "guest:a") -> int:
    """The bytes that the triggers have counted, having checked them and that no content or image is left behind."""
    with opened(file) as tx:
        row = tx.execute("SELECT bytes FROM usage WHERE owner = ?", (owner,)).fetchone()
        assert tx.execute(LEFT_BEHIND).fetchone()[0] == 0
        assert (row[0] if row else 0) == tx.execute(RECOUNTED, {"owner": owner}).fetchone()[0]
        return int(row[0]) if row else 0


async def test_the_usage_is_right_after_any_writes(start: Start, file: Path) -> None:
    asker, chance = await start(), random.Random(7)
    images = [None, *(data_url(bytes([n]) * 1000) for n in range(3))]
    for number in range(120):
        chosen = run(chance.randrange(6), source_image_data_url=chance.choice(images), x="x" * chance.randrange(100))
        match chance.randrange(4):
            case 0:
                await asker.delete(f"/api/runs/{chosen['run_id']}")
            case 1:
                await stage(asker, [chosen, run(chance.randrange(6))], f"r{number}")
                await put(asker, run(chance.randrange(6), x=number))
                used(file)
                await (commit if chance.random() < 0.7 else abort)(asker, f"r{number}")
            case _:
                await put(asker, chosen)
        used(file)
    await asker.delete("/api/runs")
    assert used(file) == 0
    assert counted(file, "images") == 0


async def test_what_does_not_fit_is_a_413_that_names_limit_and_use(start: Start, file: Path) -> None:
    asker = await start(owner_quota_bytes=5000)
    await put(asker, run(1, source_image_data_url=data_url(b"a" * 1000)))
    before = used(file)
    for given in (run(2, source_image_data_url=data_url(b"b" * 4000)), run(1, x="x" * 5000)):
        problem = await told(await put(asker, given), 413)
        assert (problem["code"], problem["limit"], problem["used"]) == ("quota", 5000, before)
    assert used(file) == before
    assert counted(file, "images") == 1
    assert (await put(asker, run(1, x="x" * 5000), owner="guest:b")).status == 413
    assert (await put(asker, run(2), owner="guest:b")).status == 201


async def test_the_same_image_again_takes_no_room(start: Start) -> None:
    asker = await start(owner_quota_bytes=6000)
    for number in (1, 2, 3):
        answer = await put(asker, {"run_id": str(number), "source_image_data_url": data_url(b"a" * 5000)})
        assert answer.status == 201


async def test_whoever_is_over_the_quota_can_still_shrink(start: Start) -> None:
    asker = await start()
    await put(asker, run(1, x="x" * 5000))
    narrow = await start(owner_quota_bytes=1000)
    assert (await put(narrow, run(1, x="x" * 4000))).status == 200
    assert (await put(narrow, run(1, x="x" * 4001))).status == 413
    assert (await put(narrow, run(2))).status == 413
    favorite = "/api/runs/R00000001/variants/R00000001-v1/favorite"
    assert (await narrow.put(favorite, json={"favorite": True})).status == 200  # "true" is shorter than "false"
    assert (await narrow.delete("/api/runs/R00000001")).status == 200


async def test_a_restore_that_does_not_fit_is_refused_and_changes_nothing(start: Start, file: Path) -> None:
    asker = await start(owner_quota_bytes=20_000)
    await put(asker, run(1, source_image_data_url=data_url(b"a" * 10_000)))
    before = used(file)
    problem = await stage(asker, [run(2, source_image_data_url=data_url(b"b" * 10_000))], "one", status=413)
    assert (problem["code"], problem["limit"], problem["used"]) == ("quota", 20_000, before)
    await abort(asker, "one")
    assert used(file) == before
    assert counted(file, "images") == 1
    await stage(asker, [run(1, source_image_data_url=data_url(b"b" * 15_000))], "two")
    await commit(asker, "two")
    assert before < used(file) < 20_000


async def test_what_another_restore_has_staged_takes_no_room(start: Start) -> None:
    asker = await start(owner_quota_bytes=6000)
    for letter in (b"a", b"b"):
        await stage(asker, [{"run_id": "x", "source_image_data_url": data_url(letter * 5000)}], letter.decode())


async def test_a_decided_restore_goes_through_even_if_the_room_was_taken_meanwhile(start: Start, file: Path) -> None:
    asker = await start(owner_quota_bytes=20_000)
    await stage(asker, [run(1, x="x" * 15_000), run(2)])
    await put(asker, run(3, x="x" * 15_000))
    assert (await commit(asker))["restored"] == {"runs": 2}
    assert counted(file, "runs") == 3
    assert (await asker.put("/api/runs/R00000004", json=run(4))).status == 413


async def test_staging_foresees_exactly_what_committing_takes(start: Start, file: Path) -> None:
    """With a quota of just what the committed state takes it passes, with one byte less it is refused."""
    a, b, c = (data_url(letter * 3000) for letter in (b"a", b"b", b"c"))
    live = [run(1, source_image_data_url=a), run(2, source_image_data_url=a), run(3, source_image_data_url=b)]
    document = [run(1, source_image_data_url=c), run(3, source_image_data_url=a), run(4, source_image_data_url=c)]
    asker = await start()
    for each in live:
        await put(asker, each)
        await put(asker, each, owner="guest:b")
    await stage(asker, document)
    await commit(asker)
    taken = used(file)
    assert taken > used(file, "guest:b")
    await stage(await start(owner_quota_bytes=taken - 1), document, "two", owner="guest:b", status=413)
    exact = await start(owner_quota_bytes=taken)
    await stage(exact, document, "three", owner="guest:b")
    await commit(exact, "three", owner="guest:b")
    assert used(file, "guest:b") == taken


async def test_no_single_run_is_larger_than_a_body_may_be(start: Start) -> None:
    asker = await start(max_body_bytes=10_000)
    numbers = "[" + ",".join(["1e15"] * 1000) + "]"  # grows when it is written out
    answer = await asker.post("/api/runs", data=f'{{"x": {numbers}}}', headers={"Content-Type": "application/json"})
    assert (await told(answer, 413))["code"] == "too_large"
    staged = await stage(asker, [{"run_id": "a", "x": "x" * 10_000}, {"run_id": "b"}])
    assert staged["plan"]["runs"] == {"added": 1, "changed": 0, "unchanged": 0, "refused": 1}
    assert staged["warnings"][0]["pointer"] == "/runs/0"
    assert "10000" in staged["warnings"][0]["message"]
