"""Which replica is asked: in turn, all that a name leads to, and not those that do not answer."""

import asyncio
import socket
from typing import Any

import pytest

from gateway.replicas import (
    FAILURES,
    HEARD_SECONDS,
    LEAVING_SECONDS,
    LOOK_AGAIN_SECONDS,
    LOOK_UP_SECONDS,
    REST_SECONDS,
    Replica,
    Replicas,
)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Names:
    """What a look-up finds: addresses, or nothing, or it hangs."""

    def __init__(self) -> None:
        self.addresses: list[str] = []
        self.hang = asyncio.Event()
        self.hang.set()
        self.looked_up = 0

    async def getaddrinfo(self, host: str, port: int, **_: Any) -> list[Any]:
        self.looked_up += 1
        await self.hang.wait()
        if not self.addresses:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in self.addresses]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    names = Names()
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", names.getaddrinfo)
    return names


async def bases(replicas: Replicas, number: int) -> list[str]:
    return [(await replicas.next()).base for _ in range(number)]


async def settled(replicas: Replicas) -> list[str]:
    """All, once a look-up that was begun has found them."""
    await replicas.all()
    await asyncio.sleep(0.01)
    return [replica.base for replica in await replicas.all()]


async def fail(replicas: Replicas, replica: Replica, times: int) -> list[bool]:
    return [replicas.failed(replica) for _ in range(times)]


async def test_each_address_has_its_turn() -> None:
    replicas = Replicas(["http://127.0.0.1:1", "http://127.0.0.1:2/", "http://[::1]:3/behind"])
    each = ["http://127.0.0.1:1", "http://127.0.0.1:2", "http://[::1]:3/behind"]
    assert sorted(await bases(replicas, 6)) == sorted(each * 2)


async def test_a_name_is_all_the_addresses_that_it_leads_to(names: Names) -> None:
    names.addresses = ["10.0.0.1", "10.0.0.2"]
    replicas = Replicas(["https://runs:8003"])
    assert sorted(await bases(replicas, 4)) == ["https://10.0.0.1:8003"] * 2 + ["https://10.0.0.2:8003"] * 2
    replica = await replicas.next()
    assert (replica.authority, replica.certified_name) == ("runs:8003", "runs")
    assert names.looked_up == 1


async def test_a_replica_that_was_added_is_found_and_one_that_went_is_forgotten(names: Names, clock: Clock) -> None:
    names.addresses = ["10.0.0.1", "10.0.0.2"]
    replicas = Replicas(["http://runs:8003"], clock)
    assert await settled(replicas) == ["http://10.0.0.1:8003", "http://10.0.0.2:8003"]
    names.addresses = ["10.0.0.2", "10.0.0.3"]
    assert await settled(replicas) == ["http://10.0.0.1:8003", "http://10.0.0.2:8003"]
    clock.now += LOOK_UP_SECONDS
    assert await settled(replicas) == ["http://10.0.0.2:8003", "http://10.0.0.3:8003"]


async def test_while_a_name_cannot_be_looked_up_or_takes_long_the_old_addresses_are_tried(
    names: Names, clock: Clock
) -> None:
    names.addresses = ["10.0.0.1"]
    replicas = Replicas(["http://runs:8003"], clock)
    await settled(replicas)
    names.addresses = []
    clock.now += LOOK_UP_SECONDS
    assert await settled(replicas) == ["http://10.0.0.1:8003"]
    names.hang.clear()
    clock.now += LOOK_UP_SECONDS
    async with asyncio.timeout(1):
        assert await settled(replicas) == ["http://10.0.0.1:8003"]
    names.hang.set()
    await asyncio.sleep(0)


async def test_a_name_that_leads_nowhere_is_an_error_until_it_leads_somewhere(names: Names, clock: Clock) -> None:
    replicas = Replicas(["http://runs:8003"], clock)
    with pytest.raises(socket.gaierror, match="runs:8003"):
        await replicas.next()
    names.addresses = ["10.0.0.1"]
    clock.now += LOOK_UP_SECONDS
    assert (await replicas.next()).base == "http://10.0.0.1:8003"


async def test_a_replica_that_failed_five_times_in_a_row_is_skipped_for_a_second(clock: Clock) -> None:
    replicas = Replicas(["http://127.0.0.1:1", "http://127.0.0.1:2"], clock)
    bad, good = await replicas.all()
    assert await fail(replicas, bad, FAILURES - 1) == [False] * (FAILURES - 1)
    assert bad.base in await bases(replicas, 2)
    assert await fail(replicas, bad, 1) == [True]
    assert await bases(replicas, 4) == [good.base] * 4
    clock.now += REST_SECONDS
    assert (await bases(replicas, 6)).count(bad.base) == 1, "one is enough to find out"
    assert await fail(replicas, bad, 1) == [False], "which is told once"
    assert await bases(replicas, 4) == [good.base] * 4
    replicas.answered(bad)
    assert sorted(await bases(replicas, 4)) == sorted([bad.base, good.base] * 2), "an answer ends the rest"
    assert await fail(replicas, bad, FAILURES - 1) == [False] * (FAILURES - 1)


async def test_an_untried_replica_goes_before_those_that_were_tried(clock: Clock) -> None:
    replicas = Replicas(["http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3"], clock)
    one, two, three = await replicas.all()
    assert [await replicas.next({one, three}) for _ in range(3)] == [two] * 3
    assert {await replicas.next({one, two, three}) for _ in range(3)} == {one, two, three}


async def test_after_a_failure_a_name_is_soon_looked_up_again(names: Names, clock: Clock) -> None:
    names.addresses = ["10.0.0.1"]
    replicas = Replicas(["http://runs:8003"], clock)
    await settled(replicas)
    replicas.failed((await replicas.all())[0])
    names.addresses = ["10.0.0.2"]
    assert await settled(replicas) == ["http://10.0.0.1:8003"]
    clock.now += LOOK_AGAIN_SECONDS
    assert await settled(replicas) == ["http://10.0.0.2:8003"]


async def test_a_process_may_be_leaving_that_says_so_or_was_not_heard_of_just_now(clock: Clock) -> None:
    replicas = Replicas(["http://127.0.0.1:1"], clock)
    (only,) = await replicas.all()
    assert replicas.may_be_leaving(only)
    replicas.answered(only)
    assert not replicas.may_be_leaving(only)
    clock.now += HEARD_SECONDS + 0.01
    assert replicas.may_be_leaving(only)
    replicas.answered(only, leaving=True)
    replicas.answered(only)
    assert replicas.may_be_leaving(only)
    clock.now += LEAVING_SECONDS
    replicas.answered(only)
    assert not replicas.may_be_leaving(only)


async def test_the_only_replica_is_never_skipped(clock: Clock) -> None:
    replicas = Replicas(["http://127.0.0.1:1"], clock)
    (only,) = await replicas.all()
    assert await fail(replicas, only, FAILURES) == [False] * FAILURES
    assert await replicas.next() is only


async def test_that_a_replica_failed_is_remembered_when_its_name_is_looked_up_again(names: Names, clock: Clock) -> None:
    names.addresses = ["10.0.0.1", "10.0.0.2"]
    replicas = Replicas(["http://runs:8003"], clock)
    bad = (await replicas.all())[0]
    await fail(replicas, bad, FAILURES - 1)
    clock.now += LOOK_UP_SECONDS
    await settled(replicas)
    assert await fail(replicas, (await replicas.all())[0], 1) == [True]
