"""Pages of runs: order, cursors, filters, views, and what they cost."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientTimeout

from chassis.documents import same
from chassis.schema import steps_of
from runs_service import listing
from runs_service.listing import Selection
from runs_service.models import View
from runs_service.paging import Position
from runs_service.store import Store
from tests.runs_service.conftest import (
    Start,
    all_runs,
    check_favorites,
    commit,
    counted,
    favorites,
    opened,
    put,
    restore,
    stage,
    told,
    undo,
)
from tests.runs_service.samples import data_url, favored, run
from tests.support import Asker


async def ids(asker: Asker, **query: str) -> list[str]:
    page = await told(await asker.get("/api/runs", params=query))
    return [each["run_id"] for each in page["runs"]]


async def test_a_page_is_the_newest_runs_with_the_oldest_of_them_first(asker: Asker) -> None:
    for number in (3, 1, 5, 2, 4):
        await put(asker, run(number))
    first = await told(await asker.get("/api/runs?limit=2"))
    assert same(first["runs"], [run(4), run(5)])
    second = await told(await asker.get("/api/runs", params={"limit": "2", "cursor": first["next_cursor"]}))
    assert same(second["runs"], [run(2), run(3)])
    last = await told(await asker.get("/api/runs", params={"limit": "2", "cursor": second["next_cursor"]}))
    assert same(last["runs"], [run(1)])
    assert last["next_cursor"] is None


async def test_without_runs_there_is_an_empty_page(asker: Asker) -> None:
    assert await told(await asker.get("/api/runs")) == {"runs": [], "next_cursor": None}


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 300])
async def test_the_cursors_lead_through_all_runs_once(asker: Asker, limit: int) -> None:
    same_time = [run(number, created_at="2026-11-22T10:00:00Z") for number in range(7)]
    for each in reversed(same_time):
        await put(asker, each)
    assert same(await all_runs(asker, limit=limit), same_time)


async def test_what_is_written_between_two_pages_moves_none_of_the_older(asker: Asker) -> None:
    for number in range(1, 7):
        await put(asker, run(number))
    first = await told(await asker.get("/api/runs?limit=3"))
    await put(asker, run(9))
    await asker.delete("/api/runs/R00000004")
    second = await told(await asker.get("/api/runs", params={"limit": "3", "cursor": first["next_cursor"]}))
    assert same(second["runs"], [run(1), run(2), run(3)])


async def test_the_order_is_that_of_instants_not_of_texts(asker: Asker) -> None:
    times = {"c": "2026-11-22T12:00:00+03:00", "a": "2026-11-22T08:30:00Z", "b": "2026-11-22T08:45:00"}
    for run_id, time in times.items():
        await put(asker, {"run_id": run_id, "created_at": time})
    assert await ids(asker) == ["a", "b", "c"]


async def test_a_run_without_a_readable_time_stands_where_it_arrived_even_when_replaced(asker: Asker) -> None:
    for run_id, created in (("z", None), ("m", "yesterday"), ("a", 7)):
        await put(asker, {"run_id": run_id, "created_at": created})
    await put(asker, {"run_id": "z", "created_at": None, "again": True})
    assert await ids(asker) == ["z", "m", "a"]
    await put(asker, {"run_id": "m", "created_at": "2000-01-01"})
    assert await ids(asker) == ["m", "z", "a"]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=301",
        "limit=x",
        "limit=",
        "view=none",
        "view=",
        "limit=1&limit=2",
        "page=2",
        "favorite=x",
        "favorite=null",
        "favorite=2",
    ],
)
async def test_a_query_that_means_nothing_is_a_400(asker: Asker, query: str) -> None:
    assert (await told(await asker.get("/api/runs?" + query), 400))["code"] in ("invalid", "invalid_query")


@pytest.mark.parametrize("cursor", ["x", "W10", "%00", "%ED%A0%80", "żółw", "AAAA" * 500])
async def test_a_cursor_that_no_page_gave_is_a_400(asker: Asker, cursor: str) -> None:
    assert (await told(await asker.get("/api/runs?cursor=" + cursor), 400))["code"] == "bad_cursor"


async def test_an_empty_filter_filters_nothing(asker: Asker) -> None:
    await put(asker, run())
    assert await ids(asker, cursor="", status="", provider="", favorite="", q="") == ["R00000001"]


async def test_filters_combine(asker: Asker) -> None:
    for run_id, status, provider, intent in (
        ("a", "success", "veo", "Żółw"),
        ("b", "success", "veo", "zebra"),
        ("c", "success", None, "żółw"),
        ("d", "failed", "veo", "żółw"),
    ):
        await put(asker, {"run_id": run_id, "status": status, "params": {"provider": provider}, "intent": intent})
    assert await ids(asker, status="success") == ["a", "b", "c"]
    assert await ids(asker, provider="veo") == ["a", "b", "d"]
    assert await ids(asker, q="ŻÓŁW") == ["a", "c", "d"]
    assert await ids(asker, status="success", provider="veo", q="żółw") == ["a"]
    assert await ids(asker, status="Success") == []
    filtered = await all_runs(asker, limit=1, status="success", q="żółw")
    assert [each["run_id"] for each in filtered] == ["a", "c"]


async def test_the_favorites_are_shown_alone_or_left_out(asker: Asker) -> None:
    given = [favored(1), run(2), favored(3, source_image_data_url=data_url()), run(4, variants=[])]
    for each in given:
        await put(asker, each)
        await put(asker, run(int(each["run_id"][1:], 16)), owner="guest:b")
    assert same(await all_runs(asker, favorite="true"), [given[0], given[2]])
    assert same(await all_runs(asker, favorite="false"), [given[1], given[3]])
    assert await favorites(asker, "guest:b") == []


async def test_favorites_combine_with_every_other_filter_and_with_pages(asker: Asker) -> None:
    for number in range(24):
        made = favored if number % 2 else run
        status, provider, intent = ("success", "failed")[number % 3 > 0], ("veo", None)[number % 4 > 1], f"n{number}"
        await put(asker, made(number, status=status, params={"provider": provider}, intent=intent))

    async def numbers(favorite: str, **query: str) -> list[int]:
        found = await all_runs(asker, limit=2, view="summary", favorite=favorite, **query)
        return [int(each["run_id"][1:], 16) for each in found]

    assert await numbers("true") == list(range(1, 24, 2))
    assert await numbers("false") == list(range(0, 24, 2))
    assert await numbers("true", status="success") == [3, 9, 15, 21]
    assert await numbers("false", status="success") == [0, 6, 12, 18]
    assert await numbers("true", provider="veo") == [1, 5, 9, 13, 17, 21]
    assert await numbers("false", provider="veo", status="success") == [0, 12]
    assert await numbers("true", q="N1") == [1, 11, 13, 15, 17, 19]
    assert await numbers("true", q="N1", status="success") == [15]
    assert await numbers("false", q="N1", provider="veo") == [12, 16]


ODD = ["true", "True", 1, 1.0, 0, False, None, [True], {"true": True}, 'favorite":true']


@pytest.mark.parametrize("value", ODD)
async def test_a_favorite_is_what_the_json_says_is_exactly_true(asker: Asker, file: Path, value: Any) -> None:
    await put(asker, {"run_id": "odd", "variants": [{"id": "a", "favorite": value}, {"id": "b"}]})
    assert await favorites(asker) == []
    await put(asker, {"run_id": "odd", "variants": [{"id": "a", "favorite": value}, {"favorite": True}]})
    assert await favorites(asker) == ["odd"]
    check_favorites(file)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"variants": []},
        {"variants": [{}]},
        {"favorite": True},
        {"variants": [{"execution": {"favorite": True}, "prompt_text": '"favorite":true'}]},
        {"execution": [{"variants": [{"favorite": True}]}], "variants": [{"favorite.": True, "$.favorite": True}]},
    ],
)
async def test_a_true_in_any_other_place_makes_no_favorite(asker: Asker, fields: dict[str, Any]) -> None:
    await put(asker, {"run_id": "odd", **fields})
    assert await favorites(asker) == []


async def before_favorites(start: Start, monkeypatch: pytest.MonkeyPatch) -> Asker:
    """An instance of the release before, as far as its file and its writes go: these name nothing that came later."""
    steps = steps_of("runs_service")[:4]
    with monkeypatch.context() as patched:
        patched.setattr("chassis.schema.steps_of", lambda _: steps)
        return await start()


async def test_favorites_from_before_are_found_live_staged_or_kept_for_an_undo(
    start: Start, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await before_favorites(start, monkeypatch)
    await put(before, favored(0))
    await put(before, {"run_id": "bare"})
    for number, value in enumerate(ODD):
        await put(before, run(number + 20, variants=[{"favorite": value}]))
    await restore(before, [run(0), favored(1), favored(2)])
    await stage(before, [run(1), favored(3)], "waiting")
    now = await start()
    check_favorites(file)
    assert await favorites(now) == ["R00000001", "R00000002"]
    assert await undo(now) == (3, 0)
    assert await favorites(now) == ["R00000000"]
    await commit(now, "waiting")
    assert await favorites(now) == ["R00000000", "R00000003"]
    check_favorites(file)


async def test_what_the_release_before_goes_on_writing_is_found_too(
    start: Start, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await before_favorites(start, monkeypatch)
    for each in (favored(1), run(2), run(3), favored(4)):
        await put(before, each)
    now = await start()
    await put(before, run(1))
    await told(await before.put("/api/runs/R00000002/variants/R00000002-v1/favorite", json={"favorite": True}))
    await put(before, favored(5))
    assert await favorites(now) == ["R00000002", "R00000004", "R00000005"]
    await restore(before, [run(2), favored(3), favored(6)], mode="replace")
    assert await favorites(now) == ["R00000003", "R00000006"]
    await undo(before)
    assert await favorites(now) == ["R00000002", "R00000004", "R00000005"]
    await told(await before.delete("/api/runs/R00000005"))
    await put(before, run(7))
    assert await favorites(now) == ["R00000002", "R00000004"]
    assert len(await all_runs(before)) == 5
    check_favorites(file)


@pytest.mark.parametrize("q", ["STRASSE", "coherence", "KLATKA", "ujęcie 2", "r00000001", "100%_"])
async def test_a_search_looks_at_every_text_that_people_know_a_run_by(asker: Asker, q: str) -> None:
    await put(asker, run(1, intent="Straße 100%_", preset="Coherence-First"))
    await put(asker, {"run_id": "other", "intent": "nothing of it", "status": "coherence strasse ujęcie klatka"})
    assert await ids(asker, q=q) == ["R00000001"]


@pytest.mark.parametrize("q", ["%", "_", "'", "\x00", "\x1f\x1f", "klatka%", "x" * 5000, "\ufffd"])
async def test_a_search_means_its_characters_and_nothing_else(asker: Asker, q: str) -> None:
    await put(asker, run())
    assert await ids(asker, q=q) == []


async def test_a_summary_leaves_out_what_is_heavy_and_links_the_image(asker: Asker) -> None:
    await put(asker, run(1, source_image_data_url=data_url(), execution={"a": 1}, compiled_prompt={}))
    await put(asker, run(2, source_image_data_url="data:image/svg+xml,%3Csvg/%3E"))
    await put(asker, run(3, source_image_data_url=None))
    await put(asker, {"run_id": "R4", "created_at": "2027-01-01"})
    runs = (await told(await asker.get("/api/runs?view=summary")))["runs"]
    light = run(1)
    for variant in light["variants"]:
        del variant["compiled_prompt"], variant["execution"]
    assert same(runs[0], light | {"source_image_url": "/api/runs/R00000001/source-image"})
    assert runs[1]["source_image_url"] == "/api/runs/R00000002/source-image"
    assert runs[2]["source_image_url"] is None
    assert runs[3] == {"run_id": "R4", "created_at": "2027-01-01", "source_image_url": None}


async def test_all_are_deleted_and_counted(asker: Asker, file: Path) -> None:
    for number in range(5):
        await put(asker, run(number, source_image_data_url=data_url(bytes([number]))))
    assert await told(await asker.delete("/api/runs")) == {"deleted_runs": 5}
    assert await told(await asker.delete("/api/runs")) == {"deleted_runs": 0}
    assert await all_runs(asker) == []
    assert counted(file, "images") == 0


async def test_a_page_of_megabytes_is_streamed_and_whole(asker: Asker) -> None:
    given = [run(n, source_image_data_url=data_url(bytes([n]) * 700_000)) for n in range(1, 9)]
    for each in given:
        await put(asker, each)
    answer = await asker.get("/api/runs")
    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert same(await told(answer), {"runs": given, "next_cursor": None})
    light = await asker.get("/api/runs?view=summary")
    assert "Content-Length" in light.headers
    await told(light)


async def test_a_run_that_goes_while_its_page_is_sent_is_left_out(
    asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2, 3):
        await put(asker, run(number, source_image_data_url=data_url(bytes([number]) * 1_000_000)))
    read = Store.runs

    async def late(self: Store, owner: str, run_ids: list[str], view: View) -> list[bytes]:
        await asker.delete("/api/runs/R00000002")
        return await read(self, owner, run_ids, view)

    monkeypatch.setattr(Store, "runs", late)
    assert await ids(asker) == ["R00000001", "R00000003"]


async def test_slow_readers_of_large_pages_keep_nobody_waiting(asker: Asker) -> None:
    for number in range(12):
        await put(asker, run(number, source_image_data_url=data_url(bytes([number]) * 3_000_000)))
    slow = [await asker.get("/api/runs") for _ in range(6)]  # their bodies are not read
    quick = await asker.get("/api/runs?view=summary", timeout=ClientTimeout(2))
    assert len((await told(quick))["runs"]) == 12
    for answer in slow:
        answer.close()
    await asyncio.sleep(0)


SELECTIONS = {
    "plain": (Selection(100, View.FULL), "runs_in_order (owner=?"),
    "status": (Selection(100, View.FULL, status="success"), "runs_by_status (owner=? AND status=?"),
    "provider": (Selection(100, View.SUMMARY, provider="veo"), "runs_by_provider (owner=? AND provider=?"),
    "favorites": (Selection(100, View.FULL, favorite=True), "runs_by_favorite (owner=? AND favorite=?"),
    "no favorites": (Selection(100, View.FULL, favorite=False), "runs_by_favorite (owner=? AND favorite=?"),
    "favorites of many": (
        Selection(100, View.FULL, status="success", provider="veo", favorite=True),
        "runs_by_favorite (owner=? AND favorite=?",
    ),
    "no favorites of few": (
        Selection(100, View.FULL, status="few", favorite=False),
        "runs_by_status (owner=? AND status=?",
    ),
}


@pytest.mark.parametrize("what", SELECTIONS)
@pytest.mark.parametrize("before", [None, Position(5, "R5")])
async def test_a_page_is_found_by_an_index_and_never_sorted(
    asker: Asker, file: Path, what: str, before: Position | None
) -> None:
    assert (await asker.get("/api/runs")).status == 200
    selection, index = SELECTIONS[what]
    statement, values = listing.keys("guest:a", selection._replace(before=before))
    with opened(file) as tx:
        plan = [row["detail"] for row in tx.execute("EXPLAIN QUERY PLAN " + statement, values)]
    expected = index + (" AND (instant,run_id)<(?,?))" if before else ")")
    assert plan[0].removesuffix(" LEFT-JOIN").endswith("INDEX " + expected), plan
    assert not any("SCAN" in step or "TEMP B-TREE" in step for step in plan)


async def test_a_page_costs_the_same_however_many_runs_there_are(asker: Asker, file: Path) -> None:
    """Counted in steps of SQLite's machine, which no neighbour on this computer can change."""
    assert (await asker.get("/api/runs")).status == 200

    def steps(owner: str, selection: Selection) -> int:
        taken = 0

        def count() -> int:
            nonlocal taken
            taken += 1
            return 0

        with opened(file) as tx:
            tx.set_progress_handler(count, 10)
            listing.page(owner, selection, tx)
        return taken

    fill(file, "few", 1000)
    fill(file, "many", 50_000)
    for selection, _ in SELECTIONS.values():
        for before in (None, Position(700, "R")):
            chosen = selection._replace(before=before)
            assert steps("many", chosen) <= steps("few", chosen) * 1.05


def fill(file: Path, owner: str, count: int) -> None:
    """Small runs, straight into the table; the oldest 90 are favourites."""
    payloads = [json.dumps({"run_id": "x", "variants": [{"favorite": n < 90}]}).encode() for n in range(count)]
    with opened(file) as tx:
        tx.execute("BEGIN")
        first = tx.execute("SELECT coalesce(max(content_id), 0) + 1 FROM contents").fetchone()[0]
        tx.executemany("INSERT INTO contents VALUES (?, '', ?)", ((first + n, payloads[n]) for n in range(count)))
        tx.executemany(
            "INSERT INTO runs (owner, run_id, created, arrived, digest, status, provider, size, content_id)"
            " VALUES (?, ?, ?, ?, 'd', ?, 'veo', ?, ?)",
            ((owner, f"R{n}", n, n, ("success", "failed")[n % 2], len(payloads[n]), first + n) for n in range(count)),
        )
        tx.execute("COMMIT")


async def test_two_instances_show_the_same(start: Start) -> None:
    one, other = await start(), await start()
    await put(one, run(1))
    await put(other, run(2))
    assert same(await all_runs(one), [run(1), run(2)])
    assert same(await all_runs(other), [run(1), run(2)])
