"""Several of a service over one file, and two gateways, while people are at work."""

import asyncio
from collections.abc import Iterator
from typing import Final

import pytest
from docker.models.containers import Container

from tests.compose.console import Console, say
from tests.compose.load import PEOPLE, load
from tests.compose.scaling import room_for_two_gateways, scaling
from tests.compose.test_failing import cut_off

SCALE: Final = {"runs": 3, "settings": 3, "gateway": 2}
RESTART_SECONDS: Final = 30
SPREAD_SECONDS: Final = 4.0
HANGING_SECONDS: Final = 12.0  # longer than the gateway waits for an answer
OWN_SHARE: Final = 0.2  # of an even share, which each replica has at least
RECEIVED: Final = "/sys/class/net/eth0/statistics/rx_packets"


@pytest.fixture(scope="module")
def scalable(composition: Console) -> Iterator[None]:
    with room_for_two_gateways(composition, SCALE):
        yield


@pytest.fixture
def many(scalable: None, console: Console) -> Console:
    """The console with as many containers as SCALE says, all of them ready."""
    console.up("--no-recreate", *scaling(**SCALE))
    console.wait_until_ready()
    return console


async def test_scaling_up_under_load_costs_no_request_and_every_replica_has_its_share(
    scalable: None, console: Console
) -> None:
    async with load(console.url) as people:
        await asyncio.to_thread(console.up, "--no-recreate", *scaling(**SCALE))
        await asyncio.to_thread(console.wait_until_ready)
        replicas = {name: console.containers(name) for name in ("runs", "settings")}
        assert {name: len(each) for name, each in replicas.items()} == {"runs": 3, "settings": 3}
        before = received(replicas)
        await people.goes_on(SPREAD_SECONDS)
        after = received(replicas)
    assert people.failures == []
    for name, counts in after.items():
        own = [now - then for now, then in zip(counts, before[name], strict=True)]
        assert min(own) > OWN_SHARE * sum(own) / len(own), (name, own)


async def test_two_gateways_and_three_of_a_service_work_as_one(many: Console) -> None:
    assert [int(url.rpartition(":")[2]) for url in many.urls] == list(many.ports)
    async with load(*many.urls) as people:
        await people.goes_on()
    assert people.failures == []
    assert "database is locked" not in many.logs()


async def test_ending_one_of_three_under_load_costs_no_request(many: Console) -> None:
    async with load(*many.urls) as people:
        for service in ("runs", "settings"):
            await asyncio.to_thread(many.containers(service)[1].restart, timeout=RESTART_SECONDS)
        await asyncio.to_thread(many.wait_until_ready)
    assert people.failures == []


async def test_killing_one_of_three_costs_only_what_was_under_way_there(many: Console) -> None:
    replica = many.containers("settings")[0]
    async with load(*many.urls) as people:
        await asyncio.to_thread(replica.kill)
        await people.goes_on(SPREAD_SECONDS)
        assert len(people.failures) <= PEOPLE, people.failures
        failed = len(people.failures)
        await asyncio.to_thread(replica.start)
        await asyncio.to_thread(many.wait_until_ready)
    assert len(people.failures) == failed, "and coming back costs nothing"


async def test_cutting_one_of_three_off_costs_only_what_was_under_way_there(many: Console) -> None:
    async with load(*many.urls) as people:
        with cut_off(many, "runs"):
            await people.goes_on(HANGING_SECONDS)
        await asyncio.to_thread(many.wait_until_ready)
    assert len(people.failures) <= PEOPLE, people.failures


async def test_one_service_is_upgraded_under_load_without_a_failed_request(many: Console, image: str) -> None:
    """As docs/operating.md tells it: new ones beside the old, then the old ones go."""
    release = f"{image}-next"
    many.engine.images.get(image).tag(release)
    many.environment["ANIMATIZE_IMAGE"] = release
    try:
        async with load(*many.urls) as people:
            await asyncio.to_thread(many.up, "--no-deps", "--no-recreate", "--scale", "runs=6", "runs")
            await asyncio.to_thread(many.up, "--no-deps", "--scale", "runs=3", "runs")
        assert {each.attrs["Config"]["Image"] for each in many.containers("runs")} == {release}
        assert {each.attrs["Config"]["Image"] for each in many.containers("settings", "gateway")} == {image}
    finally:
        many.environment["ANIMATIZE_IMAGE"] = image
        await asyncio.to_thread(many.up, *scaling(**SCALE))
        many.engine.images.remove(release)
    assert people.failures == []


def received(replicas: dict[str, list[Container]]) -> dict[str, list[int]]:
    """How many packets have come to each replica from its network; its own health check goes another way."""
    return {name: [int(say(each, "cat", RECEIVED)) for each in containers] for name, containers in replicas.items()}
