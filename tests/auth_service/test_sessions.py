"""Sessions as the gateway makes, resolves and ends them."""

import asyncio
import sqlite3
import time
from base64 import urlsafe_b64decode
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

from structlog.testing import capture_logs

from tests.auth_service.conftest import Auth, Clock, Start


async def until_seen(auth: Auth, token: str, moment: datetime) -> None:
    """Wait for what is written behind the answer; a test that waits in vain fails."""
    deadline = time.monotonic() + 5
    while (await auth.resolve(token))[1]["last_seen_at"] != moment.isoformat(timespec="microseconds"):
        assert time.monotonic() < deadline, "the session was never noted as seen"
        await asyncio.sleep(0.01)


async def test_a_new_guest_is_found_again_by_its_token(auth: Auth, clock: Clock) -> None:
    token, session = await auth.open_guest("Firefox")
    assert session == {
        "session_id": session["session_id"],
        "owner": session["owner"],
        "authenticated": False,
        "user": None,
        "created_at": "2026-11-23T10:00:00.000000+00:00",
        "last_seen_at": "2026-11-23T10:00:00.000000+00:00",
        "expires_at": (clock.now + timedelta(hours=720)).isoformat(timespec="microseconds"),
        "wrote": False,
        "renewed": False,
    }
    assert session["owner"].startswith("guest:")
    assert await auth.resolve(token) == (200, session)


async def test_a_token_is_256_random_bits_and_no_public_name_tells_it(auth: Auth) -> None:
    token, session = await auth.open_guest()
    assert len(urlsafe_b64decode(token + "=")) == 32
    names = {session["session_id"], session["owner"].removeprefix("guest:")}
    assert len(names) == 2
    assert not any(name in token or token in name for name in names)


async def test_no_file_holds_a_token_in_clear(auth: Auth, database: Path) -> None:
    tokens = [(await auth.open_guest())[0] for _ in range(20)]
    tokens.append((await auth.log_out(tokens[0]))[0])
    await auth.resolve(tokens[1])
    files = list(database.parent.iterdir())
    assert database.with_name(database.name + "-wal") in files
    written = b"".join(file.read_bytes() for file in files)
    assert b"guest:" in written
    for token in tokens:
        raw = urlsafe_b64decode(token + "=")
        assert not any(form in written for form in (token.encode(), raw, raw.hex().encode()))


async def test_expiry_is_checked_at_every_use(start: Start, clock: Clock) -> None:
    auth = await start(session_ttl_hours=1)
    token, session = await auth.open_guest()
    clock.advance(minutes=59, seconds=59.999)
    assert (await auth.as_session(session, "GET", "/api/auth/me"))[0] == 200
    clock.advance(seconds=0.001)
    status, problem = await auth.resolve(token)
    assert (status, problem["code"]) == (404, "unknown_session")
    for method, path in (
        ("GET", "/api/session/bootstrap"),
        ("GET", "/api/auth/me"),
        ("GET", "/api/auth/sessions"),
        ("DELETE", "/api/auth/sessions"),
        ("DELETE", f"/api/auth/sessions/{session['session_id']}"),
    ):
        status, problem = await auth.as_session(session, method, path)
        assert (status, problem["code"]) == (401, "session_ended"), path


async def test_an_unknown_an_expired_and_an_ended_token_get_the_same_answer(auth: Auth, clock: Clock) -> None:
    expired, _ = await auth.open_guest()
    clock.advance(hours=721)
    ended, _ = await auth.open_guest()
    await auth.log_out(ended)
    answers = [await auth.resolve(token) for token in (expired, ended, "never given out", "", "ż" * 5000)]
    assert {(status, problem["code"], problem["detail"]) for status, problem in answers} == {
        (404, "unknown_session", "This cookie is of no live session.")
    }


async def test_logging_out_ends_the_session_and_opens_a_fresh_guest(auth: Auth) -> None:
    token, session = await auth.open_guest("Firefox")
    new_token, new_session = await auth.log_out(token)
    assert new_token != token
    assert new_session["owner"] != session["owner"]
    assert new_session["session_id"] != session["session_id"]
    assert (await auth.resolve(token))[0] == 404
    assert (await auth.resolve(new_token))[0] == 200
    _, listed = await auth.as_session(new_session, "GET", "/api/auth/sessions")
    assert [each["user_agent"] for each in listed["sessions"]] == ["Firefox"]


async def test_logging_out_twice_or_without_a_session_still_opens_a_guest(auth: Auth) -> None:
    token, _ = await auth.open_guest()
    opened = [await auth.log_out(given) for given in (token, token, None, "never given out")]
    assert len({session["owner"] for _, session in opened}) == 4
    assert [(await auth.resolve(each))[0] for each, _ in opened] == [200] * 4


async def test_logging_out_ends_no_other_session(auth: Auth) -> None:
    token, _ = await auth.open_guest()
    other, _ = await auth.open_guest()
    await auth.log_out(token)
    assert (await auth.resolve(other))[0] == 200


