"""An operator restarts one process after the other while people are at work."""

import asyncio
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import psutil
import pytest

from tests.faults.files import at_rest, check_files
from tests.faults.load import Request, load
from tests.processes import SERVICES, Stack

GATEWAYS: Final = ("gateway", "gateway-2")
PROCESSES: Final = (*SERVICES, *GATEWAYS)
WORK_SECONDS: Final = 1.0  # between two restarts
STILL_UNDER_WAY: Final = ("/api/settings/restore", 409)  # what a killed gateway had begun has to be taken over first
# Where the addresses of each process begin, by its name: of the gateway's and the auth service's all do.
ADDRESSES: Final = {
    "settings_service": ("/api/settings",),
    "runs_service": ("/api/runs", "/api/settings/restore"),
    "vault_service": ("/api/providers",),
}


class Kill(NamedTuple):
    process: str
    moment: float

    def may_cost(self, request: Request) -> bool:
        """Whether the request was in flight at that process."""
        return request.in_flight_at(self.moment) and request.path.startswith(ADDRESSES.get(self.process, "/api"))


class OnePort(Stack):
    """Both gateways are at one address."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, 2, ANIMATIZE_SHARE_PORT="true", ANIMATIZE_LEASE_SECONDS="1")
        self.ports["gateway-2"] = self.ports["gateway"]
        self._environment["ANIMATIZE_GATEWAY_URL"] = self.url

    def wait_until_ready(self) -> None:
        super().wait_until_ready()
        while not all(self._listens(name) for name in self._running):
            time.sleep(0.02)

    def _listens(self, name: str) -> bool:
        sockets = psutil.Process(self.process_id(name)).net_connections("tcp")
        return any(each.status == psutil.CONN_LISTEN for each in sockets)


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[OnePort]:
    stack = OnePort(tmp_path)
    try:
        stack.start()
        yield stack
    finally:
        stack.stop(with_signal=signal.SIGINT)


async def test_restarting_one_process_after_the_other_costs_no_request(stack: OnePort) -> None:
    async with load(stack.url) as work:
        for name in PROCESSES:
            await asyncio.sleep(WORK_SECONDS)
            await asyncio.to_thread(stack.stop, name)
            await asyncio.to_thread(stack.start, name)
        await asyncio.sleep(WORK_SECONDS)
    assert work.failures() == []
    assert work.restorer.restored > 0
    check_files(stack.data)


async def test_a_killed_process_costs_only_what_was_in_flight_there(stack: OnePort) -> None:
    kills: list[Kill] = []
    async with load(stack.url) as work:
        for name in PROCESSES:
            await asyncio.sleep(WORK_SECONDS)
            kills.append(Kill(name, time.monotonic()))
            stack.kill(name)
            await asyncio.to_thread(stack.start, name)
        await asyncio.sleep(WORK_SECONDS)
        await at_rest(stack.data)
        await work.restorer.restore()
    failures = [each for each in work.failures() if not any(kill.may_cost(each) for kill in kills)]
    assert {(each.path, each.outcome) for each in failures} <= {STILL_UNDER_WAY}
    assert not work.requests[-1].failed
    check_files(stack.data)
