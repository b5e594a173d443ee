"""What the gateway remembers of a session, and for how long."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from chassis.problems import Problem, unavailable
from gateway.identity import FRESH_TOKEN, Identity, Session, cookie_setter
from gateway.services import Auth

TOKEN = "t" * 43
FOUND = {
    "session_id": "s",
    "owner": "guest:a",
    "expires_at": (datetime.now(UTC) + timedelta(days=1)).isoformat(),
}


class FakeAuth:
    """Knows one session until it is revoked; can be away."""

    def __init__(self) -> None:
        self.asked, self.away, self.revoked = 0, False, False

    async def resolve(self, _token: str, *, at_once: bool = False) -> dict[str, Any] | None:
        self.asked += 1
        if self.away:
            raise unavailable("service_unavailable", "It does not answer.")
        return None if self.revoked else FOUND


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
    request[FRESH_TOKEN] = (TOKEN, Session("s", "guest:a", datetime.now(UTC) + timedelta(hours=1)))
    response = web.Response(status=status)
    await cookie_setter(secure=secure)(request, response)
    assert ("Set-Cookie" in response.headers) is sets
    assert not sets or response.headers["Set-Cookie"].endswith("; Secure") is secure
