"""Stage, commit and abort: what the gateway's journal relies on in every service that takes part in a restore."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import ClientConnectionError

from chassis.peers import Scope
from chassis.uploads import BLANK, encode_end, encode_item
from tests.contract.conftest import Service, Start
from tests.contract.shape import problem

PASSPHRASE = "zażółć gęślą jaźń"
SEALED = {
    "kdf": {
        "algorithm": "argon2id",
        "version": 19,
        "salt": "6m4M8n//IdUVIgLy9GiXkA==",
        "passes": 2,
        "memory_kib": 19456,
        "parallelism": 1,
    },
    "cipher": "xchacha20-poly1305",
    "nonce": "RwaHx7VMPGpR79r9E4/O62Ld8BYI8pu5",
    "providers": ["runway"],
    "ciphertext": (
        "mNY1AJM2rcM0/8lc6rEdYSqBq7LedPghpNIFceq4FlksRwo7uoiDGoDfjVM2Ro7E66yKexvDsAkuh17mbYXh3LfwEwM3pXo0q1qP"
        "FjzgQcOTP1d3Bd+FyxQMPT3aDUwFuOfXJFSTkrysSNFDpC9iVQ8qOHPQzMFmzvteg5OCtDYsVcdqUwlzvCc+bbovqEyRQXR6MnGe"
        "yrkrVos1GAOY0zLU+3eY+HsYZmS1jVjI+rSiMGRLragu3ZVGmPWz6ifzziAdLO+Aqev3eWfBSKIh9uFdrefjO+yCXYj8MBWUhwWq"
        "eyTfqwLmHiClDkvz7VDAFQoyoFMy3X5JcdxsoljREwNzSD2qArRi6d+AWxZvo40="
    ),
}

RUNS = [
    {
        "run_id": f"R{number:08x}",
        "created_at": f"2026-11-2{number}T10:00:00.000000+00:00",
        "status": "success",
        "intent": 'Żółw 龜 🐢 "<b>" &amp;\r\n',
        "source_image_data_url": "data:image/png;base64,iVBORw0KGgo=",
        "variants": [{"id": f"R{number:08x}-v1", "favorite": bool(number % 2), "execution": None}],
        "unknown": {"kept": [1, 2.5, None]},
    }
    for number in range(1, 4)
]


@dataclass(frozen=True)
class Sample:
    """What a service can be given, what it cannot, and where its live state is seen."""

    part: str
    good: list[tuple[str, str, Any]]
    bad: tuple[str, str, Any]
    live: str
    kinds: tuple[str, ...]
    headers: dict[str, str] = field(default_factory=dict)


SAMPLES = {
    "settings": Sample(
        "settings",
        [("/settings", "settings", {"theme": {"accent": "teal"}, "unknown": {"kept": True}})],
        ("/settings", "settings", 7),
        "/api/settings",
        ("settings", "settings_patch", "history"),
    ),
    "runs": Sample(
        "runs",
        [(f"/runs/{number}", "run", run) for number, run in enumerate(RUNS)],
        ("/runs/99", "run", 7),
        "/api/runs",
        ("run",),
    ),
    "vault": Sample(
        "api_keys",
        [("/sealed_api_keys", "sealed_api_keys", SEALED)],
        ("/keys", "key", 7),
        "/api/settings/api-keys",
        ("key",),
        {"Animatize-Backup-Passphrase": quote(PASSPHRASE)},
    ),
}


class Restoring:
    """The gateway's side, towards one service."""

    def __init__(self, service: Service) -> None:
        self.service, self.sample = service, SAMPLES[service.name]

    async def stage(self, id_: str, items: Any = None, *, owner: str = "guest:a", **query: str) -> Any:
        items = self.sample.good if items is None else items
        return await self.send(id_, upload(items), owner=owner, **query)

    async def send(self, id_: str, data: Any, *, owner: str = "guest:a", **query: str) -> Any:
        path, headers = f"/internal/restores/{id_}", self.sample.headers
        return await self.service.ask.put(
            path, owner=owner, scope=Scope.SYSTEM, data=data, params=query, headers=headers
        )

    async def stage_undo(self, id_: str, of: str, *, owner: str = "guest:a") -> Any:
        return await self.send(id_, encode_end(0), owner=owner, mode="undo", undoes=of)

    async def step(self, id_: str, name: str, *, owner: str = "guest:a") -> Any:
        return await self.service.ask.post(f"/internal/restores/{id_}/{name}", owner=owner, scope=Scope.SYSTEM)

    async def live(self, owner: str = "guest:a") -> Any:
        answer = await self.service.ask.get(self.sample.live, owner=owner)
        assert answer.status == 200
        return await answer.json()


