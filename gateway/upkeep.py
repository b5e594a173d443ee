"""What the operator's prune removes from the journal: operations that ended long ago.

An adoption stays until its guest is swept: it tells whose keys are erased with the user's account. A deletion stays for
longer than snapshots are kept: who puts an old one back has the account deleted once more. Nothing goes of an owner
of whom a backup is being made, which counts the steps of the owner's operations to see that none is taken.
"""

import sqlite3
from datetime import datetime, timedelta
from typing import Final

import orjson

from chassis.leftovers import OPERATIONS_DAYS
from chassis.upkeep import Chore, chosen, counted
from gateway.operations import Kind

DRY_RUN_DAYS: Final = 1
DELETION_DAYS: Final = 400

ENDED: Final = """
    FROM operations WHERE stage IN ('done', 'aborted', 'failed')
    AND kind IN (SELECT value FROM json_each(:kinds)) AND changed_at < :before
    AND owner NOT IN (SELECT owner FROM backups WHERE lease_until > (julianday('now') - 2440587.5) * 86400)"""
UNFINISHED: Final = """
    SELECT id, undoes FROM operations WHERE stage NOT IN ('done', 'aborted', 'failed')"""


def unfinished(tx: sqlite3.Connection) -> list[str]:
    """The operations that services may be asked about once more, and the restores that they take back."""
    return [each for row in tx.execute(UNFINISHED) for each in row if each is not None]


def chores(now: datetime) -> list[Chore]:
    """More than the days of an undo: the latest restore of each owner stays for as long as it can be undone."""
    return [
        _ended("dry_runs", now, DRY_RUN_DAYS, Kind.DRY_RUN),
        _ended("operations", now, OPERATIONS_DAYS, Kind.RESTORE, Kind.UNDO),
        _ended("deletions", now, DELETION_DAYS, Kind.DELETION),
    ]


def _ended(name: str, now: datetime, days: int, *kinds: Kind) -> Chore:
    values = {"before": (now - timedelta(days=days)).isoformat(), "kinds": orjson.dumps(kinds).decode()}
    return Chore(
        name,
        counted(f"SELECT count(*), coalesce(sum(length(outcome)), 0) {ENDED}", values),
        chosen(
            f"SELECT id {ENDED}",
            f"DELETE {ENDED} AND id IN (SELECT value FROM json_each(:chosen))",  # noqa: S608
            values,
        ),
    )
