"""Combined restore: one document into several services, all or nothing."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import structlog

from chassis.peers import Caller, Scope
from chassis.problems import FieldError, Problem, unavailable
from chassis.staging import MOST_WARNINGS
from chassis.uploads import BLANK, encode_end, encode_item
from gateway.archive import FORMS, Found, Reader
from gateway.journal import LEASE_SECONDS, Journal, Operation, Stage
from gateway.scanning import Unusable
from gateway.services import Keeper, Services

log = structlog.get_logger()

QUEUED_ITEMS = 4  # read ahead of a service: its upload slows the reading down, so that memory stays bounded
RENEW_SECONDS = LEASE_SECONDS / 3
RECOVERY_SECONDS = 1.0
STALL_SECONDS = 60.0

Answers = dict[str, dict[str, Any]]


async def restore(
    upload: AsyncIterable[bytes], owner: str, mode: str, services: Services, journal: Journal
) -> dict[str, Any]:
    """Make every service hold the document's state, or leave all as they were.

    1 read and stage beside the live data   2 decide, durably   3 commit everywhere   4 tell what came in
    """
    operation = await journal.begin(owner, "restore", mode)
    async with _leased(operation, journal):
        try:
            plans, warnings = await stage(upload, operation, services)
            await decide(operation, journal)
        except BaseException:
            await abort(operation, services, journal)
            raise
        answers = await commit(_at(operation, Stage.COMMITTING), services)
        outcome = tell(operation, answers, plans, warnings)
        await journal.move(_at(operation, Stage.COMMITTING), Stage.DONE, outcome)
    return outcome | {"settings": await _current_settings(owner, services)}


async def stage(
    upload: AsyncIterable[bytes], operation: Operation, services: Services
) -> tuple[Answers, list[FieldError]]:
    """Read the upload as it comes and hand each part to its service. Raises Problem: then nothing may be decided."""
    reader = Reader()
    keepers = participants(services)
    queues = {name: asyncio.Queue[bytes | None](QUEUED_ITEMS) for name in keepers}
    try:
        async with asyncio.TaskGroup() as group:
            staging = {
                name: group.create_task(
                    keeper.stage(operation.id, operation.owner, operation.mode, _lines(queues[name]))
                )
                for name, keeper in keepers.items()
            }
            async for found in _read(upload, reader):
                await queues[_keeper_of(found)].put(encode_item(found.pointer, found.kind, found.value))
            for queue in queues.values():
                await queue.put(None)
    except* (Problem, Unusable) as failures:
        raise _first(failures) from None
    plans = {name: task.result() for name, task in staging.items()}
    warnings = [*reader.warnings, *(warning for plan in plans.values() for warning in plan["warnings"])]
    _refuse_empty(plans, warnings)
    return plans, warnings


async def decide(operation: Operation, journal: Journal) -> None:
    """From here it only goes forward. Raises Problem where another gateway has aborted it meanwhile."""
    if not await journal.move(operation, Stage.COMMITTING):
        detail = "The restore took too long without a sign of life and was given up. Nothing was changed; try again."
        raise Problem(503, "restore_lapsed", detail, headers={"Retry-After": "2"})


async def commit(operation: Operation, services: Services) -> Answers:
    """Commit in every service. Raises Problem 503 where one does not answer: recovery asks it again until it does."""
    try:
        return {
            name: await keeper.commit(operation.id, operation.owner) for name, keeper in participants(services).items()
        }
    except Problem as problem:
        detail = f"The restore is decided and will be completed by itself; there is no need to repeat it. {problem}"
        raise unavailable("restore_completing", detail) from problem


async def abort(operation: Operation, services: Services, journal: Journal) -> None:
    """Take back what was staged, unless it was decided already. What cannot be reached now is left to recovery."""
    if operation.stage is Stage.STAGING and not await journal.move(operation, Stage.ABORTING):
        return
    with suppress(Problem):
        for keeper in participants(services).values():
            await keeper.abort(operation.id, operation.owner)
        await journal.move(_at(operation, Stage.ABORTING), Stage.ABORTED)


async def recover(services: Services, journal: Journal) -> None:
    """For ever: finish what was decided and abort what was not, of operations whose gateway is no longer at work."""
    while True:
        await asyncio.sleep(RECOVERY_SECONDS)
        try:
            while (operation := await journal.take_lapsed()) is not None:
                async with _leased(operation, journal):
                    await settle(operation, services, journal)
        except Exception as error:
            log.warning("recovery_waits", reason=getattr(error, "detail", type(error).__name__))


async def settle(operation: Operation, services: Services, journal: Journal) -> None:
    """Bring an operation that was left alone to its end."""
    log.info("operation_recovered", operation=operation.id, stage=operation.stage)
    if operation.stage is not Stage.COMMITTING:
        return await abort(operation, services, journal)
    answers = await commit(operation, services)
    warnings = [warning for answer in answers.values() for warning in answer["warnings"]]
    await journal.move(operation, Stage.DONE, tell(operation, answers, answers, warnings))
    return None


def tell(operation: Operation, answers: Answers, plans: Answers, warnings: list[FieldError]) -> dict[str, Any]:
    """What came in, in numbers, and what could not be used."""
    restored = {part: number for answer in answers.values() for part, number in answer["restored"].items()}
    unlisted = sum(max(0, plan["warning_count"] - MOST_WARNINGS) for plan in plans.values())
    left_out = unlisted + max(0, len(warnings) - MOST_WARNINGS)
    more: list[FieldError] = [{"pointer": "", "message": f"and {left_out} more like these"}] if left_out else []
    nothing = {"added": 0, "changed": 0, "unchanged": 0, "refused": 0}
    plan = {part: counts for answer in answers.values() for part, counts in answer["plan"].items()}
    return {
        "restore_id": operation.id,
        "restored_runs": restored["runs"],
        "restored_history": restored["history"],
        "restored_keys": restored.get("api_keys", 0),
        "plan": {"api_keys": nothing} | plan,
        "warnings": warnings[:MOST_WARNINGS] + more,
        "restored_at": datetime.now(UTC).isoformat(),
    }


def participants(services: Services) -> dict[str, Keeper]:
    """Who takes part. The order is that of committing: settings are small, so they are in place first."""
    return {"settings": services.settings, "runs": services.runs}


def _keeper_of(found: Found) -> str:
    return "runs" if found.kind == "run" else "settings"


async def _read(upload: AsyncIterable[bytes], reader: Reader) -> AsyncIterator[Found]:
    async for chunk in _in_good_time(upload):
        for found in reader.feed(chunk):
            yield found
    for found in reader.close():
        yield found


async def _in_good_time(upload: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """Raises Problem where nothing arrives for STALL_SECONDS: the owner's next restore must not wait for this one."""
    chunks = aiter(upload)
    while True:
        try:
            async with asyncio.timeout(STALL_SECONDS):
                chunk = await anext(chunks)
        except StopAsyncIteration:
            return
        except TimeoutError:
            detail = f"Nothing more of the document arrived for {STALL_SECONDS:.0f} s. Nothing was changed; try again."
            raise Problem(400, "stalled", detail) from None
        yield chunk


