"""Following an owner's runs by tokens: what was written and deleted since, in order, with nothing missed."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from chassis.documents import same
from chassis.peers import Scope
from runs_service import following
from runs_service.models import View
from runs_service.store import Store
from tests.processes import ROOT
from tests.runs_service.conftest import Start, all_runs, opened, put, restore, stage, told, undo
from tests.runs_service.samples import data_url, run
from tests.runs_service.test_belongings import GUEST, USER, adopt, puts
from tests.runs_service.test_listing import fill
from tests.support import Asker

MOST_PAGES: Final = 1000


@dataclass
class Device:
    """What one device holds of the owner's runs, which it follows; it begins anew where it has to."""

    owner: str = GUEST
    limit: int = 100
    view: str = "full"
    token: str = ""
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    begun_anew: int = 0

    async def step(self, asker: Asker) -> dict[str, Any] | None:
        """Take one page; None where it was told to begin anew."""
        params = {"since": self.token, "limit": str(self.limit), "view": self.view}
        answer = await asker.get("/api/runs", params=params, owner=self.owner)
        if answer.status == 410:
            assert (await told(answer, 410))["code"] == "resync_required"
            self.token, self.runs, self.begun_anew = "", {}, self.begun_anew + 1
            return None
        page = await told(answer)
        assert len(page["runs"]) + len(page["deleted"]) <= self.limit
        self.token = page["token"]
        self.runs |= {each["run_id"]: each for each in page["runs"]}
        for run_id in page["deleted"]:
            self.runs.pop(run_id, None)
        return page

    async def follow(self, asker: Asker) -> list[dict[str, Any]]:
        """Take pages until there is no more; those."""
        pages: list[dict[str, Any]] = []
        for _ in range(MOST_PAGES):
            if (page := await self.step(asker)) is not None:
                pages.append(page)
                if not page["has_more"]:
                    return pages
        raise AssertionError("there is no end to it")

    async def holds_what_is_live(self, asker: Asker) -> bool:
        live = {each["run_id"]: each for each in await all_runs(asker, owner=self.owner)}
        return same(self.runs, live)


async def newest(asker: Asker, owner: str = GUEST) -> Any:
    return await told(await asker.get("/internal/changes/current", owner=owner, scope=Scope.SYSTEM))


async def test_an_empty_token_begins_at_the_beginning_in_the_order_of_writes(asker: Asker) -> None:
    await puts(asker, GUEST, run(2), run(3), run(1), run(2, again=True))
    await told(await asker.delete("/api/runs/R00000003"))
    [page] = await Device().follow(asker)
    assert same(page["runs"], [run(1), run(2, again=True)])
    assert (page["deleted"], page["has_more"]) == ([], False)


async def test_who_never_wrote_follows_nothing_and_hears_of_the_first_run(asker: Asker) -> None:
    device = Device()
    [page] = await device.follow(asker)
    assert page == {"runs": [], "deleted": [], "token": device.token, "has_more": False}
    await put(asker, run(1))
    await device.follow(asker)
    assert same(device.runs, {"R00000001": run(1)})


@pytest.mark.parametrize("erased", [0, 3])
async def test_who_wrote_the_first_run_itself_hears_that_somebody_deleted_it(asker: Asker, erased: int) -> None:
    """Whatever was written and erased of others before the first write, or after it."""
    for n in range(erased):
        await put(asker, run(n), owner=USER)
    await asker.post("/internal/erasure", owner=USER, scope=Scope.SYSTEM)
    device = Device()
    await device.follow(asker)
    await put(asker, run(1))
    device.runs[run(1)["run_id"]] = run(1)
    await asker.delete("/api/runs")
    await device.follow(asker)
    assert (device.runs, device.begun_anew) == ({}, 0)


