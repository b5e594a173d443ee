"""Combined restore: one document into several services, all or nothing."""

import asyncio
import sqlite3
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass
from typing import Any

import structlog
from pydantic import SecretStr

from chassis.problems import Problem, unavailable
from gateway import outcomes
from gateway.archive import FORMS
from gateway.distribution import distribute, in_good_time
from gateway.idempotency import Fingerprint
from gateway.journal import Journal, lapsed, under_way
from gateway.operations import Kind, Operation, Stage
from gateway.outcomes import Answers
from gateway.services import Services

log = structlog.get_logger()

RECOVERY_SECONDS = 1.0
Found = dict[str, Any]


@dataclass(frozen=True)
class Order:
    """What a client asks for. `name` is the id that it chose, `fingerprint` tells this request from another."""

    owner: str
    mode: str
    fingerprint: Fingerprint
    dry_run: bool = False
    name: str | None = None
    passphrase: SecretStr | None = None


async def restore(upload: AsyncIterable[bytes], order: Order, services: Services, journal: Journal) -> dict[str, Any]:
    """Make every service hold the document's state, or leave all as they were.

    1 read and stage beside the live data   2 decide, durably   3 commit everywhere   4 tell what came in
    """
    if (earlier := await decided_before(order, journal)) is not None:
        return await answer_again(earlier, upload, order, services)
    operation = await journal.begin(
        order.owner, Kind.DRY_RUN if order.dry_run else Kind.RESTORE, order.mode, order.name
    )
    async with journal.leased(operation):
        try:
            plans, found = await stage(upload, operation, order, services, journal)
            if order.dry_run:
                return await forgo(operation, outcomes.preview(operation, plans, found), services, journal)
            operation = await decide(operation, found, order.fingerprint.made(), journal)
        except BaseException as failure:
            await abort(operation, services, journal, outcomes.failed(failure))
            raise
        return await complete(operation, services, journal)


async def stage(
    upload: AsyncIterable[bytes], operation: Operation, order: Order, services: Services, journal: Journal
) -> tuple[Answers, Found]:
    """Every service's plan, and what could not be used. Raises Problem: then nothing may be decided."""
    document = _fingerprinted(upload, order.fingerprint)
    reader, plans = await distribute(document, operation, services, journal, order.passphrase)
    found = outcomes.found_in(reader.refusals, plans)
    if order.mode == "replace":
        outcomes.refuse_refusals(reader.refusals, plans, found)
    if order.mode != "replace" or not reader.carried:
        outcomes.refuse_empty(plans, found, FORMS)
    return plans, found


async def decide(operation: Operation, found: Found, fingerprint: str | None, journal: Journal) -> Operation:
    """From here it only goes forward. Raises Problem where another gateway has aborted it meanwhile."""
    if (decided := await journal.decide(operation, found, fingerprint)) is None:
        raise lapsed()
    return decided


async def complete(operation: Operation, services: Services, journal: Journal) -> dict[str, Any]:
    """Commit everywhere, then tell. Raises Problem 503 where that cannot be done now: recovery tries until it is."""
    try:
        answers = await commit(operation, services)
        tell = outcomes.undone if operation.kind is Kind.UNDO else outcomes.restored
        outcome = await with_settings(tell(operation, answers), operation.owner, services)
        await journal.move(operation, Stage.DONE, outcomes.without_content(outcome))
    except (Problem, sqlite3.Error) as error:
        log.warning("commit_waits", operation=operation.id, reason=str(error))
        detail = "This is decided and will be completed by itself; there is no need to repeat it."
        raise unavailable("restore_completing", detail) from error
    return outcome


async def commit(operation: Operation, services: Services) -> Answers:
    """In the order of services.KEEPERS: settings are small, so they are in place first. Repeating it does no harm."""
    return {keeper.name: await keeper.commit(operation) for keeper in services.taking_part(operation)}