def upload(items: list[tuple[str, str, Any]], *, count: int | None = None) -> bytes:
    end = encode_end(len(items) if count is None else count)
    return b"".join(encode_item(*item) for item in items) + end


@pytest.fixture(params=SAMPLES)
async def restoring(request: pytest.FixtureRequest, start: Start) -> Restoring:
    return Restoring(await start(request.param))


async def told(answer: Any) -> dict[str, Any]:
    assert answer.status == 200, await answer.text()
    found: dict[str, Any] = await answer.json()
    return found


async def test_staging_answers_with_a_plan_and_changes_nothing(restoring: Restoring) -> None:
    before = await restoring.live()
    staged = await told(await restoring.stage("one"))
    assert set(staged) >= {"plan", "restored", "warnings", "warning_count"}
    assert restoring.sample.part in staged["plan"]
    for counts in staged["plan"].values():
        assert set(counts) == {"added", "changed", "unchanged", "refused"}
        assert all(type(count) is int for count in counts.values())
    assert staged["warnings"] == []
    assert staged["warning_count"] == 0
    assert await restoring.live() == before


async def test_committing_does_what_the_plan_said(restoring: Restoring) -> None:
    before = await restoring.live()
    staged = await told(await restoring.stage("one"))
    committed = await told(await restoring.step("one", "commit"))
    assert committed["plan"] == staged["plan"]
    assert committed["restored"] == staged["restored"]
    assert await restoring.live() != before


async def test_runs_come_back_field_for_field(start: Start) -> None:
    restoring = Restoring(await start("runs"))
    await told(await restoring.stage("one"))
    await told(await restoring.step("one", "commit"))
    assert (await restoring.live())["runs"] == RUNS


async def test_a_section_that_is_named_wins_and_the_others_stay(start: Start) -> None:
    restoring = Restoring(await start("settings"))
    before = (await restoring.live())["settings"]
    await told(await restoring.stage("one"))
    await told(await restoring.step("one", "commit"))
    after = (await restoring.live())["settings"]
    assert after["theme"]["accent"] == "teal"
    assert after["unknown"] == {"kept": True}
    assert {name: after[name] for name in before if name != "theme"} == {
        name: value for name, value in before.items() if name != "theme"
    }


async def test_committing_twice_gives_the_same_answer_and_changes_nothing_more(restoring: Restoring) -> None:
    await told(await restoring.stage("one"))
    first = await told(await restoring.step("one", "commit"))
    between = await restoring.live()
    assert await told(await restoring.step("one", "commit")) == first
    assert await restoring.live() == between


async def test_committing_from_several_instances_at_once_happens_once(restoring: Restoring, start: Start) -> None:
    other = Restoring(await start(restoring.service.name))
    await told(await restoring.stage("one"))
    answers = await asyncio.gather(*((restoring, other)[n % 2].step("one", "commit") for n in range(10)))
    told_all = [await told(answer) for answer in answers]
    assert all(each == told_all[0] for each in told_all)
    assert await other.live() == await restoring.live()


async def test_the_same_document_again_changes_nothing(restoring: Restoring) -> None:
    await told(await restoring.stage("one"))
    await told(await restoring.step("one", "commit"))
    between = await restoring.live()
    again = await told(await restoring.stage("two"))
    assert all(counts["added"] == counts["changed"] == 0 for counts in again["plan"].values())
    await told(await restoring.step("two", "commit"))
    assert await restoring.live() == between


