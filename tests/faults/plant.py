"""The real processes, a passage before each service that keeps a part, and a second gateway when asked for."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final

from tests.faults.files import at_rest
from tests.faults.passage import Passage, passage
from tests.processes import Stack, answers

PASSAGES: Final = ("settings", "runs", "vault")  # those that take part in a restore
FIRST, SECOND = "gateway", "gateway-2"
PROCESSES: Final = (FIRST, "auth_service", "settings_service", "runs_service", "vault_service")
LEASE_SECONDS: Final = 1.0


class Plant:
    """`passages` are named for the services behind them. Made by `plant`."""

    def __init__(self, stack: Stack, passages: dict[str, Passage]) -> None:
        self.stack, self.passages, self.data = stack, passages, stack.data

    async def run_gateways(self, number: int) -> None:
        if number == 1 and self.stack.is_running(SECOND):
            await asyncio.to_thread(self.stack.stop, SECOND)
        if number == 2 and not self.stack.is_running(SECOND):
            await self.start(SECOND)

    async def start(self, *names: str) -> None:
        await asyncio.to_thread(self.stack.start, *names)

    async def kill(self, name: str) -> None:
        self.stack.kill(name)

    async def come_back(self, victim: str) -> None:
        """Start what was killed and return when all is at rest; a second gateway has to see to that by itself."""
        if victim == FIRST and self.stack.is_running(SECOND):
            await at_rest(self.data)
        await self.start(victim)
        await at_rest(self.data)

    async def put_right(self) -> None:
        """Whatever went wrong before, which hypothesis repeats to understand it: all run, and no accident waits."""
        for each in self.passages.values():
            each.expect_nothing()
        for name in PROCESSES:
            if not self.stack.is_running(name):
                await self.start(name)

    def check_nobody_died(self) -> None:
        assert all(self.stack.is_running(name) for name in PROCESSES)
        assert answers(f"{self.stack.url}/health/live")


@asynccontextmanager
async def plant(
    folder: Path, environment: Mapping[str, str] = MappingProxyType({}), *, log: Path | None = None
) -> AsyncIterator[Plant]:
    """`log` is where all processes write their lines, if not to a file of the folder."""
    async with AsyncExitStack() as opened:
        passages = {name: await opened.enter_async_context(passage()) for name in (*PASSAGES, "auth")}
        urls = {f"ANIMATIZE_{name.upper()}_URL": each.url for name, each in passages.items()}
        stack = Stack(folder, 2, ANIMATIZE_LEASE_SECONDS=str(LEASE_SECONDS), **urls, **environment)
        stack.log = log or stack.log
        for name, each in passages.items():
            each.target = stack.url_of(f"{name}_service")
        try:
            await asyncio.to_thread(stack.start, *PROCESSES)
            yield Plant(stack, passages)
        finally:
            await asyncio.to_thread(stack.stop)
