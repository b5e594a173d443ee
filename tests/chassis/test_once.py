"""A write under a name is done once, and whoever asks again gets the answer of the first."""

import asyncio
import itertools
import sqlite3
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse, web
from pytest_aiohttp import AiohttpClient
from yarl import URL

from chassis import once
from chassis.database import Database, opened
from chassis.messages import json_response
from chassis.once import KEPT_FOR_GATEWAY, KEYS_HEADER, NAME_HEADER, OF_GATEWAY, headers_for, write_once
from chassis.peers import CALLER, Caller, Scope
from chassis.problems import Problem
from chassis.serving import problems_answered
from tests.chassis import bare_service

KEY, OLDER_KEY = b"a key", b"an older key"
DAY = 24 * 3600  # seconds
Write = Callable[..., Any]


class Counter:
    """Counts what was really done, a row each; `fails` makes the next ones fail."""

    def __init__(self, database: Database) -> None:
        self.database, self.fails = database, False

    async def add(self, request: web.Request) -> web.Response:
        await request.read()  # as every handler that takes a body
        request[CALLER] = Caller(request.headers.get("Owner", "guest:a"), Scope.OWNER)

        def work(tx: sqlite3.Connection) -> int:
            tx.execute("INSERT INTO touched (owner) VALUES ('guest:counted')")
            if self.fails:
                raise Problem(409, "fails", "Not now.")
            return int(tx.execute("SELECT version FROM changes WHERE owner = 'guest:counted'").fetchone()[0])

        return await write_once(
            request, self.database, work, lambda number: json_response({"number": number}, status=201, etag=str(number))
        )

    async def rows(self) -> list[Any]:
        return await self.database.read(lambda tx: tx.execute("SELECT * FROM requests").fetchall())


@pytest.fixture
async def counter(tmp_path: Path) -> AsyncIterator[Counter]:
    async with opened(tmp_path / "file.db", bare_service.__name__) as database:
        yield Counter(database)


@pytest.fixture
async def add(counter: Counter, aiohttp_client: AiohttpClient) -> Write:
    app = web.Application(middlewares=[problems_answered])
    app.router.add_route("*", "/{path:.*}", counter.add)
    client = await aiohttp_client(app)

    async def add(
        name: str | None = "mine",
        *,
        body: bytes = b"{}",
        path: str = "/a",
        method: str = "POST",
        keys: tuple[bytes, ...] = (KEY,),
        **headers: str,
    ) -> ClientResponse:
        named = headers_for(name, method, URL(path).raw_path, keys) if name is not None else {}
        return await client.request(method, path, data=body, headers=named | headers)

    return add


async def number(response: ClientResponse) -> int:
    answer = await response.json()
    assert response.status == 201, answer
    assert response.headers["ETag"] == f'"{answer["number"]}"'
    return int(answer["number"])


async def test_what_is_asked_for_twice_under_one_name_is_done_once_and_answered_alike(add: Write) -> None:
    first, second = await add(), await add()
    assert [await number(first), await number(second)] == [1, 1]
    assert first.headers["Content-Type"] == second.headers["Content-Type"]
    assert await number(await add("another")) == 2


async def test_of_many_that_ask_at_once_one_is_done(add: Write) -> None:
    answers = await asyncio.gather(*(add() for _ in range(20)))
    assert {await number(each) for each in answers} == {1}


def test_query_and_body_are_not_taken_for_one_another() -> None:
    assert once.fingerprints("00", "ab", b"c") != once.fingerprints("00", "a", b"bc")


@pytest.mark.parametrize("other", [{"body": b'{"a":1}'}, {"path": "/a?b=1"}])
async def test_a_name_is_for_one_request(add: Write, counter: Counter, other: dict[str, Any]) -> None:
    await number(await add())
    refused = await add(**other)
    assert (refused.status, (await refused.json())["code"]) == (422, "idempotency_key_reused")
    assert await number(await add()) == 1


@pytest.mark.parametrize("other", [{"path": "/b"}, {"method": "PUT"}, {"Owner": "guest:b"}, {"name": None}])
async def test_each_owner_method_and_path_has_names_of_its_own(add: Write, other: dict[str, Any]) -> None:
    assert await number(await add()) == 1
    assert await number(await add(**other)) == 2


@pytest.mark.parametrize("lacking", [NAME_HEADER, KEYS_HEADER])
async def test_a_name_without_its_keys_and_keys_without_a_name_are_refused_and_nothing_is_done(
    add: Write, lacking: str
) -> None:
    half = {header: text for header, text in headers_for("mine", "POST", "/a", [KEY]).items() if header != lacking}
    refused = await add(None, **half)
    assert (refused.status, (await refused.json())["code"]) == (400, "half_named")
    assert await number(await add()) == 1


async def test_what_failed_is_not_kept(add: Write, counter: Counter) -> None:
    counter.fails = True
    assert (await add()).status == 409
    counter.fails = False
    assert await number(await add()) == 1


async def test_a_request_is_known_again_under_the_key_of_before(add: Write) -> None:
    assert await number(await add(keys=(OLDER_KEY,))) == 1
    assert await number(await add(keys=(KEY, OLDER_KEY))) == 1
    assert (await add(keys=(KEY,))).status == 422


