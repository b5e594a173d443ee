"""Undo of a restore: what it replaced comes back, object by object, where nothing was written since."""

from collections.abc import AsyncIterator
from typing import Any

from chassis.uploads import encode_end, encode_item
from gateway import outcomes
from gateway.journal import Journal
from gateway.operations import Operation
from gateway.services import Services
from gateway.settling import abort, complete, decide, decided_before, with_settings


async def undo(
    restore_name: str, owner: str, services: Services, journal: Journal, *, key: str | None = None
) -> dict[str, Any]:
    """Give the owner's latest restore back, in every service that took part in it, or in none.

    1 ask each what there is to give back   2 decide, durably   3 commit everywhere   4 tell what came back

    What was asked for under the same `key` before has its answer again.
    """
    name = f"undo/{restore_name}/{key}" if key is not None else None  # no restore can have such a name
    if (earlier := await decided_before(owner, name, journal)) is not None:
        return await with_settings(earlier.outcome or {}, owner, services)
    operation, undone = await journal.begin_undo(owner, restore_name, name)
    async with journal.leased(operation):
        try:
            for keeper in services.taking_part(operation):
                await keeper.stage(operation, _note(undone))
            operation = await decide(operation, {"restore_id": undone.name}, None, journal)
        except BaseException as failure:
            await abort(operation, services, journal, outcomes.failed(failure))
            raise
        return await complete(operation, services, journal)


async def _note(undone: Operation) -> AsyncIterator[bytes]:
    """The one item of an undo's upload: by what note its new version of the settings is known in the history."""
    yield encode_item("", "note", f"undo:{undone.name}")
    yield encode_end(1)