@pytest.mark.parametrize(("erased", "begun_anew"), [(0, 0), (3, 1)])
async def test_so_does_who_was_only_told_of_an_empty_profile(asker: Asker, erased: int, begun_anew: int) -> None:
    for n in range(erased):
        await put(asker, run(n), owner=USER)
    await asker.post("/internal/erasure", owner=USER, scope=Scope.SYSTEM)
    told_first = await told(await asker.get("/internal/changes/current", scope=Scope.SYSTEM))
    device = Device(token=told_first["value"]["token"], runs={run(1)["run_id"]: run(1)})
    await put(asker, run(1))
    await asker.delete("/api/runs")
    await device.follow(asker)
    assert (device.runs, device.begun_anew) == ({}, begun_anew)


async def test_who_began_before_somebody_elses_erasure_may_have_to_begin_anew_and_misses_nothing(asker: Asker) -> None:
    await put(asker, run(1), owner=USER)
    device = Device()
    await device.follow(asker)
    await asker.post("/internal/erasure", owner=USER, scope=Scope.SYSTEM)
    await put(asker, run(2))
    device.runs[run(2)["run_id"]] = run(2)
    await asker.delete("/api/runs")
    await device.follow(asker)
    assert device.runs == {}


@pytest.mark.parametrize("limit", [1, 2, 3, 300])
async def test_runs_and_deletions_come_in_order_and_at_most_so_many_together(asker: Asker, limit: int) -> None:
    device = Device(limit=limit)
    await puts(asker, GUEST, *(run(number) for number in range(6)))
    await device.follow(asker)
    for number in (1, 3, 5):
        await told(await asker.delete(f"/api/runs/R{number:08x}"))
        await put(asker, run(number - 1, again=True))
    pages = await device.follow(asker)
    assert [each["run_id"] for page in pages for each in page["runs"]] == ["R00000000", "R00000002", "R00000004"]
    assert [each for page in pages for each in page["deleted"]] == ["R00000001", "R00000003", "R00000005"]
    assert len(pages) == -(-6 // limit)
    assert await device.holds_what_is_live(asker)


async def test_the_token_of_the_last_page_is_the_one_that_changes_tell(asker: Asker) -> None:
    device = Device(limit=1)
    assert (await newest(asker))["value"] == {"token": (await device.follow(asker))[-1]["token"]}
    await puts(asker, GUEST, run(1), run(2), run(3))
    await told(await asker.delete("/api/runs/R00000003"))
    pages = await device.follow(asker)
    current = (await newest(asker))["value"]
    assert current == {"token": pages[-1]["token"]}
    assert all(page["token"] != current["token"] for page in pages[:-1])
    [page] = await device.follow(asker)
    assert page == {"runs": [], "deleted": [], **current, "has_more": False}


async def test_a_write_that_changes_nothing_is_not_told(asker: Asker) -> None:
    await puts(asker, GUEST, run(1), run(2))
    before = await newest(asker)
    await put(asker, run(1))
    await restore(asker, [run(1), run(2)], mode="replace")
    await told(await asker.delete("/api/runs/none"), 404)
    await told(await put(asker, run(1, x=1), headers={"If-Match": '"other"'}), 412)
    await stage(asker, [run(7)], "never committed")
    assert await newest(asker) == before


async def favorite(asker: Asker) -> None:
    await told(await asker.put("/api/runs/R00000001/variants/R00000001-v1/favorite", json={"favorite": True}))


async def undone(asker: Asker) -> None:
    await restore(asker, [run(1, x="other"), run(9)], "to undo", mode="replace")
    await undo(asker, "to undo")


WRITES: dict[str, Callable[[Asker], Awaitable[Any]]] = {
    "PUT": lambda asker: put(asker, run(7)),
    "PUT over": lambda asker: put(asker, run(1, again=True)),
    "PUT of an image": lambda asker: put(asker, run(1, source_image_data_url=data_url())),
    "POST": lambda asker: asker.post("/api/runs", json={"intent": "x"}),
    "favorite": favorite,
    "DELETE": lambda asker: asker.delete("/api/runs/R00000001"),
    "DELETE all": lambda asker: asker.delete("/api/runs"),
    "merge": lambda asker: restore(asker, [run(1, x="merged"), run(2), run(8)]),
    "replace": lambda asker: restore(asker, [run(2), run(3, x="replaced"), run(9)], mode="replace"),
    "undo": undone,
    "adoption": lambda asker: adopt(asker, guest="guest:b", user=GUEST),
}


@pytest.mark.parametrize("write", WRITES)
async def test_every_kind_of_write_is_told(asker: Asker, write: str) -> None:
    await puts(asker, GUEST, run(1), run(2), run(3))
    await puts(asker, "guest:b", run(2), run(3, x="of the guest"), run(4), run(5))
    device, before = Device(limit=2), await newest(asker)
    await device.follow(asker)
    held = dict(device.runs)
    await WRITES[write](asker)
    pages = await device.follow(asker)
    assert device.begun_anew == 0
    assert await device.holds_what_is_live(asker)
    assert write == "undo" or not same(device.runs, held)
    assert (await newest(asker))["version"] > before["version"]
    assert (await newest(asker))["value"]["token"] == pages[-1]["token"]


async def test_what_a_restore_leaves_as_it_is_does_not_come_again(asker: Asker) -> None:
    device = Device()
    await puts(asker, GUEST, run(1), run(2), run(3))
    await device.follow(asker)
    await restore(asker, [run(1), run(2, x="changed"), run(4)], mode="replace")
    [page] = await device.follow(asker)
    assert {each["run_id"] for each in page["runs"]} == {"R00000002", "R00000004"}
    assert page["deleted"] == ["R00000003"]


async def test_an_adoption_comes_in_the_order_of_the_guests_writes_behind_what_the_user_wrote(asker: Asker) -> None:
    await puts(asker, GUEST, run(3), run(1), run(2))
    await puts(asker, USER, *(run(number) for number in range(10, 15)))
    await adopt(asker)
    device = Device(USER, limit=2)
    pages = await device.follow(asker)
    assert [int(each["run_id"][1:], 16) for page in pages for each in page["runs"]] == [10, 11, 12, 13, 14, 3, 1, 2]


async def test_a_guest_who_was_adopted_begins_anew_and_leaves_no_tombstone(asker: Asker, file: Path) -> None:
    await puts(asker, GUEST, run(1), run(2))
    await told(await asker.delete("/api/runs/R00000002"))
    device = Device()
    await device.follow(asker)
    await puts(asker, USER, run(1))  # so that one is not moved but dropped
    await adopt(asker)
    with opened(file) as tx:
        assert tx.execute("SELECT count(*) FROM tombstones").fetchone()[0] == 0
    await device.follow(asker)
    assert (device.begun_anew, device.runs) == (1, {})


async def test_what_the_release_before_hands_over_is_told_too(asker: Asker, file: Path) -> None:
    """It gives no places: its statement names the owner alone."""
    mine, theirs, away = Device(GUEST), Device(USER), Device(USER)
    await puts(asker, GUEST, run(1), run(2))
    await puts(asker, USER, run(3), run(4))
    await away.follow(asker)
    await told(await asker.delete("/api/runs/R00000004", owner=USER))
    await puts(asker, GUEST, run(4))
    for device in (mine, theirs):
        await device.follow(asker)
    with opened(file) as tx:
        tx.execute("UPDATE runs SET owner = ? WHERE owner = ?", (USER, GUEST))
    for device in (mine, theirs, away):
        await device.follow(asker)
        assert await device.holds_what_is_live(asker)
    assert (mine.begun_anew, theirs.begun_anew, len(theirs.runs)) == (1, 0, 4)


async def test_a_run_made_again_after_its_deletion_is_live_and_nothing_else(asker: Asker, file: Path) -> None:
    device = Device()
    await put(asker, run(1))
    await device.follow(asker)
    for again in range(3):
        await told(await asker.delete("/api/runs/R00000001"))
        await put(asker, run(1, again=again))
    [page] = await device.follow(asker)
    assert same(page["runs"], [run(1, again=2)])
    assert page["deleted"] == []
    with opened(file) as tx:
        assert tx.execute("SELECT count(*) FROM tombstones").fetchone()[0] == 0


async def test_whoever_begins_while_runs_are_deleted_hears_of_those_it_was_given(asker: Asker) -> None:
    await puts(asker, GUEST, *(run(number) for number in range(5)))
    await told(await asker.delete("/api/runs/R00000004"))
    device = Device(limit=2)
    await device.step(asker)
    await told(await asker.delete("/api/runs/R00000000"))
    pages = await device.follow(asker)
    assert [each for page in pages for each in page["deleted"]] == ["R00000000"]
    assert await device.holds_what_is_live(asker)


async def test_what_changes_while_its_page_is_sent_comes_again_after_it(
    asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = [run(number, source_image_data_url=data_url(bytes([number]) * 1_000_000)) for number in range(1, 5)]
    for each in given:
        await put(asker, each)
    read = Store.runs

    async def late(self: Store, owner: str, run_ids: list[str], view: View) -> list[bytes]:
        monkeypatch.setattr(Store, "runs", read)
        await told(await asker.delete("/api/runs/R00000002"))
        await put(asker, run(3, small=True))
        await put(asker, run(1, small=True))
        return await read(self, owner, run_ids, view)

    monkeypatch.setattr(Store, "runs", late)
    device = Device()
    page = await device.step(asker)
    assert page is not None
    assert [each["run_id"][-1] for each in page["runs"]] == ["1", "3", "4"]
    [again] = await device.follow(asker)
    assert (again["deleted"], len(again["runs"])) == (["R00000002"], 2)
    assert await device.holds_what_is_live(asker)


async def test_a_page_of_megabytes_is_streamed_and_a_summary_is_light(asker: Asker) -> None:
    given = [run(number, source_image_data_url=data_url(bytes([number]) * 700_000)) for number in range(1, 9)]
    for each in given:
        await put(asker, each)
    answer = await asker.get("/api/runs?since=")
    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert same((await told(answer))["runs"], given)
    light = await asker.get("/api/runs?since=&view=summary")
    assert int(light.headers["Content-Length"]) < 20_000
    assert (await told(light))["runs"][0]["source_image_url"] == "/api/runs/R00000001/source-image"


@pytest.mark.parametrize(
    "rest",
    [
        "cursor=x",
        "status=success",
        "provider=veo",
        "favorite=true",
        "favorite=false",
        "q=x",
        "limit=0",
        "limit=301",
        "view=x",
    ],
)
async def test_since_goes_with_limit_and_view_alone(asker: Asker, rest: str) -> None:
    assert (await told(await asker.get(f"/api/runs?since=&{rest}"), 400))["code"] == "invalid_query"


async def test_tokens_that_this_file_never_gave_this_owner_are_told_to_begin_anew(asker: Asker) -> None:
    await puts(asker, GUEST, run(1), run(2))
    await puts(asker, USER, run(1), run(2))
    device = Device()
    await device.follow(asker)
    changed = ("A" if device.token[5] != "A" else "B").join((device.token[:5], device.token[6:]))
    for token in (changed, "x", device.token + "A", device.token[:-1], "żółw", "%00", "A" * 5000):
        answer = await asker.get("/api/runs", params={"since": token})
        assert (await told(answer, 410))["code"] == "resync_required"
    answer = await asker.get("/api/runs", params={"since": device.token}, owner=USER)
    assert (await told(answer, 410))["code"] == "resync_required"
    assert [page["runs"] for page in await device.follow(asker)] == [[]]


async def test_a_token_from_beyond_the_present_is_told_to_begin_anew(asker: Asker, file: Path) -> None:
    """The file was put back from a copy."""
    await puts(asker, GUEST, run(1))
    with opened(file) as tx:
        copied = tx.execute("SELECT version FROM changes").fetchone()[0]
        await put(asker, run(2))
        device = Device()
        await device.follow(asker)
        tx.execute("DELETE FROM runs WHERE run_id = 'R00000002'")
        tx.execute("DELETE FROM tombstones")
        tx.execute("UPDATE changes SET version = ?", (copied,))
    await device.follow(asker)
    assert (device.begun_anew, list(device.runs)) == (1, ["R00000001"])


async def test_who_was_erased_and_comes_back_has_other_places(asker: Asker) -> None:
    await puts(asker, GUEST, run(1), run(2))
    device = Device()
    await device.follow(asker)
    await told(await asker.post("/internal/erasure", owner=GUEST, scope=Scope.SYSTEM))
    await puts(asker, GUEST, *(run(number) for number in range(3, 20)))
    await device.follow(asker)
    assert device.begun_anew == 1
    assert await device.holds_what_is_live(asker)


@pytest.mark.parametrize("view", View)
async def test_a_page_is_found_by_its_indexes_and_never_sorted(asker: Asker, file: Path, view: View) -> None:
    assert (await asker.get("/api/runs")).status == 200
    values = {"owner": GUEST, "place": 3, "known_from": 3, "limit": 10}
    with opened(file) as tx:
        plan = [row["detail"] for row in tx.execute("EXPLAIN QUERY PLAN " + following.statement(view), values)]
    assert any("INDEX runs_by_place (owner=? AND place>?)" in step for step in plan), plan
    assert any("INDEX tombstones_by_place (owner=? AND place>?)" in step for step in plan), plan
    assert not any("SCAN" in step or "TEMP B-TREE" in step for step in plan), plan


async def test_runs_from_before_have_places_in_their_order(file: Path, start: Start) -> None:
    steps = sorted((ROOT / "runs_service/migrations").glob("*.sql"))[:3]
    with opened(file) as tx:
        tx.executescript("".join(step.read_text(encoding="utf-8") for step in steps) + "PRAGMA user_version = 3;")
    fill(file, GUEST, 1000)
    fill(file, USER, 10)
    asker, device = await start(), Device(limit=300)
    pages = await device.follow(asker)
    assert [len(page["runs"]) for page in pages] == [300, 300, 300, 100]
    with opened(file) as tx:
        rows = tx.execute("SELECT place FROM runs WHERE owner = ? ORDER BY instant", (GUEST,))
        assert [row["place"] for row in rows] == list(range(1, 1001))
    await put(asker, run(1), owner=USER)
    assert (await newest(asker, USER))["version"] == 11


async def test_whoever_follows_several_writers_in_several_instances_misses_nothing(start: Start) -> None:
    one, other = await start(), await start()
    writing = asyncio.gather(*(write_much(asker, number) for number, asker in enumerate((one, other, one, other))))
    devices = [Device(limit=limit, view=view) for limit, view in ((1, "full"), (3, "full"), (300, "full"))]
    while not writing.done():
        for device, asker in zip(devices, (one, other, one), strict=True):
            await device.step(asker)
    await writing
    for device in devices:
        await device.follow(other)
        assert device.begun_anew == 0
        assert await device.holds_what_is_live(one)


async def write_much(asker: Asker, writer: int) -> None:
    """Runs of its own and runs that all write."""
    for number in range(12):
        await put(asker, run(100 * writer + number % 5, by=writer, time=number))
        await put(asker, run(number % 3, by=writer, time=number))
        if number % 3 == writer % 3:
            await asker.delete(f"/api/runs/R{number % 2:08x}")


async def test_whoever_follows_several_processes_that_write_misses_nothing(asker: Asker, file: Path) -> None:
    command = (sys.executable, "-m", "tests.runs_service.writing", str(file), GUEST)
    assert (await asker.get("/api/runs")).status == 200
    writers = [await asyncio.create_subprocess_exec(*command, str(number), "100", cwd=ROOT) for number in (1, 2, 3)]
    devices = [Device(limit=limit, view="summary") for limit in (1, 7, 300)]
    ending = asyncio.gather(*(writer.wait() for writer in writers))
    pages = 0
    while not ending.done():
        for device in devices:
            page = await device.step(asker)
            assert page is not None
            pages += bool(page["runs"] or page["deleted"])
    assert await ending == [0, 0, 0]
    assert pages > 20, "nobody followed while they wrote"
    whole = Device(view="summary")
    for device in (*devices, whole):
        await device.follow(asker)
    assert all(same(device.runs, whole.runs) for device in devices)
    assert set(whole.runs) == {each["run_id"] for each in await all_runs(asker)}
