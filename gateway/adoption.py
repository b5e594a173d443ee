"""Signing in: what somebody made as a guest becomes the user's, and only then does the session change."""

import asyncio
import time
from typing import Any, Final

from chassis.problems import Problem
from gateway import outcomes
from gateway.journal import Journal
from gateway.operations import Operation
from gateway.refusals import UNDER_WAY
from gateway.services import Services
from gateway.settling import complete

WAIT_SECONDS: Final = 5.0  # for what the guest is at: another tab that signs in, an import that is nearly done
PAUSE_SECONDS: Final = 0.1


async def sign_in(
    credential: str, token: str | None, user_agent: str, services: Services, journal: Journal
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The answer, and the new session (`{token, session}`). Until it is there, the one of `token` stays as it was.

    1 ask Google's token who it is, and say whose session came with it   2 move what the guest made   3 end the guest's
    session and open the user's
    """
    before = await services.auth.resolve(token) if token is not None else None
    person = await services.auth.verify_google(credential, before)
    adopted = outcomes.nothing_adopted()
    if before is not None and before["owner"].startswith("guest:"):
        if before["wrote"]:
            adopted = await adopt(before["owner"], person["owner"], services, journal)
        else:  # it may be writing its first at this moment
            await journal.postpone_adoption(before["owner"], person["owner"])
    made = await services.auth.sign_in(person["owner"], token, user_agent)
    return {"authenticated": True, "user": person["user"], "adopted": adopted}, made


async def adopt(guest: str, user: str, services: Services, journal: Journal) -> dict[str, Any]:
    """What came along. Raises Problem 503 where a service is away: before anything is moved, if that can be told."""
    await services.refuse_absent()
    operation = await _begin(guest, user, journal)
    async with journal.leased(operation):
        return await complete(operation, services, journal)


async def _begin(guest: str, user: str, journal: Journal) -> Operation:
    """Raises Problem 409 where the guest is still at something after WAIT_SECONDS."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            return await journal.begin_adoption(guest, user)
        except Problem as problem:
            if problem.code != UNDER_WAY or time.monotonic() > deadline:
                raise
        await asyncio.sleep(PAUSE_SECONDS)
