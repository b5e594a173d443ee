"""The real runs service over a real file, asked as the gateway would ask it."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import AsyncExitStack, closing, contextmanager
from io import BytesIO
from pathlib import Path
from sqlite3 import Connection, Row, connect
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from chassis.peers import Scope, Signer
from chassis.uploads import encode_end, encode_item
from runs_service.app import create_app
from runs_service.settings import Settings
from tests.support import Asker

Start = Callable[..., Awaitable[Asker]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "animatize_web.runs.db"


@pytest.fixture
async def start(tmp_path: Path, gateway_url: str, signer: Signer) -> AsyncIterator[Start]:
    """Starts one more instance over the test's one file: `await start()`, `await start(owner_quota_bytes=1000)`."""
    async with AsyncExitStack() as stack:

        async def started(**limits: int) -> Asker:
            settings = Settings(gateway_url=(gateway_url,), web_db_path=tmp_path / "animatize_web.db", **limits)  # type: ignore[arg-type]
            client = await stack.enter_async_context(TestClient(TestServer(create_app(settings))))
            return Asker(client, signer, "runs")

        yield started


@pytest.fixture
async def asker(start: Start) -> Asker:
    return await start()


@contextmanager
def opened(file: Path) -> Iterator[Connection]:
    """The service's file, to look at what really is in it."""
    with closing(connect(file, isolation_level=None)) as tx:
        tx.row_factory = Row
        yield tx


def dump(file: Path, *tables: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of these tables, to compare with a later dump; without its place, which tells when it was written."""
    with opened(file) as tx:
        return {table: sorted(_placeless(tx.execute(f"SELECT * FROM {table}")), key=repr) for table in tables}


def _placeless(rows: Iterable[Row]) -> Iterator[tuple[Any, ...]]:
    return (tuple(row[name] for name in row.keys() if name != "place") for row in rows)  # noqa: SIM118 - a row is no dict


def counted(file: Path, table: str) -> int:
    with opened(file) as tx:
        return int(tx.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


async def told(answer: Any, status: int = 200) -> dict[str, Any]:
    """The JSON of an answer that has this status."""
    assert answer.status == status, f"{answer.status}: {(await answer.text())[:500]}"
    found: dict[str, Any] = await answer.json(content_type=None)
    return found


async def put(asker: Asker, run: dict[str, Any], **rest: Any) -> Any:
    headers = {"Content-Type": "application/json", **rest.pop("headers", {})}
    data = BytesIO(json.dumps(run).encode())  # aiohttp warns of large bodies that are plain bytes
    return await asker.put(f"/api/runs/{run['run_id']}", data=data, headers=headers, **rest)


async def all_runs(asker: Asker, *, limit: int = 100, **query: Any) -> list[dict[str, Any]]:
    """Every run, oldest first, by way of the cursors."""
    owner = query.pop("owner", "guest:a")
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        params = {"limit": str(limit), "cursor": cursor, **query}
        page = await told(await asker.get("/api/runs", params=params, owner=owner))
        found = page["runs"] + found
        if (cursor := page["next_cursor"]) is None:
            return found


async def favorites(asker: Asker, owner: str = "guest:a") -> list[str]:
    """The ids of the runs that the filter shows as favourites, oldest first; all others it shows as none."""

    async def found(favorite: str) -> list[str]:
        return [each["run_id"] for each in await all_runs(asker, owner=owner, favorite=favorite)]

    every, shown, rest = [await found(favorite) for favorite in ("", "true", "false")]
    assert rest == [run_id for run_id in every if run_id not in shown]
    return shown


def check_favorites(file: Path) -> None:
    """Every row says of its run what its JSON says, and nothing is remembered of contents that are gone."""
    with opened(file) as tx:
        contents = tx.execute("SELECT content_id, payload FROM contents").fetchall()
        expected = {row["content_id"] for row in contents if _is_favorite(json.loads(row["payload"]))}
        assert {row[0] for row in tx.execute("SELECT content_id FROM favorite_contents")} == expected
        for row in tx.execute("SELECT content_id, favorite FROM runs"):
            assert row["favorite"] == (row["content_id"] in expected)


def _is_favorite(run: dict[str, Any]) -> bool:
    return any(variant.get("favorite") is True for variant in run.get("variants", []))


def upload(runs: list[Any], kind: str = "run", parts: Iterable[str] = ("runs",)) -> bytes:
    lines = b"".join(encode_item(f"/runs/{number}", kind, run) for number, run in enumerate(runs))
    return lines + encode_end(len(runs), parts)


async def stage(
    asker: Asker,
    runs: list[Any],
    restore_id: str = "one",
    *,
    owner: str = "guest:a",
    status: int = 200,
    parts: Iterable[str] = ("runs",),
    **query: str,
) -> Any:
    path, data = f"/internal/restores/{restore_id}", BytesIO(upload(runs, parts=parts))
    return await told(await asker.put(path, data=data, owner=owner, scope=Scope.SYSTEM, params=query), status)


async def commit(asker: Asker, restore_id: str = "one", owner: str = "guest:a", status: int = 200) -> Any:
    answer = await asker.post(f"/internal/restores/{restore_id}/commit", owner=owner, scope=Scope.SYSTEM)
    return await told(answer, status)


async def restore(asker: Asker, runs: list[Any], restore_id: str = "one", **how: Any) -> Any:
    """Stage and commit; the plan, the same at both."""
    staged = await stage(asker, runs, restore_id, **how)
    committed = await commit(asker, restore_id, owner=how.get("owner", "guest:a"))
    assert committed == staged
    return committed


async def undo(asker: Asker, restore_id: str = "one", undo_id: str = "undo", owner: str = "guest:a") -> Any:
    """Take a restore back; how many runs are as before and how many stayed, the same when staged and when done."""
    staged = await stage(asker, [], undo_id, owner=owner, mode="undo", undoes=restore_id, parts=())
    committed = await commit(asker, undo_id, owner=owner)
    assert committed == staged
    return committed["undone"]["runs"], committed["stayed"]["runs"]


async def abort(asker: Asker, restore_id: str = "one", owner: str = "guest:a") -> Any:
    return await told(await asker.post(f"/internal/restores/{restore_id}/abort", owner=owner, scope=Scope.SYSTEM))
