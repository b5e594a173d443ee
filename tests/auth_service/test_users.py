"""Users: who they stay, what they are called, how they come in and how they are gone."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from chassis.peers import Scope
from tests.auth_service.conftest import Auth, Clock, Start
from tests.contract.shape import problem
from tests.issuer import Issuer


def rows(database: Path, sql: str, *values: Any) -> list[Any]:
    with closing(sqlite3.connect(database)) as file:
        return file.execute(sql, values).fetchall()


async def test_a_user_is_who_google_says_whatever_else_changes(
    google: Auth, issuer: Issuer, clock: Clock, database: Path
) -> None:
    first = await google.admit(issuer.credential("7", "ana@example.org"))
    token, session = await google.sign_in(first["owner"])
    clock.advance(days=1)
    told = {"name": "Ana Byron", "picture": "https://pictures.example/new"}
    second = await google.admit(issuer.credential("7", "byron@example.org", **told))
    assert second == {"owner": first["owner"], "user": first["user"] | {"email": "byron@example.org"} | told}
    assert (await google.resolve(token))[1]["user"] == second["user"]
    assert await google.as_session(session, "GET", "/api/auth/me") == (
        200,
        {"authenticated": True, "user": second["user"]},
    )
    [(created_at, changed_at)] = rows(database, "SELECT created_at, changed_at FROM users")
    assert (created_at[:10], changed_at[:10]) == ("2026-11-23", "2026-11-24")


async def test_signing_in_again_unchanged_changes_nothing(
    google: Auth, issuer: Issuer, clock: Clock, database: Path
) -> None:
    await google.admit(issuer.credential())
    before = rows(database, "SELECT * FROM users")
    clock.advance(days=1)
    await google.admit(issuer.credential())
    assert rows(database, "SELECT * FROM users") == before


async def test_a_picture_that_was_taken_away_is_gone(google: Auth, issuer: Issuer) -> None:
    assert (await google.admit(issuer.credential()))["user"]["picture"]
    assert (await google.admit(issuer.credential(picture=None)))["user"]["picture"] is None
    assert (await google.admit(issuer.credential()))["user"]["picture"]


async def test_an_address_that_passes_to_another_account_takes_nothing_with_it(google: Auth, issuer: Issuer) -> None:
    one = await google.admit(issuer.credential("1", "shared@example.org"))
    other = await google.admit(issuer.credential("2", "shared@example.org"))
    assert one["owner"] != other["owner"]


async def test_accounts_are_told_apart_to_the_letter(google: Auth, issuer: Issuer) -> None:
    subs = ("abc", "ABC", "abc ", "0123", "123", "é", "e\u0301")
    assert len({(await google.admit(issuer.credential(sub)))["owner"] for sub in subs}) == len(subs)


async def test_a_new_user_who_signs_in_many_times_at_once_is_one_user(
    start: Start, issuer: Issuer, database: Path
) -> None:
    instances = [await start(**issuer.environment) for _ in range(2)]
    admitted = await asyncio.gather(*(instances[n % 2].admit(issuer.credential("new")) for n in range(20)))
    assert len({each["owner"] for each in admitted}) == 1
    assert rows(database, "SELECT count(*) FROM users") == [(1,)]


async def test_signing_in_opens_a_session_of_the_user(google: Auth, issuer: Issuer) -> None:
    admitted = await google.admit(issuer.credential())
    guest_token, guest = await google.open_guest("Firefox")
    token, session = await google.sign_in(admitted["owner"], guest_token)
    assert session == {
        **session,
        "owner": admitted["owner"],
        "authenticated": True,
        "user": admitted["user"],
        "wrote": True,
        "renewed": False,
    }
    assert token != guest_token
    assert session["session_id"] != guest["session_id"]
    assert (await google.resolve(guest_token))[0] == 404
    assert await google.resolve(token) == (200, session)
    _, listed = await google.as_session(session, "GET", "/api/auth/sessions")
    assert [each["user_agent"] for each in listed["sessions"]] == ["Firefox"]
    assert await google.as_session(session, "GET", "/api/session/bootstrap") == (
        200,
        {
            "session_id": session["session_id"],
            "authenticated": True,
            "user": admitted["user"],
            "expires_at": session["expires_at"],
        },
    )


async def test_signing_in_ends_the_session_of_the_cookie_whosever_it_was(google: Auth, issuer: Issuer) -> None:
    ana, ben = [(await google.admit(issuer.credential(sub)))["owner"] for sub in ("ana", "ben")]
    elsewhere, _ = await google.sign_in(ana)
    first, _ = await google.sign_in(ana)
    again, _ = await google.sign_in(ana, first)
    other, session = await google.sign_in(ben, again)
    assert session["owner"] == ben
    assert [(await google.resolve(each))[0] for each in (elsewhere, first, again, other)] == [200, 404, 404, 200]


async def test_signing_in_without_a_session_or_with_one_that_has_ended_ends_no_other(
    google: Auth, issuer: Issuer
) -> None:
    owner = (await google.admit(issuer.credential()))["owner"]
    guest, _ = await google.open_guest()
    ended, _ = await google.open_guest()
    await google.log_out(ended)
    opened = [(await google.sign_in(owner, token))[0] for token in (None, ended, "never given out", "")]
    assert [(await google.resolve(token))[0] for token in (guest, *opened)] == [200] * 5


async def test_signing_in_many_times_at_once_with_one_cookie_opens_a_session_each(start: Start, issuer: Issuer) -> None:
    one, other = await start(**issuer.environment), await start(**issuer.environment)
    owner = (await one.admit(issuer.credential()))["owner"]
    guest, _ = await one.open_guest()
    opened = await asyncio.gather(*((one, other)[n % 2].sign_in(owner, guest) for n in range(20)))
    assert len({token for token, _ in opened}) == 20
    assert [(await other.resolve(token))[0] for token, _ in opened] == [200] * 20
    assert (await one.resolve(guest))[0] == 404


async def test_nobody_signs_in_as_somebody_who_is_unknown(google: Auth, issuer: Issuer) -> None:
    known = (await google.admit(issuer.credential()))["owner"]
    guest, session = await google.open_guest()
    for owner in ("user:0", "user:", f"guest:{known}", session["owner"], known.upper(), known + " ", "system"):
        await problem(await google.try_to_sign_in(owner, guest), 404, "unknown_user")
    assert (await google.resolve(guest))[0] == 200


async def test_logging_out_leaves_the_user_and_goes_on_as_a_guest(google: Auth, issuer: Issuer) -> None:
    owner = (await google.admit(issuer.credential()))["owner"]
    token, _ = await google.sign_in(owner)
    fresh, session = await google.log_out(token)
    assert session["owner"].startswith("guest:")
    assert (session["authenticated"], session["user"], session["wrote"]) == (False, None, False)
    assert (await google.resolve(token))[0] == 404
    assert (await google.sign_in(owner, fresh))[1]["owner"] == owner


async def test_a_user_who_is_erased_is_gone_with_every_session(google: Auth, issuer: Issuer, database: Path) -> None:
    ana, ben = [(await google.admit(issuer.credential(sub)))["owner"] for sub in ("ana", "ben")]
    tokens = [(await google.sign_in(ana))[0] for _ in range(3)]
    await google.log_out(tokens[0])
    kept, _ = await google.sign_in(ben)
    for _ in range(2):
        await google.erase(ana)
        assert [(await google.resolve(each))[0] for each in tokens] == [404] * 3
        assert (await google.resolve(kept))[0] == 200
    await problem(await google.try_to_sign_in(ana), 404, "unknown_user")
    listed = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    for (table,) in rows(database, listed):
        left = repr(rows(database, f"SELECT * FROM {table}"))
        assert ana.removeprefix("user:") not in left, table
        assert (ben.removeprefix("user:") in left) == (table not in ("change_clock", "moved")), table


async def test_who_comes_back_after_being_erased_is_somebody_new(google: Auth, issuer: Issuer) -> None:
    before = (await google.admit(issuer.credential()))["owner"]
    await google.erase(before)
    after = (await google.admit(issuer.credential()))["owner"]
    assert after != before
    assert (await google.sign_in(after))[1]["owner"] == after


async def test_a_guest_that_is_erased_is_gone(google: Auth, database: Path) -> None:
    token, session = await google.open_guest()
    kept, _ = await google.open_guest()
    for _ in range(2):
        await google.erase(session["owner"])
        assert (await google.resolve(token))[0] == 404
    assert (await google.resolve(kept))[0] == 200
    assert rows(database, "SELECT count(*) FROM sessions") == [(1,)]


async def test_erasing_nobody_erases_nothing(google: Auth, issuer: Issuer, database: Path) -> None:
    owner = (await google.admit(issuer.credential()))["owner"]
    await google.sign_in(owner)
    for nobody in ("user:", "user:%", "guest:", "system", owner.removeprefix("user:"), owner.upper()):
        await google.erase(nobody)
    assert rows(database, "SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM sessions)") == [(1, 1)]


async def test_a_user_is_either_erased_or_signed_in(start: Start, issuer: Issuer, database: Path) -> None:
    """Erasing and signing in at once leave no session of somebody who is not there."""
    one, other = await start(**issuer.environment), await start(**issuer.environment)
    for _ in range(10):
        owner = (await one.admit(issuer.credential()))["owner"]
        await asyncio.gather(one.erase(owner), *(other.try_to_sign_in(owner) for _ in range(5)))
        assert rows(database, "SELECT count(*) FROM sessions") == [(0,)]


async def test_an_erasure_wants_the_system_and_names_whom_it_means(google: Auth) -> None:
    answer = await google.post("/internal/erasure", owner="guest:a", scope=Scope.OWNER)
    await problem(answer, 401, "wrong_scope")


def changed(database: Path, owner: str) -> list[tuple[Any, ...]]:
    return rows(database, "SELECT version FROM changes WHERE owner = ?", owner)


async def test_that_a_live_session_was_erased_is_still_told_until_it_is_erased_once_more(
    google: Auth, issuer: Issuer, database: Path
) -> None:
    """Streams that are open under it, at whichever gateway, hear of it by this and by nothing else."""
    owner = (await google.admit(issuer.credential()))["owner"]
    await google.sign_in(owner)
    [(before,)] = changed(database, owner)
    await google.erase(owner)
    [(after,)] = changed(database, owner)
    assert after > before
    await google.erase(owner)
    assert changed(database, owner) == []


async def test_nothing_is_told_of_an_erased_owner_whose_sessions_had_all_ended(google: Auth, database: Path) -> None:
    token, session = await google.open_guest()
    await google.log_out(token)
    await google.erase(session["owner"])
    assert changed(database, session["owner"]) == []