async def test_last_seen_is_written_at_most_once_a_minute(auth: Auth, clock: Clock, database: Path) -> None:
    token, _ = await auth.open_guest()
    opened_at = clock.now
    clock.advance(seconds=59)
    await auth.resolve(token)
    clock.advance(seconds=1)
    await until_seen(auth, token, clock.now)
    seen_at = clock.now
    clock.advance(seconds=59)
    await asyncio.gather(*(auth.resolve(token) for _ in range(20)))
    with closing(sqlite3.connect(database)) as file:
        assert file.execute("SELECT last_seen_at FROM sessions").fetchone()[0].startswith(seen_at.isoformat()[:19])
    assert seen_at - opened_at == timedelta(minutes=1)


async def test_a_browser_that_was_updated_is_listed_under_its_new_name(auth: Auth, clock: Clock) -> None:
    token, session = await auth.open_guest("Firefox 1")
    clock.advance(minutes=2)
    await auth.resolve(token, "Firefox 2")
    await until_seen(auth, token, clock.now)
    _, listed = await auth.as_session(session, "GET", "/api/auth/sessions")
    assert [each["user_agent"] for each in listed["sessions"]] == ["Firefox 2"]


async def test_a_locked_database_does_not_break_resolving(auth: Auth, clock: Clock, database: Path) -> None:
    token, session = await auth.open_guest()
    clock.advance(minutes=5)
    with closing(sqlite3.connect(database, isolation_level=None)) as file:
        file.execute("BEGIN IMMEDIATE")
        started = time.monotonic()
        answers = [await auth.resolve(token) for _ in range(5)]
        took = time.monotonic() - started
        file.execute("ROLLBACK")
    assert answers == [(200, session)] * 5
    assert took < 2, "resolving waited for the write"
    await until_seen(auth, token, clock.now)


async def test_a_last_seen_that_cannot_be_written_is_only_logged(start: Start, clock: Clock, database: Path) -> None:
    auth = await start()
    token, session = await auth.open_guest()
    with closing(sqlite3.connect(database)) as file:
        file.execute("CREATE TRIGGER full BEFORE UPDATE ON sessions BEGIN SELECT raise(ABORT, 'disk full'); END")
    clock.advance(minutes=5)
    with capture_logs() as lines:
        assert await auth.resolve(token) == (200, session)
        await auth.client.close()  # which waits for what is written behind the answers
    assert "last_seen_not_written" in [line["event"] for line in lines]
    with closing(sqlite3.connect(database)) as file:
        file.execute("DROP TRIGGER full")
    await until_seen(await start(), token, clock.now)


async def test_a_restart_keeps_sessions(start: Start) -> None:
    first = await start()
    token, session = await first.open_guest()
    ended, _ = await first.open_guest()
    await first.log_out(ended)
    await first.client.close()
    second = await start()
    assert await second.resolve(token) == (200, session)
    assert (await second.resolve(ended))[0] == 404


async def test_what_is_seen_just_before_a_stop_is_still_written(start: Start, clock: Clock) -> None:
    first = await start()
    token, _ = await first.open_guest()
    clock.advance(minutes=5)
    await first.resolve(token)
    await first.client.close()
    _, session = await (await start()).resolve(token)
    assert session["last_seen_at"] == clock.now.isoformat(timespec="microseconds")


async def test_two_instances_over_one_file_know_the_same_sessions(start: Start) -> None:
    one, other = await start(), await start()
    opened = await asyncio.gather(*((one, other)[n % 2].open_guest() for n in range(40)))
    resolved = await asyncio.gather(*((other, one)[n % 2].resolve(token) for n, (token, _) in enumerate(opened)))
    assert resolved == [(200, session) for _, session in opened]
    await one.log_out(opened[0][0])
    assert (await other.resolve(opened[0][0]))[0] == 404


async def test_two_thousand_guests_at_once_are_all_different(start: Start) -> None:
    instances = [await start(), await start()]
    opened = await asyncio.gather(*(instances[n % 2].open_guest() for n in range(2000)))
    assert len({token for token, _ in opened}) == 2000
    assert len({session["owner"] for _, session in opened}) == 2000
    assert len({session["session_id"] for _, session in opened}) == 2000
    resolved = await asyncio.gather(*(instances[n % 2].resolve(token) for n, (token, _) in enumerate(opened)))
    assert resolved == [(200, session) for _, session in opened]


async def test_logging_out_many_times_at_once_ends_one_session_and_loses_no_guest(start: Start) -> None:
    one, other = await start(), await start()
    token, _ = await one.open_guest()
    fresh = await asyncio.gather(*((one, other)[n % 2].log_out(token) for n in range(30)))
    assert len({session["owner"] for _, session in fresh}) == 30
    assert [(await one.resolve(each))[0] for each, _ in fresh] == [200] * 30
