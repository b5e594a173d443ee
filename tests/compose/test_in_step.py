"""Two devices of one owner at two gateways, over two containers of a service: in step, and each write done once."""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import AsyncExitStack, aclosing
from typing import Any, Final, NamedTuple

import pytest
from yarl import URL

from tests.compose.console import Console
from tests.compose.scaling import room_for_two_gateways, scaling
from tests.faults.line import Line
from tests.faults.mirror import Mirror

SCALE: Final = {"runs": 2, "settings": 2, "gateway": 2}
WITHIN_SECONDS: Final = 1.0
QUIET_SECONDS: Final = 1.5  # in which a stranger would have heard of it
TOPICS: Final = {"settings", "runs", "api-keys", "sessions", "restore"}
MERGE_PATCH: Final = {"Content-Type": "application/merge-patch+json"}

Events = AsyncGenerator[tuple[str, Any], None]


class Devices(NamedTuple):
    """`here` and `there` have one owner and a gateway each; nobody of them has to do with the stranger."""

    here: Line
    there: Line
    stranger: Line


@pytest.fixture(scope="module")
def scaled(composition: Console) -> Iterator[None]:
    with room_for_two_gateways(composition, SCALE):
        composition.up("--no-recreate", *scaling(**SCALE))
        yield


@pytest.fixture
async def devices(scaled: None, console: Console) -> AsyncIterator[Devices]:
    first, second = console.urls
    async with AsyncExitStack() as opened:
        lines = [Line([url], random.Random(0)) for url in (first, second, second)]
        devices = Devices(*[await opened.enter_async_context(line) for line in lines])
        await devices.here.get("/api/settings")
        await devices.stranger.get("/api/settings")
        devices.there.jar.update_cookies(devices.here.jar.filter_cookies(URL(first)), URL(second))
        yield devices


async def values_of_now(events: Events) -> dict[str, Any]:
    """What is told on connecting: each topic once."""
    told: dict[str, Any] = {}
    while told.keys() < TOPICS:
        topic, value = await anext(events)
        assert topic not in told
        told[topic] = value
    return told


def something_new(topic: str) -> tuple[str, Any]:
    """Where a change of the topic is put, and what."""
    mark = f"at {time.time_ns()}"
    return {
        "settings": ("/api/settings", {"settings": {"here": {"mark": mark}}}),
        "runs": ("/api/runs/told", {"run_id": "told", "mark": mark}),
        "api-keys": ("/api/settings/api-keys/runway", {"api_key": f"a key {mark}"}),
    }[topic]


async def seconds_until_told(events: Events, topic: str, began: float) -> float:
    async with asyncio.timeout(10):
        while (await anext(events))[0] != topic:
            continue
    return time.monotonic() - began


@pytest.mark.parametrize("topic", ["settings", "runs", "api-keys"])
async def test_a_write_at_one_gateway_is_told_at_the_other_and_to_nobody_else(devices: Devices, topic: str) -> None:
    async with aclosing(devices.there.events()) as events, aclosing(devices.stranger.events()) as others:
        await asyncio.gather(values_of_now(events), values_of_now(others))
        for _ in range(4):  # whichever container takes it
            began = time.monotonic()
            await devices.here.put(*something_new(topic))
            if (took := await seconds_until_told(events, topic, began)) > WITHIN_SECONDS:
                pytest.fail(f"{took:.2f} s")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(others), QUIET_SECONDS)


async def test_a_device_that_was_away_takes_what_has_come_and_gone_meanwhile(devices: Devices) -> None:
    away = Mirror(devices.there, random.Random(0))
    for number in range(6):
        await devices.here.put(f"/api/runs/early-{number}", {"run_id": f"early-{number}"})
    await away.follow()
    await devices.here.json("DELETE", "/api/runs/early-1")
    await asyncio.gather(*(devices.here.put(f"/api/runs/late-{n}", {"run_id": f"late-{n}"}) for n in range(12)))
    await devices.here.put("/api/runs/early-2", {"run_id": "early-2", "mark": "written again"})
    await away.follow()
    assert away.runs == {run["run_id"]: run for run in await devices.here.all_runs()}
    assert "early-1" not in away.runs
    await devices.there.json("DELETE", "/api/runs")
    await away.follow()
    assert (away.runs, away.began_anew) == ({}, 0)


async def test_changes_of_two_devices_meet_and_only_those_of_the_same_name_are_a_conflict(devices: Devices) -> None:
    saved = await devices.here.put("/api/settings", {"settings": {"colours": {"text": "black", "paper": "white"}}})
    path = f"/api/settings?base={saved['version']}"
    await devices.here.json("PATCH", path, {"colours": {"text": "blue"}}, headers=MERGE_PATCH)
    both = await devices.there.json("PATCH", path, {"colours": {"paper": "grey"}}, headers=MERGE_PATCH)
    assert both["settings"]["colours"] == {"text": "blue", "paper": "grey"}
    problem = await devices.there.refused("PATCH", path, json={"colours": {"text": "red"}}, headers=MERGE_PATCH)
    assert (problem["status"], problem["code"]) == (409, "conflict")
    assert problem["conflicts"] == [{"path": "/colours/text", "base": "black", "theirs": "blue", "yours": "red"}]
    assert problem["current"] == await devices.here.get("/api/settings")


async def test_a_request_that_is_repeated_at_another_gateway_is_done_once(devices: Devices) -> None:
    headers = {"Idempotency-Key": f"once-{time.time_ns()}"}
    before = await devices.here.all_runs()
    first = await devices.here.json("POST", "/api/runs", {"mark": "once"}, headers=headers)
    again = [await each.json("POST", "/api/runs", {"mark": "once"}, headers=headers) for each in (*devices[:2],) * 3]
    assert again == [first] * 6
    assert len(await devices.there.all_runs()) == len(before) + 1
    problem = await devices.there.refused("POST", "/api/runs", json={"mark": "another"}, headers=headers)
    assert (problem["status"], problem["code"]) == (422, "idempotency_key_reused")
