"""Pages of runs: order, cursors, filters, views, and what they cost."""

import asyncio
import json
from pathlib import Path

import pytest
from aiohttp import ClientTimeout

from chassis.documents import same
from runs_service import listing
from runs_service.listing import Selection
from runs_service.models import View
from runs_service.paging import Position
from runs_service.store import Store
from tests.runs_service.conftest import Start, all_runs, counted, opened, put, told
from tests.runs_service.samples import data_url, run
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
    ["limit=0", "limit=301", "limit=x", "limit=", "view=none", "view=", "limit=1&limit=2", "page=2"],
)
async def test_a_query_that_means_nothing_is_a_400(asker: Asker, query: str) -> None:
    assert (await told(await asker.get("/api/runs?" + query), 400))["code"] in ("invalid", "invalid_query")


@pytest.mark.parametrize("cursor", ["x", "W10", "%00", "%ED%A0%80", "żółw", "AAAA" * 500])
async def test_a_cursor_that_no_page_gave_is_a_400(asker: Asker, cursor: str) -> None:
    assert (await told(await asker.get("/api/runs?cursor=" + cursor), 400))["code"] == "bad_cursor"


async def test_an_empty_filter_filters_nothing(asker: Asker) -> None:
    await put(asker, run())
    assert await ids(asker, cursor="", status="", provider="", q="") == ["R00000001"]


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
    """Small runs, straight into the table."""
    payload = json.dumps({"run_id": "x", "status": "success"}).encode()
    with opened(file) as tx:
        tx.execute("BEGIN")
        first = tx.execute("SELECT coalesce(max(content_id), 0) + 1 FROM contents").fetchone()[0]
        tx.executemany("INSERT INTO contents VALUES (?, '', ?)", ((first + n, payload) for n in range(count)))
        tx.executemany(
            "INSERT INTO runs (owner, run_id, created, arrived, digest, status, provider, size, content_id)"
            " VALUES (?, ?, ?, ?, 'd', ?, 'veo', ?, ?)",
            ((owner, f"R{n}", n, n, ("success", "failed")[n % 2], len(payload), first + n) for n in range(count)),
        )
        tx.execute("COMMIT")


async def test_two_instances_show_the_same(start: Start) -> None:
    one, other = await start(), await start()
    await put(one, run(1))
    await put(other, run(2))
    assert same(await all_runs(one), [run(1), run(2)])
    assert same(await all_runs(other), [run(1), run(2)])
