"""How long sessions live: use prolongs them, 90 days are the end of one that is signed in."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth_service.lifetimes import SIGNED_IN_AT_MOST, Lifetime
from tests.auth_service.conftest import Auth, Clock, Start
from tests.issuer import Issuer


def text(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds")


def column(database: Path, name: str) -> Any:
    with closing(sqlite3.connect(database)) as file:
        [(value,)] = file.execute(f"SELECT {name} FROM sessions").fetchall()
        return value


async def test_use_prolongs_a_session_once_a_tenth_of_its_life_has_gone(
    auth: Auth, clock: Clock, database: Path
) -> None:
    token, session = await auth.open_guest()
    clock.advance(hours=71, minutes=59)
    assert await auth.resolve(token) == (200, session)
    clock.advance(minutes=1)
    _, prolonged = await auth.resolve(token)
    assert prolonged["renewed"] is True
    assert prolonged["expires_at"] == text(clock.now + timedelta(hours=720))
    await auth.settled()
    assert column(database, "expires_at") == prolonged["expires_at"]
    _, again = await auth.resolve(token)
    assert (again["renewed"], again["expires_at"]) == (False, prolonged["expires_at"])
    _, shown = await auth.as_session(session, "GET", "/api/session/bootstrap")
    assert shown["expires_at"] == prolonged["expires_at"]


async def test_a_guest_who_keeps_coming_is_never_shut_out(start: Start, clock: Clock) -> None:
    auth = await start(session_ttl_hours=24)
    token, _ = await auth.open_guest()
    for _ in range(200):
        clock.advance(hours=23)
        assert (await auth.resolve(token))[0] == 200
        await auth.settled()
    clock.advance(hours=24)
    assert (await auth.resolve(token))[0] == 404


async def test_a_signed_in_session_ends_after_90_days_however_it_is_used(
    google: Auth, issuer: Issuer, clock: Clock
) -> None:
    token, session = await google.sign_in((await google.admit(issuer.credential()))["owner"])
    end = datetime.fromisoformat(session["created_at"]) + SIGNED_IN_AT_MOST
    renewals = 0
    while clock.now < end:
        status, found = await google.resolve(token)
        assert status == 200
        assert found["expires_at"] <= text(end)
        await google.settled()
        renewals += found["renewed"]
        clock.advance(hours=7)
    assert 15 < renewals < 32
    assert (await google.resolve(token))[0] == 404


async def test_the_last_prolongation_reaches_just_the_absolute_end(google: Auth, issuer: Issuer, clock: Clock) -> None:
    token, session = await google.sign_in((await google.admit(issuer.credential()))["owner"])
    end = text(datetime.fromisoformat(session["created_at"]) + SIGNED_IN_AT_MOST)
    for days in (29, 29, 29):
        clock.advance(days=days)
        _, found = await google.resolve(token)
        await google.settled()
    assert (found["expires_at"], found["renewed"]) == (end, True)
    clock.advance(hours=71)
    assert (await google.resolve(token))[1]["renewed"] is False
    clock.advance(hours=1)
    assert (await google.resolve(token))[0] == 404


async def test_a_longer_life_of_sessions_does_not_lengthen_the_absolute_one(
    start: Start, issuer: Issuer, clock: Clock
) -> None:
    auth = await start(session_ttl_hours=24 * 365, **issuer.environment)
    _, signed_in = await auth.sign_in((await auth.admit(issuer.credential()))["owner"])
    _, guest = await auth.open_guest()
    assert signed_in["expires_at"] == text(clock.now + timedelta(days=90))
    assert guest["expires_at"] == text(clock.now + timedelta(days=365))


async def test_of_uses_that_come_while_one_is_written_the_last_is_written_too(
    auth: Auth, clock: Clock, database: Path
) -> None:
    token, _ = await auth.open_guest()
    with closing(sqlite3.connect(database, isolation_level=None)) as file:
        file.execute("BEGIN IMMEDIATE")
        for days in (5, 5, 5):
            clock.advance(days=days)
            _, told = await auth.resolve(token, f"after {clock.now.day}")
        file.execute("ROLLBACK")
    await auth.settled()
    assert told["expires_at"] == column(database, "expires_at") == text(clock.now + timedelta(hours=720))
    assert (column(database, "last_seen_at"), column(database, "user_agent")) == (text(clock.now), "after 8")


async def test_no_use_is_lost_between_two_writes(auth: Auth, clock: Clock, database: Path) -> None:
    token, _ = await auth.open_guest()
    for n in range(150):
        clock.advance(minutes=1)
        await auth.resolve(token)
        for _ in range(n % 5):
            await asyncio.sleep(0)
        clock.advance(minutes=1)
        await auth.resolve(token)
        await auth.settled()
        assert column(database, "last_seen_at") == text(clock.now)


async def test_an_ended_session_is_not_brought_back_by_a_use_that_was_on_its_way(
    auth: Auth, clock: Clock, database: Path
) -> None:
    token, _ = await auth.open_guest()
    clock.advance(days=20)
    with closing(sqlite3.connect(database, isolation_level=None)) as file:
        file.execute("BEGIN IMMEDIATE")
        assert (await auth.resolve(token))[1]["renewed"] is True
        file.execute("UPDATE sessions SET ended_at = ?", (text(clock.now),))
        file.execute("COMMIT")
    before = column(database, "expires_at")
    await auth.client.close()  # which waits for what is written behind the answers
    assert column(database, "expires_at") == before


async def test_a_prolongation_that_cannot_be_written_keeps_nobody_out(auth: Auth, clock: Clock, database: Path) -> None:
    token, _ = await auth.open_guest()
    with closing(sqlite3.connect(database)) as file:
        file.execute("CREATE TRIGGER full BEFORE UPDATE ON sessions BEGIN SELECT raise(ABORT, 'disk full'); END")
    clock.advance(days=20)
    for _ in range(3):
        status, found = await auth.resolve(token)
        assert (status, found["renewed"]) == (200, True)


MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
LIVES = st.integers(1, 24 * 3653).map(lambda hours: timedelta(hours=hours))
SPANS = st.floats(0, 400).map(lambda days: timedelta(days=days))


@given(life=LIVES, created_at=MOMENTS, age=SPANS, left=SPANS, signed_in=st.booleans())
def test_a_life_is_only_ever_lengthened_and_by_no_more_than_it_may(
    life: timedelta, created_at: datetime, age: timedelta, left: timedelta, signed_in: bool
) -> None:
    now, lifetime = created_at + age, Lifetime(life)
    end = lifetime.prolonged(now, created_at, now + left, signed_in=signed_in)
    assert end >= now + left
    if end != now + left:
        assert left <= life * 0.9
        assert end == (min(now + life, created_at + SIGNED_IN_AT_MOST) if signed_in else now + life)
    elif left <= life * 0.9:
        assert signed_in
        assert end >= created_at + SIGNED_IN_AT_MOST or left == life
    assert lifetime.prolonged(now, created_at, end, signed_in=signed_in) == end


@pytest.mark.parametrize("hours", [1, 720, 24 * 3653])
def test_a_first_end_is_a_life_away(hours: int) -> None:
    now, life = datetime(2026, 11, 23, tzinfo=UTC), timedelta(hours=hours)
    assert Lifetime(life).end(now, now, signed_in=False) == now + life
    assert Lifetime(life).end(now, now, signed_in=True) == now + min(life, SIGNED_IN_AT_MOST)
