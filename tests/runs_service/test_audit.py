"""A worker writes runs of an owner, at an address of its own, and each of its writes has a line in the audit."""

from pathlib import Path
from typing import Any

import pytest

from chassis.peers import EVERY_OWNER, OWNER_HEADER, Scope
from tests.runs_service.conftest import all_runs, counted, opened, told
from tests.support import Asker


async def work(asker: Asker, run_id: str, status: int = 201, **rest: Any) -> dict[str, Any]:
    given = {"scope": Scope.WORKER, "session": "worker-1", **rest}
    return await told(await asker.put(f"/internal/runs/{run_id}", json={"run_id": run_id}, **given), status)


def lines(file: Path) -> list[tuple[Any, ...]]:
    with opened(file) as tx:
        rows = tx.execute("SELECT owner, worker, run_id, created FROM worker_writes ORDER BY id")
        return [tuple(row) for row in rows]


async def test_a_run_that_a_worker_writes_is_its_owners_and_has_a_line(asker: Asker, file: Path) -> None:
    assert await work(asker, "R1", owner="user:1") == {"run_id": "R1", "created": True, "updated": True}
    await work(asker, "R1", 200, owner="user:1")
    assert [run["run_id"] for run in await all_runs(asker, owner="user:1")] == ["R1"]
    assert lines(file) == [("user:1", "worker-1", "R1", 1), ("user:1", "worker-1", "R1", 0)]


async def test_a_run_without_an_id_is_given_one(asker: Asker, file: Path) -> None:
    made = await told(await asker.post("/internal/runs", json={}, scope=Scope.WORKER), 201)
    assert [line[2] for line in lines(file)] == [made["run_id"]]


async def test_what_an_owner_writes_itself_has_no_line(asker: Asker, file: Path) -> None:
    await told(await asker.put("/api/runs/R1", json={"run_id": "R1"}), 201)
    assert counted(file, "worker_writes") == 0


async def test_what_is_refused_has_no_line_and_changes_nothing(asker: Asker, file: Path) -> None:
    await work(asker, "R1", 412, headers={"If-Match": '"another"'})
    assert (lines(file), await all_runs(asker)) == ([], [])


async def test_a_worker_for_all_owners_says_in_a_header_for_whom(asker: Asker, file: Path) -> None:
    for owner in ("user:1", "guest:2"):
        await work(asker, "R1", owner=EVERY_OWNER, headers={OWNER_HEADER: owner})
    assert [line[0] for line in lines(file)] == ["user:1", "guest:2"]
    assert await all_runs(asker, owner="user:1") == await all_runs(asker, owner="guest:2") == [{"run_id": "R1"}]


@pytest.mark.parametrize("named", [None, "", "*", "user:", "somebody", "user:1,user:2", "user:1 ", "user:a b"])
async def test_one_for_all_owners_that_names_none_is_refused(asker: Asker, file: Path, named: str | None) -> None:
    headers = {OWNER_HEADER: named} if named is not None else {}
    answer = await asker.put(
        "/internal/runs/R1", json={"run_id": "R1"}, owner=EVERY_OWNER, scope=Scope.WORKER, headers=headers
    )
    if named == "user:1 ":  # blanks around a header's value are no part of it (RFC 9110, 5.5)
        assert answer.status == 201
    else:
        assert (await told(answer, 400))["code"] == "no_owner"
        assert counted(file, "runs") == 0


async def test_a_token_for_one_owner_writes_for_nobody_else_whatever_the_request_says(asker: Asker, file: Path) -> None:
    answer = await work(asker, "R1", 401, owner="user:1", headers={OWNER_HEADER: "user:2"})
    assert answer["code"] == "wrong_owner"
    await told(
        await asker.put(
            "/internal/runs/R1?owner=user:2",
            json={"run_id": "R1", "owner": "user:2"},
            owner="user:1",
            scope=Scope.WORKER,
        ),
        201,
    )
    assert [line[0] for line in lines(file)] == ["user:1"]


async def test_the_header_is_nothing_to_an_owner(asker: Asker) -> None:
    await told(await asker.put("/api/runs/R1", json={"run_id": "R1"}, headers={OWNER_HEADER: "user:2"}), 201)
    assert await all_runs(asker, owner="user:2") == []


async def test_no_token_of_another_scope_is_for_all_owners(asker: Asker) -> None:
    for scope, path in ((Scope.OWNER, "/api/runs"), (Scope.SYSTEM, "/internal/backup")):
        answer = await asker.get(path, owner=EVERY_OWNER, scope=scope, headers={OWNER_HEADER: "user:1"})
        assert (await told(answer, 401))["code"] == "unsigned"


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_a_worker_reads_and_deletes_nothing(asker: Asker, method: str) -> None:
    for path in ("/internal/runs/R1", "/internal/runs", "/api/runs", "/api/runs/R1"):
        answer = await asker(method, path, scope=Scope.WORKER)
        assert answer.status in (401, 405)


async def test_the_lines_of_a_guest_that_signs_in_are_the_users(asker: Asker, file: Path) -> None:
    await work(asker, "R1", owner="guest:a")
    await told(await asker.post("/internal/adoptions/one", owner="user:1", guest="guest:a", scope=Scope.SYSTEM))
    assert [line[0] for line in lines(file)] == ["user:1"]
