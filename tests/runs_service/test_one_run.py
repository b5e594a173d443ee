"""One run: written, read, replaced, marked, deleted; conditional requests; its source image."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
from yarl import URL

from chassis.documents import digest, same
from tests.runs_service.conftest import Start, all_runs, check_favorites, counted, favorites, put, stage, told
from tests.runs_service.samples import DOCUMENTS, PNG, data_url, favored, legacy_runs, run
from tests.support import Asker

ODD_IDS = ["a b", "#1", "?x=1", "🎬 żółw", "100%", "a%20b", "a+b", "a\\b", "'; --", "x" * 200, "...", "&amp;", "{x}"]
WRONG_IDS = ["", "x" * 201, "a/b", "a\nb", "a\x00b", "a\x85b", ".", "..", 7, True, [], {}]


@pytest.mark.parametrize("name", DOCUMENTS)
async def test_every_run_of_an_older_build_comes_back_field_for_field(asker: Asker, name: str) -> None:
    runs = legacy_runs(name)
    for each in runs:
        answer = await put(asker, each)
        assert await told(answer, 201) == {"run_id": each["run_id"], "created": True, "updated": True}
    for each in runs:
        found = await told(await asker.get(f"/api/runs/{each['run_id']}"))
        assert same(found, each)
        assert found["source_image_data_url"] == each["source_image_data_url"]
    assert same(await all_runs(asker), sorted(runs, key=lambda each: (each["created_at"], each["run_id"])))


@pytest.mark.parametrize("run_id", ODD_IDS)
async def test_any_id_that_fits_in_a_path_works_in_every_path(asker: Asker, run_id: str) -> None:
    given = run(run_id=run_id, source_image_data_url=data_url())
    given["variants"][0]["id"] = variant_id = run_id + "/v1"
    path = f"/api/runs/{quote(run_id, safe='')}"
    assert (await put_at(asker, path, given)).status == 201
    assert same(await told(await asker.get(encoded(path))), given)
    summary = (await told(await asker.get("/api/runs?view=summary")))["runs"][0]
    assert await (await asker.get(encoded(summary["source_image_url"]))).read() == PNG
    favorite = encoded(f"{path}/variants/{quote(variant_id, safe='')}/favorite")
    marked = await told(await asker.put(favorite, json={"favorite": True}))
    assert marked == {"run_id": run_id, "variant_id": variant_id, "favorite": True, "updated": True}
    assert await told(await asker.delete(encoded(path))) == {"run_id": run_id, "deleted": True}


@pytest.mark.parametrize("run_id", ODD_IDS)
async def test_a_summary_that_is_sent_back_is_refused_lest_its_image_be_lost(asker: Asker, run_id: str) -> None:
    given = run(run_id=run_id, source_image_data_url=data_url())
    path = encoded(f"/api/runs/{quote(run_id, safe='')}")
    assert (await asker.put(path, json=given)).status == 201
    [summary] = (await told(await asker.get("/api/runs?view=summary")))["runs"]
    for answer in (await asker.put(path, json=summary), await asker.post("/api/runs", json=summary)):
        assert (await told(answer, 400))["code"] == "summary"
    assert same(await told(await asker.get(path)), given)
    assert (await asker.put(path, json=summary | {"source_image_data_url": None})).status == 200, "if that is wanted"


@pytest.mark.parametrize("given", [run(), run(source_image_data_url=None), {"run_id": run()["run_id"], "variants": []}])
async def test_a_summary_of_a_run_without_an_image_is_refused_lest_its_prompts_be_lost(
    asker: Asker, given: dict[str, Any]
) -> None:
    await told(await put(asker, given), 201)
    [summary] = (await told(await asker.get("/api/runs?view=summary")))["runs"]
    assert (await told(await put(asker, summary), 400))["code"] == "summary"
    assert same(await told(await asker.get(f"/api/runs/{given['run_id']}")), given)


@pytest.mark.parametrize(
    "given",
    [
        run(source_image_url=None),
        run(source_image_url=None, variants=[], execution={"id": "e"}),
        run(source_image_url=None, source_image_data_url=None, variants=[]),
        run(source_image_url=None, source_image_data_url=data_url(), variants=[]),
        run(source_image_url="https://pictures.example/1.png", variants=[]),
        run(source_image_url="/api/runs/another/source-image", variants=[]),
    ],
)
async def test_a_run_that_merely_has_a_field_of_the_links_name_is_no_summary(
    asker: Asker, given: dict[str, Any]
) -> None:
    await told(await put(asker, given), 201)
    assert same(await told(await asker.get(f"/api/runs/{given['run_id']}")), given)


async def test_a_run_that_has_no_id_yet_is_no_summary(asker: Asker) -> None:
    await told(await asker.post("/api/runs", json={"intent": "x", "source_image_url": None}), 201)


async def test_a_write_that_comes_too_late_is_told_which_etag_counts(asker: Asker) -> None:
    kept = await put(asker, run())
    late = await asker.put(f"/api/runs/{run()['run_id']}", json=run(), headers={"If-Match": '"another"'})
    assert (late.status, late.headers["ETag"]) == (412, kept.headers["ETag"])


def encoded(path: str) -> Any:
    """A path that the test's client must not encode once more."""
    return URL(path, encoded=True)


