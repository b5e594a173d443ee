"""What the gateway remembers of a session, and for how long."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from pytest_aiohttp import AiohttpClient

from chassis.problems import Problem, unavailable
from chassis.serving import add_routes, problems_answered
from gateway.addresses import TRUSTED_PROXIES
from gateway.identity import (
    ADMITTED,
    COOKIE,
    IDENTITY,
    LEFT,
    RENEWED,
    SESSION,
    TAKEN_FOR,
    Audience,
    Identity,
    Session,
    cookie_setter,
    identified,
)
from gateway.limiting import NEW_GUESTS, Limit
from gateway.routes import ROUTES
from gateway.services import Auth

TOKEN = "t" * 43
FOUND = {
    "session_id": "s",
    "owner": "guest:a",
    "expires_at": (datetime.now(UTC) + timedelta(days=1)).isoformat(),
    "wrote": True,
    "renewed": False,
}


class FakeAuth:
    """Knows one session until it is revoked; can be away."""

    def __init__(self) -> None:
        self.asked, self.away, self.revoked = 0, False, False
        self.found: dict[str, Any] = dict(FOUND)
        self.noted: list[str] = []
        self.made = 0

    async def resolve(self, _token: str, *, at_once: bool = False) -> dict[str, Any] | None:
        self.asked += 1
        if self.away:
            raise unavailable("service_unavailable", "It does not answer.")
        return None if self.revoked else self.found

    async def make_guest(self, _user_agent: str) -> dict[str, Any]:
        self.made += 1
        return {"token": TOKEN, "session": self.found}

    async def note_write(self, token: str) -> dict[str, Any] | None:
        self.noted.append(token)
        return None if self.revoked else self.found | {"wrote": True}


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def auth() -> FakeAuth:
    return FakeAuth()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def identity(auth: FakeAuth, clock: Clock) -> Identity:
    return Identity(cast("Auth", auth), clock)


async def test_an_answer_is_kept_for_a_second_and_then_asked_for_again(
    identity: Identity, auth: FakeAuth, clock: Clock
) -> None:
    await identity.resolve(TOKEN)
    clock.now += 0.9
    await identity.resolve(TOKEN)
    assert auth.asked == 1
    auth.revoked = True
    clock.now += 0.2
    assert await identity.resolve(TOKEN, stale=True) is None


async def test_a_read_may_use_an_old_answer_while_nobody_can_be_asked_but_a_write_may_not(
    identity: Identity, auth: FakeAuth, clock: Clock
) -> None:
    await identity.resolve(TOKEN)
    auth.away = True
    clock.now += 29
    assert await identity.resolve(TOKEN, stale=True) is not None
    with pytest.raises(Problem):
        await identity.resolve(TOKEN)
    clock.now += 2
    with pytest.raises(Problem):
        await identity.resolve(TOKEN, stale=True)


@pytest.mark.parametrize("token", ["", "short", "x" * 101, "a b" * 20, "ü" * 43])
async def test_what_cannot_be_a_token_is_never_asked_for(identity: Identity, auth: FakeAuth, token: str) -> None:
    assert await identity.resolve(token) is None
    assert auth.asked == 0


@pytest.mark.parametrize(("status", "sets"), [(200, True), (404, True), (500, False), (503, False)])
@pytest.mark.parametrize("secure", [True, False])
async def test_a_fault_of_ours_never_touches_the_cookie(status: int, sets: bool, secure: bool) -> None:
    request = make_mocked_request("GET", "/")
    request[ADMITTED] = (TOKEN, living())
    response = web.Response(status=status)
    await cookie_setter(secure=secure)(request, response)
    assert ("Set-Cookie" in response.headers) is sets
    assert not sets or response.headers["Set-Cookie"].endswith("; Secure") is secure


def living() -> Session:
    return Session("s", "guest:a", datetime.now(UTC) + timedelta(hours=1))


def asking(identity: Identity, method: str = "PUT", **headers: str) -> web.Request:
    app = web.Application()
    app[IDENTITY] = identity
    cookie = {"Cookie": f"animatize_session={TOKEN}"}
    return make_mocked_request(method, "/api/settings", cookie | headers, app=app)


async def cookie_of_answer(request: web.Request) -> str | None:
    response = web.Response()
    await cookie_setter(secure=False)(request, response)
    return response.headers.get("Set-Cookie")


async def test_a_guests_first_write_is_noted_before_it_is_passed_on_and_once(
    identity: Identity, auth: FakeAuth
) -> None:
    auth.found["wrote"] = False
    await identity.of(asking(identity, "GET"))
    assert auth.noted == []
    for _ in range(3):
        assert (await identity.of(asking(identity))).wrote
    assert auth.noted == [TOKEN]


async def test_a_write_that_cannot_be_noted_any_more_is_refused(identity: Identity, auth: FakeAuth) -> None:
    auth.found["wrote"] = False
    await identity.resolve(TOKEN)
    auth.revoked = True  # it was swept a moment ago
    with pytest.raises(Problem) as refused:
        await identity.of(asking(identity))
    assert (refused.value.status, refused.value.code) == (401, "session_ended")


@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_nothing_is_done_under_another_session_than_the_caller_takes_for_its_own(
    identity: Identity, auth: FakeAuth, method: str
) -> None:
    assert (await identity.of(asking(identity, method, **{TAKEN_FOR: "s"}))).id == "s"
    for revoked in (False, True):
        auth.revoked = revoked
        identity.forget()
        with pytest.raises(Problem) as refused:
            await identity.of(asking(identity, method, **{TAKEN_FOR: "s" if revoked else "another"}))
        assert (refused.value.status, refused.value.code) == (401, "session_ended")
    assert auth.made == 0


async def test_nobody_signs_in_or_out_in_place_of_another_session_than_it_takes_for_its_own(
    identity: Identity, auth: FakeAuth
) -> None:
    await identity.refuse_other(asking(identity))
    await identity.refuse_other(asking(identity, **{TAKEN_FOR: "s"}))
    with pytest.raises(Problem) as refused:
        await identity.refuse_other(asking(identity, **{TAKEN_FOR: "another"}))
    assert refused.value.code == "session_ended"
    auth.revoked = True  # then the cookie is as good as none
    identity.forget()
    await identity.refuse_other(asking(identity, **{TAKEN_FOR: "another"}))


async def test_whoever_takes_a_session_for_its_own_becomes_no_guest_without_a_cookie(
    identity: Identity, auth: FakeAuth
) -> None:
    with pytest.raises(Problem) as refused:
        await identity.of(make_mocked_request("GET", "/api/settings", {TAKEN_FOR: "s"}))
    assert (refused.value.code, auth.made) == ("session_ended", 0)


async def test_one_answer_carries_the_cookie_of_a_session_that_was_prolonged(
    identity: Identity, auth: FakeAuth
) -> None:
    auth.found["renewed"] = True
    request, next_one = asking(identity, "GET"), asking(identity, "GET")
    for each in (request, next_one):
        await identity.of(each)
    told = re.match(rf"animatize_session={TOKEN}; HttpOnly; Max-Age=(\d+); ", str(await cookie_of_answer(request)))
    assert told is not None
    left = datetime.fromisoformat(str(FOUND["expires_at"])) - datetime.now(UTC)
    assert int(told[1]) == pytest.approx(left.total_seconds(), abs=5)
    assert await cookie_of_answer(next_one) is None


async def test_a_late_answer_does_not_bring_back_the_cookie_of_a_session_that_has_ended(
    identity: Identity, auth: FakeAuth
) -> None:
    request = asking(identity, "GET")
    request[RENEWED] = (TOKEN, living())
    auth.revoked = True
    assert await cookie_of_answer(request) is None
    auth.revoked, auth.away = False, True
    assert await cookie_of_answer(request) is None


async def test_whoever_leaves_leaves_without_a_cookie(identity: Identity) -> None:
    request = asking(identity)
    request[LEFT] = True
    assert "animatize_session=; HttpOnly; Max-Age=0" in str(await cookie_of_answer(request))


async def test_a_session_that_ends_while_its_body_arrives_is_refused_at_the_end(
    identity: Identity, auth: FakeAuth, clock: Clock
) -> None:
    request = asking(identity)
    request[SESSION] = await identity.of(request)
    await identity.refuse_ended(request)
    auth.revoked = True
    clock.now += 1
    with pytest.raises(Problem) as refused:
        await identity.refuse_ended(request)
    assert refused.value.status == 401


async def _answer(_: web.Request) -> web.Response:
    return web.Response()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/events", 401),
        ("/api/runs?since=a-token", 401),
        ("/api/runs?since=", 200),
        ("/api/runs", 200),
        ("/api/settings?since=a-token", 200),
    ],
)
async def test_to_read_under_a_session_that_has_ended_makes_a_guest_but_not_of_who_follows(
    identity: Identity, auth: FakeAuth, aiohttp_client: AiohttpClient, path: str, status: int
) -> None:
    auth.revoked = True
    app = web.Application(middlewares=[problems_answered, identified])
    add_routes(app, [replace(route, handler=_answer) for route in ROUTES], Audience)
    app[IDENTITY], app[NEW_GUESTS], app[TRUSTED_PROXIES] = identity, Limit(9, "new guests"), ()
    client = await aiohttp_client(app, cookies={COOKIE: TOKEN})
    assert (await client.get(path)).status == status
    assert auth.made == (1 if status == 200 else 0)
