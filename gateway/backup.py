"""Combined backup: everything of one owner as one JSON document, streamed."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Final

import orjson
from pydantic import SecretStr

from chassis.documents import write
from chassis.problems import unavailable
from gateway.journal import Journal
from gateway.manifest import Tally
from gateway.services import Services

SCHEMA_VERSION: Final = "2026-11-23"
TRIES: Final = 40
PAUSE_SECONDS: Final = 0.25
PIECE: Final = 256 << 10  # bytes: enough that sending and coding a piece cost little beside what is in it
LISTED: Final = (("history", "settings"), ("runs", "runs"), ("api_credentials", "vault"))

Parts = dict[str, AsyncIterator[bytes]]


async def backup(
    owner: str, services: Services, journal: Journal, passphrase: SecretStr | None = None
) -> AsyncGenerator[bytes, None]:
    """The document, in pieces. Raises Problem before the first piece where a service does not answer.

    1 take the owner's turn   2 open one read transaction in every service, with no restore falling between them
    3 write section after section, and last the manifest of what was written
    """
    async with journal.one_backup(owner), AsyncExitStack() as open_streams:
        parts = await open_parts(owner, services, journal, open_streams, passphrase)
        sealed = await anext(parts["vault"]) if passphrase is not None else None
        tally = Tally()
        head = {"schema_version": SCHEMA_VERSION, "exported_at": datetime.now(UTC).isoformat()}
        yield write(head)[:-1]
        yield _single("settings", await anext(parts["settings"]), tally)
        for section, keeper in LISTED:
            async for piece in _list(section, parts[keeper], tally):
                yield piece
        if sealed is not None:
            yield _single("sealed_api_keys", sealed, tally)
        yield b',"manifest":' + write(tally.manifest()) + b"}\n"


async def open_parts(
    owner: str, services: Services, journal: Journal, open_streams: AsyncExitStack, passphrase: SecretStr | None
) -> Parts:
    """A stream of each service's part, all of one moment: a restore that is being committed is waited for."""
    for _ in range(TRIES):
        before = await journal.steps(owner)
        if not await journal.commit_under_way(owner):
            async with AsyncExitStack() as attempt:
                streams = {
                    "settings": services.settings.hand_out(owner),
                    "runs": services.runs.hand_out(owner),
                    "vault": services.vault.hand_out(owner, passphrase),
                }
                parts = {name: await _opened(await attempt.enter_async_context(it)) for name, it in streams.items()}
                if await journal.steps(owner) == before:
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


def _single(section: str, line: bytes, tally: Tally) -> bytes:
    tally.add(section, orjson.loads(line))
    return b',"%s":%s' % (section.encode(), line)


async def _list(section: str, lines: AsyncIterator[bytes], tally: Tally) -> AsyncIterator[bytes]:
    """The items of a section, about PIECE bytes of them at a time."""
    tally.open(section)
    held, weight, comma = [b',"%s":[' % section.encode()], 0, b""
    async for line in lines:
        tally.add(section, orjson.loads(line))
        held += (comma, line)
        weight += len(line)
        comma = b","
        if weight > PIECE:
            yield b"".join(held)
            held, weight = [], 0
    yield b"".join((*held, b"]"))
