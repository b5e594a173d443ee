"""Who hears what, and how little waits for whoever is slow."""

import asyncio
from contextlib import ExitStack

import pytest

from chassis.problems import Problem
from gateway.hub import MOST_SEATS, Hub, Seat, Topic, Value

AT_ONCE = 0.01


def here() -> bool:
    return False


def gone() -> bool:
    return True


def value(version: int) -> Value:
    return Value(version, {"version": version})


async def heard(seat: Seat) -> list[tuple[str, int]]:
    return [(topic.value, data["version"]) for topic, data in await seat.news(AT_ONCE)]


@pytest.fixture
def hub() -> Hub:
    return Hub()


async def test_only_the_listeners_of_an_owner_hear_of_it(hub: Hub) -> None:
    with (
        hub.seat("guest:a", "s", here) as one,
        hub.seat("guest:a", "t", here) as two,
        hub.seat("guest:b", "u", here) as b,
    ):
        hub.tell("guest:a", Topic.RUNS, value(1))
        hub.tell("guest:c", Topic.RUNS, value(2))
        assert await heard(one) == await heard(two) == [("runs", 1)]
        assert await heard(b) == []


async def test_what_waits_is_the_latest_of_every_topic_however_much_was_told(hub: Hub) -> None:
    with hub.seat("guest:a", "s", here) as seat:
        for version in range(1000):
            hub.tell("guest:a", Topic.RUNS, value(version))
            hub.tell("guest:a", Topic.SETTINGS, value(version))
        assert await heard(seat) == [("settings", 999), ("runs", 999)]
        assert await heard(seat) == []


async def test_of_two_values_the_higher_is_the_later_in_whichever_order_they_come(hub: Hub) -> None:
    with hub.seat("guest:a", "s", here) as seat:
        hub.tell("guest:a", Topic.RUNS, value(5))
        hub.tell("guest:a", Topic.RUNS, value(4))
        assert await heard(seat) == [("runs", 5)]
        hub.tell("guest:a", Topic.RUNS, value(5))
        hub.tell("guest:a", Topic.RUNS, value(4))
        assert await heard(seat) == []


async def test_whoever_comes_later_is_told_what_is_known_already(hub: Hub) -> None:
    with hub.seat("guest:a", "s", here) as first:
        hub.tell("guest:a", Topic.RUNS, value(0))
        assert await heard(first) == [("runs", 0)]
        with hub.seat("guest:a", "s", here) as second:
            assert await asyncio.wait_for(second.news(60), 1) == [(Topic.RUNS, {"version": 0})], "at once"


async def test_nothing_is_kept_of_an_owner_to_whom_nobody_listens_any_more(hub: Hub) -> None:
    with hub.seat("guest:a", "s", here):
        hub.tell("guest:a", Topic.RUNS, value(7))
    hub.tell("guest:a", Topic.SETTINGS, value(8))
    with hub.seat("guest:a", "s", here) as again:
        assert await heard(again) == []
    assert (hub._rooms, hub._of_sessions) == ({}, {})
    assert not any(hub._lacking.values())


async def test_an_owner_lacks_each_topic_until_that_is_told_and_is_named_once(hub: Hub) -> None:
    asking = asyncio.create_task(hub.lacking(Topic.RUNS, 16))
    await asyncio.sleep(0)
    with hub.seat("guest:a", "s", here), hub.seat("guest:b", "t", here), hub.seat("guest:b", "t", here):
        assert await asking == ["guest:a", "guest:b"]
        hub.tell("guest:a", Topic.RUNS, value(1))
        for owner in ("guest:a", "guest:b", "guest:c"):
            hub.still_lacking(owner, Topic.RUNS)
        assert await hub.lacking(Topic.RUNS, 16) == ["guest:b"]
        hub.tell("guest:a", Topic.SETTINGS, value(1))
        assert await hub.lacking(Topic.SETTINGS, 16) == ["guest:b"]
        assert [len(await hub.lacking(Topic.RESTORE, 1)) for _ in range(2)] == [1, 1]


async def test_a_session_has_so_many_seats_and_no_more_but_those_who_are_gone_do_not_count(hub: Hub) -> None:
    with ExitStack() as seats:
        for _ in range(MOST_SEATS):
            seats.enter_context(hub.seat("guest:a", "s", gone))
        for _ in range(MOST_SEATS):
            seats.enter_context(hub.seat("guest:a", "s", here))
        with pytest.raises(Problem) as refused, hub.seat("guest:a", "s", here):
            pass
        assert (refused.value.status, refused.value.code) == (429, "too_many_streams")
        assert int(refused.value.headers["Retry-After"]) > 0
        with hub.seat("guest:a", "another", here):
            pass
    with hub.seat("guest:a", "s", here):
        pass


async def test_all_seats_end_when_the_process_lets_everybody_go_also_those_that_are_taken_then(hub: Hub) -> None:
    with hub.seat("guest:a", "s", here) as before:
        waiting = asyncio.create_task(before.news(60))
        await asyncio.sleep(AT_ONCE)
        before_that = before.ended
        hub.close()
        with hub.seat("guest:b", "t", here) as after:
            assert (before_that, before.ended, after.ended) == (False, True, True)
            assert await asyncio.wait_for(waiting, 1) == []


@pytest.mark.parametrize("back", [True, False], ids=["their feed is back", "one has changed"])
async def test_a_seat_hears_when_its_session_is_to_be_looked_at_and_of_nothing_else(hub: Hub, back: bool) -> None:
    with hub.seat("guest:a", "s", here) as seat:
        looking = asyncio.create_task(seat.sessions_touched(60))
        hub.tell("guest:a", Topic.RUNS, value(1))
        hub.tell("guest:b", Topic.SESSIONS, value(1))
        await asyncio.sleep(AT_ONCE)
        assert not looking.done()
        if back:
            hub.recheck_sessions()
        else:
            hub.tell("guest:a", Topic.SESSIONS, value(1))
        await asyncio.wait_for(looking, 1)
        await asyncio.wait_for(seat.sessions_touched(AT_ONCE), 1)
