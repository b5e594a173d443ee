"""The state machine of an operation over several services, with a toy part over a toy database."""

import asyncio
import itertools
import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from chassis import staging, uploads
from chassis.database import opened
from chassis.parts import MOST_WARNINGS, Counts, Mode, Outcome, Refusal, Restore, Undone
from chassis.peers import Scope, Signer
from chassis.serving import DATABASE, service
from chassis.staging import KEPT_DAYS
from chassis.uploads import Item, encode_end, encode_item
from tests.support import Asker

SCHEMA = """
CREATE TABLE restores (
    restore_id TEXT PRIMARY KEY, owner TEXT NOT NULL, mode TEXT NOT NULL, state TEXT NOT NULL, answer TEXT,
    changed_at TEXT NOT NULL, parts TEXT NOT NULL DEFAULT '[]', undoes TEXT, kept INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE things (owner TEXT, name TEXT, PRIMARY KEY (owner, name)) STRICT;
CREATE TABLE added (restore_id TEXT, name TEXT, PRIMARY KEY (restore_id, name)) STRICT;
CREATE TABLE staged (restore_id TEXT, position INTEGER, name TEXT, PRIMARY KEY (restore_id, position)) STRICT;
"""


class Things:
    """Restores names; refuses what is no text. Keeps, for an undo, which names a restore added."""

    def __init__(self) -> None:
        self.modes: list[Mode] = []
        self.parts: list[frozenset[str]] = []

    def stage(self, tx: sqlite3.Connection, restore: Restore, items: Sequence[Item]) -> list[Refusal]:
        good = [item for item in items if isinstance(item.value, str)]
        tx.executemany(
            "INSERT INTO staged VALUES (?, ?, ?)", [(restore.id, each.position, each.value) for each in good]
        )
        return [Refusal("things", item.pointer, "is no name") for item in items if item not in good]

    def plan(self, tx: sqlite3.Connection, restore: Restore) -> Outcome:
        self.modes.append(restore.mode)
        return self._outcome(tx, restore)

    def apply(self, tx: sqlite3.Connection, restore: Restore) -> Outcome:
        self.modes.append(restore.mode)
        self.parts.append(restore.parts)
        outcome = self._outcome(tx, restore)
        tx.execute(
            "INSERT INTO added SELECT restore_id, name FROM staged WHERE restore_id = ?"
            " AND name NOT IN (SELECT name FROM things WHERE owner = ?)",
            (restore.id, restore.owner),
        )
        tx.execute(
            "INSERT INTO things SELECT ?, name FROM staged WHERE restore_id = ? ON CONFLICT DO NOTHING",
            (restore.owner, restore.id),
        )
        return outcome

    def discard(self, tx: sqlite3.Connection, restore: Restore) -> None:
        tx.execute("DELETE FROM staged WHERE restore_id = ?", (restore.id,))

    def plan_undo(self, tx: sqlite3.Connection, undo: Restore) -> Undone:
        kept = tx.execute("SELECT count(*) FROM added WHERE restore_id = ?", (undo.undoes,)).fetchone()[0]
        return Undone({"things": kept}, {"things": 0})

    def undo(self, tx: sqlite3.Connection, undo: Restore) -> Undone:
        undone = self.plan_undo(tx, undo)
        tx.execute("DELETE FROM things WHERE name IN (SELECT name FROM added WHERE restore_id = ?)", (undo.undoes,))
        self.forget(tx, undo.undoes or "")
        return undone

    def forget(self, tx: sqlite3.Connection, restore_id: str) -> None:
        tx.execute("DELETE FROM added WHERE restore_id = ?", (restore_id,))

    def _outcome(self, tx: sqlite3.Connection, restore: Restore) -> Outcome:
        staged = {row[0] for row in tx.execute("SELECT name FROM staged WHERE restore_id = ?", (restore.id,))}
        there = {row[0] for row in tx.execute("SELECT name FROM things WHERE owner = ?", (restore.owner,))}
        counts: Counts = {"added": len(staged - there), "changed": 0, "unchanged": len(staged & there)}
        return Outcome({"things": counts}, {"things": len(staged)}, {"things": 0})


@pytest.fixture
def part() -> Things:
    return Things()


@pytest.fixture
async def asker(
    aiohttp_client: Any, gateway_url: str, signer: Signer, tmp_path: Path, part: Things, monkeypatch: pytest.MonkeyPatch
) -> Asker:
    monkeypatch.setattr("chassis.schema.steps_of", lambda _: [(1, SCHEMA)])

    async def storage(app: web.Application) -> AsyncIterator[None]:
        async with opened(tmp_path / "toy.db", "toys") as database:
            app[DATABASE] = database
            yield

    routes = staging.routes(DATABASE, part)
    app = service(routes, audience="toys", gateways=[gateway_url], max_body=1000, lifespans=[storage])
    return Asker(await aiohttp_client(TestServer(app)), signer, "toys")