async def test_after_an_abort_a_late_stage_and_a_commit_are_refused(restoring: Restoring) -> None:
    before = await restoring.live()
    await told(await restoring.stage("one"))
    for _ in range(2):
        assert (await told(await restoring.step("one", "abort")))["state"] == "aborted"
    await problem(await restoring.stage("one"), 410, "restore_aborted")
    await problem(await restoring.step("one", "commit"), 410, "restore_aborted")
    assert await restoring.live() == before


async def test_an_abort_that_comes_before_the_stage_is_remembered(restoring: Restoring) -> None:
    await told(await restoring.step("never", "abort"))
    await problem(await restoring.stage("never"), 410, "restore_aborted")


async def test_what_is_committed_can_be_neither_aborted_nor_staged_again(restoring: Restoring) -> None:
    await told(await restoring.stage("one"))
    await told(await restoring.step("one", "commit"))
    between = await restoring.live()
    await problem(await restoring.step("one", "abort"), 409, "restore_committed")
    await problem(await restoring.stage("one"), 409, "restore_committed")
    assert await restoring.live() == between


async def test_what_was_never_staged_cannot_be_committed(restoring: Restoring) -> None:
    await problem(await restoring.step("never", "commit"), 409, "not_staged")


async def test_of_an_abort_and_a_commit_at_once_one_wins(restoring: Restoring, start: Start) -> None:
    other = Restoring(await start(restoring.service.name))
    before = await restoring.live()
    for number in range(5):
        id_ = f"race-{number}"
        await told(await restoring.stage(id_, owner=f"guest:{number}"))
        committed, aborted = await asyncio.gather(
            restoring.step(id_, "commit", owner=f"guest:{number}"), other.step(id_, "abort", owner=f"guest:{number}")
        )
        assert (committed.status, aborted.status) in {(200, 409), (410, 200)}
        changed = settled(await restoring.live(f"guest:{number}")) != settled(before)
        assert changed == (committed.status == 200)


def settled(live: dict[str, Any]) -> Any:
    """The part of a live state that does not depend on when it was first asked for."""
    return next(live[name] for name in ("settings", "runs", "api_keys") if name in live)


async def refuse_cut_uploads(restoring: Restoring, cuts: dict[str, bytes]) -> None:
    before = await restoring.live()
    for number, (how, data) in enumerate(cuts.items()):
        answer = await restoring.send(f"cut-{number}", data)
        assert answer.status == 400, f"cut {how}: {answer.status}"
        await problem(answer, 400)
        await problem(await restoring.step(f"cut-{number}", "commit"), 409, "not_staged")
    assert await restoring.live() == before
    await told(await restoring.stage("cut-0"))
    await told(await restoring.step("cut-0", "commit"))


async def test_an_upload_that_was_cut_between_lines_is_refused_and_can_be_sent_again(restoring: Restoring) -> None:
    items = restoring.sample.good
    whole = upload(items)
    cuts = {
        "before everything": b"",
        "before its last line": b"".join(encode_item(*item) for item in items),
        "without its first item": upload(items[1:], count=len(items)),
        "to another number": upload(items, count=len(items) + 1),
        "with an item too many": whole.replace(encode_end(len(items)), b"") + encode_end(len(items) - 1),
    }
    await refuse_cut_uploads(restoring, cuts)


