"""Which guests are given up, and that none of those can come back; which are not, whatever happens at once."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from auth_service.sweeping import FORGOTTEN_GUESTS, OVER_SESSIONS_OF_USERS
from chassis.schema import steps_of
from tests.auth_service.conftest import Auth, Clock, Start
from tests.auth_service.test_lifetimes import column
from tests.contract.shape import problem
from tests.issuer import Issuer

LONG_AGO = "2026-01-01T00:00:00.000000+00:00"


async def test_a_guest_that_never_wrote_is_given_up_a_day_after_it_was_last_seen(auth: Auth, clock: Clock) -> None:
    token, session = await auth.open_guest()
    clock.advance(hours=20)
    await auth.resolve(token)
    await auth.settled()
    clock.advance(hours=23, minutes=59)
    assert await auth.claim() == []
    assert (await auth.resolve(token))[0] == 200
    await auth.settled()
    clock.advance(days=1)
    assert await auth.claim() == [session["owner"]]


async def test_a_guest_that_wrote_is_kept_until_30_days_after_its_session_ended(auth: Auth, clock: Clock) -> None:
    token, session = await auth.open_guest()
    assert (await auth.announce_write(token))[0] == 200
    for _ in range(20):
        clock.advance(days=29)
        assert await auth.claim() == []
        assert (await auth.resolve(token))[0] == 200
        await auth.settled()
    await auth.log_out(token)
    clock.advance(days=29, hours=23)
    assert session["owner"] not in await auth.claim()
    clock.advance(hours=1)
    assert session["owner"] in await auth.claim()


async def test_a_guest_whose_session_expired_is_kept_for_30_days_more(auth: Auth, clock: Clock) -> None:
    _, session = await auth.open_guest(wrote=True)
    clock.advance(days=59, hours=23)
    assert await auth.claim() == []
    clock.advance(hours=1)
    assert await auth.claim() == [session["owner"]]


async def test_a_guest_that_is_given_up_cannot_come_back(auth: Auth, clock: Clock) -> None:
    token, session = await auth.open_guest()
    clock.advance(days=1)
    assert await auth.claim() == [session["owner"]]
    assert (await auth.resolve(token))[0] == 404
    assert (await auth.announce_write(token))[0] == 404
    assert (await auth.as_session(session, "GET", "/api/auth/me"))[0] == 401
    assert (await auth.as_session(session, "DELETE", "/api/auth/sessions"))[0] == 401


async def test_who_was_given_up_is_named_again_until_it_is_erased(start: Start, clock: Clock) -> None:
    one, other = await start(), await start()
    unwritten = (await one.open_guest())[1]["owner"]
    expired = (await one.open_guest(wrote=True))[1]["owner"]
    clock.advance(days=60)
    for _ in range(3):
        assert set(await one.claim()) == set(await other.claim()) == {unwritten, expired}
        clock.advance(hours=1)
    await one.erase(unwritten)
    assert await other.claim() == [expired]
    await one.erase(expired)
    assert await other.claim() == []


async def test_no_more_are_given_up_than_are_asked_for(auth: Auth, clock: Clock) -> None:
    owners = {(await auth.open_guest())[1]["owner"] for _ in range(7)}
    clock.advance(days=1)
    claimed = await auth.claim(3)
    assert len(set(claimed)) == 3
    for owner in claimed:
        await auth.erase(owner)
    rest = await auth.claim(1000)
    assert {*claimed, *rest} == owners
    assert len(rest) == 4


@pytest.mark.parametrize("limit", [0, -1, 1001, 1.5, "7", True, None])
async def test_a_limit_that_is_none_is_refused(auth: Auth, limit: Any) -> None:
    await problem(await auth.ask("/internal/guests/claim", {"limit": limit}), 400)


async def test_a_guest_that_signed_in_is_kept_for_30_days(google: Auth, issuer: Issuer, clock: Clock) -> None:
    """What it left behind, a key that stayed its own perhaps, can still be asked after."""
    guest, session = await google.open_guest(wrote=True)
    token, _ = await google.sign_in((await google.admit(issuer.credential()))["owner"], guest)
    clock.advance(days=29)
    assert await google.claim() == []
    assert (await google.resolve(token))[0] == 200
    clock.advance(days=1)
    assert await google.claim() == [session["owner"]]
    assert (await google.resolve(token))[0] == 200


async def test_users_are_never_given_up_and_lose_only_sessions_that_ended_30_days_ago(
    google: Auth, issuer: Issuer, clock: Clock, database: Path
) -> None:
    admitted = await google.admit(issuer.credential())
    ended, _ = await google.sign_in(admitted["owner"])
    await google.log_out(ended)
    await google.sign_in(admitted["owner"])

    def left() -> int:
        with closing(sqlite3.connect(database)) as file:
            [(number,)] = file.execute("SELECT count(*) FROM sessions WHERE owner = ?", (admitted["owner"],))
            return int(number)

    for days, expected in ((29, 2), (1, 1), (29, 1), (1, 0), (3000, 0)):
        clock.advance(days=days)
        assert admitted["owner"] not in await google.claim()
        assert left() == expected, clock.now
    assert await google.admit(issuer.credential()) == admitted


async def test_a_write_is_noted_once_and_for_good(auth: Auth, start: Start, clock: Clock, database: Path) -> None:
    token, session = await auth.open_guest()
    assert session["wrote"] is False
    answers = await asyncio.gather(*(auth.announce_write(token) for _ in range(10)))
    assert answers == [(200, session | {"wrote": True})] * 10
    assert await auth.resolve(token) == (200, session | {"wrote": True})
    assert column(database, "wrote") == 1
    assert await (await start()).resolve(token) == (200, session | {"wrote": True})


async def test_a_write_under_an_ended_session_is_noted_nowhere(auth: Auth, clock: Clock) -> None:
    ended, _ = await auth.open_guest()
    await auth.log_out(ended)
    expired, _ = await auth.open_guest()
    clock.advance(hours=720)
    for token in (ended, expired, "never given out", ""):
        status, found = await auth.announce_write(token)
        assert (status, found["code"]) == (404, "unknown_session")


async def test_a_guest_may_be_made_for_its_first_write(auth: Auth, clock: Clock) -> None:
    token, session = await auth.open_guest(wrote=True)
    assert session["wrote"] is True
    clock.advance(days=5)
    assert await auth.claim() == []
    assert (await auth.resolve(token))[0] == 200


@pytest.mark.parametrize("path", ["/internal/sessions", "/internal/sessions/logout"])
async def test_a_gateway_that_announces_no_writes_has_all_its_new_guests_kept(
    auth: Auth, clock: Clock, path: str
) -> None:
    """That of the release before, beside this one, says nothing of them."""
    opened = await (await auth.ask(path, {"user_agent": None})).json()
    assert opened["session"]["wrote"] is True
    clock.advance(days=5)
    assert await auth.claim() == []


async def test_a_guest_seen_through_a_gateway_that_announces_no_writes_is_kept(
    auth: Auth, clock: Clock, database: Path
) -> None:
    token, session = await auth.open_guest()
    answer = await auth.ask("/internal/sessions/resolve", {"token": token})
    assert await answer.json() == session | {"wrote": True}
    await auth.settled()
    assert column(database, "wrote") == 1
    clock.advance(days=5)
    assert await auth.claim() == []


async def test_what_the_release_before_wrote_and_writes_is_kept(start: Start, clock: Clock, database: Path) -> None:
    insert = (
        "INSERT INTO sessions (session_id, token_hash, owner, created_at, last_seen_at, expires_at)"
        " VALUES (?, ?, ?, '2026-11-01', '2026-11-01', ?)"
    )
    (_, first), *_ = steps_of("auth_service")
    expires_at = "2026-12-01T00:00:00.000000+00:00"
    with closing(sqlite3.connect(database)) as file:
        file.executescript(f"{first}\nPRAGMA user_version = 1;")
        file.execute(insert, ("before", b"1", "guest:before", expires_at))
        file.commit()
        auth = await start()
        file.execute(insert, ("beside", b"2", "guest:beside", expires_at))
        file.commit()
    assert await auth.claim() == []
    clock.advance(days=38)
    assert set(await auth.claim()) == {"guest:before", "guest:beside"}


async def test_a_guest_either_writes_or_is_given_up(start: Start, clock: Clock) -> None:
    """Whichever comes first, at whatever process: nothing is ever written by somebody who is being erased."""
    one, other = await start(), await start()
    kept = 0
    for turn in range(12):
        guests = [await one.open_guest() for _ in range(4)]
        clock.advance(days=1)
        announced = [other.announce_write(token) for token, _ in guests]
        answers = await asyncio.gather(*announced[: turn % 5], one.claim(), *announced[turn % 5 :])
        claimed = next(answer for answer in answers if isinstance(answer, list))
        noted = [answer[0] == 200 for answer in answers if not isinstance(answer, list)]
        assert noted == [session["owner"] not in claimed for _, session in guests]
        assert [(await one.resolve(token))[0] == 200 for token, _ in guests] == noted
        kept += sum(noted)
        for owner in claimed:
            await one.erase(owner)
    assert 0 < kept < 48


def test_what_is_swept_is_found_without_looking_at_everybody() -> None:
    with closing(sqlite3.connect(":memory:")) as file:
        file.executescript("\n".join(script for _, script in steps_of("auth_service")))
        values = {"over_before": LONG_AGO, "seen_before": LONG_AGO, "limit": 5}
        for sql, indexes in (
            (FORGOTTEN_GUESTS, ("guests_over (over_at<?)", "guests_without_writes (last_seen_at<?)")),
            (OVER_SESSIONS_OF_USERS, ("users_over (over_at<?)",)),
        ):
            plan = [row[3] for row in file.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
            assert [step for step in plan if step.startswith("SCAN") and step != "SCAN found"] == []
            for index in indexes:
                assert any(index in step for step in plan), plan


async def test_giving_up_a_few_of_very_many_guests_takes_no_longer(auth: Auth, clock: Clock, database: Path) -> None:
    with closing(sqlite3.connect(database)) as file:
        file.execute(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 50000)"
            " INSERT INTO sessions (session_id, token_hash, owner, created_at, last_seen_at, expires_at)"
            " SELECT 's' || i, randomblob(32), 'guest:' || i, ?1, ?1, ?2 FROM n",
            ("2026-11-23T10:00:00.000000+00:00", "2027-11-23T10:00:00.000000+00:00"),
        )
        file.commit()
        owners = [(await auth.open_guest())[1]["owner"] for _ in range(3)]
        clock.advance(days=1)
        steps = 0

        def count() -> None:
            nonlocal steps
            steps += 1

        file.set_progress_handler(count, 100)
        values = {"over_before": "2026-10-25", "seen_before": "2026-11-24T10:00:00.000000+00:00", "limit": 100}
        assert len(file.execute(FORGOTTEN_GUESTS, values).fetchall()) == 3
        assert steps < 20
    assert set(await auth.claim()) == set(owners)