def upload(*values: Any) -> bytes:
    lines = [encode_item(f"/things/{number}", "thing", value) for number, value in enumerate(values)]
    return b"".join(lines) + encode_end(len(values))


async def stage(
    asker: Asker, *values: Any, name: str = "r1", body: bytes | None = None, **rest: Any
) -> tuple[int, Any]:
    data = upload(*values) if body is None else body
    return await told(asker, "PUT", f"/internal/restores/{name}", data=data, **rest)


async def commit(asker: Asker, name: str = "r1", **rest: Any) -> tuple[int, Any]:
    return await told(asker, "POST", f"/internal/restores/{name}/commit", **rest)


async def abort(asker: Asker, name: str = "r1", **rest: Any) -> tuple[int, Any]:
    return await told(asker, "POST", f"/internal/restores/{name}/abort", **rest)


async def told(asker: Asker, method: str, path: str, **rest: Any) -> tuple[int, Any]:
    answer = await asker(method, path, scope=Scope.SYSTEM, **rest)
    return answer.status, await answer.json(content_type=None)


def rows(tmp_path: Path, table: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(tmp_path / "toy.db") as tx:
        return tx.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()


async def until(true: Callable[[], object]) -> None:
    while not true():  # noqa: ASYNC110 - the other process's file tells no event
        await asyncio.sleep(0.01)


async def test_staging_tells_the_plan_and_changes_nothing(asker: Asker, tmp_path: Path) -> None:
    status, answer = await stage(asker, "a", 1, "b", None)
    assert status == 200
    assert answer == {
        "plan": {"things": {"added": 2, "changed": 0, "unchanged": 0, "refused": 2}},
        "restored": {"things": 2},
        "removed": {"things": 0},
        "warnings": [
            {"pointer": "/things/1", "message": "is no name"},
            {"pointer": "/things/3", "message": "is no name"},
        ],
        "warning_count": 2,
    }
    assert rows(tmp_path, "things") == []


async def test_a_commit_puts_it_in_place_and_leaves_nothing_staged(asker: Asker, tmp_path: Path) -> None:
    _, planned = await stage(asker, "a", 1, "b")
    status, answer = await commit(asker)
    assert (status, answer) == (200, planned)
    assert rows(tmp_path, "things") == [("guest:a", "a"), ("guest:a", "b")]
    assert rows(tmp_path, "staged") == []


async def test_a_second_commit_gets_the_first_ones_answer(asker: Asker, tmp_path: Path) -> None:
    await stage(asker, "a")
    first = await commit(asker)
    await stage(asker, "b", name="r2")
    await commit(asker, "r2")
    assert [await commit(asker) for _ in range(3)] == [first] * 3
    assert len(rows(tmp_path, "things")) == 2


async def test_commits_at_once_apply_once(asker: Asker, part: Things) -> None:
    await stage(asker, "a")
    answers = await asyncio.gather(*(commit(asker) for _ in range(8)))
    assert answers == [answers[0]] * 8
    assert answers[0][1]["plan"]["things"]["added"] == 1
    assert len(part.modes) == 2, "one plan, one apply"


async def test_the_answer_of_a_commit_is_what_was_true_then(asker: Asker) -> None:
    """Between stage and commit another one put the same thing in place."""
    await stage(asker, "a")
    await stage(asker, "a", name="r2")
    await commit(asker, "r2")
    _, answer = await commit(asker)
    assert answer["plan"]["things"] == {"added": 0, "changed": 0, "unchanged": 1, "refused": 0}


@pytest.mark.parametrize("order", list(itertools.product(["stage", "commit", "abort"], repeat=4)), ids="-".join)
async def test_every_order_of_calls_ends_as_the_rules_say(asker: Asker, tmp_path: Path, order: tuple[str, ...]) -> None:
    """The whole protocol as a table: state before, call, status, state after."""
    rules = {
        (None, "stage"): (200, "staged"),
        (None, "commit"): (409, None),
        (None, "abort"): (200, "aborted"),
        ("staged", "stage"): (200, "staged"),
        ("staged", "commit"): (200, "committed"),
        ("staged", "abort"): (200, "aborted"),
        ("committed", "stage"): (409, "committed"),
        ("committed", "commit"): (200, "committed"),
        ("committed", "abort"): (409, "committed"),
        ("aborted", "stage"): (410, "aborted"),
        ("aborted", "commit"): (410, "aborted"),
        ("aborted", "abort"): (200, "aborted"),
    }
    calls = {"stage": lambda: stage(asker, "a"), "commit": lambda: commit(asker), "abort": lambda: abort(asker)}
    state: str | None = None
    for call in order:
        expected, state = rules[state, call]
        assert (await calls[call]())[0] == expected, (call, state)
        assert [row[3] for row in rows(tmp_path, "restores")] == ([state] if state else [])
        assert len(rows(tmp_path, "things")) == (state == "committed")
        assert len(rows(tmp_path, "staged")) == (state == "staged")


async def test_staging_again_begins_afresh(asker: Asker, tmp_path: Path) -> None:
    await stage(asker, "a", "b")
    await stage(asker, "c")
    await commit(asker)
    assert rows(tmp_path, "things") == [("guest:a", "c")]


CUT = {
    "nothing at all": b"",
    "no end": encode_item("/0", "thing", "a"),
    "an end too early": encode_item("/0", "thing", "a") + encode_end(2),
    "an end too late": encode_item("/0", "thing", "a") * 2 + encode_end(1),
    "half a line": upload("a", "b")[:-25],
    "half an end": upload("a", "b")[:-4],
}


@pytest.mark.parametrize("body", CUT.values(), ids=CUT)
async def test_a_cut_upload_is_not_taken_for_whole(asker: Asker, tmp_path: Path, body: bytes) -> None:
    status, answer = await stage(asker, body=body)
    assert (status, answer["code"]) == (400, "cut_short")
    assert (await commit(asker))[1]["code"] == "not_staged"
    assert rows(tmp_path, "things") == []
    assert (await abort(asker))[0] == 200
    assert rows(tmp_path, "staged") == []


async def test_a_cut_upload_after_a_whole_one_takes_the_whole_one_with_it(asker: Asker) -> None:
    await stage(asker, "a")
    await stage(asker, body=CUT["no end"])
    assert (await commit(asker))[0] == 409


async def test_another_owner_has_no_such_restore(asker: Asker, tmp_path: Path) -> None:
    await stage(asker, "a")
    for answer in (
        await commit(asker, owner="user:eve"),
        await abort(asker, owner="user:eve"),
        await stage(asker, "b", owner="user:eve"),
    ):
        assert (answer[0], answer[1]["code"]) == (404, "unknown_restore")
    assert (await commit(asker))[0] == 200
    assert (await commit(asker, owner="user:eve"))[0] == 404
    assert rows(tmp_path, "things") == [("guest:a", "a")]


async def test_an_abort_while_the_upload_runs_wins(asker: Asker, tmp_path: Path) -> None:
    first_half_sent = asyncio.Event()
    go_on = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        for number in range(uploads.BATCH_ITEMS):
            yield encode_item(f"/{number}", "thing", f"name {number}")
        first_half_sent.set()
        await go_on.wait()
        yield encode_item("/last", "thing", "last")
        yield encode_end(uploads.BATCH_ITEMS + 1)

    staging_call = asyncio.create_task(told(asker, "PUT", "/internal/restores/r1", data=slowly()))
    await first_half_sent.wait()
    await until(lambda: rows(tmp_path, "staged"))
    assert (await abort(asker))[0] == 200
    go_on.set()
    status, answer = await staging_call
    assert (status, answer["code"]) == (410, "restore_aborted")
    assert rows(tmp_path, "staged") == []
    assert (await commit(asker))[0] == 410


async def test_a_commit_before_the_upload_ends_is_refused(asker: Asker, tmp_path: Path) -> None:
    go_on = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield encode_item("/0", "thing", "a")
        await go_on.wait()
        yield encode_end(1)

    staging_call = asyncio.create_task(told(asker, "PUT", "/internal/restores/r1", data=slowly()))
    await until(lambda: rows(tmp_path, "restores"))
    assert (await commit(asker))[1]["code"] == "not_staged"
    go_on.set()
    assert (await staging_call)[0] == 200
    assert (await commit(asker))[0] == 200


async def test_long_lines_and_many_items_arrive_whole(asker: Asker, tmp_path: Path) -> None:
    names = [f"{number:04}" + "x" * 3000 for number in range(450)] + ["line\nbreaks\u2028and 🎬" + "y" * 3_000_000]
    body = upload(*names)

    async def in_pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 65_521):
            yield body[start : start + 65_521]

    status, answer = await told(asker, "PUT", "/internal/restores/r1", data=in_pieces())
    assert status == 200
    assert answer["restored"] == {"things": 451}
    await commit(asker)
    assert sorted(row[1] for row in rows(tmp_path, "things")) == sorted(names)