async def _lines(queue: asyncio.Queue[bytes | None]) -> AsyncIterator[bytes]:
    yield BLANK  # aiohttp sends the head of a request with its first piece, and a silent connection is closed
    count = 0
    while (line := await queue.get()) is not None:
        count += 1
        yield line
    yield encode_end(count)


def _refuse_empty(plans: Answers, warnings: list[FieldError]) -> None:
    counts = [counts for plan in plans.values() for counts in plan["plan"].values()]
    if not any(each["added"] + each["changed"] + each["unchanged"] for each in counts):
        detail = f"There is nothing to restore in this document. What can be restored: {FORMS}"
        raise Problem(400, "nothing_to_restore", detail, errors=warnings[:MOST_WARNINGS])


def _first(failures: BaseExceptionGroup[Problem | Unusable]) -> Problem:
    failure: BaseException = failures
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    if isinstance(failure, Problem):
        return failure
    return Problem(400, "unusable_document", f"{failure} Nothing was changed.")


def _at(operation: Operation, stage: Stage) -> Operation:
    return Operation(operation.id, operation.owner, operation.mode, stage)


async def _current_settings(owner: str, services: Services) -> Any:
    return await services.settings.call("GET", "/api/settings", Caller(owner, Scope.OWNER))


@asynccontextmanager
async def _leased(operation: Operation, journal: Journal) -> AsyncIterator[None]:
    """Keep the lease while the block runs, so that no other gateway takes the operation for abandoned.

    Released at the end, however that came: what the block left unfinished is taken up by recovery within a second.
    """

    async def renew() -> None:
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            await journal.renew(operation)

    renewing = asyncio.create_task(renew())
    try:
        yield
    finally:
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)
        await journal.release(operation)
