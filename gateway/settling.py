"""How an operation over several services comes to its end, whoever began it: decided and committed, or taken back."""

import asyncio
import sqlite3
from typing import Any, Final

import structlog

from chassis import tracing
from chassis.problems import Problem, unavailable
from gateway import outcomes
from gateway.journal import Journal
from gateway.operations import NOT_IN_PLACE, OF_OWNERS, Kind, Operation, Stage
from gateway.outcomes import Answers
from gateway.refusals import lapsed, under_way
from gateway.services import Services

log = structlog.get_logger()

RECOVERY_SECONDS = 1.0
UNKNOWN_THERE: Final = frozenset({"not_staged", "restore_aborted", "unknown_restore"})  # what no waiting mends


class Lost(Problem):
    """409: decided, and a service does not know what it had staged for it."""

    def __init__(self) -> None:
        reason = (
            "A service does not know what it had staged for this: an older copy of its file was put back meanwhile."
        )
        advice = "What the others had is in place; restore the document once more."
        super().__init__(409, "operation_failed", f"{reason} {advice}")


async def decided_before(owner: str, name: str | None, journal: Journal) -> Operation | None:
    """The operation that is asked for again under its name. Raises Problem 409 while that is being put in place."""
    entry = await journal.entry(owner, name) if name is not None else None
    if entry is None or entry.operation.stage in NOT_IN_PLACE:
        return None
    if entry.operation.stage is not Stage.DONE:
        raise under_way()
    return entry.operation


async def decide(operation: Operation, found: dict[str, Any], fingerprint: str | None, journal: Journal) -> Operation:
    """From here it only goes forward. Raises Problem where another gateway has aborted it meanwhile."""
    if (decided := await journal.decide(operation, found, fingerprint)) is None:
        raise lapsed()
    return decided


async def complete(operation: Operation, services: Services, journal: Journal) -> dict[str, Any]:
    """Commit everywhere, then tell. Raises Problem 503 where that cannot be done now: recovery tries until it is."""
    try:
        return await finish(operation, services, journal)
    except (Problem, sqlite3.Error) as error:
        if isinstance(error, Lost):
            raise
        log.warning("commit_waits", operation=operation.id, reason=str(error))
        raise completing(error, operation.kind if operation.kind in OF_OWNERS else Kind.RESTORE) from error


def completing(error: Exception, kind: str = Kind.RESTORE) -> Problem:
    """503: nothing is left to do but wait, for the service that `error` names if it names one."""
    missing = {"service": error.extra["service"]} if isinstance(error, Problem) and "service" in error.extra else {}
    when = f" once the {missing['service']} service answers" if missing else ""
    then = "sign in again then." if kind == Kind.ADOPTION else "there is no need to repeat it."
    detail = f"This is decided and will be completed by itself{when}; {then}"
    return unavailable(f"{kind}_completing", detail, **missing)


async def finish(operation: Operation, services: Services, journal: Journal) -> dict[str, Any]:
    """Raises Lost, once that stands in the journal."""
    if operation.kind in OF_OWNERS:
        return await finish_for_owner(operation, services, journal)
    try:
        answers = await commit(operation, services)
    except Lost as lost:
        log.error("operation_failed", operation=operation.id, reason=str(lost.__cause__))
        await journal.move(operation, Stage.FAILED, outcomes.failed(lost))
        raise
    tell = outcomes.undone if operation.kind is Kind.UNDO else outcomes.restored
    outcome = await with_settings(tell(operation, answers), operation.owner, services)
    await journal.move(operation, Stage.DONE, outcomes.without_content(outcome))
    return outcome


async def finish_for_owner(operation: Operation, services: Services, journal: Journal) -> dict[str, Any]:
    """Have a guest's things taken over, or an owner's erased, everywhere; repeating it does no harm."""
    if operation.kind is Kind.ADOPTION:
        outcome = await adopt_everywhere(operation, services)
    else:
        outcome = await erase_everywhere(operation, services, await journal.guests_of(operation.owner))
    if operation.repeats is None and operation.kind is not Kind.SWEEP:
        await journal.end_and_repeat(operation, outcome)
        return outcome
    await journal.move(operation, Stage.DONE, outcome)
    if operation.kind is not Kind.ADOPTION:
        await journal.forget(operation.owner, but=operation.id if operation.kind is Kind.DELETION else None)
    return outcome


async def adopt_everywhere(operation: Operation, services: Services) -> dict[str, Any]:
    return outcomes.adopted({keeper.name: await keeper.adopt(operation) for keeper in services.keepers()})


async def erase_everywhere(operation: Operation, services: Services, guests: list[str]) -> dict[str, Any]:
    """The sessions first: who has none can write nothing more. Of the guests that the owner once was, what stayed."""
    for peer in (services.auth, *services.keepers()):
        for owner in (operation.owner, *guests):
            await peer.erase(owner)
    return {"deleted": True}


async def commit(operation: Operation, services: Services) -> Answers:
    """In the order of `taking_part`. Repeating it does no harm: a service gives its first answer again.

    Raises Lost where a service never heard of it, when all others have committed.
    """
    answers: Answers = {}
    failure: Problem | None = None
    for keeper in services.taking_part(operation):
        try:
            answers[keeper.name] = await keeper.commit(operation)
        except Problem as problem:
            if problem.code not in UNKNOWN_THERE:
                raise
            failure = problem  # what the others have staged goes in all the same
    if failure is not None:
        raise Lost from failure
    return answers


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
            taken: list[Operation] = []  # all before the first is settled: what fails at once would be taken again
            try:
                while (operation := await journal.take_lapsed()) is not None:
                    taken.append(operation)
            except Exception as error:  # nobody else would start this again
                log.warning("recovery_waits", reason=str(error) or type(error).__name__)
            for operation in taken:
                settling.create_task(settle(operation, services, journal))


async def settle(operation: Operation, services: Services, journal: Journal) -> None:
    """Bring an operation that was left alone to its end, or leave it to the next round."""
    tracing.begin()
    log.info("operation_recovered", operation=operation.id, stage=operation.stage)
    async with journal.leased(operation):
        try:
            if operation.stage is Stage.COMMITTING:
                await complete(operation, services, journal)
            else:
                await take_back(operation, services, journal, outcomes.failed(outcomes.given_up()))
        except Exception as error:  # whatever it is, the others have to be settled all the same
            log.warning("recovery_waits", operation=operation.id, reason=str(error) or type(error).__name__)


async def with_settings(outcome: dict[str, Any], owner: str, services: Services) -> dict[str, Any]:
    """The outcome and the settings as it left them or, of a dry run, as they are."""
    return outcome | {"settings": await services.settings.profile(owner, outcome.get("settings"))}