async def test_every_warning_is_counted_and_the_first_are_told(asker: Asker) -> None:
    _, answer = await stage(asker, *range(500))
    assert answer["warning_count"] == 500
    assert [each["pointer"] for each in answer["warnings"]] == [f"/things/{n}" for n in range(MOST_WARNINGS)]
    assert answer["plan"]["things"]["refused"] == 500


async def test_the_mode_of_the_staging_is_the_mode_of_the_commit(asker: Asker, part: Things) -> None:
    assert (await told(asker, "PUT", "/internal/restores/r1?mode=replace", data=upload("a")))[0] == 200
    await commit(asker)
    assert part.modes == [Mode.REPLACE, Mode.REPLACE]
    assert (await told(asker, "PUT", "/internal/restores/r2?mode=both", data=upload("a")))[0] == 400


async def undo(asker: Asker, name: str = "u1", of: str = "r1", **rest: Any) -> tuple[int, Any]:
    path = f"/internal/restores/{name}?mode=undo&undoes={of}"
    return await told(asker, "PUT", path, data=encode_end(0), **rest)


async def test_what_a_restore_added_goes_with_its_undo_and_only_once(asker: Asker, tmp_path: Path) -> None:
    await stage(asker, "old", name="r0")
    await commit(asker, "r0")
    await stage(asker, "old", "new")
    await commit(asker)
    expected = {"undone": {"things": 1}, "stayed": {"things": 0}}
    assert await undo(asker) == (200, expected)
    assert len(rows(tmp_path, "things")) == 2, "staging an undo changes nothing"
    assert [await commit(asker, "u1") for _ in range(2)] == [(200, expected)] * 2
    assert [name for _, name in rows(tmp_path, "things")] == ["old"]
    assert rows(tmp_path, "added") == []
    status, problem = await undo(asker, "u2")
    assert (status, problem["code"]) == (409, "undo_closed")


