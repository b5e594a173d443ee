"""Everything of an owner goes, in every service: because the owner asked for it, or because a guest never came back."""

import asyncio
import random
import sqlite3
from typing import Final

import structlog

from chassis import tracing
from chassis.problems import Problem
from gateway.journal import Journal
from gateway.operations import Kind
from gateway.services import Services
from gateway.settling import complete

log = structlog.get_logger()

AT_A_TIME: Final = 100


async def erase(owner: str, kind: Kind, services: Services, journal: Journal) -> None:
    """Raises Problem 409 while another operation of the owner is under way, and 503 where a service is away: then it is
    decided all the same, and recovery completes it."""
    operation = await journal.begin_erasure(owner, kind)
    async with journal.leased(operation):
        await complete(operation, services, journal)


async def sweep_for_ever(services: Services, journal: Journal, every_seconds: float) -> None:
    """Erase forgotten guests from time to time. The gateways share the work without speaking of it: the auth service
    gives each guest away until it is erased, the journal takes each once."""
    while True:
        await asyncio.sleep(every_seconds * random.uniform(0.5, 1.0))  # noqa: S311 - so that gateways do not keep step
        tracing.begin()
        try:
            if (swept := await sweep(services, journal)) > 0:
                log.info("guests_swept", guests=swept)
        except Exception as error:  # nobody else would start this again
            log.warning("sweep_waits", reason=str(error) or type(error).__name__)


async def sweep(services: Services, journal: Journal) -> int:
    """Erase all guests that can be erased now; their number. Raises Problem 503 where a service is away."""
    swept = 0
    while True:
        await services.refuse_absent()
        claimed = await services.auth.claim_guests(AT_A_TIME)
        erased = [await _erased(guest, services, journal) for guest in claimed]
        swept += sum(erased)
        if len(claimed) < AT_A_TIME or not any(erased):
            return swept


async def _erased(guest: str, services: Services, journal: Journal) -> bool:
    """False where another gateway is at it, or a service fell away: it is left to them."""
    try:
        await erase(guest, Kind.SWEEP, services, journal)
    except (Problem, sqlite3.Error) as error:
        log.info("guest_not_swept_yet", reason=str(error))
        return False
    return True
