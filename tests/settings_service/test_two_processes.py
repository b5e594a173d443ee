"""Devices that patch through two real processes over one file, one of which is killed: every edit is there, once."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp

from chassis.once import KEYS_HEADER, NAME_HEADER
from chassis.peers import Caller, Scope, Signer
from settings_service.models import DEFAULTS
from tests.processes import free_ports
from tests.settings_service.support import check_file, told
from tests.settings_service.test_store import answering, process, versions_of

EDITS = 120


async def test_edits_of_other_keys_sent_until_they_are_answered_each_make_one_version_also_when_one_process_is_killed(
    tmp_path: Path, file: Path, gateway_url: str, signer: Signer
) -> None:
    ports = list(free_ports(2))
    token = signer.token(Caller("guest:a", Scope.OWNER), "settings")
    answered: dict[int, list[int]] = {n: [] for n in range(EDITS)}
    enough = asyncio.Event()

    async def send(http: aiohttp.ClientSession, port: int, number: int) -> None:
        headers = {"Authorization": f"Bearer {token}", NAME_HEADER: f"edit-{number}", KEYS_HEADER: "ab" * 32}
        url = f"http://127.0.0.1:{port}/api/settings?base=1"
        async with http.patch(url, json={f"key {number}": value_of(number)}, headers=headers) as answer:
            answered[number].append((await told(answer))["version"])
        if len([each for each in answered.values() if each]) > EDITS // 3:
            enough.set()

    async def edit(http: aiohttp.ClientSession, number: int) -> None:
        """Sent to both at once, as by a gateway that tries again, and once more to the one that lives."""
        first = await asyncio.gather(*(send(http, port, number) for port in ports), return_exceptions=True)
        assert all(each is None or isinstance(each, aiohttp.ClientError) for each in first), first
        await send(http, ports[0], number)

    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession())
        _, killed = [await stack.enter_async_context(process(tmp_path, gateway_url, port)) for port in ports]
        await asyncio.gather(*(answering(http, port) for port in ports))
        edits = [asyncio.create_task(edit(http, n)) for n in range(EDITS)]
        await enough.wait()
        killed.kill()
        await asyncio.gather(*edits)
        async with http.get(
            f"http://127.0.0.1:{ports[0]}/api/settings", headers={"Authorization": f"Bearer {token}"}
        ) as answer:
            shown = await told(answer)
    assert shown["settings"] == DEFAULTS | {f"key {n}": value_of(n) for n in range(EDITS)}
    assert shown["version"] == EDITS + 1
    assert versions_of(file, "guest:a") == list(range(1, EDITS + 2)), "an edit made more than one version"
    assert all(len(set(versions)) == 1 for versions in answered.values()), "a repeat was given another answer"
    assert sorted(versions[0] for versions in answered.values()) == list(range(2, EDITS + 2))
    check_file(file)


def value_of(number: int) -> dict[str, Any]:
    """What the edit with this number puts in place."""
    return {"n": number, "text": "x" * (number % 7)}