async def test_an_undo_that_was_aborted_can_be_tried_again(asker: Asker, tmp_path: Path) -> None:
    await stage(asker, "a")
    await commit(asker)
    await undo(asker)
    assert (await abort(asker, "u1"))[0] == 200
    assert len(rows(tmp_path, "things")) == 1
    assert (await undo(asker, "u2"))[0] == (await commit(asker, "u2"))[0] == 200
    assert rows(tmp_path, "things") == []


async def test_the_next_commit_of_the_same_owner_closes_the_undo_of_the_one_before(asker: Asker) -> None:
    await stage(asker, "a")
    await commit(asker)
    await stage(asker, "b", name="other", owner="guest:b")
    await commit(asker, "other", owner="guest:b")
    assert (await undo(asker))[0] == 200, "another owner's restore closes nothing"
    await stage(asker, "c", name="r2")
    await commit(asker, "r2")
    assert (await undo(asker, "u2"))[1]["code"] == "undo_closed"
    assert (await undo(asker, "u3", "r2"))[0] == 200


@pytest.mark.parametrize("of", ["never", "staged", "foreign"])
async def test_only_what_this_owner_has_in_place_can_be_undone(asker: Asker, of: str) -> None:
    await stage(asker, "a", name="staged")
    await stage(asker, "a", name="foreign", owner="guest:b")
    await commit(asker, "foreign", owner="guest:b")
    assert (await undo(asker, of=of))[1]["code"] == "undo_closed"


async def test_what_nobody_undid_in_time_is_dropped_by_the_next_staging_of_anyone(asker: Asker, tmp_path: Path) -> None:
    await stage(asker, "a")
    await commit(asker)
    with sqlite3.connect(tmp_path / "toy.db") as tx:
        tx.execute("UPDATE restores SET changed_at = ?", ((datetime.now(UTC) - timedelta(KEPT_DAYS, 1)).isoformat(),))
    await stage(asker, "b", name="r2", owner="guest:b")
    assert rows(tmp_path, "added") == []
    assert (await undo(asker))[1]["code"] == "undo_closed"


async def test_an_undo_and_nothing_else_says_what_it_undoes(asker: Asker) -> None:
    for query in ("mode=undo", "mode=merge&undoes=r1", "undoes=r1"):
        assert (await told(asker, "PUT", f"/internal/restores/u1?{query}", data=encode_end(0)))[0] == 400


async def test_the_parts_that_the_document_carries_are_known_at_the_commit(asker: Asker, part: Things) -> None:
    await stage(asker, body=encode_item("/0", "thing", "a") + encode_end(1, ["things", "others"]))
    await commit(asker)
    assert part.parts == [{"things", "others"}]


async def test_an_empty_upload_is_whole(asker: Asker) -> None:
    assert (await stage(asker))[0] == 200
    assert (await commit(asker))[0] == 200


def test_an_item_is_one_line_whatever_it_holds() -> None:
    line = encode_item("/a\n", "thing", {"a": "b\nc\r\u2028"})
    assert line.count(b"\n") == 1
    assert json.loads(line) == ["/a\n", "thing", {"a": "b\nc\r\u2028"}]
