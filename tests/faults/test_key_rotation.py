"""The root secret is changed while people are at work: in the order of docs/secrets.md nobody notices."""

import asyncio
import json
import secrets
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr

from tests.faults.files import rows
from tests.faults.load import PAUSE_SECONDS, Person, Request
from tests.faults.test_rolling_restart import OnePort
from tests.processes import ROOT, Stack, free_ports
from vault_service.disclosure import mask

OLD_SECRET: Final = "the root secret before the rotation of forty-odd characters"
NEW_SECRET: Final = "the root secret after the rotation of forty-odd characters"
KEYS: Final = "/api/settings/api-keys"
PEOPLE: Final = 3
STEPS: Final[tuple[dict[str, str], ...]] = (
    {"ANIMATIZE_SECRET_KEY": OLD_SECRET, "ANIMATIZE_SECRET_KEY_PREVIOUS": NEW_SECRET},
    {"ANIMATIZE_SECRET_KEY": NEW_SECRET, "ANIMATIZE_SECRET_KEY_PREVIOUS": OLD_SECRET},
    {"ANIMATIZE_SECRET_KEY": NEW_SECRET, "ANIMATIZE_SECRET_KEY_PREVIOUS": ""},
)


class Owner(Person):
    """Keeps provider keys beside settings, and knows the last of each that was acknowledged."""

    def __init__(self, url: str, requests: list[Request]) -> None:
        super().__init__(url, requests)
        self._turns = count()
        self.keys: dict[str, str] = {}

    async def settle_in(self) -> None:
        await self._save_key("flux", "a key that stays as it is")

    async def save_key(self) -> None:
        await self._save_key("veo", f"{secrets.token_hex(2)} of turn {next(self._turns)} {secrets.token_hex(2)}")

    async def look_at_keys(self) -> None:
        for path in (KEYS, "/api/providers"):
            told = await self._ask("GET", path)
            assert b"corrupted" not in (told or b"")

    async def check(self) -> None:
        await super().check()
        told = json.loads(await self._ask("GET", KEYS) or b"")
        shown = {row["provider"]: row["masked"] for row in told["api_keys"] if row["configured"]}
        assert shown == {provider: mask(SecretStr(key)) for provider, key in self.keys.items()}

    async def _save_key(self, provider: str, api_key: str) -> None:
        if await self._ask("PUT", f"{KEYS}/{provider}", json={"api_key": api_key}):
            self.keys[provider] = api_key


@asynccontextmanager
async def at_work(url: str) -> AsyncIterator[list[Request]]:
    """Everybody reads and writes settings, runs and keys until the end; then it is checked what became of it."""
    requests: list[Request] = []
    ended = asyncio.Event()
    async with AsyncExitStack() as opened:
        people = [await opened.enter_async_context(Owner(url, requests)) for _ in range(PEOPLE)]
        for each in people:
            await each.settle_in()

        async def go_on(act: Any) -> None:
            while not ended.is_set():
                await act()
                await asyncio.sleep(PAUSE_SECONDS)

        acts = [act for each in people for act in (each.save_key, each.look_at_keys, each.save_settings, each.look)]
        tasks = [asyncio.create_task(go_on(act)) for act in acts]
        try:
            yield requests
        finally:
            ended.set()
            await asyncio.gather(*tasks)
        for each in people:
            await each.check()


async def rekey(stack: Stack, *arguments: str, **environment: str) -> tuple[int, Any]:
    """The operator's command, with the environment of the vault."""
    given = stack.shared_with("vault_service") | environment
    command = [sys.executable, "-m", "vault_service.rekey", "--json", *arguments]
    done = await asyncio.to_thread(subprocess.run, command, cwd=ROOT, env=given, capture_output=True, check=False)
    return done.returncode, json.loads(done.stdout)


@contextmanager
def started(stack: Stack) -> Iterator[Stack]:
    try:
        stack.start()
        yield stack
    finally:
        stack.stop(with_signal=signal.SIGINT)


class TwoVaults(OnePort):
    """Two gateways at one address, of which only one can be asked for its keys at a time, and two vaults."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        (self.ports["vault_service-2"],) = free_ports(1)
        vaults = [self.url_of(name) for name in ("vault_service", "vault_service-2")]
        self._environment |= {"ANIMATIZE_VAULT_URL": ",".join(vaults), "ANIMATIZE_SECRET_KEY": OLD_SECRET}


async def test_in_the_order_of_the_page_a_new_root_secret_costs_no_request(tmp_path: Path) -> None:
    """1 the new one as a previous one, everywhere   2 swapped, everywhere   3 rekey   4 the old one dropped"""
    with started(TwoVaults(tmp_path)) as stack:
        async with at_work(stack.url) as requests:
            announced, swapped, dropped = STEPS
            await restarted_one_by_one(stack, announced)
            await restarted_one_by_one(stack, swapped)
            code, told = await rekey(stack, **swapped)
            assert (code, told["done"], told["left"], len(told["free"])) == (0, True, {}, 1)
            assert told["rewrapped"] >= PEOPLE
            await restarted_one_by_one(stack, dropped)
            assert (await rekey(stack, "--status", **dropped))[0] == 0
        assert [each for each in requests if each.failed] == []
        assert len(requests) > 200
        assert len(set(rows(stack.data, "vault", "SELECT key_id FROM api_keys"))) == 1


async def restarted_one_by_one(stack: Stack, environment: dict[str, str]) -> None:
    """One gateway and one vault at a time: the others serve meanwhile, with what they were started with."""
    for suffix in ("", "-2"):
        await restarted(stack, environment, f"gateway{suffix}", f"vault_service{suffix}")
        await asyncio.sleep(0.5)


async def restarted(stack: Stack, environment: dict[str, str], *names: str) -> None:
    await asyncio.to_thread(stack.stop, *names)
    await asyncio.to_thread(partial(stack.start, *names, code=ROOT, **environment))


async def test_the_short_way_costs_what_restarting_a_lone_gateway_costs_and_nothing_more(tmp_path: Path) -> None:
    """Directly to the new one, with the old one as previous: no session ends, no key is lost, nothing is refused."""
    _, swapped, dropped = STEPS
    with started(Stack(tmp_path, ANIMATIZE_SECRET_KEY=OLD_SECRET)) as stack:
        async with at_work(stack.url) as requests:
            for name in ("vault_service", "gateway"):
                await restarted(stack, swapped, name)
            assert (await rekey(stack, **swapped))[0] == 0
            await restarted(stack, dropped, "vault_service")
        failed = [each.outcome for each in requests if each.failed]
        assert set(failed) <= {"ClientConnectorError", "ServerDisconnectedError", "ClientOSError"}, failed
        assert not any(each.failed for each in requests[-50:])


async def test_a_vault_that_is_given_the_new_secret_alone_is_locked_and_loses_nothing(tmp_path: Path) -> None:
    """The mistake to expect: told to the operator, mended by giving the old one as well."""
    _, swapped, dropped = STEPS
    with started(Stack(tmp_path, ANIMATIZE_SECRET_KEY=OLD_SECRET)) as stack:
        requests: list[Request] = []
        async with Owner(stack.url, requests) as owner:
            await owner.settle_in()
            await restarted(stack, dropped, "vault_service")
            await owner.save_key()
            assert requests[-1].outcome == 503
            assert "vault_locked" in stack.log.read_text()
            await restarted(stack, swapped, "vault_service")
            await owner.save_key()
            await owner.check()
