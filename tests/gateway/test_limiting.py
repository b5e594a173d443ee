"""How many an address may ask for within a minute, and what is told to the one too many."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from time import perf_counter
from typing import Any, cast

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from chassis.problems import Problem
from gateway.account import log_out
from gateway.addresses import TRUSTED_PROXIES
from gateway.forwarding import SERVICES
from gateway.identity import IDENTITY, Identity
from gateway.limiting import NEW_GUESTS, Counters, Limit
from gateway.services import Auth, Services

ADDRESS = "203.0.113.9"
TOKEN = "t" * 43


class Clock:
    now = 1_000_000 * 60.0  # the beginning of a window

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limit(clock: Clock) -> Limit:
    return Limit(6, "new guests", Counters(clock))


def of(address: str, headers: Mapping[str, str] | None = None) -> web.Request:
    app = web.Application()
    app[TRUSTED_PROXIES] = ()
    return make_mocked_request("GET", "/", headers, app=app).clone(remote=address)


def admitted(limit: Limit, times: int, address: str = ADDRESS) -> int:
    """How many of so many are let through."""
    return sum(retry_after(limit, address) is None for _ in range(times))


def retry_after(limit: Limit, address: str = ADDRESS) -> int | None:
    try:
        limit.count(of(address))
    except Problem as problem:
        return int(problem.headers["Retry-After"])
    return None


def test_as_many_as_the_limit_go_through_and_no_more(limit: Limit) -> None:
    assert admitted(limit, 100) == 6


def test_the_one_too_many_is_told_in_a_sentence(limit: Limit) -> None:
    admitted(limit, 6)
    with pytest.raises(Problem, match="Too many new guests from your network address within a minute") as refused:
        limit.count(of(ADDRESS))
    assert (refused.value.status, refused.value.code) == (429, "too_many_requests")


@pytest.mark.parametrize("second", [0, 1, 29.5, 59.9])
@pytest.mark.parametrize("before", [0, 3, 6])
def test_who_waits_as_told_goes_through_and_who_waits_two_seconds_less_does_not(
    limit: Limit, clock: Clock, second: float, before: int
) -> None:
    admitted(limit, before)
    clock.now += 60 + second
    admitted(limit, 100)
    wait = retry_after(limit)
    assert wait is not None
    assert 1 <= wait <= 61
    clock.now += wait - 2
    assert wait < 2 or admitted(limit, 1) == 0
    clock.now += 2
    assert admitted(limit, 1) == 1


def test_no_second_burst_goes_through_at_the_turn_of_a_minute(limit: Limit, clock: Clock) -> None:
    clock.now += 59
    assert admitted(limit, 100) == 6
    clock.now += 2
    assert admitted(limit, 100) == 1, "a fixed window would begin anew"
    clock.now += 180
    assert admitted(limit, 100) == 6


def test_what_was_refused_does_not_count(limit: Limit, clock: Clock) -> None:
    admitted(limit, 1000)
    clock.now += 120
    assert admitted(limit, 6) == 6


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        ("203.0.113.9", "203.0.113.10", False),
        ("203.0.113.9", "::ffff:203.0.113.9", True),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff:ffff:ffff:ffff", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("fe80::1%eth0", "fe80::1%eth1", True),
        ("", "", True),
    ],
)
def test_addresses_of_one_customer_are_counted_together(limit: Limit, one: str, other: str, together: bool) -> None:
    admitted(limit, 6, one)
    assert admitted(limit, 6, other) == (0 if together else 6)


def test_it_decides_as_the_store_of_the_library_does(limit: Limit, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours only holds the counts in another way."""
    clock = Clock()
    monkeypatch.setattr("limits.storage.memory.time.time", clock)
    theirs, ours = MemoryStorage(), Counters(clock)
    theirs.timer.join()
    decide = [SlidingWindowCounterRateLimiter(each) for each in (theirs, ours)]
    for step in (0.0, 0.0, 0.1, 7, 20, 30, 1, 1, 1, 25, 61, 0.5, 59, 2, 200, 3) * 8:
        clock.now += step
        answers = [each.hit(limit._item, ADDRESS) for each in decide]
        assert answers[0] is answers[1], clock.now
        assert (
            decide[0].get_window_stats(limit._item, ADDRESS).remaining
            == decide[1].get_window_stats(limit._item, ADDRESS).remaining
        )
    theirs.timer.join()


def test_the_store_can_be_emptied(clock: Clock) -> None:
    counters = Counters(clock)
    limit = Limit(6, "new guests", counters)
    admitted(limit, 6)
    counters.clear_sliding_window(limit._item.key_for(ADDRESS), 60)
    assert admitted(limit, 6) == 6
    assert (counters.check(), counters.reset()) == (True, 1)
    assert admitted(limit, 6) == 6


def counters_after(number: int, clock: Callable[[], float]) -> Counters:
    counters = Counters(clock)
    limit = Limit(6, "new guests", counters)
    for each in range(number):
        limit._limiter.hit(limit._item, str(each))
        if each % 1000 == 0:
            assert limit._limiter.hit(limit._item, "busy") is (each < 6000)
    return counters


def test_very_many_addresses_cost_bounded_memory_and_little_time(clock: Clock) -> None:
    """And the one that asks all the time is not forgotten over them."""
    started = perf_counter()
    assert counters_after(120_000, clock).reset() == 50_000
    assert perf_counter() - started < 20, "a sweep over all of them at every hit would take hours"


def test_what_is_older_than_two_windows_is_forgotten(clock: Clock) -> None:
    counters = counters_after(100, clock)
    clock.now += 121
    assert counters.reset() == 0


class FakeAuth:
    """Knows one session, and counts the guests that it makes."""

    def __init__(self, owner: str) -> None:
        self.owner, self.logged_out = owner, 0

    async def resolve(self, token: str, *, at_once: bool = False) -> dict[str, Any] | None:
        return self._session(self.owner) if token == TOKEN else None

    async def log_out(self, _token: str | None) -> dict[str, Any]:
        self.logged_out += 1
        return {"token": "f" * 43, "session": self._session("guest:fresh")}

    def _session(self, owner: str) -> dict[str, Any]:
        times = {"expires_at": "2100-01-01T00:00:00+00:00"}
        return {"session_id": "s", "owner": owner, "wrote": True, "renewed": False, **times}


@pytest.mark.parametrize(
    ("owner", "token", "times"),
    [("user:a", TOKEN, 20), ("guest:a", TOKEN, 6), ("user:a", "u" * 43, 6), ("user:a", None, 6)],
)
async def test_who_is_signed_in_can_always_log_out_and_other_fresh_guests_count(
    limit: Limit, owner: str, token: str | None, times: int
) -> None:
    """Else a guest that logs out again and again would make as many guests as it likes."""
    auth = FakeAuth(owner)
    request = of(ADDRESS, {"Cookie": f"animatize_session={token}"} if token else {})
    request.app[NEW_GUESTS], request.app[IDENTITY] = limit, Identity(cast("Auth", auth))
    request.app[SERVICES] = Services(*[cast("Any", auth)] * 4)
    for _ in range(20):
        with suppress(Problem):
            await log_out(request)
    assert auth.logged_out == times
