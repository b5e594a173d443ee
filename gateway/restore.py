"""Combined restore: one document into several services, all or nothing."""

from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from chassis.once import reused
from gateway import outcomes
from gateway.archive import FORMS
from gateway.distribution import distribute
from gateway.idempotency import Fingerprint
from gateway.journal import Journal
from gateway.operations import Kind, Operation
from gateway.outcomes import Answers
from gateway.services import Services
from gateway.settling import abort, complete, decide, decided_before, with_settings

Found = dict[str, Any]


@dataclass(frozen=True)
class Order:
    """What a client asks for. `name` is the id under which it may ask again, which for a dry run nobody needs;
    `fingerprint` tells this request from another."""

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
    if (earlier := await decided_before(order.owner, order.name, journal)) is not None:
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


async def forgo(operation: Operation, preview: dict[str, Any], services: Services, journal: Journal) -> dict[str, Any]:
    """End a dry run: nothing of it stays but its outcome."""
    await abort(operation, services, journal, preview)
    return await with_settings(preview, operation.owner, services)


async def answer_again(
    earlier: Operation, upload: AsyncIterable[bytes], order: Order, services: Services
) -> dict[str, Any]:
    """The answer that was given, once the body is known to be the same. Raises Problem 422 where it is another."""
    async for _ in _fingerprinted(upload, order.fingerprint):
        pass
    if not order.fingerprint.is_that_of(earlier.fingerprint):
        raise reused(earlier.name)
    return await with_settings(earlier.outcome or {}, earlier.owner, services)


async def _fingerprinted(upload: AsyncIterable[bytes], fingerprint: Fingerprint) -> AsyncIterator[bytes]:
    async for chunk in upload:
        fingerprint.update(chunk)
        yield chunk