async def put_at(asker: Asker, path: str, value: Any, **rest: Any) -> Any:
    return await asker.put(encoded(path), json=value, **rest)


@pytest.mark.parametrize("run_id", WRONG_IDS)
async def test_an_id_that_fits_in_no_path_is_a_400(asker: Asker, run_id: Any) -> None:
    problem = await told(await asker.post("/api/runs", json={"run_id": run_id}), 400)
    assert problem["errors"][0]["pointer"] == "/run_id"


@pytest.mark.parametrize("body", [{"run_id": "other"}, {"intent": "none"}, {"run_id": None}])
async def test_body_and_path_must_agree(asker: Asker, body: dict[str, Any]) -> None:
    assert (await told(await asker.put("/api/runs/R1", json=body), 400))["code"] == "run_id_mismatch"
    assert await all_runs(asker) == []


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"variants": None}, "/variants"),
        ({"variants": {}}, "/variants"),
        ({"variants": [{}, 7, 8]}, "/variants/1"),
        ({"source_image_data_url": 7}, "/source_image_data_url"),
    ],
)
async def test_what_cannot_be_a_run_is_a_400_that_names_the_place(
    asker: Asker, fields: dict[str, Any], pointer: str
) -> None:
    problem = await told(await put(asker, {"run_id": "R1", **fields}), 400)
    assert [error["pointer"] for error in problem["errors"]] == [pointer]


@pytest.mark.parametrize(
    "image", [None, "", "no image", "data:image/svg+xml,%3Csvg/%3E", "data:;base64,AA", data_url()]
)
async def test_whatever_stands_in_the_image_field_comes_back(asker: Asker, image: str | None) -> None:
    given = run(source_image_data_url=image)
    await put(asker, given)
    assert same(await told(await asker.get(f"/api/runs/{given['run_id']}")), given)


async def test_a_run_without_id_gets_one_and_an_address(asker: Asker) -> None:
    answers = [await asker.post("/api/runs", json={"intent": "a", "run_id": None}) for _ in range(3)]
    for answer in answers:
        written = await told(answer, 201)
        assert len(written["run_id"]) == 9
        assert answer.headers["Location"] == f"/api/runs/{written['run_id']}"
        found = await told(await asker.get(answer.headers["Location"]))
        assert found == {"intent": "a", "run_id": written["run_id"]}
        assert answer.headers["ETag"] == f'"{digest(found)}"'
    assert len(await all_runs(asker)) == 3