def test_the_keys_of_a_request_are_good_for_its_address_and_name_alone() -> None:
    requests = list(itertools.product(("one", "two"), ("PUT", "POST"), ("/a", "/b"), ([KEY], [OLDER_KEY])))
    assert len({headers_for(*each)[KEYS_HEADER] for each in requests}) == len(requests)


async def test_names_are_kept_for_a_day_and_the_gateways_for_as_long_as_it_may_try(
    add: Write, counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chassis.once.PURGED_EVERY", 1)
    clock = 1_000_000.0
    monkeypatch.setattr("chassis.once.time.time", lambda: clock)
    of_gateway = f"{OF_GATEWAY}0001"
    assert [await number(await add("mine")), await number(await add(of_gateway))] == [1, 2]
    clock += KEPT_FOR_GATEWAY
    assert await number(await add(of_gateway)) == 2
    clock += 1
    assert await number(await add(of_gateway)) == 3
    clock += DAY - KEPT_FOR_GATEWAY - 1
    assert await number(await add("mine")) == 1
    clock += 1
    assert await number(await add("mine")) == 4
    assert [row["name"] for row in await counter.rows()] == ["mine"], "what is over is forgotten"


async def test_what_is_kept_of_owners_who_do_not_come_back_is_forgotten_too(add: Write, counter: Counter) -> None:
    await number(await add())
    [row] = await counter.rows()
    for now, left in ((row["kept_until"], 1), (row["kept_until"] + 1, 0)):
        assert not await counter.database.write(partial(once.forget_old, now))
        assert len(await counter.rows()) == left


@pytest.mark.parametrize("statement", [once.PURGE, once.DROP_FIRST, once.HAND_OVER])
async def test_what_goes_is_found_by_an_index_and_needs_no_sorting(counter: Counter, statement: str) -> None:
    values = (1,) * statement.count("?")
    explained = await counter.database.read(lambda tx: tx.execute("EXPLAIN QUERY PLAN " + statement, values).fetchall())
    plan = [row["detail"] for row in explained]
    assert not any("SCAN" in step or "TEMP B-TREE" in step for step in plan), plan


async def test_what_is_kept_of_one_owner_is_bounded_and_its_latest_is_kept(
    add: Write, counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chassis.once.MOST_KEPT", 5)
    for name in "abcdefgh":
        await number(await add(name))
        await number(await add(name, Owner="guest:b"))
    assert [row["name"] for row in await counter.rows() if row["owner"] == "guest:a"] == list("defgh")
    monkeypatch.setattr("chassis.once.MOST_BYTES", 1)
    last = await number(await add("i"))
    assert [row["name"] for row in await counter.rows() if row["owner"] == "guest:a"] == ["i"]
    assert await number(await add("i")) == last
    await counter.database.write(lambda tx: once.forget(tx, "guest:a"))
    kept = await counter.database.read(lambda tx: tx.execute("SELECT * FROM requests_kept").fetchall())
    assert [tuple(row)[:2] for row in kept] == [("guest:b", 5)]


async def test_a_full_store_still_knows_what_the_gateway_sends_again(
    add: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though it is not to be kept for nearly as long as all else."""
    monkeypatch.setattr("chassis.once.MOST_KEPT", 5)
    for name in "abcde":
        await number(await add(name))
    of_gateway = f"{OF_GATEWAY}0001"
    assert await number(await add(of_gateway)) == await number(await add(of_gateway)) == 6


async def test_however_much_is_over_is_forgotten_piece_by_piece(
    add: Write, counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abcde":
        await number(await add(name))
    monkeypatch.setattr("chassis.once.PURGED_AT_ONCE", 5)
    monkeypatch.setattr("chassis.once.PURGE", once.PURGE.replace("LIMIT 100", "LIMIT 5"))
    later = max(row["kept_until"] for row in await counter.rows()) + 1
    assert [await counter.database.write(partial(once.forget_old, later)) for _ in range(2)] == [True, False]
    assert await counter.rows() == []


async def test_what_is_kept_tells_nothing_of_the_body(add: Write, counter: Counter) -> None:
    await number(await add(body=b"a secret of somebody's"))
    [row] = await counter.rows()
    assert b"secret" not in b"".join(str(value).encode() for value in row)
    assert headers_for("mine", "POST", "/a", [KEY])[KEYS_HEADER] not in [str(value) for value in row]


async def test_what_a_guest_asked_for_is_known_again_when_the_user_asks(add: Write, counter: Counter) -> None:
    await number(await add())
    await counter.database.write(lambda tx: once.hand_over(tx, "guest:a", "user:a"))
    assert await number(await add(Owner="user:a")) == 1
    await counter.database.write(lambda tx: once.forget(tx, "user:a"))
    assert await counter.rows() == []


async def test_what_the_user_asked_for_under_the_same_name_stays(add: Write, counter: Counter) -> None:
    of_user, of_guest = await number(await add(Owner="user:a")), await number(await add())
    await counter.database.write(lambda tx: once.hand_over(tx, "guest:a", "user:a"))
    assert await number(await add(Owner="user:a")) == of_user != of_guest
    assert len(await counter.rows()) == 1
