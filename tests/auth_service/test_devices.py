"""The sessions that an owner sees and ends. Only a user has several."""

import asyncio
from typing import Any

import pytest

from tests.auth_service.conftest import Auth, Clock
from tests.issuer import Issuer


@pytest.fixture
def auth(google: Auth) -> Auth:
    return google


@pytest.fixture
async def sessions(auth: Auth, issuer: Issuer) -> list[dict[str, Any]]:
    """Three sessions of Jo, then one of Sam."""
    jo, sam = [(await auth.admit(issuer.credential(sub)))["owner"] for sub in ("jo", "sam")]
    opened = [await auth.sign_in(owner, user_agent=f"Browser {n}") for n, owner in enumerate((jo, jo, jo, sam))]
    return [session | {"token": token} for token, session in opened]


async def names(auth: Auth, session: dict[str, Any]) -> list[str]:
    _, listed = await auth.as_session(session, "GET", "/api/auth/sessions")
    return sorted(each["user_agent"] for each in listed["sessions"])


async def test_an_owner_sees_its_own_live_sessions_and_which_is_current(
    auth: Auth, sessions: list[dict[str, Any]]
) -> None:
    status, listed = await auth.as_session(sessions[1], "GET", "/api/auth/sessions")
    assert status == 200
    assert {each["id"]: each["current"] for each in listed["sessions"]} == {
        sessions[0]["session_id"]: False,
        sessions[1]["session_id"]: True,
        sessions[2]["session_id"]: False,
    }
    keys = {"id", "current", "created_at", "last_seen_at", "expires_at", "user_agent"}
    assert all(set(each) == keys for each in listed["sessions"])
    assert await names(auth, sessions[3]) == ["Browser 3"]


async def test_ending_one_session_ends_only_that(auth: Auth, sessions: list[dict[str, Any]]) -> None:
    one, two, three, _ = sessions
    path = f"/api/auth/sessions/{two['session_id']}"
    assert await auth.as_session(one, "DELETE", path) == (200, {"id": two["session_id"], "revoked": True})
    assert [(await auth.resolve(each["token"]))[0] for each in sessions] == [200, 404, 200, 200]
    assert await names(auth, three) == ["Browser 0", "Browser 2"]
    status, problem = await auth.as_session(one, "DELETE", path)
    assert (status, problem["code"]) == (404, "unknown_session")


async def test_a_session_that_has_been_ended_elsewhere_is_told_so(auth: Auth, sessions: list[dict[str, Any]]) -> None:
    one, two, *_ = sessions
    await auth.as_session(one, "DELETE", f"/api/auth/sessions/{two['session_id']}")
    for method, path in (
        ("GET", "/api/session/bootstrap"),
        ("GET", "/api/auth/me"),
        ("GET", "/api/auth/sessions"),
        ("DELETE", "/api/auth/sessions"),
        ("DELETE", f"/api/auth/sessions/{one['session_id']}"),
    ):
        status, problem = await auth.as_session(two, method, path)
        assert (status, problem["code"]) == (401, "session_ended"), path
    assert (await auth.resolve(one["token"]))[0] == 200


async def test_an_owner_may_end_the_session_it_is_in(auth: Auth, sessions: list[dict[str, Any]]) -> None:
    one = sessions[0]
    assert (await auth.as_session(one, "DELETE", f"/api/auth/sessions/{one['session_id']}"))[0] == 200
    assert (await auth.resolve(one["token"]))[0] == 404


async def test_ending_all_others_keeps_the_current_one_and_other_owners(
    auth: Auth, sessions: list[dict[str, Any]]
) -> None:
    assert await auth.as_session(sessions[1], "DELETE", "/api/auth/sessions") == (200, {"revoked": 2})
    assert [(await auth.resolve(each["token"]))[0] for each in sessions] == [404, 200, 404, 200]
    assert await auth.as_session(sessions[1], "DELETE", "/api/auth/sessions") == (200, {"revoked": 0})


async def test_of_two_that_end_each_other_at_once_one_remains(auth: Auth, sessions: list[dict[str, Any]]) -> None:
    answers = await asyncio.gather(*(auth.as_session(each, "DELETE", "/api/auth/sessions") for each in sessions[:3]))
    assert sorted(status for status, _ in answers) == [200, 401, 401]
    assert sorted([(await auth.resolve(each["token"]))[0] for each in sessions[:3]]) == [200, 404, 404]


async def test_a_foreign_session_is_as_unknown_as_none(auth: Auth, sessions: list[dict[str, Any]]) -> None:
    *_, foreign = sessions
    answers = [
        await auth.as_session(sessions[0], "DELETE", f"/api/auth/sessions/{name}")
        for name in (foreign["session_id"], "0" * 32, "%00", "a%2Fb", "x" * 4000, "ż", "'%20OR%201=1")
    ]
    assert {(status, problem["code"]) for status, problem in answers} == {(404, "unknown_session")}
    assert (await auth.resolve(foreign["token"]))[0] == 200


async def test_a_session_of_another_owner_is_none_of_the_callers(auth: Auth, sessions: list[dict[str, Any]]) -> None:
    """Owner and session come from one token; should they ever disagree, nothing is shown."""
    mixed = {"owner": sessions[0]["owner"], "session_id": sessions[3]["session_id"]}
    for path in ("/api/session/bootstrap", "/api/auth/me", "/api/auth/sessions"):
        assert (await auth.as_session(mixed, "GET", path))[0] == 401


async def test_expired_sessions_are_not_listed(auth: Auth, sessions: list[dict[str, Any]], clock: Clock) -> None:
    clock.advance(hours=721)
    assert (await auth.as_session(sessions[0], "GET", "/api/auth/sessions"))[0] == 401
