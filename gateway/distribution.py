"""Hands what a document holds to the services that keep it, each beside its live data, while it is still being read."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from typing import Final

from pydantic import SecretStr

from chassis.problems import Problem, unavailable
from chassis.uploads import BLANK, encode_end, encode_item
from gateway.archive import PART_OF_KIND, Found, Reader
from gateway.journal import Journal
from gateway.operations import Operation
from gateway.outcomes import Answers
from gateway.refusals import lapsed
from gateway.scanning import Unusable
from gateway.services import Services

QUEUED_ITEMS = 4  # read ahead of a service: its upload slows the reading down, so that memory stays bounded
STALL_SECONDS = 60.0
PIECE = 16 << 10  # bytes of the document read at a time
KEEPER_OF: Final = {"settings": "settings", "history": "settings", "runs": "runs", "api_keys": "vault"}


class Uploads:
    """One upload to each service that the document has something for, begun with the first of it."""

    def __init__(
        self,
        group: asyncio.TaskGroup,
        operation: Operation,
        services: Services,
        journal: Journal,
        passphrase: SecretStr | None,
    ) -> None:
        self._group, self._operation, self._services, self._journal = group, operation, services, journal
        self._passphrase = passphrase
        self._queues: dict[str, asyncio.Queue[bytes | None]] = {}
        self._staging: dict[str, asyncio.Task[dict[str, object]]] = {}
        self._carried: frozenset[str] = frozenset()

    async def send(self, found: Found) -> None:
        keeper = KEEPER_OF[PART_OF_KIND[found.kind]]
        await self._put(keeper, encode_item(found.pointer, found.kind, found.value, found.digest))

    async def end(self, carried: frozenset[str]) -> None:
        """The document is read: every service hears which parts it carries, if only as an empty list."""
        self._carried = carried
        for part in carried:
            await self._open(KEEPER_OF[part])
        for keeper in self._queues:
            await self._put(keeper, None)

    def plans(self) -> Answers:
        return {keeper: staging.result() for keeper, staging in self._staging.items()}

    async def _put(self, keeper: str, line: bytes | None) -> None:
        """Raises Problem 503 where the service takes nothing for STALL_SECONDS."""
        queue = await self._open(keeper)
        try:
            async with asyncio.timeout(STALL_SECONDS):
                await queue.put(line)
        except TimeoutError:
            detail = f"The {keeper} service does not answer. Try again."
            raise unavailable("service_unavailable", detail, service=keeper) from None

    async def _open(self, keeper: str) -> asyncio.Queue[bytes | None]:
        if keeper not in self._queues:
            await self._journal.involve(self._operation, keeper)
            self._queues[keeper] = asyncio.Queue(QUEUED_ITEMS)
            passphrase = self._passphrase if keeper == KEEPER_OF["api_keys"] else None
            staged = self._services.keeper(keeper).stage(self._operation, self._lines(keeper), passphrase)
            self._staging[keeper] = self._group.create_task(staged)
        return self._queues[keeper]

    async def _lines(self, keeper: str) -> AsyncIterator[bytes]:
        yield BLANK  # aiohttp sends the head of a request with its first piece, and a silent connection is closed
        count = 0
        while (line := await self._queues[keeper].get()) is not None:
            count += 1
            yield line
        yield encode_end(count, (part for part in self._carried if KEEPER_OF[part] == keeper))


async def distribute(
    upload: AsyncIterable[bytes],
    operation: Operation,
    services: Services,
    journal: Journal,
    passphrase: SecretStr | None = None,
) -> tuple[Reader, Answers]:
    """Read the whole upload; what was found in it, and each service's plan. Raises Problem: nothing may be decided."""
    reader = Reader(opens_keys=passphrase is not None)
    try:
        async with asyncio.TaskGroup() as group:
            uploads = Uploads(group, operation, services, journal, passphrase)
            async for chunk in upload:
                for piece in range(0, len(chunk), PIECE):
                    for found in reader.feed(chunk[piece : piece + PIECE]):
                        await uploads.send(found)
                    await asyncio.sleep(0)  # others have their turn, whatever a document makes of a piece
            for found in reader.close():
                await uploads.send(found)
            await uploads.end(reader.carried)
    except ExceptionGroup as failures:  # not `except*`: in Python 3.11.2 that wraps what it raises in a group again
        expected, unexpected = failures.split((Problem, Unusable))
        if unexpected is not None or expected is None:
            raise
        raise _first(expected) from None
    return reader, uploads.plans()


def _first(failures: ExceptionGroup[Exception]) -> Problem:
    failure: BaseException = failures
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    if isinstance(failure, Problem):
        return lapsed() if failure.code == "restore_aborted" else failure
    return Problem(400, getattr(failure, "code", "unusable_document"), f"{failure} Nothing was changed.")
