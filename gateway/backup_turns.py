"""Whose turn it is to make a backup: one an owner at a time, whichever gateway streams it."""

import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from chassis.database import Database
from chassis.problems import Problem
from gateway.leases import held

TAKE = """
    INSERT INTO backups (owner, holder, lease_until) VALUES (?, ?, ?) ON CONFLICT (owner) DO UPDATE
    SET holder = excluded.holder, lease_until = excluded.lease_until WHERE backups.lease_until <= ?"""
RENEW = "UPDATE backups SET lease_until = ? WHERE owner = ? AND holder = ?"


@asynccontextmanager
async def one_backup(database: Database, owner: str, lease_seconds: float) -> AsyncIterator[None]:
    """The owner's turn. Raises Problem 409 while another backup is being made."""
    turn = secrets.token_hex(8)

    async def until(moment: float) -> None:
        await database.write(lambda tx: tx.execute(RENEW, (moment, owner, turn)))

    now = time.time()
    values = (owner, turn, now + lease_seconds, now)
    if not await database.write(lambda tx: tx.execute(TAKE, values).rowcount == 1):
        detail = "Another backup of this profile is being made; wait until it has ended."
        raise Problem(409, "backup_under_way", detail, headers={"Retry-After": "2"})
    async with held(until, lease_seconds):
        yield
