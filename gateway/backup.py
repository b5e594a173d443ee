"""Combined backup: everything of one owner as one JSON document, streamed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Final

from chassis.documents import write
from chassis.problems import unavailable
from gateway.journal import Journal
from gateway.services import Services

SCHEMA_VERSION: Final = "2026-11-23"
TRIES: Final = 40
PAUSE_SECONDS: Final = 0.25


async def backup(owner: str, services: Services, journal: Journal) -> AsyncIterator[bytes]:
    """The document, in pieces. Raises Problem before the first piece where a service does not answer.

    1 open one read transaction in every service   2 make sure that no restore fell between them
    3 write section after section
    """
    async with AsyncExitStack() as open_streams:
        parts = await open_parts(owner, services, journal, open_streams)
        head = {"schema_version": SCHEMA_VERSION, "exported_at": datetime.now(UTC).isoformat()}
        yield write(head)[:-1] + b',"settings":' + await anext(parts["settings"])
        for section, part in (("history", "settings"), ("runs", "runs"), ("api_credentials", "vault")):
            yield b',"%s":[' % section.encode()
            async for piece in _joined(parts[part]):
                yield piece
            yield b"]"
        yield b"}\n"


async def open_parts(
    owner: str, services: Services, journal: Journal, open_streams: AsyncExitStack
) -> dict[str, AsyncIterator[bytes]]:
    """A stream of each service's part, all of one moment: a restore that is being committed is waited for."""
    keepers = {"settings": services.settings, "runs": services.runs, "vault": services.vault}
    for _ in range(TRIES):
        before = await journal.last_change(owner)
        if not await journal.commit_under_way(owner):
            async with AsyncExitStack() as attempt:
                streams = {
                    name: await attempt.enter_async_context(keeper.hand_out(owner)) for name, keeper in keepers.items()
                }
                parts = {name: await _opened(lines) for name, lines in streams.items()}
                if await journal.last_change(owner) == before:
                    open_streams.push_async_callback(attempt.pop_all().aclose)
                    return parts
        await asyncio.sleep(PAUSE_SECONDS)
    raise unavailable("restore_under_way", "A restore of this profile is being put in place; try again in a moment.")


async def _opened(lines: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same lines, once the first is here: with it the service's view of its file is fixed."""
    first = await anext(lines, None)

    async def all_lines() -> AsyncIterator[bytes]:
        if first is not None:
            yield first
        async for line in lines:
            yield line

    return all_lines()


async def _joined(lines: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    comma = b""
    async for line in lines:
        yield comma + line
        comma = b","