async def forgo(operation: Operation, preview: dict[str, Any], services: Services, journal: Journal) -> dict[str, Any]:
    """End a dry run: nothing of it stays but its outcome."""
    await abort(operation, services, journal, preview)
    return await with_settings(preview, operation.owner, services)


async def abort(operation: Operation, services: Services, journal: Journal, outcome: dict[str, Any]) -> None:
    """Take back what was staged, unless it was decided already. What cannot be done now is left to recovery."""
    try:
        await take_back(operation, services, journal, outcome)
    except (Problem, sqlite3.Error) as error:
        log.warning("abort_waits", operation=operation.id, reason=str(error))


async def take_back(
    operation: Operation, services: Services, journal: Journal, outcome: dict[str, Any] | None = None
) -> None:
    """Abort in every service that takes part. Raises Problem where one does not answer, when all have been told."""
    if (aborting := await journal.abort(operation, outcome)) is None:
        return
    aborts = (keeper.abort(aborting) for keeper in services.taking_part(aborting))
    for answer in await asyncio.gather(*aborts, return_exceptions=True):
        if isinstance(answer, BaseException):
            raise answer
    await journal.move(aborting, Stage.ABORTED)


async def recover(services: Services, journal: Journal) -> None:
    """For ever: finish what was decided and abort what was not, of operations whose gateway is no longer at work.

    Each by itself, so that a service that hangs keeps only those waiting that need it.
    """
    async with asyncio.TaskGroup() as settling:
        while True:
            await asyncio.sleep(RECOVERY_SECONDS)
            try:
                while (operation := await journal.take_lapsed()) is not None:
                    settling.create_task(settle(operation, services, journal))
            except sqlite3.Error as error:
                log.warning("recovery_waits", reason=str(error))


async def settle(operation: Operation, services: Services, journal: Journal) -> None:
    """Bring an operation that was left alone to its end, or leave it to the next round."""
    log.info("operation_recovered", operation=operation.id, stage=operation.stage)
    async with journal.leased(operation):
        try:
            if operation.stage is Stage.COMMITTING:
                await complete(operation, services, journal)
            else:
                await take_back(operation, services, journal, outcomes.failed(outcomes.given_up()))
        except Exception as error:  # whatever it is, the others have to be settled all the same
            log.warning("recovery_waits", operation=operation.id, reason=str(error) or type(error).__name__)


async def decided_before(order: Order, journal: Journal) -> Operation | None:
    """The operation that this order repeats. Raises Problem 409 while that is still being put in place."""
    entry = await journal.entry(order.owner, order.name) if order.name is not None and not order.dry_run else None
    if entry is None or entry.operation.stage in (Stage.ABORTING, Stage.ABORTED):
        return None
    if entry.operation.stage is not Stage.DONE:
        raise under_way()
    return entry.operation


async def answer_again(
    earlier: Operation, upload: AsyncIterable[bytes], order: Order, services: Services
) -> dict[str, Any]:
    """The answer that was given, once the body is known to be the same. Raises Problem 422 where it is another."""
    async for _ in _fingerprinted(in_good_time(upload), order.fingerprint):
        pass
    if not order.fingerprint.is_that_of(earlier.fingerprint):
        detail = f"The Idempotency-Key {earlier.name!r} was used for another request; choose a new one."
        raise Problem(422, "idempotency_key_reused", detail)
    return await with_settings(earlier.outcome or {}, earlier.owner, services)


async def with_settings(outcome: dict[str, Any], owner: str, services: Services) -> dict[str, Any]:
    """The outcome and the settings as it left them or, of a dry run, as they are."""
    return outcome | {"settings": await services.settings.profile(owner, outcome.get("settings"))}


async def _fingerprinted(upload: AsyncIterable[bytes], fingerprint: Fingerprint) -> AsyncIterator[bytes]:
    async for chunk in upload:
        fingerprint.update(chunk)
        yield chunk
