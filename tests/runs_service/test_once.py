"""Every write of an owner's is done once under one Idempotency-Key, however often it is asked for."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from chassis.once import KEYS_HEADER, NAME_HEADER
from tests.runs_service.conftest import Start, all_runs, counted, dump, opened, told
from tests.runs_service.samples import run
from tests.runs_service.test_belongings import GUEST, OTHER, puts
from tests.support import Asker

ASKED = {NAME_HEADER: "one", KEYS_HEADER: "aa" * 32}
FAVORITE = "/api/runs/R00000001/variants/R00000001-v1/favorite"
Ask = Callable[..., Awaitable[Any]]
WRITES: dict[str, tuple[str, str, Any]] = {
    "POST without an id": ("POST", "/api/runs", {"intent": "x"}),
    "POST": ("POST", "/api/runs", run(5)),
    "PUT": ("PUT", "/api/runs/R00000005", run(5)),
    "PUT over": ("PUT", "/api/runs/R00000001", run(1, again=True)),
    "DELETE": ("DELETE", "/api/runs/R00000001", None),
    "DELETE all": ("DELETE", "/api/runs", None),
    "favorite": ("PUT", FAVORITE, {"favorite": True}),
}
RUNS = ("runs", "contents", "tombstones", "usage")


async def asked(asker: Asker, method: str, path: str, body: Any, **headers: str) -> Any:
    return await asker(method, path, json=body, headers=ASKED | headers)


async def shown(answer: Any) -> tuple[int, dict[str, str | None], bytes]:
    headers = {name: answer.headers.get(name) for name in ("ETag", "Location", "Content-Type")}
    return answer.status, headers, await answer.read()


@pytest.mark.parametrize("write", WRITES)
async def test_a_repeat_gets_the_first_answer_and_changes_nothing(start: Start, file: Path, write: str) -> None:
    asker, other = await start(), await start()
    await puts(asker, GUEST, run(1), run(2))
    first = await shown(await asked(asker, *WRITES[write]))
    assert first[0] in (200, 201)
    await puts(asker, GUEST, run(1, changed="since"), run(9))
    before = dump(file, *RUNS)
    assert await shown(await asked(other, *WRITES[write])) == first
    assert dump(file, *RUNS) == before


@pytest.mark.parametrize("write", WRITES)
async def test_under_another_name_or_by_another_owner_it_is_another_write(asker: Asker, write: str) -> None:
    method, path, body = WRITES[write]
    await puts(asker, GUEST, run(1), run(2))
    await puts(asker, OTHER, run(1), run(2), run(3))
    await asked(asker, method, path, body)
    await puts(asker, GUEST, run(1, changed="since"))
    await told(await asked(asker, method, path, body, **{NAME_HEADER: "two"}), 201 if write.endswith("an id") else 200)
    theirs = await asker(method, path, json=body, headers=ASKED, owner=OTHER)
    assert theirs.status in (200, 201)
    if write == "DELETE all":
        assert await told(theirs) == {"deleted_runs": 3}


async def test_runs_posted_without_an_id_at_the_same_time_under_one_name_are_one(start: Start) -> None:
    instances = [await start() for _ in range(3)]
    asking = (asked(instances[number % 3], "POST", "/api/runs", {"intent": "x"}) for number in range(9))
    answers = [await shown(answer) for answer in await asyncio.gather(*asking)]
    assert answers == [answers[0]] * 9
    [made] = await all_runs(instances[0])
    assert answers[0][1]["Location"] == f"/api/runs/{made['run_id']}"


@pytest.mark.parametrize("write", [name for name in WRITES if name[:6] != "DELETE"])
async def test_the_same_name_for_another_body_is_a_422(asker: Asker, file: Path, write: str) -> None:
    method, path, body = WRITES[write]
    await puts(asker, GUEST, run(1), run(2))
    await asked(asker, method, path, body)
    before = dump(file, *RUNS)
    other = {"favorite": False} if write == "favorite" else body | {"x": "other"}
    assert (await told(await asked(asker, method, path, other), 422))["code"] == "idempotency_key_reused"
    assert dump(file, *RUNS) == before


async def test_what_failed_may_be_asked_for_again(asker: Asker, file: Path) -> None:
    await told(await asked(asker, "DELETE", "/api/runs/R00000001", None), 404)
    assert counted(file, "requests") == 0
    await puts(asker, GUEST, run(1))
    assert await told(await asked(asker, "DELETE", "/api/runs/R00000001", None)) == {
        "run_id": "R00000001",
        "deleted": True,
    }


async def test_once_it_is_not_kept_any_more_it_is_done_anew(asker: Asker, file: Path) -> None:
    first = await told(await asked(asker, "POST", "/api/runs", {"intent": "x"}), 201)
    with opened(file) as tx:
        tx.execute("UPDATE requests SET kept_until = ?", (int(time.time()) - 1,))
    second = await told(await asked(asker, "POST", "/api/runs", {"intent": "x"}), 201)
    assert first["run_id"] != second["run_id"]
    assert counted(file, "requests") == 1
    assert len(await all_runs(asker)) == 2


async def test_a_precondition_that_held_the_first_time_is_not_asked_again(asker: Asker) -> None:
    for _ in range(2):
        answer = await asked(asker, "PUT", "/api/runs/R00000005", run(5), **{"If-None-Match": "*"})
        assert (await told(answer, 201))["created"]
    await told(await asker.put("/api/runs/R00000005", json=run(5), headers={"If-None-Match": "*"}), 412)