async def test_an_upload_that_was_cut_within_a_line_is_refused_and_can_be_sent_again(restoring: Restoring) -> None:
    whole = upload(restoring.sample.good)
    cuts = {f"after {size} bytes": whole[:size] for size in (1, len(whole) // 2, len(whole) - 4)}
    await refuse_cut_uploads(restoring, cuts)


async def test_an_upload_of_what_is_no_line_of_ours_is_refused(restoring: Restoring) -> None:
    odd = (
        b"null",
        b"7",
        b'"text"',
        b"[]",
        b'["/a"]',
        b'["/a","run",{},1]',
        b"[1,2,3]",
        b"{}",
        b'{"count":"1"}',
        b"\xff",
    )
    await refuse_cut_uploads(restoring, {repr(line): line + b"\n" + encode_end(1) for line in odd})


async def test_a_client_that_dies_half_way_leaves_nothing(restoring: Restoring) -> None:
    before = await restoring.live()

    async def dying() -> AsyncIterator[bytes]:
        yield encode_item(*restoring.sample.good[0])
        await asyncio.sleep(0.05)
        raise ConnectionResetError

    with pytest.raises(ClientConnectionError):
        await restoring.send("dead", dying())
    await problem(await restoring.step("dead", "commit"), 409, "not_staged")
    assert await restoring.live() == before
    await told(await restoring.stage("dead"))
    await told(await restoring.step("dead", "commit"))


async def test_a_second_upload_under_the_same_id_takes_the_place_of_the_first(restoring: Restoring) -> None:
    first = await told(await restoring.stage("one"))
    assert await told(await restoring.stage("one")) == first
    assert (await told(await restoring.step("one", "commit")))["plan"] == first["plan"]


async def test_uploads_at_once_under_one_id_do_not_mix(restoring: Restoring) -> None:
    """A gateway that was cut off may send again while its first upload still trickles in."""

    async def slowly() -> AsyncIterator[bytes]:
        for line in upload(restoring.sample.good).splitlines(keepends=True):
            yield line
            await asyncio.sleep(0.02)

    first = await told(await restoring.stage("alone"))
    answers = await asyncio.gather(*(restoring.send("one", slowly()) for _ in range(4)), restoring.stage("one"))
    assert {answer.status for answer in answers} <= {200, 410}
    assert any(answer.status == 200 for answer in answers)
    assert (await told(await restoring.step("one", "commit")))["plan"] == first["plan"]


async def test_of_two_uploads_under_one_id_the_later_is_taken_and_no_part_of_the_other(restoring: Restoring) -> None:
    async def held(until: asyncio.Event) -> AsyncIterator[bytes]:
        yield BLANK
        await until.wait()
        yield upload(restoring.sample.good)

    earlier, later = asyncio.Event(), asyncio.Event()
    uploads = []
    for until in (earlier, later):
        uploads.append(asyncio.create_task(restoring.send("one", held(until))))
        await asyncio.sleep(0.2)
    earlier.set()
    await problem(await uploads[0], 410, "restore_aborted")
    later.set()
    await told(await uploads[1])
    await told(await restoring.step("one", "commit"))


async def test_what_cannot_be_used_is_named_and_the_rest_goes_in(restoring: Restoring) -> None:
    items = [restoring.sample.bad, *restoring.sample.good]
    staged = await told(await restoring.stage("one", items))
    assert staged["warning_count"] == 1
    assert [warning["pointer"] for warning in staged["warnings"]] == [restoring.sample.bad[0]]
    assert staged["warnings"][0]["message"]
    assert staged["plan"][restoring.sample.part]["refused"] == 1
    before = await restoring.live()
    committed = await told(await restoring.step("one", "commit"))
    assert committed["plan"] == staged["plan"]
    assert await restoring.live() != before


async def test_no_value_at_all_brings_staging_down(restoring: Restoring) -> None:
    values: tuple[Any, ...] = (
        None,
        True,
        7,
        2.5,
        "",
        "text",
        [],
        [[]],
        {},
        {"": {}},
        {"run_id": 7},
        {"run_id": ""},
        {"theme": 7},
        [{}],
    )
    kinds = restoring.sample.kinds
    items = [(f"/{number}", kind, value) for number, value in enumerate(values) for kind in kinds]
    staged = await told(await restoring.stage("one", items))
    assert staged["warning_count"] == sum(counts["refused"] for counts in staged["plan"].values()) > 0
    await told(await restoring.step("one", "commit"))
    await restoring.live()


async def test_many_warnings_are_counted_and_the_first_hundred_told(restoring: Restoring) -> None:
    _, kind, value = restoring.sample.bad
    staged = await told(await restoring.stage("one", [(f"/{number}", kind, value) for number in range(450)]))
    assert staged["warning_count"] == 450
    assert [warning["pointer"] for warning in staged["warnings"]] == [f"/{number}" for number in range(100)]


async def test_another_owner_neither_sees_nor_moves_a_restore(restoring: Restoring) -> None:
    before = await restoring.live("guest:b")
    await told(await restoring.stage("one"))
    for step in ("commit", "abort"):
        await problem(await restoring.step("one", step, owner="guest:b"), 404, "unknown_restore")
    await problem(await restoring.stage("one", owner="guest:b"), 404, "unknown_restore")
    await told(await restoring.step("one", "commit"))
    assert await restoring.live("guest:b") == before


async def test_replacing_by_an_empty_part_leaves_nothing_of_it_but_what_has_to_be(restoring: Restoring) -> None:
    await told(await restoring.stage("one"))
    await told(await restoring.step("one", "commit"))
    part = "history" if restoring.sample.part == "settings" else restoring.sample.part
    staged = await told(await restoring.send("two", encode_end(0, [part]), mode="replace"))
    committed = await told(await restoring.step("two", "commit"))
    assert staged["removed"][part] == committed["removed"][part] == 1 + 2 * (part == "runs")
    untouched = await told(await restoring.send("three", encode_end(0), mode="replace"))
    assert not any(untouched["removed"].values())


async def test_an_undo_gives_back_what_was_there_before(restoring: Restoring) -> None:
    before = await restoring.live()
    await told(await restoring.stage("one"))
    await told(await restoring.step("one", "commit"))
    between = await restoring.live()
    staged = await told(await restoring.stage_undo("undo", "one"))
    assert await restoring.live() == between
    undone = await told(await restoring.step("undo", "commit"))
    assert {name: undone[name] for name in staged} == staged
    assert undone["undone"][restoring.sample.part] == len(restoring.sample.good)
    assert not any(undone["stayed"].values())
    after = await restoring.live()
    assert settled(after) == settled(before)
    assert await told(await restoring.step("undo", "commit")) == undone
    assert await restoring.live() == after
    await problem(await restoring.stage_undo("again", "one"), 409, "undo_closed")


async def test_an_undo_that_is_aborted_changes_nothing(restoring: Restoring) -> None:
    await told(await restoring.stage("one"))
    await told(await restoring.step("one", "commit"))
    between = await restoring.live()
    await told(await restoring.stage_undo("undo", "one"))
    await told(await restoring.step("undo", "abort"))
    assert await restoring.live() == between
    await told(await restoring.stage_undo("second", "one"))


async def test_only_the_owner_of_a_restore_can_undo_it(restoring: Restoring) -> None:
    await told(await restoring.stage("one"))
    await told(await restoring.step("one", "commit"))
    await problem(await restoring.stage_undo("undo", "one", owner="guest:b"), 409, "undo_closed")


async def test_what_is_staged_and_what_is_committed_outlive_a_restart(restoring: Restoring, start: Start) -> None:
    staged = await told(await restoring.stage("one"))
    await restoring.service.ask.client.close()
    second = Restoring(await start(restoring.service.name))
    committed = await told(await second.step("one", "commit"))
    assert committed["plan"] == staged["plan"]
    live = await second.live()
    await second.service.ask.client.close()
    third = Restoring(await start(restoring.service.name))
    assert await told(await third.step("one", "commit")) == committed
    assert await third.live() == live


async def test_a_mode_that_is_none_is_a_400(restoring: Restoring) -> None:
    await problem(await restoring.stage("one", mode="overwrite"), 400, "invalid_query")
    await problem(await restoring.step("one", "commit"), 409, "not_staged")


@pytest.mark.parametrize("end", ["commit", "abort"])
async def test_nothing_staged_is_left_behind(restoring: Restoring, end: str, tmp_path: Path) -> None:
    """Staged copies can be large; the memory of what became of a restore is all that stays."""
    await told(await restoring.stage("one"))
    await told(await restoring.step("one", end))
    name = restoring.service.name
    with closing(sqlite3.connect(tmp_path / f"animatize_web.{name}.db")) as file:
        tables = [row[0] for row in file.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        staged = [table for table in tables if "staged" in table]
        assert staged, "name the tables of what is staged so that they can be told from the live ones"
        assert [file.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in staged] == [0] * len(staged)