async def test_an_id_that_is_taken_is_not_given_again(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    given = iter(["00000001", "00000001", "00000002"])
    monkeypatch.setattr("runs_service.routes.secrets", SimpleNamespace(token_hex=lambda _: next(given)))
    first = await told(await asker.post("/api/runs", json={"intent": "a"}), 201)
    second = await told(await asker.post("/api/runs", json={"intent": "b"}), 201)
    assert (first["run_id"], second["run_id"]) == ("R00000001", "R00000002")


async def test_posting_a_run_with_its_id_makes_or_replaces_it(asker: Asker) -> None:
    assert (await asker.post("/api/runs", json=run())).status == 201
    answer = await asker.post("/api/runs", json=run(intent="other"))
    assert await told(answer) == {"run_id": "R00000001", "created": False, "updated": True}
    assert same(await all_runs(asker), [run(intent="other")])


async def test_replacing_a_run_keeps_nothing_of_the_old_one(asker: Asker, file: Path) -> None:
    await put(asker, run(source_image_data_url=data_url(), extra=1))
    assert counted(file, "images") == 1
    assert (await told(await put(asker, run())))["created"] is False
    assert same(await all_runs(asker), [run()])
    assert counted(file, "images") == 0


async def test_an_equal_run_writes_nothing(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await put(asker, run(source_image_data_url=data_url()))
    monkeypatch.setattr("runs_service.store._write", None)
    second = await put(asker, dict(reversed(run(source_image_data_url=data_url()).items())))
    assert second.status == 200
    assert first.headers["ETag"] == second.headers["ETag"]


async def test_the_etag_is_the_digest_of_the_whole_run(asker: Asker) -> None:
    given = run(source_image_data_url=data_url())
    written = await put(asker, given)
    read = await asker.get("/api/runs/R00000001")
    assert written.headers["ETag"] == read.headers["ETag"] == f'"{digest(given)}"'
    again = await asker.get("/api/runs/R00000001", headers={"If-None-Match": read.headers["ETag"]})
    assert (again.status, await again.read(), again.headers["ETag"]) == (304, b"", read.headers["ETag"])


async def test_a_write_over_what_the_caller_did_not_know_is_a_412(asker: Asker) -> None:
    etag = (await put(asker, run())).headers["ETag"]
    for headers in ({"If-Match": '"old"'}, {"If-Match": "W/" + etag}, {"If-None-Match": "*"}):
        problem = await told(await put(asker, run(intent="other"), headers=headers), 412)
        assert problem["code"] == "precondition_failed"
        assert problem["current"] == {"run_id": "R00000001", "etag": etag.strip('"')}
    assert (await put(asker, run(intent="other"), headers={"If-Match": etag})).status == 200
    assert (await put(asker, run(2), headers={"If-None-Match": "*"})).status == 201
    problem = await told(await put(asker, run(3), headers={"If-Match": "*"}), 412)
    assert problem["current"] == {"run_id": "R00000003", "etag": None}


async def test_deleting_and_marking_heed_what_the_caller_knew(asker: Asker) -> None:
    etag = (await put(asker, run())).headers["ETag"]
    path, favorite = "/api/runs/R00000001", "/api/runs/R00000001/variants/R00000001-v1/favorite"
    old = {"If-Match": '"old"'}
    assert (await asker.delete(path, headers=old)).status == 412
    assert (await asker.put(favorite, json={"favorite": True}, headers=old)).status == 412
    marked = await asker.put(favorite, json={"favorite": True}, headers={"If-Match": etag})
    assert marked.headers["ETag"] != etag
    assert (await asker.delete(path, headers={"If-Match": etag})).status == 412
    assert (await asker.delete(path, headers={"If-Match": marked.headers["ETag"]})).status == 200


async def test_a_favorite_changes_that_field_of_that_variant_and_nothing_else(asker: Asker) -> None:
    given = run(source_image_data_url=data_url())
    await put(asker, given)
    path = "/api/runs/R00000001/variants/R00000001-v2/favorite"
    answer = await asker.put(path, json={"favorite": True})
    given["variants"][1]["favorite"] = True
    assert same(await told(await asker.get("/api/runs/R00000001")), given)
    assert answer.headers["ETag"] == f'"{digest(given)}"'
    await told(await asker.put(path, json={"favorite": False}))
    assert (await told(await asker.get("/api/runs/R00000001")))["variants"][1]["favorite"] is False


async def test_a_run_is_a_favorite_as_long_as_one_of_its_variants_is(asker: Asker, file: Path) -> None:
    async def mark(variant: int, favorite: bool) -> list[str]:
        path = f"/api/runs/R00000001/variants/R00000001-v{variant}/favorite"
        await told(await asker.put(path, json={"favorite": favorite}))
        return await favorites(asker)

    await put(asker, run())
    assert await mark(1, favorite=True) == ["R00000001"]
    assert await mark(2, favorite=True) == ["R00000001"]
    assert await mark(1, favorite=False) == ["R00000001"]
    assert await mark(2, favorite=False) == []
    check_favorites(file)


async def test_a_run_is_a_favorite_as_it_was_written_last(asker: Asker, file: Path) -> None:
    await told(await put(asker, favored(1)), 201)
    await told(await asker.post("/api/runs", json=favored(2)), 201)
    assert await favorites(asker) == ["R00000001", "R00000002"]
    await put(asker, run(1))
    await told(await asker.post("/api/runs", json=run(2)))
    assert await favorites(asker) == []
    await put(asker, favored(1, source_image_data_url=data_url()))
    assert await favorites(asker) == ["R00000001"]
    check_favorites(file)


async def test_no_run_is_a_favorite_because_one_that_was_deleted_was(asker: Asker, file: Path) -> None:
    await put(asker, favored(1))
    await told(await asker.delete("/api/runs/R00000001"))
    for number in (1, 2):
        await put(asker, run(number))
    assert await favorites(asker) == []
    check_favorites(file)


async def test_favorites_of_many_at_once_are_all_kept(start: Start) -> None:
    instances = [await start(), await start()]
    variants = [{"id": str(number)} for number in range(40)]
    await put(instances[0], {"run_id": "R1", "variants": variants})
    answers = await asyncio.gather(
        *(instances[n % 2].put(f"/api/runs/R1/variants/{n}/favorite", json={"favorite": True}) for n in range(40))
    )
    assert {answer.status for answer in answers} == {200}
    found = await told(await instances[0].get("/api/runs/R1"))
    assert all(variant["favorite"] for variant in found["variants"])


@pytest.mark.parametrize(
    "body", [{}, {"favorite": 1}, {"favorite": "true"}, {"favorite": None}, {"favorite": True, "x": 1}]
)
async def test_a_favorite_is_true_or_false(asker: Asker, body: Any) -> None:
    await put(asker, run())
    assert (await asker.put("/api/runs/R00000001/variants/R00000001-v1/favorite", json=body)).status == 400


async def test_what_is_not_there_is_a_404(asker: Asker) -> None:
    await put(asker, {"run_id": "bare"})
    image, favorite = "/api/runs/{}/source-image", "/api/runs/{}/variants/v/favorite"
    for method, path, code in (
        ("GET", "/api/runs/R9", "unknown_run"),
        ("DELETE", "/api/runs/R9", "unknown_run"),
        ("GET", image.format("R9"), "no_image"),
        ("GET", image.format("bare"), "no_image"),
        ("PUT", favorite.format("R9"), "unknown_run"),
        ("PUT", favorite.format("bare"), "unknown_variant"),
    ):
        body = {"favorite": True} if method == "PUT" else None
        assert (await told(await asker(method, path, json=body), 404))["code"] == code


async def test_the_source_image_is_sent_so_that_a_browser_never_runs_it(asker: Asker) -> None:
    await put(asker, run(source_image_data_url=data_url(PNG, "text/html")))
    answer = await asker.get("/api/runs/R00000001/source-image")
    assert await answer.read() == PNG
    assert answer.content_type == "image/png"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'; sandbox"
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert "Content-Disposition" not in answer.headers
    known = {"If-None-Match": answer.headers["ETag"]}
    assert (await asker.get("/api/runs/R00000001/source-image", headers=known)).status == 304


@pytest.mark.parametrize(
    "url", ["data:image/svg+xml,%3Csvg/%3E", data_url(b"<svg/>", "image/svg+xml"), "data:text/html,<svg/>"]
)
async def test_what_is_no_raster_image_is_only_downloaded(asker: Asker, url: str) -> None:
    await put(asker, run(source_image_data_url=url))
    answer = await asker.get("/api/runs/R00000001/source-image")
    assert await answer.read() == b"<svg/>"
    assert answer.content_type == "application/octet-stream"
    assert answer.headers["Content-Disposition"] == "attachment"
    known = {"If-None-Match": answer.headers["ETag"]}
    assert (await asker.get("/api/runs/R00000001/source-image", headers=known)).status == 304


async def test_an_image_of_several_runs_is_kept_once_and_as_long_as_one_shows_it(asker: Asker, file: Path) -> None:
    for number in (1, 2):
        await put(asker, run(number, source_image_data_url=data_url(media_type=f"image/{number}")))
    await put(asker, run(3, source_image_data_url=data_url()), owner="guest:b")
    assert counted(file, "images") == 2
    await asker.delete("/api/runs/R00000001")
    assert counted(file, "images") == 2
    await asker.delete("/api/runs/R00000002")
    assert counted(file, "images") == 1
    assert (await asker.get("/api/runs/R00000003/source-image", owner="guest:b")).status == 200
    await asker.delete("/api/runs", owner="guest:b")
    assert counted(file, "images") == 0


async def test_two_owners_never_see_each_other(asker: Asker) -> None:
    await put(asker, run(source_image_data_url=data_url()))
    await put(asker, run(intent="of b"), owner="guest:b")
    await stage(asker, [run(9)], owner="guest:b")
    assert (await told(await asker.get("/api/runs/R00000001", owner="guest:b")))["intent"] == "of b"
    assert (await asker.get("/api/runs/R00000001/source-image", owner="guest:b")).status == 404
    assert (await asker.get("/api/runs/R00000001", owner="guest:c")).status == 404
    assert (await asker.delete("/api/runs/R00000001", owner="guest:c")).status == 404
    assert await told(await asker.delete("/api/runs", owner="guest:b")) == {"deleted_runs": 1}
    assert same(await all_runs(asker), [run(source_image_data_url=data_url())])


async def test_a_restart_keeps_everything(start: Start) -> None:
    first = await start()
    given = [run(number, source_image_data_url=data_url()) for number in (1, 2, 3)]
    for each in given:
        await put(first, each)
    await first.client.close()
    assert same(await all_runs(await start()), given)


async def test_many_writers_over_one_file_lose_nothing(start: Start) -> None:
    instances = [await start(), await start()]
    image = data_url()
    await asyncio.gather(
        *(put(instances[n % 2], run(n, source_image_data_url=image)) for n in range(200)),
        *(put(instances[n % 2], run(n), owner="guest:b") for n in range(50)),
    )
    assert same(await all_runs(instances[0]), [run(n, source_image_data_url=image) for n in range(200)])
    assert same(await all_runs(instances[1], owner="guest:b"), [run(n) for n in range(50)])
